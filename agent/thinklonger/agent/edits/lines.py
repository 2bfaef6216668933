r"""Texts as lines, and where two of them differ.

Lines end at `\n` only: `\r`, form feeds and the other characters at which `str.splitlines` breaks stay inside.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

LARGE = 2000
"""Beyond so many differing lines, frequent ones no longer anchor the comparison: not minimal, but never slow."""


@dataclass(frozen=True, slots=True)
class Difference:
    """Lines [start, end) of the old text became lines [new_start, new_end) of the new one; 0-based."""

    start: int
    end: int
    new_start: int
    new_end: int


def lines_of(text: str) -> list[str]:
    r"""The text's lines with their `\n`; only the last may lack it."""
    lines = text.split("\n")
    last = lines.pop()
    kept = [line + "\n" for line in lines]
    return [*kept, last] if last else kept


def ending_of(line: str) -> str:
    r"""The line's end: `\r\n`, `\n` or nothing."""
    return "\r\n" if line.endswith("\r\n") else "\n" if line.endswith("\n") else ""


def occurrences(text: str, search: str) -> list[int]:
    """Offsets at which `search` stands as whole lines of the text (overlapping ones too)."""
    found: list[int] = []
    offset = text.find(search)
    while offset >= 0:
        end = offset + len(search)
        if (offset == 0 or text[offset - 1] == "\n") and (search.endswith("\n") or end == len(text)):
            found.append(offset)
        next_line = text.find("\n", offset)
        offset = text.find(search, next_line + 1) if next_line >= 0 else -1
    return found


def differences(old: Sequence[str], new: Sequence[str]) -> list[Difference]:
    """Where two texts differ, from top to bottom, with at least one equal line between any two places."""
    shorter = min(len(old), len(new))
    head = next((number for number in range(shorter) if old[number] != new[number]), shorter)
    most = shorter - head
    tail = next((number for number in range(most) if old[-1 - number] != new[-1 - number]), most)
    matcher = SequenceMatcher(
        None, old[head : len(old) - tail], new[head : len(new) - tail], autojunk=len(old) - head - tail > LARGE
    )
    return [
        Difference(start + head, end + head, new_start + head, new_end + head)
        for tag, start, end, new_start, new_end in matcher.get_opcodes()
        if tag != "equal"
    ]
