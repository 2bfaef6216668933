"""What a search over decisions is told, what it asks for, and what it tells: all frozen.

A *rollout* is one patch sample carried to its verdict, debugging included. Scores lie in [0, 1].
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Generic, TypeAlias, TypeVar

from thinklonger.agent.errors import ModelError
from thinklonger.agent.protocols import Branch
from thinklonger.agent.types import Message, Score, Stage

Note = TypeVar("Note")


@dataclass(frozen=True, slots=True)
class Draw:
    """Which samples a stage is to draw below one parent: `count` of them, numbered from `first` (1 is the first ever).

    `wave` counts the search's waves from 1: a stage may think longer in later ones.
    """

    first: int
    count: int
    wave: int = 1


@dataclass(frozen=True, slots=True)
class Noted(Generic[Note]):
    """Something that a step wants in the record; the search passes it on as it is, in its order."""

    note: Note


@dataclass(frozen=True, slots=True)
class Trial:
    """What running a patch has shown.

    `passed`: no check failed; None where nothing could be run. `facts`: what execution says beyond that, the more
    important first, more is better. `flags`: how many things look like cheating. `size`: lines that the patch adds and
    removes. `convincing`: the evidence needs no second opinion. `mendable`: feedback may lead to a better patch.
    """

    passed: bool | None
    facts: tuple[int, ...] = ()
    flags: int = 0
    size: int = 0
    convincing: bool = False
    mendable: bool = False


@dataclass(frozen=True, slots=True)
class Entrant:
    """One distinct patch of a search: the branch that proposed it first, and what is known of it.

    `votes` are the rollouts that ended in it, `of` all that ended in some patch. `score` is the outcome judge's.
    """

    branch: Branch
    votes: int = 1
    of: int = 1
    trial: Trial | None = None
    score: Score | None = None

    @property
    def agreement(self) -> float:
        """The share of rollouts that ended in this patch."""
        return self.votes / self.of if self.of else 0.0


@dataclass(frozen=True, slots=True)
class WaveBegan:
    """A wave begins: its number from 1, and how many rollouts there will have been at its end."""

    wave: int
    rollouts: int


@dataclass(frozen=True, slots=True)
class Proposed:
    """A step has come up with a branch."""

    branch: Branch


@dataclass(frozen=True, slots=True)
class Scored:
    """A judge has scored a branch."""

    branch: Branch
    score: Score


@dataclass(frozen=True, slots=True)
class Kept:
    """A branch goes on. `promoted`: because the user says so."""

    branch: Branch
    promoted: bool = False


@dataclass(frozen=True, slots=True)
class Pruned:
    """A branch does not go on, and why."""

    branch: Branch
    by: Message


@dataclass(frozen=True, slots=True)
class Verified:
    """A patch has been run. `like`: the id of an identical patch that was run for both; empty for one run itself."""

    branch: Branch
    trial: Trial
    like: str = ""


@dataclass(frozen=True, slots=True)
class Failed:
    """A stage went wrong below this branch ("" for the root), and why; the search goes on without what it lacks."""

    branch: str
    stage: Stage
    why: Message


class Halt(StrEnum):
    """Why a search stopped.

    Candidates agree and pass; the rollouts, or the allowance, are used up; there is nothing to go on with; the
    model's server can't be used any more; or whoever steers it has said so.
    """

    SETTLED = "settled"
    ROLLOUTS = "rollouts"
    ALLOWANCE = "allowance"
    EXHAUSTED = "exhausted"
    TROUBLE = "trouble"
    STEERED = "steered"


@dataclass(frozen=True, slots=True)
class Stopped:
    """The last thing that a search tells: why it stopped, its patches best first, and the rollouts that it took.

    `error` is the server's, where that ended it; what had been proposed by then is verified and ranked all the same.
    """

    halt: Halt
    ranking: tuple[Entrant, ...] = field(default=())
    rollouts: int = 0
    error: ModelError | None = None


Happening: TypeAlias = WaveBegan | Proposed | Scored | Kept | Pruned | Verified | Failed | Stopped
