"""Best first: edits of many places and patterns in the order of their weight, made only as they are asked for."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from heapq import heapify, heappop, heappush

from thinklonger.agent.solver.module import Module
from thinklonger.agent.solver.pattern import Pattern
from thinklonger.agent.solver.place import Edit, Place
from thinklonger.agent.solver.suspicion import Suspicion
from thinklonger.agent.solver.weigh import boost, plausibility

_CROWDING = 0.02
"""How much each further edit of one pattern at one place gives way to other patterns and places."""


@dataclass(frozen=True, slots=True)
class Ranked:
    """An edit with its pattern and its weight in (0, 1]."""

    edit: Edit
    pattern: Pattern
    weight: float


def ranked(modules: Iterable[tuple[Module, Suspicion]], patterns: tuple[Pattern, ...]) -> Iterator[Ranked]:
    """All edits, heaviest first; equal weights in source order, then in the catalogue's.

    A place waits in the queue under the most that its next pattern can offer; when it comes up, that pattern's edits
    join the queue and the place waits for the pattern after it. So the first edits come at once, whatever the size
    of the file, and the queue holds little more than what is near.
    """
    queue: list[tuple[float, int, _Spot | Ranked]] = []
    count = 0
    for module, suspicion in modules:
        rows = [(pattern, pattern.prior * boost(pattern, module.clues)) for pattern in patterns]
        rows.sort(key=lambda row: -row[1])
        for place in module.places:
            weight = suspicion.of(place)
            queue.append((-weight * rows[0][1], count, _Spot(place, weight, rows, 0)))
            count += 1
    heapify(queue)
    while queue:
        negative, number, item = heappop(queue)
        if isinstance(item, Ranked):
            yield item
            continue
        for found in _edits(item.place, item.rows[item.row][0], -negative):
            heappush(queue, (-found.weight, count, found))
            count += 1
        if item.row + 1 < len(item.rows):
            following = _Spot(item.place, item.weight, item.rows, item.row + 1)
            heappush(queue, (-item.weight * following.rows[following.row][1], number, following))


@dataclass(frozen=True, slots=True)
class _Spot:
    """A place whose patterns up to `row` were asked for their edits."""

    place: Place
    weight: float
    rows: list[tuple[Pattern, float]]
    row: int


def _edits(place: Place, pattern: Pattern, most: float) -> Iterator[Ranked]:
    """A pattern's edits at a place, heaviest first; `most` is the weight of one that nothing speaks against."""
    clues = place.module.clues
    found = [(edit.weight * plausibility(pattern, edit, clues), edit) for edit in pattern.repairs(place)]
    found.sort(key=lambda item: -item[0])
    for number, (weight, edit) in enumerate(found):
        yield Ranked(edit, pattern, min(most * weight / (1 + _CROWDING * number), 1.0))
