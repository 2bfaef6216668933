"""Which bytecode that a command wrote is safe to keep: compiled from a frozen source, and valid only for that."""

import os
import stat
import struct
from collections.abc import Generator, Mapping
from pathlib import PurePosixPath

from thinklonger.agent.sandbox.inventory import is_folder

FOLDER = "__pycache__"
HEADER = struct.Struct("<4sIII")
"""Magic number, flags (0: checked by time and size), the source's modification time and its size."""


def valid_bytecode(tree: str, times: Mapping[PurePosixPath, int]) -> Generator[PurePosixPath]:
    """Paths of `.pyc` files below `tree` whose header names the modification time of a frozen source of theirs.

    `times` are the frozen files' modification times. Links are never followed. pytest's rewritten test modules have
    the same header and are among them.
    """
    known = {PurePosixPath(): True}
    for folder in sorted({path.parent for path in times if path.suffix == ".py"}):
        below = f"{tree}/{folder}/{FOLDER}"
        if not is_folder(tree, folder / FOLDER, known):
            continue
        try:
            names = os.listdir(below)  # noqa: PTH208 - names, a hundred folders at a time
        except OSError:
            continue
        for name in sorted(names):
            source = folder / f"{name.partition('.')[0]}.py"
            if name.endswith(".pyc") and source in times and _is_valid(f"{below}/{name}", times[source]):
                yield folder / FOLDER / name


def _is_valid(path: str, time: int) -> bool:
    """Whether the regular file's header is that of bytecode checked by this modification time."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return False
    with open(file, "rb") as opened:  # noqa: PTH123 - a descriptor has no path
        if not stat.S_ISREG(os.fstat(file).st_mode):
            return False
        header = opened.read(HEADER.size)
    return _names(header, time)


def belongs(path: PurePosixPath, content: bytes, times: Mapping[PurePosixPath, int]) -> bool:
    """The same for a file that is here already: `path` is relative to the tree."""
    source = path.parent.parent / f"{path.name.partition('.')[0]}.py"
    is_named = path.suffix == ".pyc" and path.parent.name == FOLDER and source in times
    return is_named and _names(content[: HEADER.size], times[source])


def _names(header: bytes, time: int) -> bool:
    """Whether bytecode's header says that it is checked by time, and names this one."""
    if len(header) < HEADER.size:
        return False
    _, flags, mtime, _ = HEADER.unpack(header)
    return flags == 0 and mtime == time & 0xFFFF_FFFF
