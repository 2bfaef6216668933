"""Which source files are test code, by where they lie and what they are called."""

import re
from collections.abc import Iterable
from pathlib import PurePosixPath

_FILE = re.compile(r"(?:test_.*|.*_tests?|tests?|conftest)\.pyi?")


class TestFiles:
    """Knows the test code of one tree.

    A folder called `tests` holds tests. One called `test` may also be a library's test tools (`django/test`): it
    counts only with a file in or below it that is called like a test.
    """

    __test__ = False

    def __init__(self, paths: Iterable[PurePosixPath]) -> None:
        """Look at all of the tree's source files once."""
        self._folders: set[str] = set()
        for name in map(str, paths):
            parts = name.split("/") if "test/" in name else [name]
            if "test" in parts[:-1] and _FILE.fullmatch(parts[-1]):
                self._folders.update("/".join(parts[: at + 1]) for at, part in enumerate(parts[:-1]) if part == "test")

    def __contains__(self, path: PurePosixPath) -> bool:
        """Whether the file is test code."""
        parts = path.parts
        if _FILE.fullmatch(parts[-1]) or "tests" in parts[:-1]:
            return True
        return "test" in parts[:-1] and any(
            part == "test" and "/".join(parts[: at + 1]) in self._folders for at, part in enumerate(parts[:-1])
        )
