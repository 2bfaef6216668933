"""The way to one server: HTTP requests, whole or streamed, whose every failure is a Failure."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Self
from urllib.parse import urlsplit

import httpcore
import httpx

from thinklonger.agent.chat import Trouble
from thinklonger.agent.errors import ModelError
from thinklonger.agent.model.transport import Transport
from thinklonger.agent.model.troubles import Failure, classify
from thinklonger.agent.model.wire import Json, encode, said

CONNECT_SECONDS = 10.0
MOST_BODY = 4 * 1024 * 1024
"""Bytes of an answer that is not streamed."""

_BROKEN = (httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError, httpcore.ConnectionNotAvailable)
_NOT_HERE = (HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED)


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server is: `base` for OpenAI's API (ends in `/v1` as a rule), `root` for the server's own paths.

    `shown` is the address for people, without what a URL may hold of a user and a password.
    """

    base: str
    root: str
    shown: str

    @classmethod
    def of(cls, url: str) -> Self:
        """The address in a URL, with or without `/v1`; raises ModelError where it is none."""
        try:
            parts = urlsplit(url.strip())
            host, port = parts.hostname, parts.port
        except ValueError:
            host = port = None
            parts = urlsplit("")
        if parts.scheme not in ("http", "https") or not host:
            raise ModelError("model.not-a-url", url=url.rpartition("@")[2])
        origin = f"{parts.scheme}://{parts.netloc}"
        path = parts.path.rstrip("/").removesuffix("/chat/completions")
        bare = f"[{host}]" if ":" in host else host
        shown = f"{parts.scheme}://{bare}" + (f":{port}" if port else "") + path
        if path in ("", "/v1") or path.endswith("/v1"):
            root = origin + path.removesuffix("/v1")
            return cls(f"{root}/v1", root, shown)
        return cls(origin + path, origin, shown)

    def api(self, path: str) -> str:
        """The URL of a path of OpenAI's API."""
        return self.base + path

    def own(self, path: str) -> str:
        """The URL of a path of the server's own."""
        return self.root + path


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer with a good status; `server`: its Server header."""

    body: bytes
    server: str = ""


class Channel:
    """Connections to one address. Redirects are not followed; proxies and other settings of the environment not used.

    `answered`: whether the server has ever answered: one that never did is not waited for.
    """

    def __init__(self, address: Address, *, key: str, idle_seconds: float) -> None:
        """Open nothing yet. `idle_seconds`: how long it may be silent while an answer is awaited.

        Raises ModelError for a key that no header can hold; the key is not in its text.
        """
        self.address = address
        self.answered = False
        key = key.strip()
        if not (key.isascii() and key.isprintable()):
            raise ModelError("model.bad-key", url=address.shown)
        self._key = key
        headers = {"user-agent": "thinklonger", "accept-encoding": "identity"}
        if key:
            headers["authorization"] = f"Bearer {key}"
        self._http = httpx.AsyncClient(
            headers=headers,
            timeout=httpx.Timeout(idle_seconds, connect=min(CONNECT_SECONDS, idle_seconds), pool=None),
            trust_env=False,
            follow_redirects=False,
            transport=Transport(encrypted=address.base.startswith("https:")),
        )

    async def get(self, url: str) -> Answer:
        """A whole answer; raises Failure."""
        return await self._whole("GET", url, None)

    async def post(self, url: str, body: Mapping[str, Json]) -> Answer:
        """A whole answer to a body; raises Failure."""
        return await self._whole("POST", url, body)

    async def _whole(self, method: str, url: str, body: Mapping[str, Json] | None) -> Answer:
        async with self.stream(url, body, method=method) as response:
            return Answer(await self._read(response), response.headers.get("server", ""))

    @asynccontextmanager
    async def stream(
        self, url: str, body: Mapping[str, Json] | None, *, method: str = "POST"
    ) -> AsyncGenerator[httpx.Response]:
        """An answer with a good status, to be read; leaving closes its connection, if it has not come to its end.

        Raises Failure, also for what goes wrong while it is read.
        """
        content = None if body is None else encode(body)
        headers = {} if body is None else {"content-type": "application/json"}
        try:
            async with self._http.stream(method, url, content=content, headers=headers) as response:
                self.answered = True
                if not response.is_success:
                    raise await self._refused(response)
                yield response
        except (
            httpcore.ConnectError,
            httpcore.ConnectTimeout,
            httpcore.UnsupportedProtocol,
            httpx.InvalidURL,
        ) as cause:
            raise self._failure(Trouble.UNREACHABLE, _words(cause)) from None
        except httpcore.ReadTimeout:
            raise Failure(Trouble.STREAM_CUT, "nothing came for too long") from None
        except (*_BROKEN, httpx.HTTPError, httpx.StreamError, OSError) as cause:
            raise self._failure(Trouble.STREAM_CUT, _words(cause)) from None

    async def _refused(self, response: httpx.Response) -> Failure:
        """The failure behind a status that is not good."""
        body = await self._read(response)
        text = said(body) or response.reason_phrase
        lasting = response.is_redirect or response.status_code in _NOT_HERE
        if response.is_redirect:
            text = "it sends on to another address, which is not followed"
        whole = body.decode("utf-8", "replace")
        trouble = classify(response.status_code, f"{text}\n{whole}")
        detail = f"HTTP {response.status_code}: {text}"
        after = _seconds(response.headers.get("retry-after"))
        return Failure(trouble, self.clean(detail), after=after, whole=self.clean(whole), lasting=lasting)

    @staticmethod
    async def _read(response: httpx.Response) -> bytes:
        """The body, up to a limit."""
        pieces: list[bytes] = []
        size = 0
        async for piece in response.aiter_raw():
            pieces.append(piece)
            size += len(piece)
            if size > MOST_BODY:
                break
        return b"".join(pieces)

    def _failure(self, trouble: Trouble, detail: str) -> Failure:
        """A failure with clean words."""
        return Failure(trouble, self.clean(detail))

    def clean(self, text: str) -> str:
        """The text without the key, should the server have echoed it."""
        return text.replace(self._key, "…") if self._key else text

    async def close(self) -> None:
        """Close all connections."""
        await asyncio.shield(self._http.aclose())


def _words(cause: Exception) -> str:
    """What an exception says; its name where it says nothing."""
    return str(cause) or type(cause).__name__


def _seconds(header: str | None) -> float | None:
    """The seconds of a Retry-After header; None where it is missing or a date."""
    try:
        return None if header is None else float(header)
    except ValueError:
        return None
