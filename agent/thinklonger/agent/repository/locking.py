"""A lock between processes, on a file; the system lets go of it when its holder dies."""

import fcntl
import os
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Self

_PAUSE_SECONDS = 0.05


class Lock:
    """Held by one at a time, as far as the file system knows locks; after `seconds` of waiting we go on without.

    What it guards is safe without it, and only done twice. Raises OSError where the file can't be made.
    """

    def __init__(self, path: Path, *, seconds: float, stop: threading.Event) -> None:
        """Nothing happens yet; `stop` ends a wait."""
        self.waited = False
        self._path = path
        self._seconds = seconds
        self._stop = stop
        self._handle: int | None = None

    def acquire(self) -> None:
        """Wait for it (`waited` then says whether anybody was in the way)."""
        handle = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        end = time.monotonic() + self._seconds
        while not self._stop.is_set():
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                self.waited = True
                if time.monotonic() > end:
                    break
                time.sleep(_PAUSE_SECONDS)
            except OSError:
                break  # no locks on this file system
            else:
                break
        self._handle = handle
        if self._stop.is_set():
            self.release()

    def release(self) -> None:
        """Let go; safe to call twice."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None

    def __enter__(self) -> Self:
        """Acquire."""
        self.acquire()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Release."""
        self.release()
