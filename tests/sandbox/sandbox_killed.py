"""Kill a launcher with SIGKILL while its sandbox works, and say what it left: `ENGINE SECONDS FOLDER`, answer as JSON.

We become the reaper of all orphans below us, so nothing that the launcher started can hide.
"""

import asyncio
import ctypes
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path, PurePosixPath

from sandbox_attempts import mounts
from sandbox_contract import ENGINES, plant, shell

from thinklonger.agent.protocols import SandboxSession
from thinklonger.agent.sandbox.folders import sweep
from thinklonger.agent.sandbox.groups import groups

PR_SET_CHILD_SUBREAPER = 36
PATIENCE_SECONDS = 5.0


async def launch(engine: str, ground: Path) -> None:
    """Open session after session, with commands that never end; say so with each that runs."""
    root, files = plant(ground, {f"file{number}": b"x" * 1000 for number in range(60)})
    while True:
        async with ENGINES[engine]().open(root, files, readable=[]) as session:
            begun = asyncio.Event()
            tasks = [asyncio.ensure_future(work(session, number, begun)) for number in range(4)]
            await begun.wait()
            await asyncio.sleep(0.2)
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)


async def work(session: SandboxSession, number: int, begun: asyncio.Event) -> None:
    """One layer with a command that ends only for number 3, and leaves a child behind then."""

    def note(_: bytes) -> None:
        print("up", flush=True)  # noqa: T201 - the sign
        begun.set()

    async with session.layer({PurePosixPath("file1"): None}) as layer:
        text = f'trap "" TERM; sleep 1000 & echo up; if [ {number} = 3 ]; then exit; fi; sleep 1000'
        await layer.run(shell(text), on_output=note)


def kill(engine: str, seconds: float, ground: Path) -> dict[str, object]:
    """Start a launcher, kill it after `seconds` (0: when its first command runs), wait for what it started to go."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    (ground / "tmp").mkdir()
    before = mounts(ground)
    env = {**os.environ, "TMPDIR": str(ground / "tmp")}
    with subprocess.Popen(
        [sys.executable, __file__, "launch", engine, str(ground)], env=env, stdout=subprocess.PIPE
    ) as launcher:
        if seconds:
            time.sleep(seconds)
        elif launcher.stdout is not None:
            assert launcher.stdout.readline() == b"up\n"
        launcher.send_signal(signal.SIGKILL)
        launcher.wait()
    killed = time.monotonic()
    orphans = 0
    while time.monotonic() - killed < PATIENCE_SECONDS:
        try:
            orphans += os.waitpid(-1, os.WNOHANG)[0] > 0
        except ChildProcessError:
            break
        time.sleep(0.002)
    seconds = time.monotonic() - killed
    tempfile.tempdir = str(ground / "tmp")
    sweep()  # as the next start does: a launcher killed before its folder had a watcher leaves the folder until then
    if engine == "bubblewrap":
        groups()  # likewise
    return {
        "groups": [str(path) for path in Path("/sys/fs/cgroup").glob(f"*/thinklonger-*-{launcher.pid}-*")],
        "seconds": seconds,
        "orphans": orphans,
        "left": [line for line in Path("/proc/self/task").glob("*/children") if line.read_text().split()]
        and ["processes"],
        "folders": [entry.name for entry in (ground / "tmp").iterdir()],
        "mounts": [line for line in mounts(ground) if line not in before],
    }


if __name__ == "__main__":
    if sys.argv[1] == "launch":
        asyncio.run(launch(sys.argv[2], Path(sys.argv[3])))
    else:
        print(json.dumps(kill(sys.argv[1], float(sys.argv[2]), Path(sys.argv[3]))))  # noqa: T201 - the answer
