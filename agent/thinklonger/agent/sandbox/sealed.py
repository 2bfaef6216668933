"""Bytes handed to a child process as a file descriptor: an unnamed file that nobody can write to any more."""

import os
import sys
import tempfile
from collections.abc import Generator
from contextlib import contextmanager

if sys.platform == "linux":
    import fcntl

    SEALS = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE


@contextmanager
def sealed(data: bytes) -> Generator[int]:
    """A descriptor at the start of `data`, closed at the end: sealed memory on Linux, an unlinked file elsewhere."""
    fd = _memory(data) if sys.platform == "linux" else _unlinked(data)
    try:
        yield fd
    finally:
        os.close(fd)


if sys.platform == "linux":

    def _memory(data: bytes) -> int:
        """An anonymous memory file that can be neither written nor resized."""
        fd = os.memfd_create("thinklonger", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        with open(fd, "wb", closefd=False) as file:
            file.write(data)
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, SEALS)
        os.lseek(fd, 0, os.SEEK_SET)
        return fd


def _unlinked(data: bytes) -> int:
    """A read-only descriptor of a temporary file that has no name any more."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(data)
        file.flush()
        return os.open(file.name, os.O_RDONLY)
