"""Where lines go: standard output and standard error, always UTF-8, never an error because a reader has left."""

import os
import sys
from collections.abc import Iterable
from io import TextIOWrapper
from typing import TextIO

from thinklonger.cli.page import Line, plain


def open_streams() -> None:
    """Open what the caller has closed (`>&-`), on nothing: else the next file opened would take its number."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_RDWR), mode, encoding="utf-8"))


def speak_utf8(stream: TextIO) -> None:
    """Make a stream write UTF-8 whatever the locale; what UTF-8 can't say is written as an escape."""
    if isinstance(stream, TextIOWrapper):
        stream.reconfigure(encoding="utf-8", errors="backslashreplace")


class Output:
    """One of the two streams. Colours and redrawing only where it is a terminal and the user wants them."""

    def __init__(self, stream: TextIO, *, color: bool, moving: bool) -> None:
        """Take over a stream; `color` and `moving` say what the surroundings allow."""
        self.stream = stream
        self.terminal = stream.isatty()
        self.color = color and moving and self.terminal
        self.moving = moving and self.terminal

    def show(self, lines: Iterable[Line]) -> None:
        """Print lines."""
        if self.color:
            self._show_styled(lines)
        else:
            self.write("".join(f"{plain(content)}\n" for content in lines))

    def write(self, text: str) -> None:
        """Print text as it stands; a reader that has left ends the printing, not the program."""
        try:
            self.stream.write(text)
            self.stream.flush()
        except BrokenPipeError:
            silence(self.stream)

    def show_cursor(self) -> None:
        """Give the cursor back in a hurry, from a signal handler."""
        if self.moving:
            os.write(self.stream.fileno(), b"\x1b[?25h\r\n")

    def _show_styled(self, lines: Iterable[Line]) -> None:
        from thinklonger.cli.styled import console, styled  # noqa: PLC0415 (rich is only for terminals)

        terminal = console(self.stream)
        for content in lines:
            terminal.print(styled(content), soft_wrap=True)


def silence(stream: TextIO) -> None:
    """Let everything that is still printed go nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


def finish() -> None:
    """Flush what is left, so that the interpreter finds nothing to fail on."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except BrokenPipeError:
            silence(stream)
