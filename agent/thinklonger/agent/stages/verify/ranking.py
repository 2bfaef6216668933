"""Which candidate is best and how far it is proved: execution facts, flags, agreement, smaller diff, in this order."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from thinklonger.agent.execution.behaviour import Comparison
from thinklonger.agent.types import Agreement, Label, Message


@dataclass(frozen=True, slots=True)
class CandidateFacts:
    """What execution and the proposer say about one candidate.

    `prior` is the proposer's weight; `normalized` its code with formatting removed; `size` how many lines the diff
    adds and removes. `reproduced`: red on the base and green now. `regression_held`: no test got worse, None where
    none could be run. `flags` say what looks like cheating.
    """

    id: str
    prior: float
    normalized: str
    size: int
    pattern: str = ""
    reproduced: bool = True
    regression_held: bool | None = True
    flags: tuple[Message, ...] = ()


@dataclass(frozen=True, slots=True)
class Evidence:
    """What bears on all candidates: how many were tried, how many tests saw them, how survivors compare.

    `tried` counts candidates that ran against the reproduction (survivors included); `exhausted` is False where the
    search stopped before it had tried all that it had. `tests` are the distinct tests, red and green, that
    exercise the edited code.
    """

    tried: int
    tests: int
    exhausted: bool = True
    comparison: Comparison | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """The ranking, best first, each with its label; why the best has its label; how the survivors compare."""

    order: tuple[str, ...] = ()
    labels: Mapping[str, Label] = field(default_factory=dict[str, Label])
    label: Label = Label.UNVERIFIED
    reasons: tuple[Message, ...] = ()
    agreement: Agreement | None = None


def rank(facts: Sequence[CandidateFacts], evidence: Evidence) -> Verdict:
    """Order the candidates and say how far the best one is proved."""
    raise NotImplementedError
