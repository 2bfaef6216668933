"""What is laid over a frozen tree: checked paths, times that no bytecode matches, and the tar that an overlay takes."""

import io
import tarfile
import time
from collections.abc import Mapping
from pathlib import PurePosixPath

from thinklonger.agent.errors import SandboxError
from thinklonger.agent.types import FileState, Layer

FOLDER_MODE, SCRATCH_MODE, PAYLOAD_MODE = 0o755, 0o1777, 0o444


def check(files: Layer) -> None:
    """Raise SandboxError for a path that leaves the tree, is the tree itself, or lies below `.git`."""
    for path in files:
        if path.is_absolute() or ".." in path.parts or not path.parts or path.parts[0] == ".git":
            raise SandboxError("sandbox.bad-path", path=str(path))


def newer(path: PurePosixPath, times: Mapping[PurePosixPath, int]) -> int:
    """A modification time, in whole seconds, that no bytecode of the frozen file matches.

    Python compares only that and the size, which a change of one character keeps. `times` are the frozen files'.
    """
    return max(int(time.time()), times.get(path, 0) + 1)


class Tape:
    """A tar in memory, written entry by entry."""

    def __init__(self) -> None:
        """Begin an empty one."""
        self._buffer = io.BytesIO()
        self._tar = tarfile.open(fileobj=self._buffer, mode="w", format=tarfile.GNU_FORMAT)  # noqa: SIM115 - see close

    def folder(self, name: str, mode: int = FOLDER_MODE) -> None:
        """Add a folder."""
        entry = tarfile.TarInfo(name)
        entry.type, entry.mode = tarfile.DIRTYPE, mode
        self._tar.addfile(entry)

    def file(self, name: str, content: bytes, *, mode: int, mtime: int = 0, owner: tuple[int, int] = (0, 0)) -> None:
        """Add a regular file; `owner` is its uid and gid, for whoever unpacks with the right to give files away."""
        entry = tarfile.TarInfo(name)
        entry.uid, entry.gid = owner
        entry.size, entry.mode, entry.mtime = len(content), mode, mtime
        self._tar.addfile(entry, io.BytesIO(content))

    def link(self, name: str, target: str) -> None:
        """Add a symbolic link."""
        entry = tarfile.TarInfo(name)
        entry.type, entry.linkname = tarfile.SYMTYPE, target
        self._tar.addfile(entry)

    def whiteout(self, name: str) -> None:
        """Add what hides a lower layer's file: a character device 0/0, which needs no right to make."""
        entry = tarfile.TarInfo(name)
        entry.type = tarfile.CHRTYPE
        self._tar.addfile(entry)

    def bytes(self) -> bytes:
        """The finished tar."""
        self._tar.close()
        return self._buffer.getvalue()


def lay(tape: Tape, folder: str, files: Layer, times: Mapping[PurePosixPath, int]) -> None:
    """Write `files` as the upper folder of an overlay over the frozen files whose times these are.

    A folder of the upper layer hides a link or a file of that name below, so nothing is ever written through a link.
    """
    laid = {path for path, state in files.items() if state is not None}
    parents = {parent for path in laid for parent in path.parents}
    for path, state in files.items():
        match state:
            case FileState(content=content, executable=executable):
                mode = 0o755 if executable else 0o644
                tape.file(f"{folder}/{path}", content, mode=mode, mtime=newer(path, times))
            case None if path in times and path not in parents and laid.isdisjoint(path.parents):
                tape.whiteout(f"{folder}/{path}")
            case None:
                continue


def obstacles(files: Layer, times: Mapping[PurePosixPath, int]) -> list[PurePosixPath]:
    """What of a copy of the frozen files must go before `files` are written into it, removed files among them.

    That is whatever stands at a file's path, and a frozen file or link above it, which is no folder.
    """
    laid = {path for path, state in files.items() if state is not None}
    above = {parent for path in laid for parent in path.parents}
    removed = {path for path, state in files.items() if state is None}
    return sorted(laid | {path for path in above | removed if path in times})
