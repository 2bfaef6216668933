"""A process that outlives a killed launcher just long enough to remove what it left: see `watcher.sh`."""

import asyncio
import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from importlib.resources import files
from pathlib import Path

from thinklonger.agent.sandbox.folders import PrivateFolder, sweep
from thinklonger.agent.sandbox.process import Spawn, start
from thinklonger.agent.sandbox.surroundings import SYSTEM_PATH

HURRY_SECONDS = 0.5
"""How long a cancelled task waits for the clean-up; the watcher finishes it alone."""


@asynccontextmanager
async def watched_folder() -> AsyncGenerator[tuple[Path, "Watcher"]]:
    """A private folder, and the watcher that removes it at the end or when we are killed. Sweeps first."""
    await asyncio.to_thread(sweep)
    folder = PrivateFolder()
    try:
        watcher = await Watcher.start(folder.path)
    except BaseException:
        folder.remove()
        raise
    try:
        yield folder.path, watcher
    finally:
        try:
            await watcher.close()
        finally:
            folder.release()


class Watcher:
    """Removes `folder`, and kills the process groups told to it, when its pipe to us closes."""

    def __init__(self, process: asyncio.subprocess.Process, pipe: int) -> None:
        """Take over a running watcher and our end of the pipe to it."""
        self._process = process
        self._pipe = pipe

    @classmethod
    async def start(cls, folder: Path) -> "Watcher":
        """Start one; raises OSError where there is no `sh`."""
        script = files("thinklonger.agent.sandbox").joinpath("watcher.sh").read_text("utf-8")
        reading, writing = os.pipe()
        null = os.open(os.devnull, os.O_RDWR)
        try:
            spawn = Spawn(("/bin/sh", "-c", script, "watcher", str(folder)), env={"PATH": SYSTEM_PATH}, cwd=Path("/"))
            process = await start(spawn, stdin=reading, stdout=null, stderr=null)
        except BaseException:
            os.close(writing)
            raise
        finally:
            os.close(reading)
            os.close(null)
        return cls(process, writing)

    def tell(self, line: str) -> None:
        """Say one line; a watcher that is gone is not missed before the end."""
        with suppress(BrokenPipeError):
            os.write(self._pipe, f"{line}\n".encode())

    async def close(self) -> None:
        """Let it clean up, and wait for that; not for long where the task is being cancelled."""
        os.close(self._pipe)
        task = asyncio.current_task()
        hurry = task is not None and task.cancelling() > 0
        waiting = asyncio.ensure_future(self._process.wait())
        try:
            await asyncio.wait([waiting], timeout=HURRY_SECONDS if hurry else None)
        finally:
            waiting.cancel()
