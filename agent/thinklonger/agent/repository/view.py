"""The view of an indexed repository: what the stages, the solver and the sandbox ask about code."""

import os
import sqlite3
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from functools import cache, cached_property, partial
from pathlib import PurePosixPath
from typing import NamedTuple, cast

from thinklonger.agent.errors import RepositoryError
from thinklonger.agent.repository.disk import read_regular
from thinklonger.agent.repository.history import recency
from thinklonger.agent.repository.inversion import key_of, tf_of, unpacked
from thinklonger.agent.repository.language import GrammarError
from thinklonger.agent.repository.languages import BY_SUFFIX
from thinklonger.agent.repository.listing import Listing, Problem
from thinklonger.agent.repository.names import Names, symbol
from thinklonger.agent.repository.record import EMPTY, FileRecord, decode, encode
from thinklonger.agent.repository.snapshot import snapshot_files
from thinklonger.agent.repository.store import Facts, Store
from thinklonger.agent.repository.terms import split_terms
from thinklonger.agent.repository.testfiles import TestFiles
from thinklonger.agent.repository.updating import Updated
from thinklonger.agent.types import FileState, Layer, Reference, Symbol, SymbolKind

_GRAPH = "imports"


class IndexStatistics(NamedTuple):
    """How the index came about: source files, symbols in them, files taken from the cache, parsed now, wall seconds."""

    files: int
    symbols: int
    reused: int
    parsed: int
    seconds: float


class Lengths(NamedTuple):
    """How many words each field of a file has, in a path terms (as a mean: of all files)."""

    path: float
    symbols: float
    docstrings: float
    body: float


class FieldStatistics(NamedTuple):
    """What BM25F needs of the whole collection."""

    files: int
    means: Lengths


class Posting(NamedTuple):
    """How often a term occurs in each field of one file; `file` is the file's place in `Repository.paths()`.

    `body` counts the whole text, so what stands in the other fields (but the path) is counted there too.
    """

    file: int
    path: int
    symbols: int
    docstrings: int
    body: int


_new = cast("Callable[..., Posting]", tuple.__new__)  # pyright: ignore[reportUnknownMemberType] - generic in its items
_posting = cast("Callable[[tuple[int, int, int, int, int]], Posting]", partial(_new, Posting))
"""By tuple's own constructor: a named tuple's takes three times as long, and there are many postings."""


class Repository:
    """A repository's state, indexed; implements `protocols.RepositoryView`.

    What the index says is of the moment of opening; `read`, `source`, `skeleton` and `references` read the files as
    they are now.
    """

    def __init__(  # noqa: PLR0913 - made in one place, by name
        self,
        *,
        listing: Listing,
        store: Store,
        updated: Updated,
        overlay: Layer,
        statistics: IndexStatistics,
        problems: tuple[Problem, ...],
    ) -> None:
        """Take an up-to-date store; `open_repository` is the way to get one."""
        self.root = listing.root
        self.commit = listing.commit
        self.is_git = listing.is_git
        self.statistics = statistics
        self.problems = problems
        self._listing = listing
        self._store = store
        self._tree = updated.tree
        self._overlay = overlay
        names = sorted(updated.table, key=lambda name: name.split("/"))
        self._paths = tuple(map(PurePosixPath, names))
        self._facts: list[Facts] = [updated.table[name] for name in names]
        self._records: dict[int, FileRecord] = {}
        self._names = Names(self)

    async def close(self) -> None:
        """Let go of the cache; safe to call twice."""
        self._store.close()

    # ── files ──

    def paths(self) -> Sequence[PurePosixPath]:
        """All indexed source files, sorted."""
        return self._paths

    def is_test(self, path: PurePosixPath) -> bool:
        """Whether the file is test code, by where it lies and what it is called."""
        return path in self._tests

    def read(self, path: PurePosixPath) -> FileState | None:
        """The file's bytes (any file, not only source), or None; raises RepositoryError for a path outside."""
        if path in self._overlay:
            return self._overlay[path]
        real = os.path.realpath(self.root / path)
        if path.is_absolute() or ".." in path.parts or not real.startswith(f"{str(self.root).rstrip('/')}/"):
            raise RepositoryError("repository.outside", path=str(path))
        try:
            found = read_regular(real)
        except OSError as failure:
            reason = failure.strerror or str(failure)
            raise RepositoryError("repository.read-failed", path=str(path), reason=reason) from failure
        return None if found is None else FileState(found[0], executable=bool(found[1].st_mode & 0o100))

    def snapshot_files(self) -> Collection[PurePosixPath]:
        """Everything that a copy for the sandbox needs.

        Tracked files, untracked ones that are not ignored, and those ignored build products that code imports
        (extension modules, `*.egg-info`, generated modules); never `.git`, virtual environments, `node_modules` or
        caches. The overlay is not part of it.
        """
        return snapshot_files(self._listing)

    # ── code ──

    def symbols(self, path: PurePosixPath) -> Sequence[Symbol]:
        """The file's symbols in source order, nested ones after the one around them; decorators belong to a symbol."""
        return [symbol(path, definition) for definition in self.record(path).definitions]

    def module(self, path: PurePosixPath) -> Symbol:
        """The whole file as a symbol: no name, all lines."""
        lines = self._text(path).removesuffix(b"\n").count(b"\n") + 1
        return Symbol(path, "", SymbolKind.MODULE, 1, lines)

    def find(self, name: str) -> Sequence[Symbol]:
        """Symbols called `method`, `Class.method` or, from a module, `pkg.mod.Class.method`; modules as `pkg.mod`."""
        return self._names.find(name)

    def imports(self, path: PurePosixPath) -> Sequence[PurePosixPath]:
        """The repository's files that this one imports, and those that packages took the imported names from."""
        return self._names.imports(path) if path in self._numbers else ()

    def importers(self, path: PurePosixPath) -> Sequence[PurePosixPath]:
        """The repository's files that import this one."""
        return self._names.importers(path) if path in self._numbers else ()

    def references(self, name: str) -> Sequence[Reference]:
        """Where the bare name is used (not defined), across all files; parsed on demand."""
        parts = [term for word in name.split("_") for term in split_terms(word)]
        files = set(range(len(self._paths)))
        for part in parts:
            files &= self._occurrences(part).keys()
        found: list[Reference] = []
        for path in (self._paths[number] for number in sorted(files)):
            text = self._text(path)
            if name.encode("utf-8", "surrogateescape") in text:
                definitions = self.record(path).definitions
                for line in _uses(path, text, name):
                    around = [one.name for one in definitions if one.start_line <= line <= one.end_line]
                    found.append(Reference(path, line, around[-1] if around else ""))
        return found

    def skeleton(self, path: PurePosixPath) -> str:
        """The file with the bodies of functions elided (all of it, where the grammar can't cope)."""
        text = self._text(path)
        with suppress(GrammarError):
            text = BY_SUFFIX[path.suffix].skeleton(text)
        return text.decode("utf-8", "replace")

    def source(self, symbol: Symbol) -> str:
        """The symbol's source, decorators included."""
        text = self._text(symbol.path)
        if symbol.kind is not SymbolKind.MODULE:
            lines = text.split(b"\n")
            text = b"\n".join(lines[symbol.start_line - 1 : symbol.end_line]) + b"\n"
        return text.decode("utf-8", "replace")

    def _text(self, path: PurePosixPath) -> bytes:
        """A source file as UTF-8 text; empty where it is gone."""
        state = self.read(path)
        return BY_SUFFIX[path.suffix].decode(state.content).text if state else b""

    # ── ranking ──

    def statistics_of_fields(self) -> FieldStatistics:
        """Number of files and mean field lengths."""
        count = len(self._paths)
        return FieldStatistics(
            count,
            Lengths(
                sum(map(len, self._path_terms)) / count,
                sum(facts.symbols for facts in self._facts) / count,
                sum(facts.docstrings for facts in self._facts) / count,
                sum(facts.body for facts in self._facts) / count,
            ),
        )

    def lengths(self) -> Sequence[Lengths]:
        """The field lengths of each of `paths()`."""
        return [
            Lengths(len(terms), facts.symbols, facts.docstrings, facts.body)
            for terms, facts in zip(self._path_terms, self._facts, strict=True)
        ]

    def postings(self, term: str) -> Sequence[Posting]:
        """The files that a term (one of `split_terms`) occurs in; read on demand."""
        in_paths = self._files_by_path_term.get(term, {})
        path_count = in_paths.get
        found = [
            _posting((number, path_count(number, 0), *tf_of(counts)))
            for number, counts in self._occurrences(term).items()
        ]
        if in_paths:
            seen = {posting.file for posting in found}
            found += [Posting(number, count, 0, 0, 0) for number, count in in_paths.items() if number not in seen]
        return found

    def recency(self, path: PurePosixPath) -> float:
        """How recently and often the file changed, in [0, 1], from a bounded look at the history; 0 without git."""
        return self._recency.get(str(path), 0.0)

    # ── the index ──

    def record(self, path: PurePosixPath) -> FileRecord:
        """The file's structure; empty where it has none."""
        number = self._numbers.get(path)
        if number is None:
            return EMPTY
        found = self._records.get(number)
        if found is None:
            found = self._records[number] = self._read_record(number)
        return found

    def defining(self, name: str) -> Sequence[PurePosixPath]:
        """Files that may define a bare name, sorted."""
        found = self._occurrences(key_of(name))
        return [self._paths[number] for number in sorted(found) if tf_of(found[number])[0]]

    def kept_graph(self) -> str | None:
        """The import graph as it was last kept."""
        try:
            return self._store.note(self._tree, _GRAPH)
        except sqlite3.Error:
            return None

    def keep_graph(self, graph: str) -> None:
        """Keep the import graph of what is on disk."""
        if not self._overlay:
            with suppress(sqlite3.Error):
                self._store.set_note(self._tree, _GRAPH, graph)

    def documents(self) -> Sequence[int]:
        """The content of each of `paths()`, as a number that changes with it."""
        return [facts.document for facts in self._facts]

    def _read_record(self, number: int) -> FileRecord:
        """A record from the store; parsed anew where another process has dropped it meanwhile."""
        document = self._facts[number].document
        if document == 0:
            return EMPTY
        try:
            if text := self._store.record(document):
                return decode(text)
        except (sqlite3.Error, ValueError):
            pass
        path = self._paths[number]
        try:
            return decode(encode(BY_SUFFIX[path.suffix].analyse(self._text(path)).outline))
        except GrammarError:
            return EMPTY

    def _occurrences(self, term: str) -> dict[int, int]:
        """The files of a term or key, each with its packed counts; in no order."""
        try:
            found = unpacked(self._store.postings(term))
        except (sqlite3.Error, ValueError, TypeError) as failure:
            raise RepositoryError("repository.index-broken", reason=str(failure)) from failure
        files = self._files_of
        return {number: counts for document, counts in found.items() for number in files.get(document, ())}

    # ── made when first asked for ──

    @cached_property
    def _numbers(self) -> dict[PurePosixPath, int]:
        """A path's place in `paths()`."""
        return {path: number for number, path in enumerate(self._paths)}

    @cached_property
    def _files_of(self) -> dict[int, list[int]]:
        """The files of each document."""
        found: dict[int, list[int]] = {}
        for number, facts in enumerate(self._facts):
            found.setdefault(facts.document, []).append(number)
        found.pop(0, None)
        return found

    @cached_property
    def _tests(self) -> TestFiles:
        """Which files are tests."""
        return TestFiles(self._paths)

    @cached_property
    def _path_terms(self) -> list[list[str]]:
        """The terms of each path, suffix left out."""
        cut = cache(split_terms)
        places = (str(path).rpartition(".")[0].rpartition("/") for path in self._paths)
        return [[*cut(folder), *cut(stem)] for folder, _, stem in places]

    @cached_property
    def _files_by_path_term(self) -> dict[str, dict[int, int]]:
        """For each term of a path, the files and how often."""
        found: dict[str, dict[int, int]] = {}
        for number, terms in enumerate(self._path_terms):
            for term in terms:
                files = found.setdefault(term, {})
                files[number] = files.get(number, 0) + 1
        return found

    @cached_property
    def _recency(self) -> dict[str, float]:
        """Recency by path."""
        try:
            return recency(self._listing, self._store, self._tree)
        except sqlite3.Error:
            return {}


def _uses(path: PurePosixPath, text: bytes, name: str) -> Sequence[int]:
    """The lines that use a name; none where the grammar can't cope."""
    try:
        return BY_SUFFIX[path.suffix].uses(text, name)
    except GrammarError:
        return ()
