"""A repository at a commit plus working-tree changes: files, symbols, imports, references, terms, cached by content."""

from typing import TYPE_CHECKING

from thinklonger.agent.repository.terms import cut_words, split_terms

if TYPE_CHECKING:
    from thinklonger.agent.repository.listing import Problem
    from thinklonger.agent.repository.opening import open_repository
    from thinklonger.agent.repository.view import FieldStatistics, IndexStatistics, Lengths, Posting, Repository

__all__ = [
    "FieldStatistics",
    "IndexStatistics",
    "Lengths",
    "Posting",
    "Problem",
    "Repository",
    "cut_words",
    "open_repository",
    "split_terms",
]


def __getattr__(name: str) -> object:
    """Load the rest when it is asked for: the indexing processes live in this package and start faster without it."""
    if name not in __all__:
        raise AttributeError(name)
    from thinklonger.agent.repository import listing, opening, view  # noqa: PLC0415 - this is the point

    home = {"open_repository": opening, "Problem": listing}.get(name, view)
    return getattr(home, name)
