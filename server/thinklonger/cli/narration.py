"""A run in words while it goes on: each event as the lines that a person should see of it."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field

from thinklonger.agent.trace.events import (
    CandidateProposed,
    CandidatePruned,
    CandidateTested,
    CandidateVerified,
    EnvironmentProved,
    Event,
    ExecutionUnavailable,
    FilesRanked,
    LocationsRanked,
    NotReproduced,
    ProblemFound,
    RegressionChosen,
    RepositoryIndexed,
    Reproduced,
    RunStarted,
    StageStarted,
)
from thinklonger.agent.trace.runs import title_of
from thinklonger.agent.types import Label, Location, Stage
from thinklonger.cli.dialogue import Dialogue, said
from thinklonger.cli.page import Line, Span, Style, dim, good, join, line, name, strong, warn
from thinklonger.cli.rows import more, place, row
from thinklonger.cli.words import Words, clean_line

TALLY = 50
"""Hundreds of candidates fall: there is a line for each that passes, and one for so many that were tried."""

_SHOWN_LOCATIONS = 5
_SHOWN_TESTS = 3
_SHOWN_REASONS = 2
_EXCEPTION_LENGTH = 200
_COMMAND_LENGTH = 300


@dataclass(slots=True)
class Progress:
    """Where a run stands, folded from its events."""

    job: str = ""
    stage: Stage | None = None
    proposed: dict[str, CandidateProposed] = field(default_factory=dict[str, CandidateProposed])
    current: CandidateProposed | None = None
    passing: set[str] = field(default_factory=set[str])
    pruned: int = 0
    dialogue: Dialogue = field(default_factory=Dialogue)

    def follow(self, event: Event) -> None:
        """Take one more event in."""
        self.dialogue.follow(event)
        match event:
            case RunStarted():
                self.job = event.job
            case StageStarted():
                self.stage = event.stage
            case CandidateProposed():
                self.proposed[event.candidate] = self.current = event
            case CandidateTested() if event.red == 0 and event.passed:
                self.passing.add(event.candidate)
            case CandidatePruned():
                self.passing.discard(event.candidate)
                self.pruned += 1
            case _:
                pass


def narrate(  # noqa: C901, PLR0911, PLR0912 (one branch for each event)
    event: Event, progress: Progress, words: Words
) -> list[Line]:
    """The lines for an event that `progress` has just followed. The run's end is the report's to tell."""
    match event:
        case RunStarted():
            return _started(event, words)
        case ProblemFound():
            return [problem(event, words)]
        case RepositoryIndexed():
            return [_indexed(event, words)]
        case EnvironmentProved():
            return [_environment(event, words)]
        case ExecutionUnavailable():
            lines = [row("!", "environment", words.render(event.message), words=words)]
            return lines + ([more(words.render(event.remedy))] if event.remedy else [])
        case Reproduced():
            return _reproduced(event, words)
        case NotReproduced():
            return [row("!", "reproduction", words.render(event.message), words=words)]
        case RegressionChosen():
            return [_regression(event, words), *(more(dim(words.render(note))) for note in event.notes)]
        case FilesRanked():
            return _files(event, words)
        case LocationsRanked() if progress.job != "localize":
            return _locations(event, words)
        case StageStarted(stage=Stage.PATCH | Stage.VERIFY):
            return [row("·", event.stage, words.say(f"event.begins-{event.stage}"), words=words)]
        case CandidatePruned() if event.candidate not in progress.dialogue.by_model and progress.pruned % TALLY == 0:
            return [row("·", "patch", *join(tally(progress, words), words.dot), words=words)]
        case CandidateTested() | CandidateVerified():
            return _candidate(event, progress, words)
        case _:
            return said(event, progress.dialogue, words)


def problem(event: ProblemFound, words: Words) -> Line:
    """Something that a person should know and that stops nothing, with the file that it is about."""
    text = words.render(event.message)
    return row("!", "problem", warn(f"{clean_line(str(event.path))}: {text}" if event.path else text), words=words)


def reasons(location: Location, words: Words, *, most: int = _SHOWN_REASONS) -> list[str]:
    """The strongest reasons for a location, in words."""
    strongest = sorted(location.evidence, key=lambda evidence: -abs(evidence.weight))[:most]
    return [words.render(evidence.message) for evidence in strongest]


def located(rank: int, location: Location, words: Words) -> Line:
    """A ranked location in one line."""
    symbol = clean_line(location.symbol) or words.say("event.module-level")
    span = f"{location.path}:{location.start_line}"
    if location.end_line != location.start_line:
        span += f"-{location.end_line}"
    return line(f"{rank:>2}. ", name(clean_line(span)), "  ", strong(symbol), dim(f"  {location.score:.2f}"))


def _started(event: RunStarted, words: Words) -> list[Line]:
    head = join(
        [strong(words.say(f"event.job-{event.job}")), name(clean_line(event.repository)), dim(event.run_id)], words.dot
    )
    title = clean_line(title_of(event.issue))
    return [head, row("·", "issue", title, words=words)]


def _indexed(event: RepositoryIndexed, words: Words) -> Line:
    figures = [
        words.count("event.files", event.files),
        words.count("event.symbols", event.symbols),
        words.say("event.reused", figure=f"{event.reused:,}"),
        words.duration(event.seconds),
    ]
    return row("✓", "index", *join(figures, words.dot), words=words)


def _environment(event: EnvironmentProved, words: Words) -> Line:
    environment = event.environment
    figures = [
        f"Python {clean_line(environment.python_version)}",
        clean_line(f"{environment.runner} {environment.runner_version}".strip()),
        words.count("event.tests", environment.tests_collected),
        words.say("event.in-sandbox", sandbox=clean_line(event.sandbox)),
        words.say("event.known-before") if event.reused else words.duration(event.seconds),
    ]
    return row("✓", "environment", *join(figures, words.dot), words=words)


def _reproduced(event: Reproduced, words: Words) -> list[Line]:
    run = event.run
    figures = [
        Span(words.say("event.red-before"), Style.BAD),
        words.count("event.tests", len(event.tests)),
        words.say("event.exit", code="-" if run.exit_code is None else run.exit_code),
        words.duration(run.seconds),
    ]
    lines = [row("✓", "reproduction", *join(figures, words.dot), words=words)]
    lines.append(more(dim(shown_command(run.command, words))))
    if event.source:
        lines.append(more(dim(words.say("event.kept-as", path="artifacts/reproduction.py"))))
    causes = {result.id: f"{result.exception}: {result.text}" for result in run.results if result.exception}
    for test in event.tests[:_SHOWN_TESTS]:
        lines.append(more(name(clean_line(test))))
        if cause := causes.get(test):
            first = next((part for part in cause.splitlines() if part.strip()), "")
            lines.append(more(dim(clean_line(first)[:_EXCEPTION_LENGTH])))
    if len(event.tests) > _SHOWN_TESTS:
        lines.append(more(dim(words.count("event.more", len(event.tests) - _SHOWN_TESTS))))
    return lines


def _regression(event: RegressionChosen, words: Words) -> Line:
    figures: list[str | Span] = [
        words.count("event.tests", event.selected),
        words.say("event.pass-before", figure=f"{event.passed:,}"),
        words.say("event.red-already", figure=len(event.already_red)) if event.already_red else "",
        words.say("event.flaky", figure=len(event.flaky)) if event.flaky else "",
        words.duration(event.seconds),
    ]
    return row("✓", "regression", *join(figures, words.dot), words=words)


def _files(event: FilesRanked, words: Words) -> list[Line]:
    if not event.files:
        return [row("✗", "understand", words.say("event.nothing-suspicious"), words=words)]
    shown = [name(clean_line(str(entry.path))) for entry in event.files[:_SHOWN_TESTS]]
    rest = len(event.files) - len(shown)
    parts = join([*shown, words.count("event.more", rest) if rest else ""], words.dot)
    return [row("✓", "understand", *parts, words=words)]


def _locations(event: LocationsRanked, words: Words) -> list[Line]:
    if not event.locations:
        return [row("✗", "localize", words.say("event.nothing-suspicious"), words=words)]
    how = "event.by-running" if event.executed else "event.by-reading"
    lines = [row("✓", "localize", words.count("event.places", len(event.locations)), dim(words.dot + words.say(how)),
                 words=words)]  # fmt: skip
    for rank, location in enumerate(event.locations[:_SHOWN_LOCATIONS], 1):
        lines.append(more(*located(rank, location, words)))
        lines += [more("    ", dim(reason)) for reason in reasons(location, words)]
    return lines


def tally(progress: Progress, words: Words) -> list[str | Span]:
    """How many candidates have been tried, and how many of them pass so far."""
    passing = len(progress.passing)
    tried = words.count("report.tried", progress.pruned + passing)
    return [tried, good(words.count("report.survivors", passing)) if passing else ""]


def _candidate(event: CandidateTested | CandidateVerified, progress: Progress, words: Words) -> list[Line]:
    proposed = progress.proposed.get(event.candidate)
    about: list[str | Span] = [clean_line(event.candidate)]
    if proposed is not None:
        about += [place(proposed.path, proposed.line), clean_line(proposed.pattern)]
    match event:
        case CandidateTested() if event.red == 0 and event.passed:
            verdict = good(words.say("event.passes", check=words.say(f"event.row-{check_name(event.check)}")))
            return [row("✓", "candidate", *join([*about, verdict], words.dot), words=words)]
        case CandidateVerified():
            label = event.receipt.label
            style = Style.GOOD if label is Label.VERIFIED else Style.WARN
            verdict = Span(words.say(f"event.label-{label}"), style)
            sign = "✓" if label is Label.VERIFIED else "!"
            return [row(sign, "candidate", *join([*about, verdict], words.dot), words=words)]
        case _:
            return []


def check_name(check: str) -> str:
    """The row that a check's name belongs to."""
    return check if check in ("reproduction", "regression") else "reproduction"


def shown_command(command: Sequence[str], words: Words) -> str:
    """A command as a person would type it, harmless; of a very long one, its beginning."""
    text = clean_line(shlex.join(command))
    return text if len(text) <= _COMMAND_LENGTH else f"{text[:_COMMAND_LENGTH].rstrip()} {words.mark('…')}"
