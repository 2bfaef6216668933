"""Fences: text from outside, set apart so that nothing in it can end the fence.

A fence is a line of backticks, longer than any run of backticks inside and never shorter than `SHORTEST`; the opening
line also says what is inside. The system's prompt says that nothing inside is an instruction.
"""

import json
import re
from collections.abc import Iterator
from pathlib import PurePosixPath

SHORTEST = 4
"""Backticks in a fence, unless the text has as many in a row."""

_RUN = re.compile("`+")
_OPENING = re.compile(rf"(`{{{SHORTEST},}})([^`]*)")
_NAME = re.compile(r"[^\w.:/+@, -]")


def fenced(text: str, *, about: str = "") -> str:
    """The text between two fences that it can't close; `about` is a word for what it is, made harmless."""
    longest = max((len(run[0]) for run in _RUN.finditer(text)), default=0)
    fence = "`" * max(SHORTEST, longest + 1)
    body = text if text.endswith("\n") or not text else f"{text}\n"
    return f"{fence}{_NAME.sub('_', about)}\n{body}{fence}"


def legible_path(path: PurePosixPath) -> str:
    """A path on one line: as it is where it is harmless, else quoted."""
    text = str(path)
    return text if text.isprintable() and not set(text) & set('`"\\') and text == text.strip() else json.dumps(text)


def excerpt(path: PurePosixPath, text: str, *, about: str = "") -> str:
    """Code of a file, under a heading that names the file and, where given, what of it (`lines 3-9`, a symbol)."""
    place = f", {_NAME.sub('_', about)}" if about else ""
    return f"### {legible_path(path)}{place}\n{fenced(text, about='python' if path.suffix == '.py' else '')}"


def split_fences(text: str) -> Iterator[tuple[bool, str]]:
    """The text's pieces in order, joined by line ends: whether a piece is the inside of a fence, and the piece.

    Fences stay with the pieces outside. What a fence that is never closed would hold counts as outside.
    """
    lines = text.split("\n")
    start = number = 0
    while number < len(lines):
        opening = _OPENING.fullmatch(lines[number])
        closing = _closing(lines, number, opening[1]) if opening else None
        if closing is not None and closing > number + 1:
            yield False, "\n".join(lines[start : number + 1])
            yield True, "\n".join(lines[number + 1 : closing])
            start = closing
        number = closing + 1 if closing is not None else number + 1
    yield False, "\n".join(lines[start:])


def _closing(lines: list[str], opening: int, fence: str) -> int | None:
    """The line that closes a fence."""
    return next((number for number in range(opening + 1, len(lines)) if lines[number] == fence), None)
