"""The reproduction: tests that are red on the base for the reason that the issue gives.

Where it comes from, first that applies: the issue's own test command; the tests that its text names; tests of the
repository that are red and touch what the issue speaks of; a test written around the issue's own example, if the
example raises the exception that the issue shows.
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
EXAMPLE_PATH = PurePosixPath("test_thinklonger_reproduction.py")
_EXAMPLE = '''\
"""The issue's own example, as a test."""

EXAMPLE = {example!r}


def test_example_of_the_issue():
    """Must run through: the issue says that it raises {exception}."""
    exec(compile(EXAMPLE, "<example of the issue>", "exec"), {{"__name__": "__main__"}})
'''


class Origin(StrEnum):
    """Where a reproduction comes from."""

    COMMAND = "command"
    NAMED = "named"
    FAILING = "failing"
    EXAMPLE = "example"


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


def example_test(clues: Clues) -> tuple[Layer, str] | None:
    """A test around the issue's example, and the exception that it must raise on the base; None without both.

    Only an exception can be told from the text alone: a printed value may be the right one or the wrong one.
    """
    exception = next((clue.exception.rpartition(".")[2] for clue in clues.tracebacks if clue.exception), "")
    sources = [example.source for example in clues.examples] or [
        block.text
        for block in clues.blocks
        if block.language in ("python", "py", "python3", "") and _is_code(block.text)
    ]
    if not exception or not sources:
        return None
    text = _EXAMPLE.format(example="\n".join(sources) + "\n", exception=exception)
    return {EXAMPLE_PATH: FileState(text.encode())}, exception


def raised(run: TestRun, exception: str) -> bool:
    """Whether every test of the run is red because of this exception."""
    return bool(run.results) and all(
        result.outcome.red and result.exception.rpartition(".")[2] == exception for result in run.results
    )


def _ends_with(path: str, tail: str) -> bool:
    return path == tail or path.endswith(f"/{tail}")


def _is_code(text: str) -> bool:
    if "Traceback (most recent call last)" in text:
        return False
    try:
        compile(text, "<block>", "exec", dont_inherit=True)
    except (SyntaxError, ValueError):
        return False
    return True
