"""Places that a model names, looked up in the repository: which piece of code is meant, or why it can't be told."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from thinklonger.agent.prompts.answers import Place
from thinklonger.agent.prompts.fences import legible_path
from thinklonger.agent.protocols import RepositoryView
from thinklonger.agent.types import Evidence, EvidenceKind, Location, Message, Symbol, SymbolKind

_LONGEST = 200
"""Characters that are kept of a reason."""
_SHOWN = 6
"""Names that are listed where several fit."""
_LESS = 0.25
"""How much less each further place counts than the first."""


@dataclass(frozen=True, slots=True)
class Located:
    """The places that stand for code, in order and each once, and for each other one what is wrong with it."""

    locations: tuple[Location, ...]
    unknown: tuple[Message, ...]


def locate(
    places: Sequence[Place], repository: RepositoryView, resolve: Callable[[str], Sequence[PurePosixPath]]
) -> Located:
    """The code that places mean; `resolve` gives the files that fit a written path equally well.

    A symbol may lack its class where its file has only one of that name, and its file may be wrong where the whole
    repository has only one. Scores fall from 1 on in the order of the places.
    """
    found: dict[tuple[PurePosixPath, str, int, int], Location] = {}
    unknown: list[Message] = []
    for place in places:
        location = _located(place, repository, resolve)
        if isinstance(location, Message):
            unknown.append(location)
        else:
            found.setdefault((location.path, location.symbol, location.start_line, location.end_line), location)
    return Located(tuple(_ranked(number, location) for number, location in enumerate(found.values())), tuple(unknown))


def _ranked(number: int, location: Location) -> Location:
    """A location with the score of its rank, as is its evidence's weight."""
    score = round(1 / (1 + _LESS * number), 4)
    return replace(location, score=score, evidence=tuple(replace(one, weight=score) for one in location.evidence))


def _located(
    place: Place, repository: RepositoryView, resolve: Callable[[str], Sequence[PurePosixPath]]
) -> Location | Message:
    """One place."""
    paths = resolve(place.path)
    path = paths[0] if len(paths) == 1 else None
    if place.lines is not None:
        if path is None:
            return Message("localize.no-file", {"path": place.path})
        return _lines(path, place.lines, place, repository)
    symbols = _in_file(path, place.symbol, repository) if path is not None else []
    if not symbols:
        named = [one for one in repository.find(place.symbol) if one.kind is not SymbolKind.MODULE]
        symbols = [one for one in named if one.path == path] or [
            one for one in named if not repository.is_test(one.path)
        ]
        if len(symbols) > 1 and path is not None:
            symbols = []
    if len(symbols) > 1:
        fitting = ", ".join(f"{legible_path(one.path)} :: {one.name}" for one in symbols[:_SHOWN])
        return Message("localize.several-symbols", {"symbol": place.symbol, "fitting": fitting})
    if not symbols:
        if path is None:
            return Message("localize.no-file", {"path": place.path})
        return Message("localize.no-symbol", {"symbol": place.symbol, "path": legible_path(path)})
    found = symbols[0]
    return _location(found, found.start_line, found.end_line, place)


def _in_file(path: PurePosixPath, name: str, repository: RepositoryView) -> list[Symbol]:
    """A file's symbols of a name: of the whole name, else those that end with it."""
    symbols = repository.symbols(path)
    return [one for one in symbols if one.name == name] or [one for one in symbols if one.name.endswith(f".{name}")]


def _lines(path: PurePosixPath, lines: tuple[int, int], place: Place, repository: RepositoryView) -> Location | Message:
    """Lines of a file, with the innermost symbol around them."""
    state = repository.read(path)
    length = len(state.content.splitlines()) if state is not None else 0
    start, end = lines[0], min(lines[1], length)
    if start > length:
        return Message("localize.no-lines", {"path": legible_path(path), "line": start, "length": length})
    around = [one for one in repository.symbols(path) if one.start_line <= start and end <= one.end_line]
    module = Symbol(path, "", SymbolKind.MODULE, 1, length)
    return _location(around[-1] if around else module, start, end, place)


def _location(symbol: Symbol, start: int, end: int, place: Place) -> Location:
    """Lines of a symbol as a location, with the model's reason."""
    why = " ".join(place.why.split())[:_LONGEST]
    message = Message("localize.asked-why", {"why": why}) if why else Message("localize.asked")
    evidence = (Evidence(EvidenceKind.MODEL, 1.0, message),)
    return Location(symbol.path, symbol.name, symbol.kind, start, end, 1.0, evidence)
