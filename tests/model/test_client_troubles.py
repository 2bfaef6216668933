"""Troubles: each server's wording told apart, retried or not as the table says, explained in the end."""

import asyncio
import time

import pytest
from bare_server import DONE, NOT_FOUND, STREAM, Call, Send, answer, bare, event
from test_client import ask, gather, model_at, replies

from thinklonger.agent import messages
from thinklonger.agent.chat import Finish, Retried, Sampling, Trouble
from thinklonger.agent.errors import ModelError
from thinklonger.agent.model.replay import (
    Exhausted,
    Fault,
    FaultKind,
    Product,
    Rule,
    Script,
    ScriptedReply,
    Wording,
    serve,
)
from thinklonger.agent.model.troubles import PATIENCE, Failure, classify, limits, trouble_of, wait

REPLY = ScriptedReply(think="one two three four five six", answer="<answer>\nseven\n</answer>", tokens_per_chunk=1)


def script(*faults: Fault, count: int = 1) -> Script:
    """One reply, behind faults."""
    return Script(rules=(Rule(replies=(REPLY,) * count, faults=faults, exhausted=Exhausted.LAST),))


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retries wait as long as they want, only the clock is faster."""
    sleep = asyncio.sleep
    monkeypatch.setattr(
        asyncio, "sleep", lambda seconds, *rest: sleep(seconds / 50 if seconds > 0.2 else seconds, *rest)
    )


@pytest.mark.parametrize(
    ("status", "text", "trouble"),
    [
        (401, "", Trouble.AUTH),
        (403, "Forbidden", Trouble.AUTH),
        (400, "Incorrect API key provided", Trouble.AUTH),
        (404, "The model `x` does not exist.", Trouble.MODEL_NOT_FOUND),
        (404, 'model "x" not found, try pulling it first', Trouble.MODEL_NOT_FOUND),
        (400, "Model x is not loaded", Trouble.MODEL_NOT_FOUND),
        (404, "No models loaded. Please load a model in the developer page or use lms load.", Trouble.MODEL_NOT_FOUND),
        (404, "Not Found", Trouble.UNREACHABLE),
        (405, "Method Not Allowed", Trouble.UNREACHABLE),
        (307, "", Trouble.UNREACHABLE),
        (502, "Bad Gateway", Trouble.UNREACHABLE),
        (504, "", Trouble.UNREACHABLE),
        (503, "Loading model", Trouble.LOADING),
        (503, "", Trouble.LOADING),
        (503, "server overloaded, queue is full", Trouble.RATE),
        (429, "Too many requests", Trouble.RATE),
        (500, "CUDA out of memory. Tried to allocate 2 GiB", Trouble.OUT_OF_MEMORY),
        (500, "model requires more system memory (20 GiB) than is available", Trouble.OUT_OF_MEMORY),
        (400, "ggml_backend_cuda_buffer_type_alloc_buffer: cudaMalloc failed", Trouble.OUT_OF_MEMORY),
        (413, "", Trouble.CONTEXT_OVERFLOW),
        (400, "max_tokens is too large: 9000. This model's maximum context length is 4096", Trouble.CONTEXT_OVERFLOW),
        (
            400,
            "The input (5000 tokens) is longer than the model's context length (4096 tokens).",
            Trouble.CONTEXT_OVERFLOW,
        ),
        (400, '{"error":{"code":"context_length_exceeded"}}', Trouble.CONTEXT_OVERFLOW),
        (500, "the request exceeds the available context size. try increasing it", Trouble.CONTEXT_OVERFLOW),
        (400, "Trying to keep the first 5000 tokens when context the overflows.", Trouble.CONTEXT_OVERFLOW),
        (400, "prompt is too long: 9000 tokens > 8192 maximum", Trouble.CONTEXT_OVERFLOW),
        (400, "temperature must be non-negative, got -1.0.", Trouble.BAD_PARAMETER),
        (422, "Unexpected keys in the request: {'top_k'}", Trouble.BAD_PARAMETER),
        (400, "max_tokens must be at least 1, got 0.", Trouble.BAD_PARAMETER),
        (500, "EngineCore encountered an issue. See stack trace for the root cause.", Trouble.STREAM_CUT),
        (500, "", Trouble.STREAM_CUT),
    ],
)
def test_wordings(status: int, text: str, trouble: Trouble) -> None:
    """What servers say, by status and words."""
    assert classify(status, text) is trouble


@pytest.mark.parametrize("wording", Wording)
async def test_overflow_in_every_wording(wording: Wording) -> None:
    """A prompt that is too long is one trouble, whoever tells it, and is never tried again as it is."""
    fault = Fault(kind=FaultKind.OVERFLOW, wording=wording, times=0)
    async with serve(script(fault)) as server, model_at(server.url) as model:
        with pytest.raises(ModelError) as failed:
            await gather(model, ask())
        assert trouble_of(failed.value) is Trouble.CONTEXT_OVERFLOW
        assert len(server.texts) <= 2


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        (
            "maximum context length is 4096 tokens. However, you requested 5000 (1000 in the messages, 4000",
            (4096, 1000),
        ),
        ("You passed 1025 input tokens. However, the model's context length is only 1024 tokens", (1024, 1025)),
        ("maximum context length of 4096 tokens. 5000: 1000 tokens from the input messages", (4096, 1000)),
        ('{"error":{"n_prompt_tokens":2024,"n_ctx":1024}}', (1024, 2024)),
        ("request (2024 tokens) exceeds the available context size (1024 tokens), try increasing it", (1024, 2024)),
        ("maximum context length is 4096 tokens. However, your messages resulted in 5000 tokens", (4096, 5000)),
        ("too long", (None, None)),
    ],
)
def test_limits_are_read_off_an_overflow(text: str, numbers: tuple[int | None, int | None]) -> None:
    """The limit and the prompt's length, where they are told."""
    assert limits(text) == numbers


async def test_only_the_output_is_shortened() -> None:
    """Where prompt and output together are too long, less output is asked for, once; the prompt stays as it is."""

    async def handle(call: Call, send: Send) -> None:
        if int(call.body["max_tokens"]) > 500:
            text = "This model's maximum context length is 1000 tokens. However, you requested 20500 tokens "
            text += "(484 in the messages, 20480 in the completion)."
            await send(answer("400 Bad Request", {"message": text}))
        else:
            await send(STREAM + event({"content": "good"}, finish="stop") + DONE)

    async with bare(handle) as server, model_at(server.url, context=65536) as model:
        items = await gather(model, ask())
        assert [reply.answer for reply in replies(items)] == ["good"]
        first, second = server.chats
        assert first.body["messages"] == second.body["messages"]
        assert second.body["max_tokens"] == 500
        assert (await model.facts()).context == 1000
        assert [item.trouble for item in items if isinstance(item, Retried)] == [Trouble.CONTEXT_OVERFLOW]


async def test_a_prompt_that_cannot_fit_is_not_sent() -> None:
    """The served tokenizer says so before the server must."""
    async with serve(Script(rules=(Rule(replies=(REPLY,)),), context=300)) as server, model_at(server.url) as model:
        with pytest.raises(ModelError) as failed:
            await gather(model, ask("word " * 400))
        assert trouble_of(failed.value) is Trouble.CONTEXT_OVERFLOW
        assert server.texts == []


MENDED = [
    (Fault(kind=FaultKind.LOADING, times=2), Trouble.LOADING, 2),
    (Fault(kind=FaultKind.RATE, times=2), Trouble.RATE, 2),
    (Fault(kind=FaultKind.OUT_OF_MEMORY), Trouble.OUT_OF_MEMORY, 1),
    (Fault(kind=FaultKind.REFUSED), Trouble.STREAM_CUT, 1),
    (Fault(kind=FaultKind.CUT_THINK, tokens=3), Trouble.STREAM_CUT, 1),
    (Fault(kind=FaultKind.CUT_ANSWER, tokens=1), Trouble.STREAM_CUT, 1),
    (Fault(kind=FaultKind.UNFINISHED, tokens=4), Trouble.STREAM_CUT, 1),
    (Fault(kind=FaultKind.GARBAGE, tokens=4), Trouble.STREAM_CUT, 1),
    (Fault(kind=FaultKind.STREAM_ERROR, tokens=4), Trouble.STREAM_CUT, 1),
    (Fault(kind=FaultKind.EMPTY), Trouble.EMPTY, 1),
]


@pytest.mark.parametrize(("fault", "trouble", "times"), MENDED, ids=lambda value: getattr(value, "kind", None))
@pytest.mark.parametrize("count", [1, 3])
async def test_what_passes_is_tried_again(fault: Fault, trouble: Trouble, times: int, count: int) -> None:
    """The reply comes whole in the end, each retry is told for each reply, and what came before does not count."""
    async with serve(script(fault, count=count)) as server, model_at(server.url) as model:
        items = await gather(model, ask(count=count))
        got = replies(items)
        assert [(reply.think, reply.answer, reply.finish) for reply in got] == [
            (REPLY.think, REPLY.answer, Finish.STOP)
        ] * count
        retried = [item for item in items if isinstance(item, Retried)]
        assert {item.trouble for item in retried} == {trouble}
        assert {item.choice for item in retried} == set(range(count))
        assert max(item.attempt for item in retried) == times
        assert all(item.detail for item in retried)


LASTING = [
    (FaultKind.LOADING, Trouble.LOADING, 3),
    (FaultKind.RATE, Trouble.RATE, 3),
    (FaultKind.OUT_OF_MEMORY, Trouble.OUT_OF_MEMORY, 2),
    (FaultKind.EMPTY, Trouble.EMPTY, 3),
    (FaultKind.STREAM_ERROR, Trouble.STREAM_CUT, 3),
    (FaultKind.AUTH, Trouble.AUTH, 1),
    (FaultKind.NO_MODEL, Trouble.MODEL_NOT_FOUND, 1),
    (FaultKind.BAD_PARAMETER, Trouble.BAD_PARAMETER, None),
]


@pytest.mark.parametrize(("kind", "trouble", "requests"), LASTING)
async def test_what_lasts_is_an_error(kind: FaultKind, trouble: Trouble, requests: int | None) -> None:
    """After as many attempts as the table allows, an error with a sentence and a remedy, in both languages."""
    fault = Fault(kind=kind, times=0)
    async with serve(script(fault)) as server, model_at(server.url, retries=2) as model:
        with pytest.raises(ModelError) as failed:
            await gather(model, ask())
        assert trouble_of(failed.value) is trouble
        assert requests is None or len(server.texts) == requests
        assert len(server.texts) <= 6
        for language in messages.LANGUAGES:
            assert messages.render(failed.value.message, language)
        assert failed.value.remedy is not None
        assert server.running == 0


async def test_a_server_that_never_answered_is_not_waited_for() -> None:
    """A wrong address is told at once; the first retry would come after half a second."""
    model = model_at("http://127.0.0.1:9")
    began = time.monotonic()
    with pytest.raises(ModelError) as failed:
        await model.facts()
    assert trouble_of(failed.value) is Trouble.UNREACHABLE
    assert time.monotonic() - began < 1
    await model.close()


async def test_an_engine_that_dies_is_told() -> None:
    """HTTP 200, an error in the stream, then nobody there: retried in vain, then an error that says what was."""
    async with serve(script(Fault(kind=FaultKind.STREAM_ERROR))) as server:
        model = model_at(server.url, retries=2)
        await model.facts()
        stream = model.reply(ask())
        items = [await anext(stream)]
        while not isinstance(items[-1], Retried):
            items.append(await anext(stream))
        port = server.port
    with pytest.raises(ModelError) as failed:
        items += [item async for item in stream]
    assert trouble_of(failed.value) in (Trouble.UNREACHABLE, Trouble.STREAM_CUT)
    assert str(port) in str(failed.value)
    assert any(isinstance(item, Retried) and "EngineCore" in item.detail for item in items)
    await model.close()


async def test_silence_is_ended_by_the_watchdog() -> None:
    """A stream that goes silent is given up after the idle time, however long it had run before."""
    fault = Fault(kind=FaultKind.SILENCE, tokens=3)
    async with serve(script(fault)) as server, model_at(server.url, idle_seconds=0.3) as model:
        items = await gather(model, ask())
        assert [reply.answer for reply in replies(items)] == [REPLY.answer]
        assert [item.trouble for item in items if isinstance(item, Retried)] == [Trouble.STREAM_CUT]


async def test_slow_is_not_silent() -> None:
    """Every byte resets the watchdog, comments too: a reply may take many times the idle time."""

    async def handle(_: Call, send: Send) -> None:
        await send(STREAM)
        for _beat in range(8):
            await send(b": still here\n\n")
            await asyncio.sleep(0.15)
        await send(event({"content": "good"}, finish="stop") + DONE)

    async with bare(handle) as server, model_at(server.url, idle_seconds=0.5) as model:
        items = await gather(model, ask())
        assert [reply.answer for reply in replies(items)] == ["good"]
        assert not any(isinstance(item, Retried) for item in items)


async def test_retry_after_is_honoured() -> None:
    """The server's own wish for how long to wait comes before ours."""
    fault = Fault(kind=FaultKind.RATE, seconds=3)
    async with serve(script(fault)) as server, model_at(server.url) as model:
        items = await gather(model, ask())
        assert [item.after for item in items if isinstance(item, Retried)] == [3]


async def test_a_refused_field_is_left_out_from_then_on() -> None:
    """A strict server that names an unknown field, or none, gets the request without it; and is not asked again."""

    async def handle(call: Call, send: Send) -> None:
        if "seed" in call.body:
            await send(answer("400 Bad Request", {"error": {"message": "seed: extra fields not permitted"}}))
        elif "thinking_token_budget" in call.body:
            await send(answer("422 Unprocessable Entity", {"detail": [{"loc": ["body"], "msg": "not understood"}]}))
        elif "max_tokens" in call.body:
            text = "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead."
            await send(answer("400 Bad Request", {"error": {"message": text}}))
        else:
            await send(STREAM + event({"content": "good"}, finish="stop") + DONE)

    async with bare(handle) as server, model_at(server.url) as model:
        assert [reply.answer for reply in replies(await gather(model, ask()))] == ["good"]
        tried = len(server.chats)
        assert [reply.answer for reply in replies(await gather(model, ask()))] == ["good"]
        assert len(server.chats) == tried + 1
        assert server.chats[-1].body["max_completion_tokens"] > 0


async def test_a_strict_server_is_learnt_about_while_probing() -> None:
    """What `transformers serve` does not know is not sent to it; no reply has to be retried for it."""
    script = Script(rules=(Rule(replies=(REPLY,)),))
    async with serve(script, dialect=Product.TRANSFORMERS) as server, model_at(server.url) as model:
        items = await gather(model, ask())
        assert replies(items)
        assert not any(isinstance(item, Retried) for item in items)


async def test_what_came_before_a_cut_counts_if_it_holds_an_answer() -> None:
    """Retries are spent, but an answer stands in the text: it is used, and told as cut."""
    fault = Fault(kind=FaultKind.CUT_ANSWER, times=0, tokens=4)
    async with serve(script(fault)) as server, model_at(server.url, retries=1) as model:
        (reply,) = replies(await gather(model, ask()))
        assert reply.finish is Finish.CUT
        assert reply.answer
        assert REPLY.answer.startswith(reply.answer)


async def test_one_lost_reply_does_not_cost_the_others() -> None:
    """Of several, the one that failed is told as cut and empty; who asked for three gets three."""
    broken = 0

    async def handle(call: Call, send: Send) -> None:
        nonlocal broken
        if call.body["seed"] % 7919 == 1:
            broken += 1
            await send(STREAM + event(finish="stop") + DONE)
        else:
            await send(STREAM + event({"content": "good"}, finish="stop") + DONE)

    async with bare(handle) as server, model_at(server.url) as model:
        got = replies(await gather(model, ask(count=3, sampling=Sampling(seed=0))))
        assert [(reply.answer, reply.finish) for reply in got] == [
            ("good", Finish.STOP),
            ("", Finish.CUT),
            ("good", Finish.STOP),
        ]
        assert broken == 3


async def test_a_wrong_path_is_told() -> None:
    """A server that is no model server is said to be none."""

    async def handle(_: Call, send: Send) -> None:
        await send(NOT_FOUND)

    async with bare(handle, probes=False) as server, model_at(server.url, name="m") as model:
        with pytest.raises(ModelError) as failed:
            await gather(model, ask())
        assert trouble_of(failed.value) is Trouble.UNREACHABLE


def test_waits_grow_and_end() -> None:
    """Exponential with seeded jitter, bounded in number and length; the same seed waits the same."""
    failure = Failure(Trouble.RATE, "x")
    waits = [wait(failure, attempt, retries=8, seed=3) for attempt in range(1, 10)]
    assert waits[-1] is None
    known = [value for value in waits if value is not None]
    assert all(0.75 * 2**n <= value <= min(1.25 * 2**n, 60) for n, value in enumerate(known) if 2**n < 40)
    assert max(known) <= 60
    assert known == [wait(failure, attempt, retries=8, seed=3) for attempt in range(1, 9)]
    assert known != [wait(failure, attempt, retries=8, seed=4) for attempt in range(1, 9)]
    assert wait(Failure(Trouble.RATE, "x", after=1e9), 1, retries=1, seed=0) == 60
    assert PATIENCE.keys() == set(Trouble)
