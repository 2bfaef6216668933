"""Opening a repository: list its files, verify each against the cache, index what changed."""

from pathlib import Path

from thinklonger.agent.repository.view import Repository
from thinklonger.agent.types import Layer


async def open_repository(root: Path, *, cache: Path, overlay: Layer | None = None) -> Repository:
    """Index the repository below `root` and hand out its view; close it when done.

    `cache` is the folder for indexes (shared by all repositories; made if missing; unusable is a problem, not an
    error). `overlay` is text that editors hold and the disk does not. Cancelling stops the indexing at once.

    Raises:
        RepositoryError: no such folder, not a folder, not readable, or no source file in it.
    """
    raise NotImplementedError
