"""Changes written to the user's tree, all or nothing, after they have said accept."""

import os
import secrets
import stat
from collections.abc import Generator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from thinklonger.agent.edits.paths import confine, shown
from thinklonger.agent.edits.trees import layer_of, open_folder, read_file
from thinklonger.agent.errors import EditError
from thinklonger.agent.types import Changes, FileState

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def write_changes(changes: Changes, root: Path) -> None:
    """Write the changes below `root`; raises EditError with the tree as it was where any of it can't be done.

    Refused when a file is no longer what `before` says or a path leads through a symbolic link. Each file is
    replaced atomically and keeps its mode and, where permitted, its owner; untouched files keep everything. A
    file with several hard links becomes one of its own. Folders that are left empty go, as with git.
    """
    layer = layer_of(changes)
    for path in layer:
        confine(path, root)
    expected: dict[PurePosixPath, FileState | None] = {change.path: None for change in changes if change.renamed_from}
    expected |= {change.renamed_from or change.path: change.before for change in changes}
    origins = {change.path: change.renamed_from or change.path for change in changes}
    with ExitStack() as close, ExitStack() as undo:
        writing = _Writing(root, undo, close)
        found = {path: writing.checked(path, expected[path]) for path in layer}
        staged = {
            path: None if state is None else writing.staged(path, state, model=found[origins[path]])
            for path, state in layer.items()
        }
        for path, temporary in staged.items():
            writing.swap(path, temporary, found=found[path])
        undo.pop_all()
        writing.tidy(layer)


@dataclass(slots=True)
class _Writing:
    """One all-or-nothing write: `undo` takes back what was done so far, `close` gives back the open folders."""

    root: Path
    undo: ExitStack
    close: ExitStack
    folders: dict[PurePosixPath, int] = field(default_factory=dict[PurePosixPath, int])
    backups: list[tuple[int, str]] = field(default_factory=list[tuple[int, str]])

    def checked(self, path: PurePosixPath, expected: FileState | None) -> os.stat_result | None:
        """What stands at the path; raises EditError unless it is the regular file (or the nothing) that is expected."""
        with _attributed(path):
            try:
                folder = open_folder(self.root, path)
            except FileNotFoundError:
                found, state = None, None
            else:
                try:
                    found, state = _stat(folder, path.name), read_file(folder, path.name)
                finally:
                    os.close(folder)
        if state != expected or (found is None) != (state is None):
            raise EditError("edits.changed-meanwhile", path=shown(path))
        return found

    def staged(self, path: PurePosixPath, state: FileState, *, model: os.stat_result | None) -> str:
        """Write the content beside its place under a name of its own; a full disk shows here, before any swap."""
        with _attributed(path):
            folder = self._folder(path.parent)
            name = f".{secrets.token_hex(8)}.thinklonger"
            descriptor = os.open(name, _NEW, 0o777 if state.executable else 0o666, dir_fd=folder)
            self.undo.callback(_unlink, folder, name)
            with os.fdopen(descriptor, "wb") as stream:
                stream.write(state.content)
                stream.flush()
                if model is not None:
                    with suppress(PermissionError):
                        os.fchown(descriptor, model.st_uid, model.st_gid)
                    os.fchmod(descriptor, _mode(model.st_mode, executable=state.executable))
                os.fsync(descriptor)
        return name

    def swap(self, path: PurePosixPath, temporary: str | None, *, found: os.stat_result | None) -> None:
        """Put the staged file in its place, or remove what stands there; the old file is kept until all is done."""
        with _attributed(path):
            folder = self._folder(path.parent)
            if _identity(_stat(folder, path.name)) != _identity(found):
                raise EditError("edits.changed-meanwhile", path=shown(path))
            if found is not None:
                self._back_up(folder, path.name)
            if temporary is None:
                _unlink(folder, path.name)
            elif found is None:
                _put_new(folder, temporary, path.name)
                self.undo.callback(_unlink, folder, path.name)
            else:
                os.replace(temporary, path.name, src_dir_fd=folder, dst_dir_fd=folder)
            os.fsync(folder)

    def tidy(self, layer: Mapping[PurePosixPath, FileState | None]) -> None:
        """All is done: drop the old files and the folders that removals have emptied."""
        for folder, name in self.backups:
            _unlink(folder, name)
        for path, state in layer.items():
            for parent in path.parents if state is None else ():
                with suppress(OSError):
                    if parent.parts:
                        os.rmdir(parent.name, dir_fd=self._folder(parent.parent))

    def _back_up(self, folder: int, name: str) -> None:
        backup = f".{secrets.token_hex(8)}.thinklonger"
        try:
            os.link(name, backup, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False)
        except OSError:  # a file system without hard links: the name is missing for a moment
            os.rename(name, backup, src_dir_fd=folder, dst_dir_fd=folder)
        self.undo.callback(_restore, folder, backup, name)
        self.backups.append((folder, backup))

    def _folder(self, path: PurePosixPath) -> int:
        """A descriptor of the folder, which is made where it is missing; no link is followed."""
        if path not in self.folders:
            if path.parts:
                above = self._folder(path.parent)
                with suppress(FileExistsError):
                    os.mkdir(path.name, dir_fd=above)
                    self.undo.callback(_remove_folder, above, path.name)
            descriptor = open_folder(self.root, path / "_")
            self.close.callback(os.close, descriptor)
            times = os.fstat(descriptor)
            self.undo.callback(os.utime, descriptor, ns=(times.st_atime_ns, times.st_mtime_ns))
            self.folders[path] = descriptor
        return self.folders[path]


@contextmanager
def _attributed(path: PurePosixPath) -> Generator[None]:
    try:
        yield
    except OSError as error:
        raise EditError("edits.not-written", path=shown(path), reason=error.strerror or str(error)) from error


def _stat(folder: int, name: str) -> os.stat_result | None:
    try:
        return os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return None


def _identity(found: os.stat_result | None) -> tuple[int, ...]:
    return () if found is None else (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_mode)


def _mode(mode: int, *, executable: bool) -> int:
    """The permissions that a file had, with its executable bits where it may be read, or none."""
    permissions = stat.S_IMODE(mode)
    if executable == bool(mode & stat.S_IXUSR):
        return permissions
    return permissions | (permissions & 0o444) >> 2 if executable else permissions & ~0o111


def _restore(folder: int, backup: str, name: str) -> None:
    """Put the old file back; where it is still in place, renaming its second link does nothing, so that one goes."""
    os.replace(backup, name, src_dir_fd=folder, dst_dir_fd=folder)
    _unlink(folder, backup)


def _put_new(folder: int, temporary: str, name: str) -> None:
    """Give a staged file its name, never over a file that has appeared there."""
    try:
        os.link(temporary, name, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False)
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links
        os.rename(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
    _unlink(folder, temporary)


def _unlink(folder: int, name: str) -> None:
    with suppress(FileNotFoundError):
        os.unlink(name, dir_fd=folder)


def _remove_folder(folder: int, name: str) -> None:
    with suppress(OSError):
        os.rmdir(name, dir_fd=folder)
