"""Ends what hangs: first by an exception at the line where it hangs, then, if it won't be interrupted, for good."""

from __future__ import annotations

import faulthandler
import signal
import threading
import time
from typing import IO, TYPE_CHECKING, Any, Callable

if TYPE_CHECKING:
    from types import FrameType

    from .frames import Places

REPEAT_SECONDS = 0.25
REPEATS = 4
UNWIND_SECONDS = 12.0
"""What a test may take to end once its time is up, on a machine that has more to do."""
GRACE_SECONDS = 2.0
"""What can't be interrupted by a Python signal handler (a loop in C) is killed this much later."""


class Hang(BaseException):
    """The time of a test is up. No `except Exception` catches it."""

    def __str__(self) -> str:
        """Say it in the runner's own report."""
        return "still running after its time was up"


class Watch:
    """One alarm at a time, on the main thread.

    `dump` is a file that gets the stack of what had to be killed; `give_up` is called when code that catches
    everything has swallowed the exception again and again; it must not return.
    """

    def __init__(self, places: Places, dump: IO[bytes] | None, give_up: Callable[[], None]) -> None:
        """Know where stacks are written, and what to do at the very end."""
        self._places = places
        self._dump = dump
        self._give_up = give_up
        self._deadline = 0.0
        self._latest = 0.0
        self._cpu_end = 0.0
        self._fired = 0
        self._fired_at = (0.0, 0.0)
        self._armed = False
        self.frames: list[tuple[str, int, str]] = []

    @property
    def fired(self) -> bool:
        """Whether the time was up since `begin`."""
        return self._fired > 0

    def begin(self, seconds: float, patience: float = 1.0) -> None:
        """A new test, which may take so long; with `patience`, so much longer where it got little of the processor."""
        self._deadline = time.monotonic() + seconds
        self._latest = time.monotonic() + seconds * patience
        self._cpu_end = time.process_time() + seconds
        self._fired = 0
        self.frames = []

    def arm(self, least: float = 0.1) -> None:
        """From here on the test's own code runs; it has what is left of its time, `least` seconds anyway."""
        if threading.current_thread() is not threading.main_thread():
            return
        seconds = max(self._deadline - time.monotonic(), least)
        longest = max(self._latest - time.monotonic(), least)
        self._armed = True
        signal.signal(signal.SIGALRM, self._alarm)
        if self._dump is not None:
            faulthandler.dump_traceback_later(longest + GRACE_SECONDS, exit=True, file=self._dump)
        signal.setitimer(signal.ITIMER_REAL, seconds, REPEAT_SECONDS)

    def rearm(self) -> None:
        """After a fork, which takes no timer along: go on as before."""
        if self._armed:
            self.arm()

    def disarm(self) -> None:
        """The test's own code has ended."""
        self._armed = False
        if threading.current_thread() is threading.main_thread():
            signal.setitimer(signal.ITIMER_REAL, 0)
            if self._dump is not None:
                faulthandler.cancel_dump_traceback_later()

    def _alarm(self, _number: int, frame: FrameType | None) -> None:
        __tracebackhide__ = True  # pytest's report ends where the test hangs
        if not self._armed or (time.monotonic() < self._latest and time.process_time() < self._cpu_end):
            return
        if self._fired and not (self._had_time() and self._places.of_stack(frame)):
            return  # it is ending; an exception in the runner's own code would only spoil its report
        self._fired += 1
        self._fired_at = (time.monotonic(), time.process_time())
        if self._fired == 1:
            self.frames = self._places.of_stack(frame)
            if self._dump is not None:
                faulthandler.dump_traceback_later(UNWIND_SECONDS, exit=True, file=self._dump)
        if self._fired > REPEATS:
            self._give_up()
        raise Hang

    def _had_time(self) -> bool:
        """Whether the test could have ended since the last alarm: on a busy machine that takes longer."""
        when, cpu = self._fired_at
        return time.process_time() - cpu >= REPEAT_SECONDS / 2 or time.monotonic() - when >= GRACE_SECONDS


def hang_record(watch: Watch) -> dict[str, Any]:
    """What the report says of a test whose time was up."""
    return {"outcome": "timed-out", "exception": "Timeout", "text": "", "frames": watch.frames}
