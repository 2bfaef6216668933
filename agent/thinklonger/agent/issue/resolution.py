"""What an issue's clues name in a repository: paths, dotted names, identifiers and frames looked up in the index."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import PurePosixPath

from thinklonger.agent.issue.clues import Clues, FrameClue, PathClue
from thinklonger.agent.protocols import RepositoryView
from thinklonger.agent.types import Symbol, SymbolKind

_INSTALLED = ("site-packages", "dist-packages")
_MOST_DEFINITIONS = 200
"""A name with more definitions than this says nothing about where."""
_MOST_NAMES = 100


class Role(StrEnum):
    """Where in an issue a name stands."""

    TITLE = "title"
    TEXT = "text"
    CODE = "code"
    FRAME = "frame"


@dataclass(frozen=True, slots=True)
class NameHit:
    """A definition that the issue names: `definitions` share the name, so a rare name says more.

    `exact` where the written qualifier (`Class.method`, `module.function`) fits this definition.
    """

    symbol: Symbol
    written: str
    role: Role
    definitions: int
    exact: bool


@dataclass(frozen=True, slots=True)
class PathHit:
    """A file that the issue names: `candidates` files fit equally well; lines where the issue says some."""

    path: PurePosixPath
    written: str
    candidates: int
    line: int | None = None
    end_line: int | None = None


@dataclass(frozen=True, slots=True)
class FrameHit:
    """A frame inside the repository: `depth` 0 is the innermost one of its traceback, `traceback` its number."""

    path: PurePosixPath
    frame: FrameClue
    depth: int
    traceback: int


@dataclass(slots=True)
class PathTable:
    """The repository's files by name, for paths that people write: absolute, relative, installed or cut short."""

    paths: Sequence[PurePosixPath]
    _by_name: dict[str, list[PurePosixPath]] = field(default_factory=dict[str, list[PurePosixPath]])
    _packages: dict[str, list[PurePosixPath]] = field(default_factory=dict[str, list[PurePosixPath]])

    def __post_init__(self) -> None:
        """Group the files by their last part, and packages by their folder's name."""
        for path in self.paths:
            name = path.name
            self._by_name.setdefault(name, []).append(path)
            if name == "__init__.py":
                self._packages.setdefault(path.parent.name, []).append(path)

    def resolve(self, written: str) -> tuple[PurePosixPath, ...]:
        """The files that fit a written path best, all equally well; none if only the name of another project's fits."""
        parts = [part for part in written.split("/") if part not in ("", ".", "~", "..")]
        if not parts:
            return ()
        absolute = written.startswith(("/", "~")) or written[1:3] == ":/"
        for marker in _INSTALLED:
            if marker in parts:
                parts, absolute = parts[parts.index(marker) + 1 :], True
        fits = [(_common_end(path.parts, parts), path) for path in self._by_name.get(parts[-1] if parts else "", ())]
        best = max((length for length, _ in fits), default=0)
        return tuple(
            path
            for length, path in fits
            if length == best and (best == len(parts) or best == len(path.parts) or (absolute and best > 1))
        )

    def modules(self, dotted: str) -> tuple[PurePosixPath, ...]:
        """The files of the module or package `a.b`, wherever the package's root lies."""
        parts = dotted.split(".")
        module = self.resolve("/".join((*parts[:-1], f"{parts[-1]}.py")))
        return tuple(path for path in module if _ends(path, (*parts[:-1], f"{parts[-1]}.py"))) or tuple(
            path for path in self._packages.get(parts[-1], ()) if _ends(path, (*parts, "__init__.py"))
        )


def resolve_paths(clues: Clues, table: PathTable) -> Iterator[PathHit]:
    """The files that the issue names as paths or modules."""
    for clue in clues.paths:
        yield from _path_hits(clue, table)
    for dotted in clues.dotted:
        found = table.modules(dotted)
        for path in found:
            yield PathHit(path, dotted, len(found))


def _path_hits(clue: PathClue, table: PathTable) -> Iterator[PathHit]:
    """The files of one written path; a folder stands for all files directly in it."""
    found = table.resolve(clue.path)
    if not found and not clue.path.endswith(".py"):
        found = table.resolve(f"{clue.path}.py") or table.resolve(f"{clue.path}/__init__.py")
    for path in found:
        yield PathHit(path, clue.path, len(found), clue.line, clue.end_line)


def resolve_frames(clues: Clues, table: PathTable) -> Iterator[FrameHit]:
    """The frames of the issue's tracebacks that lie in the repository, innermost first within each."""
    for number, traceback in enumerate(clues.tracebacks):
        depth = 0
        for frame in reversed(traceback.frames):
            found = table.resolve(frame.path)
            if found:
                yield FrameHit(found[0], frame, depth, number)
                depth += 1


def resolve_names(clues: Clues, repository: RepositoryView) -> Iterator[NameHit]:
    """The definitions of the names in the issue: each name once, in its strongest role."""
    seen: set[str] = set()
    for name, role in _names(clues):
        if name in seen or len(seen) > _MOST_NAMES:
            continue
        seen.add(name)
        yield from _definitions(name, role, repository)


def _names(clues: Clues) -> Iterator[tuple[str, Role]]:
    """Every name with its role, strongest first; of a dotted name, the whole stands for its last part."""
    title = clues.title
    dotted_ends = {name.rpartition(".")[2] for name in clues.dotted}
    named = [*clues.dotted, *(name for name in clues.identifiers if name not in dotted_ends)]
    yield from ((name, Role.TITLE) for name in named if name in title)
    yield from ((name, Role.TEXT) for name in named if name not in title)
    for traceback in clues.tracebacks:
        yield from ((frame.function, Role.FRAME) for frame in reversed(traceback.frames) if frame.function)
    yield from ((name, Role.CODE) for name in clues.code_names)


def _definitions(name: str, role: Role, repository: RepositoryView) -> Iterator[NameHit]:
    """The definitions that a written name fits best: with its whole qualifier, else by its last part alone.

    Modules are left to the paths: half of the words in an issue are the name of some module.
    """
    qualifier, _, bare = name.rpartition(".")
    if len(bare) < 3 or (bare.startswith("__") and not qualifier):  # noqa: PLR2004 - such names are everywhere
        return
    found = [symbol for symbol in repository.find(bare) if symbol.kind is not SymbolKind.MODULE]
    if not found or len(found) > _MOST_DEFINITIONS:
        return
    exact = [symbol for symbol in found if qualifier and _qualifies(symbol, qualifier)]
    for symbol in exact or found:
        yield NameHit(symbol, name, role, len(exact or found), bool(exact))


def _qualifies(symbol: Symbol, qualifier: str) -> bool:
    """Whether the written qualifier's last part names the class or the module around the symbol."""
    last = qualifier.rpartition(".")[2]
    around = symbol.name.split(".")[:-1]
    return last in around or (not around and last in (symbol.path.stem, symbol.path.parent.name))


def _common_end(left: Sequence[str], right: Sequence[str]) -> int:
    """How many parts two paths share at their ends."""
    length = 0
    for one, other in zip(reversed(left), reversed(right), strict=False):
        if one != other:
            break
        length += 1
    return length


def _ends(path: PurePosixPath, parts: Iterable[str]) -> bool:
    """Whether the path ends with these parts."""
    wanted = tuple(parts)
    return path.parts[-len(wanted) :] == wanted
