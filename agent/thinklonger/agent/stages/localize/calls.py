"""Who calls whom among the suspects: a step from the most suspicious to their callers and to what they call."""

import re
from collections.abc import Iterator, Mapping
from math import sqrt

from thinklonger.agent.stages.localize.hints import Hint
from thinklonger.agent.stages.localize.pool import Pool
from thinklonger.agent.stages.localize.weights import Weights
from thinklonger.agent.types import EvidenceKind, Message, SymbolKind

_SOURCES = 8
_MOST_NAMESAKES = 3
_MOST_CALLERS = 12
_CALLED = re.compile(r"([A-Za-z_]\w*)\(")


def spread(scores: Mapping[int, float], pool: Pool, weights: Weights) -> Mapping[int, Hint]:
    """Callers and callees of the most suspicious functions gain a little."""
    order = sorted(scores, key=lambda number: (-scores[number], number))
    sources = [number for number in order if pool.symbols[number].kind is not SymbolKind.MODULE][:_SOURCES]
    top = max(scores.values(), default=0.0)
    hints: dict[int, Hint] = {}
    for source in sources:
        name = pool.symbols[source].name
        for key, found in (("called-by", sorted(set(_callees(source, pool)))), ("calls", _callers(source, pool))):
            for number in found:
                weight = weights.calls * scores[source] / top / sqrt(len(found))
                if number != source and (number not in hints or hints[number].weight < weight):
                    hints[number] = Hint(EvidenceKind.GRAPH, weight, Message(f"localize.{key}", {"other": name}))
    return hints


def _callees(number: int, pool: Pool) -> Iterator[int]:
    """The suspects that a suspect's own lines call, by name."""
    for name in dict.fromkeys(_CALLED.findall(pool.texts[number])):
        named = pool.named(name)
        if len(named) <= _MOST_NAMESAKES:
            yield from (callee for callee in named if callee != number)


def _callers(number: int, pool: Pool) -> list[int]:
    """The suspects that call a suspect by its name; none if the name is another's, too, or everybody calls it."""
    name = pool.symbols[number].name.rpartition(".")[2]
    if len(pool.named(name)) > _MOST_NAMESAKES or name.startswith("__"):
        return []
    wanted = f"{name}("
    callers: set[int] = set()
    for source in pool.sources.values():
        position = source.text.find(wanted)
        while position >= 0 and len(callers) <= _MOST_CALLERS:
            before = source.text[position - 1 : position]
            if not (before.isalnum() or before == "_"):
                callers.add(source.owner_of(source.line_at(position)))
            position = source.text.find(wanted, position + 1)
    callers.discard(number)
    return sorted(callers) if len(callers) <= _MOST_CALLERS else []
