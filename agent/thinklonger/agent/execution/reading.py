"""Reads the payload's report: lines whose seal is wrong do not exist."""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, cast

from thinklonger.agent.types import CommandResult, Ending, Frame, LineCoverage, Outcome, TestResult, TestRun

Record = Mapping[str, Any]
"""One line of the report, as JSON gives it."""

REPORT = "report.jsonl"
HANG = "hang.txt"
OUTPUT_TAIL = 16_384
ESCAPES = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"
    r"|(?:\x1b[\]PX^_]|[\x9d\x90\x98\x9e\x9f])[^\x07\x1b\x9c\n]*(?:\x07|\x1b\\|\x9c)"
    r"|\x1b[ -/]*[0-~]"
)
"""What moves a terminal: sequences with an end, strings to its title or clipboard, single characters; 7 and 8 bits."""
CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
TURNS = re.compile(r"[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
"""What makes text read in another order than it is written."""
HANG_FRAME = re.compile(r'^  File "(?P<path>.+)", line (?P<line>\d+) in (?P<function>.+)$', re.MULTILINE)
TRACE_FRAME = re.compile(r'^\s*File "(?P<path>.+?)", line (?P<line>\d+), in (?P<function>.+)$', re.MULTILINE)
ERROR_LINE = re.compile(
    r"^(?P<type>[A-Za-z_][\w.]*(?:Error|Exception|Warning|Interrupt|Exit|Failed))(?:: (?P<text>.*))?$"
)
SEAL_LENGTH = 32
ENDED = "ProcessEnded"
"""Stands for the exception of a test whose process ended in it."""


class Reader:
    """Reads sealed lines in the order in which they were written, however they arrive."""

    def __init__(self, nonce: str) -> None:
        """Know the nonce of the run."""
        self._key = nonce
        self._number = 0
        self._rest = b""

    def read(self, data: bytes) -> Iterator[Record]:
        """The records that `data` completes."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            record = self._open(line)
            if record is not None:
                self._number += 1
                self._key = hashlib.sha256(self._key.encode()).hexdigest()
                yield record

    def _open(self, line: bytes) -> Record | None:
        seal, _, body = line.partition(b" ")
        if len(seal) != SEAL_LENGTH:
            return None
        expected = hashlib.sha256(f"{self._key}:{self._number}:".encode() + body).hexdigest()[:SEAL_LENGTH]
        return cast("Record", json.loads(body)) if expected.encode() == seal else None


@dataclass(frozen=True, slots=True)
class Report:
    """A run's report: what ran, what was planned, what each test gave, what could not be collected, and the end.

    `local`: what could not be collected because a module is missing in the repository's own packages. `tampered`:
    parts of the runner that the repository's own code has replaced.
    """

    runner: Record
    planned: tuple[str, ...] | None
    positional: tuple[str, ...]
    results: Mapping[str, TestResult]
    coverage: LineCoverage
    broken: Mapping[str, TestResult]
    running: str | None
    status: int | None
    local: frozenset[str] = frozenset()
    tampered: tuple[str, ...] = ()


def read_report(records: Iterable[Record]) -> Report:
    """The report that the records make; of a test reported twice a red result counts: no later line takes it back."""
    runner: Record = {}
    planned: tuple[str, ...] | None = None
    positional: tuple[str, ...] = ()
    results: dict[str, TestResult] = {}
    coverage: dict[str, Mapping[PurePosixPath, frozenset[int]]] = {}
    broken: dict[str, TestResult] = {}
    local: set[str] = set()
    running: str | None = None
    status: int | None = None
    tampered: tuple[str, ...] = ()
    ends = 0
    for record in records:
        match record["kind"]:
            case "runner":
                runner = record
            case "plan":
                planned, positional = tuple(record["tests"]), tuple(record["positional"])
            case "start":
                running = record["id"]
            case "test":
                running = None
                result = result_of(record["id"], record, Outcome(record["outcome"]))
                if record["id"] not in results or not results[record["id"]].outcome.red:
                    results[record["id"]] = result
                coverage.update(lines_in(record))
            case "broken":
                local.update([record["path"]] if record["local"] else ())
                broken[record["path"]] = result_of(record["path"], record, broken_outcome(record))
            case "tampered":
                tampered = tuple(map(str, record["names"]))
            case "end":
                ends += 1
                status = record["status"] if ends == 1 else None  # said twice: one of the two is a forgery
            case _:
                pass
    return Report(runner, planned, positional, results, coverage, broken, running, status, frozenset(local), tampered)


def broken_outcome(record: Record) -> Outcome:
    """A file that hangs while it is imported is not just an error."""
    return Outcome.TIMED_OUT if record["exception"] == "Timeout" else Outcome.ERROR


def result_of(test: str, record: Record, outcome: Outcome) -> TestResult:
    """One test's record as a noun."""
    frames = tuple(Frame(PurePosixPath(path), line, function) for path, line, function in record["frames"])
    return TestResult(
        id=test,
        outcome=outcome,
        seconds=float(record.get("seconds", 0.0)),
        exception=record["exception"],
        text=clean(record["text"]),
        frames=frames,
    )


def lines_in(record: Record) -> dict[str, Mapping[PurePosixPath, frozenset[int]]]:
    """The lines that a test ran, by its id; nothing where nobody looked."""
    lines = record.get("lines")
    return {} if lines is None else {record["id"]: lines_of(lines)}


def lines_of(lines: Mapping[str, Sequence[Sequence[int]]]) -> Mapping[PurePosixPath, frozenset[int]]:
    """Lines by path, from runs of first and last lines."""
    return {
        PurePosixPath(path): frozenset(line for first, last in runs for line in range(first, last + 1))
        for path, runs in lines.items()
    }


def clean(text: str) -> str:
    """The text without terminal escapes and control characters; what turns the direction of reading is spelled out."""
    return TURNS.sub(lambda found: f"\\u{ord(found[0]):04x}", CONTROLS.sub("", ESCAPES.sub("", text)))


def tail(output: bytes) -> str:
    """The end of what was printed, for a person."""
    return clean(output[-OUTPUT_TAIL:].decode("utf-8", "replace"))


def frames_in(text: str, root: PurePosixPath, pattern: re.Pattern[str]) -> tuple[Frame, ...]:
    """The frames of a printed traceback that lie in the repository, in the order of the text."""
    found: list[Frame] = []
    for match in pattern.finditer(text):
        path = PurePosixPath(match["path"])
        inside = path if not path.is_absolute() else path.relative_to(root) if path.is_relative_to(root) else None
        if inside is not None and "site-packages" not in inside.parts and not inside.name.startswith("<"):
            found.append(Frame(inside, int(match["line"]), match["function"].strip()))
    return tuple(found)


def error_in(output: str) -> tuple[str, str]:
    """The type and text of the last exception that a printed traceback ends with; empty where there is none."""
    for line in reversed(output.splitlines()):
        match = ERROR_LINE.match(line.removeprefix("E").strip())
        if match is not None:
            return match["type"], match["text"] or ""
    return "", ""


@dataclass(frozen=True, slots=True)
class Finished:
    """A command's result beside its report, and what was wanted of it."""

    result: CommandResult
    report: Report
    command: tuple[str, ...]
    wanted: tuple[str, ...] | None
    root: PurePosixPath


def run_of(finished: Finished) -> TestRun:
    """The verdict: what each wanted test gave, and whether the runner said everything that it had to say.

    Complete means: sealed to its end, left by the exit status that the end names, an ending that runners use for
    tests that ran, every test collected that was wanted, every planned test reported, and none of them red where the
    runner says that all is well.
    """
    report, result = finished.report, finished.result
    planned = report.planned or ()
    results = {test: report.results[test] for test in planned if test in report.results}
    results |= {test: value for test, value in report.results.items() if test not in results}
    results |= dead(finished)
    wanted = finished.wanted if finished.wanted is not None else (*planned, *report.broken)
    answers = dict.fromkeys(wanted)
    told = tuple(answer(test, results, report) for test in answers)
    complete = (
        result.ending is Ending.EXITED
        and report.status is not None
        and report.status == result.exit_code
        and report.status in (0, 1)
        and all(test in report.results for test in planned)
        and all(value.outcome is not Outcome.MISSING for value in told)
        and not (report.status == 0 and any(value.outcome.red for value in report.results.values()))
    )
    return TestRun(
        command=finished.command,
        ending=result.ending,
        exit_code=result.exit_code,
        seconds=result.seconds,
        results=told,
        complete=complete,
        output=tail(result.output),
        tampered=report.tampered,
    )


def dead(finished: Finished) -> dict[str, TestResult]:
    """The test in which the process died or was killed, if any."""
    report, result = finished.report, finished.result
    if report.running is None:
        return {}
    hang = result.artifacts.get(HANG, b"").decode("utf-8", "replace")
    frames = tuple(reversed(frames_in(hang, finished.root, HANG_FRAME)))
    hung = bool(hang) or result.ending is Ending.TIMED_OUT
    outcome = Outcome.TIMED_OUT if hung else Outcome.ERROR
    exception = "Timeout" if hung else ENDED
    text = "" if hung else f"{result.ending} {result.exit_code}"
    return {report.running: TestResult(report.running, outcome, 0.0, exception, text, frames)}


def answer(test: str, results: Mapping[str, TestResult], report: Report) -> TestResult:
    """What a wanted test gave: itself, or all that it contains (a file, a class), or why it could not be collected."""
    if test in results:
        return results[test]
    inside = [value for name, value in results.items() if name.startswith((f"{test}::", f"{test}["))]
    path = test.partition("::")[0]
    broken = report.broken.get(test) or report.broken.get(path)
    red = next((value for value in inside if value.outcome.red), broken)
    if red is not None:
        return TestResult(test, red.outcome, total(inside), red.exception, red.text, red.frames)
    if inside:
        skipped = all(value.outcome is Outcome.SKIPPED for value in inside)
        return TestResult(test, Outcome.SKIPPED if skipped else Outcome.PASSED, total(inside))
    return TestResult(test, Outcome.MISSING)


def total(results: Sequence[TestResult]) -> float:
    """Seconds in all."""
    return sum(value.seconds for value in results)
