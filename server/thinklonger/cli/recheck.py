"""`runs verify`: a run's receipt once more, with what agrees and what differs."""

from pathlib import Path

from thinklonger.agent.config.places import state_directory
from thinklonger.agent.pipeline.recheck import Finding, Recheck, Weight, recheck
from thinklonger.agent.trace import Run, find_run, load_run
from thinklonger.agent.types import Message
from thinklonger.cli import machine
from thinklonger.cli.desk import Desk, error_lines, tell
from thinklonger.cli.page import Line, bad, good, line, warn
from thinklonger.cli.rows import row
from thinklonger.cli.running import watch
from thinklonger.cli.words import Words

CANCELLED = 130
SIGNS = {Weight.AGREES: "✓", Weight.DIFFERS: "✗", Weight.NOTED: "!"}
_ROWS = {
    "intact": "record",
    "altered-line": "record",
    "altered": "record",
    "two-receipts": "record",
    "other-patch": "record",
    "same-tree": "tree",
    "restored": "tree",
    "others-differ": "tree",
    "same-flags": "flag",
    "other-flags": "flag",
    "not-red": "reproduction",
    "same-environment": "environment",
    "other-environment": "environment",
    "same-sandbox": "sandbox",
    "other-sandbox": "sandbox",
}


def verify(desk: Desk) -> int:
    """Run `thinklonger runs verify`: 0 for the same verdict, 1 for another one."""
    words = desk.words
    run = load_run(find_run(state_directory(desk.settings), desk.options.run))
    tell((*desk.problems, *run.record.problems), desk.err, words)
    if not desk.options.json:
        desk.err.show([line(words.say("receipt.verifying", run=run.summary.run_id))])
    found: list[Finding] = []
    ends: list[Recheck] = []

    def show(step: Finding | Recheck) -> None:
        if isinstance(step, Recheck):
            ends.append(step)
            return
        found.append(step)
        if not desk.options.json:
            desk.out.show([finding_line(step, words)])

    moved = Path(desk.options.moved).absolute() if desk.options.moved else None
    if not watch(recheck(run, desk.settings, moved), show, give_up=desk.err.show_cursor):
        desk.err.show(error_lines(Message("cli.cancelled"), None, words))
        return CANCELLED
    (end,) = ends
    if desk.options.json:
        desk.out.write(machine.dump(outcome(run, end, found, words)) + "\n")
    else:
        desk.out.show([verdict_line(end, found, words)])
    return 0 if end.same else 1


def finding_line(finding: Finding, words: Words) -> Line:
    """One finding, under the name of what it is about."""
    key = finding.message.key.partition(".")[2]
    about = _ROWS.get(key) or ("record" if finding.message.key.startswith("trace.") else key.rpartition("-")[2])
    return row(SIGNS[finding.weight], about, words.render(finding.message), words=words)


def verdict_line(end: Recheck, found: list[Finding], words: Words) -> Line:
    """The verdict in one sentence."""
    before, after = (words.say(f"event.label-{label}") for label in (end.before, end.after))
    if end.same:
        return line(good(words.mark("✓") + " "), words.say("receipt.same-verdict", label=after))
    only_record = all(_about_record(finding) for finding in found if finding.weight is Weight.DIFFERS)
    if end.before is end.after and only_record:
        return line(warn(words.mark("!") + " "), words.say("receipt.not-the-record", label=after))
    return line(bad(words.mark("✗") + " "), words.say("receipt.other-verdict", before=before, after=after))


def _about_record(finding: Finding) -> bool:
    key = finding.message.key
    return key.startswith("trace.") or _ROWS.get(key.partition(".")[2]) == "record"


def outcome(run: Run, end: Recheck, found: list[Finding], words: Words) -> machine.Plain:
    """The same for machines."""

    def those(weight: Weight) -> machine.Plain:
        return [machine.plain(finding.message, words) for finding in found if finding.weight is weight]

    return {
        "run_id": run.summary.run_id,
        "record": str(run.summary.folder),
        "same": end.same,
        "intact": not any(_about_record(finding) and finding.weight is Weight.DIFFERS for finding in found),
        "label_before": end.before.value,
        "label_after": end.after.value,
        "candidate": end.candidate,
        "agrees": those(Weight.AGREES),
        "differs": those(Weight.DIFFERS),
        "noted": those(Weight.NOTED),
        "receipt": machine.plain(end.receipt, words),
        "seconds": end.seconds,
    }
