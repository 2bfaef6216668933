"""The seam for languages: what the index asks of a grammar."""

from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import NamedTuple, Protocol

from thinklonger.agent.repository.record import Import, Outline


class GrammarError(Exception):
    """The parser does not come to an end in a sensible time."""


class Analysis(NamedTuple):
    """What one parse of a file gives.

    `names`: the words of the symbols field (definitions and assigned names), separated by spaces. `docstrings`: their
    text. Both are UTF-8. `error_line`: the first line that doesn't parse, or 0.
    """

    outline: Outline
    names: bytes
    docstrings: bytes
    error_line: int


class Decoded(NamedTuple):
    """A file's text as UTF-8 without a byte order mark, lines ending in LF or CRLF; `sound`: as its author meant it."""

    text: bytes
    sound: bool


class Target(NamedTuple):
    """A file that an import means, and the (name, name here) pairs that are taken out of that file."""

    path: PurePosixPath
    names: tuple[tuple[str, str], ...]


class ImportResolver(Protocol):
    """Knows which files of one tree an import means."""

    def targets(self, importer: PurePosixPath, item: Import) -> Sequence[Target]:
        """The files that the import names; empty where it leads out of the tree."""
        ...

    def modules(self, dotted: str) -> Sequence[tuple[PurePosixPath, str]]:
        """Files whose module name starts `dotted`, the longest match first, each with the rest of the name."""
        ...


class Language(Protocol):
    """One programming language."""

    @property
    def name(self) -> str:
        """What the language is called in the store."""
        ...

    @property
    def version(self) -> int:
        """Goes up whenever `decode` or `analyse` gives something else for the same bytes: old records are then void."""
        ...

    @property
    def suffixes(self) -> frozenset[str]:
        """The suffixes of its source files, dot included."""
        ...

    @property
    def test_prefix(self) -> str:
        """What the names of test functions begin with; such a name is a sentence about other code, no API."""
        ...

    @property
    def common_words(self) -> frozenset[bytes]:
        """Keywords and the like that stand in almost every file: not worth indexing as words of a body."""
        ...

    def decode(self, content: bytes) -> Decoded:
        """The text of a file, in the encoding that the language says it has."""
        ...

    def analyse(self, text: bytes) -> Analysis:
        """Parse once and tell what is in it; raises GrammarError where the grammar can't cope."""
        ...

    def skeleton(self, text: bytes) -> bytes:
        """The text with the bodies of functions elided."""
        ...

    def uses(self, text: bytes, name: str) -> Sequence[int]:
        """The 1-based lines on which `name` is used rather than defined, ascending, each once."""
        ...

    def resolver(self, paths: Sequence[PurePosixPath]) -> ImportResolver:
        """A resolver for a tree of these source files (sorted)."""
        ...
