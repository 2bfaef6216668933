"""The files that a model may choose from, and what is meant by the paths that it writes."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from thinklonger.agent.errors import ModelError
from thinklonger.agent.issue import PathTable
from thinklonger.agent.prompts import legible_path
from thinklonger.agent.protocols import RepositoryView
from thinklonger.agent.stages.understand.surroundings import is_accessory
from thinklonger.agent.types import FileRank

MOST_FILES = 5
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
    """The files that may be chosen, the most promising first."""

    files: tuple[PurePosixPath, ...]
    table: PathTable

    def choose(self, written: Sequence[str]) -> Choice:
        """The files of an answer's paths; raises ModelError where it names none of the list.

        A path that is not in the list counts where it fits exactly one file of it, by its end; words behind a path do
        not matter.
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
        """The files that fit a written path equally well."""
        path = PurePosixPath(written.removeprefix("./"))
        return (path,) if path in self.table.paths else self.table.resolve(written)


def list_files(repository: RepositoryView, ranked: Sequence[FileRank]) -> Listing:
    """The source files, without tests, documentation and packaging unless they rank high; all where none is left.

    First those with a rank, then those that they import, then those in the same folders, then all others.
    """
    paths = set(repository.paths())
    near = [rank.path for rank in ranked if rank.path in paths]
    wanted = {path for path in paths if not repository.is_test(path) and not is_accessory(path)}
    wanted.update(rank.path for rank in ranked if rank.score >= _HIGH and rank.path in paths)
    order = dict.fromkeys(path for path in _in_order(repository, near) if path in wanted)
    files = tuple(order) or tuple(repository.paths())
    return Listing(files, PathTable(files))


def _in_order(repository: RepositoryView, high: Sequence[PurePosixPath]) -> Iterator[PurePosixPath]:
    """All files, those that have most to do with the ranked ones first."""
    yield from high
    for path in high[:_SOURCES]:
        yield from repository.imports(path)
    near = dict.fromkeys(path.parent for path in high[:_SOURCES])
    by_folder: dict[PurePosixPath, list[PurePosixPath]] = {}
    for path in repository.paths():
        by_folder.setdefault(path.parent, []).append(path)
    for folder in near:
        yield from by_folder.get(folder, ())
    yield from repository.paths()


def merged(chosen: Iterable[PurePosixPath], ranked: Sequence[FileRank], listing: Listing) -> tuple[PurePosixPath, ...]:
    """The model's files, then retrieval's, each in its own order, up to `MOST_FILES`."""
    listed = frozenset(listing.files)
    both = dict.fromkeys((*chosen, *(rank.path for rank in ranked if rank.path in listed)))
    return tuple(both)[:MOST_FILES]


def quoted(paths: Sequence[str]) -> str:
    """Written paths in a sentence."""
    shown = ", ".join(legible_path(PurePosixPath(path)) for path in paths[:_SHOWN])
    return f"{shown}, …" if len(paths) > _SHOWN else shown
