"""Files of which only a pointer is here: git-lfs has not fetched their content, or a submodule is empty."""

from collections.abc import Collection
from pathlib import Path, PurePosixPath

from thinklonger.agent.types import Message

BEGINNING = b"version https://git-lfs.github.com/spec/"
LARGEST = 1024
"""A pointer is a few lines; a larger file is none."""
SHOWN = 3


def missing_contents(root: Path, files: Collection[PurePosixPath]) -> tuple[Message, ...]:
    """What a person should know about content that tests will miss; looked for only where git says there may be any."""
    found: list[Message] = []
    if any("lfs" in _text(root / path) for path in files if path.name == ".gitattributes"):
        pointers = sorted(path for path in files if _is_pointer(root / path))
        if pointers:
            names = ", ".join(map(str, pointers[:SHOWN]))
            found.append(Message("pipeline.lfs-pointers", {"count": len(pointers), "files": names}))
    empty = sorted(path for path in _submodules(root) if _is_empty(root / path))
    if empty:
        names = ", ".join(map(str, empty[:SHOWN]))
        found.append(Message("pipeline.empty-submodules", {"count": len(empty), "folders": names}))
    return tuple(found)


def _text(place: Path) -> str:
    try:
        return place.read_text("utf-8", "replace")
    except OSError:
        return ""


def _is_pointer(place: Path) -> bool:
    """Whether a pointer stands in place of a file."""
    try:
        if place.is_symlink() or place.stat().st_size > LARGEST:
            return False
        with place.open("rb") as file:
            return file.read(len(BEGINNING)) == BEGINNING
    except OSError:
        return False


def _submodules(root: Path) -> list[PurePosixPath]:
    """The folders that `.gitmodules` names, inside the repository."""
    lines = (line.strip() for line in _text(root / ".gitmodules").splitlines())
    values = (line.partition("=")[2].strip() for line in lines if line.partition("=")[0].strip() == "path")
    paths = (PurePosixPath(value) for value in values if value)
    return [path for path in paths if not path.is_absolute() and ".." not in path.parts]


def _is_empty(folder: Path) -> bool:
    try:
        return folder.is_dir() and not any(entry.name != ".git" for entry in folder.iterdir())
    except OSError:
        return False
