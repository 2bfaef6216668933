"""How a search spends its rollouts: the strategies as data for one driver."""

from dataclasses import dataclass
from enum import StrEnum

from thinklonger.agent.config import Strategy

MOST_ROLLOUTS = 8
"""Rollouts where the user leaves the budget to us; gains beyond are small (arXiv 2503.23803)."""
DEBUG_ROUNDS = 2


class Criterion(StrEnum):
    """What patches are ranked by, after whether they passed and before the order in which they came."""

    FACTS = "facts"
    FLAGS = "flags"
    OUTCOME = "outcome"
    AGREEMENT = "agreement"
    SIZE = "size"


HYBRID = (Criterion.FACTS, Criterion.FLAGS, Criterion.OUTCOME, Criterion.AGREEMENT, Criterion.SIZE)
"""Execution and a judge together reach further than each alone (R2E-Gym: 42-43 % each, 51 % together)."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How to spend rollouts.

    `waves`: how many rollouts there have been in all at each wave's end. `samples`: how many branches understand and
    localize each propose at most, of which the best `keep` go on; never more than the wave's rollouts. `prune`: a
    judge chooses those that go on; without, all that differ do. `criteria`: how patches are ranked. `early`: stop when
    candidates agree and pass. `allowance`: what `spent` may reach before no more is asked for (tokens, or seconds).
    `workers`: patches verified at once. `debug_rounds`: how often feedback goes back for one rollout.
    """

    strategy: Strategy
    waves: tuple[int, ...]
    samples: int
    keep: int
    prune: bool
    criteria: tuple[Criterion, ...]
    early: bool = False
    allowance: float | None = None
    workers: int = 4
    debug_rounds: int = DEBUG_ROUNDS

    @property
    def budget(self) -> int:
        """The rollouts that it may take in all."""
        return self.waves[-1]


def plan_for(  # noqa: PLR0913 (each is a setting of its own)
    strategy: Strategy,
    *,
    budget: int | None = None,
    samples: int = 4,
    keep: int = 2,
    allowance: float | None = None,
    workers: int = 0,
) -> Plan:
    """The plan of a strategy for so many rollouts (None: ours to choose). `workers`: 0 means half the rollouts."""
    rollouts = max(1, MOST_ROLLOUTS if budget is None else budget)
    judged = strategy in (Strategy.DEV_SEARCH, Strategy.ADAPTIVE)
    return Plan(
        strategy=strategy,
        waves=doubling(rollouts) if strategy is Strategy.ADAPTIVE else (rollouts,),
        samples=max(1, samples) if judged else rollouts,
        keep=max(1, keep) if judged else rollouts,
        prune=judged,
        criteria=CRITERIA[strategy],
        early=strategy is Strategy.ADAPTIVE,
        allowance=allowance,
        workers=workers or max(1, (rollouts + 1) // 2),
    )


def doubling(rollouts: int) -> tuple[int, ...]:
    """Waves of 1, 2, 4, … rollouts in all, the last exactly so many."""
    waves = [1]
    while waves[-1] < rollouts:
        waves.append(min(2 * waves[-1], rollouts))
    return tuple(waves)


CRITERIA = {
    Strategy.DEV_SEARCH: HYBRID,
    Strategy.ADAPTIVE: HYBRID,
    Strategy.ORM_EXEC: (Criterion.FACTS, Criterion.FLAGS, Criterion.OUTCOME, Criterion.SIZE),
    Strategy.EXEC: (Criterion.FACTS, Criterion.FLAGS, Criterion.SIZE),
    Strategy.VOTING: (Criterion.FLAGS, Criterion.AGREEMENT, Criterion.SIZE),
}
