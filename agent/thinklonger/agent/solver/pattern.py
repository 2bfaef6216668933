"""A fix pattern: one kind of mistake, how often developers make it, and the edits that undo or make it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

from thinklonger.agent.solver.place import Edit, Place

Sites: TypeAlias = Callable[[Place], Iterator[Edit]]
"""All edits of one kind at one place, likeliest first."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """One row of the catalogue.

    `repairs` proposes edits of wrong code. `injections`, where the mistake can be made mechanically, makes edits of
    right code that `repairs` can undo; many patterns are their own inverse. `prior` in (0, 1] is the weight of the
    pattern's best edit at one place, relative to other patterns (how it was set: `catalogue`). `structural`: it moves
    or inserts a statement (deleting one, or changing an expression, is not structural). No repair weighs more than
    `ceiling`: once an edit of that weight is there, equally suspicious places can wait.
    """

    name: str
    family: str
    summary: str
    prior: float
    repairs: Sites
    injections: Sites | None = None
    structural: bool = False
    ceiling: float = 1.0
