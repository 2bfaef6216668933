"""The Docker engine as coroutines: blocking calls in threads, failures attributed, streams taken apart."""

import asyncio
import socket
import struct
import threading
from collections.abc import Callable, Generator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Any, Protocol, TypeVar, cast

from thinklonger.agent.errors import SandboxError, ThinkLongerError, boundary
from thinklonger.agent.sandbox.client import Client

Answer = TypeVar("Answer")

CALL_SECONDS = 60
CALLS_AT_ONCE = 32
HEADER = struct.Struct(">BxxxL")
"""A frame of a stream: which one (1: standard output, 2: standard error) and how many bytes follow."""
STDOUT, STDERR = 1, 2
CHUNK = 1 << 16


class Engine:
    """A connection to the engine that DOCKER_HOST names, or the current Docker context, or the usual socket."""

    def __init__(self, client: "Client") -> None:
        """Take over a client that is connected."""
        self.client = client
        self._pool = ThreadPoolExecutor(CALLS_AT_ONCE, thread_name_prefix="docker")

    @classmethod
    async def connect(cls) -> "Engine":
        """Connect; raises SandboxError where no engine answers."""
        with boundary(SandboxError, "sandbox.no-docker"):
            return cls(await asyncio.to_thread(_connect))

    def submit(self, work: Callable[[Client], Answer]) -> "Future[Answer]":
        """Do blocking work with the client in a thread."""
        return self._pool.submit(work, self.client)

    async def call(self, work: Callable[[Client], Answer]) -> Answer:
        """Do blocking work with the client in a thread and wait for it; a cancelled call still ends, unwatched.

        Raises SandboxError for whatever goes wrong.
        """
        with attributed():
            return await asyncio.wrap_future(self.submit(work))

    def close(self) -> None:
        """Let go of the connection once the calls that still run have ended."""
        self._pool.submit(self.client.close)
        self._pool.shutdown(wait=False)


class attributed:  # noqa: N801 - used as a statement
    """Turns what the client raises into SandboxError: the engine is gone, or it refused something."""

    def __enter__(self) -> None:
        """Nothing to do before."""

    def __exit__(self, kind: type[BaseException] | None, cause: BaseException | None, _: object) -> None:
        """Attribute a failure."""
        if not isinstance(cause, Exception) or isinstance(cause, ThinkLongerError):
            return
        from docker.errors import APIError  # noqa: PLC0415 - loaded already, if anything was raised

        key = "sandbox.docker-failed" if isinstance(cause, APIError) else "sandbox.docker-gone"
        raise SandboxError(key, reason=_reason(cause)) from cause


def _connect() -> "Client":
    """A client whose engine has answered; its API version is the newest that both know."""
    from docker import APIClient  # noqa: PLC0415 - half a second that only this sandbox needs
    from docker.utils import kwargs_from_env  # noqa: PLC0415 - see above

    found = cast("dict[str, object]", kwargs_from_env())
    if "base_url" not in found:
        found.update(_context())
    make = cast("Callable[..., Client]", APIClient)
    client = make(**found, version="auto", timeout=CALL_SECONDS, max_pool_size=CALLS_AT_ONCE)
    client.ping()
    return client


def _context() -> dict[str, object]:
    """The engine of the current `docker context`, where there is one that needs nothing but its address."""
    from docker.context import ContextAPI  # noqa: PLC0415 - see above

    with suppress(Exception):  # a broken context file is docker's own to report; the usual socket is tried then
        host = str(ContextAPI.get_current_context().Host)
        if host.startswith("unix://"):
            return {"base_url": host}
    return {}


def _reason(cause: BaseException) -> str:
    """The cause's own words, the engine's explanation where it gave one."""
    explanation = getattr(cause, "explanation", None)
    return str(explanation or cause).strip()


class Raw(Protocol):
    """A connected socket, whatever it goes over."""

    def recv(self, size: int, /) -> bytes:
        """Up to `size` bytes; none at the end."""
        ...

    def sendall(self, data: bytes, /) -> None:
        """Send all of it."""
        ...

    def close(self) -> None:
        """Close it."""
        ...


class Stream:
    """A process's three streams over one socket of the engine's."""

    def __init__(self, answer: object) -> None:
        """Take the socket out of what the client returned."""
        self._answer = answer  # it would close the socket when it is forgotten
        raw: Any = getattr(answer, "_sock", answer)
        if hasattr(raw, "settimeout"):
            raw.settimeout(None)
        self._raw = cast("Raw", raw)

    def send(self, data: bytes) -> None:
        """Send input; blocks until it is taken."""
        self._raw.sendall(data)

    def frames(self) -> Generator[tuple[int, bytes]]:
        """What comes, in pieces, with the stream that it came from; blocks, until the end or `end`."""
        while header := self._exactly(HEADER.size):
            which, left = HEADER.unpack(header)
            while left:
                data = self._raw.recv(min(left, CHUNK))
                if not data:
                    return
                left -= len(data)
                yield which, data

    def end(self) -> None:
        """Wake whoever reads, and close."""
        with suppress(OSError):
            if isinstance(self._raw, socket.socket):
                self._raw.shutdown(socket.SHUT_RDWR)
        with suppress(OSError):
            self._raw.close()
            close = getattr(self._answer, "close", None)
            if close is not None:
                close()

    def _exactly(self, size: int) -> bytes:
        found = b""
        while len(found) < size:
            data = self._raw.recv(size - len(found))
            if not data:
                return b""
            found += data
        return found


async def listen(stream: Stream, hear: Callable[[int, bytes], bool]) -> None:
    """Have `hear` called, here, with each frame, read by a thread; until the end, or until `hear` has had enough.

    At most a hundred frames wait to be heard. However this ends, the stream is ended with it.
    """
    loop = asyncio.get_running_loop()
    ended = loop.create_future()
    room = threading.Semaphore(100)
    enough = threading.Event()

    def take(which: int, data: bytes) -> None:
        room.release()
        if enough.is_set():
            return
        enough.set()
        try:
            if hear(which, data):
                enough.clear()
        finally:
            if enough.is_set():
                finish()

    def finish() -> None:
        if not ended.done():
            ended.set_result(None)

    def read() -> None:
        with suppress(OSError, RuntimeError):  # the socket was ended, or the loop is closed: nobody listens
            for which, data in stream.frames():
                room.acquire()
                if enough.is_set():
                    break
                loop.call_soon_threadsafe(take, which, data)
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(finish)

    threading.Thread(target=read, name="docker-stream", daemon=True).start()
    try:
        await ended
    finally:
        enough.set()
        room.release()
        stream.end()
