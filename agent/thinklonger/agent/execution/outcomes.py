"""The nouns of this room: runners, what one execution gave, and what screening says about a candidate."""

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import PurePosixPath

from thinklonger.agent.types import Ending, Layer, LineCoverage, TestResult, TestRun


class Runner(StrEnum):
    """What runs the tests. `COMMAND` is judged by its exit code alone and has one pseudo-test: the command itself."""

    PYTEST = "pytest"
    UNITTEST = "unittest"
    COMMAND = "command"


@dataclass(frozen=True, slots=True)
class Execution:
    """One run of tests and, if asked for, the repository lines that each test ran."""

    run: TestRun
    coverage: LineCoverage


@dataclass(frozen=True, slots=True)
class Screened:
    """A candidate to screen: its id and the files it lays over the tree."""

    id: str
    layer: Layer


@dataclass(frozen=True, slots=True)
class ScreenResult:
    """What screening says of one candidate: a filter, never a proof; what passes is still to be run for itself.

    `red` are the tests that were red until the candidate was given up (the first one ends it); `ending` is
    TIMED_OUT when it ran out of its time and KILLED when it took its process down.
    """

    id: str
    passed: bool
    red: tuple[str, ...]
    ending: Ending
    seconds: float
    first_red: TestResult | None = None


@dataclass(frozen=True, slots=True)
class Baseline:
    """How the base fares on chosen tests: `run` is the first run; `flaky` changed their mind in the second one.

    `already_red` were red both times; `timings` are seconds for each test that ran to its end.
    """

    run: TestRun
    already_red: tuple[str, ...]
    flaky: tuple[str, ...]
    timings: dict[str, float] = field(default_factory=dict[str, float])

    @property
    def green(self) -> tuple[str, ...]:
        """The tests that must stay green, in the order in which they ran."""
        unsteady = frozenset(self.flaky)
        return tuple(result.id for result in self.run.results if result.outcome.green and result.id not in unsteady)


def test_path(test: str) -> PurePosixPath:
    """The file that a test's id names: both runners' ids are `path::names[parameters]`."""
    return PurePosixPath(test.partition("::")[0])
