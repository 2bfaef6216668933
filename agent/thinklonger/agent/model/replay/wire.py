"""HTTP/1.1 for a replay server: one connection over asyncio, which notices at once when its client leaves."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus

import msgspec

_ENCODER = msgspec.json.Encoder()

MOST_HEAD = 64 * 1024
MOST_BODY = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """A request as it came; header names in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


class Gone(Exception):  # noqa: N818 (it is no error: clients may leave)
    """The client has left, or the connection is no HTTP."""


class Connection(asyncio.StreamReaderProtocol):
    """One client's connection. `gone` is set once it has left."""

    def __init__(self) -> None:
        """Take no part in who handles it: `serve` does, once the connection is made."""
        self.reader = asyncio.StreamReader(limit=MOST_HEAD)
        super().__init__(self.reader)
        self.gone = asyncio.Event()
        self.made = asyncio.Event()
        self._transport: asyncio.Transport | None = None
        self._writable = asyncio.Event()
        self._writable.set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way back."""
        super().connection_made(transport)
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 (TCP: nothing else can come)
        self._transport = transport
        self.made.set()

    def eof_received(self) -> bool:
        """Take a half-closed connection for a closed one: no HTTP client waits for more after it."""
        super().eof_received()
        self.gone.set()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Note that the client has left."""
        super().connection_lost(exc)
        self.gone.set()
        self._writable.set()

    def pause_writing(self) -> None:
        """Wait before more is sent: the client reads too slowly."""
        super().pause_writing()
        self._writable.clear()

    def resume_writing(self) -> None:
        """Go on."""
        super().resume_writing()
        self._writable.set()

    async def request(self) -> HttpRequest:
        """The next request; raises Gone."""
        try:
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            method, path, _ = head[0].split(" ", 2)
            pairs = (line.partition(":") for line in head[1:] if line)
            headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
            length = int(headers.get("content-length", "0"))
            if not 0 <= length <= MOST_BODY:
                raise Gone
            return HttpRequest(method, path.partition("?")[0], headers, await self.reader.readexactly(length))
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ConnectionError, ValueError) as why:
            raise Gone from why

    async def send(self, data: bytes) -> None:
        """Send, and wait while the client is slow; raises Gone."""
        if self._transport is None or self.gone.is_set():
            raise Gone
        self._transport.write(data)
        if not self._writable.is_set():
            await self._writable.wait()
        if self.gone.is_set():
            raise Gone

    async def rest(self, seconds: float | None) -> None:
        """Wait so long (None: for ever); raises Gone as soon as the client has left."""
        try:
            await asyncio.wait_for(self.gone.wait(), seconds)
        except TimeoutError:
            return
        raise Gone

    async def answer(self, status: int, body: bytes, kind: str, headers: Mapping[str, str] | None = None) -> None:
        """A whole answer of that content type."""
        await self.send(
            _head(status, {"content-type": kind, "content-length": str(len(body)), **(headers or {})}) + body
        )

    async def answer_json(self, status: int, body: object, headers: Mapping[str, str] | None = None) -> None:
        """A whole answer in JSON."""
        await self.answer(status, encoded(body), "application/json", headers)

    async def begin(self) -> None:
        """Begin a stream of events."""
        shape = {"content-type": "text/event-stream; charset=utf-8", "transfer-encoding": "chunked"}
        await self.send(_head(200, shape))

    async def raw(self, data: bytes) -> None:
        """Bytes of a stream as they are."""
        await self.send(f"{len(data):x}\r\n".encode() + data + b"\r\n")

    async def event(self, body: object) -> None:
        """One event of a stream."""
        await self.raw(b"data: " + encoded(body) + b"\n\n")

    async def end(self) -> None:
        """End a stream in order."""
        await self.send(b"0\r\n\r\n")

    def abort(self) -> None:
        """Break the connection."""
        if self._transport is not None:
            self._transport.abort()

    def close(self) -> None:
        """Close the connection once all is sent."""
        if self._transport is not None:
            self._transport.close()


def encoded(body: object) -> bytes:
    """The body in compact JSON."""
    return _ENCODER.encode(body)


def _head(status: int, headers: Mapping[str, str]) -> bytes:
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n{lines}\r\n".encode("latin-1")
