"""A job to its end, or to the user's: the first Ctrl-C stops it in order, the second at once."""

import asyncio
import os
import signal
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import aclosing, contextmanager
from types import FrameType

from thinklonger.agent.trace.events import Event

PATIENCE = 0.5
"""Seconds after the first signal before code that keeps the event loop busy is interrupted where it stands."""

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_CANCELLED = 130


def watch(events: AsyncGenerator[Event], show: Callable[[Event], None], *, give_up: Callable[[], None]) -> bool:
    """Show every event of a run until it ends (True) or the user stops it (False).

    `give_up` is called before a second signal ends the process on the spot.
    """
    try:
        return asyncio.run(_watch(events, show, give_up))
    except asyncio.CancelledError:  # the loop itself was interrupted; asyncio.run has let every task clean up
        return False


async def _watch(events: AsyncGenerator[Event], show: Callable[[Event], None], give_up: Callable[[], None]) -> bool:
    task = asyncio.ensure_future(_follow(events, show))
    with _stopped_by_signals(task, give_up):
        try:
            await task
        except asyncio.CancelledError:
            return False
        return True


async def _follow(events: AsyncGenerator[Event], show: Callable[[Event], None]) -> None:
    async with aclosing(events):
        async for event in events:
            show(event)


@contextmanager
def _stopped_by_signals(task: asyncio.Future[None], give_up: Callable[[], None]) -> Generator[None]:
    """Cancel the task on the first signal; leave the process on the second.

    The handlers are Python's, not the loop's: they also run while synchronous code keeps the loop from turning.
    Where the loop has not turned `PATIENCE` seconds after the signal, that code is interrupted.
    """
    loop = asyncio.get_running_loop()
    state = {"asked": False, "heard": False, "thrown": False}

    def cancel() -> None:
        state["heard"] = True
        if not state["thrown"]:
            task.cancel()

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        if state["asked"]:
            give_up()
            os._exit(_CANCELLED)
        state["asked"] = True
        loop.call_soon_threadsafe(cancel)
        signal.setitimer(signal.ITIMER_REAL, PATIENCE)

    def on_alarm(_number: int, _frame: FrameType | None) -> None:
        if not state["heard"]:
            state["thrown"] = asyncio.current_task(loop) is task  # else the task itself is still to be cancelled
            raise asyncio.CancelledError

    before = {number: signal.signal(number, on_signal) for number in _SIGNALS}
    before[signal.SIGALRM] = signal.signal(signal.SIGALRM, on_alarm)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in before.items():
            signal.signal(number, handler)
