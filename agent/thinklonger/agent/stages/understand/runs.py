"""What execution says about files: frames of the failing tests, and lines that failing and passing tests ran."""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from math import sqrt
from pathlib import PurePosixPath

from thinklonger.agent.protocols import RepositoryView
from thinklonger.agent.stages.understand.signals import Hint, Signal
from thinklonger.agent.stages.understand.weights import Weights
from thinklonger.agent.types import EvidenceKind, LineCoverage, Message, TestRun


def failing_frames(reproduction: TestRun | None, repository: RepositoryView, weights: Weights) -> Signal:
    """Files in the tracebacks of the failing tests; the innermost frame outside of tests is the most suspicious."""
    hints: dict[PurePosixPath, Hint] = {}
    for result in reproduction.results if reproduction is not None else ():
        if not result.outcome.red:
            continue
        inside = [frame for frame in reversed(result.frames) if not repository.is_test(frame.path)]
        for depth, frame in enumerate(inside):
            weight = weights.run_frame * weights.run_frame_decay**depth
            if frame.path in hints and hints[frame.path].weight >= weight:
                continue
            message = Message(
                "understand.run-frame",
                {"line": frame.line, "function": frame.function, "test": result.id, "exception": result.exception},
            )
            hints[frame.path] = Hint(EvidenceKind.TRACEBACK, weight, message)
    return hints


def covered(coverage: LineCoverage, red: AbstractSet[str], weights: Weights) -> Signal:
    """Files that failing tests ran, by their most suspicious line (Ochiai); empty where no failing test was traced."""
    failing = [coverage[test] for test in sorted(red) if test in coverage]
    passing = [coverage[test] for test in sorted(coverage) if test not in red]
    hints: dict[PurePosixPath, Hint] = {}
    for path in sorted({path for run in failing for path in run if run[path]}):
        ran = sum(1 for run in failing if run.get(path))
        innocent = sum(1 for run in passing if run.get(path))
        message = Message(
            "understand.coverage",
            {"failing": ran, "all_failing": len(failing), "passing": innocent, "all_passing": len(passing)},
        )
        weight = weights.coverage * _worst(path, failing, passing)
        hints[path] = Hint(EvidenceKind.COVERAGE, weight, message)
    return hints


def _worst(
    path: PurePosixPath,
    failing: list[Mapping[PurePosixPath, frozenset[int]]],
    passing: list[Mapping[PurePosixPath, frozenset[int]]],
) -> float:
    """The highest suspiciousness of a line of the file."""
    failed: dict[int, int] = {}
    passed: dict[int, int] = {}
    for counts, runs in ((failed, failing), (passed, passing)):
        for run in runs:
            for line in run.get(path, ()):
                counts[line] = counts.get(line, 0) + 1
    return max(count / sqrt(len(failing) * (count + passed.get(line, 0))) for line, count in failed.items())
