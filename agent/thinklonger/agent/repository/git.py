"""The host's git, called so that nothing in the repository can make it run code, write, or use the network."""

import os
import subprocess
from functools import cache
from pathlib import Path
from typing import NamedTuple

SECONDS = 60.0
"""How long one call may take; a configuration can make git wait (a FIFO as excludes file)."""

_OPTIONS = (
    "--no-pager",
    "--literal-pathspecs",
    "-c",
    "core.fsmonitor=false",  # a repository may name a program here
    "-c",
    f"core.hooksPath={os.devnull}",
    "-c",
    "core.untrackedCache=false",
    "-c",
    "core.quotePath=false",
    "-c",
    "log.showSignature=false",  # would run gpg.program
    "-c",
    "safe.directory=*",  # reading with the options above is safe, whoever owns the folder
)


class GitError(Exception):
    """Git is not there, failed, or took too long; the text is its own last line."""


class WorkTree(NamedTuple):
    """What git says of a folder inside a working tree.

    `common` is the repository's shared folder (equal for all worktrees); `above`: the folder is below the top.
    """

    common: Path
    above: bool


class Entry(NamedTuple):
    """One path of a listing, relative to the folder asked about, `/`-separated; `mode` is 0 for an untracked path."""

    path: str
    mode: int


SYMLINK, SUBMODULE = 0o120000, 0o160000


@cache
def executable() -> str | None:
    """Where git is, if it is; never in a part of PATH that depends on where we stand: that may be the repository."""
    from shutil import which  # noqa: PLC0415 - only needed here, and not cheap

    parts = os.environ.get("PATH", os.defpath).split(os.pathsep)
    return which("git", path=os.pathsep.join(part for part in parts if os.path.isabs(part)))  # noqa: PTH117 - text


def run(folder: Path, *arguments: str) -> bytes:
    """Run one git command in a folder and give its output.

    Raises:
        GitError: no git, a failure, or no end in time.
    """
    program = executable()
    if program is None:
        raise GitError("git")
    try:
        done = subprocess.run(  # noqa: S603 - arguments are ours, never a shell
            [program, *_OPTIONS, "-C", str(folder), *arguments],
            env=environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=SECONDS,
            check=False,
        )
    except (OSError, ValueError, subprocess.TimeoutExpired) as cause:
        raise GitError(str(cause)) from cause
    if done.returncode != 0:
        lines = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise GitError(lines[-1] if lines else f"exit code {done.returncode}")
    return done.stdout


def environment() -> dict[str, str]:
    """This process's environment without git's own variables, with those that keep it from acting."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    return kept | {
        "GIT_OPTIONAL_LOCKS": "0",  # never refresh the user's index
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_NO_LAZY_FETCH": "1",  # a partial clone must not reach for its remote
        "GIT_ALLOW_PROTOCOL": "none",  # the same for versions that don't know the variable above
        "GIT_NO_REPLACE_OBJECTS": "1",
        "LC_ALL": "C",
    }


def work_tree(folder: Path) -> WorkTree | None:
    """The working tree that a folder lies in; None where there is none, or no git."""
    try:
        out = run(
            folder, "rev-parse", "--path-format=absolute", "--is-inside-work-tree", "--show-cdup", "--git-common-dir"
        )
    except GitError:
        return None
    inside, cdup, common = out.split(b"\n", 2)
    if inside != b"true":
        return None
    return WorkTree(Path(os.fsdecode(common.removesuffix(b"\n"))), above=bool(cdup))


def head(folder: Path) -> str | None:
    """The commit that is checked out; None before the first one."""
    try:
        return run(folder, "rev-parse", "--quiet", "--verify", "HEAD^{commit}").decode().strip() or None
    except GitError:
        return None


def entries(folder: Path) -> list[Entry]:
    """Tracked paths and untracked ones that are not ignored, below a folder; raises GitError.

    A tracked path may be missing on disk; an untracked nested repository is one path that ends in `/`.
    """
    out = run(folder, "ls-files", "-z", "-t", "--stage", "--cached", "--others", "--exclude-standard")
    found: dict[str, int] = {}
    for line in os.fsdecode(out).split("\0"):
        if line.startswith("? "):
            found[line[2:]] = 0
        elif line:
            details, _, path = line.partition("\t")
            found[path] = int(details[2:8], 8)
    return [Entry(path, mode) for path, mode in found.items()]


def ignored(folder: Path) -> list[str]:
    """Ignored untracked paths below a folder; a folder with nothing else in it is one path that ends in `/`."""
    out = run(folder, "ls-files", "-z", "--others", "--ignored", "--exclude-standard", "--directory")
    return [path for path in os.fsdecode(out).split("\0") if path]


def changed_paths(folder: Path, *, commits: int) -> list[tuple[int, list[str]]]:
    """The last commits that touched a folder, newest first: each with its time and paths relative to it.

    Merges are left out. Raises GitError.
    """
    form = "--format=%x00%x00%ct"
    options = ("--no-merges", "--no-renames", "--no-ext-diff", "--no-textconv", "--ignore-submodules=all")
    out = run(folder, "log", f"--max-count={commits}", form, "-z", "--name-only", "--relative", *options, "--", ".")
    history: list[tuple[int, list[str]]] = []
    before = ""
    for token in os.fsdecode(out).split("\0"):
        if token and not before:
            history.append((int(token), []))
        elif token:
            history[-1][1].append(token.removeprefix("\n") if len(history[-1][1]) == 0 else token)
        before = token
    return history
