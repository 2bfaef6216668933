"""Which files a repository has: by git where it knows, else by walking; each odd one is noticed once."""

import errno
import os
import stat
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from thinklonger.agent.repository import git
from thinklonger.agent.repository.disk import LARGEST_SOURCE, Stamp, outside, stamp_of
from thinklonger.agent.repository.walking import in_environment, is_source_name, walk
from thinklonger.agent.types import Message


class Problem(NamedTuple):
    """Something odd that stopped nothing, reported once; `path` is None where it concerns no single file."""

    path: PurePosixPath | None
    message: Message


def problem(path: str | None, key: str, **params: str | int) -> Problem:
    """A problem with a sentence of this room's catalogue."""
    return Problem(None if path is None else PurePosixPath(path), Message(f"repository.{key}", params))


@dataclass(slots=True)
class Listing:
    """The files below a root, as strings relative to it with `/` between parts.

    `identity` is equal for all worktrees of one repository; `files` are all that belong to the project (some may be
    missing on disk), `sources` those to index, with what the disk said of them after `looked_at` (ns since the epoch).
    """

    root: Path
    identity: bytes
    is_git: bool
    commit: str | None
    files: list[str]
    submodules: list[str] = field(default_factory=list[str])
    sources: dict[str, Stamp] = field(default_factory=dict[str, Stamp])
    problems: list[Problem] = field(default_factory=list[Problem])
    looked_at: int = 0


def list_files(root: Path) -> Listing:
    """List a folder that exists; never fails because of a single file."""
    found = _listed_by_git(root)
    if found is None or (not found.sources and found.identity == b""):
        walked = _walked(root)
        walked.problems[:0] = found.problems if found is not None and not found.is_git else []
        found = walked
    found.problems.sort(key=lambda problem: str(problem.path or ""))
    return found


def _listed_by_git(root: Path) -> Listing | None:
    """The listing that git gives; None outside of a working tree.

    A root that its repository ignores (nothing tracked, all below it ignored) has an empty identity: walk it instead.
    """
    tree = git.work_tree(root)
    if tree is None:
        return None
    listing = Listing(root, os.fsencode(os.path.realpath(tree.common)), is_git=True, commit=None, files=[])
    try:
        entries = git.entries(root)
    except git.GitError as failure:
        listing.is_git = False
        listing.identity = b""
        listing.problems.append(problem(None, "git-failed", reason=str(failure)))
        return listing
    listing.commit = git.head(root)
    links: list[str] = []
    for path, mode in _without_environments(entries):
        if mode == git.SUBMODULE:
            listing.submodules.append(path)
            listing.problems.append(problem(path, "submodule"))
        elif path.endswith("/"):
            listing.problems.append(problem(path, "nested-repository"))
        else:
            listing.files.append(path)
            if mode == git.SYMLINK:
                links.append(path)
    _look_at(listing, links)
    if tree.above and not listing.sources:
        listing.identity = b""
    return listing


def _walked(root: Path) -> Listing:
    """The listing of a folder that git does not know."""
    found = walk(str(root))
    listing = Listing(root, os.fsencode(root), is_git=False, commit=None, files=found.files)
    for path, reason in found.unreadable:
        listing.problems.append(problem(path, "folder-unreadable", reason=reason))
    if found.cut_at:
        listing.problems.append(problem(None, "too-many-files", limit=found.cut_at))
    _look_at(listing, found.links)
    for path in found.folders_like_sources:
        listing.problems.append(problem(path, "folder-as-source"))
    return listing


def _without_environments(entries: list[git.Entry]) -> Iterator[git.Entry]:
    """The entries, less untracked ones in virtual environments, package folders and tools' caches."""
    environments = {
        path.removesuffix("pyvenv.cfg") for path, mode in entries if not mode and path.endswith("pyvenv.cfg")
    }
    for entry in entries:
        if entry.mode or not (in_environment(entry.path) or _below(entry.path, environments)):
            yield entry


def _below(path: str, folders: Iterable[str]) -> bool:
    """Whether a path starts with one of the folders."""
    return any(path.startswith(folder) for folder in folders)


# ── what the disk says ───────────────────────────────────────────────────────────────────────────────────────────


def _look_at(listing: Listing, links: list[str]) -> None:
    """Fill in `sources` and notice what is odd about them, and about links."""
    listing.looked_at = time.time_ns()
    base = f"{listing.root}/"
    real_folders: dict[str, bool] = {"": True}
    known_links = set(links)
    for path in listing.files:
        if not is_source_name(path) or path in known_links:
            continue
        folder = path.rpartition("/")[0]
        if not _is_real_folder(base, folder, real_folders):
            listing.problems.append(problem(path, "behind-symlink"))
            continue
        try:
            found = os.lstat(base + path)
        except (FileNotFoundError, NotADirectoryError):
            continue  # deleted in the working tree
        except OSError as failure:
            listing.problems.append(problem(path, "unreadable", reason=failure.strerror or str(failure)))
            continue
        if stat.S_ISLNK(found.st_mode):
            links.append(path)
        else:
            _sort_in(listing, path, found)
    for path in links:
        if key := _oddity_of_link(listing.root, path):
            listing.problems.append(problem(path, key))


def _sort_in(listing: Listing, path: str, found: os.stat_result) -> None:
    """Put a path that is called like a source file among the sources, if it is one."""
    if not stat.S_ISREG(found.st_mode):
        kind = "folder-as-source" if stat.S_ISDIR(found.st_mode) else "not-a-file"
        listing.problems.append(problem(path, kind))
        return
    listing.sources[path] = stamp_of(found)
    if found.st_size > LARGEST_SOURCE:
        listing.problems.append(problem(path, "too-large", limit=LARGEST_SOURCE // 1_000_000))


def _is_real_folder(base: str, folder: str, known: dict[str, bool]) -> bool:
    """Whether no part of a folder's path is a symlink (git goes on listing tracked files behind one)."""
    found = known.get(folder)
    if found is None:
        found = _is_real_folder(base, folder.rpartition("/")[0], known) and not os.path.islink(base + folder)  # noqa: PTH114 - strings, and hot
        known[folder] = found
    return found


def _oddity_of_link(root: Path, path: str) -> str | None:
    """What is wrong with a symlink; nothing if it leads to something inside, or is broken but no source file."""
    try:
        (root / path).resolve(strict=True)
    except (OSError, RuntimeError) as failure:
        if isinstance(failure, RuntimeError) or failure.errno == errno.ELOOP:
            return "symlink-loop"
        return "symlink-broken" if is_source_name(path) else None
    return "symlink-outside" if outside(root, path) else None
