"""Playing events as a pipeline would: the public fake behind every view, and the way to show a run once more."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from time import monotonic

from thinklonger.agent.trace.events import Event, RunCancelled
from thinklonger.agent.trace.recording import Recorder


async def play(
    events: Iterable[Event],
    *,
    recorder: Recorder | None = None,
    pause: Callable[[Event], Awaitable[None]] | None = None,
) -> AsyncGenerator[Event]:
    """Yield the events under the pipeline's contract: each is in the record before anybody sees it.

    `pause` is awaited before each event. Cancelled or closed early, the record (if any) ends with RunCancelled.
    """
    started = monotonic()
    try:
        for event in events:
            if pause is not None:
                await pause(event)
            if recorder is not None:
                recorder.append(event)
            yield event
    except (asyncio.CancelledError, GeneratorExit):
        if recorder is not None:
            recorder.append(RunCancelled(seconds=monotonic() - started))
        raise
    finally:
        if recorder is not None:
            recorder.close()
