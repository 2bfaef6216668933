"""A tree's files as a tar in a pipe, for an engine that takes them from there."""

import io
import os
import stat
import tarfile
from contextlib import suppress
from pathlib import Path, PurePosixPath

from thinklonger.agent.sandbox.inventory import Inventory
from thinklonger.agent.sandbox.layering import FOLDER_MODE

CHUNK = 1 << 18


def pack(root: Path, inventory: Inventory, user: tuple[int, int], writing: int) -> None:
    """Write the files below `root` as a tar of the user's into a pipe; what can't be read any more is left out."""
    folders: set[PurePosixPath] = {PurePosixPath()}
    with (
        suppress(BrokenPipeError),
        os.fdopen(writing, "wb") as pipe,
        tarfile.open(fileobj=pipe, mode="w|", format=tarfile.GNU_FORMAT, bufsize=CHUNK) as tar,
    ):
        for path in sorted(inventory.files):
            for folder in reversed(path.parents):
                if folder not in folders:
                    folders.add(folder)
                    tar.addfile(_owned(_folder(str(folder)), user))
            with suppress(FileNotFoundError, PermissionError):
                _add(tar, root, path, user)


def _add(tar: tarfile.TarFile, root: Path, path: PurePosixPath, user: tuple[int, int]) -> None:
    """Add one file or link; never follows a link. A file that shrinks meanwhile is filled up with zeros."""
    place = f"{root}/{path}"
    status = os.lstat(place)
    entry = tarfile.TarInfo(str(path))
    entry.mtime = int(status.st_mtime)
    entry.mode = stat.S_IMODE(status.st_mode) & 0o777 | 0o400
    if stat.S_ISLNK(status.st_mode):
        entry.type, entry.linkname = tarfile.SYMTYPE, os.readlink(place)  # noqa: PTH115 - as it stands
        tar.addfile(_owned(entry, user))
    elif stat.S_ISREG(status.st_mode):
        file = os.open(place, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | getattr(os, "O_CLOEXEC", 0))
        with open(file, "rb") as opened:  # noqa: PTH123 - a descriptor has no path
            content = opened.read()
        entry.size = len(content)
        tar.addfile(_owned(entry, user), io.BytesIO(content))


def _folder(name: str) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type, entry.mode = tarfile.DIRTYPE, FOLDER_MODE
    return entry


def _owned(entry: tarfile.TarInfo, user: tuple[int, int]) -> tarfile.TarInfo:
    entry.uid, entry.gid = user
    return entry
