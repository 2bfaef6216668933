"""The view of an indexed repository: what the stages, the solver and the sandbox ask about code."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from thinklonger.agent.types import FileState, Message, Reference, Symbol


class Problem(NamedTuple):
    """Something odd that stopped nothing, reported once; `path` is None where it concerns no single file."""

    path: PurePosixPath | None
    message: Message


@dataclass(frozen=True, slots=True)
class IndexStatistics:
    """How the index came about: source files, symbols in them, files taken from the cache, parsed now, wall seconds."""

    files: int
    symbols: int
    reused: int
    parsed: int
    seconds: float


class Lengths(NamedTuple):
    """How many terms each field of a file has (as a mean: of all files)."""

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


class Repository:
    """A repository's state, indexed; implements `protocols.RepositoryView`."""

    root: Path
    commit: str | None
    is_git: bool
    statistics: IndexStatistics
    problems: tuple[Problem, ...]

    def paths(self) -> Sequence[PurePosixPath]:
        """All indexed source files, sorted."""
        raise NotImplementedError

    def is_test(self, path: PurePosixPath) -> bool:
        """Whether the file is test code, by where it lies and what it is called."""
        raise NotImplementedError

    def symbols(self, path: PurePosixPath) -> Sequence[Symbol]:
        """The file's symbols in source order, nested ones after the one around them; decorators belong to a symbol."""
        raise NotImplementedError

    def find(self, name: str) -> Sequence[Symbol]:
        """Symbols called `method`, `Class.method` or, from a module, `pkg.mod.Class.method`; modules as `pkg.mod`."""
        raise NotImplementedError

    def imports(self, path: PurePosixPath) -> Sequence[PurePosixPath]:
        """The repository's files that this one imports."""
        raise NotImplementedError

    def importers(self, path: PurePosixPath) -> Sequence[PurePosixPath]:
        """The repository's files that import this one."""
        raise NotImplementedError

    def references(self, name: str) -> Sequence[Reference]:
        """Where the bare name is used (not defined), across all files; parsed on demand."""
        raise NotImplementedError

    def skeleton(self, path: PurePosixPath) -> str:
        """The file with the bodies of functions elided."""
        raise NotImplementedError

    def source(self, symbol: Symbol) -> str:
        """The symbol's source, decorators included."""
        raise NotImplementedError

    def read(self, path: PurePosixPath) -> FileState | None:
        """The file's bytes (any file, not only source), or None; raises RepositoryError for a path outside."""
        raise NotImplementedError

    def snapshot_files(self) -> Collection[PurePosixPath]:
        """Everything that a copy for the sandbox needs.

        Tracked files, untracked ones that are not ignored, and those ignored build products that code imports
        (extension modules, `*.egg-info`, generated modules); never `.git`, virtual environments, `node_modules` or
        caches. The overlay is not part of it.
        """
        raise NotImplementedError

    def statistics_of_fields(self) -> FieldStatistics:
        """Number of files and mean field lengths."""
        raise NotImplementedError

    def lengths(self, path: PurePosixPath) -> Lengths:
        """The file's field lengths."""
        raise NotImplementedError

    def postings(self, term: str) -> Sequence[Posting]:
        """The files that a term (one of `split_terms`) occurs in; read on demand."""
        raise NotImplementedError

    def recency(self, path: PurePosixPath) -> float:
        """How recently and often the file changed, in [0, 1], from a bounded look at the history; 0 without git."""
        raise NotImplementedError

    async def close(self) -> None:
        """Let go of the cache; safe to call twice."""
        raise NotImplementedError
