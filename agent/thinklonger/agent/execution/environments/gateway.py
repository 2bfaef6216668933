"""The only way out of the building sandbox: a proxy on a unix socket that opens tunnels to the registry's hosts."""

import asyncio
from collections.abc import AsyncGenerator, Collection
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

CHUNK = 1 << 16
HEAD_BYTES = 1 << 14
HTTPS = 443
FILES = {"pypi.org": ("files.pythonhosted.org",), "test.pypi.org": ("test-files.pythonhosted.org",)}
"""Where a registry's files lie, if not on its own host."""


def hosts_of(index: str) -> frozenset[tuple[str, int]]:
    """The hosts and ports that a registry needs; empty for what is no https address."""
    parts = urlsplit(index)
    if parts.scheme != "https" or not parts.hostname:
        return frozenset()
    own = (parts.hostname, parts.port or HTTPS)
    return frozenset({own, *((host, HTTPS) for host in FILES.get(parts.hostname, ()))})


@dataclass(slots=True)
class Gateway:
    """What the proxy lets through, and what it saw: `refused` are the hosts that were asked for in vain."""

    allowed: Collection[tuple[str, int]]
    refused: set[str] = field(default_factory=set[str])
    bytes: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection: a CONNECT to an allowed host becomes a tunnel, all else is refused."""
        with suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError):
            try:
                head = await reader.readuntil(b"\r\n\r\n")
                method, _, rest = head.decode("latin-1").partition(" ")
                target = rest.partition(" ")[0]
                host, _, port = target.rpartition(":")
                if method != "CONNECT" or not port.isdecimal() or (host, int(port)) not in self.allowed:
                    self.refused.add(host or target[:200])
                    writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
                    await writer.drain()
                    return
                await self._tunnel(reader, writer, host, int(port))
            finally:
                writer.close()

    async def _tunnel(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: str, port: int) -> None:
        """Copy both ways until either ends."""
        try:
            far_reader, far_writer = await asyncio.open_connection(host, port)
        except OSError:
            writer.write(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")
            await writer.drain()
            return
        try:
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            tasks = [
                asyncio.ensure_future(self._copy(reader, far_writer)),
                asyncio.ensure_future(self._copy(far_reader, writer)),
            ]
            try:
                await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
        finally:
            far_writer.close()

    async def _copy(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        """Copy one direction."""
        with suppress(OSError):
            while data := await source.read(CHUNK):
                self.bytes += len(data)
                sink.write(data)
                await sink.drain()


@asynccontextmanager
async def open_gateway(socket: Path, index: str) -> AsyncGenerator[Gateway]:
    """The proxy of a registry on this socket, while the context lasts."""
    gateway = Gateway(hosts_of(index))
    server = await asyncio.start_unix_server(gateway.serve, socket, limit=HEAD_BYTES)
    await asyncio.to_thread(socket.chmod, 0o666)
    try:
        yield gateway
    finally:
        server.close()
