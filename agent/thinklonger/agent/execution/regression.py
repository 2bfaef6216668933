"""Chooses the tests that a change must not make worse, under a time budget."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import PurePosixPath

from thinklonger.agent.protocols import RepositoryView
from thinklonger.agent.types import LineCoverage


def choose_regression(
    repository: RepositoryView,
    *,
    changed: Collection[PurePosixPath],
    tests: Sequence[str],
    timings: Mapping[str, float],
    coverage: LineCoverage,
    seconds: float,
) -> tuple[str, ...]:
    """Tests most likely to notice that `changed` files broke, while their estimated running time fits `seconds`.

    First those that are known to run a changed file (`coverage`), then by distance in the import graph, then by
    name; the cheaper first.
    """
    raise NotImplementedError
