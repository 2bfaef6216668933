"""From names to code: symbols by name, and the import graph, both asked one file at a time."""

import json
from collections.abc import Sequence
from hashlib import sha1
from pathlib import PurePosixPath
from typing import NamedTuple, Protocol, cast

from thinklonger.agent.repository.language import ImportResolver, Target
from thinklonger.agent.repository.languages import BY_SUFFIX, LANGUAGES
from thinklonger.agent.repository.record import Definition, FileRecord
from thinklonger.agent.types import Symbol, SymbolKind

_KINDS = {"c": SymbolKind.CLASS, "f": SymbolKind.FUNCTION, "m": SymbolKind.METHOD}
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

    def documents(self) -> Sequence[int]:
        """The content of each of `paths()`, as a number that changes with it."""
        ...

    def kept_graph(self) -> str | None:
        """The import graph as it was last kept."""
        ...

    def keep_graph(self, graph: str) -> None:
        """Keep an import graph."""
        ...


class Graph(NamedTuple):
    """An import graph to keep: paths are numbers of their order.

    `state` stands for the paths that it holds for. While the documents of the `consulted` files (packages that pass
    names on) are the same, a file of the same document has the same targets.
    """

    state: str
    consulted: list[int]
    documents: list[int]
    targets: list[list[int]]


class Names:
    """Looks up names and imports in one index."""

    def __init__(self, index: Index) -> None:
        """Nothing is read before it is asked for."""
        self._index = index
        self._resolvers: dict[str, ImportResolver] = {}
        self._targets: dict[PurePosixPath, tuple[Target, ...]] = {}
        self._origins: dict[tuple[PurePosixPath, str], frozenset[PurePosixPath]] = {}
        self._consulted: set[PurePosixPath] = set()
        self._imports: dict[PurePosixPath, tuple[PurePosixPath, ...]] = {}
        self._importers: dict[PurePosixPath, list[PurePosixPath]] | None = None

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
        """The files that import this one, sorted; the first call resolves the imports of all files."""
        if self._importers is None:
            self._complete()
            self._importers = {}
            for importer in self._index.paths():
                for imported in self.imports(importer):
                    self._importers.setdefault(imported, []).append(importer)
        return tuple(self._importers.get(path, ()))

    def _complete(self) -> None:
        """Resolve the imports of all files, with the help of what was kept for those that can't have changed."""
        paths, documents = self._index.paths(), list(self._index.documents())
        state = sha1("\n".join(map(str, paths)).encode(errors="surrogateescape"), usedforsecurity=False).hexdigest()
        kept = _decoded(self._index.kept_graph(), state, len(paths))
        if kept is not None and all(documents[number] == kept.documents[number] for number in kept.consulted):
            self._consulted.update(paths[number] for number in kept.consulted)
            for path, number, before, targets in zip(paths, documents, kept.documents, kept.targets, strict=True):
                if number == before:
                    self._imports[path] = tuple([paths[target] for target in targets])
            if documents == kept.documents:
                return
        place = {path: number for number, path in enumerate(paths)}
        graph = [[place[target] for target in self.imports(path)] for path in paths]
        consulted = sorted(place[path] for path in self._consulted)
        self._index.keep_graph(json.dumps(Graph(state, consulted, documents, graph), separators=(",", ":")))

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
            if self._passes_on(path) and not self._defines(path, name):
                for target in self.targets(path):
                    for theirs, here in target.names:
                        if here == name or (here == "*" and self._may_export(target.path, name)):
                            found |= {target.path} | self.origins(target.path, name if theirs == "*" else theirs)
            self._origins[path, name] = found
        return found

    def _may_export(self, path: PurePosixPath, name: str) -> bool:
        """Whether a star import of a file brings a name along."""
        return self._defines(path, name) or self._passes_on(path)

    def _defines(self, path: PurePosixPath, name: str) -> bool:
        """Whether another file defines a name at its top level; the answer counts for the graph."""
        self._consulted.add(path)
        return any(definition.name == name for definition in self._index.record(path).definitions)

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
    return Symbol(path, definition.name, _KINDS[definition.kind], definition.start_line, definition.end_line)


def _decoded(text: str | None, state: str, count: int) -> Graph | None:
    """A kept graph, if it is of the same paths and sound."""
    try:
        kept = Graph(*cast("tuple[str, list[int], list[int], list[list[int]]]", json.loads(text or "")))
        numbers = range(count)
        sound = all(one in numbers for one in kept.consulted) and all(
            one in numbers for row in kept.targets for one in row
        )
    except (ValueError, TypeError):
        return None
    return kept if sound and kept.state == state and len(kept.documents) == len(kept.targets) == count else None
