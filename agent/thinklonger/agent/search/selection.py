"""The rules of a search as pure functions: who goes on, who gets how many samples, who is best, what is enough."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from thinklonger.agent.protocols import Branch
from thinklonger.agent.search.nouns import Entrant, Trial
from thinklonger.agent.search.plans import Criterion
from thinklonger.agent.search.steering import Standing
from thinklonger.agent.types import Message, Score

SCORE_STEPS = 20
"""Scores of patches that fall on the same of so many steps are equal: a judge tells no finer, and agreement does."""
QUORUM = 2
"""Rollouts that must agree where no single one is convincing (of 8 rollouts that end in at most two distinct patches
95 % are right, arXiv 2608.15579)."""


@dataclass(frozen=True, slots=True)
class Choice:
    """Who goes on, best first, and who does not, with the reason."""

    kept: tuple[Branch, ...] = ()
    pruned: tuple[tuple[Branch, Message], ...] = field(default=())


def choose(
    branches: Sequence[Branch],
    *,
    keep: int,
    scores: Mapping[str, Score],
    standing: Callable[[Branch], Standing],
    promoted: frozenset[str] = frozenset(),
) -> Choice:
    """Of the branches of one stage below one parent, the best `keep` that differ, and all promoted ones.

    By score, and where scores are equal, or there are none, in the order given. Where one is pinned only pinned ones
    go on; excluded ones never do.
    """
    first: dict[str, Branch] = {}
    for branch in branches:
        first.setdefault(branch.decided, branch)
    standings = {branch.id: standing(branch) for branch in first.values()}
    pinned = any(value is Standing.PINNED for value in standings.values())
    order = sorted(first.values(), key=lambda branch: -_value(scores.get(branch.id)))
    kept: list[Branch] = []
    pruned: list[tuple[Branch, Message]] = []
    places = keep
    for branch in (*order, *(branch for branch in branches if first[branch.decided] is not branch)):
        if branch.id in promoted:
            kept.append(branch)
        elif branch.id not in standings:
            pruned.append((branch, Message("search.same", {"branch": first[branch.decided].id})))
        elif standings[branch.id] is Standing.EXCLUDED:
            pruned.append((branch, Message("search.excluded")))
        elif pinned and standings[branch.id] is not Standing.PINNED:
            pruned.append((branch, Message("search.not-pinned")))
        elif places > 0:
            kept.append(branch)
            places -= 1
        else:
            pruned.append((branch, _outscored(branch, kept, scores)))
    return Choice(tuple(kept), tuple(pruned))


def distinct(branches: Sequence[Branch]) -> int:
    """How many different decisions these are."""
    return len({branch.decided for branch in branches})


def allot(total: int, used: Sequence[int]) -> tuple[int, ...]:
    """Share `total` more samples out, so that all have as even a number as can be; what is odd goes to the first.

    `used`: how many each has had, best first. The shares sum up to `total` if there is anybody to share with.
    """
    shares = [0] * len(used)
    for _ in range(total if used else 0):
        poorest = min(range(len(used)), key=lambda index: (used[index] + shares[index], index))
        shares[poorest] += 1
    return tuple(shares)


def ranked(entrants: Sequence[Entrant], criteria: Sequence[Criterion]) -> tuple[Entrant, ...]:
    """The entrants, best first: a total order, whatever the order given, as long as ids differ.

    One that passed is before one that could not be run, that before one not run yet, that before one that failed;
    then by the criteria; then by the order in which they came.
    """
    return tuple(sorted(entrants, key=lambda entrant: _key(entrant, criteria)))


@dataclass(frozen=True, slots=True)
class Tally:
    """How rollouts stand: `entrants` with votes; those `pending` have no patch yet, those `mending` a failed one."""

    entrants: tuple[Entrant, ...]
    pending: int = 0
    mending: int = 0

    @property
    def total(self) -> int:
        """All rollouts that have a patch or may still get one."""
        return self.pending + self.mending + sum(entrant.votes for entrant in self.entrants)


def settled(tally: Tally) -> Entrant | None:
    """The patch that most rollouts agree on, whatever the others will say, if it passes and nothing is flagged.

    One rollout alone is enough if its trial is convincing. Where nothing can be run, agreement has to do.
    """
    for entrant in tally.entrants:
        if entrant.trial is not None and _hopeful(entrant) and _carries(entrant.trial, entrant.votes, tally.total):
            return entrant
    return None


def reachable(tally: Tally) -> bool:
    """Whether what is under way can still settle it: if not, more rollouts are needed, and nobody waits for these.

    Nothing is hoped from mending: a failure is a reason to widen, and both go on at once.
    """
    if 2 * tally.pending > tally.total:
        return True
    return any(
        _carries(entrant.trial, entrant.votes + tally.pending, tally.total)
        for entrant in tally.entrants
        if _hopeful(entrant) and (tally.pending or entrant.trial is None)
    )


def _hopeful(entrant: Entrant) -> bool:
    return entrant.trial is None or (entrant.trial.passed is not False and not entrant.trial.flags)


def _carries(trial: Trial | None, votes: int, total: int) -> bool:
    alone = trial is None or trial.convincing
    return 2 * votes > total and votes >= (1 if alone else QUORUM)


def _value(score: Score | None) -> float:
    return score.value if score is not None else 0.0


def _outscored(branch: Branch, kept: Sequence[Branch], scores: Mapping[str, Score]) -> Message:
    mine = scores.get(branch.id)
    theirs = [scores[other.id].value for other in kept if other.id in scores]
    if mine is None or not theirs:
        return Message("search.enough-others")
    return Message("search.outscored", {"score": f"{mine.value:.2f}", "least": f"{min(theirs):.2f}", "by": mine.by})


def _key(entrant: Entrant, criteria: Sequence[Criterion]) -> tuple[object, ...]:
    trial = entrant.trial
    known = trial or Trial(None)
    passed = {True: 0, None: 1 if trial else 2, False: 3}[known.passed]
    by_criterion: dict[Criterion, object] = {
        Criterion.FACTS: tuple(-fact for fact in known.facts),
        Criterion.FLAGS: known.flags,
        Criterion.OUTCOME: -round(_value(entrant.score) * SCORE_STEPS),
        Criterion.AGREEMENT: -entrant.votes,
        Criterion.SIZE: known.size,
    }
    return (passed, *(by_criterion[criterion] for criterion in criteria), numbering(entrant.branch.id))


def numbering(branch: str) -> tuple[tuple[str, int], ...]:
    """A branch's id as something to sort by: `u2` before `u10`."""
    parts = branch.split(".")
    return tuple((part.rstrip("0123456789"), int("0" + part[len(part.rstrip("0123456789")) :])) for part in parts)
