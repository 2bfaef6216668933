"""What httpx sends requests by: httpcore's connections over asyncio's own streams, with merged chunks."""

import asyncio
import ssl
from collections.abc import AsyncIterable, AsyncIterator, Iterable
from contextlib import suppress
from typing import cast

import httpcore
import httpx

from thinklonger.agent.model.merging import Merger

_READ_AHEAD = 256 * 1024


class Stream(httpcore.AsyncNetworkStream):
    """One connection. asyncio's streams cost a third of the CPU that httpcore's own back-end does for each read."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take an open connection."""
        self._reader = reader
        self._writer = writer
        self._merger = Merger()

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109 (httpcore's signature)
        """The next bytes, chunks merged; none at the end. Raises ReadTimeout or ReadError."""
        try:
            async with asyncio.timeout(timeout):
                while data := await self._reader.read(max_bytes):
                    if merged := self._merger.feed(data):
                        return merged
                return self._merger.end()
        except TimeoutError as cause:
            raise httpcore.ReadTimeout from cause
        except OSError as cause:
            raise httpcore.ReadError(str(cause)) from cause

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109 (httpcore's signature)
        """Send bytes. Raises WriteTimeout or WriteError."""
        self._merger.expect()
        try:
            self._writer.write(buffer)
            async with asyncio.timeout(timeout):
                await self._writer.drain()
        except TimeoutError as cause:
            raise httpcore.WriteTimeout from cause
        except OSError as cause:
            raise httpcore.WriteError(str(cause)) from cause

    async def aclose(self) -> None:
        """Close at once, so that the server sees it at once: TLS would wait for its own goodbye."""
        self._writer.transport.abort()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 (httpcore's signature)
    ) -> httpcore.AsyncNetworkStream:
        """The same connection, encrypted. Raises ConnectTimeout or ConnectError."""
        try:
            async with asyncio.timeout(timeout):
                await self._writer.start_tls(ssl_context, server_hostname=server_hostname)
        except TimeoutError as cause:
            await self.aclose()
            raise httpcore.ConnectTimeout from cause
        except OSError as cause:
            await self.aclose()
            raise httpcore.ConnectError(str(cause)) from cause
        return self

    def get_extra_info(self, info: str) -> object:
        """What httpcore asks for: whether an idle connection has been closed, and the TLS object."""
        if info == "is_readable":
            return self._reader.at_eof() or self._writer.is_closing()
        return cast("object", self._writer.get_extra_info(info))


class Backend(httpcore.AsyncNetworkBackend):
    """Opens connections."""

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 (httpcore's signature)
        local_address: str | None = None,  # noqa: ARG002 (httpcore's signature)
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,  # noqa: ARG002 (httpcore's signature)
    ) -> httpcore.AsyncNetworkStream:
        """A connection; asyncio sets TCP_NODELAY itself. Raises ConnectTimeout or ConnectError."""
        try:
            async with asyncio.timeout(timeout):
                reader, writer = await asyncio.open_connection(host, port, limit=_READ_AHEAD)
        except TimeoutError as cause:
            raise httpcore.ConnectTimeout from cause
        except OSError as cause:
            raise httpcore.ConnectError(cause.strerror or str(cause)) from cause
        return Stream(reader, writer)

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await asyncio.sleep(seconds)


class Body(httpx.AsyncByteStream):
    """A response's body."""

    def __init__(self, parts: AsyncIterable[bytes]) -> None:
        """Take httpcore's."""
        self._parts = parts

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """The body's bytes as they come."""
        async for part in self._parts:
            yield part

    async def aclose(self) -> None:
        """Give the connection back, or close it if the body has not come to its end."""
        close = getattr(self._parts, "aclose", None)
        if close is not None:
            await close()


class Transport(httpx.AsyncBaseTransport):
    """httpx's way to the network; raises httpcore's own exceptions."""

    def __init__(self, *, encrypted: bool) -> None:
        """Open nothing yet. `encrypted`: certificates are needed, which take a while to load."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        if encrypted:
            context = httpx.create_ssl_context(trust_env=False)
            context.load_default_certs()  # this machine's own as well: a company's server has a company's certificate
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=context,
            max_connections=None,
            max_keepalive_connections=8,
            keepalive_expiry=5.0,
            http1=True,
            http2=False,
            network_backend=Backend(),
        )

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request; its response's body is still to be read."""
        url = request.url
        asked = httpcore.Request(
            method=request.method,
            url=httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
            headers=request.headers.raw,
            content=cast("AsyncIterable[bytes]", request.stream),
            extensions=request.extensions,
        )
        response = await self._pool.handle_async_request(asked)
        return httpx.Response(
            status_code=response.status,
            headers=response.headers,
            stream=Body(cast("AsyncIterable[bytes]", response.stream)),
            extensions={},
        )

    async def aclose(self) -> None:
        """Close all connections."""
        with suppress(OSError):
            await self._pool.aclose()
