"""The client against a real vLLM that serves a tiny model and two adapters (`tools/tiny.py`)."""

import asyncio
import time
from collections.abc import Callable, Mapping
from contextlib import aclosing
from dataclasses import replace

import httpx
import pytest

from thinklonger.agent.chat import (
    ChatMessage,
    ChatRequest,
    Closing,
    Delta,
    Dialect,
    Finish,
    Part,
    Reply,
    Retried,
    Role,
    Sampling,
    Trouble,
)
from thinklonger.agent.config import ServedSettings
from thinklonger.agent.errors import ModelError
from thinklonger.agent.model import connect
from thinklonger.agent.model.served import ServedModel
from thinklonger.agent.model.troubles import classify

pytestmark = pytest.mark.vllm

Metrics = Callable[[], Mapping[str, float]]

RUNNING = "vllm:num_requests_running"
GENERATED = "vllm:generation_tokens_total"
ANSWER = "the bug sits here"
SHORT = Sampling(temperature=0.8, seed=1, answer_tokens=64, thinking_tokens=1024)
ENDLESS = Sampling(temperature=0.0, seed=1, answer_tokens=64, thinking_tokens=3500)
"""The likeliest word is never the end of thinking."""


def asked(text: str, sampling: Sampling = SHORT, count: int = 1) -> ChatRequest:
    """One question."""
    return ChatRequest((ChatMessage(Role.USER, text),), sampling, count)


async def everything(model: ServedModel, request: ChatRequest, **options: asyncio.Event) -> list[object]:
    """All that comes back."""
    return [item async for item in model.reply(request, **options)]


async def replies(model: ServedModel, request: ChatRequest, **options: asyncio.Event) -> list[Reply]:
    """The whole replies, by choice."""
    found = [item for item in await everything(model, request, **options) if isinstance(item, Reply)]
    return sorted(found, key=lambda reply: reply.choice)


async def idle(metrics: Metrics, within: float) -> float:
    """Seconds until no request is in work."""
    started = time.monotonic()
    while metrics()[RUNNING]:
        assert time.monotonic() - started < within, "requests are still running"
        await asyncio.sleep(0.05)
    return time.monotonic() - started


# ── what it can do ───────────────────────────────────────────────────────────────────────────────────────────────


async def test_facts(model: ServedModel) -> None:
    """Probing finds what vLLM does: the served limit, thinking in a field, n, logprobs, the tokenizer, adapters."""
    facts = await model.facts()
    assert (facts.model, facts.context, facts.dialect) == ("tiny", 4096, Dialect.REASONING)
    assert facts.several
    assert facts.logprobs
    assert facts.counts_tokens
    assert facts.continues
    assert facts.adapters == ("prm", "orm")
    assert facts.server.startswith("vLLM")


async def test_streaming(model: ServedModel) -> None:
    """Thinking and answer come in pieces, apart, and the whole reply is their sum with the server's own counts."""
    items = await everything(model, asked("Where is the bug?"))
    (reply,) = [item for item in items if isinstance(item, Reply)]
    think = "".join(item.text for item in items if isinstance(item, Delta) and item.part is Part.THINK)
    answer = "".join(item.text for item in items if isinstance(item, Delta) and item.part is Part.ANSWER)
    assert sum(isinstance(item, Delta) for item in items) > 5
    assert think.strip() == reply.think
    assert answer.strip() == reply.answer == f"<answer>{ANSWER}</answer>"
    assert (reply.finish, reply.closing, reply.salvaged) == (Finish.STOP, None, False)
    assert reply.usage.counted
    assert reply.usage.thinking > reply.usage.answer > 0


async def test_several_replies_of_one_request(model: ServedModel, metrics: Metrics) -> None:
    """Eight replies come from one request that differ in their thinking, and the prompt is computed once."""
    text = "It fails, and nobody knows why. " * 40
    await model.facts()
    before = metrics()
    found = await replies(model, asked(text, count=8))
    after = metrics()
    prompt = await model.count(asked(text).messages)
    assert [reply.choice for reply in found] == list(range(8))
    assert len({reply.think for reply in found}) > 4
    assert all(reply.answer for reply in found)
    hits = after["vllm:prefix_cache_hits_total"] - before["vllm:prefix_cache_hits_total"]
    assert hits >= 7 * (prompt // 128) * 128  # the processor's blocks have 128 tokens


async def test_the_same_seed_is_the_same_reply(model: ServedModel) -> None:
    """A request with the same seed can be drawn again, another seed gives another reply."""
    first, again = [(await replies(model, asked("Draw.")))[0].think for _ in range(2)]
    (other,) = await replies(model, asked("Draw.", replace(SHORT, seed=2)))
    assert first == again != other.think


async def test_tokens_are_counted_by_the_server(model: ServedModel) -> None:
    """What the client counts beforehand is what the server reports afterwards, code and Chinese included."""
    request = asked("def f(x):\n    return x + 1  # 修复这个错误")
    (reply,) = await replies(model, request)
    assert await model.count(request.messages) == reply.usage.prompt


async def test_a_later_stage_finds_its_prefix(model: ServedModel, metrics: Metrics) -> None:
    """A conversation that goes on is computed from where it had ended; thinking is not part of it."""
    first = asked("The call with an index fails. " * 60)
    (reply,) = await replies(model, first)
    thread = (*first.messages, ChatMessage(Role.ASSISTANT, reply.answer), ChatMessage(Role.USER, "And where?"))
    before = metrics()["vllm:prefix_cache_hits_total"]
    (second,) = await replies(model, ChatRequest(thread, SHORT))
    shared = await model.count(first.messages) // 128 * 128
    assert metrics()["vllm:prefix_cache_hits_total"] - before >= shared > 0
    assert second.usage.cached >= shared


# ── judging ──────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_adapters_judge(model: ServedModel) -> None:
    """Scoring by an adapter reaches that adapter: the one says yes, the other no, the model itself is undecided."""
    prompts = [(ChatMessage(Role.USER, f"Is patch {number} right?"),) for number in range(8)]
    prm, orm, base = await asyncio.gather(
        model.affirm(prompts, model="prm"), model.affirm(prompts, model="orm"), model.affirm(prompts)
    )
    assert min(prm) > 0.95
    assert max(orm) < 0.05
    assert all(0.2 < value < 0.8 for value in base)
    assert len(prm) == len(orm) == len(base) == 8


async def test_an_adapter_that_is_not_there(model: ServedModel) -> None:
    """A name that the server does not know is told as such."""
    with pytest.raises(ModelError) as caught:
        await model.affirm([asked("Is it right?").messages], model="absent")
    assert caught.value.message.key == "model.model-not-found"


# ── ending it ────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_closing_the_stream_frees_the_server(model: ServedModel, metrics: Metrics) -> None:
    """Who closes the stream gets the engine idle within five seconds: all replies of the request stop growing."""
    await model.facts()
    async with aclosing(model.reply(asked("Think on and on.", ENDLESS, count=32))) as stream:
        async for item in stream:
            if isinstance(item, Delta):
                break
        assert metrics()[RUNNING] > 0
    assert await idle(metrics, 5.0) < 5.0
    generated = metrics()[GENERATED]
    await asyncio.sleep(1.0)
    assert metrics()[GENERATED] == generated


async def test_a_cancelled_task_frees_the_server(model: ServedModel, metrics: Metrics) -> None:
    """Cancelling the task that reads has the same effect as closing."""
    await model.facts()
    task = asyncio.create_task(everything(model, asked("Think on and on.", ENDLESS, count=32)))
    while not metrics()[RUNNING]:  # noqa: ASYNC110 (the server sets no event)
        await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert await idle(metrics, 5.0) < 5.0


@pytest.mark.parametrize("count", [1, 4])
async def test_thinking_has_a_budget(model: ServedModel, count: int) -> None:
    """Thinking that uses up its budget is closed, and an answer comes all the same."""
    found = await replies(model, asked("Think.", replace(SHORT, thinking_tokens=16, temperature=0.3), count=count))
    assert len(found) == count
    assert all(reply.usage.thinking <= 24 and reply.answer for reply in found)
    closed = [reply.closing for reply in found if reply.usage.thinking >= 12]
    assert closed
    assert set(closed) == {Closing.BUDGET}


async def test_an_answer_at_once(model: ServedModel, metrics: Metrics) -> None:
    """The user's wish closes the thinking of all replies; each gives an answer from what it has."""
    now = asyncio.Event()
    found: list[Reply] = []
    async with aclosing(model.reply(asked("Think.", ENDLESS, count=8), answer_now=now)) as stream:
        async for item in stream:
            if isinstance(item, Delta):
                now.set()
            if isinstance(item, Reply):
                found.append(item)
    assert sorted(reply.choice for reply in found) == list(range(8))
    assert all(reply.answer for reply in found)
    assert {reply.closing for reply in found} == {Closing.ANSWER_NOW}
    await idle(metrics, 5.0)


async def test_circles_are_broken(model: ServedModel) -> None:
    """Thinking that goes in circles is closed before its budget is used up, and an answer comes all the same."""
    (reply,) = await replies(model, asked("Think.", ENDLESS))
    assert reply.closing is Closing.REPETITION
    assert reply.usage.thinking < 2000
    assert reply.answer


# ── trouble ──────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_too_long_a_prompt(model: ServedModel) -> None:
    """A prompt beyond the served limit is the one trouble that may shrink it."""
    with pytest.raises(ModelError) as caught:
        await everything(model, asked("word " * 5000))
    assert caught.value.message.key == "model.context-overflow"


@pytest.mark.parametrize(("text", "limit"), [("word " * 5000, 16), ("short", 5000)], ids=["prompt", "limit"])
def test_the_wording_of_an_overflow(url: str, text: str, limit: int) -> None:
    """This release's own words for too many tokens are understood."""
    body = {"model": "tiny", "messages": [{"role": "user", "content": text}], "max_tokens": limit}
    answer = httpx.post(f"{url}/v1/chat/completions", json=body, timeout=60, trust_env=False)
    assert answer.status_code == 400
    assert classify(answer.status_code, answer.text) is Trouble.CONTEXT_OVERFLOW


async def test_a_limit_is_fitted_to_the_window(model: ServedModel) -> None:
    """More output than the window holds beside the prompt is not asked for: the reply comes, without a retry."""
    many = replace(SHORT, thinking_tokens=30_000, answer_tokens=8_000)
    items = await everything(model, asked("word " * 300, many))
    assert not any(isinstance(item, Retried) for item in items)
    assert any(isinstance(item, Reply) and item.answer for item in items)


async def test_a_model_that_is_not_there(url: str) -> None:
    """A wrong name is told as such, not as an unreachable server."""
    async with connect(url, model="absent", served=ServedSettings()) as served:
        with pytest.raises(ModelError) as caught:
            await served.facts()
    assert caught.value.message.key == "model.model-not-found"


async def test_many_at_once(model: ServedModel, metrics: Metrics) -> None:
    """Sixteen requests at once all come to their ends, and leave nothing running."""
    found = await asyncio.gather(*(replies(model, asked(f"Question {number}.", count=2)) for number in range(16)))
    assert all(len(both) == 2 and all(reply.answer for reply in both) for both in found)
    await idle(metrics, 5.0)
