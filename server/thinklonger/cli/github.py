"""A GitHub issue's text over the public REST API: one request to one host, and only when the user says so."""

import json
import re
import time
from dataclasses import dataclass
from http.client import HTTPException, HTTPMessage, HTTPResponse
from typing import IO, cast
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, OpenerDirector, Request, build_opener

from thinklonger.agent.errors import ThinkLongerError, UsageError

API = "https://api.github.com"
SIZE_LIMIT = 8 * 1024**2
_CHUNK = 64 * 1024
_ISSUE = re.compile(
    r"https://github\.com/([A-Za-z0-9-]+)/(?!\.{1,2}/)([A-Za-z0-9._-]+)/(?:issues|pull)/(\d{1,12})/?(?:[?#].*)?"
)
_REFUSALS = {401: "refused", 403: "refused", 404: "not-found", 410: "not-found", 429: "refused"}


class FetchError(ThinkLongerError):
    """An issue can't be fetched."""


@dataclass(frozen=True, slots=True)
class GitHub:
    """Where the API is, and how long (seconds) the whole answer may take."""

    base: str = API
    token: str = ""
    patience: float = 20.0

    def issue(self, url: str) -> str:
        """The issue's title and body; raises UsageError for a URL that is none, FetchError for everything else."""
        found = _ISSUE.fullmatch(url)
        if found is None:
            raise UsageError("issue-source.not-a-github-issue", url=url)
        answer = self._get(f"{self.base}/repos/{found[1]}/{found[2]}/issues/{found[3]}", url)
        try:
            content: object = json.loads(answer)
        except (ValueError, RecursionError) as cause:
            raise FetchError("issue-source.bad-answer", url=url) from cause
        fields = cast("dict[str, object]", content) if isinstance(content, dict) else {}
        title, body = fields.get("title"), fields.get("body")
        if not isinstance(title, str):
            raise FetchError("issue-source.bad-answer", url=url)
        return f"{title}\n\n{body}" if isinstance(body, str) and body else title

    def _get(self, address: str, url: str) -> bytes:
        headers = {"Accept": "application/vnd.github+json", "User-Agent": "thinklonger"}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        request = Request(address, headers=headers)  # noqa: S310 (https by default; the base is not the user's to set)
        try:
            with cast("HTTPResponse", opener(self.base).open(request, timeout=self.patience)) as response:
                return self._read(response, url)
        except HTTPError as cause:
            with cause:
                key = f"issue-source.{_REFUSALS.get(cause.code, 'failed')}"
            raise FetchError(key, url=url, reason=f"HTTP {cause.code}") from cause
        except (URLError, HTTPException, OSError) as cause:
            reason = str(getattr(cause, "reason", "") or cause)
            raise FetchError("issue-source.failed", url=url, reason=reason) from cause

    def _read(self, response: HTTPResponse, url: str) -> bytes:
        deadline = time.monotonic() + self.patience
        parts: list[bytes] = []
        size = 0
        while part := response.read1(_CHUNK):
            parts.append(part)
            size += len(part)
            if size > SIZE_LIMIT:
                raise FetchError("issue-source.too-big", url=url, limit=SIZE_LIMIT)
            if time.monotonic() > deadline:
                raise FetchError("issue-source.too-slow", url=url, seconds=self.patience)
        return b"".join(parts)


class _SameHost(HTTPRedirectHandler):
    """Follow a redirect (a moved repository) only to where the first request went, so no token goes elsewhere."""

    def __init__(self, base: str) -> None:
        """Stay at the host of `base`."""
        self._home = urlsplit(base)[:2]

    def redirect_request(  # noqa: PLR0913, PLR0917 (the standard library's signature)
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> Request | None:
        """The next request, or None where it would leave the host."""
        if urlsplit(newurl)[:2] != self._home:
            return None
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def opener(base: str) -> OpenerDirector:
    """What opens URLs below `base`."""
    return build_opener(_SameHost(base))
