"""The proposer that needs no model: suspicious places times fix patterns, best first."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import PurePosixPath

from thinklonger.agent.protocols import Task
from thinklonger.agent.solver import clues, suspicion
from thinklonger.agent.solver.catalogue import PATTERNS
from thinklonger.agent.solver.module import Module
from thinklonger.agent.solver.order import Ranked, ranked
from thinklonger.agent.solver.place import Function, Place
from thinklonger.agent.solver.source import Source
from thinklonger.agent.solver.suspicion import Suspicion
from thinklonger.agent.types import Candidate, FileChange, FileState, Location, SymbolKind

_BREATH = 16
"""How many candidates are made before other work on the event loop gets its turn."""


class Solver:
    """Proposes single-edit patches from the catalogue; reads source text and the task's evidence, runs nothing.

    Candidates come most promising first, in an order that depends on the task alone. Each changes one contiguous
    region of one file that is not a test; the changed file parses. No two have the same `normalized`.
    """

    name = "builtin"

    async def patches(self, task: Task) -> AsyncIterator[Candidate]:
        """Candidates for the task, most promising first, until the catalogue is exhausted."""
        for number, candidate in enumerate(candidates(task)):
            if number % _BREATH == 0:
                await asyncio.sleep(0)
            yield candidate


def candidates(task: Task) -> Iterator[Candidate]:
    """What `Solver.patches` gives, without an event loop."""
    files: dict[PurePosixPath, tuple[FileState, Module, Suspicion]] = {}
    results = task.reproduction.results if task.reproduction is not None else ()
    found = clues.read(results, lambda path: _test_content(task, path))
    for path in suspicion.suspects(task):
        state = task.repository.read(path)
        source = Source.parse(path, state.content) if state is not None else None
        if state is not None and source is not None:
            module = Module(source, found)
            files[path] = (state, module, suspicion.of(task, module))
    seen: set[str] = set()
    pairs = [(module, suspected) for _, module, suspected in files.values()]
    for item in ranked(pairs, PATTERNS) if pairs else ():
        path = item.edit.place.source.path
        state, module, suspected = files[path]
        made = _candidate(item, state, module, seen)
        if made is None:
            continue
        content, normalized = made
        yield Candidate(
            id=f"builtin-{len(seen)}",
            proposer=Solver.name,
            pattern=item.pattern.name,
            think=account(item, suspected),
            answer="",
            changes=(FileChange(path, state, FileState(content, state.executable)),),
            location=_location(task, item.edit.place, item.edit.start),
            prior=item.weight,
            normalized=normalized,
        )


def _test_content(task: Task, path: PurePosixPath) -> bytes | None:
    """A test file's bytes; None for what is no test."""
    state = task.repository.read(path) if task.repository.is_test(path) else None
    return state.content if state is not None else None


def _candidate(item: Ranked, state: FileState, module: Module, seen: set[str]) -> tuple[bytes, str] | None:
    """The changed file and the digest of its tree; None where the edit is no edit, no code, or was seen."""
    normalized = module.normalized(item.edit)
    if normalized is None or normalized in seen:
        return None
    content = module.source.splice(item.edit.start, item.edit.end, item.edit.text)
    if content is None or content == state.content:
        return None
    seen.add(normalized)
    return content, normalized


def account(item: Ranked, suspected: Suspicion) -> str:
    """The solver's account of an edit: what is suspicious and why, what the edit changes, which pattern it follows."""
    place = item.edit.place
    where = f"`{symbol(place)[0]}`" if symbol(place)[0] else "the module"
    words = item.edit.words
    note = words[:1].upper() + words[1:]
    line = place.source.line_at(min(item.edit.start, max(len(place.source.text) - 1, 0)))
    return (
        f"Line {line} in {where} of {place.source.path} {suspected.words(place)}. "
        f"{note}. Pattern {item.pattern.name}: {item.pattern.summary}."
    )


def symbol(place: Place) -> tuple[str, SymbolKind, Place | None]:
    """The innermost function or class around a place: its qualified name, kind and place; empty for the module."""
    inside: Place | None = place if isinstance(place.node, Function) else place.function or place.klass
    if inside is None:
        return "", SymbolKind.MODULE, None
    names: list[str] = []
    current: Place | None = inside
    while current is not None:
        name = getattr(current.node, "name", None)
        if isinstance(name, str) and (
            isinstance(current.node, Function) or current is current.klass or hasattr(current.node, "bases")
        ):
            names.append(name)
        current = current.parent
    if not isinstance(inside.node, Function):
        return ".".join(names[::-1]), SymbolKind.CLASS, inside
    method = inside.parent is not None and inside.parent is inside.klass
    return ".".join(names[::-1]), SymbolKind.METHOD if method else SymbolKind.FUNCTION, inside


def _location(task: Task, place: Place, offset: int) -> Location:
    """The ranked location that holds the edit; where there is none, the function around it, without a score."""
    line = place.source.line_at(min(offset, max(len(place.source.text) - 1, 0)))
    if task.localization is not None:
        for location in task.localization.locations:
            if location.path == place.source.path and location.start_line <= line <= location.end_line:
                return location
    name, kind, inside = symbol(place)
    first, last = (inside.line, inside.last_line) if inside is not None else (line, line)
    return Location(place.source.path, name, kind, first, last, 0.0, ())
