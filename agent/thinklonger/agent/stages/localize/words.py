"""BM25F over the suspects: the issue's words against symbol names and own text, found by plain string search."""

from collections.abc import Iterator, Mapping, Sequence
from math import log

from thinklonger.agent.issue import Clues, weigh_terms
from thinklonger.agent.repository import split_terms
from thinklonger.agent.stages.localize.hints import Hint, quote_list
from thinklonger.agent.stages.localize.pool import Pool, Source
from thinklonger.agent.stages.localize.weights import Weights
from thinklonger.agent.types import EvidenceKind, Message

_MOST_TERMS = 60
_MOST_OCCURRENCES = 500
"""Of one word in one file; beyond that, it tells nothing about where."""


def match_words(clues: Clues, pool: Pool, weights: Weights) -> Mapping[int, Hint]:
    """The suspects that have the issue's words in their names or own text; the best one's weight is `words`."""
    query = sorted(
        weigh_terms(clues, split_terms, weights.parts, repetition=weights.repetition).items(),
        key=lambda item: (-item[1], item[0]),
    )[:_MOST_TERMS]
    names = _name_counts(pool)
    mean = sum(pool.sizes) / max(1, len(pool.sizes))
    norms = [1 - weights.body_norm + weights.body_norm * size / max(1.0, mean) for size in pool.sizes]
    scores: dict[int, float] = {}
    shares: dict[int, list[tuple[float, str]]] = {}
    for term, query_weight in query:
        bodies = _body_counts(term, pool)
        in_names = names.get(term, {})
        having = bodies.keys() | in_names.keys()
        weight = query_weight * log(1 + (len(norms) - len(having) + 0.5) / (len(having) + 0.5))
        for number in having:
            found = weights.body_field * bodies.get(number, 0) / norms[number]
            found += weights.name_field * in_names.get(number, 0)
            share = weight * found / (weights.saturation + found)
            scores[number] = scores.get(number, 0.0) + share
            shares.setdefault(number, []).append((share, term))
    best = max(scores.values(), default=0.0)
    if best <= 0:
        return {}
    return {
        number: Hint(EvidenceKind.TEXT, weights.words * score / best, _message(shares[number]))
        for number, score in scores.items()
    }


def _message(shares: list[tuple[float, str]]) -> Message:
    """The words that count most, heaviest first."""
    shares.sort(key=lambda item: (-item[0], item[1]))
    return Message("localize.words", {"words": quote_list([term for _, term in shares], most=5)})


def _name_counts(pool: Pool) -> Mapping[str, Mapping[int, int]]:
    """How often each term stands in each suspect's qualified name."""
    counts: dict[str, dict[int, int]] = {}
    for number, symbol in enumerate(pool.symbols):
        for term in split_terms(symbol.name):
            of_term = counts.setdefault(term, {})
            of_term[number] = of_term.get(number, 0) + 1
    return counts


def _body_counts(term: str, pool: Pool) -> dict[int, int]:
    """How often a term stands in each suspect's own text."""
    counts: dict[int, int] = {}
    for source in pool.sources.values():
        for position in _occurrences(term, source):
            owner = source.owner_of(source.line_at(position))
            counts[owner] = counts.get(owner, 0) + 1
    return counts


def _occurrences(term: str, source: Source) -> Sequence[int]:
    """Where a term stands as a word or as a part of a compound name (also in the plural)."""
    return list(_search(term, source)) if term in source.lowered else ()


def _search(term: str, source: Source) -> Iterator[int]:
    """The positions, as long as there aren't too many."""
    lowered, text, length = source.lowered, source.text, len(term)
    cased = len(lowered) == len(text)
    whole = term.isascii()
    position, found = lowered.find(term), 0
    while position >= 0 and found < _MOST_OCCURRENCES:
        end = position + length
        begins = position == 0 or not lowered[position - 1].isalpha() or (cased and text[position].isupper())
        if not whole or (begins and _ends(lowered, text, end, cased=cased)):
            found += 1
            yield position
        position = lowered.find(term, end)


def _ends(lowered: str, text: str, end: int, *, cased: bool) -> bool:
    """Whether a word may end before this character."""
    if end >= len(lowered) or not lowered[end].isalpha() or (cased and text[end].isupper()):
        return True
    return lowered[end] == "s" and (end + 1 >= len(lowered) or not lowered[end + 1].isalpha())
