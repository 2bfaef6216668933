"""The user's wish for an answer now: the key `a` at a terminal, SIGUSR1 anywhere."""

import asyncio
import contextlib
import os
import signal
import sys
import termios
import tty
from collections.abc import Callable, Generator
from contextlib import contextmanager
from types import FrameType
from typing import TypeAlias

KEY = b"a"
HELD = 1.0
"""Seconds that a wish lasts: it ends the thinking that goes on, not that of all stages to come."""
_READ = 64
_Modes: TypeAlias = list[int | list[bytes | int]]


class Keyboard:
    """Standard input as a keyboard: key by key while a run goes on, and as it was before afterwards."""

    def __init__(self) -> None:
        """Look at standard input; nothing changes yet."""
        self._fd = _terminal()
        self._before: _Modes | None = None

    @property
    def listens(self) -> bool:
        """Whether keys can be heard: standard input is this program's terminal, and it is in front."""
        return self._fd is not None

    def open(self, pressed: Callable[[bytes], None]) -> None:
        """Hear keys one by one, in the running loop; Ctrl-C and its like stay signals."""
        if self._fd is None:
            return
        try:
            self._before = termios.tcgetattr(self._fd)
            tty.setcbreak(self._fd, termios.TCSANOW)
        except termios.error:
            self._before = None
            return
        asyncio.get_running_loop().add_reader(self._fd, self._read, pressed)

    def close(self) -> None:
        """Give the terminal back as it was; also from a signal handler, in a hurry."""
        if self._fd is not None and self._before is not None:
            with contextlib.suppress(termios.error):
                termios.tcsetattr(self._fd, termios.TCSANOW, self._before)
            self._before = None

    def _read(self, pressed: Callable[[bytes], None]) -> None:
        if self._fd is None:
            return
        try:
            keys = os.read(self._fd, _READ)
        except OSError:
            keys = b""
        if keys:
            pressed(keys)
        else:
            asyncio.get_running_loop().remove_reader(self._fd)

    def forget(self) -> None:
        """Hear no more keys."""
        if self._fd is not None and self._before is not None:
            asyncio.get_running_loop().remove_reader(self._fd)


@contextmanager
def steered(wish: asyncio.Event, *, keyboard: Keyboard | None, heard: Callable[[], None]) -> Generator[None]:
    """Set `wish` for a moment when the user asks for an answer now, in the running loop, and call `heard`."""
    loop = asyncio.get_running_loop()

    def ask() -> None:
        if not wish.is_set():
            wish.set()
            loop.call_later(HELD, wish.clear)
            heard()

    def pressed(keys: bytes) -> None:
        if KEY in keys:
            ask()

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(ask)

    before = signal.signal(signal.SIGUSR1, on_signal)
    if keyboard is not None:
        keyboard.open(pressed)
    try:
        yield
    finally:
        if keyboard is not None:
            keyboard.forget()
            keyboard.close()
        signal.signal(signal.SIGUSR1, before)


def _terminal() -> int | None:
    """Standard input's number, if it is a terminal in whose foreground we are: else changing it would stop us."""
    try:
        fd = sys.stdin.fileno()
        return fd if os.isatty(fd) and os.tcgetpgrp(fd) == os.getpgrp() else None
    except (OSError, ValueError):
        return None
