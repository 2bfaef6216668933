"""What a search has done so far: samples drawn, branches found, patches and the rollouts that ended in them."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from thinklonger.agent.protocols import Branch
from thinklonger.agent.search.nouns import Entrant, Trial
from thinklonger.agent.search.selection import Tally, numbering
from thinklonger.agent.types import Score, Stage

ROOT = ""


@dataclass(slots=True)
class Entry:
    """One distinct patch: who proposed it, who else (in vain), its trial, and what feedback has made of it."""

    branch: Branch
    twins: list[Branch] = field(default_factory=list[Branch])
    trial: Trial | None = None
    mending: bool = False
    becomes: str = ""


@dataclass(slots=True)
class Ledger:
    """The state of one search. `asked`: rollouts of the budget; `granted`: rollouts that the user gave on top."""

    drawn: Counter[str] = field(default_factory=Counter[str])
    below: dict[str, list[Branch]] = field(default_factory=dict[str, list[Branch]])
    known: dict[str, Branch] = field(default_factory=dict[str, Branch])
    scores: dict[str, Score] = field(default_factory=dict[str, Score])
    kept: set[str] = field(default_factory=set[str])
    pruned: set[str] = field(default_factory=set[str])
    dead: set[str] = field(default_factory=set[str])
    entries: dict[str, Entry] = field(default_factory=dict[str, Entry])
    rollouts: list[str] = field(default_factory=list[str])
    asked: int = 0
    granted: int = 0
    generating: int = 0

    def find(self, branch: Branch) -> None:
        """Take down a branch that a step has come up with."""
        self.known[branch.id] = branch
        siblings = self.below.setdefault(branch.parent, [])
        siblings.append(branch)
        siblings.sort(key=lambda sibling: numbering(sibling.id))

    def living(self, parent: str) -> list[Branch]:
        """The branches below a parent that nothing went wrong with, by their numbers."""
        return [branch for branch in self.below.get(parent, []) if branch.id not in self.dead]

    def patches_below(self, head: Branch) -> int:
        """The patch samples drawn below a branch."""
        if head.stage is Stage.LOCALIZE:
            return self.drawn[head.id]
        return sum(self.drawn[branch.id] for branch in self.below.get(head.id, []))

    def enter(self, branch: Branch) -> Entry | None:
        """Take down a patch: its new entry, or None where an identical one has been entered before."""
        if branch.decided in self.entries:
            self.entries[branch.decided].twins.append(branch)
            return None
        entry = self.entries[branch.decided] = Entry(branch)
        return entry

    def final(self, decided: str) -> str:
        """What feedback has made of a patch in the end."""
        seen = {decided}
        while (following := self.entries[decided].becomes) and following not in seen:
            seen.add(following)
            decided = following
        return decided

    def tally(self) -> Tally:
        """How the rollouts stand now."""
        finals = [self.final(decided) for decided in self.rollouts]
        mending = sum(self.entries[decided].mending for decided in finals)
        votes = Counter(decided for decided in finals if not self.entries[decided].mending)
        entrants = self.entrants(decided for decided in votes)
        return Tally(entrants, self.generating, mending)

    def entrants(self, decided: Iterable[str] | None = None) -> tuple[Entrant, ...]:
        """The distinct patches, or some of them, with the rollouts that ended in each."""
        votes = Counter(self.final(start) for start in self.rollouts)
        return tuple(
            Entrant(
                branch=(entry := self.entries[name]).branch,
                votes=votes[name],
                of=len(self.rollouts),
                trial=entry.trial,
                score=self.scores.get(entry.branch.id),
            )
            for name in (self.entries if decided is None else decided)
        )

    def unpruned(self, branches: Sequence[Branch]) -> list[Branch]:
        """Those of which nothing has been said yet, neither that they go on nor that they don't."""
        return [branch for branch in branches if branch.id not in self.kept and branch.id not in self.pruned]
