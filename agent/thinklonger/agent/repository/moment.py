"""What the history says about the base commit: its day and its version."""

import re
from datetime import UTC, datetime
from pathlib import Path

from thinklonger.agent.repository.git import GitError, run

VERSION = re.compile(r"(\d+(?:[._]\d+)+(?:(?:a|b|rc)\d+)?)")
EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)


def moment_of(root: Path) -> datetime | None:
    """The date of the commit that is checked out, to the day; None where git knows of none."""
    said = _said(root, "log", "-1", "--format=%ct", "HEAD")
    if not said.isdigit():
        return None
    when = datetime.fromtimestamp(min(int(said), 2**40), UTC)
    return when.replace(hour=0, minute=0, second=0) if when >= EARLIEST else None


def version_of(root: Path) -> str:
    """The version that the latest tag before the commit names; empty where there is none."""
    named = VERSION.search(_said(root, "describe", "--tags", "--abbrev=0", "HEAD"))
    return named[1].replace("_", ".") if named else ""


def _said(root: Path, *words: str) -> str:
    """What git answers; empty where it fails or is not there."""
    try:
        return run(root, *words).decode("utf-8", "replace").strip()
    except GitError:
        return ""
