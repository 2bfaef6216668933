"""Environments that are there already: in the repository, or where Poetry, PDM, Pipenv, conda, tox and nox keep them.

Found by reading folders and files only; a name in a repository's file can choose among the user's environments, and
never leads anywhere else.
"""

import base64
import hashlib
import os
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path, PurePath

from thinklonger.agent.execution.environments.metadata import table, text
from thinklonger.agent.execution.environments.texts import read_text
from thinklonger.agent.execution.interpreter import environments, from_environment, from_prefix
from thinklonger.agent.types import Interpreter, Message

CONDA = ("miniconda3", "anaconda3", "miniforge3", "mambaforge", "micromamba", ".conda", "miniconda", "anaconda")


def find_at_hand(root: Path, home: Path | None = None) -> Iterator[tuple[Interpreter, Message]]:
    """Whole environments for this repository, the likeliest first, each with where it comes from in words."""
    house = home or Path.home()
    seen: set[Path] = set()
    for tool, folder in (
        *(("venv", folder) for folder in environments(root)),
        *(("PDM", folder) for folder in pdm(root)),
        *(("Poetry", folder) for folder in poetry(root, house)),
        *(("Pipenv", folder) for folder in pipenv(root, house)),
        *(("conda", folder) for folder in conda(root, house)),
        *(("tox", folder) for folder in inner(root / ".tox")),
        *(("nox", folder) for folder in inner(root / ".nox")),
    ):
        if folder in seen:
            continue
        seen.add(folder)
        found = from_environment(folder, root) or from_prefix(folder, root)
        if found is not None:
            yield found, Message("environments.found", {"tool": tool, "folder": str(folder)})


def inner(folder: Path) -> list[Path]:
    """The environments that tox or nox made, those for tests first, newest Python first."""
    try:
        found = [path for path in folder.iterdir() if (path / "pyvenv.cfg").is_file()]
    except OSError:
        return []
    wanted = [path for path in found if re.search(r"py|test|unit", path.name)]
    return sorted(
        wanted, key=lambda path: (-max((int(n) for n in re.findall(r"\d+", path.name)), default=0), path.name)
    )


def pdm(root: Path) -> list[Path]:
    """The environment whose Python PDM has noted for this project."""
    noted = read_text(root.resolve(), ".pdm-python").strip()
    place = PurePath(noted)
    if not place.is_absolute() or ".." in place.parts or place.parent.name != "bin":
        return []
    return [folder for folder in (Path(place.parent.parent),) if (folder / "pyvenv.cfg").is_file()]


def poetry(root: Path, home: Path) -> list[Path]:
    """Poetry's environments for this folder: named after the project and a digest of the folder's path."""
    try:
        document = tomllib.loads(read_text(root.resolve(), "pyproject.toml"))
    except tomllib.TOMLDecodeError:
        return []
    name = text(table(document, "tool", "poetry").get("name")) or text(table(document, "project").get("name"))
    if not name:
        return []
    plain = re.sub(r'[ $`!*@"\\\r\n\t]', "_", name.lower())[:42]
    digest = hashlib.sha256(os.path.normcase(os.path.realpath(root)).encode()).digest()
    mark = base64.urlsafe_b64encode(digest).decode()[:8]
    return sorted(
        (home / ".cache/pypoetry/virtualenvs").glob(f"{glob_safe(plain)}-{glob_safe(mark)}-py3*"), reverse=True
    )


def pipenv(root: Path, home: Path) -> list[Path]:
    """Pipenv's environment for this folder: named after the folder and a digest of its Pipfile's path."""
    if not (root / "Pipfile").is_file():
        return []
    plain = re.sub(r'[ &$`!*@"()\[\]\\\r\n\t]', "_", root.name)[:42]
    digest = hashlib.sha256(str(root / "Pipfile").encode()).digest()[:6]
    mark = base64.urlsafe_b64encode(digest).decode()[:8]
    return [folder for folder in (home / ".local/share/virtualenvs" / f"{plain}-{mark}",) if folder.is_dir()]


def conda(root: Path, home: Path) -> list[Path]:
    """The conda environment that the repository's environment.yml names."""
    content = read_text(root.resolve(), "environment.yml") or read_text(root.resolve(), "environment.yaml")
    named = re.search(r"^name:\s*[\"']?([\w.-]+)[\"']?\s*$", content, re.MULTILINE)
    if named is None or named[1].startswith("."):
        return []
    folders = [home / base / "envs" / named[1] for base in CONDA]
    return [folder for folder in folders if (folder / "conda-meta").is_dir()]


def glob_safe(text: str) -> str:
    """The text as a pattern that matches it alone."""
    return re.sub(r"([*?\[])", r"[\1]", text)
