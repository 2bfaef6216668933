"""Which Pythons this machine has, found by reading folders only, and which of them a project is tested with."""

import re
from collections.abc import Iterable
from datetime import date
from pathlib import Path

from thinklonger.agent.execution.environments.nouns import Needs, Python, Version

OLDEST: Version = (3, 8)
"""What the programs that run tests inside need."""
RELEASED = {
    (3, 8): date(2019, 10, 14),
    (3, 9): date(2020, 10, 5),
    (3, 10): date(2021, 10, 4),
    (3, 11): date(2022, 10, 24),
    (3, 12): date(2023, 10, 2),
    (3, 13): date(2024, 10, 7),
    (3, 14): date(2025, 10, 7),
}
SETTLING_DAYS = 270
"""How long after a Python's release projects and what they need can be taken to work with it."""
NAME = re.compile(r"python(3)\.(\d+)$")
CLAUSE = re.compile(r"(===|==|!=|~=|<=|>=|<|>|\^|~)?\s*(\d+(?:\.(?:\d+|\*))*)")


def find_pythons(home: Path | None = None) -> tuple[Python, ...]:
    """The Pythons from 3.8 on, oldest first, one for each minor version; the system's own where there are several."""
    house = home or Path.home()
    folders = [
        Path("/usr/bin"),
        Path("/usr/local/bin"),
        *sorted(Path("/opt").glob("python*/bin")),
        *sorted(house.glob(".pyenv/versions/3.*/bin")),
        *sorted(house.glob(".local/share/uv/python/cpython-3.*/bin")),
        *sorted(house.glob(".asdf/installs/python/3.*/bin")),
        *sorted(house.glob(".local/share/mise/installs/python/3.*/bin")),
        *sorted(house.glob(".local/share/pdm/python/cpython*/bin")),
    ]
    found: dict[Version, Python] = {}
    for folder in folders:
        for executable in executables(folder):
            match = NAME.search(executable.name)
            if match is not None and (version := (int(match[1]), int(match[2]))) >= OLDEST:
                found.setdefault(version, Python(executable, version))
    return tuple(found[version] for version in sorted(found))


def executables(folder: Path) -> list[Path]:
    """The `python3.N` of a folder that are whole: their standard library is there, and it can make environments."""
    try:
        names = sorted(path for path in folder.iterdir() if NAME.search(path.name))
    except OSError:
        return []
    return [path for path in names if whole(path)]


def whole(executable: Path) -> bool:
    """Whether the installation of an executable is there."""
    try:
        real = executable.resolve(strict=True)
    except (OSError, RuntimeError):
        return False
    return (real.parent.parent / "lib" / executable.name / "os.py").is_file()


def choose_python(pythons: Iterable[Python], needs: Needs, day: date) -> Python | None:
    """The Python that the project's authors most likely tested with on that day; None where none is allowed.

    Of those that its metadata allows: the newest that it names and that had settled by then; else the newest that had
    settled; else the oldest.
    """
    allowed = [python for python in pythons if allows(needs.requires_python, python.version)]
    settled = [python for python in allowed if (day - RELEASED.get(python.version, day)).days >= SETTLING_DAYS]
    named = [python for python in allowed if python.version in needs.pythons]
    both = [python for python in named if python in settled]
    for group in (both, named[:1], settled):
        if group:
            return group[-1]
    return allowed[0] if allowed else None


def allows(specifier: str, version: Version) -> bool:
    """Whether a `requires-python` allows a minor version; alternatives (Poetry's `||`) need one that does."""
    return any(
        all(holds(match[1] or "==", match[2], version) for match in CLAUSE.finditer(part))
        for part in specifier.split("||")
    )


def holds(sign: str, text: str, version: Version) -> bool:
    """Whether one clause allows some release of a minor version."""
    numbers = [int(part) for part in text.split(".") if part.isdigit()]
    bound = (numbers[0], numbers[1] if len(numbers) > 1 else 0)
    precise = len(numbers) > len(bound)
    same = version == bound if len(numbers) > 1 else version[0] == bound[0]
    table = {
        ">=": version >= bound,
        ">": (version > bound and (len(numbers) > 1 or not same)) or (same and precise),
        "<=": version <= bound,
        "<": version < bound or (version == bound and precise and numbers[-1] > 0),
        "^": version[0] == bound[0] and version >= bound,
        "~=": version == bound if precise else version[0] == bound[0] and version >= bound,
        "!=": not same or precise,
    }
    return table.get(sign, same)
