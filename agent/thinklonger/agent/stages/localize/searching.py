"""Search actions: what a model may ask of the code, as typed functions that it writes as text, one call a line."""

import asyncio
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from types import MappingProxyType

from thinklonger.agent.errors import ModelError, RepositoryError
from thinklonger.agent.prompts import Call, legible_path
from thinklonger.agent.protocols import RepositoryView
from thinklonger.agent.repository import Repository, split_terms
from thinklonger.agent.types import Message, Symbol, SymbolKind

ACTIONS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "search_class": ("name",),
        "search_method": ("name",),
        "search_method_in_class": ("name", "class"),
        "search_method_in_file": ("name", "path"),
        "search_code": ("text",),
        "search_code_in_file": ("text", "path"),
    }
)
"""The functions and what their arguments are."""

SHOWN = 3
"""Results of a call that are shown."""
NAMED = 12
"""Further results that are only named."""
CONTEXT = 3
"""Lines shown above and below a line that a text was found in."""
LONGEST = 160
"""Lines of a symbol that is shown whole; of a longer class the outline is shown, of a longer function what fits."""
_SECONDS = 3.0
"""Wall-clock time that one search through all files may take."""
_MOST_HITS = 60
_CODE = re.compile(r"\w")


@dataclass(frozen=True, slots=True)
class Hit:
    """A piece of code that was found: lines of a file (1-based, inclusive), what they are, and their text."""

    path: PurePosixPath
    start: int
    end: int
    about: str
    text: str


@dataclass(frozen=True, slots=True)
class Result:
    """What a call has found: the first hits, how many (at most 60 of a text), where the next ones are, or why none."""

    call: str
    hits: tuple[Hit, ...] = ()
    found: int = 0
    further: tuple[str, ...] = ()
    problem: Message | None = None


def check(call: Call) -> None:
    """Raise ModelError where there is no such function, or its arguments are not as many."""
    wanted = ACTIONS.get(call.name)
    if wanted is None:
        raise ModelError("localize.no-action", name=call.name, actions=", ".join(ACTIONS))
    if len(call.arguments) != len(wanted):
        form = f"{call.name}({', '.join(wanted)})"
        raise ModelError("localize.action-arguments", form=form, count=len(call.arguments))


class Searcher:
    """Carries out calls on one repository; `near` are the files that count most."""

    def __init__(
        self,
        repository: RepositoryView,
        *,
        near: Sequence[PurePosixPath],
        resolve: Callable[[str], Sequence[PurePosixPath]],
    ) -> None:
        """Nothing is read before it is asked for; `resolve` gives the files that fit a written path."""
        self._repository = repository
        self._near = tuple(near)
        self._resolve = resolve

    async def run(self, call: Call) -> Result:
        """Carry out one call that `check` has let through."""
        first = call.arguments[0].strip()
        match call.name:
            case "search_class":
                return self._symbols(call, self._named(first, SymbolKind.CLASS))
            case "search_method":
                return self._symbols(call, self._named(first, SymbolKind.FUNCTION, SymbolKind.METHOD))
            case "search_method_in_class":
                return self._symbols(call, self._methods(first, call.arguments[1].strip()))
            case "search_method_in_file":
                path = self._file(call.arguments[1])
                return self._symbols(call, self._in_file(first, path)) if path else self._no_file(call)
            case "search_code":
                return await self._everywhere(call)
            case _:
                path = self._file(call.arguments[1])
                return await self._code(call, (path,)) if path else self._no_file(call)

    # ── by name ──

    def _named(self, name: str, *kinds: SymbolKind) -> list[Symbol]:
        """Symbols of a name, those that count most first."""
        return self._sorted(symbol for symbol in self._repository.find(name.removesuffix("()")) if symbol.kind in kinds)

    def _methods(self, name: str, around: str) -> list[Symbol]:
        """Methods of a class, also where it inherits them from a class of the repository that its name stands for."""
        return self._sorted(self._repository.find(f"{around}.{name.removesuffix('()').rpartition('.')[2]}"))

    def _in_file(self, name: str, path: PurePosixPath) -> list[Symbol]:
        """Functions and methods of a file."""
        bare = name.removesuffix("()")
        return [
            symbol
            for symbol in self._repository.symbols(path)
            if symbol.name == bare or symbol.name.endswith(f".{bare}")
        ]

    def _sorted(self, symbols: Iterator[Symbol] | Sequence[Symbol]) -> list[Symbol]:
        """Symbols of near files first, those of tests last."""
        near = {path: number for number, path in enumerate(self._near)}
        return sorted(
            symbols, key=lambda one: (self._repository.is_test(one.path), near.get(one.path, len(near)), one.path)
        )

    def _symbols(self, call: Call, symbols: Sequence[Symbol]) -> Result:
        """A result of symbols."""
        if not symbols:
            return Result(call.written, problem=Message("localize.nothing-found"))
        hits = tuple(symbol_hit(symbol, self._repository) for symbol in symbols[:SHOWN])
        further = tuple(f"{legible_path(one.path)} :: {one.name}" for one in symbols[SHOWN : SHOWN + NAMED])
        return Result(call.written, hits, len(symbols), further)

    # ── by text ──

    def _file(self, written: str) -> PurePosixPath | None:
        """The one file that a path means."""
        found = self._resolve(written)
        return found[0] if len(found) == 1 else None

    def _no_file(self, call: Call) -> Result:
        """A result of a path that means nothing, or too much."""
        return Result(call.written, problem=Message("localize.no-file", {"path": call.arguments[1]}))

    def _in_order(self, paths: Sequence[PurePosixPath]) -> tuple[PurePosixPath, ...]:
        """Files: near ones, then code, then tests."""
        known = frozenset(paths)
        code = [path for path in paths if not self._repository.is_test(path)]
        return tuple(dict.fromkeys((*(path for path in self._near if path in known), *code, *paths)))

    async def _everywhere(self, call: Call) -> Result:
        """A result of lines of any file: of those that the index names for the text's words, else of all."""
        likely = _likely(self._repository, call.arguments[0])
        if likely:
            found = await self._code(call, self._in_order(likely))
            if found.hits:
                return found
        return await self._code(call, self._in_order(self._repository.paths()))

    async def _code(self, call: Call, paths: Sequence[PurePosixPath]) -> Result:
        """A result of lines that hold a text exactly; read in a thread, for a while at most."""
        text = call.arguments[0]
        if not _CODE.search(text):
            return Result(call.written, problem=Message("localize.text-too-short"))
        spots = await asyncio.to_thread(_spots, self._repository, paths, text.encode("utf-8", "surrogateescape"))
        if not spots:
            return Result(call.written, problem=Message("localize.nothing-found"))
        hits = tuple(lines_hit(path, start, end, self._repository) for path, start, end in spots[:SHOWN])
        further = tuple(f"{legible_path(path)} :: {start}" for path, start, _ in spots[SHOWN : SHOWN + NAMED])
        return Result(call.written, hits, len(spots), further)


def _likely(repository: RepositoryView, text: str) -> Sequence[PurePosixPath]:
    """The files that hold all words of a text as words of their own, by the index; none where it can't tell."""
    terms = set(split_terms(text))
    if not isinstance(repository, Repository) or not terms:
        return ()
    files: set[int] | None = None
    for term in terms:
        here = {posting.file for posting in repository.postings(term)}
        files = here if files is None else files & here
    paths = repository.paths()
    return [paths[number] for number in sorted(files or ())]


def _spots(
    repository: RepositoryView, paths: Sequence[PurePosixPath], text: bytes
) -> list[tuple[PurePosixPath, int, int]]:
    """Where a text stands: lines of files, in the files' order; those that lie close together as one."""
    found: list[tuple[PurePosixPath, int, int]] = []
    until = time.monotonic() + _SECONDS
    for path in paths:
        if len(found) >= _MOST_HITS or time.monotonic() > until:
            break
        try:
            state = repository.read(path)
        except RepositoryError:
            continue
        if state is not None and text in state.content:
            found.extend((path, start, end) for start, end in _ranges(state.content, text))
    return found


def _ranges(content: bytes, text: bytes) -> list[tuple[int, int]]:
    """The lines of one file's occurrences, joined where what is shown around them would overlap."""
    ranges: list[tuple[int, int]] = []
    at, line = 0, 1
    height = text.strip(b"\n").count(b"\n")
    while (next_at := content.find(text, at)) >= 0 and len(ranges) < _MOST_HITS:
        line += content.count(b"\n", at, next_at)
        at = next_at
        start = line + (len(text) - len(text.lstrip(b"\n")))
        if ranges and start - ranges[-1][1] <= 2 * CONTEXT:
            ranges[-1] = (ranges[-1][0], max(ranges[-1][1], start + height))
        else:
            ranges.append((start, start + height))
        line += content.count(b"\n", at, at + len(text))
        at += len(text)
    return ranges


# ── showing ──────────────────────────────────────────────────────────────────────────────────────────────────────


def symbol_hit(symbol: Symbol, repository: RepositoryView) -> Hit:
    """A symbol as it is shown: whole where it is short, else an outline of a class; a long function is cut later."""
    text = repository.source(symbol)
    about = f"{symbol.name}, lines {symbol.start_line}-{symbol.end_line}"
    if symbol.kind is SymbolKind.CLASS and text.count("\n") > LONGEST:
        return Hit(symbol.path, symbol.start_line, symbol.start_line, f"{about}, outline", _outline(symbol, repository))
    return Hit(symbol.path, symbol.start_line, symbol.end_line, about, text)


def lines_hit(path: PurePosixPath, start: int, end: int, repository: RepositoryView) -> Hit:
    """Lines of a file with some around them, and the symbol that they are in."""
    try:
        state = repository.read(path)
    except RepositoryError:
        state = None
    lines = state.content.decode("utf-8", "replace").splitlines() if state is not None else []
    first, last = max(1, start - CONTEXT), min(len(lines), end + CONTEXT)
    around = [one for one in repository.symbols(path) if one.start_line <= start <= one.end_line]
    about = f"{around[-1].name}, lines {first}-{last}" if around else f"lines {first}-{last}"
    return Hit(path, first, last, about, "\n".join(lines[first - 1 : last]))


def _outline(symbol: Symbol, repository: RepositoryView) -> str:
    """A class's own lines up to its first member, then the first line of each member."""
    lines = repository.source(symbol).split("\n")
    members = [
        one
        for one in repository.symbols(symbol.path)
        if one.name.startswith(f"{symbol.name}.") and one.name.count(".") == symbol.name.count(".") + 1
    ]
    head = lines[: max(1, members[0].start_line - symbol.start_line)] if members else lines[:LONGEST]
    signatures = (f"{_signature(one, lines, symbol)}  # lines {one.start_line}-{one.end_line}" for one in members)
    return "\n".join((*head[:LONGEST], *signatures))


def _signature(member: Symbol, lines: Sequence[str], around: Symbol) -> str:
    """The line of a member that says its name, below its decorators."""
    bare = member.name.rpartition(".")[2]
    own = lines[member.start_line - around.start_line : member.end_line - around.start_line + 1]
    return next(
        (line for line in own if re.search(rf"\b(?:def|class)\s+{re.escape(bare)}\b", line)), own[0] if own else ""
    )
