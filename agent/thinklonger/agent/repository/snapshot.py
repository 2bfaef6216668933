"""What a copy of the tree needs for its tests to run: the project's files, and build products that git ignores."""

import os
import re
from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath

from thinklonger.agent.repository import git
from thinklonger.agent.repository.listing import Listing
from thinklonger.agent.repository.walking import NEVER, in_environment, is_regular_or_link, walk

_MOST_IGNORED = 50_000
_NATIVE = re.compile(r".*\.(?:so(?:\.\d+)*|pyd|dylib)")
_METADATA = (".egg-info", ".dist-info")
_VERSION_FILES = frozenset({"_version.py", "version.py", "__version__.py", "_version.pyi", "version.txt"})


def snapshot_files(listing: Listing) -> frozenset[PurePosixPath]:
    """Regular files and symlinks, relative to the root."""
    root = str(listing.root)
    found = {path for path in listing.files if is_regular_or_link(f"{root}/{path}")}
    found.update(_in_submodules(root, listing.submodules))
    found.update(path for path in _build_products(root, _ignored(listing)) if is_regular_or_link(f"{root}/{path}"))
    return frozenset(map(PurePosixPath, found))


def _in_submodules(root: str, submodules: Iterable[str]) -> Iterator[str]:
    """The files of submodules that are checked out: not indexed, yet tests may need them."""
    for submodule in submodules:
        if not os.path.islink(f"{root}/{submodule}"):  # noqa: PTH114 - strings
            for path in walk(f"{root}/{submodule}").files:
                if is_regular_or_link(f"{root}/{submodule}/{path}"):
                    yield f"{submodule}/{path}"


def _ignored(listing: Listing) -> list[str]:
    """What ignore rules leave out; whole folders end in `/`."""
    if not listing.is_git:
        return walk(str(listing.root)).ignored
    try:
        return git.ignored(listing.root)
    except git.GitError:
        return []


def _build_products(root: str, ignored: Iterable[str]) -> Iterator[str]:
    """Those ignored files that code imports or that say what is installed."""
    for path in ignored:
        if in_environment(path):
            continue
        if not path.endswith("/"):
            name = path.rpartition("/")[2]
            if name.endswith((".py", ".pyi")) or _NATIVE.fullmatch(name) or _in_metadata(path):
                yield path
            continue
        folder = path[:-1]
        if folder.rpartition("/")[2] in NEVER or os.path.lexists(f"{root}/{folder}/pyvenv.cfg"):
            continue
        for inner in walk(f"{root}/{folder}", limit=_MOST_IGNORED).files:
            name = inner.rpartition("/")[2]
            if _NATIVE.fullmatch(name) or name in _VERSION_FILES or _in_metadata(f"{path}{inner}"):
                yield f"{path}{inner}"


def _in_metadata(path: str) -> bool:
    """Whether a path lies in a folder of package metadata."""
    return any(part.endswith(_METADATA) for part in path.split("/")[:-1])
