"""Rank files: every signal's share added up, explained, normalised, in an order that never depends on chance."""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from thinklonger.agent.issue import Clues, PathTable, with_failures
from thinklonger.agent.repository import Repository
from thinklonger.agent.stages.understand.mentions import named_definitions, named_paths, pasted_frames, quoted_wording
from thinklonger.agent.stages.understand.runs import covered, failing_frames
from thinklonger.agent.stages.understand.signals import Hint, Signal
from thinklonger.agent.stages.understand.surroundings import about_tests, demotion, history, spread, tested
from thinklonger.agent.stages.understand.weights import WEIGHTS, Weights
from thinklonger.agent.stages.understand.words import Words, explain_words, match_words
from thinklonger.agent.types import Evidence, EvidenceKind, FileRank, Issue, LineCoverage, Message, TestRun

MOST = 40
"""How many files are reported; nobody reads on, and each carries its evidence."""
_CONSIDERED = 200
"""How many files are looked at closely: neighbours, history, what they are."""
_LEAST = 0.005
"""Evidence that adds less than this to a score is not shown."""


@dataclass(slots=True)
class _Suspect:
    """A file while it is being ranked: what was added, and the factors."""

    place: int
    words: float
    hints: list[Hint] = field(default_factory=list[Hint])
    factors: list[tuple[float, Message]] = field(default_factory=list[tuple[float, Message]])

    @property
    def added(self) -> float:
        """The sum of all reasons."""
        return self.words + sum(hint.weight for hint in self.hints)

    @property
    def score(self) -> float:
        """What is left of it after the factors."""
        total = self.added
        for factor, _ in self.factors:
            total *= factor
        return total


def rank_files(  # noqa: PLR0913 - all that is known about the fault, by name
    issue: Issue,
    clues: Clues,
    repository: Repository,
    *,
    reproduction: TestRun | None,
    coverage: LineCoverage,
    red: AbstractSet[str],
) -> tuple[FileRank, ...]:
    """At most `MOST` files with a reason for suspicion, most suspicious first; scores in [0, 1], the first has 1.

    `coverage` are the lines that each test ran, `red` those of its tests that failed; both may be empty.
    """
    weights = WEIGHTS
    paths = repository.paths()
    table = PathTable(paths)
    clues = with_failures(clues, reproduction)
    words = match_words(clues, repository, weights)
    ran = covered(coverage, red, weights)
    hints: dict[PurePosixPath, list[Hint]] = {}
    for signal in (
        named_paths(clues, table, weights),
        tested(issue, table, repository, weights),
        failing_frames(reproduction, repository, weights),
        pasted_frames(clues, table, weights),
        named_definitions(clues, repository, weights),
        quoted_wording(clues, repository, weights, known={term: found for term, _, found in words.terms}),
        ran,
    ):
        for path, hint in signal.items():
            hints.setdefault(path, []).append(hint)
    tests_count = issue.test_command is None and not red and about_tests(clues, table, repository)
    suspects = _suspects(words, hints, paths)
    for path, suspect in suspects.items():
        suspect.factors = _factors(path, repository, weights, ran=ran, tests_count=tests_count)
    scores = {path: suspect.score for path, suspect in suspects.items()}
    for signal in (spread(scores, repository, weights), history(suspects, repository, weights)):
        for path, hint in signal.items():
            if path in suspects:
                suspects[path].hints.append(hint)
    return _report(suspects, words)


def _suspects(
    words: Words, hints: Mapping[PurePosixPath, list[Hint]], paths: Sequence[PurePosixPath]
) -> dict[PurePosixPath, _Suspect]:
    """The files with the most reasons, before what lowers a score is known: the only ones that can come first."""
    scores = list(words.scores)
    for place, path in enumerate(paths):
        if path in hints:
            scores[place] += sum(hint.weight for hint in hints[path])
    order = sorted(
        (place for place, score in enumerate(scores) if score > 0), key=lambda place: (-scores[place], place)
    )
    return {
        paths[place]: _Suspect(place=place, words=words.scores[place], hints=list(hints.get(paths[place], ())))
        for place in order[:_CONSIDERED]
    }


def _factors(
    path: PurePosixPath, repository: Repository, weights: Weights, *, ran: Signal, tests_count: bool
) -> list[tuple[float, Message]]:
    """What lowers a file's score, and why."""
    factors: list[tuple[float, Message]] = []
    factor, why = demotion(path, repository, weights, tests_count=tests_count)
    if why is not None:
        factors.append((factor, why))
    if ran and path not in ran:
        factors.append((weights.not_run, Message("understand.not-run")))
    return factors


def _report(suspects: Mapping[PurePosixPath, _Suspect], words: Words) -> tuple[FileRank, ...]:
    """The most suspicious files with their evidence, scores relative to the first."""
    scores = {path: round(suspect.score, 9) for path, suspect in suspects.items()}
    order = sorted(suspects, key=lambda path: (-scores[path], suspects[path].place))[:MOST]
    top = scores[order[0]] if order else 0.0
    if top <= 0:
        return ()
    explained = explain_words(words, [suspects[path].place for path in order])
    return tuple(
        FileRank(path, round(scores[path] / top, 4), _evidence(suspects[path], explained[suspects[path].place], top))
        for path in order
    )


def _evidence(suspect: _Suspect, words: Sequence[Hint], top: float) -> tuple[Evidence, ...]:
    """A file's reasons, heaviest first, then what lowers its score: the weights add up to it, but for the lightest."""
    hints = sorted((*suspect.hints, *words), key=lambda hint: (-hint.weight, hint.kind, hint.message.key))
    shown = [
        Evidence(hint.kind, round(hint.weight / top, 4), hint.message)
        for hint in (*hints[:1], *(hint for hint in hints[1:] if hint.weight / top >= _LEAST))
    ]
    left = suspect.added
    for factor, why in suspect.factors:
        shown.append(Evidence(EvidenceKind.DEMOTED, round(left * (factor - 1) / top, 4), why))
        left *= factor
    return tuple(shown)
