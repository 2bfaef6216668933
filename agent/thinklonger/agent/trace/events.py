"""The events of a run: what every view, the resume and the training data are made of.

An event is a frozen dataclass; its `type` on the wire is the class name in kebab case (`RunStarted` → `run-started`).
Adding an event or a defaulted field keeps `SCHEMA_VERSION`; anything else needs a migration.
"""

from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import TypeAlias

from thinklonger.agent.chat import ChatMessage, Closing, Finish, ModelFacts, Part, Sampling, Trouble, Usage
from thinklonger.agent.config import Settings
from thinklonger.agent.types import (
    EnvironmentRecord,
    FileRank,
    Issue,
    Label,
    Location,
    Message,
    Receipt,
    Score,
    Stage,
    StopReason,
    TestRun,
)

SCHEMA_VERSION = 1


@dataclass(frozen=True, slots=True)
class RunStarted:
    """The first event: what was asked, of which repository, by which version, under which settings.

    `whole`: all that was asked stands here; a run with unsaved text, or files of the user's, can't be resumed.
    """

    run_id: str
    job: str
    issue: Issue
    repository: str
    engine: str
    budget: int | None
    version: str
    schema: int = SCHEMA_VERSION
    settings: Settings | None = None
    whole: bool = False


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
    """A stage ended; `usage` are the tokens of all its replies together."""

    stage: Stage
    seconds: float
    usage: Usage = field(default_factory=Usage)


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
class ModelProbed:
    """The model's server answers, and what it can do."""

    facts: ModelFacts
    seconds: float


@dataclass(frozen=True, slots=True)
class PromptSent:
    """A prompt went out; so many replies are expected.

    Its messages are the first `shared` ones of the earlier prompt `base`, then `added`: a run's prompts share long
    beginnings. `parent` is the branch that it goes on from; `model` an adapter's name, empty for the model itself.
    """

    prompt: str
    stage: Stage
    purpose: str
    parent: str
    replies: tuple[str, ...]
    sampling: Sampling
    added: tuple[ChatMessage, ...]
    base: str = ""
    shared: int = 0
    model: str = ""


@dataclass(frozen=True, slots=True)
class ReplyStreamed:
    """A piece of a reply's thinking or answer."""

    reply: str
    part: Part
    text: str


@dataclass(frozen=True, slots=True)
class ReplyRetried:
    """A reply met trouble and was asked for again, after so many seconds; what was streamed of it does not count."""

    reply: str
    trouble: Trouble
    attempt: int
    after: float
    detail: str = ""


@dataclass(frozen=True, slots=True)
class ReplyFinished:
    """A reply is whole: this text counts, not the streamed pieces."""

    reply: str
    think: str
    answer: str
    finish: Finish
    usage: Usage
    seconds: float
    closing: Closing | None = None
    salvaged: bool = False


@dataclass(frozen=True, slots=True)
class ReplyRejected:
    """A reply led to nothing, and why."""

    reply: str
    why: Message


@dataclass(frozen=True, slots=True)
class BranchProposed:
    """A decision is on the table: files or places, from which decision before, by which reply.

    A patch is a CandidateProposed; its id is its branch's.
    """

    branch: str
    stage: Stage
    parent: str
    reply: str
    decided: str
    files: tuple[PurePosixPath, ...] = ()
    locations: tuple[Location, ...] = ()


@dataclass(frozen=True, slots=True)
class BranchScored:
    """A judge has said how much it believes in a decision or a patch."""

    branch: str
    score: Score


@dataclass(frozen=True, slots=True)
class BranchPruned:
    """A decision does not go on, and why."""

    branch: str
    by: Message


@dataclass(frozen=True, slots=True)
class BranchPromoted:
    """A decision goes on after all, because the user says so."""

    branch: str


@dataclass(frozen=True, slots=True)
class RunResumed:
    """A run that had been interrupted goes on, by which version; what stands before is not done again."""

    version: str


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
    parent: str = ""
    reply: str = ""


@dataclass(frozen=True, slots=True)
class CandidateTested:
    """A candidate was run against the reproduction, or the regression tests; `run` says more where that is needed."""

    candidate: str
    check: str
    passed: int
    red: int
    seconds: float
    run: TestRun | None = None


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
    | ModelProbed
    | PromptSent
    | ReplyStreamed
    | ReplyRetried
    | ReplyFinished
    | ReplyRejected
    | BranchProposed
    | BranchScored
    | BranchPruned
    | BranchPromoted
    | RunResumed
    | CandidateProposed
    | CandidateTested
    | CandidatePruned
    | CandidateVerified
    | RunFinished
    | RunFailed
    | RunCancelled
)
