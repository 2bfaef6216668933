"""The ports: narrow protocols between the agent and what it stands on. Each has a real adapter and a public fake."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Protocol

from thinklonger.agent.chat import ChatMessage, ChatRequest, Delta, ModelFacts, Reply, Retried
from thinklonger.agent.types import (
    Candidate,
    Command,
    CommandResult,
    FileState,
    Issue,
    Layer,
    LineCoverage,
    Localization,
    Location,
    Message,
    Reference,
    Score,
    Stage,
    Symbol,
    TestRun,
)

# ── repository ───────────────────────────────────────────────────────────────────────────────────────────────────


class SourceTree(Protocol):
    """Files of one state of a repository."""

    @property
    def root(self) -> Path:
        """The folder that the tree's paths are relative to."""
        ...

    def read(self, path: PurePosixPath) -> FileState | None:
        """The file's bytes, or None where there is no such file; raises RepositoryError for a path outside."""
        ...


class RepositoryView(SourceTree, Protocol):
    """A repository's state with its code understood. Paths are of indexed source files unless said otherwise."""

    commit: str | None

    def paths(self) -> Sequence[PurePosixPath]:
        """All indexed source files, sorted."""
        ...

    def is_test(self, path: PurePosixPath) -> bool:
        """Whether the file is test code, by where it lies and what it is called."""
        ...

    def symbols(self, path: PurePosixPath) -> Sequence[Symbol]:
        """The file's symbols in source order, nested ones after the one around them; without the module itself."""
        ...

    def find(self, name: str) -> Sequence[Symbol]:
        """Symbols of that name: bare (`method`), qualified (`Class.method`) or dotted from a module (`pkg.mod.f`)."""
        ...

    def imports(self, path: PurePosixPath) -> Sequence[PurePosixPath]:
        """The repository's files that this one imports."""
        ...

    def importers(self, path: PurePosixPath) -> Sequence[PurePosixPath]:
        """The repository's files that import this one."""
        ...

    def references(self, name: str) -> Sequence[Reference]:
        """Where the bare name is used (not defined), across all files; parsed on demand."""
        ...

    def skeleton(self, path: PurePosixPath) -> str:
        """The file with the bodies of functions elided."""
        ...

    def source(self, symbol: Symbol) -> str:
        """The symbol's source, decorators included."""
        ...


# ── sandbox ──────────────────────────────────────────────────────────────────────────────────────────────────────


class SandboxLayer(Protocol):
    """One throw-away copy of the tree: commands run in it see each other's files; nothing outlives it."""

    root: PurePosixPath
    """Where this layer's tree lies inside (absolute): the session's root, but with no isolation a folder of its own."""

    async def run(self, command: Command, *, on_output: Callable[[bytes], None] | None = None) -> CommandResult:
        """Run one command to its end; `on_output` sees stdout and stderr as they come.

        A command that fails, is killed or runs into a limit is a result, not an error. Raises SandboxError only
        when the sandbox itself breaks. Cancelling the task kills everything that the command started.
        """
        ...


class SandboxSession(Protocol):
    """A frozen private copy of the tree; any number of layers over it, also at once."""

    root: PurePosixPath
    """Where the tree lies inside (absolute; the repository's own path, so that editable installs work)."""

    def layer(self, files: Layer | None = None) -> AbstractAsyncContextManager[SandboxLayer]:
        """A fresh layer with `files` laid over the tree."""
        ...

    async def warm(self, command: Command, *, on_output: Callable[[bytes], None] | None = None) -> CommandResult:
        """Run a command on the tree as it is, and keep the bytecode that it writes for all layers opened later.

        The natural first run (a baseline): what it imports is compiled once, not again in each layer. Only valid
        `.pyc` files of frozen sources are kept, nothing else that the command wrote.
        """
        ...


class Sandbox(Protocol):
    """Where code that nobody trusts runs."""

    name: str

    async def probe(self) -> None:
        """Prove that it works here by running something in it; raises SandboxError with the remedy."""
        ...

    def open(
        self, root: Path, files: Collection[PurePosixPath], *, readable: Sequence[Path]
    ) -> AbstractAsyncContextManager[SandboxSession]:
        """Freeze `files` (relative to `root`) until the context ends; `readable` host folders are shown read-only."""
        ...


# ── proposing ────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Task:
    """All that a proposer may look at: the issue, the code, and what execution has shown so far."""

    issue: Issue
    repository: RepositoryView
    reproduction: TestRun | None = None
    coverage: LineCoverage = field(default_factory=dict[str, Mapping[PurePosixPath, frozenset[int]]])
    localization: Localization | None = None


class Proposer(Protocol):
    """Who proposes patches: a model, or the built-in solver."""

    @property
    def name(self) -> str:
        """What candidates carry as their proposer."""
        ...

    def patches(self, task: Task) -> AsyncIterator[Candidate]:
        """Candidates, most promising first; stops when it has no more to offer."""
        ...


# ── the model ────────────────────────────────────────────────────────────────────────────────────────────────────


class ChatModel(Protocol):
    """A served model. All its methods raise ModelError, with the trouble that no retry has mended."""

    @property
    def name(self) -> str:
        """The model's name at its server."""
        ...

    async def facts(self) -> ModelFacts:
        """What the server can do, probed once."""
        ...

    async def count(self, messages: Sequence[ChatMessage]) -> int:
        """The tokens of a prompt, by the served tokenizer where it can be asked, else never too few."""
        ...

    def reply(
        self, request: ChatRequest, *, answer_now: asyncio.Event | None = None
    ) -> AsyncGenerator[Delta | Retried | Reply]:
        """Stream the replies to a request: text as it comes, each reply whole at its end.

        Setting `answer_now` closes the thinking of all replies and gets their answers from what is there. Closing
        the generator closes the connection, so that the server stops working for it.
        """
        ...

    async def affirm(self, prompts: Sequence[Sequence[ChatMessage]], *, model: str = "") -> Sequence[float]:
        """For each prompt the probability, in [0, 1], that the reply's first word is yes rather than no.

        All are asked at once. `model` names an adapter on the same server.
        """
        ...

    async def close(self) -> None:
        """Close all connections."""
        ...


# ── the search over decisions ────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Branch:
    """One decision of a search: what was decided at a stage, from which decision before, by which reply.

    `decided` says it in a form that is equal for two branches that mean the same. `thread` is the conversation that
    led here, answers only, which later stages go on with; `answer` its last turn. Of `files`, `locations` and
    `candidate` those are set that the stage decides, and what its parents had decided.
    """

    id: str
    stage: Stage
    parent: str
    decided: str
    thread: tuple[ChatMessage, ...] = ()
    answer: str = ""
    reply: str = ""
    files: tuple[PurePosixPath, ...] = ()
    locations: tuple[Location, ...] = ()
    candidate: Candidate | None = None


@dataclass(frozen=True, slots=True)
class Asking:
    """How a stage asks a model: which, for how many replies, how long each may be, and how to end their thinking.

    `first` numbers the stage's branches below one parent: a later wave goes on where an earlier one ended. A branch's
    id is its parent's, a dot, the stage's first letter and its number (`u1`, `u1.l2`, `u1.l2.p3`; a debug round's
    `u1.l2.p3.d1`); a reply's id is its branch's, a slash and the number of the turn (`u1.l2/1`).
    """

    model: ChatModel
    samples: int = 4
    first: int = 1
    thinking_tokens: int = 16384
    answer_tokens: int = 4096
    seed: int = 0
    answer_now: asyncio.Event | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """A stage has sent a prompt: the replies' ids, one for each that was asked for, and what they are for."""

    replies: tuple[str, ...]
    stage: Stage
    purpose: str
    parent: str
    request: ChatRequest


@dataclass(frozen=True, slots=True)
class Heard:
    """Something came back for a reply: a piece of text, a retry, or the whole."""

    reply: str
    what: Delta | Retried | Reply


@dataclass(frozen=True, slots=True)
class Rejected:
    """A reply led to no branch: why, in words (it named files that do not exist, its edit fits nowhere, …)."""

    reply: str
    why: Message


class Reward(Protocol):
    """Who judges the decisions of one stage, or whole patches: a trained adapter, a prompted judge, or evidence."""

    @property
    def name(self) -> str:
        """What scores carry as their judge."""
        ...

    async def score(self, task: Task, branches: Sequence[Branch]) -> Sequence[Score]:
        """One score for each branch, all of one stage; comparable across judges. Raises ModelError."""
        ...
