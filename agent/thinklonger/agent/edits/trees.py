"""Source trees: a folder on disk, and one in memory that ships as the fake."""

import os
import stat
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from thinklonger.agent.edits.paths import check_inside, shown
from thinklonger.agent.errors import EditError, RepositoryError
from thinklonger.agent.types import Changes, FileState, Layer

READ_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK


@dataclass(frozen=True, slots=True)
class DirectoryTree:
    """The files of a folder as they are on disk when read; symbolic links are not followed below the root."""

    root: Path

    def read(self, path: PurePosixPath) -> FileState | None:
        """The file's bytes, None where no regular file is; raises RepositoryError for a path outside or unreadable."""
        _check(path)
        try:
            folder = open_folder(self.root, path)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise RepositoryError("edits.unreadable", path=shown(path), reason=str(error.strerror)) from error
        try:
            return read_file(folder, path.name)
        except OSError as error:
            raise RepositoryError("edits.unreadable", path=shown(path), reason=str(error.strerror)) from error
        finally:
            os.close(folder)


@dataclass(frozen=True, slots=True)
class MemoryTree:
    """Files held in memory."""

    files: Mapping[PurePosixPath, FileState] = field(default_factory=dict[PurePosixPath, FileState])
    root: Path = Path("/nowhere")

    def read(self, path: PurePosixPath) -> FileState | None:
        """The file's bytes, or None; raises RepositoryError for a path outside."""
        _check(path)
        return self.files.get(path)


def layer_of(changes: Changes) -> Layer:
    """The changes as files to lay over a tree; old paths of renames and deleted files are None."""
    left: dict[PurePosixPath, FileState | None] = {
        change.renamed_from: None for change in changes if change.renamed_from is not None
    }
    return left | {change.path: change.after for change in changes}


def open_folder(root: Path, path: PurePosixPath) -> int:
    """A descriptor of the folder that holds `path`, opened part by part without following a link below the root.

    Raises NotADirectoryError for a part that is a file or a link, FileNotFoundError, and other OSErrors.
    """
    descriptor = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    for part in path.parent.parts:
        try:
            below = os.open(part, os.O_DIRECTORY | READ_FLAGS, dir_fd=descriptor)
        finally:
            os.close(descriptor)
        descriptor = below
    return descriptor


def read_file(folder: int, name: str) -> FileState | None:
    """A regular file of an open folder, None where there is none (a link, a pipe and a folder are none)."""
    with suppress(FileNotFoundError):
        if not stat.S_ISREG(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
            return None
        with open(name, "rb", opener=lambda file, _: os.open(file, READ_FLAGS, dir_fd=folder)) as stream:
            mode = os.fstat(stream.fileno()).st_mode
            return FileState(stream.read(), bool(mode & stat.S_IXUSR)) if stat.S_ISREG(mode) else None
    return None


def _check(path: PurePosixPath) -> None:
    try:
        check_inside(path)
    except EditError as error:
        raise RepositoryError(error.message.key, **error.message.params) from error
