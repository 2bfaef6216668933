"""Whatever a server sends, a request ends: with its replies or with an error that a person understands."""

import asyncio
import json

import pytest
from bare_server import DONE, STREAM, Call, Send, answer, bare, event
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_client import ask, gather, model_at, replies

from thinklonger.agent.errors import ModelError

TEXT = st.sampled_from(["<think>", "</think>", "<answer>", "</answer>", "a", "\n", "```", "思"])
GOOD = st.one_of(
    st.builds(lambda text: event({"content": text}), TEXT),
    st.builds(lambda text: event({"reasoning": text}), TEXT),
    st.builds(lambda finish: event(finish=finish), st.sampled_from(["stop", "length", "tool_calls", "abort"])),
    st.just(DONE),
    st.just(b": ping\n\n"),
)
ODD = st.one_of(
    st.binary(max_size=30),
    st.builds(lambda index: event({"content": "x"}, index=index), st.integers(-3, 9)),
    st.sampled_from(
        [
            b"data: {}\n\n",
            b"data: null\n\n",
            b'data: {"choices":null}\n\n',
            b'data: {"choices":[{}]}\n\n',
            b'data: {"choices":[{"delta":{"content":5}}]}\n\n',
            b'data: {"choices":[],"usage":{"prompt_tokens":"many"}}\n\n',
            b'data: {"error":"boom"}\n\n',
            b'data: {"error":{"message":null,"code":"x"}}\n\n',
            b'error: {"message":"boom","code":400}\n\n',
            b"event: error\ndata: \xff\xfe\n\n",
            b"data: " + json.dumps({"choices": [{"delta": {"content": "y" * 70000}}]}).encode() + b"\n\n",
        ]
    ),
)
HEADS = st.sampled_from([STREAM, STREAM.replace(b"text/event-stream", b"application/json"), b"HTTP/1.1 200 OK\r\n\r\n"])
WHOLE = st.sampled_from(
    [
        b"",
        b"\x00\x01",
        b"HTTP/1.1 200 OK\r\ncontent-length: 900\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 999 Odd\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 204 No Content\r\n\r\n",
        answer("418 I'm a teapot", ["x"]),
        answer("500 Oops", None),
        answer("400 Bad Request", {"error": {"error": {"error": "deep"}}}),
        answer("200 OK", {"choices": []}),
        answer("200 OK", "text"),
    ]
)
ANSWERS = st.one_of(
    WHOLE,
    st.builds(lambda head, parts: head + b"".join(parts), HEADS, st.lists(st.one_of(GOOD, GOOD, ODD), max_size=8)),
)


def said(failed: ModelError) -> None:
    """It has words, and says what to do."""
    assert str(failed)
    assert failed.remedy is not None


async def end(sent: list[bytes], count: int) -> None:
    """Ask a server that answers one request after another so; nothing but replies or a ModelError may come of it."""
    answers = iter(sent)

    async def handle(_: Call, send: Send) -> None:
        await send(next(answers, sent[-1]))

    async with bare(handle) as server, model_at(server.url, retries=1, idle_seconds=2) as model:
        try:
            async with asyncio.timeout(20):
                got = replies(await gather(model, ask(count=count)))
        except ModelError as failed:
            said(failed)
        else:
            assert [reply.choice for reply in got] == list(range(count))


async def probe(sent: list[bytes]) -> None:
    """The same for the requests that find out what a server can do."""
    answers = iter(sent * 3)

    async def handle(_: Call, send: Send) -> None:
        await send(next(answers, sent[-1]))

    async with bare(handle, probes=False) as server, model_at(server.url, retries=0, idle_seconds=2) as model:
        try:
            async with asyncio.timeout(20):
                assert (await model.facts()).model == "m"
        except ModelError as failed:
            said(failed)


@pytest.fixture
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retries wait a hundredth of a second."""
    sleep = asyncio.sleep
    monkeypatch.setattr(asyncio, "sleep", lambda seconds, *rest: sleep(min(seconds, 0.01), *rest))


QUICK = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


@pytest.mark.usefixtures("_quick")
@QUICK
@given(st.lists(ANSWERS, min_size=1, max_size=4), st.integers(1, 2))
def test_every_request_ends(sent: list[bytes], count: int) -> None:
    """Events in any order, errors of any shape, bytes that are none of it, connections that end anywhere."""
    asyncio.run(end(sent, count))


@pytest.mark.usefixtures("_quick")
@QUICK
@given(st.lists(ANSWERS, min_size=1, max_size=4))
def test_probing_ends_as_well(sent: list[bytes]) -> None:
    """A server that can't be understood is told; one that half can is used as far as it goes."""
    asyncio.run(probe(sent))
