"""Source trees: a folder on disk, and one in memory that ships as the fake."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from thinklonger.agent.types import Changes, FileState, Layer


@dataclass(frozen=True, slots=True)
class DirectoryTree:
    """The files of a folder as they are on disk when read; symbolic links are not followed below the root."""

    root: Path

    def read(self, path: PurePosixPath) -> FileState | None:
        """The file's bytes, None where no regular file is; raises RepositoryError for a path outside."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class MemoryTree:
    """Files held in memory."""

    files: Mapping[PurePosixPath, FileState] = field(default_factory=dict[PurePosixPath, FileState])
    root: Path = Path("/nowhere")

    def read(self, path: PurePosixPath) -> FileState | None:
        """The file's bytes, or None; raises RepositoryError for a path outside."""
        raise NotImplementedError


def layer_of(changes: Changes) -> Layer:
    """The changes as files to lay over a tree; old paths of renames and deleted files are None."""
    raise NotImplementedError
