"""What execution says about suspects: frames of the failing tests, and lines that failing and passing tests ran."""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from pathlib import PurePosixPath

from thinklonger.agent.protocols import RepositoryView
from thinklonger.agent.stages.localize.hints import Hint
from thinklonger.agent.stages.localize.pool import Pool
from thinklonger.agent.stages.localize.spectrum import suspicious_lines
from thinklonger.agent.stages.localize.weights import Weights
from thinklonger.agent.types import EvidenceKind, LineCoverage, Message, SymbolKind, TestRun

_NEARLY = 0.95
"""Lines this close to a suspect's worst one are as bad."""


def failing_frames(
    reproduction: TestRun | None, pool: Pool, repository: RepositoryView, weights: Weights
) -> Mapping[int, Hint]:
    """Suspects in the tracebacks of the failing tests; the innermost frame outside of tests is the most suspicious."""
    hints: dict[int, Hint] = {}
    for result in reproduction.results if reproduction is not None else ():
        if not result.outcome.red:
            continue
        inside = [frame for frame in reversed(result.frames) if not repository.is_test(frame.path)]
        for depth, frame in enumerate(inside):
            source = pool.sources.get(frame.path)
            weight = weights.run_frame * weights.run_frame_decay**depth
            number = source.owner_of(frame.line) if source is not None else None
            if number is None or (number in hints and hints[number].weight >= weight):
                continue
            message = Message(
                "localize.run-frame", {"line": frame.line, "test": result.id, "exception": result.exception}
            )
            hints[number] = Hint(EvidenceKind.TRACEBACK, weight, message)
    return hints


def covered(
    coverage: LineCoverage, red: AbstractSet[str], pool: Pool, weights: Weights
) -> tuple[Mapping[int, Hint], Mapping[int, tuple[int, int]]]:
    """Suspects that failing tests ran, by their most suspicious line; and which lines of them are the worst."""
    suspicion = suspicious_lines(coverage, red, coverage.keys() - red)
    hints: dict[int, Hint] = {}
    ranges: dict[int, tuple[int, int]] = {}
    for path, of_line in suspicion.items():
        source = pool.sources.get(path)
        if source is None:
            continue
        owned: dict[int, dict[int, float]] = {}
        for line, value in of_line.items():
            if line <= len(source.owners):
                owned.setdefault(source.owner_of(line), {})[line] = value
        for number, lines in owned.items():
            body = _body(lines, pool, number)
            if not body:
                continue
            worst = max(body.values())
            factor = weights.import_time if _at_import(pool, number) else 1.0
            hints[number] = Hint(
                EvidenceKind.COVERAGE, weights.coverage * factor * worst, _message(coverage, red, path, body)
            )
            bad = [line for line, value in body.items() if value >= _NEARLY * worst]
            ranges[number] = (min(bad), max(bad))
    return hints, ranges


def _at_import(pool: Pool, number: int) -> bool:
    """Whether a suspect's own lines run when the file is imported."""
    return pool.symbols[number].kind in (SymbolKind.MODULE, SymbolKind.CLASS)


def _body(lines: Mapping[int, float], pool: Pool, number: int) -> Mapping[int, float]:
    """A function's lines without the one that defines it, which runs whenever its file is imported."""
    symbol = pool.symbols[number]
    if _at_import(pool, number) or symbol.start_line == symbol.end_line:
        return lines
    return {line: value for line, value in lines.items() if line > symbol.start_line}


def _message(coverage: LineCoverage, red: AbstractSet[str], path: PurePosixPath, lines: Mapping[int, float]) -> Message:
    """How many failing and passing tests ran the suspect."""
    own = lines.keys()
    failing = [test for test in coverage if test in red]
    passing = [test for test in coverage if test not in red]
    none: frozenset[int] = frozenset()
    return Message(
        "localize.coverage",
        {
            "failing": sum(1 for test in failing if own & coverage[test].get(path, none)),
            "all_failing": len(failing),
            "passing": sum(1 for test in passing if own & coverage[test].get(path, none)),
            "all_passing": len(passing),
        },
    )
