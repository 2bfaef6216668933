"""The replay server's faults: each breaks a request as the real server would, so often as the script says."""

import asyncio
import ssl
import time

import httpx
import pytest

from thinklonger.agent.model.replay import (
    Fault,
    FaultKind,
    Product,
    Replay,
    Rule,
    Script,
    ScriptedReply,
    ScriptedScore,
    Wording,
    serve,
)

REPLY = ScriptedReply(think="one two three four five six", answer="seven eight nine ten", tokens_per_chunk=1)
BODY = {"model": "replay", "messages": [{"role": "user", "content": "Which?"}], "max_tokens": 100, "stream": True}


def script(*faults: Fault) -> Script:
    """One reply, behind faults."""
    return Script(rules=(Rule(replies=(REPLY,), faults=faults),))


def client() -> httpx.AsyncClient:
    """A client that is made quickly: no certificates are loaded."""
    return httpx.AsyncClient(timeout=5, trust_env=False, verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))


async def ask(server: Replay, *, seconds: float = 5) -> tuple[int, str, str]:
    """The status, what came, and the client's error, if any."""
    came = b""
    async with client() as http:
        try:
            async with http.stream("POST", server.url + "/chat/completions", json=BODY, timeout=seconds) as response:
                async for piece in response.aiter_raw():
                    came += piece
                return response.status_code, came.decode("utf-8", "replace"), ""
        except httpx.HTTPError as error:
            return 0, came.decode("utf-8", "replace"), type(error).__name__


@pytest.mark.parametrize(
    ("kind", "status", "said"),
    [
        (FaultKind.LOADING, 503, "Loading model"),
        (FaultKind.AUTH, 401, "Invalid API Key"),
        (FaultKind.NO_MODEL, 404, "does not exist"),
        (FaultKind.RATE, 429, "Rate limit"),
        (FaultKind.OUT_OF_MEMORY, 500, "out of memory"),
        (FaultKind.BAD_PARAMETER, 400, "temperature"),
        (FaultKind.OVERFLOW, 400, "context length"),
    ],
)
async def test_refusals_come_first_and_use_no_reply_up(kind: FaultKind, status: int, said: str) -> None:
    """A rule's faults meet as many requests as they say; then the reply comes, whole."""
    async with serve(script(Fault(kind=kind, times=2))) as server:
        for _ in range(2):
            answer = await ask(server)
            assert answer[0] == status
            assert said in answer[1]
            assert server.requests[-1].status == status
            assert server.requests[-1].fault == kind
        assert "[DONE]" in (await ask(server))[1]


@pytest.mark.parametrize(
    ("wording", "said"),
    [
        (Wording.VLLM, "You passed 2024 input tokens and requested 1000 output tokens"),
        (Wording.VLLM_OLD, "However, you requested 3024 tokens (2024 in the messages, 1000 in the completion)"),
        (Wording.VLLM_LENGTH, "(length 2024) is longer than the maximum model length of 1024"),
        (Wording.SGLANG, "You requested a total of 3024 tokens"),
        (Wording.LLAMA_CPP, '"type":"exceed_context_size_error","n_prompt_tokens":2024,"n_ctx":1024'),
        (Wording.LLAMA_CPP_OLD, "enable context shift"),
        (Wording.LM_STUDIO, "Trying to keep the first 2024 tokens"),
        (Wording.OPENAI, '"code":"context_length_exceeded"'),
    ],
)
async def test_an_overflow_is_told_in_each_servers_words(wording: Wording, said: str) -> None:
    """Each wording that servers are known to use can be had, whichever server is played."""
    faulty = Rule(faults=(Fault(kind=FaultKind.OVERFLOW, wording=wording),))
    async with serve(Script(rules=(faulty,), context=1024), dialect=Product.OLLAMA) as server:
        status, came, _ = await ask(server)
    assert status == (500 if wording is Wording.LLAMA_CPP_OLD else 400)
    assert said in came


async def test_a_rate_limit_says_when_to_come_back() -> None:
    """Its seconds are the Retry-After header."""
    async with serve(script(Fault(kind=FaultKind.RATE, seconds=1.5))) as server, client() as http:
        response = await http.post(server.url + "/chat/completions", json=BODY)
    assert response.headers["retry-after"] == "1.5"


@pytest.mark.parametrize(
    ("kind", "tokens", "last", "never"),
    [(FaultKind.CUT_THINK, 2, "two", "thre"), (FaultKind.CUT_ANSWER, 5, "eigh", "nine")],
)
async def test_a_cut_breaks_the_connection_where_it_says(kind: FaultKind, tokens: int, last: str, never: str) -> None:
    """After so many tokens of the thinking or the answer the connection breaks; the next request gets it all."""
    async with serve(script(Fault(kind=kind, tokens=tokens))) as server:
        _, came, error = await ask(server)
        assert error in {"RemoteProtocolError", "ReadError"}
        assert last in came
        assert never not in came
        assert "ten" in (await ask(server))[1]


async def test_an_unfinished_stream_ends_in_order_without_a_reason() -> None:
    """HTTP is whole, but neither a finish reason nor the end's mark has come."""
    async with serve(script(Fault(kind=FaultKind.UNFINISHED, tokens=3))) as server:
        status, came, error = await ask(server)
    assert (status, error) == (200, "")
    assert '"finish_reason":"' not in came
    assert "[DONE]" not in came


async def test_garbage_is_no_event() -> None:
    """Bytes come that are neither UTF-8 nor JSON."""
    async with serve(script(Fault(kind=FaultKind.GARBAGE, tokens=3))) as server:
        _, came, error = await ask(server)
    assert error == ""
    assert "\ufffd" in came
    assert "PNG" in came


async def test_an_error_can_follow_a_good_status() -> None:
    """An engine that dies midway says so inside the stream, after HTTP 200."""
    async with serve(script(Fault(kind=FaultKind.STREAM_ERROR, tokens=3))) as server:
        status, came, _ = await ask(server)
    assert status == 200
    assert '"error":{"message":"EngineCore' in came


async def test_an_empty_reply_has_no_text() -> None:
    """A stream that ends well and says nothing."""
    async with serve(script(Fault(kind=FaultKind.EMPTY))) as server:
        _, came, _ = await ask(server)
    assert '"finish_reason":"stop"' in came
    assert 'reasoning":' not in came


async def test_silence_lasts_until_the_client_leaves() -> None:
    """Headers and a few tokens come, then nothing; the server notes when the client gave up."""
    async with serve(script(Fault(kind=FaultKind.SILENCE, tokens=3))) as server:
        _, came, error = await ask(server, seconds=0.2)
        assert error == "ReadTimeout"
        assert "three" in came or "thre" in came
        await asyncio.wait_for(server.idle(), 2)
        assert server.requests[0].left is not None


async def test_a_slow_first_byte_delays_the_reply_only() -> None:
    """Nothing comes for so long, then everything."""
    async with serve(script(Fault(kind=FaultKind.SLOW, seconds=0.3))) as server:
        began = time.monotonic()
        _, came, _ = await ask(server)
    assert time.monotonic() - began >= 0.3
    assert "[DONE]" in came


async def test_a_refused_connection_brings_nothing() -> None:
    """The connection is reset before any answer."""
    async with serve(script(Fault(kind=FaultKind.REFUSED))) as server:
        status, came, error = await ask(server)
    assert (status, came) == (0, "")
    assert error in {"RemoteProtocolError", "ReadError"}


async def test_the_servers_own_faults_meet_every_request() -> None:
    """While a server loads, its list of models says so as well; a fault with no end lasts."""
    loading = Script(rules=(Rule(replies=(REPLY,)),), faults=(Fault(kind=FaultKind.LOADING, times=0),))
    async with serve(loading) as server, client() as http:
        assert (await http.get(server.url + "/models")).status_code == 503
        for _ in range(3):
            assert (await ask(server))[0] == 503


async def test_a_question_can_go_wrong_too() -> None:
    """A score's faults come before its probability."""
    scores = (ScriptedScore(probability=1.0, faults=(Fault(kind=FaultKind.LOADING),)),)
    question = {**BODY, "max_tokens": 1, "logprobs": True, "top_logprobs": 5, "stream": False}
    async with serve(Script(scores=scores)) as server, client() as http:
        found = [await http.post(server.url + "/chat/completions", json=question) for _ in range(2)]
    assert [each.status_code for each in found] == [503, 200]


async def test_a_key_is_asked_for() -> None:
    """Without the script's key nothing but health is answered."""
    async with serve(Script(key="k1"), dialect=Product.LLAMA_CPP) as server, client() as http:
        assert (await http.get(server.url + "/models")).status_code == 401
        assert (await http.get(server.url + "/models", headers={"authorization": "Bearer k1"})).status_code == 200
        assert (await http.get(server.url.removesuffix("/v1") + "/health")).status_code == 200


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00",
        b"GET /v1/models\r\n\r\n",
        b"POST / HTTP/1.1\r\ncontent-length: -4\r\n\r\n",
        b"A" * 70000,
    ],
)
async def test_what_is_no_http_is_hung_up_on(sent: bytes) -> None:
    """A client that speaks something else is disconnected, and the server goes on."""
    async with serve(Script()) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(sent + b"\r\n\r\n")
        assert await asyncio.wait_for(reader.read(), 5) == b""
        writer.close()
        async with client() as http:
            assert (await http.get(server.url + "/models")).status_code == 200


@pytest.mark.parametrize(
    "body", [b"{", b"[]", b'{"messages": []}', b'{"messages": "x"}', b'{"messages": [{"role": "user"}], "n": "two"}']
)
async def test_bodies_that_are_no_request_are_refused(body: bytes) -> None:
    """HTTP 400, never a broken connection."""
    async with serve(Script()) as server, client() as http:
        assert (await http.post(server.url + "/chat/completions", content=body)).status_code == 400
