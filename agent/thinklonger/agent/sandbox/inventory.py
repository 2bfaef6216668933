"""What of a tree can be frozen: regular files and symbolic links that lie where their path says."""

import os
import stat
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

BLOCK = 4096
"""What one more byte of a file may cost: memory is handed out in pages."""


@dataclass(frozen=True, slots=True)
class Inventory:
    """Files (by path: modification time in whole seconds), the room they need, and those that were left out.

    Left out are FIFOs, sockets, devices, folders, unreadable and vanished files, files that are reached through a
    symbolic link, and everything below `.git`.
    """

    files: Mapping[PurePosixPath, int]
    skipped: tuple[PurePosixPath, ...]
    bytes: int


def take_inventory(root: Path, files: Collection[PurePosixPath]) -> Inventory:
    """Look at each of `files` below `root` without opening any."""
    found: dict[PurePosixPath, int] = {}
    skipped: list[PurePosixPath] = []
    folders: dict[PurePosixPath, bool] = {PurePosixPath(): True}
    size = 0
    for path in files:
        status = _status(root, path, folders)
        if status is None:
            skipped.append(path)
        else:
            found[path] = int(status.st_mtime)
            size += BLOCK + -(-status.st_size // BLOCK) * BLOCK
    return Inventory(found, tuple(skipped), size + len(folders) * BLOCK)


def _status(root: Path, path: PurePosixPath, folders: dict[PurePosixPath, bool]) -> os.stat_result | None:
    """The file's status, or None where it can't be frozen."""
    if path.is_absolute() or ".." in path.parts or ".git" in path.parts[:1] or not path.parts:
        return None
    if not is_folder(str(root), path.parent, folders):
        return None
    place = f"{root}/{path}"
    try:
        status = os.lstat(place)
    except OSError:
        return None
    readable = stat.S_ISLNK(status.st_mode) or (stat.S_ISREG(status.st_mode) and os.access(place, os.R_OK))
    return status if readable else None


def is_folder(root: str, path: PurePosixPath, folders: dict[PurePosixPath, bool]) -> bool:
    """Whether `path` and all above it, up to `root`, are real folders, no links; remembered in `folders`.

    `folders` begins with the empty path, which is `root` itself.
    """
    known = folders.get(path)
    if known is None:
        known = is_folder(root, path.parent, folders)
        if known:
            try:
                known = stat.S_ISDIR(os.lstat(f"{root}/{path}").st_mode)
            except OSError:
                known = False
        folders[path] = known
    return known
