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

    A place waits in the queue under the most that it can offer; when it comes up, its patterns take its stand, and
    then their edits. So the first edits come at once, whatever the size of the file.
    """
    queue: list[tuple[float, int, object]] = []
    count = 0
    for module, suspicion in modules:
        rows = [(pattern, pattern.prior * boost(pattern, module.clues)) for pattern in patterns]
        most = max(weight for _, weight in rows)
        for place in module.places:
            queue.append((-suspicion.of(place) * most, count, _Spot(place, suspicion.of(place), rows)))
            count += 1
    heapify(queue)
    while queue:
        negative, _, item = heappop(queue)
        if isinstance(item, Ranked):
            yield item
        elif isinstance(item, _Spot):
            for pattern, weight in item.rows:
                heappush(queue, (-item.weight * weight, count, _Row(item.place, pattern)))
                count += 1
        elif isinstance(item, _Row):
            for found in _edits(item, -negative):
                heappush(queue, (-found.weight, count, found))
                count += 1


@dataclass(frozen=True, slots=True)
class _Spot:
    place: Place
    weight: float
    rows: list[tuple[Pattern, float]]


@dataclass(frozen=True, slots=True)
class _Row:
    place: Place
    pattern: Pattern


def _edits(row: _Row, most: float) -> Iterator[Ranked]:
    clues = row.place.module.clues
    found = [(edit.weight * plausibility(row.pattern, edit, clues), edit) for edit in row.pattern.repairs(row.place)]
    found.sort(key=lambda item: -item[0])
    for number, (weight, edit) in enumerate(found):
        yield Ranked(edit, row.pattern, min(most * weight / (1 + _CROWDING * number), 1.0))
