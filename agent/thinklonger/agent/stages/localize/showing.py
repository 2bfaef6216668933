"""What a model is shown while it localizes: the code of places named before, of those it names, and calls' results."""

from collections.abc import Sequence

from thinklonger.agent import messages
from thinklonger.agent.prompts import excerpt
from thinklonger.agent.protocols import Branch, RepositoryView, Task
from thinklonger.agent.stages.localize.searching import LONGEST, Hit, Result, lines_hit, symbol_hit
from thinklonger.agent.types import Location

FIRST_PLACES = 8
"""Places whose code the stage begins with."""


def first_hits(task: Task, parent: Branch) -> list[Hit]:
    """The code of the places that the parent names, then of those that analysis suspects in its files."""
    known = task.localization.locations if task.localization is not None else ()
    near = [location for location in known if location.path in parent.files]
    hits = dict.fromkeys(_hit(location, task.repository) for location in (*parent.locations, *near)[:FIRST_PLACES])
    return list(hits) or [lines_hit(path, 1, LONGEST, task.repository) for path in parent.files[:2]]


def unseen_hits(locations: Sequence[Location], seen: Sequence[Hit], repository: RepositoryView) -> list[Hit]:
    """The code of places that a sample has not been shown."""
    return list(
        dict.fromkeys(
            _hit(location, repository)
            for location in locations
            if not any(
                hit.path == location.path
                and hit.start <= location.start_line
                and (location.end_line <= hit.end or hit.start == location.start_line)
                for hit in seen
            )
        )
    )


def _hit(location: Location, repository: RepositoryView) -> Hit:
    """A place's code: its symbol's, or lines of it where that is long."""
    symbol = next(
        (
            one
            for one in repository.symbols(location.path)
            if one.name == location.symbol and one.start_line <= location.start_line <= one.end_line
        ),
        None,
    )
    whole = symbol is not None and (location.start_line, location.end_line) == (symbol.start_line, symbol.end_line)
    if symbol is not None and (whole or symbol.end_line - symbol.start_line < LONGEST):
        return symbol_hit(symbol, repository)
    return lines_hit(location.path, location.start_line, location.end_line, repository)


def texts_of(hits: Sequence[Hit]) -> tuple[str, ...]:
    """The code of hits."""
    return tuple(hit.text for hit in hits)


def excerpts(hits: Sequence[Hit], texts: Sequence[str]) -> list[str]:
    """Hits as they are shown, with as much of their texts as there was room for."""
    return [excerpt(hit.path, text, about=hit.about) for hit, text in zip(hits, texts, strict=False)]


def heading(result: Result) -> str:
    """What stands above the results of one call."""
    if result.problem is not None:
        return f"{result.call}: {messages.render(result.problem)}"
    further = f", also {', '.join(result.further)}" if result.further else ""
    return f"{result.call}: found {result.found}{further}"
