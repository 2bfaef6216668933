"""The recent past as a weak prior: files that changed lately and often are a little more suspicious."""

import json
import math
from typing import cast

from thinklonger.agent.repository import git
from thinklonger.agent.repository.listing import Listing
from thinklonger.agent.repository.store import Store

_COMMITS = 200
_LARGEST_COMMIT = 50
"""Commits of more files are sweeps (formatting, renames) and say nothing about one file."""
_NOTE = "recency"


def recency(listing: Listing, store: Store, tree: int) -> dict[str, float]:
    """A score in (0, 1] for each path that the last commits touched; remembered for the commit that is checked out.

    The n-th commit from the newest adds 1 / (1 + exp(-12 t + 12)), t falling from 1 to 0 along those looked at: the
    time-weighted risk of Lewis et al., 'Does bug prediction support human developers?' (ICSE 2013), by rank in
    history rather than by date. The sum is scaled by the largest of the tree.
    """
    if not listing.is_git or listing.commit is None:
        return {}
    name = f"{_NOTE} {listing.commit}"
    if (kept := store.note(tree, _NOTE)) is not None:
        commit, _, scores = kept.partition("\n")
        if commit == name:
            try:
                return {path: float(score) for path, score in cast("dict[str, float]", json.loads(scores)).items()}
            except (ValueError, AttributeError, TypeError):
                pass
    scores = _scores(listing)
    store.set_note(tree, _NOTE, f"{name}\n{json.dumps(scores)}")
    return scores


def _scores(listing: Listing) -> dict[str, float]:
    """Scores from the history itself; none where git can't give it."""
    try:
        history = git.changed_paths(listing.root, commits=_COMMITS)
    except git.GitError:
        return {}
    sums: dict[str, float] = {}
    for rank, (_, paths) in enumerate(history):
        weight = 1 / (1 + math.exp(12 * rank / len(history)))
        if len(paths) <= _LARGEST_COMMIT:
            for path in paths:
                if path in listing.sources:
                    sums[path] = sums.get(path, 0.0) + weight
    most = max(sums.values(), default=1.0)
    return {path: round(score / most, 4) for path, score in sums.items()}
