"""Walking a folder: what to leave out everywhere, and `.gitignore` where git itself can't be asked."""

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from stat import S_ISREG
from typing import TypeAlias

from thinklonger.agent.repository.disk import read_regular
from thinklonger.agent.repository.ignore import Rule, is_ignored, parse_rules
from thinklonger.agent.repository.languages import BY_SUFFIX

NEVER = frozenset(
    {
        ".git",
        ".hg",
        ".svn",
        "node_modules",
        "site-packages",
        "__pycache__",
        ".tox",
        ".nox",
        ".mypy_cache",
        ".pytest_cache",
        ".ruff_cache",
        ".hypothesis",
        ".eggs",
    }
)
"""Folders that are never a project's own, whatever ignore rules say."""

Rules: TypeAlias = tuple[tuple[str, tuple[Rule, ...]], ...]
"""Ignore files on the way from the root, each with its folder (ends in `/`, empty at the root)."""

_SUFFIXES = tuple(BY_SUFFIX)
MOST_FILES = 300_000
_LARGEST_IGNORE_FILE = 1_000_000


@dataclass(slots=True)
class Walked:
    """What a walk found, relative to its root.

    `files` are regular files, pipes and devices, and links; `links` the symlinks among them; `ignored` what ignore
    rules leave out (folders end in `/`); `cut_at` the limit where the walk stopped, or 0.
    """

    files: list[str] = field(default_factory=list[str])
    links: list[str] = field(default_factory=list[str])
    ignored: list[str] = field(default_factory=list[str])
    unreadable: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    folders_like_sources: list[str] = field(default_factory=list[str])
    cut_at: int = 0


def is_source_name(path: str) -> bool:
    """Whether a file of this name is source code of a language that we know."""
    return path.endswith(_SUFFIXES) and os.path.splitext(path)[1] in BY_SUFFIX  # noqa: PTH122 - strings, and hot


def in_environment(path: str) -> bool:
    """Whether a path lies in a folder that is never a project's own."""
    return not NEVER.isdisjoint(path.split("/")[:-1])


def walk(root: str, *, limit: int = MOST_FILES) -> Walked:
    """Walk without following symlinks, honouring `.gitignore` files; in no order."""
    found = Walked()
    stack: list[tuple[str, Rules]] = [("", ())]
    while stack and not found.cut_at:
        folder, rules = stack.pop()
        try:
            with os.scandir(f"{root}/{folder}") as scan:
                entries = list(scan)
        except OSError as failure:
            found.unreadable.append((folder or ".", failure.strerror or str(failure)))
            continue
        names = {entry.name for entry in entries}
        if folder and "pyvenv.cfg" in names:
            continue
        if ".gitignore" in names and (own := _rules(f"{root}/{folder}.gitignore")):
            rules = (*rules, (folder, own))
        inner = _sort_out(entries, folder, rules, found)
        stack.extend((path, rules) for path in reversed(inner))
        if len(found.files) + len(found.ignored) > limit:
            found.cut_at = limit
    return found


def _sort_out(entries: Iterable[os.DirEntry[str]], folder: str, rules: Rules, found: Walked) -> list[str]:
    """Put one folder's entries where they belong; gives the folders to walk into."""
    inner: list[str] = []
    for entry in entries:
        path = f"{folder}{entry.name}"
        is_folder = entry.is_dir(follow_symlinks=False)
        if entry.name == ".git" or (is_folder and entry.name in NEVER):
            continue
        if rules and _left_out(path, rules, folder=is_folder):
            found.ignored.append(f"{path}/" if is_folder else path)
        elif is_folder:
            inner.append(f"{path}/")
            if is_source_name(path):
                found.folders_like_sources.append(path)
        else:
            found.files.append(path)
            if entry.is_symlink():
                found.links.append(path)
    return inner


def _rules(path: str) -> tuple[Rule, ...]:
    """The rules of one ignore file; none where it is no readable file."""
    try:
        content = read_regular(path, _LARGEST_IGNORE_FILE)
    except OSError:
        return ()
    return parse_rules(content[0].decode("utf-8", "surrogateescape")) if content else ()


def _left_out(path: str, rules: Rules, *, folder: bool) -> bool:
    """Whether ignore rules leave a path out; the file nearest to it decides."""
    for base, own in reversed(rules):
        verdict = is_ignored(path[len(base) :], folder=folder, rules=own)
        if verdict is not None:
            return verdict
    return False


def is_regular_or_link(path: str | Path) -> bool:
    """Whether a path is a regular file or a symlink: what can be copied."""
    try:
        mode = os.lstat(path).st_mode
    except OSError:
        return False
    return S_ISREG(mode) or os.path.islink(path)  # noqa: PTH114 - may be a string
