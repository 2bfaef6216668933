"""What a model is shown of chosen files: their skeletons, or, where there is no room for these, what they define."""

from collections.abc import Sequence
from pathlib import PurePosixPath

from thinklonger.agent.prompts import Count, estimate, excerpt, legible_path
from thinklonger.agent.prompts.budget import cut_middle
from thinklonger.agent.protocols import RepositoryView
from thinklonger.agent.types import SymbolKind

_HEADING = 24
"""Tokens around one excerpt."""
_LEAST = 100
"""Tokens below which a part of an outline says nothing."""


async def shown_files(
    files: Sequence[PurePosixPath], repository: RepositoryView, *, room: int, count: Count
) -> tuple[str, ...]:
    """Excerpts of the files, in their order, with at most `room` tokens together.

    A file has its skeleton where the outlines of all files behind it still fit then, else its outline, or as much of it
    as its fair part of the room; files that there is no room for at all are named.
    """
    skeletons = [repository.skeleton(path) for path in files]
    outlines = [outline(path, repository) for path in files]
    scale = 1.0
    whole = sum(map(_tokens, skeletons))
    if whole > room:
        scale = min(1.0, (await count("\n".join(skeletons)) + _HEADING * len(files)) / whole)
    left = room / max(scale, 0.01)
    behind = sum(map(_tokens, outlines))
    shown: list[str] = []
    for number, path in enumerate(files):
        behind -= _tokens(outlines[number])
        fair = min(left, max(left / (len(files) - number), _LEAST + _HEADING))
        if _tokens(skeletons[number]) <= left - behind:
            text, about = skeletons[number], ""
        elif _tokens(outlines[number]) <= max(fair, left - behind):
            text, about = outlines[number], "outline"
        elif fair >= _LEAST + _HEADING or not shown:
            text, about = cut_middle(outlines[number], max(_LEAST, fair - _HEADING)), "outline"
        else:
            missing = ", ".join(map(legible_path, files[number:]))
            return (*shown, f"There was no room for {missing}.")
        shown.append(excerpt(path, text, about=about))
        left -= _tokens(text)
    return tuple(shown)


def outline(path: PurePosixPath, repository: RepositoryView) -> str:
    """The names of what a file defines: its functions in a line, each class with its members in one."""
    functions: list[str] = []
    classes: dict[str, list[str]] = {}
    for symbol in repository.symbols(path):
        around, _, bare = symbol.name.rpartition(".")
        if symbol.kind is SymbolKind.CLASS:
            classes[symbol.name] = []
        elif around in classes:
            classes[around].append(bare)
        elif not around:
            functions.append(bare)
    lines = [f"functions: {', '.join(functions)}"] if functions else []
    lines += [f"class {name}: {', '.join(members)}" for name, members in classes.items()]
    return "\n".join(lines) or "(no functions, no classes)"


def _tokens(text: str) -> int:
    """An excerpt's estimated tokens."""
    return estimate(text) + _HEADING
