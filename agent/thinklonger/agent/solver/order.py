"""Best first: edits of many places and patterns in the order of their weight, made only as they are asked for."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from heapq import heapify, heappop, heappush
from operator import itemgetter

from thinklonger.agent.solver.module import Module
from thinklonger.agent.solver.pattern import Pattern
from thinklonger.agent.solver.place import Edit, Place
from thinklonger.agent.solver.suspicion import Suspicion
from thinklonger.agent.solver.weigh import boost, plausibility

_CROWDING = 0.02
"""How much each further edit of one pattern at one place gives way to other patterns and places."""

_FATIGUE = 0.04
"""How much each edit of a pattern that was given out already, wherever it is, makes the pattern's next one wait."""


@dataclass(frozen=True, slots=True)
class Ranked:
    """An edit with its pattern and its weight in (0, 1]."""

    edit: Edit
    pattern: Pattern
    weight: float


def ranked(modules: Iterable[tuple[Module, Suspicion]], patterns: tuple[Pattern, ...]) -> Iterator[Ranked]:
    """All edits of modules that share one failure's clues, heaviest first; equal ones in the catalogue's order.

    Each pattern goes through the places from the most suspicious one on, and makes their edits when the next place
    could offer more than what it has. So the first edits come at once, whatever the size of the file. A pattern
    tires: with each of its edits that was turned down, it is less likely that the mistake is of its kind, and one
    pattern with many edits of many lines does not hide the one edit of another.
    """
    spots = [(suspicion.of(place), place) for module, suspicion in modules for place in module.places]
    spots.sort(key=lambda spot: -spot[0])
    rows = [_Row(pattern, spots) for pattern in patterns]
    queue = [(-row.most, number) for number, row in enumerate(rows)]
    heapify(queue)
    while queue:
        most, number = heappop(queue)
        row = rows[number]
        while row.waits and -row.most == most:
            row.look()
        if row.found and not row.waits and -row.most == most:
            yield row.take()
        if row.waits or row.found:
            heappush(queue, (-row.most, number))


class _Row:
    """One pattern on its way through the places."""

    def __init__(self, pattern: Pattern, spots: list[tuple[float, Place]]) -> None:
        """Begin at the first of the places, which come most suspicious first."""
        self.pattern = pattern
        self.spots = spots
        self.at = 0
        self.given = 0
        self.count = 0
        self.found: list[tuple[float, int, Edit]] = []
        self.share = pattern.prior * boost(pattern, spots[0][1].module.clues) if spots else 0.0
        self._step()

    def _step(self) -> None:
        """See what is left: the most that the next place can give, and that the pattern can give, tired as it is.

        `waits`: whether the next place could give something better than what is there.
        """
        best = -self.found[0][0] if self.found else 0.0
        offer = 0.0
        if self.at < len(self.spots):
            offer = min(self.spots[self.at][0] * self.share * self.pattern.ceiling, 1.0)
        self.waits = self.at < len(self.spots) and (not self.found or offer > best)
        self.most = max(offer, best) / (1 + _FATIGUE * self.given)

    def look(self) -> None:
        """Make the edits of the next place."""
        suspicion, place = self.spots[self.at]
        self.at += 1
        for weight, edit in _edits(place, self.pattern, suspicion * self.share):
            heappush(self.found, (-weight, self.count, edit))
            self.count += 1
        self._step()

    def take(self) -> Ranked:
        """The best edit, no longer there."""
        self.given += 1
        weight, _, edit = heappop(self.found)
        self._step()
        return Ranked(edit, self.pattern, -weight)


def _edits(place: Place, pattern: Pattern, most: float) -> Iterator[tuple[float, Edit]]:
    """A pattern's edits at a place, heaviest first; `most` is the weight of one that nothing speaks against."""
    edits = list(pattern.repairs(place))
    if not edits:
        return
    clues, ceiling = place.module.clues, pattern.ceiling
    found = [(min(edit.weight, ceiling) * plausibility(pattern, edit, clues), edit) for edit in edits]
    found.sort(key=itemgetter(0), reverse=True)
    for number, (weight, edit) in enumerate(found):
        yield min(most * weight / (1 + _CROWDING * number), 1.0), edit
