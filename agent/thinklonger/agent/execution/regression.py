"""Chooses the tests that a change must not make worse, under a time budget."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from difflib import SequenceMatcher
from functools import cache
from itertools import takewhile
from pathlib import PurePosixPath

from thinklonger.agent.execution.outcomes import test_path
from thinklonger.agent.protocols import RepositoryView
from thinklonger.agent.types import LineCoverage

UNKNOWN_SECONDS = 0.05
"""What a test is taken to cost that has never run here."""
RUNS_LINES = -1
RUNS_IT = 0
FAR = 1_000
SLOW_SECONDS = 1.0
"""Tests that take longer run after all others."""
NAMED = 1.5
"""A test file named after a changed one ranks between a direct import and one more step."""
MOST_FILES = 30
"""Test files that are chosen of a suite too large to be collected as a whole, at most."""


def choose_test_files(
    repository: RepositoryView,
    *,
    changed: Sequence[PurePosixPath],
    files: Collection[PurePosixPath],
    seconds: float,
    counts: Mapping[PurePosixPath, int] | None = None,
) -> tuple[PurePosixPath, ...]:
    """The test files nearest to `changed` ones (the most suspicious first), while what they hold fits `seconds`.

    Known without collecting anything: a file's tests are counted by the names of its functions where `counts` does not
    say how many there are.
    """
    known = counts or {}
    near = nearness(repository, changed)
    chosen: list[PurePosixPath] = []
    spent = 0.0
    for path in sorted(files, key=lambda path: (near(path), path)):
        tests = known.get(path)
        if tests is None:
            tests = sum(symbol.name.rpartition(".")[2].startswith("test") for symbol in repository.symbols(path))
        spent += tests * UNKNOWN_SECONDS
        if len(chosen) == MOST_FILES or (chosen and spent > seconds):
            break
        if tests:
            chosen.append(path)
    return tuple(chosen)


def choose_regression(  # noqa: PLR0913 - all that is known goes into the choice
    repository: RepositoryView,
    *,
    changed: Collection[PurePosixPath],
    tests: Sequence[str],
    timings: Mapping[str, float],
    coverage: LineCoverage,
    seconds: float,
    lines: Mapping[PurePosixPath, frozenset[int]] | None = None,
) -> tuple[str, ...]:
    """Tests most likely to notice that `changed` files broke, while their estimated running time fits `seconds`.

    First those that are known to run one of the changed `lines` (`coverage`), then those that run a changed file, then
    by distance in the import graph, then by name, then the rest; of equals those in folders nearby, the cheaper first.
    """
    touched = frozenset(changed)
    near = nearness(repository, changed)
    wanted = lines or {}

    def rank(test: str) -> tuple[float, int]:
        ran = coverage.get(test)
        if ran is None or touched.isdisjoint(ran):
            return near(test_path(test))
        exactly = any(not wanted[path].isdisjoint(ran[path]) for path in wanted.keys() & ran.keys())
        return (RUNS_LINES if exactly else RUNS_IT, 0)

    ordered = sorted(tests, key=lambda test: (rank(test), timings.get(test, UNKNOWN_SECONDS)))
    return tuple(within(ordered, timings, seconds))


def changed_lines(before: bytes, after: bytes) -> frozenset[int]:
    """The lines of `before` that `after` replaces or removes, and those around what it only adds."""
    found: set[int] = set()
    matcher = SequenceMatcher(a=before.splitlines(), b=after.splitlines(), autojunk=False)
    for tag, start, end, _, _ in matcher.get_opcodes():
        if tag in ("replace", "delete"):
            found.update(range(start + 1, end + 1))
        elif tag == "insert":
            found.update((max(start, 1), start + 1))
    return frozenset(found)


def nearness(
    repository: RepositoryView, changed: Collection[PurePosixPath]
) -> Callable[[PurePosixPath], tuple[float, int]]:
    """How near a test file is to changed files: steps of the import graph, then folders that they don't share."""
    distance = distances(repository, changed)

    @cache
    def near(path: PurePosixPath) -> tuple[float, int]:
        steps = distance.get(path, FAR)
        if any(named_after(path, other) for other in changed):
            steps = min(steps, NAMED)
        return steps, -max((shared(path.parent, other.parent) for other in changed), default=0)

    return near


def shared(one: PurePosixPath, other: PurePosixPath) -> int:
    """How many folders two folders have in common."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one.parts, other.parts, strict=False)))


def within(tests: Iterable[str], timings: Mapping[str, float], seconds: float) -> Iterable[str]:
    """The tests in order while their time fits; one that does not fit is passed over."""
    spent = 0.0
    for test in tests:
        cost = timings.get(test, UNKNOWN_SECONDS)
        if spent + cost <= seconds:
            spent += cost
            yield test


def distances(repository: RepositoryView, changed: Collection[PurePosixPath]) -> dict[PurePosixPath, int]:
    """How many imports lie between each file and the nearest changed one that it uses (1: imports it itself)."""
    found = dict.fromkeys(changed, 1)
    edge = list(changed)
    steps = 1
    while edge:
        following: list[PurePosixPath] = []
        for path in edge:
            for importer in repository.importers(path):
                if importer not in found:
                    found[importer] = steps
                    following.append(importer)
        edge = following
        steps += 1
    return found


def named_after(test: PurePosixPath, source: PurePosixPath) -> bool:
    """Whether a test file is called after a source file: `test_x.py` or `x_test.py` for `x.py` or the package `x`."""
    stem = test.stem.removeprefix("test_").removesuffix("_test").removeprefix("tests_")
    name = source.parent.name if source.stem == "__init__" else source.stem
    return bool(stem) and stem.strip("_") == name.strip("_")
