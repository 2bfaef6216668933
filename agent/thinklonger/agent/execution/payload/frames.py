"""Turns exceptions and stacks into what the report says of them: type, text, and the frames inside the repository."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any, List, Tuple

if TYPE_CHECKING:
    from types import CodeType, FrameType, TracebackType

    Frames = List[Tuple[str, int, str]]

TEXT_LIMIT = 4000
FRAME_LIMIT = 60
CHAIN_LIMIT = 5
FOREIGN = ("site-packages", "dist-packages", ".venv", "venv", ".tox", ".nox", "node_modules")


class Places:
    """Which files are the repository's: those below the root, installed packages and environments excepted."""

    def __init__(self, root: str) -> None:
        """Know the root by its name and by where it really is."""
        self._roots = tuple({os.path.join(path, "") for path in (root, os.path.realpath(root))})
        inside = [os.path.join(os.path.realpath(prefix), "") for prefix in (sys.prefix, sys.base_prefix)]
        self._prefixes = tuple(prefix for prefix in inside if prefix.startswith(self._roots))
        self._known: dict[str, str | None] = {}

    def relative(self, filename: str) -> str | None:
        """The path below the root with forward slashes, or None for a file that is not the repository's."""
        try:
            return self._known[filename]
        except KeyError:
            found = self._known[filename] = self._find(filename)
            return found

    def _find(self, filename: str) -> str | None:
        if filename.startswith("<"):
            return None
        path = os.path.normpath(os.path.join(self._roots[0], filename))
        if path.startswith(self._prefixes):
            return None
        for root in self._roots:
            if path.startswith(root):
                parts = path[len(root) :].split(os.sep)
                return None if any(part in FOREIGN for part in parts) else "/".join(parts)
        return None

    def of_traceback(self, traceback: TracebackType | None) -> Frames:
        """The repository's frames of a traceback, outermost first."""
        found: Frames = []
        while traceback is not None:
            code = traceback.tb_frame.f_code
            path = self.relative(code.co_filename)
            if path is not None:
                found.append((path, line_of(traceback.tb_lineno, code), code.co_name))
            traceback = traceback.tb_next
        return shorten(found)

    def of_stack(self, frame: FrameType | None) -> Frames:
        """The repository's frames of a stack, outermost first."""
        found: Frames = []
        while frame is not None:
            path = self.relative(frame.f_code.co_filename)
            if path is not None:
                found.append((path, line_of(frame.f_lineno, frame.f_code), frame.f_code.co_name))
            frame = frame.f_back
        found.reverse()
        return shorten(found)

    def describe(self, error: BaseException) -> dict[str, Any]:
        """What the report says of an exception; the frames of its causes come after its own."""
        frames = self.of_traceback(error.__traceback__)
        cause = cause_of(error)
        for _ in range(CHAIN_LIMIT):
            if cause is None:
                break
            frames += self.of_traceback(cause.__traceback__)
            cause = cause_of(cause)
        return {"exception": type_name(type(error)), "text": text_of(error), "frames": shorten(frames)}


def line_of(line: int | None, code: CodeType) -> int:
    """A frame's line; between two statements of a loop, say, it has none: then the function's first."""
    return code.co_firstlineno if line is None else line


def shorten(frames: Frames) -> Frames:
    """The frames without the middle of a deep recursion."""
    half = FRAME_LIMIT // 2
    return frames if len(frames) <= FRAME_LIMIT else frames[:half] + frames[-half:]


def cause_of(error: BaseException) -> BaseException | None:
    """The exception that this one was raised from, or while handling."""
    if error.__cause__ is not None:
        return error.__cause__
    return None if error.__suppress_context__ else error.__context__


def type_name(kind: type) -> str:
    """The exception's name as a traceback shows it."""
    return (
        kind.__qualname__ if kind.__module__ in ("builtins", "__main__") else kind.__module__ + "." + kind.__qualname__
    )


def text_of(error: BaseException) -> str:
    """The exception's own words; the code of a hostile `__str__` may do what it likes."""
    try:
        text = str(error)
    except BaseException as failure:  # noqa: BLE001 - a foreign __str__ may raise anything
        text = f"<unprintable: {type(failure).__name__}>"
    return text if len(text) <= TEXT_LIMIT else text[: TEXT_LIMIT // 2] + "\n…\n" + text[-TEXT_LIMIT // 2 :]
