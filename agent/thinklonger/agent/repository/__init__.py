"""A repository at a commit plus working-tree changes: files, symbols, imports, references, terms, cached by content."""

from thinklonger.agent.repository.listing import Problem
from thinklonger.agent.repository.opening import open_repository
from thinklonger.agent.repository.terms import split_terms
from thinklonger.agent.repository.view import FieldStatistics, IndexStatistics, Lengths, Posting, Repository

__all__ = [
    "FieldStatistics",
    "IndexStatistics",
    "Lengths",
    "Posting",
    "Problem",
    "Repository",
    "open_repository",
    "split_terms",
]
