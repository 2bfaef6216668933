"""What a run came to, for a person to read: the patch with its receipt, or the ranked places."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from thinklonger.agent.trace.events import CandidateRanked, RunFailed, RunFinished
from thinklonger.agent.types import Agreement, Check, Label, Location, Receipt
from thinklonger.cli.narration import located, reasons, shown_command
from thinklonger.cli.page import Line, Span, Style, bad, dim, good, join, line, name, strong, warn
from thinklonger.cli.rows import more, place, row
from thinklonger.cli.words import Words, clean, clean_line

_SHOWN_TESTS = 5
_SHOWN_OTHERS = 5
_MIB = 1024**2

LABEL_STYLES = {Label.VERIFIED: Style.GOOD, Label.PARTLY_VERIFIED: Style.WARN, Label.UNVERIFIED: Style.WARN}


def resolved(finished: RunFinished, folder: Path | None, words: Words) -> list[Line]:
    """The whole report of a resolve."""
    lines = [(), headline(finished, words)]
    if finished.patch:
        lines += [(), *diff_lines(finished.patch), ()]
    if finished.receipt is not None:
        lines += receipt_lines(finished.receipt, words)
    others = [entry for entry in finished.candidates if entry.candidate != finished.candidate]
    lines += _others(others, words)
    return [*lines, (), *footer(finished, folder, words)]


def headline(finished: RunFinished, words: Words) -> Line:
    """The result in one line."""
    if not finished.patch:
        return line(bad(words.mark("✗") + " "), strong(words.say("report.no-patch")),
                    f" {words.say(f'report.stop-{finished.stop_reason}')}")  # fmt: skip
    style = LABEL_STYLES[finished.label]
    sign = words.mark("✓" if finished.label is Label.VERIFIED else "!")
    label = words.say(f"event.label-{finished.label}")
    meaning = words.say(f"report.means-{finished.label}")
    return line(Span(f"{sign} {label}", style), words.say("report.after-label", meaning=meaning))


def diff_lines(diff: str) -> list[Line]:
    """A unified diff, its lines coloured by their first character and harmless."""
    return [_diff_line(text) for text in clean(diff).rstrip("\n").split("\n")]


def receipt_lines(receipt: Receipt, words: Words) -> list[Line]:
    """The proof in words."""
    lines = [line(strong(words.say("report.receipt")))]
    lines += _check("reproduction", receipt.reproduction, words)
    lines += _check("regression", receipt.regression, words)
    if environment := receipt.environment:
        figures = [
            f"Python {clean_line(environment.python_version)}",
            clean_line(f"{environment.runner} {environment.runner_version}".strip()),
            words.count("event.tests", environment.tests_collected),
            words.count("report.packages", len(environment.packages)) if environment.packages else "",
            dim(clean_line(environment.digest[:12])),
        ]
        lines.append(row("·", "environment", *join(figures, words.dot), words=words))
    lines.append(_sandbox(receipt, words))
    lines += _left_out("report.flaky", receipt.flaky, words)
    lines += _left_out("report.already-red", receipt.already_red, words)
    for flag in receipt.flags:
        lines.append(row("!", "flag", warn(words.render(flag)), words=words))
    if receipt.agreement is not None:
        lines += _agreement(receipt.agreement, words)
    lines += [row("·", "because", words.render(reason), words=words) for reason in receipt.reasons]
    if receipt.artifacts:
        lines.append(row("·", "record", words.count("report.kept", len(receipt.artifacts)), words=words))
    return lines


def _left_out(key: str, tests: Sequence[str], words: Words) -> list[Line]:
    """Tests that have no say, by name."""
    if not tests:
        return []
    lines = [row("·", "regression", words.count(key, len(tests)), words=words)]
    lines += [more(name(clean_line(test))) for test in tests[:_SHOWN_TESTS]]
    return lines + (
        [more(dim(words.count("event.more", len(tests) - _SHOWN_TESTS)))] if len(tests) > _SHOWN_TESTS else []
    )


def ranked(locations: Sequence[Location], words: Words, *, top: int) -> list[Line]:
    """Ranked places with every reason."""
    lines: list[Line] = []
    for rank, location in enumerate(locations[:top], 1):
        lines.append(located(rank, location, words))
        lines += [line("      ", reason) for reason in reasons(location, words, most=len(location.evidence))]
    return lines or [line(bad(words.mark("✗") + " "), words.say("report.nothing-found"))]


def failed(event: RunFailed, words: Words) -> list[Line]:
    """An error that ended a run, and what to do about it."""
    lines = [line(bad(words.mark("✗") + " "), words.render(event.message))]
    return lines + ([line("  ", words.render(event.remedy))] if event.remedy else [])


def footer(finished: RunFinished, folder: Path | None, words: Words) -> list[Line]:
    """What it took, and where the record lies."""
    figures = [
        words.count("report.tried", finished.tried),
        words.duration(finished.seconds),
        words.count("report.tokens", finished.tokens) if finished.tokens else "",
        words.say(f"report.stop-{finished.stop_reason}") if finished.patch else "",
    ]
    lines = [join(figures, words.dot)]
    return lines + ([record_line(folder, words)] if folder else [])


def record_line(folder: Path, words: Words) -> Line:
    """Where the record lies and how to see it again."""
    again = f"thinklonger runs show {folder.name}"
    return line(words.say("report.record"), " ", name(clean_line(str(folder))), dim(f"  ({again})"))


def _check(label: str, check: Check | None, words: Words) -> list[Line]:
    if check is None:
        return [row("!", label, words.say(f"report.no-{label}"), words=words)]
    arrow = f" {words.mark('→')} "
    worse = [test for test in check.red_after if test not in check.red_before]
    green = not (check.red_after if label == "reproduction" else worse)
    verdict = words.say(f"report.{label}-{'good' if green else 'bad'}")
    codes = ("-" if code is None else str(code) for code in (check.exit_code_before, check.exit_code_after))
    figures = [
        Span(verdict, Style.GOOD if green else Style.BAD),
        words.count("event.tests", check.count),
        words.say("event.exit", code=arrow.join(codes)),
        words.duration(check.seconds_before) + arrow + words.duration(check.seconds_after),
    ]
    lines = [row("✓" if green else "✗", label, *join(figures, words.dot), words=words)]
    lines.append(more(dim(shown_command(check.command, words))))
    shown = check.red_before if label == "reproduction" else worse
    lines += [more(name(clean_line(test))) for test in shown[:_SHOWN_TESTS]]
    if len(shown) > _SHOWN_TESTS:
        lines.append(more(dim(words.count("event.more", len(shown) - _SHOWN_TESTS))))
    return lines


def _sandbox(receipt: Receipt, words: Words) -> Line:
    limits = receipt.limits
    figures = [
        clean_line(receipt.sandbox) or words.say("report.no-sandbox"),
        words.duration(limits.wall_seconds),
        f"{limits.memory_bytes // _MIB:,} MiB",
        words.count("report.processes", limits.processes),
    ]
    return row("·", "sandbox", *join(figures, words.dot), words=words)


def _agreement(agreement: Agreement, words: Words) -> list[Line]:
    if agreement.survivors == 1:
        summary = words.say("report.only-survivor")
    else:
        parts = [
            words.count("report.survivors", agreement.survivors),
            words.count("report.behaviours", agreement.behaviours),
            words.count("report.inputs", agreement.inputs),
            words.say("report.share", percent=f"{agreement.share:.0%}"),
        ]
        summary = words.dot.join(parts)
    lines = [row("·", "agreement", summary, words=words)]
    return lines + [more(words.render(difference)) for difference in agreement.differences]


def _others(others: Sequence[CandidateRanked], words: Words) -> list[Line]:
    if not others:
        return []
    lines: list[Line] = [(), line(strong(words.say("report.others")))]
    lines += [other_line(entry, words) for entry in others[:_SHOWN_OTHERS]]
    if len(others) > _SHOWN_OTHERS:
        lines.append(line("  ", dim(words.count("event.more", len(others) - _SHOWN_OTHERS))))
    return lines


def other_line(entry: CandidateRanked, words: Words) -> Line:
    """A candidate of the final ranking in one line, with what it changes."""
    label = Span(words.say(f"event.label-{entry.label}"), LABEL_STYLES[entry.label])
    flags = warn(words.count("report.flags", entry.flags)) if entry.flags else ""
    about = [clean_line(entry.candidate), label, place(entry.path, entry.line), clean_line(entry.pattern), flags]
    return line("  ", *join([*about, dim(changed(entry.diff, words))], words.dot))


def changed(diff: str, words: Words) -> str:
    """The first changed line of a diff, before and after."""
    body = clean(diff).split("\n")
    for before, after in pairwise(body):
        if before.startswith("-") and after.startswith("+") and not before.startswith("---"):
            return f"{before[1:].strip()} {words.mark('→')} {after[1:].strip()}"
    added = [text[1:].strip() for text in body if text.startswith("+") and not text.startswith("+++")]
    return f"+ {added[0]}" if added else ""


def _diff_line(text: str) -> Line:
    match text[:2]:
        case "+" | "-" | "++" | "--" if text.startswith(("+++ ", "--- ")):
            return line(strong(text))
        case "@@":
            return line(name(text))
        case "di" | "in" | "ne" | "de" | "re" | "ol" | "si":
            return line(strong(text))
        case _:
            return line(good(text) if text.startswith("+") else bad(text) if text.startswith("-") else text)
