"""A patch that somebody hands in: read as whatever tool wrote it, and turned into a candidate beside the solver's."""

import re
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from difflib import SequenceMatcher
from pathlib import PurePosixPath

from thinklonger.agent.edits import normalized, parse_diff
from thinklonger.agent.errors import EditError, UsageError
from thinklonger.agent.protocols import SourceTree, Task
from thinklonger.agent.types import Candidate, Changes, FileState, Location, SymbolKind

GIVEN = "given"
"""The id, and the proposer, of a patch that was handed in."""
_NAMES = re.compile(r"(?:--- |\+\+\+ )(\"?)([^\t\n]+?)\1(?:\t.*)?$")
_HUNK = re.compile(r"@@ -\d+(?:,(\d+))? \+\d+(?:,(\d+))? @@")


def read_patch(text: str, tree: SourceTree) -> Changes:
    """The changes that a diff makes; raises UsageError where it is empty or does not fit."""
    try:
        changes = parse_diff(with_git_headers(text.replace("\r\n", "\n")), tree)
    except EditError as error:
        raise UsageError("pipeline.patch-unfit", reason=str(error)) from error
    if not changes:
        raise UsageError("pipeline.patch-empty")
    return changes


def with_git_headers(diff: str) -> str:
    """A plain unified diff with the headers that git would write; one that has them comes back as it is."""
    if diff.startswith("diff --git ") or "\ndiff --git " in diff:
        return diff
    lines = diff.split("\n")
    written: list[str] = []
    number, left = 0, (0, 0)
    while number < len(lines):
        line = lines[number]
        if left == (0, 0) and line.startswith("--- ") and lines[number + 1 : number + 2] and _header(lines, number):
            written += _header(lines, number)
            number += 2
            continue
        if (hunk := _HUNK.match(line)) is not None and left == (0, 0):
            left = int(hunk[1] or 1), int(hunk[2] or 1)
        elif left != (0, 0):
            old, new = left
            left = max(0, old - (line[:1] != "+" and line[:1] != "\\")), max(0, new - (line[:1] not in ("-", "\\")))
        elif written and not line.startswith(("\\", "@@")) and line.strip():
            number += 1  # words of other tools between two files
            continue
        if written or line.startswith("@@"):
            written.append(line)
        number += 1
    return "\n".join(written) if written else diff


def _header(lines: list[str], number: int) -> list[str]:
    old, new = (_NAMES.match(line) for line in lines[number : number + 2])
    if old is None or new is None or not lines[number + 1].startswith("+++ "):
        return []
    before, after = old[2].strip(), new[2].strip()
    path = (before if after == "/dev/null" else after).removeprefix("a/" if after == "/dev/null" else "b/")
    kind = {before: "new file mode 100644", after: "deleted file mode 100644"}.get("/dev/null")
    names = ["--- /dev/null" if before == "/dev/null" else f"--- a/{path}"]
    names.append("+++ /dev/null" if after == "/dev/null" else f"+++ b/{path}")
    return [f"diff --git a/{path} b/{path}", *([kind] if kind else []), *names]


def honest_part(
    changes: Changes, *, is_test: Callable[[PurePosixPath], bool], exists: Callable[[PurePosixPath], bool]
) -> Changes:
    """The changes without those to tests that were there: what a patch is measured with stays as it was."""
    return tuple(
        change
        for change in changes
        if not any(is_test(path) and exists(path) for path in (change.path, change.renamed_from) if path is not None)
    )


@dataclass(frozen=True, slots=True)
class Given:
    """Proposes the one patch that was handed in: `whole` as it was, `changes` what is measured of it."""

    changes: Changes
    whole: Changes
    name: str = GIVEN

    async def patches(self, task: Task) -> AsyncIterator[Candidate]:  # noqa: ARG002 (it depends on nothing)
        """The patch."""
        first = next((change for change in (*self.changes, *self.whole) if change.path.suffix == ".py"), self.whole[0])
        start, end = changed_lines(first.before, first.after)
        yield Candidate(
            id=GIVEN,
            proposer=GIVEN,
            pattern=GIVEN,
            think="",
            answer="",
            changes=self.changes,
            location=Location(first.path, "", SymbolKind.MODULE, start, end, 0.0, ()),
            prior=0.0,
            normalized=normalized(self.changes) or GIVEN,
        )


def changed_lines(before: FileState | None, after: FileState | None) -> tuple[int, int]:
    """The first and the last line that differ, as the file without the change counts them (else 1 and 1)."""
    old, new = ([] if state is None else state.content.split(b"\n") for state in (before, after))
    codes = [code for code in SequenceMatcher(None, old, new, autojunk=False).get_opcodes() if code[0] != "equal"]
    if not codes:
        return 1, 1
    return min(code[1] for code in codes) + 1, max(1, *(code[2] for code in codes))
