"""BM25F over the suspects: the issue's words against symbol names and own text, counted without parsing."""

from collections.abc import Mapping, Sequence
from itertools import chain
from math import log

from thinklonger.agent.issue import Clues, weigh_terms
from thinklonger.agent.repository import cut_words, split_terms
from thinklonger.agent.stages.localize.hints import Hint, quote_list
from thinklonger.agent.stages.localize.pool import Pool
from thinklonger.agent.stages.localize.weights import Weights
from thinklonger.agent.types import EvidenceKind, Message

_MOST_TERMS = 60
_WORDS_ONLY = bytes(byte if byte >= 128 or chr(byte).isalnum() or byte == ord("_") else 32 for byte in range(256))  # noqa: PLR2004 - ASCII
"""Everything but words becomes a space: cutting bytes so takes less than half of an expression's time."""


def match_words(clues: Clues, pool: Pool, weights: Weights) -> Mapping[int, Hint]:
    """The suspects that have the issue's words in their names or own text; the best one's weight is `words`."""
    query = sorted(
        weigh_terms(clues, split_terms, weights.parts, repetition=weights.repetition).items(),
        key=lambda item: (-item[1], item[0]),
    )[:_MOST_TERMS]
    weight_of = dict(query)
    bodies, names = _counts(pool, weight_of)
    sizes = [len(text) for text in pool.texts]
    mean = sum(sizes) / max(1, len(sizes))
    norms = [1 - weights.body_norm + weights.body_norm * size / max(1.0, mean) for size in sizes]
    scores: dict[int, float] = {}
    shares: dict[int, list[tuple[float, str]]] = {}
    nothing: Mapping[int, int] = {}
    for term, query_weight in query:
        in_bodies, in_names = bodies.get(term, nothing), names.get(term, nothing)
        having = in_bodies.keys() | in_names.keys()
        weight = query_weight * log(1 + (len(norms) - len(having) + 0.5) / (len(having) + 0.5))
        for number in having:
            found = weights.body_field * in_bodies.get(number, 0) / norms[number]
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


def _counts(
    pool: Pool, wanted: Mapping[str, float]
) -> tuple[Mapping[str, Mapping[int, int]], Mapping[str, Mapping[int, int]]]:
    """How often each wanted term stands in each suspect's own text, and in its qualified name."""
    return _counted(pool.texts, wanted), _counted([symbol.name for symbol in pool.symbols], wanted)


def _counted(texts: Sequence[str], wanted: Mapping[str, float]) -> Mapping[str, Mapping[int, int]]:
    """How often each wanted term stands in each text."""
    cut = [text.encode("utf-8", "replace").translate(_WORDS_ONLY).split() for text in texts]
    useful = {term.encode("utf-8", "replace"): [term] for term in wanted}  # a plain lower-case word is its only term
    longer = [word for word in set(chain.from_iterable(cut)) if not (word.isalpha() and word.islower())]
    spelled = [word.decode("utf-8", "replace") for word in longer]
    for word, terms in zip(longer, cut_words(spelled), strict=True):
        if found := [term for term in terms if term in wanted]:
            useful[word] = found
    counts: dict[str, dict[int, int]] = {}
    for number, words in enumerate(cut):
        for word in filter(useful.__contains__, words):
            for term in useful[word]:
                of_term = counts.setdefault(term, {})
                of_term[number] = of_term.get(number, 0) + 1
    return counts
