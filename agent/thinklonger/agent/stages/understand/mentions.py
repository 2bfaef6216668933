"""What the issue names outright: definitions, paths, frames of pasted tracebacks, wording that stands in the code."""

from collections.abc import Iterator, Mapping, Sequence
from math import sqrt
from pathlib import PurePosixPath

from thinklonger.agent.issue import (
    Clues,
    NameHit,
    PathTable,
    Phrase,
    Wording,
    read_phrases,
    resolve_frames,
    resolve_names,
    resolve_paths,
)
from thinklonger.agent.repository import Posting, Repository, split_terms
from thinklonger.agent.stages.understand.signals import Hint, Signal, quote_list
from thinklonger.agent.stages.understand.weights import Weights
from thinklonger.agent.types import EvidenceKind, Message

_MOST_FILES_READ = 60
_MOST_FILES_PER_PIECE = 12
_MOST_TERMS = 4
"""Of a piece, as many (the longest) are looked up; the file's text decides in the end."""


def named_definitions(clues: Clues, repository: Repository, weights: Weights) -> Signal:
    """Files that define what the issue names; a name with many definitions says less of each."""
    doubt: dict[PurePosixPath, float] = {}
    found: dict[PurePosixPath, dict[str, None]] = {}
    for hit in resolve_names(clues, repository):
        path = hit.symbol.path
        doubt[path] = doubt.get(path, 1.0) * (1 - _certainty(hit, weights))
        found.setdefault(path, {})[hit.written] = None
    return {
        path: Hint(
            EvidenceKind.NAME,
            weights.names * (1 - left),
            Message("understand.name", {"names": quote_list(list(found[path]))}),
        )
        for path, left in doubt.items()
    }


def _certainty(hit: NameHit, weights: Weights) -> float:
    """How surely this definition is meant."""
    return weights.roles[hit.role] / hit.definitions


def named_paths(clues: Clues, table: PathTable, weights: Weights) -> Signal:
    """Files that the issue names as a path or module; those of a traceback's frames are another signal's."""
    frames = {frame.path.lstrip("/") for traceback in clues.tracebacks for frame in traceback.frames}
    hints: dict[PurePosixPath, Hint] = {}
    for hit in resolve_paths(clues, table):
        weight = weights.path / hit.candidates
        if hit.written.lstrip("/") in frames or (hit.path in hints and hints[hit.path].weight >= weight):
            continue
        hints[hit.path] = Hint(EvidenceKind.PATH, weight, Message("understand.path", {"written": hit.written}))
    return hints


def pasted_frames(clues: Clues, table: PathTable, weights: Weights) -> Signal:
    """Files in the issue's tracebacks, the innermost most suspicious."""
    hints: dict[PurePosixPath, Hint] = {}
    for hit in resolve_frames(clues, table):
        weight = weights.frame * weights.frame_decay**hit.depth
        if hit.path in hints and hints[hit.path].weight >= weight:
            continue
        message = Message(
            "understand.frame",
            {"line": hit.frame.line, "function": hit.frame.function or "?", "depth": hit.depth + 1},
        )
        hints[hit.path] = Hint(EvidenceKind.TRACEBACK, weight, message)
    return hints


def quoted_wording(
    clues: Clues, repository: Repository, weights: Weights, *, known: Mapping[str, Sequence[Posting]]
) -> Signal:
    """Files with a message or a line of code of the issue word for word; `known` postings are not read again."""
    search = _Search(repository, known)
    doubt: dict[PurePosixPath, float] = {}
    best: dict[PurePosixPath, tuple[float, Phrase]] = {}
    for phrase in read_phrases(clues):
        origins = search.origins(phrase)
        for path, share in origins:
            weight = _strength(phrase, share, len(origins))
            doubt[path] = doubt.get(path, 1.0) * (1 - weight)
            if path not in best or best[path][0] < weight:
                best[path] = (weight, phrase)
    return {path: _wording_hint(phrase, 1 - doubt[path], weights) for path, (_, phrase) in best.items()}


def _wording_hint(phrase: Phrase, share: float, weights: Weights) -> Hint:
    """The hint for a file's best phrase."""
    weight = weights.message if phrase.kind is Wording.MESSAGE else weights.line
    text = phrase.text if len(phrase.text) <= 80 else f"{phrase.text[:79]}…"  # noqa: PLR2004 - what fits a line
    return Hint(EvidenceKind.QUOTE, weight * share, Message(f"understand.quote-{phrase.kind}", {"text": text}))


def _strength(phrase: Phrase, share: float, origins: int) -> float:
    """How surely a file is a phrase's origin: all of it and there alone is certain, one short run of words is not."""
    if phrase.kind is Wording.LINE:
        return 1 / origins
    return share / sqrt(origins) * min(1.0, 0.25 * (len(phrase.pieces) + 1))


class _Search:
    """Word-for-word search in the few files that have all words of a wording, by the index."""

    def __init__(self, repository: Repository, known: Mapping[str, Sequence[Posting]]) -> None:
        self._repository = repository
        self._known = known
        self._paths = repository.paths()
        self._files: dict[str, frozenset[int]] = {}
        self._texts: dict[int, bytes] = {}

    def origins(self, phrase: Phrase) -> Sequence[tuple[PurePosixPath, float]]:
        """The files with pieces of the phrase, and which share of the pieces each has."""
        counts: dict[int, int] = {}
        for piece in phrase.pieces:
            for file in self._containing(piece):
                counts[file] = counts.get(file, 0) + 1
        return [(self._paths[file], count / len(phrase.pieces)) for file, count in sorted(counts.items())]

    def _containing(self, piece: str) -> Iterator[int]:
        """The files that contain a piece."""
        terms = dict.fromkeys(split_terms(piece))
        if not terms:
            return
        candidates: frozenset[int] | None = None
        for term in sorted(terms, key=lambda term: (-len(term), term))[:_MOST_TERMS]:
            files = self._having(term)
            candidates = files if candidates is None else candidates & files
            if not candidates:
                return
        if candidates is None or len(candidates) > _MOST_FILES_PER_PIECE:
            return
        wanted = piece.encode()
        yield from (file for file in sorted(candidates) if wanted in self._text(file))

    def _having(self, term: str) -> frozenset[int]:
        """The files that have a term in their text."""
        if term not in self._files:
            self._files[term] = frozenset(
                [posting[0] for posting in self._known.get(term) or self._repository.postings(term)]
            )
        return self._files[term]

    def _text(self, file: int) -> bytes:
        """A file's bytes; none once enough were read."""
        if file not in self._texts:
            if len(self._texts) >= _MOST_FILES_READ:
                return b""
            state = self._repository.read(self._paths[file])
            self._texts[file] = state.content if state is not None else b""
        return self._texts[file]
