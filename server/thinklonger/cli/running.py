"""A job to its end, or to the user's: the first Ctrl-C stops it in order, the second at once."""

import asyncio
import os
import signal
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import AbstractContextManager, aclosing, contextmanager, nullcontext
from dataclasses import dataclass
from types import FrameType
from typing import TypeVar

from thinklonger.cli.leaving import CANCELLED, SIGNALS, interrupt_on_signals

Step = TypeVar("Step")

PATIENCE = 0.5
"""Seconds after the first signal before code that keeps the event loop busy is interrupted where it stands."""


def watch(
    events: AsyncGenerator[Step],
    show: Callable[[Step], None],
    *,
    give_up: Callable[[], None],
    steered: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> bool:
    """Show every event of a run until it ends (True) or the user stops it (False).

    `give_up` is called before a second signal ends the process on the spot. `steered` is entered for the run, inside
    its loop.
    """
    try:
        return asyncio.run(_watch(events, show, give_up, steered))
    except asyncio.CancelledError:  # the loop itself was interrupted; asyncio.run has let every task clean up
        return False


async def _watch(
    events: AsyncGenerator[Step],
    show: Callable[[Step], None],
    give_up: Callable[[], None],
    steered: Callable[[], AbstractContextManager[None]],
) -> bool:
    stop = _Stop()
    task = asyncio.ensure_future(_follow(events, show, stop))
    with _stopped_by_signals(task, stop, give_up), steered():
        try:
            await task
        except asyncio.CancelledError:
            return False
        return True


async def _follow(events: AsyncGenerator[Step], show: Callable[[Step], None], stop: "_Stop") -> None:
    async with aclosing(events):
        async for event in events:
            show(event)
            if stop.thrown:  # and swallowed by the code that it was thrown into
                raise asyncio.CancelledError


@dataclass(slots=True)
class _Stop:
    """What came of the first signal: it was `asked`; the loop has `heard` it; a cancellation was `thrown` in."""

    asked: bool = False
    heard: bool = False
    thrown: bool = False


@contextmanager
def _stopped_by_signals(task: asyncio.Future[None], stop: _Stop, give_up: Callable[[], None]) -> Generator[None]:
    """Cancel the task on the first signal; leave the process on the second.

    The handlers are Python's, not the loop's: they also run while synchronous code keeps the loop from turning.
    Where the loop has not turned `PATIENCE` seconds after the signal, that code is interrupted. Once the run has
    ended, signals interrupt what comes after it.
    """
    loop = asyncio.get_running_loop()

    def cancel() -> None:
        stop.heard = True
        if not stop.thrown:
            task.cancel()

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        if stop.asked:
            give_up()
            os._exit(CANCELLED)
        stop.asked = True
        loop.call_soon_threadsafe(cancel)
        signal.setitimer(signal.ITIMER_REAL, PATIENCE)

    def on_alarm(_number: int, _frame: FrameType | None) -> None:
        if not stop.heard:
            stop.thrown = asyncio.current_task(loop) is task  # else the task itself is still to be cancelled
            raise asyncio.CancelledError

    before = signal.signal(signal.SIGALRM, on_alarm)
    for number in SIGNALS:
        signal.signal(number, on_signal)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        interrupt_on_signals()
