"""Private copies of trees, for the engine that has no overlay: links stay links, modes and times stay as they are."""

import errno
import os
import shutil
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath
from threading import Event

from thinklonger.agent.sandbox.layering import newer
from thinklonger.agent.types import FileState, Layer

NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG})
"""Failures of the copy's side: leaving out what they hit would make it another tree."""


class Stopped(Exception):  # noqa: N818 - not an error: nobody waits for the copy any more
    """The copy was given up half way."""


def copy_files(source: Path, target: Path, paths: Iterable[PurePosixPath], stop: Event) -> None:
    """Copy these regular files and links; what vanishes or can't be read meanwhile is left out.

    Raises OSError where the copy has no room.
    """
    for path in paths:
        if stop.is_set():
            raise Stopped
        place = target / path
        place.parent.mkdir(parents=True, exist_ok=True)
        try:
            shutil.copy2(source / path, place, follow_symlinks=False)
            if not place.is_symlink():
                place.chmod(stat.S_IMODE(place.stat().st_mode) & 0o777 | 0o600)
        except OSError as failure:
            if failure.errno in NO_ROOM:
                raise OSError(failure.errno, os.strerror(failure.errno)) from failure
            place.unlink(missing_ok=True)


def copy_tree(source: Path, target: Path, stop: Event) -> None:
    """Copy a whole private tree; raises OSError where that fails."""

    def copy(from_path: str, to_path: str) -> None:
        if stop.is_set():
            raise Stopped
        shutil.copy2(from_path, to_path, follow_symlinks=False)

    try:
        shutil.copytree(source, target, symlinks=True, copy_function=copy)
    except shutil.Error as failure:  # all failures, each with both its paths: the first one's words say it
        raise OSError(failure.args[0][0][2].partition(": '")[0]) from failure


def lay_over(root: Path, files: Layer, times: Mapping[PurePosixPath, int]) -> None:
    """Put `files` over the tree; whatever stands in a file's way, links above it included, gives way to it.

    `times` are the frozen files' modification times: a file laid over is always newer (`newer`).
    """
    for path, state in files.items():
        if state is None:
            remove(root, path)
    for path, state in files.items():
        if state is not None:
            place(root, path, state)
            os.utime(root / path, times=(0, newer(path, times)))


def remove(root: Path, path: PurePosixPath) -> None:
    """Remove one file or link, if it is reached without following a link; a folder stays."""
    for parent in reversed(path.parents[:-1]):
        if not _is_real_folder(root / parent):
            return
    if not _is_real_folder(root / path):
        (root / path).unlink(missing_ok=True)


def place(root: Path, path: PurePosixPath, state: FileState) -> None:
    """Write one file anew, never through a link and never into an existing file."""
    for parent in reversed(path.parents[:-1]):
        if not _is_real_folder(root / parent):
            (root / parent).unlink(missing_ok=True)
            (root / parent).mkdir()
    target = root / path
    if _is_real_folder(target):
        shutil.rmtree(target)
    target.unlink(missing_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with open(os.open(target, flags, 0o755 if state.executable else 0o644), "wb") as file:  # noqa: PTH123
        file.write(state.content)


def _is_real_folder(path: Path) -> bool:
    """Whether a folder lies there, not a link to one."""
    try:
        return stat.S_ISDIR(path.lstat().st_mode)
    except OSError:
        return False
