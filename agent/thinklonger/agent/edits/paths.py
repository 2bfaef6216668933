"""Paths that stay inside the repository, and the quoted form in which git writes odd ones."""

import re
import stat
from pathlib import Path, PurePosixPath

from thinklonger.agent.errors import EditError

_ESCAPES = {7: "\\a", 8: "\\b", 9: "\\t", 10: "\\n", 11: "\\v", 12: "\\f", 13: "\\r", 34: '\\"', 92: "\\\\"}
_PLAIN = range(32, 127)
_UNESCAPES = {text[1]: code for code, text in _ESCAPES.items()}
_QUOTED_PART = re.compile(r"\\(?:([abtnvfr\"\\])|([0-3][0-7]{2}))|([^\\\"]+)", re.DOTALL)
_IGNORABLE = re.compile("[\u200c-\u200f\u202a-\u202e\u206a-\u206f\ufeff]")
"""What some file systems leave out of names, so that `.g\u200cit` is `.git` there."""


def confine(path: PurePosixPath, root: Path) -> PurePosixPath:
    """The path itself, proved to name something below `root`; raises EditError.

    Refused: absolute paths, `..`, drive letters and backslashes, NUL, anything in `.git`, and whatever is or lies
    below a symbolic link on disk (an edit must name the file that it changes).
    """
    check_inside(path)
    for part in (*reversed(path.parents), path):
        try:
            mode = (root / part).lstat().st_mode
        except OSError:
            break
        if not part.parts:
            continue
        if stat.S_ISLNK(mode):
            raise EditError("edits.path-symlink", path=shown(path), link=shown(part))
        if part == path and stat.S_ISDIR(mode):
            raise EditError("edits.path-folder", path=shown(path))
        if part != path and not stat.S_ISDIR(mode):
            raise EditError("edits.parent-is-file", path=shown(path), parent=shown(part))
    return path


def check_inside(path: PurePosixPath) -> None:
    """Refuse, by its text alone, a path that doesn't name something inside a repository; raises EditError."""
    text = str(path)
    if "\0" in text or not path.parts or re.search("[\ud800-\udc7f\udd00-\udfff]", text):
        raise EditError("edits.path-invalid", path=shown(path))
    if path.is_absolute() or ".." in path.parts or "\\" in text or re.match(r"[A-Za-z]:", text):
        raise EditError("edits.path-outside", path=shown(path))
    if any(_is_git(part) for part in path.parts):
        raise EditError("edits.path-git", path=shown(path))


def _is_git(part: str) -> bool:
    plain = _IGNORABLE.sub("", part).partition(":")[0].rstrip(". ").casefold()
    return plain in {".git", "git~1"}


def shown(path: PurePosixPath | str) -> str:
    """The path for a person: as it is, or quoted where it holds control characters or undecodable bytes."""
    text = str(path)
    return text if text.isprintable() else legibly_quoted(text)


def legibly_quoted(path: PurePosixPath | str) -> str:
    """The path in double quotes, with letters of any script as they are; `unquoted` reads it back."""
    signs = (sign if sign.isprintable() and sign not in '"\\' else quoted(sign)[1:-1] for sign in str(path))
    return f'"{"".join(signs)}"'


def quoted(path: PurePosixPath | str) -> str:
    """The path in double quotes with C escapes, bytes beyond ASCII as octal numbers, as git writes it."""
    data = _bytes(str(path))
    return (
        '"' + "".join(_ESCAPES.get(byte) or (chr(byte) if byte in _PLAIN else f"\\{byte:03o}") for byte in data) + '"'
    )


def needs_quotes(path: PurePosixPath | str) -> bool:
    """Whether git (with its default `core.quotePath`) quotes this path."""
    return any(byte not in _PLAIN or byte in _ESCAPES for byte in _bytes(str(path)))


def _bytes(text: str) -> bytes:
    """The bytes of a path's name; those of a character that no name can have are only good to be shown."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")


def unquoted(text: str) -> str:
    """The inverse of `quoted`; text beyond ASCII may also stand unescaped. Raises ValueError."""
    if not re.fullmatch('".*"', text, re.DOTALL):
        raise ValueError(text)
    body, data, position = text[1:-1], bytearray(), 0
    while position < len(body):
        part = _QUOTED_PART.match(body, position)
        if part is None:
            raise ValueError(text)
        escape, octal, plain = part.groups()
        if escape:
            data.append(_UNESCAPES[escape])
        elif octal:
            data.append(int(octal, 8))
        else:
            data += plain.encode("utf-8", "surrogateescape")
        position = part.end()
    return data.decode("utf-8", "surrogateescape")
