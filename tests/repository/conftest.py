"""Opens repositories; lets this folder's tests import their helpers."""

import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from thinklonger.agent.repository import Repository, open_repository
from thinklonger.agent.types import Layer

sys.path.insert(0, str(Path(__file__).parent))

from repository_trees import Opener


@pytest.fixture
async def opened(tmp_path: Path) -> AsyncIterator[Opener]:
    """Opens repositories with one cache, and closes them."""
    async with AsyncExitStack() as stack:

        async def opener(root: Path, *, cache: Path | None = None, overlay: Layer | None = None) -> Repository:
            repository = await open_repository(root, cache=cache or tmp_path / "cache", overlay=overlay)
            stack.push_async_callback(repository.close)
            return repository

        yield opener
