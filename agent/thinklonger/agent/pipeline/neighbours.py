"""Small edits of a patch itself: one that passes the same tests and behaves differently shows what they leave open.

Only what the patch brings in is edited, to the word: that a test says nothing of an index which stood there before
tells nothing of the patch beside it.
"""

import ast
import re
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from itertools import islice
from pathlib import PurePosixPath

from thinklonger.agent.config.places import cache_directory
from thinklonger.agent.edits import layer_of
from thinklonger.agent.pipeline.donors import exchanged, numbered
from thinklonger.agent.pipeline.given import changed_lines
from thinklonger.agent.pipeline.request import Request
from thinklonger.agent.protocols import RepositoryView, Task
from thinklonger.agent.repository import open_repository
from thinklonger.agent.solver import Solver
from thinklonger.agent.types import Candidate, Changes, FileState, Localization, Location, SymbolKind

NEIGHBOUR = "neighbour"
MOST = 60  # edits of the patch that are tried, the likeliest
MOST_NUMBERS, MOST_NUMBERED = 4, 16  # of the issue's numbers, and edits with them
_WORD = re.compile(r"\w+|\s+|[^\w\s]")
_NUMBER = re.compile(r"(?<![\w.])[1-9]\d{1,5}(?!\.?\w)")
EXCHANGED = 0.5  # how likely an exchanged value is, beside the likeliest of the solver's edits
IDLE = frozenset({"missing-wrapper", "needless-wrapper"})
"""Patterns that tell nothing here: `int()` around a truth value passes every test, and nobody means it."""
FAINT = 1e-9  # what their priors are scaled by until the solver's own are known


@dataclass(frozen=True, slots=True)
class Neighbours:
    """Proposes the patch with one more edit of the solver's, on or beside a line that the patch changes."""

    request: Request
    changes: Changes
    name: str = NEIGHBOUR

    async def patches(self, task: Task) -> AsyncIterator[Candidate]:
        """The likeliest edits first; their priors are in (0, FAINT]."""
        lines = {change.path: new_lines(change.before, change.after) for change in self.changes}
        lines = {path: found for path, found in lines.items() if found and not task.repository.is_test(path)}
        if not lines:
            return
        overlay = {**(self.request.overlay or {}), **layer_of(self.changes)}
        patched = await open_repository(
            self.request.repository, cache=cache_directory(self.request.settings), overlay=overlay
        )
        try:
            places = _places(patched, lines)
            asked = Task(task.issue, patched, localization=Localization((), places))
            number, heaviest = 0, 0.0
            numbers = self._numbers(task)
            for candidate in self._exchanged(lines, numbers):
                number += 1
                yield replace(candidate, id=f"{NEIGHBOUR}-{number}")
            async for candidate in Solver().patches(asked):
                if candidate.pattern in IDLE or not self._is_near(candidate, lines):
                    continue
                number += 1
                heaviest = max(heaviest, candidate.prior)
                prior = FAINT * candidate.prior / heaviest
                changes = self._on_the_base(candidate.changes)
                yield replace(
                    candidate,
                    id=f"{NEIGHBOUR}-{number}",
                    proposer=NEIGHBOUR,
                    changes=changes,
                    prior=prior,
                    normalized="",
                )
                if number >= MOST:
                    return
        finally:
            await patched.close()

    def _exchanged(self, lines: dict[PurePosixPath, frozenset[int]], numbers: Sequence[int]) -> Iterator[Candidate]:
        """The patch with one of its values exchanged for another of the same function."""
        for change in self.changes:
            if change.after is None or change.path not in lines:
                continue
            text = change.after.content.decode("utf-8", "surrogateescape")
            unknown = [number for number in numbers if not re.search(rf"\b{number}\b", text)]
            more = islice(numbered(text, lines[change.path], unknown), MOST_NUMBERED)
            for line, other in (*exchanged(text, lines[change.path]), *more):
                state = FileState(other.encode("utf-8", "surrogateescape"), change.after.executable)
                yield Candidate(
                    id=NEIGHBOUR,
                    proposer=NEIGHBOUR,
                    pattern="exchanged-value",
                    think="",
                    answer="",
                    changes=self._on_the_base((replace(change, after=state),)),
                    location=Location(change.path, "", SymbolKind.MODULE, line, line, 0.0, ()),
                    prior=FAINT * EXCHANGED,
                    normalized="",
                )

    def _numbers(self, task: Task) -> list[int]:
        """The larger numbers that the issue names and the failing tests' files don't."""
        results = task.reproduction.results if task.reproduction else ()
        states = [
            task.repository.read(PurePosixPath(path)) for path in {item.id.partition("::")[0] for item in results}
        ]
        known = {word for state in states if state for word in re.findall(rb"\d+", state.content)}
        words = dict.fromkeys(_NUMBER.findall(self.request.issue.text))
        return [int(word) for word in words if word.encode() not in known][:MOST_NUMBERS]

    def _is_near(self, candidate: Candidate, lines: dict[PurePosixPath, frozenset[int]]) -> bool:
        (change,) = candidate.changes
        start, end = changed_lines(change.before, change.after)
        if lines.get(change.path, frozenset()).isdisjoint(range(start, end + 1)):
            return False
        before = next((own.before for own in self.changes if own.path == change.path), None)
        low, high = edited_span(change.before, change.after)
        if any(start <= low and high <= end for start, end in wordings(change.before)):
            return False
        return any(start <= high and low <= end for start, end in new_spans(before, change.before))

    def _on_the_base(self, edits: Changes) -> Changes:
        """The patch and the edit as one change of the base."""
        after = {change.path: change.after for change in edits}
        return tuple(replace(change, after=after.get(change.path, change.after)) for change in self.changes)


def new_lines(before: FileState | None, after: FileState | None) -> frozenset[int]:
    """The lines of the file as the patch leaves it that were not there before."""
    old, new = ([] if state is None else state.content.split(b"\n") for state in (before, after))
    codes = SequenceMatcher(None, old, new, autojunk=False).get_opcodes()
    return frozenset(line + 1 for kind, _, _, low, high in codes if kind != "equal" for line in range(low, high))


def new_spans(before: FileState | None, after: FileState | None) -> tuple[tuple[int, int], ...]:
    """Where the file as the patch leaves it has words, signs or whitespace that it had not: offsets in bytes."""
    old, new = ([] if state is None else state.content.split(b"\n") for state in (before, after))
    starts = [0]
    for line in new:
        starts.append(starts[-1] + len(line) + 1)
    found: list[tuple[int, int]] = []
    for kind, a, b, low, high in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if kind in ("insert", "replace"):
            inside = _new_words(b"\n".join(old[a:b]), b"\n".join(new[low:high]))
            found += [(starts[low] + start, starts[low] + end) for start, end in inside]
    return tuple(found)


def _new_words(old: bytes, new: bytes) -> Iterator[tuple[int, int]]:
    before, after = (_WORD.findall(text.decode("latin-1")) for text in (old, new))
    starts = [0]
    for word in after:
        starts.append(starts[-1] + len(word))
    for kind, _, _, low, high in SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if kind in ("insert", "replace"):
            yield starts[low], starts[high]


def wordings(state: FileState | None) -> tuple[tuple[int, int], ...]:
    """Where the texts of errors stand that a file raises, in bytes: their wording is nobody's repair."""
    content = b"" if state is None else state.content
    try:
        tree = ast.parse(content)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ()
    starts = [0]
    for line in content.split(b"\n"):
        starts.append(starts[-1] + len(line) + 1)
    raised = [node.exc for node in ast.walk(tree) if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call)]
    texts = [item for call in raised for item in call.args if isinstance(item, ast.JoinedStr) or _is_text(item)]
    return tuple(
        (starts[item.lineno - 1] + item.col_offset, starts[item.end_lineno - 1] + item.end_col_offset)
        for item in texts
        if item.end_lineno is not None and item.end_col_offset is not None
    )


def _is_text(item: ast.expr) -> bool:
    return isinstance(item, ast.Constant) and isinstance(item.value, str)


def edited_span(before: FileState | None, after: FileState | None) -> tuple[int, int]:
    """From where to where an edit changes a file, as offsets in the bytes that it had."""
    old, new = (b"" if state is None else state.content for state in (before, after))
    start = _alike(old, new)
    return start, len(old) - _alike(old[start:][::-1], new[start:][::-1])


def _alike(one: bytes, other: bytes) -> int:
    """How many bytes both begin with."""
    return next(
        (place for place, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other))
    )


def _places(repository: RepositoryView, lines: dict[PurePosixPath, frozenset[int]]) -> tuple[Location, ...]:
    """The changed lines as locations."""
    return tuple(
        Location(path, "", SymbolKind.MODULE, min(found), max(found), 1.0, ())
        for path, found in lines.items()
        if repository.read(path) is not None
    )
