"""A git diff read back into changes: exactly where it says and only onto what it expects, or not at all."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from thinklonger.agent.edits.binary import read_literal
from thinklonger.agent.edits.diff import blob_id
from thinklonger.agent.edits.lines import lines_of
from thinklonger.agent.edits.paths import confine, shown, unquoted
from thinklonger.agent.errors import EditError
from thinklonger.agent.protocols import SourceTree
from thinklonger.agent.types import Changes, FileChange, FileState

_HUNK = re.compile(r"@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@.*", re.DOTALL)
_MODE = re.compile(r"(?:old mode|new mode|new file mode|deleted file mode) (\d+)")
_INDEX = re.compile(r"index ([0-9a-f]+)\.\.([0-9a-f]+)(?: \d+)?")
_MODES = {"100644": False, "100755": True}


@dataclass(frozen=True, slots=True)
class _Hunk:
    """Lines that stand from `start` (0-based) in the old text, and those that take their place."""

    start: int
    old: tuple[str, ...]
    new: tuple[str, ...]
    line: int


@dataclass(slots=True)
class _FilePatch:
    """What the diff says of one file."""

    line: int
    old: PurePosixPath
    new: PurePosixPath
    created: bool = False
    deleted: bool = False
    renamed: bool = False
    executable: bool | None = None
    ids: tuple[str, str] = ("", "")
    hunks: list[_Hunk] = field(default_factory=list[_Hunk])
    binary: bytes | None = None


def parse_diff(diff: str, tree: SourceTree) -> Changes:
    """The changes that a git diff makes to the tree; raises EditError where it doesn't match exactly.

    Line numbers and contexts are taken at their word, binary files by their ids. Refused: symbolic links,
    submodules, copies, and binary deltas.
    """
    patches = _Reader(diff.split("\n")).patches()
    found = [_change(patch, tree) for patch in patches]
    vacated = {change.renamed_from for change in found}
    for change, patch in zip(found, patches, strict=True):
        appears = change.before is None or change.renamed_from is not None
        if appears and change.path not in vacated and tree.read(change.path) is not None:
            raise EditError("edits.diff-exists", path=shown(change.path), line=patch.line)
        if change.renamed_from is None and change.path in vacated and change.before is not None:
            raise EditError("edits.diff-twice", path=shown(change.path), line=patch.line)
    if len({change.path for change in found}) < len(found):
        paths = [change.path for change in found]
        twice = next(number for number, path in enumerate(paths) if path in paths[:number])
        raise EditError("edits.diff-twice", path=shown(paths[twice]), line=patches[twice].line)
    real = (change for change in found if change.before != change.after or change.renamed_from is not None)
    return tuple(sorted(real, key=lambda change: change.path.as_posix()))


def _change(patch: _FilePatch, tree: SourceTree) -> FileChange:
    confine(patch.new, tree.root)
    before = None if patch.created else tree.read(confine(patch.old, tree.root))
    if before is None and not patch.created:
        raise EditError("edits.diff-no-file", path=shown(patch.old), line=patch.line)
    content = _patched(patch, before.content if before else b"")
    if patch.deleted:
        if content:
            raise EditError("edits.diff-leftover", path=shown(patch.old), line=patch.line)
        return FileChange(patch.old, before, None)
    executable = before is not None and before.executable if patch.executable is None else patch.executable
    return FileChange(patch.new, before, FileState(content, executable), patch.old if patch.renamed else None)


def _patched(patch: _FilePatch, content: bytes) -> bytes:
    if patch.binary is not None:
        before, after = patch.ids
        if blob_id(FileState(content)) != before and not (patch.created and not before.strip("0")):
            raise EditError("edits.diff-mismatch", path=shown(patch.old), line=patch.line)
        if blob_id(FileState(patch.binary)) != after and not (patch.deleted and not after.strip("0")):
            raise EditError("edits.diff-malformed", line=patch.line)
        return patch.binary
    lines = lines_of(content.decode("utf-8", "surrogateescape"))
    result: list[str] = []
    position = 0
    for hunk in patch.hunks:
        end = hunk.start + len(hunk.old)
        if hunk.start < position or tuple(lines[hunk.start : end]) != hunk.old:
            raise EditError("edits.diff-mismatch", path=shown(patch.old), line=hunk.line)
        result += [*lines[position : hunk.start], *hunk.new]
        position = end
    result += lines[position:]
    if any(not line.endswith("\n") for line in result[:-1]):
        raise EditError("edits.diff-mismatch", path=shown(patch.old), line=patch.line)
    try:
        return "".join(result).encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        raise EditError("edits.diff-malformed", line=patch.line) from None


# ── reading ──────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(slots=True)
class _Reader:
    """Goes through the diff's lines once; `number` is the line that is looked at, 0-based."""

    lines: Sequence[str]
    number: int = 0

    def patches(self) -> list[_FilePatch]:
        """All files' patches, in the diff's order."""
        found: list[_FilePatch] = []
        while self.number < len(self.lines):
            line = self.lines[self.number]
            if line.startswith("diff --git "):
                found.append(self._file())
            elif found and line.strip():
                raise self._malformed()
            else:
                self.number += 1
        if not found and any(line.strip() for line in self.lines):
            raise EditError("edits.diff-malformed", line=1)
        return found

    def _malformed(self) -> EditError:
        return EditError("edits.diff-malformed", line=self.number + 1)

    def _file(self) -> _FilePatch:
        old, new = self._header_names()
        patch = _FilePatch(self.number + 1, old, new)
        self.number += 1
        while self.number < len(self.lines):
            line = self.lines[self.number]
            if line.startswith("diff --git ") or not line:
                break
            if line.startswith("@@ "):
                patch.hunks.append(self._hunk())
            elif line == "GIT binary patch":
                patch.binary = self._binary()
            else:
                self._extended(patch, line)
                self.number += 1
        if patch.old != patch.new and not patch.renamed:
            raise EditError("edits.diff-malformed", line=patch.line)
        return patch

    def _extended(self, patch: _FilePatch, line: str) -> None:
        mode, index = _MODE.fullmatch(line), _INDEX.fullmatch(line)
        if mode:
            if mode[1] not in _MODES:
                raise EditError("edits.diff-special", path=shown(patch.new), line=self.number + 1)
            patch.created |= line.startswith("new file")
            patch.deleted |= line.startswith("deleted")
            patch.executable = _MODES[mode[1]]
        elif index:
            patch.ids = (index[1], index[2])
        elif line.startswith("rename from "):
            patch.old, patch.renamed = self._path(line.removeprefix("rename from "), ""), True
        elif line.startswith("rename to "):
            patch.new, patch.renamed = self._path(line.removeprefix("rename to "), ""), True
        elif line.startswith(("--- ", "+++ ")):
            self._check_name(patch, line)
        elif not line.startswith(("similarity index ", "dissimilarity index ")):
            raise self._malformed()

    def _check_name(self, patch: _FilePatch, line: str) -> None:
        name = line[4:]
        if name == "/dev/null":
            if not (patch.created if line.startswith("---") else patch.deleted):
                raise self._malformed()
        elif line.startswith("---"):
            patch.old = self._path(name.removesuffix("\t"), "a/")
        else:
            patch.new = self._path(name.removesuffix("\t"), "b/")

    def _header_names(self) -> tuple[PurePosixPath, PurePosixPath]:
        """Both names of a `diff --git` line; where unquoted names differ, the lines below will tell."""
        text = self.lines[self.number].removeprefix("diff --git ")
        if text.startswith('"'):
            end = re.match(r'"(?:[^"\\]|\\.)*"', text)
            if end is None:
                raise self._malformed()
            return self._path(end[0], "a/"), self._path(text[end.end() + 1 :], "b/")
        if text.endswith('"'):
            first, _, second = text.partition(' "')
            return self._path(first, "a/"), self._path('"' + second, "b/")
        half = len(text) // 2
        if text[2:half] == text[half + 3 :]:
            return self._path(text[:half], "a/"), self._path(text[half + 1 :], "b/")
        first, _, second = text.partition(" b/")
        return self._path(first, "a/"), self._path("b/" + second, "b/")

    def _path(self, text: str, prefix: str) -> PurePosixPath:
        try:
            name = unquoted(text) if text.startswith('"') else text
        except ValueError:
            raise self._malformed() from None
        if not name.startswith(prefix) or name == prefix:
            raise self._malformed()
        return PurePosixPath(name[len(prefix) :])

    def _hunk(self) -> _Hunk:
        start_line = self.number + 1
        header = _HUNK.fullmatch(self.lines[self.number])
        if header is None:
            raise self._malformed()
        start, count = int(header[1]), int(header[2] or 1)
        left = {"-": count, "+": int(header[4] or 1)}
        old: list[str] = []
        new: list[str] = []
        self.number += 1
        while left["-"] > 0 or left["+"] > 0:
            line = self._hunk_line()
            sign, text = line[:1] or " ", line[1:] + "\n"
            if sign not in "-+ ":
                raise self._malformed()
            if self.number < len(self.lines) and self.lines[self.number].startswith("\\ "):
                text = text[:-1]
                self.number += 1
            for side, lines in (("-", old), ("+", new)):
                if sign in (side, " "):
                    lines.append(text)
                    left[side] -= 1
        if min(left.values()) < 0:
            raise EditError("edits.diff-malformed", line=start_line)
        return _Hunk(start - 1 if count else start, tuple(old), tuple(new), start_line)

    def _hunk_line(self) -> str:
        if self.number >= len(self.lines):
            raise self._malformed()
        self.number += 1
        return self.lines[self.number - 1]

    def _binary(self) -> bytes:
        try:
            content, self.number = read_literal(self.lines, self.number + 1)
            if self.number < len(self.lines) and self.lines[self.number].startswith("literal "):
                _, self.number = read_literal(self.lines, self.number)
        except (ValueError, IndexError):
            raise self._malformed() from None
        return content
