"""Python, by tree-sitter."""

from collections.abc import Sequence
from pathlib import PurePosixPath

from thinklonger.agent.repository.language import Analysis, Decoded, ImportResolver
from thinklonger.agent.repository.languages.python.decoding import decode
from thinklonger.agent.repository.languages.python.modules import Modules


class Python:
    """The language seam's Python; the grammar is loaded when the first file is parsed."""

    name = "python"
    version = 1
    suffixes = frozenset({".py", ".pyi"})
    test_prefix = "test_"
    common_words = frozenset(b"def return import from class self if in for not is and or else None as".split())

    def decode(self, content: bytes) -> Decoded:
        """Honour byte order marks and coding lines (PEP 263); bytes that don't decode stay what they are."""
        return decode(content)

    def analyse(self, text: bytes) -> Analysis:
        """Parse once and tell what is in it."""
        from thinklonger.agent.repository.languages.python.structure import analyse  # noqa: PLC0415 - loads the grammar

        return analyse(text)

    def skeleton(self, text: bytes) -> bytes:
        """Function bodies become `...` below the first line of their docstring."""
        from thinklonger.agent.repository.languages.python.structure import skeleton  # noqa: PLC0415 - loads the grammar

        return skeleton(text)

    def uses(self, text: bytes, name: str) -> Sequence[int]:
        """Lines where the identifier stands, but not as what a `def`, `class`, parameter or assignment names."""
        from thinklonger.agent.repository.languages.python.uses import uses  # noqa: PLC0415 - loads the grammar

        return uses(text, name)

    def resolver(self, paths: Sequence[PurePosixPath]) -> ImportResolver:
        """Modules by source root."""
        return Modules(paths)
