"""A server that runs as our child: in a process group of its own, ended with us, its lines read as they come."""

import asyncio
import contextlib
import os
import re
import signal
import socket
import sys
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import BinaryIO

from thinklonger.agent.errors import ModelError
from thinklonger.agent.model.serving.command import HOST
from thinklonger.agent.model.serving.watching import Phase, Step, Watch

PATIENCE = 3.0
"""Seconds between asking a server to end and making it."""
SILENCE = 900.0
"""Seconds that a starting server may print nothing: the largest weights from a slow disk print more often."""
LOG_LIMIT = 16 * 1024**2
"""Bytes of its lines that are kept in a file."""
_CHUNK = 65536
_LINE = 4096
_LAUNCHER = """
import ctypes, os, signal, sys
parent, count, *words = sys.argv[1:]
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)
if os.getppid() != int(parent):
    sys.exit(1)
for word in words[: int(count)]:
    name, _, value = word.partition("=")
    os.environ[name] = value
if os.environ.get("THINKLONGER_API_KEY"):
    os.environ.setdefault("VLLM_API_KEY", os.environ["THINKLONGER_API_KEY"])
command = words[int(count):]
os.execvp(command[0], command)
"""
"""Becomes the server, once the kernel has been asked to end it when we end. A key that the user has set is the
server's too; it stands in no command line."""


def check_port(port: int) -> None:
    """Raise ModelError where something listens on the port already."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as cause:
            raise ModelError("serving.port-taken", port=port) from cause


class Server:
    """A server that was started and has not been waited for."""

    def __init__(self, process: asyncio.subprocess.Process, *, port: int, context: int | None, log: BinaryIO) -> None:
        """Take over a child whose output comes through its pipe."""
        self._process = process
        self._port = port
        self._context = context
        self._log = log
        self._written = 0
        self._lines = self._read()
        self.watch = Watch()

    @property
    def pid(self) -> int:
        """Its process id, and its group's."""
        return self._process.pid

    async def steps(self, *, silence: float = SILENCE) -> AsyncGenerator[Step]:
        """Where its start stands, each time that changes; ends when it answers.

        Raises ModelError with what was wrong when it ends before, or prints nothing for `silence` seconds.
        """
        try:
            async with asyncio.timeout(silence) as waiting:
                async for line in self._lines:
                    waiting.reschedule(asyncio.get_running_loop().time() + silence)
                    step = self.watch.follow(line)
                    if step is not None:
                        yield step
                        if step.phase is Phase.READY:
                            return
        except TimeoutError as cause:
            raise ModelError("serving.silent", seconds=round(silence), reason=self.watch.reason()) from cause
        raise await self._failure()

    async def wait(self) -> None:
        """Wait until it ends by itself, and raise ModelError with why; its lines are read meanwhile."""
        async for line in self._lines:
            self.watch.follow(line)
        raise await self._failure()

    async def _failure(self) -> ModelError:
        code = await self._process.wait()
        said = self.watch.failure(code=code, context=self._context, port=self._port)
        return ModelError(said.key, **said.params)

    async def _read(self) -> AsyncGenerator[str]:
        """Its lines as they come; a bar that is redrawn in place counts as a line each time."""
        stream = self._process.stdout
        assert stream is not None  # noqa: S101 (it was started with a pipe)
        rest = ""
        while chunk := await stream.read(_CHUNK):
            if self._written < LOG_LIMIT:
                self._written += self._log.write(chunk)
                self._log.flush()
            *lines, rest = re.split(r"[\r\n]+", rest + chunk.decode("utf-8", "replace"))
            rest = rest[-_LINE:]
            for line in lines:
                yield line
        if rest:
            yield rest


@asynccontextmanager
async def started(
    command: Sequence[str], *, variables: Mapping[str, str], port: int, context: int | None, log: Path
) -> AsyncGenerator[Server]:
    """Start a server; leaving the context ends it and all that it started, within `PATIENCE` seconds and a moment.

    Its lines also go to the file `log`. Raises ModelError where it can't be started.
    """
    words = [f"{name}={value}" for name, value in variables.items()]
    launch = [sys.executable, "-I", "-S", "-c", _LAUNCHER, str(os.getpid()), str(len(words)), *words, *command]
    try:
        log.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        kept = log.open("wb")
    except OSError as cause:
        raise ModelError("serving.no-log", path=str(log), reason=cause.strerror or str(cause)) from cause
    with kept:
        try:
            process = await asyncio.create_subprocess_exec(
                *launch,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                start_new_session=True,
                limit=_CHUNK,
            )
        except OSError as cause:
            raise ModelError("serving.not-started", reason=cause.strerror or str(cause)) from cause
        try:
            yield Server(process, port=port, context=context, log=kept)
        finally:
            await _end(process)


async def _end(process: asyncio.subprocess.Process) -> None:
    """Ask the group to end, then make it; what outlives its leader goes too."""
    _signal(process.pid, signal.SIGTERM)
    with contextlib.suppress(TimeoutError, asyncio.CancelledError):  # a second Ctrl-C only makes it quicker
        await asyncio.wait_for(_ended(process), PATIENCE)
    _signal(process.pid, signal.SIGKILL)
    await process.wait()


async def _ended(process: asyncio.subprocess.Process) -> None:
    """Wait until the leader has ended and nobody holds its output any more."""
    stream = process.stdout
    while stream is not None and await stream.read(_CHUNK):
        pass
    await process.wait()


def _signal(group: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)
