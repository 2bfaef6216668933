"""Spectrum-based fault localization: lines that failing tests run and passing tests don't (Ochiai)."""

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from math import sqrt
from pathlib import PurePosixPath

from thinklonger.agent.types import LineCoverage


def suspicious_lines(
    coverage: LineCoverage, red: AbstractSet[str], passed: AbstractSet[str]
) -> Mapping[PurePosixPath, Mapping[int, float]]:
    """Ochiai's suspiciousness of each line that a red test ran: path → line → (0, 1].

    failed(line) / sqrt(all failed x (failed(line) + passed(line))), over those tests of `red` and `passed` whose
    coverage is known (Abreu, Zoeteweij and van Gemund, PRDC 2006). Empty without a covered red test.
    """
    failing = [coverage[test] for test in sorted(red) if test in coverage]
    passing = [coverage[test] for test in sorted(passed - red) if test in coverage]
    suspicion: dict[PurePosixPath, dict[int, float]] = {}
    for path in sorted({path for run in failing for path in run}):
        ran = _counts(run[path] for run in failing if path in run)
        innocent = _counts(run[path] & ran.keys() for run in passing if path in run)
        suspicion[path] = {
            line: count / sqrt(len(failing) * (count + innocent.get(line, 0))) for line, count in sorted(ran.items())
        }
    return suspicion


def _counts(runs: Iterable[AbstractSet[int]]) -> dict[int, int]:
    """How many runs contain each line."""
    counts: dict[int, int] = {}
    for lines in runs:
        for line in lines:
            counts[line] = counts.get(line, 0) + 1
    return counts
