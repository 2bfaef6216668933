"""Private temporary folders, and the sweep that removes those of launchers that died."""

import fcntl
import os
import shutil
import stat
import tempfile
import time
from contextlib import suppress
from pathlib import Path

PREFIX = "thinklonger-sandbox-"
NEW = "thinklonger-new-"
"""What a folder is called until its lock is held: one with the other name and no holder has lost its owner."""
LOCK = ".lock"
SETTLE_SECONDS = 60.0
"""A new folder younger than this may still get its lock."""


class PrivateFolder:
    """A folder that only we can read; whether its owner lives is told by a lock that dies with the owner."""

    def __init__(self) -> None:
        """Make it, and take its lock."""
        fresh = Path(tempfile.mkdtemp(prefix=NEW)).resolve()
        self.path = fresh.with_name(PREFIX + fresh.name.removeprefix(NEW))
        try:
            self._lock = os.open(fresh / LOCK, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._lock, fcntl.LOCK_EX)
            fresh.rename(self.path)
        except BaseException:
            remove_tree(fresh)
            raise

    def remove(self) -> None:
        """Remove it, if it is still there, and give up the lock."""
        remove_tree(self.path)
        os.close(self._lock)

    def release(self) -> None:
        """Give up the lock only: who else removes the folder has not finished yet."""
        os.close(self._lock)


def sweep() -> None:
    """Remove our folders in the temporary directory whose owners are dead."""
    with suppress(OSError), os.scandir(tempfile.gettempdir()) as entries:
        for entry in entries:
            if entry.name.startswith((PREFIX, NEW)) and entry.is_dir(follow_symlinks=False) and _abandoned(entry):
                remove_tree(Path(entry.path))


def _abandoned(entry: os.DirEntry[str]) -> bool:
    """Whether the folder is ours and nobody holds its lock."""
    try:
        status = entry.stat(follow_symlinks=False)
        if status.st_uid != os.getuid():
            return False
        if entry.name.startswith(NEW) and time.time() - status.st_ctime < SETTLE_SECONDS:
            return False
        lock = os.open(f"{entry.path}/{LOCK}", os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    finally:
        os.close(lock)
    return True


def remove_tree(folder: Path) -> None:
    """Remove a folder, also where a command took away our right to look into a part of it."""
    shutil.rmtree(folder, ignore_errors=True)
    if not folder.exists():
        return
    for place, _, _ in os.walk(folder):
        if not stat.S_ISLNK(os.lstat(place).st_mode):
            os.chmod(place, 0o700)  # noqa: PTH101 - a plain string from os.walk
    shutil.rmtree(folder, ignore_errors=True)
