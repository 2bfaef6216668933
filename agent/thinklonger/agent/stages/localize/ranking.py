"""Rank code: the symbols of the suspected files by words, names, tracebacks, coverage and calls."""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from thinklonger.agent.issue import Clues, PathTable, with_failures
from thinklonger.agent.protocols import RepositoryView
from thinklonger.agent.stages.localize.calls import spread
from thinklonger.agent.stages.localize.hints import Hint
from thinklonger.agent.stages.localize.mentions import named_lines, named_symbols, pasted_frames, quoted_wording
from thinklonger.agent.stages.localize.pool import Pool
from thinklonger.agent.stages.localize.runs import covered, failing_frames
from thinklonger.agent.stages.localize.weights import WEIGHTS, Weights
from thinklonger.agent.stages.localize.words import match_words
from thinklonger.agent.types import (
    Evidence,
    EvidenceKind,
    FileRank,
    Issue,
    LineCoverage,
    Location,
    Message,
    SymbolKind,
    TestRun,
)

_MOST_FILES = 12
_MOST_RUN_FILES = 25
_LEAST = 0.005
"""Evidence that adds less than this to a score is not shown."""


@dataclass(slots=True)
class _Suspect:
    """A symbol while it is being ranked."""

    hints: list[Hint] = field(default_factory=list[Hint])
    factors: list[tuple[float, Message]] = field(default_factory=list[tuple[float, Message]])

    @property
    def added(self) -> float:
        """The sum of all reasons."""
        return sum(hint.weight for hint in self.hints)

    @property
    def score(self) -> float:
        """What is left of it after the factors."""
        total = self.added
        for factor, _ in self.factors:
            total *= factor
        return total


def rank_locations(  # noqa: PLR0913 - all that is known about the fault, by name
    issue: Issue,
    clues: Clues,
    repository: RepositoryView,
    files: Sequence[FileRank],
    *,
    reproduction: TestRun | None,
    coverage: LineCoverage,
    red: AbstractSet[str],
    top: int,
) -> tuple[Location, ...]:
    """The `top` most suspicious pieces of code, scores in [0, 1]; lines narrower than the symbol where known.

    `coverage` are the lines that each test ran, `red` those of its tests that failed; both may be empty.
    """
    del issue  # its text is in the clues; the stages' signatures are alike
    weights = WEIGHTS
    clues = with_failures(clues, reproduction)
    pool = _pool(files, repository, coverage, red)
    table = PathTable(repository.paths() if _says_where(clues) else ())
    ran, ranges = covered(coverage, red, pool, weights)
    suspects: dict[int, _Suspect] = {}
    for signal in (
        match_words(clues, pool, weights),
        named_symbols(clues, pool, repository, weights),
        named_lines(clues, pool, table, weights),
        pasted_frames(clues, pool, table, weights),
        quoted_wording(clues, pool, weights),
        failing_frames(reproduction, pool, repository, weights),
        ran,
    ):
        _add(signal, suspects)
    if not suspects:  # all that is known is the file
        suspects = {number: _Suspect() for number in range(len(pool.symbols))}
    for number, suspect in suspects.items():
        file = weights.file * pool.file_scores[number]
        suspect.hints.append(Hint(EvidenceKind.PATH, file, Message("localize.file")))
        suspect.factors = _factors(number, pool, weights, ran=ran)
    nearby = spread({number: suspect.score for number, suspect in suspects.items()}, pool, weights)
    _add({number: hint for number, hint in nearby.items() if number in suspects}, suspects)
    return _report(suspects, pool, ranges, top)


def _says_where(clues: Clues) -> bool:
    """Whether the issue names a line: only then are paths looked up, and the table for that costs a while to make."""
    return bool(clues.tracebacks) or any(clue.line is not None for clue in clues.paths)


def _pool(files: Sequence[FileRank], repository: RepositoryView, coverage: LineCoverage, red: AbstractSet[str]) -> Pool:
    """The symbols of the most suspicious files, and of further files that failing tests ran."""
    pool = Pool()
    for rank in files[:_MOST_FILES]:
        pool.add(rank.path, rank.score, repository)
    run = {path for test in red if test in coverage for path in coverage[test]}
    further = [rank for rank in files[_MOST_FILES:] if rank.path in run]
    for rank in further[: _MOST_RUN_FILES - _MOST_FILES]:
        pool.add(rank.path, rank.score, repository)
    return pool


def _add(signal: Mapping[int, Hint], suspects: dict[int, _Suspect]) -> None:
    """Add a signal's hints to the suspects that it speaks of."""
    for number, hint in signal.items():
        suspects.setdefault(number, _Suspect()).hints.append(hint)


def _factors(number: int, pool: Pool, weights: Weights, *, ran: Mapping[int, Hint]) -> list[tuple[float, Message]]:
    """What lowers a suspect's score, and why."""
    factors: list[tuple[float, Message]] = []
    kind = pool.symbols[number].kind
    if kind is SymbolKind.MODULE:
        factors.append((weights.modules, Message("localize.demoted-module")))
    elif kind is SymbolKind.CLASS:
        factors.append((weights.classes, Message("localize.demoted-class")))
    if ran and number not in ran:
        factors.append((weights.not_run, Message("localize.not-run")))
    return factors


def _report(
    suspects: Mapping[int, _Suspect], pool: Pool, ranges: Mapping[int, tuple[int, int]], top: int
) -> tuple[Location, ...]:
    """The most suspicious symbols with their evidence, scores relative to the first."""
    symbols = pool.symbols
    scores = {number: round(suspect.score, 9) for number, suspect in suspects.items()}
    order = sorted(suspects, key=lambda number: (-scores[number], number))[: max(0, top)]
    best = scores[order[0]] if order else 0.0
    if best <= 0:
        return ()
    locations: list[Location] = []
    for number in order:
        symbol, suspect = symbols[number], suspects[number]
        start, end = ranges.get(number, (symbol.start_line, symbol.end_line))
        locations.append(
            Location(
                path=symbol.path,
                symbol=symbol.name,
                kind=symbol.kind,
                start_line=start,
                end_line=end,
                score=round(scores[number] / best, 4),
                evidence=_evidence(suspect, best),
            )
        )
    return tuple(locations)


def _evidence(suspect: _Suspect, best: float) -> tuple[Evidence, ...]:
    """A suspect's reasons, heaviest first, then what lowers its score."""
    hints = sorted(suspect.hints, key=lambda hint: (-hint.weight, hint.kind, hint.message.key))
    shown = [
        Evidence(hint.kind, round(hint.weight / best, 4), hint.message)
        for hint in (*hints[:1], *(hint for hint in hints[1:] if hint.weight / best >= _LEAST))
    ]
    left = suspect.added
    for factor, why in suspect.factors:
        shown.append(Evidence(EvidenceKind.DEMOTED, round(left * (factor - 1) / best, 4), why))
        left *= factor
    return tuple(shown)
