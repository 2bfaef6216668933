"""The reproduction: tests that are red on the base for the reason that the issue gives.

Where it comes from, first that applies: the user's own file; the issue's test command; the tests that its text names;
tests of the repository that are red and touch what the issue speaks of; a test written around the issue's own example
(`writing`), if it is red for the reason that the issue shows; one that a model writes (`scripting`, `checking`).
"""

import re
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import PurePosixPath

from thinklonger.agent.issue import Clues
from thinklonger.agent.types import FileState, Layer, LineCoverage, Outcome, TestResult, TestRun

SHORTEST_NAME = 4  # shorter names stand in a test's id by chance


class Origin(StrEnum):
    """Where a reproduction comes from."""

    COMMAND = "command"
    NAMED = "named"
    FAILING = "failing"
    EXAMPLE = "example"
    GIVEN = "given"
    MODEL = "model"


@dataclass(frozen=True, slots=True)
class Reproduction:
    """Red tests on the base: their ids, the run that showed them red, the lines they ran.

    `layer` holds a test that had to be written; it is laid over the base and over every candidate.
    """

    origin: Origin
    tests: tuple[str, ...]
    run: TestRun
    coverage: LineCoverage
    layer: Layer = field(default_factory=dict[PurePosixPath, FileState | None])


def red_tests(run: TestRun) -> tuple[str, ...]:
    """The ids of the red tests, in the run's order."""
    return tuple(result.id for result in run.results if result.outcome.red)


def named_tests(clues: Clues, tests: Sequence[str]) -> tuple[str, ...]:
    """The tests that the issue's text names: by id, by file, or by a function's name that only tests have."""
    named: list[str] = []
    for test in tests:
        path, _, rest = test.partition("::")
        function = re.sub(r"\[.*", "", rest.rpartition("::")[2])
        for clue in clues.tests or tuple(found.path for found in clues.paths):
            clue_path, _, clue_rest = clue.partition("::")
            whole_file = not clue_rest and clue.endswith(".py") and _ends_with(path, clue_path)
            by_id = bool(clue_rest) and _ends_with(path, clue_path) and clue_rest in {rest, function}
            if whole_file or by_id or clue in (test, function):
                named.append(test)
                break
    return tuple(named)


def related(
    run: TestRun, coverage: LineCoverage, *, clues: Clues, suspects: AbstractSet[PurePosixPath]
) -> tuple[str, ...]:
    """Red tests that speak of what the issue speaks of; of the following, the first that any test meets decides.

    It raises an exception that the issue names; it carries one of the issue's identifiers in its name; its traceback
    passes through a suspected file; it runs a suspected file. Without any text to compare with, every red test counts.
    """
    red = [result for result in run.results if result.outcome.red and result.outcome is not Outcome.MISSING]
    if not clues.title:
        return tuple(result.id for result in red)
    exceptions = {clue.exception.rpartition(".")[2] for clue in clues.tracebacks} - {""}
    words = (*clues.identifiers, *(dotted.rpartition(".")[2] for dotted in clues.dotted))
    names = {word.lower() for word in words if len(word) >= SHORTEST_NAME}
    signs: tuple[Callable[[TestResult], bool], ...] = (
        lambda result: result.exception.rpartition(".")[2] in exceptions,
        lambda result: any(name in result.id.lower() for name in names),
        lambda result: any(frame.path in suspects for frame in result.frames),
        lambda result: not suspects.isdisjoint(coverage.get(result.id, ())),
    )
    for sign in signs:
        if chosen := tuple(result.id for result in red if sign(result)):
            return chosen
    return ()


def steady(first: TestRun, again: Sequence[TestRun], tests: Sequence[str]) -> tuple[str, ...]:
    """Those of the tests that are red in every run, with the same exception each time."""
    runs = [{result.id: result for result in run.results} for run in (first, *again)]
    return tuple(
        test
        for test in tests
        if all(test in run and run[test].outcome.red for run in runs)
        and len({run[test].exception for run in runs}) == 1
    )


def _ends_with(path: str, tail: str) -> bool:
    return path == tail or path.endswith(f"/{tail}")
