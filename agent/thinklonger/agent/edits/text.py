"""A file's bytes as text and back without losing one: coding lines (PEP 263), byte order marks, stray bytes."""

import codecs
import re
from functools import cache
from pathlib import PurePosixPath

from thinklonger.agent.edits.paths import shown
from thinklonger.agent.errors import EditError

BOM = "\ufeff"
SHOWN = 160
"""Characters of a line that a message shows."""

_CODING = re.compile(r"^[ \t\f]*#.*?coding[:=][ \t]*([-\w.]+)", re.ASCII)
_BLANK = re.compile(r"^[ \t\f]*(?:#.*)?\r?$")


def decode(content: bytes, path: PurePosixPath) -> str:
    """The text of a file's bytes, such that `encode` gives the same bytes back.

    Python files are read as their coding line says, all else as UTF-8; a byte that doesn't decode becomes a lone
    surrogate (`surrogateescape`). A byte order mark stays as the first character.
    """
    codec = _codec(content.decode("latin-1"), path)
    if codec is None:
        return content.decode("utf-8", "surrogateescape")
    try:
        text = content.decode(codec)
        if encode(text, path) == content:
            return text
    except (UnicodeError, EditError):
        pass
    return content.decode("ascii", "surrogateescape")


def encode(text: str, path: PurePosixPath) -> bytes:
    """The bytes of a text, by its own coding line; raises EditError for a character that the encoding lacks."""
    codec = _codec(text, path)
    try:
        if codec is None:
            return text.encode("utf-8", "surrogateescape")
        try:
            return text.encode(codec)
        except UnicodeError:
            return text.encode("ascii", "surrogateescape")
    except UnicodeEncodeError as error:
        character = text[error.start]
        raise EditError(
            "edits.not-encodable", path=shown(path), encoding=codec or "utf-8", character=f"U+{ord(character):04X}"
        ) from error


def legible(text: str) -> str:
    """A line for a message: what can't be printed (a terminal's escapes, too) replaced, cut where it is long."""
    plain = "".join(sign if sign.isprintable() else "\ufffd" for sign in text.replace("\t", " "))
    return plain if len(plain) <= SHOWN else f"{plain[:SHOWN]}…"


def _codec(text: str, path: PurePosixPath) -> str | None:
    """The codec that a Python file's first two lines name, None for UTF-8, other files and unknown names."""
    if path.suffix not in {".py", ".pyi", ".pyw"} or text.startswith((BOM, "\u00ef\u00bb\u00bf")):
        return None
    for line in text.split("\n", 2)[:2]:
        found = _CODING.match(line)
        if found:
            return _text_codec(found[1])
        if not _BLANK.match(line):
            return None
    return None


@cache
def _text_codec(name: str) -> str | None:
    """The codec's own name; None for UTF-8, unknown names, and codecs that change what is plain ASCII."""
    ascii_text = bytes(range(128)).decode("ascii")
    try:
        codec = codecs.lookup(name).name
        transparent = ascii_text.encode(codec) == ascii_text.encode("ascii")
    except (LookupError, UnicodeError):
        return None
    stateful = codec.startswith(("iso2022", "raw-unicode", "unicode"))
    return codec if transparent and not stateful and codec != "utf-8" else None
