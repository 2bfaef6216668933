"""A model's answer as a patch: its blocks read, applied, parsed and normalised; what is wrong is said precisely."""

import hashlib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import PurePosixPath

from thinklonger.agent.edits import Edit, Rename, apply_edits, edits_of, normalized, parse_blocks, render_diff
from thinklonger.agent.edits.lines import differences, lines_of
from thinklonger.agent.errors import EditError
from thinklonger.agent.protocols import RepositoryView, SourceTree
from thinklonger.agent.types import Changes, FileChange, Location, Symbol, SymbolKind

MOST_FILES = 40
"""A patch that changes more files is no repair of one issue."""

_NAMED = 5  # files of the same name that are listed


@dataclass(frozen=True, slots=True)
class Patched:
    """What an answer changes, where its first change lies, and what it means in normal form."""

    changes: Changes
    location: Location
    normalized: str


def read_patch(answer: str, tree: SourceTree, *, repository: RepositoryView, earlier: Changes = ()) -> Patched:
    """What the answer's blocks make of the tree; nothing is written.

    `earlier` is a patch that the answer revises: its blocks are for the files without that patch, else, where they
    don't fit there, for the files with it; the result holds both then. Raises EditError (and RepositoryError for a
    file that can't be read), in words that whoever wrote the answer can act on: no block, a malformed one, a file
    that is not there, a search text that stands nowhere or in several places, a path outside the repository, a
    Python file that no longer parses, edits that change nothing or too much.
    """
    edits = parse_blocks(answer)
    try:
        changes = _applied(edits, tree, earlier)
    except EditError as error:
        raise _with_names(error, repository) from error
    if not changes:
        raise EditError("patch.no-change")
    if len(changes) > MOST_FILES:
        raise EditError("patch.too-large", count=len(changes), limit=MOST_FILES)
    return Patched(changes, _location(edits, changes, repository), meaning(changes))


def meaning(changes: Changes) -> str:
    """Equal for patches that mean the same; those that change no code (documentation, comments) by their text."""
    found = normalized(changes)
    if found != normalized(()):
        return found
    return hashlib.sha256(render_diff(changes).encode("utf-8", "surrogateescape")).hexdigest()


def _applied(edits: Sequence[Edit], tree: SourceTree, earlier: Changes) -> Changes:
    try:
        return apply_edits(edits, tree)
    except EditError:
        if earlier:
            with suppress(EditError):
                return apply_edits((*edits_of(earlier), *edits), tree)
        raise


def _with_names(error: EditError, repository: RepositoryView) -> EditError:
    """For a file that is not there, the files of that name."""
    wanted = PurePosixPath(str(error.message.params.get("path", "")))
    if error.message.key != "edits.no-file" or not wanted.name:
        return error
    named = [path for path in repository.paths() if path.name == wanted.name][:_NAMED]
    if not named:
        return error
    return EditError("patch.no-file-named", path=str(wanted), named=", ".join(map(str, named)))


def _location(edits: Sequence[Edit], changes: Changes, repository: RepositoryView) -> Location:
    """Where the first change lies, in the order of the answer; in code that is no test, if there is any."""
    order = [edit.to if isinstance(edit, Rename) else edit.path for edit in edits]
    place = {path: number for number, path in reversed(list(enumerate(order)))}
    first = min(changes, key=lambda change: (repository.is_test(change.path), place.get(change.path, len(order))))
    start, end = changed_lines(first)
    symbol = None if first.before is None else _symbol(repository, first.renamed_from or first.path, start)
    if symbol is None:
        return Location(first.path, "", SymbolKind.MODULE, start, end, 0.0, ())
    return Location(first.path, symbol.name, symbol.kind, start, end, 0.0, ())


def changed_lines(change: FileChange) -> tuple[int, int]:
    """The lines of the first changed place, as the file without the change counts them; of a new file, all."""
    if change.before is None or change.after is None:
        state = change.before or change.after
        return 1, max(1, len(lines_of(state.content.decode("latin-1")))) if state is not None else 1
    old, new = (lines_of(state.content.decode("latin-1")) for state in (change.before, change.after))
    first = next(iter(differences(old, new)), None)
    if first is None:
        return 1, 1
    start = min(first.start + 1, max(1, len(old)))
    return start, max(start, first.end)


def _symbol(repository: RepositoryView, path: PurePosixPath, line: int) -> Symbol | None:
    """The innermost symbol around a line."""
    around = [found for found in repository.symbols(path) if found.start_line <= line <= found.end_line]
    return min(around, key=lambda found: found.end_line - found.start_line, default=None)
