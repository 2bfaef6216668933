"""Finds the Python that can run a repository's tests, without running anything."""

import os
import re
import site
import sys
from dataclasses import replace
from pathlib import Path

from thinklonger.agent.execution.lending import lent_folders, read_settings
from thinklonger.agent.types import Interpreter

FIRST = (".venv", "venv", "env")
QUOTED_PATH = re.compile(r"'(/[^']+)'")
PROVIDED = Path("/usr")
"""What every sandbox shows anyway."""


def find_interpreter(root: Path) -> Interpreter:
    """The Python of a virtual environment in `root` (`.venv`, `venv`, `env`, any folder with pyvenv.cfg), else ours.

    Reads files only: a repository's executable never runs outside a sandbox. Never fails: a broken environment is
    passed over.
    """
    for folder in environments(root):
        found = from_environment(folder, root)
        if found is not None:
            return found
    return current(root)


def environments(root: Path) -> list[Path]:
    """The folders right below `root` that hold a virtual environment, the usual names first."""
    try:
        names = sorted(entry.name for entry in os.scandir(root) if entry.is_dir(follow_symlinks=False))
    except OSError:
        return []
    ordered = [name for name in FIRST if name in names] + [name for name in names if name not in FIRST]
    return [root / name for name in ordered if (root / name / "pyvenv.cfg").is_file()]


def from_environment(folder: Path, root: Path) -> Interpreter | None:
    """The environment's Python, if it is whole: its executable leads to a base installation that is there."""
    executable = folder / "bin" / "python"
    base = base_prefix(executable, read_settings(folder / "pyvenv.cfg").get("home", ""))
    if base is None:
        return None
    found = Interpreter(executable=executable, prefix=folder, readable=(), origin=folder.name)
    return replace(found, readable=distinct([folder, *installation(base, root), *lent_folders(found)]))


def from_prefix(folder: Path, root: Path) -> Interpreter | None:
    """The Python of an installation that is whole (a conda environment is one); None for any other folder."""
    executable = folder / "bin" / "python"
    try:
        executable.resolve(strict=True)
    except (OSError, RuntimeError):
        return None
    if not standard_libraries(folder):
        return None
    return Interpreter(executable, folder, distinct(installation(folder, root)), origin=folder.name)


def from_executable(executable: Path, root: Path) -> Interpreter | None:
    """The Python that a person names by its executable or by its environment's folder; None where there is none."""
    named = Path(os.path.abspath(executable))  # noqa: PTH100 - links stay: they lead out of an environment
    folder = named if named.is_dir() else named.parent.parent
    found = from_environment(folder, root) or from_prefix(folder, root)
    if found is not None or not named.is_file():
        return found
    try:
        prefix = named.resolve(strict=True).parent.parent
    except (OSError, RuntimeError):
        return None
    if not standard_libraries(prefix):
        return None
    return Interpreter(named, prefix, distinct(installation(prefix, root)), origin=named.name)


def current(root: Path) -> Interpreter:
    """The Python that runs ThinkLonger; its environment is the user's own, so what it links to is shown as well."""
    prefix = Path(sys.prefix)
    folders = [*installation(prefix, root), *installation(Path(sys.base_prefix), root), *linked(site_folders())]
    folders += [path.parent for path in mapped_libraries()]
    return Interpreter(executable=Path(sys.executable), prefix=prefix, readable=distinct(folders), origin="current")


def base_prefix(executable: Path, home: str) -> Path | None:
    """The installation that an environment's executable belongs to: where its links end, else its `home`."""
    try:
        real = executable.resolve(strict=True)
    except (OSError, RuntimeError):
        return None
    for folder in (real.parent, Path(home)):
        if folder.is_absolute() and folder.name == "bin" and standard_libraries(folder.parent):
            return folder.parent
    return None


def standard_libraries(prefix: Path) -> list[Path]:
    """The standard libraries below an installation's prefix; none where it is no installation."""
    return [path.parent for path in sorted(prefix.glob("lib/python3*/os.py"))]


def installation(prefix: Path, root: Path) -> list[Path]:
    """What to show of an installation: all of it, unless a home or the repository lies inside it.

    A pyvenv.cfg comes from the repository, so it must not be able to open up a person's files.
    """
    if prefix == PROVIDED or PROVIDED in prefix.parents:
        return []
    if not any(place == prefix or prefix in place.parents for place in (Path.home(), root.resolve())):
        return [prefix]
    return [prefix / "bin", *standard_libraries(prefix), *prefix.glob("lib/python3*/site-packages")]


def site_folders() -> list[Path]:
    """The folders of installed packages that this process uses."""
    folders = [Path(entry) for entry in sys.path if Path(entry).name in ("site-packages", "dist-packages")]
    user = site.getusersitepackages() if site.ENABLE_USER_SITE else None
    return [*folders, *([Path(user)] if user and Path(user).is_dir() else [])]


def linked(folders: list[Path]) -> list[Path]:
    """Those folders, and where their `.pth` files and import hooks (both: editable installs) point to."""
    named = [
        Path(text)
        for folder in folders
        for path in (*sorted(folder.glob("*.pth")), *sorted(folder.glob("__editable__*.py")))
        for line in lines_of(path)
        for text in ([line.strip()] if path.suffix == ".pth" else QUOTED_PATH.findall(line))
        if text.startswith("/")
    ]
    return [*folders, *(path for path in named if path.is_dir())]


def lines_of(path: Path) -> list[str]:
    """The lines of a small text file; none where it can't be read."""
    try:
        return path.read_text("utf-8", "replace").splitlines()
    except OSError:
        return []


def mapped_libraries() -> list[Path]:
    """The shared libraries that this process has loaded from outside the system's folders."""
    try:
        lines = Path("/proc/self/maps").read_text("utf-8", "replace").splitlines()
    except OSError:
        return []
    paths = {Path("/" + line.partition("/")[2]) for line in lines if ".so" in line}
    system = (PROVIDED, Path("/lib"), Path("/lib64"))
    return sorted(path for path in paths if not any(folder in path.parents for folder in system))


def distinct(folders: list[Path]) -> tuple[Path, ...]:
    """The folders that exist, none inside another, none that every sandbox shows anyway."""
    kept: list[Path] = []
    for folder in sorted({path for path in folders if path.exists()}, key=lambda path: len(path.parts)):
        if folder in (Path("/"), PROVIDED) or PROVIDED in folder.parents or folder == Path.home():
            continue
        if not any(outer == folder or outer in folder.parents for outer in kept):
            kept.append(folder)
    return tuple(kept)
