"""Small trees and repositories to open, and what tests ask of them."""

import os
import subprocess
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path, PurePosixPath
from typing import TypeAlias

from thinklonger.agent.repository import Repository

Opener: TypeAlias = Callable[..., Awaitable[Repository]]

CALENDAR = {
    "src/almanac/__init__.py": "from .dates import Day, parse as read\nfrom .moons import *\n",
    "src/almanac/dates.py": (
        '"""Days and how they are written."""\n'
        "import re\n"
        "from . import moons\n"
        "\n"
        "LONGEST_YEAR = 366\n"
        "\n"
        "\n"
        "class Day:\n"
        '    """A day of the calendar."""\n'
        "\n"
        "    @property\n"
        "    def moonPhase(self):\n"
        "        def inner():\n"
        "            return moons.phase(self)\n"
        "\n"
        "        return inner()\n"
        "\n"
        "    class Error(ValueError):\n"
        "        pass\n"
        "\n"
        "\n"
        "def parse(text):\n"
        "    if text:\n"
        "        import almanac.tools as t\n"
        "\n"
        "        return t.clean(text)\n"
        "    return None\n"
    ),
    "src/almanac/moons.py": "def phase(day):\n    return day\n\n\ndef full_moon(day):\n    return phase(day)\n",
    "src/almanac/tools.py": "def clean(text):\n    return text.strip()\n",
    "tests/test_dates.py": (
        "from almanac import Day, full_moon, read\n\n\ndef test_read():\n    assert read(' x ') == 'x'\n"
    ),
    "README.md": "An almanac.\n",
}
"""A project with a `src` layout, a package that passes names on, nested definitions and a conditional import."""


def write(root: Path, files: Mapping[str, str | bytes]) -> Path:
    """Write files below a folder."""
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return root


def git(root: Path, *arguments: str) -> str:
    """Run git as a user with a name and no configuration of their own."""
    settings = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    identity = ("-c", "user.name=Ada", "-c", "user.email=ada@example.org", "-c", "protocol.file.allow=always")
    command = ("git", *identity, *arguments)
    return subprocess.run(
        command, cwd=root, env=os.environ | settings, check=True, capture_output=True, text=True
    ).stdout


def committed(root: Path, files: Mapping[str, str | bytes]) -> Path:
    """A git repository with these files in its only commit."""
    root.mkdir(parents=True, exist_ok=True)
    git(root, "init", "--quiet", "--initial-branch=main")
    write(root, files)
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--message=first")
    return root


def paths(names: Mapping[str, object] | list[str]) -> list[PurePosixPath]:
    """Names as sorted paths."""
    return sorted(map(PurePosixPath, names))


def keys(repository: Repository) -> list[tuple[str | None, str]]:
    """What was odd: (path, catalogue key without the room), sorted."""
    found = [(str(path) if path else None, message.key.partition(".")[2]) for path, message in repository.problems]
    return sorted(found, key=str)
