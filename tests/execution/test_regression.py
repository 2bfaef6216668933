"""Which tests are chosen to notice that something broke."""

from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import cast

from thinklonger.agent.execution import choose_regression, choose_test_files
from thinklonger.agent.execution.regression import changed_lines
from thinklonger.agent.protocols import RepositoryView
from thinklonger.agent.types import Symbol, SymbolKind

CORE, API, FAR = PurePosixPath("pkg/core.py"), PurePosixPath("pkg/api.py"), PurePosixPath("pkg/far.py")


class Graph:
    """A repository that knows only who imports whom, and how many tests there are."""

    root = Path()

    def __init__(self, importers: dict[str, list[str]]) -> None:
        """Take the importers of each file."""
        self._importers = importers

    def importers(self, path: PurePosixPath) -> Sequence[PurePosixPath]:
        """The files that import this one."""
        return [PurePosixPath(name) for name in self._importers.get(str(path), [])]

    def symbols(self, path: PurePosixPath) -> Sequence[Symbol]:
        """Ten tests in a test file, none anywhere else."""
        count = 10 if path.name.startswith("test_") else 0
        return [Symbol(path, f"Case.test_{number}", SymbolKind.METHOD, number, number) for number in range(1, count)]


GRAPH = cast(
    "RepositoryView",
    Graph(
        {
            "pkg/core.py": ["tests/test_direct.py", "pkg/api.py"],
            "pkg/api.py": ["tests/test_api.py", "pkg/core.py"],
        }
    ),
)
TESTS = ("tests/test_far.py::a", "tests/test_api.py::b", "tests/test_core.py::c", "tests/test_direct.py::d", "t.py::e")


def test_closest_first() -> None:
    """Known to run the file, then direct imports, then the name, then indirect imports, then the rest."""
    chosen = choose_regression(
        GRAPH, changed=[CORE], tests=TESTS, timings={}, coverage={"t.py::e": {CORE: frozenset({1})}}, seconds=60
    )
    assert [test[-1] for test in chosen] == ["e", "d", "c", "b", "a"]


def test_the_budget_is_kept_and_the_cheap_come_first() -> None:
    """Of equally close tests the cheaper come first, and one that does not fit is passed over."""
    tests = ("t.py::slow", "t.py::quick", "t.py::medium")
    timings = {"t.py::slow": 5.0, "t.py::quick": 0.1, "t.py::medium": 2.0}
    chosen = choose_regression(GRAPH, changed=[CORE], tests=tests, timings=timings, coverage={}, seconds=3.0)
    assert chosen == ("t.py::quick", "t.py::medium")


def test_circles_of_imports_end() -> None:
    """Files that import each other are no trap."""
    assert choose_regression(GRAPH, changed=[API, FAR], tests=TESTS, timings={}, coverage={}, seconds=1.0)


def test_files_of_a_large_suite() -> None:
    """Nearest first, files without tests left out, no more than the time allows but one at least."""
    files = [PurePosixPath(name) for name in ("tests/helpers.py", "tests/test_far.py", "pkg/test_far.py")]
    files += [PurePosixPath(name) for name in ("tests/test_api.py", "tests/test_core.py", "tests/test_direct.py")]
    near = choose_test_files(GRAPH, changed=[CORE], files=files, seconds=60.0)
    assert [str(path) for path in near] == [
        "tests/test_direct.py",
        "tests/test_core.py",
        "tests/test_api.py",
        "pkg/test_far.py",
        "tests/test_far.py",
    ]
    assert choose_test_files(GRAPH, changed=[CORE], files=files, seconds=1.0) == near[:2]
    assert choose_test_files(GRAPH, changed=[CORE], files=files, seconds=0.0) == near[:1]


def test_tests_that_run_the_lines_come_first() -> None:
    """Of tests that run a changed file those that run the changed lines come first, whatever they cost."""
    coverage = {"t.py::e": {CORE: frozenset({1})}, "t.py::lines": {CORE: frozenset({7, 8})}}
    chosen = choose_regression(
        GRAPH,
        changed=[CORE],
        tests=(*TESTS, "t.py::lines"),
        timings={"t.py::lines": 5.0},
        coverage=coverage,
        seconds=60,
        lines={CORE: frozenset({8})},
    )
    assert chosen[:2] == ("t.py::lines", "t.py::e")


def test_known_counts_stand_in_for_names() -> None:
    """How many tests a file has is taken from what was collected, where that is known."""
    files = [PurePosixPath(name) for name in ("tests/test_core.py", "tests/test_direct.py", "tests/data.txt")]
    counts = {PurePosixPath("tests/data.txt"): 3, PurePosixPath("tests/test_core.py"): 0}
    near = choose_test_files(GRAPH, changed=[CORE], files=files, seconds=60.0, counts=counts)
    assert [str(path) for path in near] == ["tests/test_direct.py", "tests/data.txt"]


def test_the_lines_that_a_patch_changes() -> None:
    """Replaced and removed lines count by their old numbers; of added ones those around them."""
    before = b"a\nb\nc\nd\n"
    assert changed_lines(before, b"a\nB\nc\nd\n") == {2}
    assert changed_lines(before, b"a\nd\n") == {2, 3}
    assert changed_lines(before, b"a\nb\nnew\nc\nd\n") == {2, 3}
    assert changed_lines(before, b"new\n" + before) == {1}
    assert changed_lines(before, before) == frozenset()
