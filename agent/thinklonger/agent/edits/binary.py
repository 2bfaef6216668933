"""Git's binary patches: deflated contents in git's base 85."""

import base64
import string
import zlib
from collections.abc import Sequence

LENGTHS = string.ascii_uppercase + string.ascii_lowercase
"""A line's first character says how many bytes it holds: A is 1, z is 52, the most."""


def render_literal(before: bytes, after: bytes) -> str:
    """The patch that takes one content to the other, and back."""
    return "GIT binary patch\n" + _literal(after) + "\n" + _literal(before) + "\n"


def read_literal(lines: Sequence[str], start: int) -> tuple[bytes, int]:
    """The content whose `literal` line is at `start`, and the number of the line behind it; raises ValueError."""
    word, _, size = lines[start].partition(" ")
    if word != "literal" or not size.isdecimal():
        raise ValueError(lines[start])
    data = bytearray()
    number = start + 1
    while number < len(lines) and lines[number]:
        line = lines[number]
        length = LENGTHS.index(line[0]) + 1
        data += base64.b85decode(line[1:])[:length]
        number += 1
    inflater = zlib.decompressobj()
    try:
        content = inflater.decompress(bytes(data), int(size) + 1)
    except zlib.error as error:
        raise ValueError(lines[start]) from error
    if len(content) != int(size):
        raise ValueError(lines[start])
    return content, number + 1


def _literal(content: bytes) -> str:
    deflated = zlib.compress(content)
    lines = [f"literal {len(content)}\n"]
    for start in range(0, len(deflated), len(LENGTHS)):
        part = deflated[start : start + len(LENGTHS)]
        letter = LENGTHS[len(part) - 1]
        lines.append(letter + base64.b85encode(part, pad=True).decode("ascii") + "\n")
    return "".join(lines)
