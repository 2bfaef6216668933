"""One child process in a group of its own: fed, read with a cap, timed, and gone at the end whatever happens."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from thinklonger.agent.sandbox.sealed import sealed
from thinklonger.agent.types import CommandResult, Ending, Limits

CHUNK = 1 << 16
GRACE_SECONDS = 5.0
"""How long the output may stay open after all that `Spawn.on_exit` could find has ended."""


@dataclass(frozen=True, slots=True)
class Spawn:
    """What to start: `fds` are inherited under their own numbers.

    `on_start` learns the process group's id; `on_exit` is called when the process has ended and its group was killed,
    to end what else may hold its output open.
    """

    argv: Sequence[str]
    env: Mapping[str, str]
    cwd: Path | None = None
    stdin: bytes = b""
    fds: tuple[int, ...] = ()
    on_start: Callable[[int], None] | None = None
    on_exit: Callable[[], None] | None = None


@dataclass(frozen=True, slots=True)
class Finished:
    """How it ended. `returncode` is as in `subprocess` (negative: killed by that signal)."""

    ending: Ending
    returncode: int
    output: bytes
    seconds: float

    def result(self, artifacts: Mapping[str, bytes]) -> CommandResult:
        """What the port promises: what we stopped has no exit code, a death by signal n is EXITED with 128 + n."""
        code = self.returncode if self.returncode >= 0 else 128 - self.returncode
        stopped = self.ending in (Ending.TIMED_OUT, Ending.OUTPUT_LIMIT)
        return CommandResult(self.ending, None if stopped else code, self.output, self.seconds, artifacts)


async def start(spawn: Spawn, *, stdin: int, stdout: int, stderr: int) -> asyncio.subprocess.Process:
    """Start it as the leader of a new session and process group; a cancellation can't leave it half started."""
    starting = asyncio.ensure_future(
        asyncio.create_subprocess_exec(
            *spawn.argv,
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            env=dict(spawn.env),
            cwd=spawn.cwd,
            pass_fds=spawn.fds,
            start_new_session=True,
        )
    )
    try:
        return await asyncio.shield(starting)
    except asyncio.CancelledError:
        with suppress(OSError):
            await end(await starting)
        raise


async def end(process: asyncio.subprocess.Process) -> None:
    """Kill the process and its group, and wait until the process is reaped, also while being cancelled."""
    kill_group(process.pid)
    waiting = asyncio.ensure_future(process.wait())
    try:
        await asyncio.shield(waiting)
    except asyncio.CancelledError:
        await asyncio.wait([waiting])
        raise


def kill_group(pid: int) -> None:
    """SIGKILL to everything in the group that `pid` led; nothing happens if all are gone."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


async def supervise(spawn: Spawn, limits: Limits, on_output: Callable[[bytes], None] | None = None) -> Finished:
    """Run to the end, within `wall_seconds` and `output_bytes` (stdout and stderr together).

    Raises OSError where the program can't be started. However this returns or raises, cancellation included, the
    process group has been killed.
    """
    started = time.monotonic()
    output = _Output(limits.output_bytes, on_output)
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb", 0) as pipe:
        try:
            with sealed(spawn.stdin) as stdin:
                process = await start(spawn, stdin=stdin, stdout=writing, stderr=writing)
        finally:
            os.close(writing)
        try:
            if spawn.on_start is not None:
                spawn.on_start(process.pid)
            async with _reading(pipe, output) as reader:
                ending = await _follow(process, reader, limits.wall_seconds)
                if ending is Ending.EXITED:
                    ending = await _finish(process, reader, spawn.on_exit)
        finally:
            await end(process)
    return Finished(ending, process.returncode or 0, output.bytes(), time.monotonic() - started)


@dataclass(slots=True)
class _Output:
    """What was printed so far, at most `cap` bytes of it."""

    cap: int
    on_output: Callable[[bytes], None] | None
    chunks: list[bytes] | None = None
    size: int = 0

    def add(self, chunk: bytes) -> bool:
        """Take a chunk; False where it no longer fits whole."""
        fits = chunk[: self.cap - self.size]
        if fits:
            if self.chunks is None:
                self.chunks = []
            self.chunks.append(fits)
            self.size += len(fits)
            if self.on_output is not None:
                self.on_output(fits)
        return len(fits) == len(chunk)

    def bytes(self) -> bytes:
        """All of it."""
        return b"".join(self.chunks or ())


@asynccontextmanager
async def _reading(pipe: IO[bytes], output: _Output) -> AsyncGenerator[asyncio.Task[bool]]:
    """A task that reads the pipe to its end (True) or to the cap (False); stopped with the context."""
    loop = asyncio.get_running_loop()
    stream = asyncio.StreamReader(limit=CHUNK)
    transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(stream), pipe)
    reader = asyncio.create_task(_read(stream, output))
    try:
        yield reader
    finally:
        reader.cancel()
        transport.close()


async def _follow(process: asyncio.subprocess.Process, reader: asyncio.Task[bool], wall_seconds: float) -> Ending:
    """Wait until the process has ended, the cap is reached or the time is up."""
    waiter = asyncio.ensure_future(process.wait())
    try:
        async with asyncio.timeout(wall_seconds):
            await asyncio.wait([reader, waiter], return_when=asyncio.FIRST_COMPLETED)
            if reader.done() and not reader.result():
                return Ending.OUTPUT_LIMIT
            await waiter
    except TimeoutError:
        return Ending.TIMED_OUT
    finally:
        waiter.cancel()
    return Ending.EXITED


async def _finish(
    process: asyncio.subprocess.Process, reader: asyncio.Task[bool], on_exit: Callable[[], None] | None
) -> Ending:
    """Read what the ended process had still written, once nobody else can hold its output open."""
    kill_group(process.pid)
    if on_exit is not None:
        on_exit()
    done, _ = await asyncio.wait([reader], timeout=GRACE_SECONDS)
    return Ending.OUTPUT_LIMIT if done and not reader.result() else Ending.EXITED


async def _read(stream: asyncio.StreamReader, output: _Output) -> bool:
    """Read to the end; False where the cap was passed."""
    while chunk := await stream.read(CHUNK):
        if not output.add(chunk):
            return False
    return True
