"""What a signal does when no job is running: leave on the spot while there is nothing to clean up, else interrupt.

Python's own way, an exception out of nowhere, gets lost where it hits a callback of the import system.
"""

import os
import signal
from collections.abc import Generator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
CANCELLED = 130


@contextmanager
def leave_on_signals() -> Generator[None]:
    """Leave the process with exit code 130 on a signal, from here on until something has to be cleaned up."""
    before = {number: signal.signal(number, _leave) for number in SIGNALS}
    try:
        yield
    except KeyboardInterrupt:  # once more, after the job: only its last lines are missing
        os._exit(CANCELLED)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def interrupt_on_signals() -> None:
    """From here on a signal is a KeyboardInterrupt: there are things to put in order."""
    for number in SIGNALS:
        signal.signal(number, _interrupt)


def _leave(_number: int, _frame: FrameType | None) -> None:
    os._exit(CANCELLED)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
