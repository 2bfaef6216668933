"""Which tests are chosen to notice that something broke."""

from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import cast

from thinklonger.agent.execution import choose_regression
from thinklonger.agent.protocols import RepositoryView

CORE, API, FAR = PurePosixPath("pkg/core.py"), PurePosixPath("pkg/api.py"), PurePosixPath("pkg/far.py")


class Graph:
    """A repository that knows only who imports whom."""

    root = Path()

    def __init__(self, importers: dict[str, list[str]]) -> None:
        """Take the importers of each file."""
        self._importers = importers

    def importers(self, path: PurePosixPath) -> Sequence[PurePosixPath]:
        """The files that import this one."""
        return [PurePosixPath(name) for name in self._importers.get(str(path), [])]


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
