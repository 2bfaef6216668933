"""The events of a run: what every view, the resume and the training data are made of.

An event is a frozen dataclass; its `type` on the wire is the class name in kebab case (`RunStarted` → `run-started`).
Adding an event or a defaulted field keeps `SCHEMA_VERSION`; anything else needs a migration.
"""

from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import TypeAlias

from thinklonger.agent.types import (
    EnvironmentRecord,
    FileRank,
    Issue,
    Label,
    Location,
    Message,
    Receipt,
    Stage,
    StopReason,
    TestRun,
)

SCHEMA_VERSION = 1


@dataclass(frozen=True, slots=True)
class RunStarted:
    """The first event: what was asked, of which repository, by which version."""

    run_id: str
    job: str
    issue: Issue
    repository: str
    engine: str
    budget: int | None
    version: str
    schema: int = SCHEMA_VERSION


@dataclass(frozen=True, slots=True)
class ProblemFound:
    """Something that a person should know and that stops nothing: a file that can't be read, a cache that can't be."""

    message: Message
    path: PurePosixPath | None = None


@dataclass(frozen=True, slots=True)
class RepositoryIndexed:
    """The code is understood: at which commit, how much of it, how much came from the cache, how long it took."""

    files: int
    symbols: int
    reused: int
    seconds: float
    commit: str | None = None


@dataclass(frozen=True, slots=True)
class StageStarted:
    """A stage begins."""

    stage: Stage


@dataclass(frozen=True, slots=True)
class StageFinished:
    """A stage ended."""

    stage: Stage
    seconds: float


@dataclass(frozen=True, slots=True)
class EnvironmentProved:
    """The repository's tests can run: in what, and inside which sandbox."""

    environment: EnvironmentRecord
    sandbox: str
    seconds: float
    reused: bool = False


@dataclass(frozen=True, slots=True)
class ExecutionUnavailable:
    """The repository's tests can't run; the run goes on without, and says why."""

    message: Message
    remedy: Message | None = None


@dataclass(frozen=True, slots=True)
class Reproduced:
    """The reproduction on the base: red, as it must be.

    `origin` says where it comes from; `source` is its text where the repository does not hold it.
    """

    tests: tuple[str, ...]
    run: TestRun
    origin: str = ""
    source: str = ""


@dataclass(frozen=True, slots=True)
class NotReproduced:
    """Nothing red that matches the issue: why, in words."""

    message: Message


@dataclass(frozen=True, slots=True)
class RegressionChosen:
    """The tests that must not get worse, and how the base fares on them.

    `notes` say what is known of the whole suite, and which tests were left out for which reason.
    """

    selected: int
    passed: int
    already_red: tuple[str, ...]
    flaky: tuple[str, ...]
    seconds: float
    notes: tuple[Message, ...] = ()


@dataclass(frozen=True, slots=True)
class FilesRanked:
    """Repository understanding: which files, most suspicious first."""

    files: tuple[FileRank, ...]


@dataclass(frozen=True, slots=True)
class LocationsRanked:
    """Fault localization: which code, most suspicious first. `executed`: whether a failing test's run informed it."""

    locations: tuple[Location, ...]
    executed: bool


@dataclass(frozen=True, slots=True)
class CandidateProposed:
    """A patch is on the table."""

    candidate: str
    proposer: str
    pattern: str
    think: str
    answer: str
    path: PurePosixPath
    line: int
    diff: str
    prior: float


@dataclass(frozen=True, slots=True)
class CandidateTested:
    """A candidate was run against the reproduction, or the regression tests."""

    candidate: str
    check: str
    passed: int
    red: int
    seconds: float


@dataclass(frozen=True, slots=True)
class CandidatePruned:
    """A candidate is out, and by what."""

    candidate: str
    by: Message


@dataclass(frozen=True, slots=True)
class CandidateVerified:
    """A candidate has its receipt."""

    candidate: str
    receipt: Receipt


@dataclass(frozen=True, slots=True)
class CandidateRanked:
    """One line of a run's final ranking."""

    candidate: str
    label: Label
    pattern: str
    path: PurePosixPath
    line: int
    diff: str
    flags: int


@dataclass(frozen=True, slots=True)
class RunFinished:
    """The last event of a run that came to its end, with or without a patch. `patch` is a unified diff."""

    label: Label
    candidate: str | None
    patch: str
    receipt: Receipt | None
    candidates: tuple[CandidateRanked, ...]
    stop_reason: StopReason
    seconds: float
    tokens: int = 0
    tried: int = 0
    files: tuple[FileRank, ...] = field(default=())
    locations: tuple[Location, ...] = field(default=())


@dataclass(frozen=True, slots=True)
class RunFailed:
    """The last event of a run that an error ended."""

    error: str
    message: Message
    remedy: Message | None
    exit_code: int


@dataclass(frozen=True, slots=True)
class RunCancelled:
    """The last event of a run that the user stopped."""

    seconds: float


Event: TypeAlias = (
    RunStarted
    | ProblemFound
    | RepositoryIndexed
    | StageStarted
    | StageFinished
    | EnvironmentProved
    | ExecutionUnavailable
    | Reproduced
    | NotReproduced
    | RegressionChosen
    | FilesRanked
    | LocationsRanked
    | CandidateProposed
    | CandidateTested
    | CandidatePruned
    | CandidateVerified
    | RunFinished
    | RunFailed
    | RunCancelled
)
