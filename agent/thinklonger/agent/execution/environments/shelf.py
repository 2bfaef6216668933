"""Built environments on disk: found again by what decides about them, built by one process at a time, not for ever."""

import asyncio
import fcntl
import hashlib
import os
import shutil
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
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


@asynccontextmanager
async def claimed(folder: Path) -> AsyncGenerator[None]:
    """Hold a folder for oneself; another process that builds the same waits."""
    folder.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    lock = os.open(folder.with_suffix(".lock"), os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                await asyncio.sleep(WAIT_SECONDS)
            else:
                break
        yield
    finally:
        os.close(lock)


def empty(folder: Path) -> None:
    """Make the folder anew."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)


def forget_old(shelf: Path, keep: Path) -> None:
    """Remove the environments that were not used for longest, and what killed builds left."""
    with suppress(OSError):
        folders = [path for path in shelf.iterdir() if path.is_dir() and path != keep]
        whole = sorted(
            (path for path in folders if (path / "recipe.json").exists()), key=lambda path: path.stat().st_mtime
        )
        left = [path for path in folders if path not in whole and path.stat().st_mtime < time.time() - 86400]
        for path in (*whole[: max(0, len(whole) - KEPT + 1)], *left):
            shutil.rmtree(path, ignore_errors=True)
            path.with_suffix(".lock").unlink(missing_ok=True)
