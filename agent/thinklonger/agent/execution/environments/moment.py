"""What the history says about the base commit, its day and version: asked of git so that no code is run."""

import os
import re
import subprocess
from datetime import UTC, datetime
from pathlib import Path

SECONDS = 20.0
VERSION = re.compile(r"(\d+(?:[._]\d+)+(?:(?:a|b|rc)\d+)?)")
EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
OPTIONS = (
    *("--no-pager", "-c", "core.fsmonitor=false", "-c", f"core.hooksPath={os.devnull}"),
    *("-c", "log.showSignature=false", "-c", "safe.directory=*"),
)


def moment_of(root: Path) -> datetime | None:
    """The date of the commit that is checked out, to the day; None where git knows of none."""
    said = ask(root, "log", "-1", "--format=%ct", "HEAD")
    if not said.isdigit():
        return None
    when = datetime.fromtimestamp(min(int(said), 2**40), UTC)
    return when.replace(hour=0, minute=0, second=0) if when >= EARLIEST else None


def version_of(root: Path) -> str:
    """The version that the latest tag before the commit names; empty where there is none."""
    named = VERSION.search(ask(root, "describe", "--tags", "--abbrev=0", "HEAD"))
    return named[1].replace("_", ".") if named else ""


def ask(root: Path, *words: str) -> str:
    """What git answers; empty where it fails or is not there."""
    from shutil import which  # noqa: PLC0415 - only needed here, and not cheap

    git = which("git")
    if git is None:
        return ""
    command = (git, *OPTIONS, "-C", str(root), *words)
    environment = {
        "PATH": os.path.dirname(git),  # noqa: PTH120 - as it is
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_NO_LAZY_FETCH": "1",  # a partial clone must not reach for its remote, which may be a program
        "GIT_ALLOW_PROTOCOL": "none",  # the same for versions that don't know the variable above
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_CONFIG_NOSYSTEM": "1",
        "LC_ALL": "C",
    }
    try:
        done = subprocess.run(command, capture_output=True, check=False, timeout=SECONDS, env=environment)  # noqa: S603
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.decode("utf-8", "replace").strip() if done.returncode == 0 else ""
