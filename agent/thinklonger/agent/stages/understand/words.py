"""BM25F: the issue's words against the paths, symbol names, docstrings and bodies of all files."""

from collections.abc import Collection, Mapping, Sequence
from math import log
from typing import NamedTuple

from thinklonger.agent.issue import Clues, weigh_terms
from thinklonger.agent.repository import Lengths, Posting, Repository, split_terms
from thinklonger.agent.stages.understand.signals import Hint, quote_list
from thinklonger.agent.stages.understand.weights import Weights
from thinklonger.agent.types import EvidenceKind, Message

_MOST_TERMS = 60
"""Only the heaviest words of an issue are looked up."""
_FIELDS = Lengths._fields


class Words(NamedTuple):
    """The words' scores: of each file (by its place in `paths()`), the best being 1, and what they are made of."""

    scores: Sequence[float]
    best: float
    terms: Sequence[tuple[str, float, Sequence[Posting]]]
    """Each term with its weight (query weight x inverse document frequency) and postings."""
    norms: Sequence[Sequence[float]]
    """For each field, each file's weight over its length norm."""
    saturation: float


def match_words(clues: Clues, repository: Repository, weights: Weights) -> Words:
    """Score every file that has one of the issue's words."""
    count = len(repository.paths())
    weighed = weigh_terms(clues, split_terms, weights.parts, repetition=weights.repetition)
    query = sorted(weighed.items(), key=lambda item: (-item[1], item[0]))[:_MOST_TERMS]
    terms: list[tuple[str, float, Sequence[Posting]]] = []
    for term, weight in query:
        postings = repository.postings(term)
        if postings:
            terms.append((term, weight * log(1 + (count - len(postings) + 0.5) / (len(postings) + 0.5)), postings))
    norms = _norms(repository, weights)
    scores = _scores(terms, norms, weights.saturation, count)
    best = max(scores, default=0.0)
    if best > 0:
        scores = [score / best for score in scores]
    return Words(scores, best, terms, norms, weights.saturation)


def _norms(repository: Repository, weights: Weights) -> list[list[float]]:
    """For each field, what one occurrence counts in each file."""
    means = repository.statistics_of_fields().means
    lengths = repository.lengths()
    return [
        [weight / (1 - b + b * length[position] / mean) if mean > 0 else weight for length in lengths]
        for position, (weight, b, mean) in enumerate(zip(weights.fields, weights.norms, means, strict=True))
    ]


def _scores(
    terms: Sequence[tuple[str, float, Sequence[Posting]]],
    norms: Sequence[Sequence[float]],
    saturation: float,
    count: int,
) -> list[float]:
    """The sum over all terms, for each file."""
    scores = [0.0] * count
    in_path, in_symbols, in_docstrings, in_body = norms
    for _, weight, postings in terms:
        for file, path, symbols, docstrings, body in postings:
            found = body * in_body[file]
            if path:
                found += path * in_path[file]
            if symbols:
                found += symbols * in_symbols[file]
            if docstrings:
                found += docstrings * in_docstrings[file]
            scores[file] += weight * found / (saturation + found)
    return scores


def explain_words(words: Words, files: Collection[int]) -> Mapping[int, tuple[Hint, ...]]:
    """For each of these files, one hint for each field: the words that count most there, and their share."""
    shares: dict[int, dict[int, list[tuple[float, str]]]] = {file: {} for file in files}
    for term, weight, postings in words.terms:
        for posting in postings:
            if posting[0] not in shares:
                continue
            file, *counts = posting
            found = [count * norm[file] for count, norm in zip(counts, words.norms, strict=True)]
            total = sum(found)
            share = weight * total / (words.saturation + total) / words.best
            strongest = max(range(len(found)), key=found.__getitem__)
            shares[file].setdefault(strongest, []).append((share, term))
    return {file: tuple(_hints(fields)) for file, fields in shares.items()}


def _hints(fields: Mapping[int, list[tuple[float, str]]]) -> list[Hint]:
    """A file's hints, heaviest first; a part of a compound word is not shown beside the whole."""
    hints: list[Hint] = []
    for position, found in fields.items():
        found.sort(key=lambda item: (-item[0], item[1]))
        listed = quote_list([term for _, term in found], most=5)
        message = Message(f"understand.words-{_FIELDS[position]}", {"words": listed})
        hints.append(Hint(EvidenceKind.TEXT, sum(share for share, _ in found), message))
    return sorted(hints, key=lambda hint: (-hint.weight, hint.message.key))
