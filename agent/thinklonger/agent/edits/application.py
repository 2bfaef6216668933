"""From edits to changes and back: applied to a tree all or nothing, derived as the smallest unique blocks."""

from collections.abc import Sequence

from thinklonger.agent.edits.edit import Edit
from thinklonger.agent.protocols import SourceTree
from thinklonger.agent.types import Changes


def apply_edits(edits: Sequence[Edit], tree: SourceTree) -> Changes:
    """Carry out the edits in order, each on the result of those before it; nothing is written.

    Changes come sorted by path, without no-ops. Raises EditError for a search text that stands nowhere or in
    several places, a path outside the repository, and a Python file that no longer parses.
    """
    raise NotImplementedError


def edits_of(changes: Changes) -> tuple[Edit, ...]:
    """Edits that make these changes again: `apply_edits(edits_of(changes), tree) == changes`."""
    raise NotImplementedError
