"""The files that a model may choose from, and what is meant by the paths that it writes."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from thinklonger.agent.errors import ModelError
from thinklonger.agent.issue import PathTable
from thinklonger.agent.prompts import legible_path
from thinklonger.agent.protocols import RepositoryView
from thinklonger.agent.stages.understand.surroundings import is_accessory
from thinklonger.agent.types import FileRank

MOST_FILES = 5
MOST_LISTED = 1000
"""Files of a list, whatever the window: 10,000 to 15,000 tokens."""
_HIGH = 0.5
"""A file with this score is listed whatever it is, tests included, because so much speaks for it."""
_SOURCES = 40
"""Files whose imports are looked at."""
_SHOWN = 8
"""Paths that are named in a sentence."""


@dataclass(frozen=True, slots=True)
class Choice:
    """Files that an answer names, in its order, and the paths in it that are none of the list's."""

    files: tuple[PurePosixPath, ...]
    invented: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Listing:
    """The files that may be chosen: the most promising ones, which are shown, and how many more there may be."""

    files: tuple[PurePosixPath, ...]
    more: int
    table: PathTable
    allowed: Callable[[PurePosixPath], bool]

    def choose(self, written: Sequence[str]) -> Choice:
        """The files of an answer's paths; raises ModelError where it names none that may be chosen.

        A path that is nowhere counts where it fits exactly one file, by its end; words behind a path do not matter.
        """
        chosen: dict[PurePosixPath, None] = {}
        invented: list[str] = []
        for path in written:
            found = self.resolve(path) or self.resolve(path.split()[0].rstrip(":,"))
            if len(found) == 1:
                chosen[found[0]] = None
            else:
                invented.append(path)
        if not chosen:
            raise ModelError("understand.no-such-files", paths=quoted(invented))
        return Choice(tuple(chosen)[:MOST_FILES], tuple(invented))

    def resolve(self, written: str) -> Sequence[PurePosixPath]:
        """The files that fit a written path equally well, of those that may be chosen."""
        path = PurePosixPath(written.removeprefix("./"))
        if path in self.table.paths and self.allowed(path):
            return (path,)
        return [found for found in self.table.resolve(written) if self.allowed(found)]


def list_files(repository: RepositoryView, ranked: Sequence[FileRank]) -> Listing:
    """The source files, without tests, documentation and packaging unless they rank high; all where none is left.

    First those with a rank, then those that they import, then those in the same folders, then others.
    """
    paths = repository.paths()
    high = {rank.path for rank in ranked if rank.score >= _HIGH}

    def allowed(path: PurePosixPath) -> bool:
        return path in high or not (repository.is_test(path) or is_accessory(path))

    if not any(map(allowed, paths)):
        return Listing(tuple(paths[:MOST_LISTED]), max(0, len(paths) - MOST_LISTED), PathTable(paths), lambda _: True)
    listed: dict[PurePosixPath, None] = {}
    for path in _in_order(repository, [rank.path for rank in ranked]):
        if path not in listed and allowed(path):
            listed[path] = None
            if len(listed) == MOST_LISTED:
                break
    more = sum(map(allowed, paths)) - len(listed) if len(listed) == MOST_LISTED else 0
    return Listing(tuple(listed), more, PathTable(paths), allowed)


def _in_order(repository: RepositoryView, ranked: Sequence[PurePosixPath]) -> Iterator[PurePosixPath]:
    """All files, those that have most to do with the ranked ones first."""
    paths = repository.paths()
    known = frozenset(paths)
    near = [path for path in ranked if path in known]
    yield from near
    for path in near[:_SOURCES]:
        yield from repository.imports(path)
    folders = {path.parent for path in near[:_SOURCES]}
    yield from (path for path in paths if path.parent in folders)
    yield from paths


def merged(chosen: Iterable[PurePosixPath], ranked: Sequence[FileRank], listing: Listing) -> tuple[PurePosixPath, ...]:
    """The model's files, then retrieval's, each in its own order, up to `MOST_FILES`."""
    listed = frozenset(listing.files)
    return tuple(dict.fromkeys((*chosen, *(rank.path for rank in ranked if rank.path in listed))))[:MOST_FILES]


def quoted(paths: Sequence[str]) -> str:
    """Written paths in a sentence."""
    shown = ", ".join(legible_path(PurePosixPath(path)) for path in paths[:_SHOWN])
    return f"{shown}, …" if len(paths) > _SHOWN else shown
