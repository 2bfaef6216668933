"""Git's unified diff of changes.

The text is what `git diff` prints (with its default quoting of paths). Bytes that aren't UTF-8 stand as lone
surrogates, so a reader must encode it with `surrogateescape`. A file with a NUL byte is a `GIT binary patch`.
"""

from collections.abc import Iterator, Sequence
from hashlib import sha1
from pathlib import PurePosixPath

from thinklonger.agent.edits.binary import render_literal
from thinklonger.agent.edits.lines import Difference, differences, lines_of
from thinklonger.agent.edits.paths import needs_quotes, quoted
from thinklonger.agent.types import Changes, FileChange, FileState

CONTEXT = 3
"""Unchanged lines around each change, as git shows them."""

NO_NEWLINE = "\\ No newline at end of file"
"""What git puts below a last line without `\\n`."""


def render_diff(changes: Changes) -> str:
    """The changes as `git diff` prints them (encode with `surrogateescape`); `git apply` accepts it."""
    return "".join(part for change in changes for part in _file(change))


def blob_id(state: FileState | None) -> str:
    """The id under which git (with SHA-1) stores these bytes; zeros for no file."""
    if state is None:
        return "0" * 40
    return sha1(b"blob %d\0" % len(state.content) + state.content, usedforsecurity=False).hexdigest()


def _file(change: FileChange) -> Iterator[str]:
    before, after = change.before, change.after
    old = change.renamed_from or change.path
    yield f"diff --git {_name('a/', old)} {_name('b/', change.path)}\n"
    old_mode, new_mode = _mode(before), _mode(after)
    if before is None:
        yield f"new file mode {new_mode}\n"
    elif after is None:
        yield f"deleted file mode {old_mode}\n"
    elif old_mode != new_mode:
        yield f"old mode {old_mode}\nnew mode {new_mode}\n"
    old_text, new_text = _text(before), _text(after)
    if change.renamed_from is not None:
        yield f"similarity index {_similarity(lines_of(old_text), lines_of(new_text))}%\n"
        yield f"rename from {_name('', old)}\nrename to {_name('', change.path)}\n"
    if before is not None and after is not None and before.content == after.content:
        return
    binary = "\0" in old_text or "\0" in new_text
    ids = [blob_id(state) if binary else blob_id(state)[:10] for state in (before, after)]
    yield f"index {ids[0]}..{ids[1]}" + (f" {old_mode}\n" if old_mode == new_mode else "\n")
    if binary:
        yield render_literal(before.content if before else b"", after.content if after else b"")
    elif old_text != new_text:
        yield f"--- {_name('a/', old)}{_tab(old)}\n" if before else "--- /dev/null\n"
        yield f"+++ {_name('b/', change.path)}{_tab(change.path)}\n" if after else "+++ /dev/null\n"
        yield from _hunks(lines_of(old_text), lines_of(new_text))


def _name(prefix: str, path: PurePosixPath) -> str:
    text = prefix + str(path)
    return quoted(text) if needs_quotes(path) else text


def _tab(path: PurePosixPath) -> str:
    """In `---` and `+++` lines git ends a name that holds a space with a tab, so that no date is read into it."""
    return "\t" if " " in str(path) else ""


def _mode(state: FileState | None) -> str:
    return "" if state is None else "100755" if state.executable else "100644"


def _text(state: FileState | None) -> str:
    return "" if state is None else state.content.decode("utf-8", "surrogateescape")


def _similarity(old: Sequence[str], new: Sequence[str]) -> int:
    """Percentage of lines kept; below 100 where any differ."""
    if old == new:
        return 100
    kept = len(old) - sum(place.end - place.start for place in differences(old, new))
    return min(99, 100 * kept // max(len(old), len(new)))


def _hunks(old: Sequence[str], new: Sequence[str]) -> Iterator[str]:
    group: list[Difference] = []
    for place in differences(old, new):
        if group and place.start - group[-1].end > 2 * CONTEXT:
            yield from _hunk(group, old, new)
            group = []
        group.append(place)
    yield from _hunk(group, old, new)


def _hunk(group: Sequence[Difference], old: Sequence[str], new: Sequence[str]) -> Iterator[str]:
    first, last = group[0], group[-1]
    start, end = max(0, first.start - CONTEXT), min(len(old), last.end + CONTEXT)
    new_start, new_end = first.new_start - (first.start - start), last.new_end + (end - last.end)
    yield f"@@ -{_span(start, end)} +{_span(new_start, new_end)} @@\n"
    position = start
    for place in group:
        yield from _marked(" ", old[position : place.start])
        yield from _marked("-", old[place.start : place.end])
        yield from _marked("+", new[place.new_start : place.new_end])
        position = place.end
    yield from _marked(" ", old[position:end])


def _span(start: int, end: int) -> str:
    """The lines [start, end) as git counts them: 1-based; an empty range names the line before it."""
    count = end - start
    if count == 1:
        return str(start + 1)
    return f"{start + 1 if count else start},{count}"


def _marked(sign: str, lines: Sequence[str]) -> Iterator[str]:
    for line in lines:
        yield sign + line if line.endswith("\n") else f"{sign}{line}\n{NO_NEWLINE}\n"
