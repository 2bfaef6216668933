"""When a repository's base commit was made, asked of the host's git so that nothing in the repository can run code."""

import os
import subprocess
from datetime import UTC, datetime
from pathlib import Path

SECONDS = 20.0
EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
OPTIONS = (
    *("--no-pager", "-c", "core.fsmonitor=false", "-c", f"core.hooksPath={os.devnull}"),
    *("-c", "log.showSignature=false", "-c", "safe.directory=*"),
)


def moment_of(root: Path) -> datetime | None:
    """The date of the commit that is checked out, to the day; None where git knows of none."""
    from shutil import which  # noqa: PLC0415 - only needed here, and not cheap

    git = which("git")
    if git is None:
        return None
    command = (git, *OPTIONS, "-C", str(root), "log", "-1", "--format=%ct", "HEAD")
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
        return None
    said = done.stdout.strip()
    if done.returncode != 0 or not said.isdigit():
        return None
    when = datetime.fromtimestamp(min(int(said), 2**40), UTC)
    return when.replace(hour=0, minute=0, second=0) if when >= EARLIEST else None
