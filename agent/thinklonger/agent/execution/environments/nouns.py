"""The nouns of environments: what a repository needs, a Python of this machine, a recipe, and what was provided."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path, PurePosixPath
from typing import TypeAlias

from thinklonger.agent.types import FileState, Interpreter, Message

Version: TypeAlias = tuple[int, int]
"""A Python's major and minor version."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A requirement that tests seem to have: as pip takes it, and the file that says so."""

    text: str
    source: str


@dataclass(frozen=True, slots=True)
class Needs:
    """What a repository says about itself, read without running anything of it.

    `pythons`: the versions that it says it is tested on. `installable`: whether it can be installed. `dependencies`:
    what it needs to run, as far as that can be read. `extras`: those of its own that look like tests. `imports`: the
    top-level modules that its tests and code import without a guard, and that are not its own. `commands`: how its
    own configuration runs the tests. `keyed`: the files that were read.
    """

    name: str = ""
    version: str = ""
    requires_python: str = ""
    pythons: tuple[Version, ...] = ()
    installable: bool = False
    dependencies: tuple[str, ...] = ()
    extras: tuple[str, ...] = ()
    wanted: tuple[Wanted, ...] = ()
    imports: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()
    python2: bool = False
    problems: tuple[Message, ...] = ()
    keyed: tuple[PurePosixPath, ...] = ()


@dataclass(frozen=True, slots=True)
class Python:
    """A Python installation of this machine."""

    executable: Path
    version: Version


class Origin(StrEnum):
    """Where an environment comes from, in the order in which they are tried."""

    GIVEN = "given"
    AT_HAND = "at-hand"
    BUILT = "built"
    CURRENT = "current"


@dataclass(frozen=True, slots=True)
class Dropped:
    """A requirement that was loosened or left out so that the others can be installed, and the reason in one line."""

    requirement: str
    reason: str


@dataclass(frozen=True, slots=True)
class Step:
    """One command of a build: as a person would type it, and how it went."""

    command: tuple[str, ...]
    exit_code: int | None
    seconds: float


@dataclass(frozen=True, slots=True)
class Recipe:
    """How an environment was built: enough to read and to replay it.

    `moment`: the date at which it was resolved, as ISO 8601. `installed`: what it holds, each `name==version`.
    `generated`: files that only exist once the project is built, laid over the tree in every run.
    """

    format: int
    root: str
    python: str
    python_version: str
    moment: str
    index: str
    requirements: tuple[str, ...]
    extras: tuple[str, ...]
    dropped: tuple[Dropped, ...]
    installed: tuple[str, ...]
    generated: tuple[str, ...]
    project: bool
    steps: tuple[Step, ...]
    seconds: float
    bytes: int

    def commands(self, folder: str = ".venv") -> tuple[tuple[str, ...], ...]:
        """The commands that make the same environment again, in `folder`."""
        own = (*("uv", "pip", "install", "--python", folder, "--index-url", self.index), "--no-deps")
        project = ((*own, "--editable", "."),) if self.project else ()
        return (("uv", "venv", "--python", self.python, folder), (*own, *self.installed), *project)


@dataclass(frozen=True, slots=True)
class Environment:
    """A Python with packages, and where it comes from; `generated` lies below every layer of a run in it."""

    interpreter: Interpreter
    origin: Origin
    reason: Message
    recipe: Recipe | None = None
    generated: Mapping[PurePosixPath, FileState | None] = field(default_factory=dict[PurePosixPath, FileState | None])


@dataclass(frozen=True, slots=True)
class Permission:
    """What the user allows and bounds: see the settings `environments.*`.

    `moment`: when the base commit was made; `version`: its version by the history, where a project keeps it only there.
    """

    cache: Path
    interpreter: str = ""
    build: bool = False
    index: str = "https://pypi.org/simple"
    seconds: float = 600.0
    megabytes: int = 4096
    moment: datetime | None = None
    version: str = ""
