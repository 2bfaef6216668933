"""Wording of an issue that may stand in the code as it is: messages, quoted strings, quoted lines of code."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from thinklonger.agent.issue.clues import Clues, CodeBlock

_WORDY = re.compile(r"[A-Za-z][A-Za-z,.;'-]*(?: [A-Za-z][A-Za-z,.;'-]*)+")
_WINDOW = 3
_SHORTEST_LINE = 16
_LONGEST_LINE = 200
_MOST_LINES = 40
_MOST_MESSAGES = 20
_NO_CODE = frozenset(
    {"bash", "console", "diff", "json", "sh", "shell", "sql", "toml", "xml", "yaml", "yml", "ini", "cfg"}
)
_OUTPUT = ("Traceback", "File ", ">>>", "import ", "from ", "In [", "Out[", "#", "$", "print(")


class Wording(StrEnum):
    """What kind of wording it is."""

    MESSAGE = "message"
    LINE = "line"


@dataclass(frozen=True, slots=True)
class Phrase:
    """A wording, and the pieces of it to look for: the more of them a file has, the surer it is the origin."""

    kind: Wording
    text: str
    pieces: tuple[str, ...]


def read_phrases(clues: Clues) -> Iterator[Phrase]:
    """Messages of errors, quoted strings of several words, then lines of code."""
    seen: set[str] = set()
    messages = [*(traceback.message for traceback in clues.tracebacks), *clues.quotes]
    count = 0
    for message in messages:
        pieces = _windows(message)
        if pieces and message not in seen and count < _MOST_MESSAGES:
            seen.add(message)
            count += 1
            yield Phrase(Wording.MESSAGE, message, pieces)
    count = 0
    for line in _lines(clues):
        if line not in seen and count < _MOST_LINES:
            seen.add(line)
            count += 1
            yield Phrase(Wording.LINE, line, (line,))


def _windows(message: str) -> tuple[str, ...]:
    """All runs of three words of the parts of a message that no value was put into."""
    windows: list[str] = []
    for run in _WORDY.finditer(message[:500]):
        words = run[0].strip(",.;'-").split(" ")
        windows.extend(" ".join(words[at : at + _WINDOW]) for at in range(len(words) - _WINDOW + 1))
    return tuple(dict.fromkeys(windows))


def _lines(clues: Clues) -> Iterator[str]:
    """Lines that might be the repository's own code: inline code, frames' code, lines of Python or unnamed blocks."""
    for traceback in clues.tracebacks:
        yield from (frame.code for frame in reversed(traceback.frames) if len(frame.code) >= _SHORTEST_LINE)
    yield from (quote for quote in clues.quotes if _is_code(quote))
    for block in clues.blocks:
        yield from _block_lines(block)


def _block_lines(block: CodeBlock) -> Iterator[str]:
    """The lines of a block that may be quoted code; a diff's lines without their marks."""
    if block.language in _NO_CODE and block.language != "diff":
        return
    for raw in block.text.splitlines():
        line = raw.lstrip("+-> ").strip() if raw[:1] in "+->" else raw.strip()
        if _is_code(line):
            yield line


def _is_code(line: str) -> bool:
    """Whether a line is worth looking for: long enough, and with something that prose doesn't have."""
    return (
        _SHORTEST_LINE <= len(line) <= _LONGEST_LINE
        and not line.startswith(_OUTPUT)
        and any(mark in line for mark in ("(", "=", "[", ".", ":"))
        and any(mark in line for mark in "(=[_")
    )
