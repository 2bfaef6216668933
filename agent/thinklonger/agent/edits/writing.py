"""Changes written to the user's tree, all or nothing, after they have said accept."""

from pathlib import Path

from thinklonger.agent.types import Changes


def write_changes(changes: Changes, root: Path) -> None:
    """Write the changes below `root`; raises EditError with the tree as it was where any of it can't be done.

    Refused when a file is no longer what `before` says or a path leads through a symbolic link. Each file is
    replaced atomically and keeps its mode; untouched files keep everything.
    """
    raise NotImplementedError
