"""The nouns that every floor shares: issues, places, changes, test runs, candidates and receipts.

All are frozen, so that two branches of a search never alias. Paths are relative to the repository's root
(`PurePosixPath`); lines are 1-based and inclusive; durations are wall-clock seconds; scores lie in [0, 1] unless
a field says otherwise.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path, PurePosixPath
from typing import TypeAlias

# ── words ────────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Message:
    """A sentence for a person, as a catalogue key and its variables; `messages.render` turns it into words."""

    key: str
    params: Mapping[str, str | int | float] = field(default_factory=dict[str, str | int | float])


# ── what is asked ────────────────────────────────────────────────────────────────────────────────────────────────


class IssueSource(StrEnum):
    """Where an issue's text came from."""

    FILE = "file"
    TEXT = "text"
    STDIN = "stdin"
    URL = "url"
    TEST = "test"


@dataclass(frozen=True, slots=True)
class Issue:
    """What is wrong, in the reporter's words: untrusted text, and perhaps the command of a failing test.

    `text` may be empty only if `test_command` is given ('make this pass').
    """

    text: str
    source: IssueSource
    test_command: str | None = None


# ── where code is ────────────────────────────────────────────────────────────────────────────────────────────────


class SymbolKind(StrEnum):
    """The kinds of a named piece of code."""

    MODULE = "module"
    CLASS = "class"
    FUNCTION = "function"
    METHOD = "method"


@dataclass(frozen=True, slots=True)
class Symbol:
    """A named piece of code; `name` is qualified inside its file (`Outer.method`), empty for the module itself."""

    path: PurePosixPath
    name: str
    kind: SymbolKind
    start_line: int
    end_line: int


@dataclass(frozen=True, slots=True)
class Reference:
    """One use of a name: the line it stands on and the innermost symbol around it (empty: module level)."""

    path: PurePosixPath
    line: int
    inside: str


class EvidenceKind(StrEnum):
    """Why a place is suspected, or not."""

    TEXT = "text"
    NAME = "name"
    PATH = "path"
    QUOTE = "quote"
    TRACEBACK = "traceback"
    GRAPH = "graph"
    HISTORY = "history"
    COVERAGE = "coverage"
    MODEL = "model"
    DEMOTED = "demoted"


@dataclass(frozen=True, slots=True)
class Evidence:
    """One reason for a score: its kind, what it added to the score (may be negative) and the reason in words."""

    kind: EvidenceKind
    weight: float
    message: Message


@dataclass(frozen=True, slots=True)
class FileRank:
    """A file under suspicion."""

    path: PurePosixPath
    score: float
    evidence: tuple[Evidence, ...]


@dataclass(frozen=True, slots=True)
class Location:
    """A piece of code under suspicion: a symbol, or lines of it."""

    path: PurePosixPath
    symbol: str
    kind: SymbolKind
    start_line: int
    end_line: int
    score: float
    evidence: tuple[Evidence, ...]


@dataclass(frozen=True, slots=True)
class Localization:
    """The answer of *localize fault*: files and locations, most suspicious first."""

    files: tuple[FileRank, ...]
    locations: tuple[Location, ...]


# ── what is changed ──────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class FileState:
    """A file's bytes and whether it may be executed."""

    content: bytes
    executable: bool = False


@dataclass(frozen=True, slots=True)
class FileChange:
    """One file before and after; `before` is None for a new file, `after` for a deleted one.

    A rename is a change with `renamed_from` set: `before` is then the state at the old path, which disappears.
    """

    path: PurePosixPath
    before: FileState | None
    after: FileState | None
    renamed_from: PurePosixPath | None = None


Changes: TypeAlias = tuple[FileChange, ...]
Layer: TypeAlias = Mapping[PurePosixPath, FileState | None]
"""Files to lay over a tree: new contents, or None where a file is removed."""


# ── what was run ─────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Limits:
    """What one sandboxed command may use.

    `memory_bytes` bounds each process's address space, and all processes together where the sandbox can count them.
    """

    wall_seconds: float = 600.0
    memory_bytes: int = 4 * 1024**3
    processes: int = 256
    output_bytes: int = 8 * 1024**2
    scratch_bytes: int = 512 * 1024**2


@dataclass(frozen=True, slots=True)
class Command:
    """A command for the sandbox. `cwd` is relative to the tree; `env` is all that it sees beside the sandbox's own.

    What the command writes below the folder that `$THINKLONGER_OUT` names comes back as the result's artifacts.
    `payload` are read-only files that the launcher puts below `$THINKLONGER_PAYLOAD`.
    """

    argv: tuple[str, ...]
    cwd: PurePosixPath = PurePosixPath()
    env: Mapping[str, str] = field(default_factory=dict[str, str])
    stdin: bytes = b""
    payload: Mapping[str, bytes] = field(default_factory=dict[str, bytes])
    limits: Limits = Limits()


class Ending(StrEnum):
    """How a sandboxed command ended."""

    EXITED = "exited"
    TIMED_OUT = "timed-out"
    OUTPUT_LIMIT = "output-limit"
    KILLED = "killed"


@dataclass(frozen=True, slots=True)
class CommandResult:
    """What a sandboxed command did. `exit_code` is 128 + n after signal n, None where the launcher stopped it."""

    ending: Ending
    exit_code: int | None
    output: bytes
    seconds: float
    artifacts: Mapping[str, bytes] = field(default_factory=dict[str, bytes])


class Outcome(StrEnum):
    """One test's outcome in one run. `MISSING`: selected, yet the runner never reported it."""

    PASSED = "passed"
    FAILED = "failed"
    ERROR = "error"
    SKIPPED = "skipped"
    TIMED_OUT = "timed-out"
    MISSING = "missing"

    @property
    def green(self) -> bool:
        """Whether the test stands for working code."""
        return self is Outcome.PASSED

    @property
    def red(self) -> bool:
        """Whether the test stands for broken code (skipped is neither)."""
        return self not in (Outcome.PASSED, Outcome.SKIPPED)


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame of a traceback that lies inside the repository."""

    path: PurePosixPath
    line: int
    function: str


@dataclass(frozen=True, slots=True)
class TestResult:
    """One test: id, outcome, duration and, when red, the exception's type, its text and frames (outermost first)."""

    __test__ = False

    id: str
    outcome: Outcome
    seconds: float = 0.0
    exception: str = ""
    text: str = ""
    frames: tuple[Frame, ...] = ()


@dataclass(frozen=True, slots=True)
class TestRun:
    """One run of tests: the command as shown to a person, its verdict, and what each test said.

    `complete` is False when the runner died or was stopped before it had said everything; then nothing can be
    proved by it. `output` is the tail of what was printed, cleaned of terminal escapes. `tampered` are parts of the
    runner that the repository's own code has replaced.
    """

    __test__ = False

    command: tuple[str, ...]
    ending: Ending
    exit_code: int | None
    seconds: float
    results: tuple[TestResult, ...]
    complete: bool
    output: str = ""
    tampered: tuple[str, ...] = ()

    def ids(self, *outcomes: Outcome) -> frozenset[str]:
        """The ids of the tests that had one of these outcomes."""
        return frozenset(result.id for result in self.results if result.outcome in outcomes)


LineCoverage: TypeAlias = Mapping[str, Mapping[PurePosixPath, frozenset[int]]]
"""Which lines of which repository files each test ran: test id → path → lines."""


# ── what is proved ───────────────────────────────────────────────────────────────────────────────────────────────


class Label(StrEnum):
    """How far a patch is proved."""

    VERIFIED = "verified"
    PARTLY_VERIFIED = "partly-verified"
    UNVERIFIED = "unverified"


class Stage(StrEnum):
    """The developer's decisions, in order, and the check."""

    UNDERSTAND = "understand"
    LOCALIZE = "localize"
    PATCH = "patch"
    VERIFY = "verify"


@dataclass(frozen=True, slots=True)
class Score:
    """How much a judge believes in a decision, in [0, 1], and who judged; `message` says why where there are words."""

    value: float
    by: str
    message: Message | None = None


class StopReason(StrEnum):
    """Why a run ended."""

    VERIFIED = "verified"
    EXHAUSTED = "exhausted"
    BUDGET = "budget"
    NOTHING_FOUND = "nothing-found"
    NO_EXECUTION = "no-execution"
    NO_REPRODUCTION = "no-reproduction"
    CANCELLED = "cancelled"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class EnvironmentRecord:
    """What ran the tests: enough to say whether two verdicts are comparable. `digest` covers all other fields.

    `packages` are the installed distributions as `name==version`; `platform` is the system, its release and machine.
    """

    interpreter: str
    python_version: str
    runner: str
    runner_version: str
    tests_collected: int
    digest: str
    packages: tuple[str, ...] = ()
    platform: str = ""


@dataclass(frozen=True, slots=True)
class Artifact:
    """A file kept beside a run's record: `path` in the run's folder, what it is `about`, its size and its digest.

    `source` is the repository's path whose content it holds, where it holds one.
    """

    path: PurePosixPath
    about: str
    bytes: int
    sha256: str
    source: PurePosixPath | None = None


@dataclass(frozen=True, slots=True)
class TreeState:
    """The state of a repository that a proof stands on: its commit, if any, and a digest over so many files.

    The artifact `tree` lists each file with its own digest.
    """

    commit: str | None
    digest: str
    files: int


@dataclass(frozen=True, slots=True)
class Check:
    """The same command on the base and on the patch: commands, exit codes and durations of both.

    Of many tests only the first are in `tests`; then `total` says how many there are, and the artifact `listed` names
    them all, one a line.
    """

    command: tuple[str, ...]
    tests: tuple[str, ...]
    exit_code_before: int | None
    exit_code_after: int | None
    seconds_before: float
    seconds_after: float
    red_before: tuple[str, ...]
    red_after: tuple[str, ...]
    total: int = 0
    listed: PurePosixPath | None = None

    @property
    def count(self) -> int:
        """How many tests it ran."""
        return max(self.total, len(self.tests))


@dataclass(frozen=True, slots=True)
class Agreement:
    """How the candidates that pass compare with each other on inputs near the failing one.

    `survivors` pass every check; they fall into `behaviours` groups; `share` of their prior weight is in the chosen
    candidate's group; `differences` say in words on which input two groups part.
    """

    survivors: int
    behaviours: int
    share: float
    inputs: int
    differences: tuple[Message, ...] = ()


@dataclass(frozen=True, slots=True)
class Receipt:
    """The proof beside a patch. `reasons` say why the label is what it is; `flags` what looks like cheating.

    `origin` says where the reproduction comes from; `already_red` were red on the base and stay out of the verdict, as
    do the `flaky` ones, which changed their mind. `tried` candidates ran, and `exhausted` says whether that was all.
    `digest` covers the patch and all other fields, `artifacts` with their own digests included.
    """

    label: Label
    reproduction: Check | None
    regression: Check | None
    environment: EnvironmentRecord | None
    sandbox: str
    limits: Limits
    flags: tuple[Message, ...]
    agreement: Agreement | None
    reasons: tuple[Message, ...]
    origin: str = ""
    already_red: tuple[str, ...] = ()
    flaky: tuple[str, ...] = ()
    tried: int = 0
    exhausted: bool = True
    tree: TreeState | None = None
    artifacts: tuple[Artifact, ...] = ()
    digest: str = ""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A proposed patch: who proposed it and why, and what it changes.

    `think` and `answer` are the proposer's own words (the model's, or the solver's account of its edit); `prior` is
    the proposer's weight for it before anything ran; `normalized` is equal for two candidates that mean the same
    code, whatever their formatting.
    """

    id: str
    proposer: str
    pattern: str
    think: str
    answer: str
    changes: Changes
    location: Location
    prior: float
    normalized: str


@dataclass(frozen=True, slots=True)
class Interpreter:
    """A Python that can run the repository's tests, found without running it.

    `readable` are the host folders that a sandbox must show read-only for it to work (its prefix, its base prefix,
    shared libraries outside /usr); `origin` says where it came from.
    """

    executable: Path
    prefix: Path
    readable: tuple[Path, ...]
    origin: str
