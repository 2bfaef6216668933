"""Built environments on disk: found again by what decides about them, built by one process at a time, not for ever."""

import asyncio
import fcntl
import hashlib
import os
import shutil
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import msgspec

from thinklonger.agent.execution.environments.building import FORMAT
from thinklonger.agent.execution.environments.nouns import Needs, Python, Recipe

KEPT = 16
"""Environments that are kept at most; those not used for longest go first."""
WAIT_SECONDS = 0.2


def key_of(root: Path, needs: Needs, python: Python, moment: datetime | None, index: str) -> str:
    """What decides about an environment: the files that it is made from, Python, day, registry, place."""
    digest = hashlib.sha256()
    real = str(python.executable.resolve())
    day = moment.date().isoformat() if moment else ""
    for part in (str(FORMAT), str(root), real, day, index, *needs.imports, *(wanted.text for wanted in needs.wanted)):
        digest.update(part.encode("utf-8", "surrogateescape") + b"\0")
    for path in needs.keyed:
        digest.update(f"{path}\0".encode("utf-8", "surrogateescape"))
        with suppress(OSError):
            digest.update(hashlib.sha256((root / path).read_bytes()).digest())
    return digest.hexdigest()[:32]


def load(folder: Path) -> Recipe | None:
    """The recipe of a whole environment; None where there is none."""
    try:
        recipe = msgspec.json.decode((folder / "recipe.json").read_bytes(), type=Recipe)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return None
    with suppress(OSError):
        os.utime(folder)
    return recipe if recipe.format == FORMAT and (folder / "env" / "bin" / "python").exists() else None


def store(folder: Path, recipe: Recipe) -> None:
    """Put the recipe beside the environment, which makes it whole."""
    fresh = folder / "recipe.json.new"
    fresh.write_bytes(msgspec.json.format(msgspec.json.encode(recipe)))
    fresh.replace(folder / "recipe.json")


@dataclass(slots=True)
class Claim:
    """A lock on a folder: shared by those who use it, held alone by who builds in it; nobody removes it meanwhile."""

    descriptor: int
    alone: bool = False

    async def share(self) -> None:
        """Use the folder, with others."""
        await self._lock(fcntl.LOCK_SH)
        self.alone = False

    async def exclude(self) -> None:
        """Have the folder to oneself; another process that builds in it is waited for."""
        await self._lock(fcntl.LOCK_EX)
        self.alone = True

    async def _lock(self, kind: int) -> None:
        while True:
            try:
                fcntl.flock(self.descriptor, kind | fcntl.LOCK_NB)
            except BlockingIOError:
                await asyncio.sleep(WAIT_SECONDS)
            else:
                return


@asynccontextmanager
async def claim(folder: Path) -> AsyncGenerator[Claim]:
    """A lock on a folder, let go with the context or the process."""
    await asyncio.to_thread(folder.parent.mkdir, mode=0o700, parents=True, exist_ok=True)
    lock = os.open(folder.with_suffix(".lock"), os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        yield Claim(lock)
    finally:
        os.close(lock)


def empty(folder: Path) -> None:
    """Make the folder anew."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)


def forget_old(shelf: Path, keep: Path) -> None:
    """Remove the environments that were not used for longest, and what killed builds left; none that is in use."""
    with suppress(OSError):
        folders = [path for path in shelf.iterdir() if path.is_dir() and path != keep]
        whole = [path for path in folders if (path / "recipe.json").exists()]
        whole.sort(key=lambda path: path.stat().st_mtime)
        old = whole[: max(0, len(whole) - KEPT + 1)]
        for path in (*old, *(path for path in folders if path not in whole)):
            forget(path)


def forget(folder: Path) -> None:
    """Remove an environment, unless somebody builds or uses it. Its lock stays: another may be waiting for it."""
    lock = os.open(folder.with_suffix(".lock"), os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder, ignore_errors=True)
    except BlockingIOError:
        return
    finally:
        os.close(lock)
