"""Python source bytes to UTF-8 text: byte order marks, coding lines, line ends."""

import codecs
import re

from thinklonger.agent.repository.language import Decoded

_CODING = re.compile(rb"^[ \t\f]*#.*?coding[:=][ \t]*([-_.a-zA-Z0-9]+)")
_REFUSED = frozenset({"punycode", "idna", "undefined"})
"""Codecs that take quadratic time or are no encoding of text."""
_BLANK = re.compile(rb"^[ \t\f]*(?:#[^\r\n]*)?$")


def decode(content: bytes) -> Decoded:
    """The text in UTF-8; `sound` is False where the bytes are not what their declared encoding (or UTF-8) allows."""
    marked = content.startswith(codecs.BOM_UTF8)
    text = content[len(codecs.BOM_UTF8) :] if marked else content
    sound = True
    if not text.isascii():
        text, sound = _recode(text, marked=marked)
    if b"\0" in text:
        sound = False
    if b"\r" in text and b"\n" not in text:
        text = text.replace(b"\r", b"\n")
    return Decoded(text, sound)


def _recode(text: bytes, *, marked: bool) -> tuple[bytes, bool]:
    """Non-ASCII bytes from their declared encoding to UTF-8; unchanged and not sound where that fails."""
    declared = "utf-8" if marked else _declared(text)
    try:
        codec = codecs.lookup(declared)
        if codec.name == "utf-8":
            text.decode()
            return text, True
        if codec.name in _REFUSED:
            return text, False
        return text.decode(declared).encode(), True
    except (LookupError, UnicodeError):
        return text, False


def _declared(text: bytes) -> str:
    """The encoding named in the first two lines (PEP 263), else UTF-8."""
    for line in text[:1000].split(b"\n", 2)[:2]:
        line = line.rstrip(b"\r")  # noqa: PLW2901 - the line itself is meant
        if found := _CODING.match(line):
            return found.group(1).decode("ascii").replace("_", "-")
        if not _BLANK.match(line):
            break
    return "utf-8"
