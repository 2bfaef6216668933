"""From edits to changes and back: applied to a tree all or nothing, derived as the smallest unique blocks."""

import ast
import warnings
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath

from thinklonger.agent.edits.draft import Draft
from thinklonger.agent.edits.edit import Create, Delete, Edit, Rename, Replace, SetMode
from thinklonger.agent.edits.lines import Difference, differences, lines_of, occurrences
from thinklonger.agent.edits.matching import replaced
from thinklonger.agent.edits.paths import shown
from thinklonger.agent.edits.text import decode, encode
from thinklonger.agent.edits.trees import MemoryTree
from thinklonger.agent.errors import EditError
from thinklonger.agent.protocols import SourceTree
from thinklonger.agent.types import Changes, FileChange, FileState

CLOSE = 2
"""Changed places with at most so many equal lines between them become one block."""

MINIMAL_CONTEXT = 8
"""Up to so many lines of context grow one by one; beyond, they double, so that a monotonous file stays cheap."""


def apply_edits(edits: Sequence[Edit], tree: SourceTree) -> Changes:
    """Carry out the edits in order, each on the result of those before it; nothing is written.

    Changes come sorted by path, without no-ops. Raises EditError for a search text that stands nowhere or in
    several places, a path outside the repository, and a Python file that no longer parses.
    """
    draft = Draft(tree)
    for edit in edits:
        _apply(edit, draft)
    changes = draft.changes()
    for change in changes:
        _check_parses(change)
    return changes


def _apply(edit: Edit, draft: Draft) -> None:
    match edit:
        case Replace(path, search, _):
            state = draft.require(path)
            if not search:
                raise EditError("edits.exists", path=shown(path))
            text = decode(state.content, path)
            draft.put(path, FileState(encode(replaced(text, edit), path), state.executable))
        case Create(path, content):
            state = draft.state(path)
            if state is not None and state.content:
                raise EditError("edits.exists", path=shown(path))
            draft.put(path, FileState(encode(content, path), state is not None and state.executable))
        case Delete(path):
            draft.remove(path)
        case Rename(path, to):
            draft.move(path, to)
        case SetMode(path, executable):
            draft.put(path, FileState(draft.require(path).content, executable))


def _check_parses(change: FileChange) -> None:
    """Refuse Python that doesn't parse, unless the file didn't parse before; raises EditError."""
    if change.after is None or change.path.suffix != ".py" or change.before == change.after:
        return
    error = _syntax_error(change.after.content)
    if error is not None and (change.before is None or _syntax_error(change.before.content) is None):
        reason = error.msg if isinstance(error, SyntaxError) else str(error)
        line = (error.lineno or 1) if isinstance(error, SyntaxError) else 1
        raise EditError("edits.syntax", path=shown(change.path), line=line, reason=reason)


def _syntax_error(content: bytes) -> Exception | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ast.parse(content)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        return error
    return None


# ── and back ─────────────────────────────────────────────────────────────────────────────────────────────────────


def edits_of(changes: Changes) -> tuple[Edit, ...]:
    """Edits that make these changes again: `apply_edits(edits_of(changes), tree) == changes`.

    Each changed place is one Replace with as little context as makes its search text unique. Where a file's
    encoding changes so that this can't be said line by line, it is emptied and filled again.
    """
    moves = [change for change in changes if change.renamed_from is not None]
    deleted = [Delete(change.path) for change in changes if change.after is None]
    return (*deleted, *_renames(moves), *(edit for change in changes for edit in _edits_of_file(change)))


def _renames(moves: Sequence[FileChange]) -> Iterator[Rename]:
    """The renames in an order in which every target is free; a cycle is opened over a spare name."""
    waiting = {change.renamed_from: change.path for change in moves if change.renamed_from is not None}
    while waiting:
        free = next((old for old, new in waiting.items() if new not in waiting), None)
        if free is not None:
            yield Rename(free, waiting.pop(free))
            continue
        old = next(iter(waiting))
        spare = old.with_name(f"{old.name}.moving")
        yield Rename(old, spare)
        waiting[spare] = waiting.pop(old)


def _edits_of_file(change: FileChange) -> Iterator[Edit]:
    path, before, after = change.path, change.before, change.after
    if after is None:
        return
    executable = before is not None and before.executable
    if before is None or not before.content:
        if before is None or after.content:
            yield Create(path, decode(after.content, path))
    elif before.content != after.content:
        old, new = decode(before.content, path), decode(after.content, path)
        edits = tuple(_replaces(path, old, new))
        if not _gives(edits, path, before=before.content, after=after.content):
            edits = (Replace(path, old, ""), Create(path, new))
        yield from edits
    if after.executable != executable:
        yield SetMode(path, after.executable)


def _gives(edits: Sequence[Edit], path: PurePosixPath, *, before: bytes, after: bytes) -> bool:
    draft = Draft(MemoryTree({path: FileState(before)}))
    try:
        for edit in edits:
            _apply(edit, draft)
    except EditError:
        return False
    return draft.require(path).content == after


def _replaces(path: PurePosixPath, before: str, after: str) -> Iterator[Replace]:
    """One Replace for each changed place, each unique in the file as the ones before it leave it."""
    lines, new = lines_of(before), lines_of(after)
    moved = 0
    for place in _joined(differences(lines, new)):
        low, high = place.start + moved, place.end + moved
        fresh = new[place.new_start : place.new_end]
        start, end = _unique(lines, low, high)
        search = "".join(lines[start:end])
        lines[low:high] = fresh
        moved += len(fresh) - (high - low)
        yield Replace(path, search, "".join(lines[start : end + len(fresh) - (high - low)]))


def _joined(places: Sequence[Difference]) -> list[Difference]:
    """The places, those that hardly any lines separate taken as one."""
    joined: list[Difference] = []
    for place in places:
        if joined and place.start - joined[-1].end <= CLOSE:
            first = joined.pop()
            place = Difference(first.start, place.end, first.new_start, place.new_end)  # noqa: PLW2901 (widened)
        joined.append(place)
    return joined


def _unique(lines: Sequence[str], low: int, high: int) -> tuple[int, int]:
    """The lines [low, high), widened upwards and downwards in turn until they stand in one place only."""
    text = "".join(lines)
    start, end, step, upwards = low, high, 1, True
    while (start > 0 or end < len(lines)) and (start == end or len(occurrences(text, "".join(lines[start:end]))) > 1):
        if end - start > MINIMAL_CONTEXT:
            step *= 2
        if (upwards and start > 0) or end == len(lines):
            start = max(0, start - step)
        else:
            end = min(len(lines), end + step)
        upwards = not upwards
    return start, end
