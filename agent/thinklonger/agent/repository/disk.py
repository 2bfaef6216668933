"""Reading a working tree safely: never a FIFO or a device, never through a symlink to somewhere else."""

import os
import stat
from pathlib import Path
from typing import NamedTuple

LARGEST_SOURCE = 2_000_000
"""Bytes; larger source files are listed, not parsed: they are data."""


class Stamp(NamedTuple):
    """What changes when a file changes: times in nanoseconds, size in bytes, inode."""

    modified: int
    changed: int
    size: int
    inode: int


UNVERIFIED = Stamp(0, 0, 0, 0)
"""The stamp of a file whose content must be looked at again next time."""

_COARSE = 2_100_000_000
_FINE = 100_000_000


def stamp_of(found: os.stat_result) -> Stamp:
    """The stamp of a stat result."""
    return Stamp(found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino)


def settled(stamp: Stamp, now: int) -> bool:
    """Whether a change after `now` (ns) must show in the stamp: file systems keep time in steps (up to 2 s)."""
    newest = max(stamp.modified, stamp.changed)
    return newest + (_COARSE if stamp.modified % 1_000_000_000 == 0 else _FINE) < now


def read_regular(path: str, limit: int = -1) -> tuple[bytes, os.stat_result] | None:
    """A regular file's content (at most `limit` + 1 bytes) and stat; None if it is anything else, or is not there.

    Raises OSError where it is there and can't be read. The last part of the path is not followed if it is a symlink.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        found = os.fstat(handle)
        if not stat.S_ISREG(found.st_mode):
            return None
        return _read_all(handle, found.st_size if limit < 0 else min(found.st_size, limit + 1), limit), found
    finally:
        os.close(handle)


def _read_all(handle: int, expected: int, limit: int) -> bytes:
    """Everything up to the limit; one read call in the usual case."""
    content = os.read(handle, expected + 1)
    if len(content) == expected:
        return content
    pieces = [content]
    total = len(content)
    while content and (limit < 0 or total <= limit):
        content = os.read(handle, 1 << 20)
        pieces.append(content)
        total += len(content)
    return b"".join(pieces)


def outside(root: Path, path: str) -> bool:
    """Whether a path below the root, with symlinks followed, leads out of it."""
    real = os.path.realpath(os.path.join(root, path))  # noqa: PTH118 - hot enough, and strings suit
    base = os.path.realpath(root)
    return real != base and not real.startswith(base.rstrip("/") + "/")
