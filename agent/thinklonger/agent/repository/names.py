"""From names to code: symbols by name, and the import graph, both asked one file at a time."""

from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Protocol

from thinklonger.agent.repository.language import ImportResolver, Target
from thinklonger.agent.repository.languages import BY_SUFFIX, LANGUAGES
from thinklonger.agent.repository.record import Definition, FileRecord
from thinklonger.agent.types import Symbol, SymbolKind

_MOST_HOPS = 4
"""How far a name is followed through packages that only pass it on."""


class Index(Protocol):
    """What names are looked up in."""

    def paths(self) -> Sequence[PurePosixPath]:
        """All files, sorted."""
        ...

    def record(self, path: PurePosixPath) -> FileRecord:
        """The structure of a file."""
        ...

    def module(self, path: PurePosixPath) -> Symbol:
        """A file as a symbol."""
        ...

    def defining(self, name: str) -> Sequence[PurePosixPath]:
        """Files that define a bare name."""
        ...

    def importing(self, key: str) -> Sequence[PurePosixPath]:
        """Files that import something by a key (`Language.import_keys`)."""
        ...


class Names:
    """Looks up names and imports in one index."""

    def __init__(self, index: Index) -> None:
        """Nothing is read before it is asked for."""
        self._index = index
        self._resolvers: dict[str, ImportResolver] = {}
        self._targets: dict[PurePosixPath, tuple[Target, ...]] = {}
        self._origins: dict[tuple[PurePosixPath, str], frozenset[PurePosixPath]] = {}
        self._imports: dict[PurePosixPath, tuple[PurePosixPath, ...]] = {}
        self._importers: dict[PurePosixPath, tuple[PurePosixPath, ...]] = {}

    def _resolver(self, suffix: str) -> ImportResolver:
        """What resolves the imports of files with this suffix."""
        language = BY_SUFFIX[suffix]
        found = self._resolvers.get(language.name)
        if found is None:
            paths = [path for path in self._index.paths() if path.suffix in language.suffixes]
            found = self._resolvers[language.name] = language.resolver(paths)
        return found

    # ── imports ──

    def imports(self, path: PurePosixPath) -> tuple[PurePosixPath, ...]:
        """The files that a file imports, and those that define what it imports through packages; sorted."""
        found = self._imports.get(path)
        if found is None:
            files = {target.path for target in self.targets(path)}
            for target in self.targets(path):
                for name, _ in target.names:
                    files.update(self.origins(target.path, name))
            found = self._imports[path] = tuple(sorted(files - {path}))
        return found

    def importers(self, path: PurePosixPath) -> tuple[PurePosixPath, ...]:
        """The files that `imports` says import this one; sorted."""
        found = self._importers.get(path)
        if found is None:
            self._importers[path] = ()  # ends a circle of packages that pass names on
            candidates: set[PurePosixPath] = set()
            packages = [path]
            for _ in range(_MOST_HOPS):
                importers = {importer for package in packages for importer in self._direct_importers(package)}
                packages = [importer for importer in importers - candidates if self._passes_on(importer)]
                candidates |= importers
            found = tuple(sorted(one for one in candidates if one != path and path in self.imports(one)))
            self._importers[path] = found
        return found

    def _direct_importers(self, path: PurePosixPath) -> set[PurePosixPath]:
        """The files with an import that names this one."""
        resolver = self._resolver(path.suffix)
        candidates = {one for key in resolver.keys(path) for one in self._index.importing(key)}
        return {one for one in candidates if any(target.path == path for target in self.targets(one))}

    @staticmethod
    def _passes_on(path: PurePosixPath) -> bool:
        """Whether a file is a package's face: what it imports, others import from it."""
        return path.stem == "__init__"

    def targets(self, path: PurePosixPath) -> tuple[Target, ...]:
        """The files that a file's imports name, with the names taken out of each."""
        found = self._targets.get(path)
        if found is None:
            resolver = self._resolver(path.suffix)
            imports = self._index.record(path).imports
            found = tuple(target for item in imports for target in resolver.targets(path, item))
            self._targets[path] = found
        return found

    def origins(self, path: PurePosixPath, name: str) -> frozenset[PurePosixPath]:
        """The files that a package took a name from, also through other packages."""
        found = self._origins.get((path, name))
        if found is None:
            self._origins[path, name] = frozenset()  # ends a circle
            found = frozenset[PurePosixPath]()
            if self._passes_on(path) and not _defined(self._index.record(path), name):
                for target in self.targets(path):
                    for theirs, here in target.names:
                        if here == name or (here == "*" and self._may_export(target.path, name)):
                            found |= {target.path} | self.origins(target.path, name if theirs == "*" else theirs)
            self._origins[path, name] = found
        return found

    def _may_export(self, path: PurePosixPath, name: str) -> bool:
        """Whether a star import of a file brings a name along."""
        return _defined(self._index.record(path), name) or self._passes_on(path)

    # ── symbols ──

    def find(self, name: str) -> list[Symbol]:
        """Symbols of a bare, qualified or dotted name, in the order of their files."""
        if not name or name.startswith(".") or name.endswith("."):
            return []
        found = self._by_suffix(name)
        if "." in name or not found:
            found += [symbol for symbol in self._by_module(name) if symbol not in found]
        return found

    def _by_suffix(self, name: str) -> list[Symbol]:
        """Symbols whose qualified name ends in `name`."""
        bare = name.rpartition(".")[2]
        ending = f".{name}"
        return [
            symbol(path, definition)
            for path in self._index.defining(bare)
            for definition in self._index.record(path).definitions
            if definition.name == name or definition.name.endswith(ending)
        ]

    def _by_module(self, dotted: str) -> list[Symbol]:
        """Symbols by module and qualified name, and modules; the longest module that has any answer wins."""
        best: list[Symbol] = []
        matched = -1
        for language in LANGUAGES:
            for path, rest in self._resolver(min(language.suffixes)).modules(dotted):
                if best and len(rest) > matched:
                    break
                here = self._in_module(path, rest)
                if here:
                    matched = len(rest)
                    best += [one for one in here if one not in best]
        return best

    def _in_module(self, path: PurePosixPath, rest: str, hops: int = _MOST_HOPS) -> list[Symbol]:
        """What `rest` names in a module, followed to where it was imported from."""
        record = self._index.record(path)
        if not rest:
            return [self._index.module(path)]
        own = [symbol(path, definition) for definition in record.definitions if definition.name == rest]
        if own or hops == 0:
            return own
        first, _, deeper = rest.partition(".")
        found: list[Symbol] = []
        for target in self.targets(path):
            for theirs, here in target.names:
                if here in (first, "*"):
                    inner = first if theirs == "*" else theirs
                    found += self._in_module(target.path, f"{inner}.{deeper}" if deeper else inner, hops - 1)
        return list(dict.fromkeys(found))


def symbol(path: PurePosixPath, definition: Definition) -> Symbol:
    """A definition as a symbol of a file."""
    return Symbol(path, definition.name, SymbolKind(definition.kind), definition.start_line, definition.end_line)


def _defined(record: FileRecord, name: str) -> bool:
    """Whether a file defines a name at its top level."""
    return any(definition.name == name for definition in record.definitions)
