"""A tree with changes in progress: what edits and diffs are carried out on before anything is written."""

from dataclasses import dataclass, field
from pathlib import PurePosixPath

from thinklonger.agent.edits.paths import confine, shown
from thinklonger.agent.errors import EditError
from thinklonger.agent.protocols import SourceTree
from thinklonger.agent.types import Changes, FileChange, FileState


@dataclass(slots=True)
class Draft:
    """The files touched so far, in memory, over the tree; `origins` remembers where renamed files came from."""

    tree: SourceTree
    base: dict[PurePosixPath, FileState | None] = field(default_factory=dict[PurePosixPath, FileState | None])
    states: dict[PurePosixPath, FileState | None] = field(default_factory=dict[PurePosixPath, FileState | None])
    origins: dict[PurePosixPath, PurePosixPath] = field(default_factory=dict[PurePosixPath, PurePosixPath])

    def state(self, path: PurePosixPath) -> FileState | None:
        """The file as it stands now; raises EditError for a path outside the repository."""
        if path not in self.states:
            confine(path, self.tree.root)
            self.base[path] = self.states[path] = self.tree.read(path)
        return self.states[path]

    def require(self, path: PurePosixPath) -> FileState:
        """The file as it stands now; raises EditError where there is none."""
        state = self.state(path)
        if state is None:
            raise EditError("edits.no-file", path=shown(path))
        return state

    def put(self, path: PurePosixPath, state: FileState) -> None:
        """Give the file a new state, or make it."""
        self.state(path)
        self._check_parents(path)
        self.states[path] = state

    def remove(self, path: PurePosixPath) -> None:
        """Delete the file; raises EditError where there is none."""
        self.require(path)
        self.states[path] = None
        self.origins.pop(path, None)

    def move(self, path: PurePosixPath, to: PurePosixPath) -> None:
        """Rename the file; raises EditError where there is none or the target is taken."""
        state = self.require(path)
        if self.state(to) is not None:
            raise EditError("edits.exists", path=shown(to))
        self._check_parents(to)
        self.origins[to] = self.origins.pop(path, path)
        self.states[path], self.states[to] = None, state

    def changes(self) -> Changes:
        """What is different now, sorted by path, without no-ops."""
        renames = self._renames()
        vacated = set(renames.values())
        found: list[FileChange] = []
        for path, after in self.states.items():
            old = renames.get(path)
            if old is not None:
                found.append(FileChange(path, self.base[old], after, old))
            elif after != self.base[path] and not (after is None and path in vacated):
                found.append(FileChange(path, None if path in vacated else self.base[path], after))
        return tuple(sorted(found, key=lambda change: change.path.as_posix()))

    def _renames(self) -> dict[PurePosixPath, PurePosixPath]:
        """New path to old path, where nothing is lost by saying so: the old place is left, the new one was free."""
        renames = {
            path: old
            for path, old in self.origins.items()
            if old != path and self.states[path] is not None and self.base[old] is not None
        }
        while True:
            vacated = set(renames.values())
            wrong = [
                path
                for path, old in renames.items()
                if (self.states[old] is not None and old not in renames)
                or (self.base[path] is not None and path not in vacated)
            ]
            if not wrong:
                return renames
            for path in wrong:
                del renames[path]

    def _check_parents(self, path: PurePosixPath) -> None:
        """A file can't lie below a file; raises EditError."""
        for parent in path.parents:
            if self.states.get(parent) is not None:
                raise EditError("edits.parent-is-file", path=shown(path), parent=shown(parent))
