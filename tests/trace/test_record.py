"""The run record: what is appended comes back, any prefix loads, nothing strange is fatal."""

import errno
import json
import os
import re
import resource
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from types import UnionType
from typing import get_args, get_origin, get_type_hints

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from thinklonger.agent.errors import RecordError
from thinklonger.agent.trace import Recorded, Recorder, find_run, list_runs, load_run, new_run_id, read_record
from thinklonger.agent.trace.events import (
    SCHEMA_VERSION,
    Event,
    ProblemFound,
    RepositoryIndexed,
    RunCancelled,
    RunFailed,
    RunFinished,
    RunStarted,
    StageStarted,
)
from thinklonger.agent.trace.recording import RECORD_NAME
from thinklonger.agent.trace.runs import RunStatus, glance
from thinklonger.agent.trace.wire import EVENT_TYPES, decode, encode, link, linked, open_envelope, unlinked
from thinklonger.agent.types import Issue, IssueSource, Label, Message, Stage, StopReason

FIGURES = st.floats(allow_nan=False, allow_infinity=False)
TEXTS = st.text(max_size=8) | st.just("\udcff{}\x1b")
PATHS = st.sampled_from(["a.py", "包/模块.py", "a b/\udcfe.py"]).map(PurePosixPath)
PARAMS = st.dictionaries(st.sampled_from("abc"), TEXTS | st.integers() | FIGURES, max_size=2)
st.register_type_strategy(PurePosixPath, PATHS)
st.register_type_strategy(Message, st.builds(Message, TEXTS, PARAMS))
st.register_type_strategy(float, FIGURES)
st.register_type_strategy(str, TEXTS)
EVENTS = st.one_of([st.from_type(kind) for kind in EVENT_TYPES.values()])
TIMES = st.datetimes(datetime(2020, 1, 1), datetime(2040, 1, 1)).map(  # noqa: DTZ001 (made aware below)
    lambda time: time.replace(microsecond=time.microsecond // 1000 * 1000, tzinfo=UTC)
)


def started(run_id: str = "r", text: str = "# It breaks\n\nbadly") -> RunStarted:
    """The first event of a run."""
    return RunStarted(run_id, "resolve", Issue(text, IssueSource.TEXT), "/repo", "builtin", None, "0.1.0")


def finished(label: Label = Label.VERIFIED) -> RunFinished:
    """The last event of a run."""
    return RunFinished(label, "c1", "diff", None, (), StopReason.VERIFIED, 12.5)


def record(folder: Path, *events: Event, run_id: str = "run") -> Path:
    """A record of these events; its folder."""
    with Recorder.create(folder, run_id) as recorder:
        for event in events:
            recorder.append(event)
        return recorder.folder


@given(st.builds(Recorded, st.integers(1, 2**40), TIMES, EVENTS))
@settings(max_examples=200, deadline=None)
def test_every_event_round_trips(recorded: Recorded) -> None:
    """Encoded and decoded, an event is itself: paths, text that is not UTF-8, message variables and all."""
    line = encode(recorded)
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert decode(open_envelope(line)) == recorded


@given(st.lists(EVENTS, max_size=6), st.data())
@settings(max_examples=120, deadline=None)
def test_any_byte_prefix_of_a_record_loads(
    tmp_path_factory: pytest.TempPathFactory, events: list[Event], data: st.DataObject
) -> None:
    """Killed at any byte, a record still tells everything up to its last whole line, and that a line was torn."""
    state = tmp_path_factory.mktemp("state")
    folder = record(state, started(), *events)
    content = (folder / RECORD_NAME).read_bytes()
    whole = read_record(folder).entries
    cut = data.draw(st.integers(0, len(content)))
    (folder / RECORD_NAME).write_bytes(content[:cut])
    loaded = load_run(folder)
    lines = content[:cut].count(b"\n")
    assert loaded.record.entries == whole[:lines]
    torn = [problem.key for problem in loaded.record.problems]
    assert torn == ([] if cut in (0, *line_ends(content)) else ["trace.torn-line"])
    assert glance(folder) == loaded.summary


def line_ends(content: bytes) -> set[int]:
    """Where lines end."""
    return {offset + 1 for offset, byte in enumerate(content) if byte == ord("\n")}


@given(st.data())
@settings(max_examples=100, deadline=None)
def test_a_damaged_record_loads(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    """Bytes overwritten anywhere cost the lines that they hit, reported, and nothing else."""
    state = tmp_path_factory.mktemp("state")
    folder = record(state, started(), StageStarted(Stage.PATCH), RepositoryIndexed(1, 2, 3, 0.5), RunCancelled(1.0))
    content = bytearray((folder / RECORD_NAME).read_bytes())
    second = content.index(b"\n") + 1  # the first line names the schema; damage there is the other test's
    at = data.draw(st.integers(second, len(content) - 1))
    noise = data.draw(st.binary(min_size=1, max_size=20))
    content[at : at + len(noise)] = noise
    (folder / RECORD_NAME).write_bytes(content)
    run = load_run(folder)
    assert run.started == started()
    list_runs(state)


def test_lines_are_envelopes(tmp_path: Path) -> None:
    """The file format that others rely on: seq, time, type, data and link, one JSON object a line."""
    folder = record(tmp_path, started(), ProblemFound(Message("a.b", {"n": 1}), PurePosixPath("x/y.py")))
    first, second = (json.loads(line) for line in (folder / RECORD_NAME).read_text().splitlines())
    assert list(first) == ["seq", "time", "type", "data", "link"]
    assert (first["seq"], first["type"], first["data"]["schema"]) == (1, "run-started", SCHEMA_VERSION)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", first["time"])
    assert second["data"] == {"message": {"key": "a.b", "params": {"n": 1}}, "path": "x/y.py"}


def test_an_event_is_in_the_record_before_append_returns(tmp_path: Path) -> None:
    """A view never shows what the record doesn't have."""
    with Recorder.create(tmp_path, "run") as recorder:
        for expected, event in enumerate([started(), StageStarted(Stage.PATCH)], 1):
            recorded = recorder.append(event)
            assert recorded.seq == expected
            assert read_record(recorder.folder).entries[-1] == recorded


def test_records_are_private(tmp_path: Path) -> None:
    """Issue texts may be: folders are 0700 and files 0600, whatever the umask."""
    before = os.umask(0)
    try:
        with Recorder.create(tmp_path / "state", "run") as recorder:
            recorder.append(started())
            artifact = recorder.folder / recorder.keep("output.txt", b"secret").path
    finally:
        os.umask(before)
    modes = {path: path.stat().st_mode & 0o777 for path in (recorder.folder.parent, recorder.folder, artifact.parent)}
    assert set(modes.values()) == {0o700}
    assert {path.stat().st_mode & 0o777 for path in (recorder.folder / RECORD_NAME, artifact)} == {0o600}
    assert artifact.read_bytes() == b"secret"


@pytest.mark.parametrize("name", ["../x", "", "a/b", ".hidden", "x" * 101])
def test_artifacts_stay_in_their_folder(tmp_path: Path, name: str) -> None:
    """Only plain names."""
    with Recorder.create(tmp_path, "run") as recorder, pytest.raises(RecordError):
        recorder.keep(name, b"")


@pytest.mark.parametrize("run_id", ["../x", "", "a/b", "."])
def test_run_ids_stay_in_their_folder(tmp_path: Path, run_id: str) -> None:
    """Only plain names."""
    with pytest.raises(RecordError):
        Recorder.create(tmp_path, run_id)


def test_two_runs_never_share_a_record(tmp_path: Path) -> None:
    """The second writer of an id is refused."""
    record(tmp_path, started())
    with pytest.raises(RecordError):
        Recorder.create(tmp_path, "run")


def test_run_ids_sort_by_age() -> None:
    """Ids made later sort later, up to a millisecond, and are never the same."""
    ids = [new_run_id() for _ in range(500)]
    assert len(set(ids)) == len(ids)
    assert [name[:18] for name in ids] == sorted(name[:18] for name in ids)


def test_an_unwritable_state_folder_is_an_error_with_a_remedy(tmp_path: Path) -> None:
    """No traceback: the folder, the reason, and what to do."""
    (tmp_path / "state").write_text("a file")
    with pytest.raises(RecordError) as caught:
        Recorder.create(tmp_path / "state", "run")
    assert str(tmp_path) in str(caught.value)
    assert caught.value.remedy is not None
    assert caught.value.exit_code == 3


def test_a_full_disk_leaves_whole_lines(tmp_path: Path) -> None:
    """A write that fits only in part is taken back, reported, and later events still fit."""
    with Recorder.create(tmp_path, "run") as recorder:
        recorder.append(started())
        size = (recorder.folder / RECORD_NAME).stat().st_size
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + 100, hard))  # Python ignores SIGXFSZ
        try:
            with pytest.raises(RecordError) as caught:
                recorder.append(started(text="x" * 1000))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert os.strerror(errno.ENOSPC) in str(caught.value)
        assert recorder.append(RunCancelled(1.0)).seq == 2
    loaded = read_record(recorder.folder)
    assert [entry.seq for entry in loaded.entries] == [1, 2]
    assert loaded.problems == ()


def test_unknown_events_fields_and_values_of_a_newer_version_are_kept_readable(tmp_path: Path) -> None:
    """A newer minor version's record loads: what is known is understood, the rest is kept as it stands."""
    folder = record(tmp_path, started())
    time = "2026-11-20T10:00:00.000Z"
    lines: list[dict[str, object]] = [
        {"seq": 2, "time": time, "type": "tea-made", "data": {"sugar": 2}},
        {"seq": 3, "time": time, "type": "stage-started", "data": {"stage": "patch", "mood": "good"}, "extra": 1},
        {"seq": 4, "time": time, "type": "stage-started", "data": {"stage": "celebrate"}},
    ]
    before = unlinked((folder / RECORD_NAME).read_bytes())[1]
    with (folder / RECORD_NAME).open("ab") as file:
        for line in lines:
            written = json.dumps(line).encode()
            before = link(before, written)
            file.write(linked(written, before))
    loaded = read_record(folder)
    assert [entry.event for entry in loaded.entries] == [started(), StageStarted(Stage.PATCH)]
    assert [(line.seq, line.type, json.loads(line.data)) for line in loaded.unread] == [
        (2, "tea-made", {"sugar": 2}),
        (4, "stage-started", {"stage": "celebrate"}),
    ]
    assert loaded.problems == ()


def rewrite_schema(folder: Path, schema: int) -> None:
    """Let the record say that another schema version wrote it."""
    path = folder / RECORD_NAME
    path.write_text(path.read_text().replace(f'"schema":{SCHEMA_VERSION}', f'"schema":{schema}'))


def test_a_record_of_a_newer_schema_is_refused_with_a_remedy(tmp_path: Path) -> None:
    """What can't be understood is not guessed; one such record does not hide the others."""
    old = record(tmp_path, started(), run_id="old")
    rewrite_schema(record(tmp_path, started(), run_id="new"), SCHEMA_VERSION + 1)
    with pytest.raises(RecordError) as caught:
        load_run(tmp_path / "runs" / "new")
    assert caught.value.remedy is not None
    listing = list_runs(tmp_path)
    assert [run.folder for run in listing.runs] == [old]
    assert [problem.key for problem in listing.problems] == ["trace.other-schema"]


def test_a_record_of_an_older_schema_goes_through_its_migration(tmp_path: Path) -> None:
    """The seam works: a migration sees every event's type and data and gives today's."""
    folder = record(tmp_path, started(), StageStarted(Stage.PATCH))
    rewrite_schema(folder, SCHEMA_VERSION - 1)

    def lift(name: str, data: object) -> tuple[str, object]:
        if name == "stage-started":
            return name, {"stage": "verify"}
        return name, data

    loaded = read_record(folder, migrations={SCHEMA_VERSION - 1: lift})  # pyright: ignore[reportArgumentType] (plain values)
    assert [entry.event for entry in loaded.entries][1:] == [StageStarted(Stage.VERIFY)]
    with pytest.raises(RecordError):
        read_record(folder, migrations={})


def test_a_running_run_is_told_from_an_interrupted_one(tmp_path: Path) -> None:
    """The lock lives as long as the writer, also when it is killed without a word."""
    script = (
        "import sys, time; from pathlib import Path; from thinklonger.agent.trace import Recorder;"
        "from thinklonger.agent.trace.events import StageStarted; from thinklonger.agent.types import Stage;"
        f"r = Recorder.create(Path({str(tmp_path)!r}), 'run'); r.append(StageStarted(Stage.PATCH));"
        "print('ready', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        assert [run.status for run in list_runs(tmp_path).runs] == [RunStatus.RUNNING]
        process.kill()
        process.wait()
    assert [run.status for run in list_runs(tmp_path).runs] == [RunStatus.INTERRUPTED]
    assert load_run(tmp_path / "runs" / "run").summary.status is RunStatus.INTERRUPTED


def test_a_run_is_summed_up_from_its_events(tmp_path: Path) -> None:
    """Status, label, title and length, the same by a glance and by a full read."""
    failed = RunFailed("SandboxError", Message("a.b"), None, 3)
    expected = {
        "a": (finished(), RunStatus.FINISHED, Label.VERIFIED),
        "b": (failed, RunStatus.FAILED, None),
        "c": (RunCancelled(2.0), RunStatus.CANCELLED, None),
        "d": (StageStarted(Stage.PATCH), RunStatus.INTERRUPTED, None),
    }
    for name, (last, _, _) in expected.items():
        record(tmp_path, started(), last, run_id=name)
    runs = list_runs(tmp_path).runs
    assert [run.run_id for run in runs] == ["d", "c", "b", "a"]
    for run in runs:
        assert (run.status, run.label) == expected[run.run_id][1:]
        assert (run.title, run.repository, run.job) == ("It breaks", "/repo", "resolve")
        assert load_run(run.folder).summary == run
    assert runs[-1].seconds == 12.5


def test_an_empty_record_is_a_run_that_was_interrupted(tmp_path: Path) -> None:
    """Killed before the first event."""
    folder = record(tmp_path)
    assert load_run(folder).summary.status is RunStatus.INTERRUPTED


def test_runs_are_found_by_id_prefix_and_last(tmp_path: Path) -> None:
    """A unique prefix is enough; what is ambiguous or unknown is refused by name."""
    for name in ("2026-a1", "2026-a2", "2027"):
        record(tmp_path, started(), run_id=name)
    assert find_run(tmp_path, "2026-a1").name == "2026-a1"
    assert find_run(tmp_path, "2026-a2").name == find_run(tmp_path, "2026-a2"[:7]).name
    assert find_run(tmp_path, "last").name == find_run(tmp_path, "2027").name == "2027"
    with pytest.raises(RecordError, match="2026-a1, 2026-a2"):
        find_run(tmp_path, "2026")
    for unknown in ("3", "", "../runs"):
        with pytest.raises(RecordError, match="no run"):
            find_run(tmp_path, unknown)


def test_no_state_folder_means_no_runs(tmp_path: Path) -> None:
    """The first 'runs list' of a life."""
    assert list_runs(tmp_path / "nowhere").runs == ()


def test_every_event_type_is_on_the_wire() -> None:
    """The union, the wire names and the annotations fit together."""
    assert len(EVENT_TYPES) == len(get_args(Event))
    assert EVENT_TYPES["run-started"] is RunStarted
    for kind in EVENT_TYPES.values():
        assert all(get_origin(hint) is not UnionType or get_args(hint) for hint in get_type_hints(kind).values())
