"""`runs list` and `runs show`: records, for a person or a machine; `runs verify` is next door."""

from collections import defaultdict
from collections.abc import Sequence
from typing import cast

from thinklonger.agent.config.places import state_directory
from thinklonger.agent.trace import CandidateState, Run, RunStatus, Summary, find_run, list_runs, load_run
from thinklonger.agent.trace.events import (
    BranchPromoted,
    BranchProposed,
    BranchPruned,
    BranchScored,
    CandidateProposed,
    CandidatePruned,
    CandidateTested,
    CandidateVerified,
    ProblemFound,
)
from thinklonger.agent.types import Label
from thinklonger.cli import machine, report
from thinklonger.cli.decisions import Search, fold_search, search_json, search_lines
from thinklonger.cli.desk import Desk, tell
from thinklonger.cli.narration import Progress, check_name, narrate, problem
from thinklonger.cli.page import Line, Span, Style, dim, join, line, name, strong
from thinklonger.cli.rows import place, row
from thinklonger.cli.words import Words, clean_line, pad

_STATUS_STYLES = {
    RunStatus.RUNNING: Style.NAME,
    RunStatus.FINISHED: Style.PLAIN,
    RunStatus.FAILED: Style.BAD,
    RunStatus.CANCELLED: Style.DIM,
    RunStatus.INTERRUPTED: Style.WARN,
}
_JOBS = ("resolve", "localize", "verify")
_IN_TREES = (
    BranchPromoted,
    BranchProposed,
    BranchPruned,
    BranchScored,
    CandidateProposed,
    CandidatePruned,
    CandidateTested,
    CandidateVerified,
)
_STATUS_WIDTH = 16
_JOB_WIDTH = 9


def runs(desk: Desk) -> int:
    """Run `thinklonger runs list`, `runs show`, `runs verify` or `runs resume`."""
    match desk.options.action:
        case "list":
            return _list(desk)
        case "show":
            return _show(desk)
        case "resume":
            from thinklonger.cli.jobs import resume  # noqa: PLC0415 (it runs tests: heavy)

            return resume(desk)
        case _:
            from thinklonger.cli.recheck import verify  # noqa: PLC0415 (it runs tests: heavy)

            return verify(desk)


def _list(desk: Desk) -> int:
    words = desk.words
    listing = list_runs(state_directory(desk.settings))
    tell((*desk.problems, *listing.problems), desk.err, words)
    if desk.options.json:
        entries: list[machine.Plain] = [machine.plain(entry, words) for entry in listing.runs]
        problems = machine.plain(listing.problems, words)
        desk.out.write(machine.dump({"runs": entries, "problems": problems}) + "\n")
    elif listing.runs:
        desk.out.show(summary_line(entry, words) for entry in listing.runs)
    else:
        desk.err.show([line(words.say("report.no-runs"))])
    return 0


def _show(desk: Desk) -> int:
    words = desk.words
    run = load_run(find_run(state_directory(desk.settings), desk.options.run))
    tell(desk.problems, desk.err, words)
    if desk.options.json:
        whole = cast("dict[str, machine.Plain]", machine.whole_run(run, words))
        desk.out.write(machine.dump({**whole, **search_json(_search(run), words)}) + "\n")
    else:
        desk.out.show(run_lines(run, words))
    return 0


def summary_line(entry: Summary, words: Words) -> Line:
    """A run in one line."""
    status = words.say(f"report.status-{entry.status}")
    style = _STATUS_STYLES[entry.status]
    if entry.label is not None and entry.job != "localize":
        status, style = words.say("report.no-patch-in-short"), Style.PLAIN
        if entry.patched:
            status, style = words.say(f"event.label-{entry.label}"), report.LABEL_STYLES[entry.label]
    started = f"{entry.started.astimezone():%Y-%m-%d %H:%M}" if entry.started else ""
    job = words.say(f"event.job-{entry.job}") if entry.job in _JOBS else clean_line(entry.job)
    parts = [name(entry.run_id), Span(pad(status, _STATUS_WIDTH), style), pad(job, _JOB_WIDTH)]
    about = [started, words.duration(entry.seconds), clean_line(entry.title), dim(clean_line(entry.repository))]
    return line(*join(parts, "  "), "  ", *join(about, "  "))


def run_lines(run: Run, words: Words) -> list[Line]:
    """Everything that a person wants to know of a run."""
    summary = run.summary
    status = Span(words.say(f"report.status-{summary.status}"), _STATUS_STYLES[summary.status])
    lines = [join([status, words.duration(summary.seconds), name(clean_line(str(summary.folder)))], words.dot)]
    lines += story(run, words)
    lines += [problem(ProblemFound(message), words) for message in run.record.problems]
    if run.record.unread:
        lines.append(row("!", "problem", words.count("report.unread", len(run.record.unread)), words=words))
    if tried := [candidate for candidate in run.candidates if not candidate.proposed.reply]:
        lines += [(), *tree(tried, words)]
    if searched := search_lines(_search(run), words):
        lines += [(), *searched]
    if run.failed is not None:
        return [*lines, (), *report.failed(run.failed, words)]
    if run.finished is None:
        return lines
    if summary.job == "localize":
        return [*lines, (), *report.ranked(run.locations, words, top=len(run.locations))]
    return [*lines, *report.resolved(run.finished, None, words)]


def _search(run: Run) -> Search:
    return fold_search(entry.event for entry in run.record.entries)


def story(run: Run, words: Words) -> list[Line]:
    """The run as its view told it, without what the trees below it tell."""
    progress = Progress()
    lines: list[Line] = []
    for entry in run.record.entries:
        progress.follow(entry.event)
        if not isinstance(entry.event, _IN_TREES):
            lines += narrate(entry.event, progress, words)
    return lines


def tree(candidates: Sequence[CandidateState], words: Words) -> list[Line]:
    """Every candidate below the place that it changes, with its tests and its end."""
    places: dict[tuple[str, int], list[CandidateState]] = defaultdict(list)
    for candidate in candidates:
        places[str(candidate.proposed.path), candidate.proposed.line].append(candidate)
    lines = [
        line(strong(words.say("report.candidates")), dim(words.dot + words.count("report.proposed", len(candidates))))
    ]
    for (path, number), found in places.items():
        lines.append(line("  ", place(path, number)))
        for candidate in found:
            lines += _branch(candidate, words)
    return lines


def _branch(candidate: CandidateState, words: Words) -> list[Line]:
    proposed = candidate.proposed
    if candidate.receipt is not None:
        label = candidate.receipt.label
        sign, style = ("✓" if label is Label.VERIFIED else "!"), report.LABEL_STYLES[label]
        end = words.say("report.survived", label=words.say(f"event.label-{label}"))
    elif candidate.pruned is not None:
        sign, style = "✗", Style.BAD
        end = words.say("report.pruned", reason=words.render(candidate.pruned))
    else:
        sign, style, end = "·", Style.DIM, words.say("report.untested")
    about = [clean_line(proposed.candidate), clean_line(proposed.pattern), report.changed(proposed.diff, words), end]
    lines = [line("    ", Span(words.mark(sign) + " ", style), *join(about, words.dot))]
    if candidate.pruned is not None:  # by what, is said; the passing ones are worth their figures
        return lines
    return lines + [line("        ", dim(_tests(tested, words))) for tested in candidate.tested]


def _tests(tested: CandidateTested, words: Words) -> str:
    return words.say(
        "report.tested",
        check=words.say(f"event.row-{check_name(tested.check)}"),
        passed=tested.passed,
        red=tested.red,
        seconds=words.duration(tested.seconds),
    )
