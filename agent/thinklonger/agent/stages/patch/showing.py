"""The code that a model is asked to patch, as it is shown: the places that were settled on and what is around them."""

from collections.abc import Sequence
from pathlib import PurePosixPath

from thinklonger.agent.errors import RepositoryError
from thinklonger.agent.prompts import excerpt
from thinklonger.agent.protocols import Branch, RepositoryView, SourceTree
from thinklonger.agent.types import Location

SMALL_FILE = 250  # lines up to which a file is shown whole
CONTEXT = 12  # lines shown above and below a place
NEAR = 8  # places with at most so many lines between them are shown as one


def shown_places(parent: Branch, *, tree: SourceTree, repository: RepositoryView) -> tuple[str, ...]:
    """The code of a branch's locations, file by file, the most suspicious first; else what its files look like.

    Lines are shown as they are, without numbers, so that they can be copied into a search text.
    """
    places: dict[PurePosixPath, list[Location]] = {}
    for location in parent.locations:
        places.setdefault(location.path, []).append(location)
    shown = [text for path, found in places.items() for text in _of_file(path, found, tree)]
    if shown:
        return tuple(shown)
    return tuple(
        excerpt(path, whole if _small(whole) else repository.skeleton(path), about="" if _small(whole) else "outline")
        for path in parent.files
        if (whole := _text(path, tree)) is not None
    )


def _of_file(path: PurePosixPath, locations: Sequence[Location], tree: SourceTree) -> list[str]:
    """A file whole where it is small, else its imports and what is around each place."""
    text = _text(path, tree)
    if text is None:
        return []
    if _small(text):
        return [excerpt(path, text)]
    lines = text.split("\n")
    ranges = [(max(1, at.start_line - CONTEXT), min(len(lines), at.end_line + CONTEXT)) for at in locations]
    head = _head(lines)
    return [
        excerpt(path, "\n".join(lines[start - 1 : end]), about=f"lines {start}-{end}")
        for start, end in _joined([*([(1, head)] if head else []), *ranges])
    ]


def _head(lines: Sequence[str]) -> int:
    """The last line of the imports at a file's beginning; 0 where there are none."""
    imports = [
        number
        for number, line in enumerate(lines[: 4 * CONTEXT], start=1)
        if line.startswith(("import ", "from ")) and not line.endswith("(")
    ]
    return max(imports, default=0)


def _joined(ranges: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """The ranges in the file's order, those that touch or nearly do as one."""
    joined: list[tuple[int, int]] = []
    for start, end in sorted(ranges):
        if joined and start - joined[-1][1] <= NEAR:
            joined[-1] = (joined[-1][0], max(joined[-1][1], end))
        else:
            joined.append((start, end))
    return joined


def _small(text: str) -> bool:
    return text.count("\n") <= SMALL_FILE


def _text(path: PurePosixPath, tree: SourceTree) -> str | None:
    try:
        state = tree.read(path)
    except RepositoryError:
        return None
    return None if state is None else state.content.decode("utf-8", "replace").replace("\r\n", "\n")
