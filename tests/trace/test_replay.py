"""The public fake of a pipeline keeps the pipeline's contract."""

import asyncio
from contextlib import aclosing
from pathlib import Path

import pytest

from thinklonger.agent.trace import Recorder, load_run, play, read_record
from thinklonger.agent.trace.events import Event, RunCancelled, StageStarted
from thinklonger.agent.trace.runs import RunStatus
from thinklonger.agent.types import Stage

EVENTS = [StageStarted(stage) for stage in Stage]


async def test_every_event_is_recorded_before_it_is_seen(tmp_path: Path) -> None:
    """What a view has shown is in the record."""
    recorder = Recorder.create(tmp_path, "run")
    seen: list[Event] = []
    async for event in play(EVENTS, recorder=recorder):
        seen.append(event)
        assert [entry.event for entry in read_record(recorder.folder).entries] == seen
    assert seen == EVENTS


async def test_a_recorded_run_can_be_shown_once_more(tmp_path: Path) -> None:
    """Played from its record, without recording it again."""
    recorder = Recorder.create(tmp_path, "run")
    assert [event async for event in play(EVENTS, recorder=recorder)] == EVENTS
    recorded = [entry.event for entry in read_record(recorder.folder).entries]
    assert [event async for event in play(recorded)] == EVENTS
    assert len(read_record(recorder.folder).entries) == len(EVENTS)


async def test_a_cancelled_play_ends_its_record(tmp_path: Path) -> None:
    """Cancelled in the middle of a step: RunCancelled, and the record is let go."""
    recorder = Recorder.create(tmp_path, "run")
    reached = asyncio.Event()

    async def pause(event: Event) -> None:
        if event is EVENTS[1]:
            reached.set()
            await asyncio.Event().wait()

    async def watch() -> None:
        async for _ in play(EVENTS, recorder=recorder, pause=pause):
            pass

    task = asyncio.create_task(watch())
    await reached.wait()
    assert load_run(recorder.folder).summary.status is RunStatus.RUNNING
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    run = load_run(recorder.folder)
    assert run.summary.status is RunStatus.CANCELLED
    assert [type(entry.event) for entry in run.record.entries] == [StageStarted, RunCancelled]


async def test_a_play_that_is_closed_early_ends_its_record(tmp_path: Path) -> None:
    """A view that leaves is a cancellation too."""
    recorder = Recorder.create(tmp_path, "run")
    async with aclosing(play(EVENTS, recorder=recorder)) as events:
        async for _ in events:
            break
    assert load_run(recorder.folder).summary.status is RunStatus.CANCELLED
