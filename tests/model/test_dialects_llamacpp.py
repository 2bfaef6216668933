"""The client against llama.cpp's real server, with a model whose every probability is known (see `tiny`)."""

import asyncio
import re
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack, aclosing

import httpx
import pytest
import tiny

from thinklonger.agent.chat import (
    ChatMessage,
    ChatRequest,
    Closing,
    Delta,
    Dialect,
    Finish,
    Part,
    Reply,
    Role,
    Sampling,
)
from thinklonger.agent.config import ServedSettings
from thinklonger.agent.errors import ModelError
from thinklonger.agent.model import connect
from thinklonger.agent.model.embedded import EmbeddedServer, open_gguf
from thinklonger.agent.model.served import ServedModel

CONTEXT = 8192
QUESTION = (ChatMessage(Role.USER, "Is the total rounded up?"),)
GREEDY = Sampling(temperature=0.0, thinking_tokens=4000, answer_tokens=50)
"""At temperature 0 this model's thinking never ends."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedServer]:
    """The real server, once for all tests here."""
    file = tmp_path_factory.mktemp("gguf") / "tiny.gguf"
    tiny.write(file)
    stack = AsyncExitStack()
    with asyncio.Runner() as runner:
        yield runner.run(stack.enter_async_context(open_gguf(file, context=CONTEXT, parallel=3)))
        runner.run(stack.aclose())


def client(server: EmbeddedServer) -> ServedModel:
    """A client of its own for each test."""
    return connect(server.url, model="", served=ServedSettings(), key=server.key)


def ask(count: int = 1, sampling: Sampling | None = None) -> ChatRequest:
    """The question, with room to think."""
    return ChatRequest(QUESTION, sampling or Sampling(temperature=0.8, thinking_tokens=4000, answer_tokens=50), count)


async def replies(model: ServedModel, request: ChatRequest, *, now: asyncio.Event | None = None) -> list[Reply]:
    """The whole replies, by choice."""
    found = [item async for item in model.reply(request, answer_now=now) if isinstance(item, Reply)]
    return sorted(found, key=lambda reply: reply.choice)


async def idle_after(server: EmbeddedServer) -> float:
    """Seconds until no slot works any more."""
    began = time.monotonic()
    headers = {"authorization": f"Bearer {server.key}"}
    async with httpx.AsyncClient(headers=headers) as http:
        while any(slot["is_processing"] for slot in (await http.get(server.url + "/slots")).json()):
            await asyncio.sleep(0.01)
            assert time.monotonic() - began < 5
    return time.monotonic() - began


async def test_what_the_real_server_can_do_is_found_out(server: EmbeddedServer) -> None:
    """Probing sees the thinking field, several choices, probabilities, the tokenizer and a slot's own context."""
    async with client(server) as model:
        facts = await model.facts()
    assert facts.dialect is Dialect.REASONING_CONTENT
    assert facts.context == CONTEXT
    assert (facts.model, facts.several, facts.logprobs, facts.counts_tokens) == ("tiny", True, True, True)
    assert facts.server.startswith("llama.cpp")


async def test_thinking_and_answer_stream_apart(server: EmbeddedServer) -> None:
    """What streams is what the whole reply says, thinking and answer apart, as the model was made to speak."""
    streamed = {Part.THINK: "", Part.ANSWER: ""}
    reply: Reply | None = None
    async with client(server) as model:
        async for item in model.reply(ask()):
            if isinstance(item, Delta):
                streamed[item.part] += item.text
            elif isinstance(item, Reply):
                reply = item
    assert reply is not None
    assert re.fullmatch(r"(Wait,)+", reply.think)
    assert reply.answer in {"Yes.", "No."}
    assert reply.finish is Finish.STOP
    assert (streamed[Part.THINK].strip(), streamed[Part.ANSWER].strip()) == (reply.think, reply.answer)


async def test_three_replies_come_from_one_request(server: EmbeddedServer) -> None:
    """The slots answer side by side, and the replies differ."""
    async with client(server) as model:
        found = await replies(model, ask(3))
    assert [reply.choice for reply in found] == [0, 1, 2]
    assert len({reply.think for reply in found}) > 1
    assert {reply.answer for reply in found} <= {"Yes.", "No."}


async def test_more_replies_than_slots_are_had_too(server: EmbeddedServer) -> None:
    """Where one request can't have so many choices, several requests bring them."""
    async with client(server) as model:
        found = await replies(model, ask(5))
    assert [reply.choice for reply in found] == [0, 1, 2, 3, 4]
    assert all(reply.answer in {"Yes.", "No."} for reply in found)


async def test_tokens_are_counted_by_the_real_tokenizer(server: EmbeddedServer) -> None:
    """`count` is what the server then says that the prompt has."""
    async with client(server) as model:
        counted = await model.count(QUESTION)
        (reply,) = await replies(model, ask())
    assert counted == reply.usage.prompt


async def test_the_probability_of_yes_is_the_models_own(server: EmbeddedServer) -> None:
    """The tiny model says yes with probability 0.75, and that is what is read off its first token."""
    async with client(server) as model:
        scores = await model.affirm([QUESTION, QUESTION])
    assert scores == pytest.approx([tiny.YES, tiny.YES], abs=0.002)


async def test_leaving_frees_the_slot(server: EmbeddedServer) -> None:
    """A reply that nobody reads any more stops: its slot is idle within the five seconds that are promised."""
    async with client(server) as model:
        await model.facts()
        async with aclosing(model.reply(ask(2, GREEDY))) as running:
            async for item in running:
                if isinstance(item, Delta):
                    break
        assert await idle_after(server) < 5


async def test_thinking_is_closed_when_its_budget_is_used_up(server: EmbeddedServer) -> None:
    """Thinking without end is closed by force, and the answer comes all the same."""
    sampling = Sampling(temperature=0.0, thinking_tokens=60, answer_tokens=50)
    async with client(server) as model:
        (reply,) = await replies(model, ask(1, sampling))
    assert reply.closing is Closing.BUDGET
    assert reply.answer in {"Yes.", "No."}
    assert 20 <= reply.usage.thinking <= 60 + 50  # on a busy machine the server runs on to its own limit


async def test_going_in_circles_is_noticed(server: EmbeddedServer) -> None:
    """A model that says the same again and again is stopped long before its budget, and asked for its answer."""
    async with client(server) as model:
        (reply,) = await replies(model, ask(1, GREEDY))
    assert reply.closing is Closing.REPETITION
    assert reply.usage.thinking < GREEDY.thinking_tokens
    assert reply.answer in {"Yes.", "No."}


async def test_the_user_can_have_the_answer_now(server: EmbeddedServer) -> None:
    """Setting `answer_now` ends the thinking of a reply that would go on."""
    now = asyncio.Event()
    found: list[Reply] = []
    async with client(server) as model:
        async for item in model.reply(ask(1, GREEDY), answer_now=now):
            if isinstance(item, Delta):
                now.set()
            elif isinstance(item, Reply):
                found.append(item)
    assert [reply.closing for reply in found] == [Closing.ANSWER_NOW]
    assert found[0].answer in {"Yes.", "No."}


async def test_a_prompt_that_is_too_long_is_an_overflow(server: EmbeddedServer) -> None:
    """A prompt beyond the slot's context is told as such, and as nothing else."""
    long = (ChatMessage(Role.USER, "x" * (CONTEXT + 100)),)
    async with client(server) as model:
        with pytest.raises(ModelError) as caught:
            await replies(model, ChatRequest(long))
    assert caught.value.message.key == "model.context-overflow"


async def test_a_shared_prompt_is_remembered(server: EmbeddedServer) -> None:
    """The second reply to the same prompt finds its tokens cached."""
    messages = (ChatMessage(Role.USER, "The repository holds these files. " * 30),)
    request = ChatRequest(messages, Sampling(thinking_tokens=4000, answer_tokens=50))
    async with client(server) as model:
        found = [(await replies(model, request))[0].usage for _ in range(2)]
    assert found[1].cached > 0.9 * found[1].prompt


async def test_a_wrong_key_is_refused(server: EmbeddedServer) -> None:
    """Another program on this machine can't use the server."""
    async with connect(server.url, model="", served=ServedSettings(), key="guessed") as model:
        with pytest.raises(ModelError) as caught:
            await model.facts()
    assert caught.value.message.key == "model.auth"
