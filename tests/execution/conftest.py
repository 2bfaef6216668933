"""Small repositories written by a test, opened in a sandbox and proved to run."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path, PurePosixPath
from textwrap import dedent
from typing import Protocol

import pytest

from thinklonger.agent.config import SandboxChoice
from thinklonger.agent.errors import SandboxError
from thinklonger.agent.execution import Harness, find_interpreter, prove
from thinklonger.agent.protocols import Sandbox
from thinklonger.agent.sandbox import select_sandbox
from thinklonger.agent.types import Limits

ASIDE = {"__pycache__", ".venv", "venv", "env"}


class Bench(Protocol):
    """Opens a repository made of these files, and proves that its tests run."""

    def __call__(
        self,
        files: Mapping[str, str],
        command: str | None = None,
        *,
        named: tuple[str, ...] = (),
        kind: SandboxChoice = SandboxChoice.NONE,
    ) -> AbstractAsyncContextManager[Harness]:
        """The proved harness, while the context lasts."""
        ...


def write(root: Path, files: Mapping[str, str]) -> None:
    """Write the files below the root."""
    for name, text in files.items():
        place = root / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(dedent(text), "utf-8")


def tracked(root: Path) -> list[PurePosixPath]:
    """The files that would be in the repository."""
    found = [PurePosixPath(path.relative_to(root)) for path in root.rglob("*") if path.is_file()]
    return [path for path in found if ASIDE.isdisjoint(path.parts)]


async def chosen(kind: SandboxChoice) -> Sandbox:
    """The sandbox, or a skip where this machine has none of the kind."""
    try:
        return await select_sandbox(kind)
    except SandboxError as cause:
        pytest.skip(str(cause))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """An empty folder for a repository, with a name that needs quoting."""
    folder = tmp_path / "a repository 仓库"
    folder.mkdir()
    return folder


@pytest.fixture
def bench(root: Path) -> Bench:
    """See Bench."""

    @asynccontextmanager
    async def opened(
        files: Mapping[str, str],
        command: str | None = None,
        *,
        named: tuple[str, ...] = (),
        kind: SandboxChoice = SandboxChoice.NONE,
    ) -> AsyncIterator[Harness]:
        write(root, files)
        sandbox = await chosen(kind)
        interpreter = find_interpreter(root)
        async with sandbox.open(root, tracked(root), readable=interpreter.readable) as session:
            yield await prove(
                session, interpreter, test_command=command, tests_named=named, limits=Limits(wall_seconds=60)
            )

    return opened
