"""What the issue names outright: symbols, lines of files, frames of pasted tracebacks, wording in the code."""

from collections.abc import Mapping
from math import sqrt

from thinklonger.agent.issue import (
    Clues,
    FrameHit,
    PathTable,
    Wording,
    read_phrases,
    resolve_frames,
    resolve_names,
    resolve_paths,
)
from thinklonger.agent.protocols import RepositoryView
from thinklonger.agent.stages.localize.hints import Hint
from thinklonger.agent.stages.localize.pool import Pool, Source
from thinklonger.agent.stages.localize.weights import Weights
from thinklonger.agent.types import EvidenceKind, Message

_FEW = 6
"""A wording that more places have says nothing about where."""


def named_symbols(clues: Clues, pool: Pool, repository: RepositoryView, weights: Weights) -> Mapping[int, Hint]:
    """Suspects that the issue names; a name with many definitions says less of each."""
    hints: dict[int, Hint] = {}
    for hit in resolve_names(clues, repository):
        number = pool.number_of(hit.symbol)
        weight = weights.names * weights.roles[hit.role] / sqrt(hit.definitions)
        if number is None or (number in hints and hints[number].weight >= weight):
            continue
        hints[number] = Hint(EvidenceKind.NAME, weight, Message("localize.name", {"name": hit.written}))
    return hints


def named_lines(clues: Clues, pool: Pool, table: PathTable, weights: Weights) -> Mapping[int, Hint]:
    """Suspects around lines that the issue names; a traceback's lines are another signal's."""
    frames = {(frame.path.lstrip("/"), frame.line) for one in clues.tracebacks for frame in one.frames}
    hints: dict[int, Hint] = {}
    for hit in resolve_paths(clues, table):
        source = pool.sources.get(hit.path)
        if hit.line is None or source is None or (hit.written.lstrip("/"), hit.line) in frames:
            continue
        number = source.owner_of(hit.line)
        message = Message("localize.line", {"written": hit.written, "line": hit.line})
        hints[number] = Hint(EvidenceKind.PATH, weights.lines / hit.candidates, message)
    return hints


def pasted_frames(clues: Clues, pool: Pool, table: PathTable, weights: Weights) -> Mapping[int, Hint]:
    """Suspects in the issue's tracebacks, the innermost most suspicious; found by function name, then by line."""
    hints: dict[int, Hint] = {}
    for hit in resolve_frames(clues, table):
        source = pool.sources.get(hit.path)
        number = _frame_owner(hit, pool, source) if source is not None else None
        weight = weights.frame * weights.frame_decay**hit.depth
        if number is None or (number in hints and hints[number].weight >= weight):
            continue
        message = Message("localize.frame", {"line": hit.frame.line, "depth": hit.depth + 1})
        hints[number] = Hint(EvidenceKind.TRACEBACK, weight, message)
    return hints


def _frame_owner(hit: FrameHit, pool: Pool, source: Source) -> int | None:
    """The suspect of a frame: its function's name survives edits of the file, its line number doesn't."""
    name = hit.frame.function.rpartition(".")[2]
    if not name or name.startswith("<"):
        return source.owner_of(hit.frame.line) if hit.frame.line else None
    named = [number for number in pool.named(name) if pool.symbols[number].path == hit.path]
    if not named:
        return None
    return min(named, key=lambda number: (abs(pool.symbols[number].start_line - hit.frame.line), number))


def quoted_wording(clues: Clues, pool: Pool, weights: Weights) -> Mapping[int, Hint]:
    """Suspects that contain a message or a line of code of the issue word for word."""
    hints: dict[int, Hint] = {}
    for phrase in read_phrases(clues):
        counts: dict[int, int] = {}
        for piece in phrase.pieces:
            for number in set(pool.containing(piece)):
                counts[number] = counts.get(number, 0) + 1
        if not counts or len(counts) > _FEW:
            continue
        of_kind = weights.message if phrase.kind is Wording.MESSAGE else weights.line
        text = phrase.text if len(phrase.text) <= 80 else f"{phrase.text[:79]}…"  # noqa: PLR2004 - what fits a line
        message = Message(f"localize.quote-{phrase.kind}", {"text": text})
        sure = 1.0 if phrase.kind is Wording.LINE else min(1.0, 0.25 * (len(phrase.pieces) + 1))
        for number, count in counts.items():
            weight = of_kind * sure * count / len(phrase.pieces) / sqrt(len(counts))
            if number not in hints or hints[number].weight < weight:
                hints[number] = Hint(EvidenceKind.QUOTE, weight, message)
    return hints
