"""What a command left for us: regular files only, read without ever following a link, within a total size."""

import os
import stat
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

ARTIFACT_BYTES = 64 * 1024**2
"""All artifacts of one command together; what no longer fits is left out."""
ARTIFACT_FILES = 10_000
ARTIFACT_DEPTH = 16
"""Folders below each other; what lies deeper is left out."""


def collect(folder: str) -> Mapping[str, bytes]:
    """The files below `folder` by path relative to it, in order of path.

    Nothing may write there any more. Left out are links, FIFOs, sockets, devices, what can't be read, names that
    are not UTF-8, and what no longer fits into the limits above.
    """
    collection = _Collection()
    try:
        top = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return {}
    try:
        collection.walk(top, ())
    finally:
        os.close(top)
    return collection.found


@dataclass(slots=True)
class _Collection:
    """The files found so far, and how many bytes may still come."""

    found: dict[str, bytes] = field(default_factory=dict[str, bytes])
    room: int = ARTIFACT_BYTES

    def walk(self, folder: int, above: tuple[str, ...]) -> None:
        """Take everything below an open folder."""
        for name in sorted(os.listdir(folder)):
            if len(self.found) >= ARTIFACT_FILES:
                return
            try:
                name.encode()
                self._take(folder, name, above)
            except (OSError, UnicodeError):
                continue

    def _take(self, folder: int, name: str, above: tuple[str, ...]) -> None:
        status = os.lstat(name, dir_fd=folder)
        if stat.S_ISDIR(status.st_mode) and len(above) < ARTIFACT_DEPTH:
            with _opened(folder, name, os.O_DIRECTORY) as below:
                self.walk(below, (*above, name))
        elif stat.S_ISREG(status.st_mode) and status.st_size <= self.room:
            with _opened(folder, name, os.O_NONBLOCK) as file, open(file, "rb", closefd=False) as opened:
                if stat.S_ISREG(os.fstat(file).st_mode):
                    content = opened.read(self.room)
                    self.room -= len(content)
                    self.found["/".join((*above, name))] = content


@contextmanager
def _opened(folder: int, name: str, flags: int) -> Generator[int]:
    """A descriptor of what lies under that very name: never of what a link there points to."""
    fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | flags, dir_fd=folder)
    try:
        yield fd
    finally:
        os.close(fd)
