"""The client against every dialect: the same reply out of each, several at once, cancelled, with its tokens counted."""

import asyncio
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import aclosing

import pytest
from bare_server import DONE, STREAM, Call, Send, answer, bare, event

from thinklonger.agent.chat import ChatMessage, ChatRequest, Delta, Dialect, Finish, Part, Reply, Role, Sampling
from thinklonger.agent.config import ServedSettings
from thinklonger.agent.errors import ModelError
from thinklonger.agent.model import connect
from thinklonger.agent.model.replay import Product, Rule, Script, ScriptedReply, serve
from thinklonger.agent.model.served import ServedModel

THINK = "The total is read first.\n```\ntext = '</think>'\n```\nThen it is rounded."
REPLIES = tuple(ScriptedReply(think=f"{THINK} {n}", answer=f"<answer>\nfix {n}\n</answer>") for n in range(4))
SCRIPT = Script(rules=(Rule(last="Which", replies=REPLIES),), adapters=("prm",), slots=4)


def model_at(url: str, *, name: str = "", key: str = "", **settings: float) -> ServedModel:
    """A client with these settings."""
    return connect(url, model=name, served=ServedSettings(**settings), key=key)  # pyright: ignore[reportArgumentType] (ints among them)


def ask(text: str = "Which?", *, count: int = 1, sampling: Sampling | None = None, model: str = "") -> ChatRequest:
    """A request of one message."""
    return ChatRequest((ChatMessage(Role.USER, text),), sampling or Sampling(), count, model)


async def gather(model: ServedModel, request: ChatRequest, *, now: asyncio.Event | None = None) -> list[object]:
    """All that comes."""
    return [item async for item in model.reply(request, answer_now=now)]


def replies(items: Sequence[object]) -> list[Reply]:
    """The whole replies, by choice."""
    return sorted((item for item in items if isinstance(item, Reply)), key=lambda reply: reply.choice)


def streamed(items: Sequence[object], part: Part, choice: int = 0) -> str:
    """The text that was streamed of one part."""
    return "".join(
        item.text for item in items if isinstance(item, Delta) and (item.part, item.choice) == (part, choice)
    )


@pytest.mark.parametrize("product", Product)
async def test_every_dialect_gives_the_same_reply(product: Product) -> None:
    """Thinking and answer are told apart whatever carries them, with tags in code and without an opening tag."""
    async with serve(SCRIPT, dialect=product) as server, model_at(server.url) as model:
        items = await gather(model, ask())
        (reply,) = replies(items)
        assert (reply.think, reply.answer) == (f"{THINK} 0", "<answer>\nfix 0\n</answer>")
        assert reply.finish is Finish.STOP
        assert not reply.salvaged
        assert streamed(items, Part.THINK).strip() == reply.think
        assert streamed(items, Part.ANSWER).strip() == reply.answer
        (asked,) = server.texts
        assert asked.body["stream"] is True
        limit = Sampling().thinking_tokens + Sampling().answer_tokens
        assert 64 <= int(str(asked.body["max_tokens"])) <= limit


@pytest.mark.parametrize("product", Product)
async def test_several_replies_by_one_request_or_by_several(product: Product) -> None:
    """Four replies come, each once, by one request where the server can, else by four that differ in the seed only."""
    async with serve(SCRIPT, dialect=product) as server, model_at(server.url) as model:
        items = await gather(model, ask(count=4))
        assert [reply.choice for reply in replies(items)] == [0, 1, 2, 3]
        assert sorted(reply.answer for reply in replies(items)) == sorted(reply.answer for reply in REPLIES)
        for reply in replies(items):
            assert streamed(items, Part.THINK, reply.choice).strip() == reply.think
        bodies = [dict(seen.body) for seen in server.texts]
        if (await model.facts()).several:
            assert [body["n"] for body in bodies] == [4]
        else:
            assert sorted(int(str(body.pop("seed"))) for body in bodies) == [0, 1, 2, 3]
            assert bodies == [bodies[0]] * 4


async def test_facts_are_probed_once() -> None:
    """However many ask at once, the server is probed by one of them."""
    async with serve(SCRIPT) as server, model_at(server.url) as model:
        facts = await asyncio.gather(*(model.facts() for _ in range(5)))
        asked = len(server.calls)
        assert facts == [facts[0]] * 5
        await model.facts()
        assert len(server.calls) == asked
        assert server.calls.count("GET /v1/models") == 1


async def test_more_than_the_slots_are_asked_for_in_turns() -> None:
    """A server that refuses so many replies at once gets several requests, and is not asked for as many again."""
    script = Script(rules=(Rule(replies=REPLIES * 2),), slots=2)
    async with serve(script, dialect=Product.LLAMA_CPP) as server, model_at(server.url) as model:
        assert len(replies(await gather(model, ask(count=4)))) == 4
        assert len(replies(await gather(model, ask(count=4)))) == 4
        accepted = [seen.body.get("n", 1) for seen in server.texts if seen.status == 200]
        assert accepted == [2, 2, 2, 2]


async def test_an_adapter_is_asked_by_its_name() -> None:
    """The request's model goes to the server; the prompt is the same."""
    async with serve(SCRIPT) as server, model_at(server.url) as model:
        await gather(model, ask(model="prm"))
        assert server.texts[-1].body["model"] == "prm"
        assert (await model.facts()).adapters == ("prm",)


async def test_tokens_are_the_servers() -> None:
    """Thinking and answer are counted by the server where it does, with what of the prompt it had."""
    async with serve(SCRIPT) as server, model_at(server.url) as model:
        first, second = [replies(await gather(model, ask("Which? " * 200)))[0] for _ in range(2)]
        seen = server.texts[0]
        assert first.usage.counted
        assert first.usage.prompt == seen.tokens
        assert first.usage.thinking + first.usage.answer == seen.sent
        assert first.usage.thinking > first.usage.answer > 0
        assert second.usage.cached > 0


async def test_tokens_of_a_server_that_counts_none_are_estimated() -> None:
    """The estimate says that it is one."""

    async def handle(_: Call, send: Send) -> None:
        await send(STREAM + event({"reasoning": "abcd" * 10}) + event({"content": "fg"}, finish="stop") + DONE)

    async with bare(handle) as server, model_at(server.url) as model:
        (reply,) = replies(await gather(model, ask()))
        assert not reply.usage.counted
        assert 8 <= reply.usage.thinking <= 12
        assert reply.usage.prompt > 0


async def test_closing_the_stream_closes_the_connection() -> None:
    """Whoever stops listening frees the server, within a second."""
    rambling = ScriptedReply(think="Hm. " * 2000, answer="x", per_chunk=0.005)
    async with serve(Script(rules=(Rule(replies=(rambling,) * 4),))) as server, model_at(server.url) as model:
        async with aclosing(model.reply(ask(count=4))) as stream:
            async for _ in stream:
                break
            began = time.monotonic()
        assert time.monotonic() - began < 1
        await asyncio.wait_for(server.idle(), 1)
        assert server.texts[0].left is not None


async def test_cancelling_the_task_closes_the_connection() -> None:
    """Also while nothing comes at all."""
    silent = ScriptedReply(think="Hm.", answer="x", first_byte=60)
    async with serve(Script(rules=(Rule(replies=(silent,) * 4),))) as server, model_at(server.url) as model:
        await model.facts()
        task = asyncio.create_task(gather(model, ask(count=2)))
        while not server.running:  # noqa: ASYNC110 (the server has no event for it)
            await asyncio.sleep(0.01)
        task.cancel()
        began = time.monotonic()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert time.monotonic() - began < 1
        await asyncio.wait_for(server.idle(), 1)


async def test_an_answer_inside_the_thinking_is_salvaged() -> None:
    """A reply whose answer stands in its thinking only is used, and says so."""
    reply = ScriptedReply(think="So it is:\n<answer>\na.py\n</answer>\n", answer="")
    async with serve(Script(rules=(Rule(replies=(reply,)),))) as server, model_at(server.url) as model:
        (got,) = replies(await gather(model, ask()))
        assert got.salvaged
        assert got.answer == "<answer>\na.py\n</answer>"
        assert len(server.texts) == 1


async def test_events_cut_anywhere_are_read() -> None:
    """Bytes come in any pieces, with comments between events, carriage returns, and letters cut in two."""
    whole = (
        b": ping\n\n"
        + event({"role": "assistant", "content": ""})
        + event({"reasoning_text": "思考 é "}).replace(b"\n\n", b"\r\n\r\n")
        + event({"content": "fin"}, usage=None)
        + b": ping\n\n"
        + event({"content": "é"}, finish="stop")
        + b'data: {"choices":[],"usage":{"prompt_tokens":5,"completion_tokens":9}}\n\ndata: [DONE]\n\n'
    )

    async def handle(_: Call, send: Send) -> None:
        await send(STREAM)
        for place in range(len(whole)):
            await send(whole[place : place + 1])

    async with bare(handle) as server, model_at(server.url) as model:
        (reply,) = replies(await gather(model, ask()))
        assert (reply.think, reply.answer) == ("思考 é", "finé")
        assert (reply.usage.prompt, reply.usage.thinking + reply.usage.answer, reply.usage.counted) == (5, 9, True)


async def test_a_server_that_does_not_stream_is_understood() -> None:
    """A whole JSON reply to a streaming request is a reply, and a stream needs no [DONE]."""

    async def whole(_: Call, send: Send) -> None:
        message = {"role": "assistant", "content": "four", "reasoning_content": "2+2"}
        await send(answer("200 OK", {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}))

    async def open_ended(_: Call, send: Send) -> None:
        await send(STREAM + event({"content": "four"}) + event(finish="stop"))

    for handle in (whole, open_ended):
        async with bare(handle) as server, model_at(server.url) as model:
            (reply,) = replies(await gather(model, ask()))
            assert reply.answer == "four"
            assert reply.finish is Finish.STOP


async def test_the_key_is_sent_and_never_shown() -> None:
    """It stands in the header of every request, and in no error, even when the server repeats it."""
    key = "sk-very-secret-1234"

    async def handle(_: Call, send: Send) -> None:
        await send(answer("401 Unauthorized", {"error": {"message": f"Incorrect API key provided: {key}"}}))

    async with bare(handle, probes=False) as server, model_at(server.url, key=key) as model:
        with pytest.raises(ModelError) as failed:
            await gather(model, ask())
        assert failed.value.message.key == "model.auth"
        assert all(call.headers["authorization"] == f"Bearer {key}" for call in server.calls)
        assert key not in f"{failed.value} {failed.value.remedy} {failed.value.message} {model.url}"
    with pytest.raises(ModelError) as refused:
        model_at("http://127.0.0.1:1", key=f"{key}\nx")
    assert key not in str(refused.value)


async def test_redirects_are_not_followed() -> None:
    """Only the endpoint that was named is ever contacted."""

    async def elsewhere(_: Call, send: Send) -> None:
        await send(STREAM + event({"content": "no"}, finish="stop") + DONE)

    async with bare(elsewhere) as other:

        async def handle(_: Call, send: Send) -> None:
            await send(answer("307 Temporary Redirect", {}, f"location: {other.url}/v1/chat/completions"))

        async with bare(handle) as server, model_at(server.url) as model:
            with pytest.raises(ModelError) as failed:
                await gather(model, ask())
            assert failed.value.message.key == "model.unreachable"
        assert other.calls == []


async def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy would be one more endpoint, which nobody named."""
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    async with serve(SCRIPT) as server, model_at(server.url) as model:
        assert replies(await gather(model, ask()))


@pytest.mark.parametrize(
    ("url", "base", "root", "shown"),
    [
        ("http://h:8000", "http://h:8000/v1", "http://h:8000", "http://h:8000"),
        ("http://h:8000/", "http://h:8000/v1", "http://h:8000", "http://h:8000"),
        ("http://h/v1/", "http://h/v1", "http://h", "http://h/v1"),
        ("http://h/v1/chat/completions", "http://h/v1", "http://h", "http://h/v1"),
        ("https://h/team/v1", "https://h/team/v1", "https://h/team", "https://h/team/v1"),
        ("https://h/openai", "https://h/openai", "https://h", "https://h/openai"),
        ("http://user:secret@h:1/v1", "http://user:secret@h:1/v1", "http://user:secret@h:1", "http://h:1/v1"),
        ("http://[::1]:8000", "http://[::1]:8000/v1", "http://[::1]:8000", "http://[::1]:8000"),
    ],
)
async def test_addresses(url: str, base: str, root: str, shown: str) -> None:
    """With or without /v1; a password in the URL is not shown."""
    from thinklonger.agent.model.channel import Address  # noqa: PLC0415 (what is shown here stays internal)

    assert Address.of(url) == Address(base, root, shown)


@pytest.mark.parametrize("url", ["", "builtin", "ftp://h", "http://", "http://h:port", "//h"])
def test_what_is_no_address(url: str) -> None:
    """It is said at once, with an example."""
    with pytest.raises(ModelError) as failed:
        model_at(url)
    assert failed.value.message.key == "model.not-a-url"
    assert failed.value.remedy is not None


async def test_sampling_goes_to_the_server() -> None:
    """Temperature, top-p, seed, stop and the output limit are as asked; thinking can be left out."""
    sampling = Sampling(temperature=0.9, top_p=0.5, seed=7, answer_tokens=100, thinking_tokens=0, stop=("</answer>",))
    async with serve(SCRIPT) as server, model_at(server.url) as model:
        await gather(model, ask(sampling=sampling))
        body = server.texts[0].body
        sent = {name: body[name] for name in ("temperature", "top_p", "seed", "stop", "max_tokens")}
        assert sent == {"temperature": 0.9, "top_p": 0.5, "seed": 7, "stop": ["</answer>"], "max_tokens": 100}
        assert body["chat_template_kwargs"] == {"enable_thinking": False, "thinking": False}


async def test_a_slow_reader_loses_nothing() -> None:
    """Text waits for whoever reads slowly; the server is not read faster than that."""
    long = ScriptedReply(think=" ".join(str(n) for n in range(4000)), answer="four", tokens_per_chunk=1)
    async with serve(Script(rules=(Rule(replies=(long,)),))) as server, model_at(server.url) as model:
        items: list[object] = []
        async for item in model.reply(ask()):
            items.append(item)
            if len(items) % 1000 == 0:
                await asyncio.sleep(0.01)
        (reply,) = replies(items)
        assert streamed(items, Part.THINK).strip() == reply.think
        assert reply.answer == "four"


async def test_the_dialect_is_seen() -> None:
    """Where thinking comes is probed by behaviour."""
    for product, dialect in (
        (Product.VLLM, Dialect.REASONING),
        (Product.SGLANG, Dialect.REASONING_CONTENT),
        (Product.TAGS_OPEN, Dialect.TAGS),
    ):
        async with serve(SCRIPT, dialect=product) as server, model_at(server.url) as model:
            assert (await model.facts()).dialect is dialect


def test_the_http_library_is_loaded_with_the_first_model_only() -> None:
    """Who names no server pays nothing for one."""
    names = "thinklonger.cli, thinklonger.agent.pipeline, thinklonger.agent.model"
    program = f"import sys, {names}; print('httpx' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
