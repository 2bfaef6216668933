"""Evidence as a judge, with no model: agreement between branches, the retrieval's ranking, what execution has shown."""

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from thinklonger.agent.protocols import Branch, Task
from thinklonger.agent.reward.calibration import IDENTITY, Calibration
from thinklonger.agent.types import Localization, Message, Score

UNKNOWN = 0.5
"""What is believed of a decision that nothing speaks for or against."""


@dataclass(frozen=True, slots=True)
class Weights:
    """How much each kind of evidence counts where it is there; only their proportions matter.

    Chosen, not measured: agreement and the retrieval know about equally much of a place, execution more of a patch.
    """

    agreement: float = 1.0
    retrieval: float = 1.0
    execution: float = 2.0


def _unseen(_branch: Branch) -> float | None:
    return None


@dataclass(frozen=True, slots=True)
class Evidence:
    """The mean of what speaks for a branch, each in [0, 1].

    `execution` says what running a branch's patch has shown, from 0 (all red) to 1 (all green), or None.
    """

    execution: Callable[[Branch], float | None] = _unseen
    weights: Weights = Weights()
    calibration: Calibration = IDENTITY

    @property
    def name(self) -> str:
        """What scores carry as their judge."""
        return "evidence"

    async def score(self, task: Task, branches: Sequence[Branch]) -> Sequence[Score]:
        """One score for each branch; asks nobody and never fails."""
        votes = Counter(branch.decided for branch in branches)
        return [self._score(task, branch, votes) for branch in branches]

    def _score(self, task: Task, branch: Branch, votes: Counter[str]) -> Score:
        same, of = votes[branch.decided], votes.total()
        retrieved = retrieval(task.localization, branch)
        parts = (
            (self.weights.agreement, agreement(same, of)),
            (self.weights.retrieval, retrieved),
            (self.weights.execution, self.execution(branch)),
        )
        known = [(weight, value) for weight, value in parts if value is not None]
        scale = sum(weight for weight, _ in known)
        value = sum(weight * value for weight, value in known) / scale if scale else UNKNOWN
        message = Message("reward.agreement", {"same": same, "all": of})
        if retrieved is not None:
            share = round(100 * retrieved)
            message = Message("reward.evidence", {"same": same, "all": of, "retrieval": share})
        return Score(self.calibration(value), self.name, message)


def agreement(same: int, of: int) -> float | None:
    """How far others decide the same: 0 where nobody else does, 1 where all do; None where there is nobody else."""
    return (same - 1) / (of - 1) if of > 1 else None


def retrieval(localization: Localization | None, branch: Branch) -> float | None:
    """How high the retrieval ranks what a branch decided: 1 for its very first ones, 0 for none that it knows.

    The discounted gain of the ranks, over the best that so many could have (nDCG); None where nothing was retrieved.
    """
    if localization is None or not localization.files:
        return None
    ranks = _ranks(localization, branch)
    if not ranks:
        return None
    best = sum(_gain(rank) for rank in range(1, len(ranks) + 1))
    return sum(_gain(rank) for rank in ranks if rank is not None) / best


def _ranks(localization: Localization, branch: Branch) -> list[int | None]:
    """The ranks of what a branch decided last, each once: patched files, places, or files."""
    files = {file.path: rank for rank, file in reversed(list(enumerate(localization.files, 1)))}
    if branch.candidate is not None:
        patched = dict.fromkeys(change.path for change in branch.candidate.changes)
        return [files.get(path) for path in patched]
    if branch.locations and localization.locations:
        ranked = [(place.path, place.symbol) for place in localization.locations]
        return [_place_rank(ranked, place.path, place.symbol) for place in _distinct(branch)]
    paths = branch.files or tuple(dict.fromkeys(place.path for place in branch.locations))
    return [files.get(path) for path in dict.fromkeys(paths)]


@dataclass(frozen=True, slots=True)
class _Spot:
    path: PurePosixPath
    symbol: str


def _distinct(branch: Branch) -> list[_Spot]:
    return list(dict.fromkeys(_Spot(place.path, place.symbol) for place in branch.locations))


def _place_rank(ranked: Sequence[tuple[PurePosixPath, str]], path: PurePosixPath, symbol: str) -> int | None:
    for rank, (other, name) in enumerate(ranked, 1):
        if other == path and (name == symbol or name.startswith(f"{symbol}.") or symbol.startswith(f"{name}.")):
            return rank
    return None


def _gain(rank: int) -> float:
    return 1 / math.log2(1 + rank)
