"""Fetching a GitHub issue: one request, a bounded answer, no token for strangers, every failure in words."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest

from thinklonger.agent.errors import ThinkLongerError, UsageError
from thinklonger.cli.github import SIZE_LIMIT, FetchError, GitHub

if TYPE_CHECKING:
    from conftest import Terminal

URL = "https://github.com/owner/some.repo/issues/12"


@dataclass
class Api:
    """A server on the loopback that answers as told and remembers what it was asked."""

    base: str = ""
    answer: Callable[[BaseHTTPRequestHandler], None] = lambda _handler: None
    asked: list[tuple[str, str | None]] = field(default_factory=list)

    def replies(self, status: int, body: bytes = b"", **headers: str) -> None:
        """Answer every request like this."""

        def answer(handler: BaseHTTPRequestHandler) -> None:
            handler.send_response(status)
            for name, value in headers.items():
                handler.send_header(name, value)
            handler.send_header("Content-Length", str(len(body)))
            handler.end_headers()
            handler.wfile.write(body)

        self.answer = answer


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Iterator[Api]:
    """A running server; no proxy stands between."""
    monkeypatch.setenv("no_proxy", "*")
    found = Api()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found.asked.append((self.path, self.headers["Authorization"]))
            found.answer(self)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the base class's name)
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found.base = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield found
    server.shutdown()
    thread.join()
    server.server_close()


def refused(api: Api, url: str = URL, *, patience: float = 5.0) -> ThinkLongerError:
    """The error of a fetch."""
    with pytest.raises(ThinkLongerError) as caught:
        GitHub(api.base, patience=patience).issue(url)
    return caught.value


def test_title_and_body_are_fetched(api: Api) -> None:
    """One request to the issue's address, without a token unless there is one."""
    api.replies(200, json.dumps({"title": "It breaks", "body": "坏了"}).encode())
    assert GitHub(api.base).issue(URL) == "It breaks\n\n坏了"
    assert GitHub(api.base, token="t").issue(URL + "#issuecomment-1") == "It breaks\n\n坏了"  # noqa: S106 (no secret)
    assert api.asked == [("/repos/owner/some.repo/issues/12", None), ("/repos/owner/some.repo/issues/12", "Bearer t")]
    api.replies(200, b'{"title": "It breaks", "body": null}')
    assert GitHub(api.base).issue(URL) == "It breaks"


@pytest.mark.parametrize(
    "url",
    [
        "https://gitlab.com/o/r/issues/1",
        "http://github.com/o/r/issues/1",
        "https://github.com/o/r",
        "https://github.com/o/r/issues/x",
        "https://github.com@evil.example/o/r/issues/1",
        "https://github.com/../r/issues/1",
        "https://github.com/o/../issues/1",
    ],
)
def test_other_addresses_are_refused_unasked(api: Api, url: str) -> None:
    """Only GitHub issues, and nothing is sent to find out."""
    assert isinstance(refused(api, url), UsageError)
    assert api.asked == []


@pytest.mark.parametrize(
    ("status", "key"), [(404, "not-found"), (410, "not-found"), (401, "refused"), (403, "refused"), (500, "failed")]
)
def test_refusals_are_told_apart(api: Api, status: int, key: str) -> None:
    """Missing, forbidden, broken: each with its own words and the exit code of the environment."""
    api.replies(status)
    error = refused(api)
    assert (error.message.key, error.exit_code) == (f"issue-source.{key}", 3)
    assert f"HTTP {status}" in str(error)
    assert error.remedy is not None


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"title": 3}', b"\xff", b"[" * 100_000])
def test_answers_that_are_no_issue_are_refused(api: Api, body: bytes) -> None:
    """Whatever comes back is data, never trusted to have a shape."""
    api.replies(200, body)
    assert refused(api).message.key == "issue-source.bad-answer"


def test_an_endless_answer_is_cut_off(api: Api) -> None:
    """More than the limit is not even kept."""
    api.replies(200, b" " * (SIZE_LIMIT + 1))
    assert refused(api).message.key == "issue-source.too-big"


def test_a_slow_answer_is_given_up(api: Api) -> None:
    """Patience is for the whole answer, not for each byte."""
    release = threading.Event()

    def drip(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        try:
            while not release.wait(0.02):
                handler.wfile.write(b" ")
        except OSError:
            return

    api.answer = drip
    began = time.monotonic()
    error = refused(api, patience=0.3)
    release.set()
    assert error.message.key == "issue-source.too-slow"
    assert time.monotonic() - began < 5


def test_nobody_there_is_an_error(api: Api) -> None:
    """No connection: said, with a remedy."""
    with pytest.raises(FetchError) as caught:
        GitHub("http://127.0.0.1:1").issue(URL)
    assert caught.value.message.key == "issue-source.failed"
    assert api.asked == []


def test_redirects_stay_at_home(api: Api) -> None:
    """A moved repository is followed; another host gets neither a request nor the token."""

    def moved(handler: BaseHTTPRequestHandler) -> None:
        if handler.path.startswith("/repos/"):
            api_target = f"{api.base}/repositories/7/issues/12"
            handler.send_response(301)
            handler.send_header("Location", api_target)
            handler.send_header("Content-Length", "0")
            handler.end_headers()
        else:
            body = b'{"title": "moved"}'
            handler.send_response(200)
            handler.send_header("Content-Length", str(len(body)))
            handler.end_headers()
            handler.wfile.write(body)

    api.answer = moved
    assert GitHub(api.base).issue(URL) == "moved"
    api.asked.clear()
    elsewhere = api.base.replace("127.0.0.1", "localhost")
    api.replies(301, Location=f"{elsewhere}/stolen")
    with pytest.raises(FetchError):
        GitHub(api.base, token="t").issue(URL)  # noqa: S106 (no secret)
    assert [path for path, _ in api.asked] == ["/repos/owner/some.repo/issues/12"]


def test_the_command_line_fetches_only_with_fetch(terminal: "Terminal", api: Api) -> None:
    """--fetch is the consent; the token comes from our own variable and no other."""
    api.replies(200, b'{"title": "Fetched title", "body": "b"}')
    address = {"GITHUB_AT": api.base, "GITHUB_TOKEN": "not ours"}
    said = terminal.run("resolve", "--issue", URL, **address)
    assert said.code == 2
    assert "--fetch" in said.err
    assert api.asked == []
    assert terminal.run("resolve", "--issue", URL, "--fetch", **address).code == 0
    ours = {"THINKLONGER_GITHUB_TOKEN": "ours"}
    said = terminal.run("resolve", "--issue", URL, "--fetch", **address, **ours)
    assert "Fetched title" in said.err
    assert [token for _, token in api.asked] == [None, "Bearer ours"]
