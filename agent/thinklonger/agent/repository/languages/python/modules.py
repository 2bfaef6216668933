"""Python imports to files: source roots, packages, relative imports."""

from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath

from thinklonger.agent.repository.language import Target
from thinklonger.agent.repository.record import Import

_SUFFIXES = (".py", ".pyi")
_PREFERRED_ROOTS = ("", "src", "lib", "python")


class Modules:
    """The modules of one tree: which file is which module, seen from which source root.

    A source root is a folder that holds a top-level package (a folder with `__init__.py` whose parent has none); each
    folder of plain modules is one as well, for the modules right in it, since scripts and tests import each other so.
    The repository's root and `src` also serve packages without `__init__.py`.
    """

    def __init__(self, paths: Sequence[PurePosixPath]) -> None:
        """Index the tree's source files."""
        self._files = {str(path): path for path in paths}
        self._packages = {
            folder for name in self._files if (folder := _folder_of_init(name)) is not None and folder != ""
        }
        self._folders = _folders(self._files)
        self._roots: dict[str, list[str]] = {}
        for package in self._packages:
            parent = _parent(package)
            if parent not in self._packages:
                self._roots.setdefault(_last(package), []).append(parent)
        for roots in self._roots.values():
            roots.sort(key=_preference)
        self._by_stem: dict[str, list[str]] | None = None

    # ── imports ──

    def targets(self, importer: PurePosixPath, item: Import) -> list[Target]:
        """The files that the import names; a name that is a submodule gives that file, others the module itself."""
        found: list[Target] = []
        for module in self._places(str(importer), item):
            taken: list[tuple[str, str]] = []
            for pair in item.names:
                submodule = self._file(_join(module, pair[0])) if pair[0] != "*" else None
                if submodule is not None:
                    found.append(Target(submodule, ()))
                else:
                    taken.append(pair)
            own = self._file(module)
            if own is not None and (taken or not item.names):
                found.append(Target(own, tuple(taken)))
            if found:
                break
        return [target for target in found if target.path != importer]

    def _places(self, importer: str, item: Import) -> Iterator[str]:
        """Module places (paths without suffix) that the import may mean, most likely first."""
        steps = item.module.split(".") if item.module else []
        if item.level:
            folder = _parent(importer)
            for _ in range(item.level - 1):
                if not folder:
                    return
                folder = _parent(folder)
            yield _join(folder, *steps)
            return
        if not steps:
            return
        for root in self._roots_for(importer, steps[0]):
            yield _join(root, *steps)
            if not item.names:
                for length in range(len(steps) - 1, 0, -1):
                    yield _join(root, *steps[:length])

    def _roots_for(self, importer: str, first: str) -> Iterator[str]:
        """Source roots that have a module or package called `first`, most likely first."""
        own = _parent(importer)
        candidates = [own] if own not in self._packages else []
        root = own
        while root in self._packages:
            root = _parent(root)
        candidates += [root, *_PREFERRED_ROOTS, *self._roots.get(first, ())]
        for candidate in dict.fromkeys(candidates):
            place = _join(candidate, first)
            if place in self._folders or self._file(place) is not None:
                yield candidate

    def _file(self, place: str) -> PurePosixPath | None:
        """The file of a module place: a module, or a package's `__init__`."""
        for suffix in _SUFFIXES:
            for name in (f"{place}{suffix}", f"{place}/__init__{suffix}" if place else f"__init__{suffix}"):
                if name in self._files:
                    return self._files[name]
        return None

    # ── names ──

    def modules(self, dotted: str) -> list[tuple[PurePosixPath, str]]:
        """Files whose module name, or the end of it, starts `dotted`: the longest match first, with the rest."""
        steps = dotted.split(".")
        if self._by_stem is None:
            self._by_stem = {}
            for name in self._files:
                self._by_stem.setdefault(_stem(name), []).append(name)
        found: list[tuple[PurePosixPath, str]] = []
        for length in range(len(steps), 0, -1):
            wanted = f"/{'/'.join(steps[:length])}"
            rest = ".".join(steps[length:])
            found += [
                (self._files[name], rest)
                for name in self._by_stem.get(steps[length - 1], ())
                if f"/{_place(name)}".endswith(wanted)
            ]
        return found


def _folders(files: dict[str, PurePosixPath]) -> set[str]:
    """Every folder with a source file somewhere below it."""
    folders: set[str] = set()
    for name in files:
        folder = _parent(name)
        while folder and folder not in folders:
            folders.add(folder)
            folder = _parent(folder)
    return folders


def _preference(root: str) -> tuple[bool, int, str]:
    """Known places of source roots first, then the shallower, then by name."""
    return (root not in _PREFERRED_ROOTS, root.count("/") + bool(root), root)


def _parent(name: str) -> str:
    """The folder that a path lies in; empty at the top."""
    return name.rpartition("/")[0]


def _last(name: str) -> str:
    """The last part of a path."""
    return name.rpartition("/")[2]


def _join(folder: str, *parts: str) -> str:
    """A path of non-empty parts."""
    return "/".join(part for part in (folder, *parts) if part)


def _place(name: str) -> str:
    """A source file's module place: without suffix, a package's `__init__` as the package."""
    place = name.rpartition(".")[0]
    return _parent(place) if _last(place) == "__init__" and "/" in place else place


def _stem(name: str) -> str:
    """The last part of a file's module name."""
    return _last(_place(name))


def _folder_of_init(name: str) -> str | None:
    """The package that an `__init__` file makes; None for any other file."""
    folder, _, last = name.rpartition("/")
    return folder if last in ("__init__.py", "__init__.pyi") else None
