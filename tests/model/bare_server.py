"""A server of a few lines for what no replay server does: exact bytes, odd answers, and a look at what was sent."""

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Call:
    """A request as it came; `left` is set once its client has closed the connection."""

    path: str
    headers: dict[str, str]
    body: dict[str, Any]
    left: asyncio.Event = field(default_factory=asyncio.Event)


Send = Callable[[bytes], Awaitable[None]]
Handler = Callable[[Call, Send], Awaitable[None]]


@dataclass
class Bare:
    """A running server."""

    url: str = ""
    calls: list[Call] = field(default_factory=list)

    @property
    def chats(self) -> list[Call]:
        """The chat requests that are no probes."""
        return [call for call in self.calls if call.path.endswith("/chat/completions") and not is_probe(call)]


def is_probe(call: Call) -> bool:
    """Whether it asks for a few tokens only."""
    return int(call.body.get("max_tokens", call.body.get("max_completion_tokens", 0))) <= 16


def event(
    delta: Mapping[str, object] | None = None, *, finish: str | None = None, index: int = 0, **more: object
) -> bytes:
    """One event of a stream."""
    choice = {"index": index, "delta": delta or {}, "finish_reason": finish}
    return b"data: " + json.dumps({"id": "c1", "choices": [choice], **more}).encode() + b"\n\n"


DONE = b"data: [DONE]\n\n"
STREAM = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n"
NOT_FOUND = b'HTTP/1.1 404 Not Found\r\ncontent-length: 22\r\n\r\n{"detail":"Not Found"}'


def answer(status: str, body: object, *headers: str) -> bytes:
    """A whole answer in JSON."""
    text = json.dumps(body).encode()
    lines = [f"HTTP/1.1 {status}", "content-type: application/json", f"content-length: {len(text)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + text


@asynccontextmanager
async def bare(handler: Handler, *, probes: bool = True, aside: Handler | None = None) -> AsyncGenerator[Bare]:
    """Hand chat requests to the handler; with `probes`, the client's probes are answered. `aside`: for other paths."""
    server = Bare()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async def send(data: bytes) -> None:
            writer.write(data)
            await writer.drain()

        try:
            while True:
                call = await read(reader)
                server.calls.append(call)
                watch = asyncio.create_task(leaving(writer, reader, call))
                try:
                    if aside is not None and call.path.startswith("/api/"):
                        await aside(call, send)
                    elif not call.path.endswith("/chat/completions"):
                        await send(
                            answer("200 OK", {"data": [{"id": "m"}]}) if call.path == "/v1/models" else NOT_FOUND
                        )
                    elif probes and is_probe(call):
                        await send(STREAM + event({"reasoning": "x"}) + event(finish="length") + DONE)
                        return
                    else:
                        await handler(call, send)
                        return
                finally:
                    watch.cancel()
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            writer.close()

    started = await asyncio.start_server(serve, "127.0.0.1", 0)
    server.url = f"http://127.0.0.1:{started.sockets[0].getsockname()[1]}"
    try:
        yield server
    finally:
        started.close()


async def read(reader: asyncio.StreamReader) -> Call:
    """The next request."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Call(head[0].split()[1], headers, json.loads(body) if body else {})


async def leaving(writer: asyncio.StreamWriter, reader: asyncio.StreamReader, call: Call) -> None:
    """Note when the client has left; it sends nothing more before."""
    while not (reader.at_eof() or writer.is_closing()):  # noqa: ASYNC110 (a reader has no event for it)
        await asyncio.sleep(0.005)
    call.left.set()
