"""A run's state as its events tell it, one run or all of them."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

from thinklonger.agent.errors import RecordError, ThinkLongerError
from thinklonger.agent.trace.events import (
    CandidateProposed,
    CandidatePruned,
    CandidateTested,
    CandidateVerified,
    Event,
    FilesRanked,
    LocationsRanked,
    ProblemFound,
    RepositoryIndexed,
    RunCancelled,
    RunFailed,
    RunFinished,
    RunStarted,
)
from thinklonger.agent.trace.reading import (
    MIGRATIONS,
    Record,
    migrate,
    read_bytes,
    read_record,
    split_lines,
)
from thinklonger.agent.trace.recording import is_being_written, run_folder
from thinklonger.agent.trace.wire import Envelope, Recorded, decode, open_envelope
from thinklonger.agent.types import FileRank, Issue, Label, Location, Message, Receipt

_TITLE_LENGTH = 100
_Kind = TypeVar("_Kind")


class RunStatus(StrEnum):
    """How a run stands. `INTERRUPTED`: its process died before it could say how it ended."""

    RUNNING = "running"
    FINISHED = "finished"
    FAILED = "failed"
    CANCELLED = "cancelled"
    INTERRUPTED = "interrupted"


@dataclass(frozen=True, slots=True)
class Summary:
    """A run in one line. `label` is None until it has finished; `patched`: with a patch; `seconds`: so far."""

    run_id: str
    folder: Path
    status: RunStatus
    started: datetime | None
    seconds: float
    job: str = ""
    repository: str = ""
    title: str = ""
    label: Label | None = None
    patched: bool = False


@dataclass(frozen=True, slots=True)
class CandidateState:
    """All that the record says about one candidate."""

    proposed: CandidateProposed
    tested: tuple[CandidateTested, ...] = ()
    pruned: Message | None = None
    receipt: Receipt | None = None


@dataclass(frozen=True, slots=True)
class Run:
    """A run's state. `finished` and `failed` are its last event, if it came to that.

    `files` and `locations` are the last rankings. `record` keeps every event in order, and what could not be read.
    """

    summary: Summary
    record: Record
    started: RunStarted | None = None
    indexed: RepositoryIndexed | None = None
    finished: RunFinished | None = None
    failed: RunFailed | None = None
    problems: tuple[Message, ...] = ()
    files: tuple[FileRank, ...] = ()
    locations: tuple[Location, ...] = ()
    candidates: tuple[CandidateState, ...] = ()


@dataclass(frozen=True, slots=True)
class Listing:
    """Runs, the newest first, and the folders that hold none that can be read."""

    runs: tuple[Summary, ...]
    problems: tuple[Message, ...]


def load_run(folder: Path) -> Run:
    """A run's whole state from its folder; raises RecordError."""
    alive = is_being_written(folder)
    record = read_record(folder)
    entries = record.entries
    events = [entry.event for entry in entries]
    summary = summarize(folder, entries[:1] + entries[-1:] if entries else (), alive=alive)
    return Run(
        summary=summary,
        record=record,
        started=_last(events, RunStarted),
        indexed=_last(events, RepositoryIndexed),
        finished=_last(events, RunFinished),
        failed=_last(events, RunFailed),
        problems=(*record.problems, *(event.message for event in events if isinstance(event, ProblemFound))),
        files=ranked_files(events),
        locations=ranked_locations(events),
        candidates=fold_candidates(events),
    )


def list_runs(state: Path) -> Listing:
    """Every run below the state folder. Only the first and the last line of each record are understood."""
    try:
        folders = sorted((entry for entry in (state / "runs").iterdir() if entry.is_dir()), reverse=True)
    except FileNotFoundError:
        return Listing((), ())
    except OSError as cause:
        reason = cause.strerror or type(cause).__name__
        raise RecordError("trace.unreadable", path=str(state / "runs"), reason=reason) from cause
    runs: list[Summary] = []
    problems: list[Message] = []
    for folder in folders:
        try:
            runs.append(glance(folder))
        except ThinkLongerError as error:
            problems.append(error.message)
    return Listing(tuple(runs), tuple(problems))


def find_run(state: Path, name: str) -> Path:
    """The folder of the run of that id, of that unique prefix of one, or of the `last` run; raises RecordError."""
    try:
        names = sorted(entry.name for entry in (state / "runs").iterdir() if entry.is_dir())
    except OSError:
        names = []
    if name in names:
        return run_folder(state, name)
    found = names[-1:] if name == "last" else [entry for entry in names if name and entry.startswith(name)]
    match found:
        case [only]:
            return run_folder(state, only)
        case []:
            raise RecordError("trace.no-such-run", run=name, folder=str(state / "runs"))
        case _:
            raise RecordError("trace.ambiguous-run", run=name, count=len(found), runs=", ".join(found[-5:]))


def glance(folder: Path) -> Summary:
    """A run's summary without reading what lies between its first and its last whole line; raises RecordError."""
    alive = is_being_written(folder)
    lines, _ = split_lines(read_bytes(folder))
    ends = [*lines[:1], *lines[1:][-1:]]
    envelopes: list[Envelope] = []
    for _, line in ends:
        try:
            envelopes.append(open_envelope(line))
        except ValueError:
            return load_run(folder).summary  # damaged there: what is left of the record has to say it
    entries = [decode(envelope) for envelope in migrate(envelopes, folder, MIGRATIONS)]
    return summarize(folder, [entry for entry in entries if isinstance(entry, Recorded)], alive=alive)


def summarize(folder: Path, ends: Sequence[Recorded], *, alive: bool) -> Summary:
    """The summary from the first and the last event."""
    if not ends:
        return Summary(folder.name, folder, _status(None, alive=alive), None, 0.0)
    first, last = ends[0], ends[-1]
    started = first.event if isinstance(first.event, RunStarted) else None
    seconds = (last.time - first.time).total_seconds()
    if isinstance(last.event, RunFinished | RunCancelled):
        seconds = last.event.seconds
    return Summary(
        run_id=folder.name,
        folder=folder,
        status=_status(last.event, alive=alive),
        started=first.time,
        seconds=seconds,
        job=started.job if started else "",
        repository=started.repository if started else "",
        title=title_of(started.issue) if started else "",
        label=last.event.label if isinstance(last.event, RunFinished) else None,
        patched=isinstance(last.event, RunFinished) and bool(last.event.patch),
    )


def title_of(issue: Issue) -> str:
    """An issue in one line: its first line that says something, or the test that has to pass."""
    for line in issue.text.splitlines():
        title = " ".join(line.lstrip("# \t").split())
        if title:
            return title if len(title) <= _TITLE_LENGTH else title[: _TITLE_LENGTH - 1] + "…"
    return issue.test_command or ""


def fold_candidates(events: Sequence[Event]) -> tuple[CandidateState, ...]:
    """The candidates in the order in which they were proposed, each with its tests and its end."""
    tested: dict[str, list[CandidateTested]] = defaultdict(list)
    proposed: dict[str, CandidateProposed] = {}
    pruned: dict[str, Message] = {}
    receipts: dict[str, Receipt] = {}
    for event in events:
        match event:
            case CandidateProposed():
                proposed[event.candidate] = event
            case CandidateTested():
                tested[event.candidate].append(event)
            case CandidatePruned():
                pruned[event.candidate] = event.by
            case CandidateVerified():
                receipts[event.candidate] = event.receipt
            case _:
                pass
    return tuple(
        CandidateState(event, tuple(tested[name]), pruned.get(name), receipts.get(name))
        for name, event in proposed.items()
    )


def ranked_files(events: Sequence[Event]) -> tuple[FileRank, ...]:
    """The last ranking of files."""
    finished, ranked = _last(events, RunFinished), _last(events, FilesRanked)
    return (finished.files if finished else ()) or (ranked.files if ranked else ())


def ranked_locations(events: Sequence[Event]) -> tuple[Location, ...]:
    """The last ranking of locations."""
    finished, ranked = _last(events, RunFinished), _last(events, LocationsRanked)
    return (finished.locations if finished else ()) or (ranked.locations if ranked else ())


def _last(events: Sequence[Event], kind: type[_Kind]) -> _Kind | None:
    return next((event for event in reversed(events) if isinstance(event, kind)), None)


def _status(last: Event | None, *, alive: bool) -> RunStatus:
    match last:
        case RunFinished():
            return RunStatus.FINISHED
        case RunFailed():
            return RunStatus.FAILED
        case RunCancelled():
            return RunStatus.CANCELLED
        case _:
            return RunStatus.RUNNING if alive else RunStatus.INTERRUPTED
