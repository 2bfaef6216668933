"""Probing by behaviour: what each server can do, its context limit, its tokens, yes-or-no questions, servers found."""

import asyncio
import math
from dataclasses import replace

import pytest
from bare_server import DONE, NOT_FOUND, STREAM, Call, Send, answer, bare, event
from hypothesis import given
from hypothesis import strategies as st
from test_client import ask, gather, model_at, replies

from thinklonger.agent.chat import ChatMessage, Dialect, Role, Trouble
from thinklonger.agent.errors import ModelError
from thinklonger.agent.model import find_servers, finding
from thinklonger.agent.model.affirming import masses_of
from thinklonger.agent.model.counting import estimate, estimate_text
from thinklonger.agent.model.probing import ASSUMED_CONTEXT
from thinklonger.agent.model.replay import Fault, FaultKind, Product, Rule, Script, ScriptedReply, ScriptedScore, serve
from thinklonger.agent.model.replay.products import TRAITS, Several
from thinklonger.agent.model.troubles import trouble_of
from thinklonger.agent.model.wire import PlaceTokens, TopToken

SCRIPT = Script(rules=(Rule(replies=(ScriptedReply(answer="a"),)),), context=12345, adapters=("prm", "orm"))
QUESTION = (ChatMessage(Role.USER, "Is total.py the right file?"),)
OTHER = (ChatMessage(Role.USER, "Is zebra.py the right file?"),)


@pytest.mark.parametrize("product", Product)
async def test_what_each_server_can_do(product: Product) -> None:
    """Dialect, several replies, probabilities, adapters: as the server behaves."""
    traits = TRAITS[product]
    async with serve(SCRIPT, dialect=product) as server, model_at(server.url) as model:
        facts = await model.facts()
        assert facts.model == "replay"
        assert facts.dialect is traits.thinking
        assert facts.several is (traits.several is not Several.IGNORED)
        assert facts.logprobs is traits.logprobs
        assert set(facts.adapters) == {"prm", "orm"}
        assert facts.counts_tokens is ("/tokenize" in traits.paths)
        assert server.texts == []


@pytest.mark.parametrize(
    ("product", "context"),
    [
        (Product.VLLM, 12345),
        (Product.SGLANG, 12345),
        (Product.LLAMA_CPP, 12345),
        (Product.LM_STUDIO, 12345),
        (Product.OLLAMA, 12345),
        (Product.TRANSFORMERS, ASSUMED_CONTEXT),
    ],
)
async def test_the_served_limit_is_found(product: Product, context: int) -> None:
    """Where each server tells it, never the training length; where none does, little is assumed."""
    async with serve(SCRIPT, dialect=product) as server, model_at(server.url) as model:
        assert (await model.facts()).context == context


@pytest.mark.parametrize(("wanted", "context"), [(4096, 4096), (99999, 12345)])
async def test_the_smaller_limit_counts(wanted: int, context: int) -> None:
    """The settings can lower the limit, and can't raise it above what is served."""
    async with serve(SCRIPT) as server, model_at(server.url, context=wanted) as model:
        assert (await model.facts()).context == context


async def test_settings_tell_a_limit_that_no_server_tells() -> None:
    """Then they are believed."""
    async with serve(SCRIPT, dialect=Product.TRANSFORMERS) as server, model_at(server.url, context=20000) as model:
        assert (await model.facts()).context == 20000


async def test_ollama_serves_less_than_the_model_was_trained_for() -> None:
    """Its limit is what is loaded, else what the model's file sets, else its default; `context_length` is neither."""
    show: dict[str, object] = {"model_info": {"qwen3.context_length": 40960}, "parameters": "stop x\nnum_ctx  8192"}
    running: list[dict[str, object]] = []

    async def handle(call: Call, send: Send) -> None:
        if call.path == "/api/show":
            await send(answer("200 OK", show))
        elif call.path == "/api/ps":
            await send(answer("200 OK", {"models": running}))
        else:
            await send(NOT_FOUND)

    async def limit() -> int:
        async with bare(handle, aside=handle) as server, model_at(server.url) as model:
            return (await model.facts()).context

    assert await limit() == 8192
    show["parameters"] = ""
    assert await limit() == 4096
    running.append({"name": "m:latest", "context_length": 16384})
    assert await limit() == 16384


async def test_a_model_that_is_not_there() -> None:
    """It is told by its name, with the server's words."""
    fault = Fault(kind=FaultKind.NO_MODEL, times=0)
    async with serve(replace_faults(fault)) as server, model_at(server.url, name="missing") as model:
        with pytest.raises(ModelError) as failed:
            await model.facts()
        assert trouble_of(failed.value) is Trouble.MODEL_NOT_FOUND
        assert "missing" in str(failed.value)


def replace_faults(*faults: Fault) -> Script:
    """The script behind faults that meet every request."""
    return Script(rules=SCRIPT.rules, faults=faults)


async def test_a_server_that_loads_is_waited_for() -> None:
    """Probing waits as replies do."""
    fault = Fault(kind=FaultKind.LOADING, times=1)
    async with serve(replace_faults(fault)) as server, model_at(server.url) as model:
        assert (await model.facts()).model == "replay"


async def test_a_thinking_that_the_template_opens_is_seen() -> None:
    """Without an opening tag in the text, the rendered prompt's end tells; else the first reply does."""
    reply = ScriptedReply(think="I think of <answer>.", answer="<answer>\na\n</answer>")
    script = Script(rules=(Rule(replies=(reply,) * 2),))
    async with serve(script, dialect=Product.TAGS_OPEN) as server, model_at(server.url) as model:
        for _ in range(2):
            (got,) = replies(await gather(model, ask()))
            assert (got.think, got.answer) == (reply.think, reply.answer)


@pytest.mark.parametrize("product", [Product.VLLM, Product.LLAMA_CPP])
async def test_prompts_are_counted_by_the_served_tokenizer(product: Product) -> None:
    """The count is that of the prompt which the server then sees; the same prompt is counted once."""
    async with serve(SCRIPT, dialect=product) as server, model_at(server.url) as model:
        counted = await model.count(ask("Which file? " * 40).messages)
        calls = len(server.calls)
        assert await model.count(ask("Which file? " * 40).messages) == counted
        assert len(server.calls) == calls
        await gather(model, ask("Which file? " * 40))
        assert server.texts[0].tokens == counted


@pytest.mark.parametrize("product", [Product.OLLAMA, Product.SGLANG])
async def test_without_a_tokenizer_tokens_are_never_too_few(product: Product) -> None:
    """The estimate is at least what the server counts."""
    async with serve(SCRIPT, dialect=product) as server, model_at(server.url) as model:
        request = ask("def total(lines):\n    return sum(line.amount for line in lines)  # 合计金额\n" * 20)
        counted = await model.count(request.messages)
        await gather(model, request)
        assert server.texts[0].tokens <= counted <= 3 * server.texts[0].tokens


@given(st.text(max_size=200), st.text(max_size=200))
def test_estimates_grow_with_the_text(one: str, two: str) -> None:
    """More text is never estimated at fewer tokens, beyond what rounding explains."""
    assert estimate_text(one + two) >= max(estimate_text(one), estimate_text(two)) - 3
    assert estimate((ChatMessage(Role.USER, one),)) > estimate_text(one)


@pytest.mark.parametrize(
    ("text", "least", "most"),
    [
        ("the quick brown fox jumps over the lazy dog " * 10, 90, 200),
        ("1234567890" * 10, 100, 110),
        ("合计金额应该先取整再相加" * 10, 80, 200),
        ("    return self.total + other.total\n" * 10, 90, 220),
        ("aGVsbG8gd29ybGQ" * 40, 240, 400),
    ],
)
def test_estimates_are_about_right(text: str, least: int, most: int) -> None:
    """English, digits, Chinese, code, data: not too few, and not absurdly many."""
    assert least <= estimate_text(text) <= most


@pytest.mark.parametrize("product", [Product.VLLM, Product.SGLANG, Product.TAGS, Product.LLAMA_CPP])
async def test_yes_or_no_is_read_off_the_first_token(product: Product) -> None:
    """Exactly the probability that the server gives, for all questions at once, asked of the adapter."""
    scores = (
        ScriptedScore(prompt="total", probability=0.83, model="prm"),
        ScriptedScore(prompt="zebra", probability=0.02),
    )
    async with (
        serve(Script(scores=scores, adapters=("prm",)), dialect=product) as server,
        model_at(server.url) as model,
    ):
        got = await model.affirm([QUESTION, OTHER, QUESTION], model="prm")
        assert got == pytest.approx([0.83, 0.02, 0.83], abs=0.01)
        asked = [seen for seen in server.requests if seen.body.get("model") == "prm"]
        assert len(asked) == 3
        assert all(seen.body["max_tokens"] == 1 for seen in asked)


@pytest.mark.parametrize("product", [Product.OLLAMA, Product.LM_STUDIO])
async def test_without_probabilities_answers_are_drawn(product: Product) -> None:
    """Eight short replies, seeds of their own; the share of yes, never quite sure."""
    scores = (ScriptedScore(prompt="total", probability=0.75), ScriptedScore(prompt="zebra", probability=0.0))
    async with serve(Script(scores=scores), dialect=product) as server, model_at(server.url) as model:
        likely, unlikely = await model.affirm([QUESTION, OTHER])
        assert 0.6 <= likely <= 0.85
        assert 0 < unlikely < 0.1
        seeds = [seen.body["seed"] for seen in server.requests if "zebra" in str(seen.body["messages"])]
        assert sorted(map(str, seeds)) == [str(seed) for seed in range(8)]


async def test_a_model_that_thinks_first_is_begun_for() -> None:
    """Where the template can't leave thinking out, an empty one is given; the first token is then the answer's."""
    likely = [{"token": "Yes", "logprob": math.log(0.6)}, {"token": "No", "logprob": math.log(0.2)}]

    async def handle(call: Call, send: Send) -> None:
        begun = call.body["messages"][-1]["role"] == "assistant"
        place = {"token": "Yes", "logprob": math.log(0.6), "top_logprobs": likely} if begun else None
        place = place or {
            "token": "<think>",
            "logprob": -0.001,
            "top_logprobs": [{"token": "<think>", "logprob": -0.001}],
        }
        choice = {"index": 0, "delta": {"content": "x"}, "logprobs": {"content": [place]}, "finish_reason": "length"}
        await send(STREAM + event(choices=[choice]) + DONE)

    async with bare(handle, probes=False) as server, model_at(server.url, name="m") as model:
        known = await model._learn()
        known.facts = replace(known.facts, continues=True, logprobs=True)
        assert await model.affirm([QUESTION]) == pytest.approx([0.75])
        asked = len(server.calls)
        assert await model.affirm([QUESTION, QUESTION]) == pytest.approx([0.75, 0.75])
        assert len(server.calls) == asked + 2


async def test_a_template_that_cannot_be_begun_for_is_drawn_from() -> None:
    """Neither way gives a first token that is an answer: short replies are drawn."""

    async def handle(call: Call, send: Send) -> None:
        if call.body.get("continue_final_message"):
            await send(
                answer("400 Bad Request", {"error": {"message": "prefill is incompatible with enable_thinking"}})
            )
            return
        place = {"token": "<think>", "logprob": 0.0, "top_logprobs": [{"token": "<think>", "logprob": 0.0}]}
        choice = {"index": 0, "delta": {"content": "Yes."}, "logprobs": {"content": [place]}, "finish_reason": "stop"}
        await send(STREAM + event(choices=[choice]) + DONE)

    async with bare(handle, probes=False) as server, model_at(server.url, name="m") as model:
        known = await model._learn()
        known.facts = replace(known.facts, continues=True, logprobs=True)
        assert (await model.affirm([QUESTION]))[0] > 0.9


async def test_questions_are_asked_at_once() -> None:
    """Twenty questions take as long as one."""
    slow = Fault(kind=FaultKind.SLOW, seconds=0.3, times=0)
    scores = (ScriptedScore(prompt="file", probability=0.5, faults=(slow,)),)
    async with serve(Script(scores=scores)) as server, model_at(server.url) as model:
        await model.facts()
        assert len(await model.affirm([QUESTION] * 20)) == 20
        assert server.most_running >= 10


async def test_a_question_meets_trouble_as_replies_do() -> None:
    """What passes is tried again; what lasts is an error."""
    for times, works in ((1, True), (0, False)):
        scores = (ScriptedScore(probability=0.9, faults=(Fault(kind=FaultKind.RATE, times=times, seconds=0.01),)),)
        async with serve(Script(scores=scores)) as server, model_at(server.url, retries=1) as model:
            if works:
                assert await model.affirm([QUESTION]) == pytest.approx([0.9], abs=0.01)
            else:
                with pytest.raises(ModelError):
                    await model.affirm([QUESTION])


@pytest.mark.parametrize(
    ("tokens", "share"),
    [
        ({"Yes": 0.6, "No": 0.2}, 0.75),
        ({"yes": 0.3, " Yes": 0.3, "NO": 0.1, "n": 0.1}, 0.75),
        ({"Y": 0.6, "▁No": 0.2, "Maybe": 0.2}, 0.75),
        ({"**Yes": 0.9, "Note": 0.1}, 1.0),
    ],
)
def test_all_spellings_count(tokens: dict[str, float], share: float) -> None:
    """Any case, blanks and signs around it, or only the first letters as a small vocabulary cuts them."""
    tops = [TopToken(token, math.log(value)) for token, value in tokens.items()]
    assert masses_of(PlaceTokens(tops[0].token, tops[0].logprob, tops)).share == pytest.approx(share)


async def test_servers_on_this_machine_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of the usual ports is asked; what does not speak the API, or never answers, is none."""

    async def silent(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(30)
        writer.close()

    hung = await asyncio.start_server(silent, "127.0.0.1", 0)
    async with serve(SCRIPT, dialect=Product.SGLANG) as one, serve(SCRIPT, dialect=Product.OLLAMA) as two:
        ports = (one.port, 9, hung.sockets[0].getsockname()[1], two.port)
        monkeypatch.setattr(finding, "PORTS", ports)
        found = await find_servers(seconds=0.5)
        assert [server.url for server in found] == [f"http://127.0.0.1:{port}" for port in (one.port, two.port)]
        assert found[0].server == "SGLang"
        assert found[0].models == ("replay", "prm", "orm")
    hung.close()


async def test_the_name_is_the_servers_where_none_was_given() -> None:
    """Until then it is what was given."""
    async with serve(SCRIPT) as server, model_at(server.url) as model:
        assert model.name == ""
        assert (await model.facts()).dialect is Dialect.REASONING
        assert model.name == "replay"


async def test_the_key_goes_to_servers_that_ask_for_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that wants a key is found without it, and its models with it; no other one gets to see it."""

    async def handle(_: Call, send: Send) -> None:
        await send(NOT_FOUND)

    async with serve(Script(key="secret"), dialect=Product.VLLM) as locked, bare(handle) as other:
        monkeypatch.setattr(finding, "PORTS", (locked.port, int(other.url.rpartition(":")[2])))
        assert [server.models for server in await find_servers()] == [(), ("m",)]
        assert [server.models for server in await find_servers(key="wrong")] == [(), ("m",)]
        assert [server.models for server in await find_servers(key="secret")] == [("replay",), ("m",)]
        assert not any("authorization" in call.headers for call in other.calls)


async def test_an_estimate_does_not_cut_the_output() -> None:
    """Where tokens are only estimated, a prompt that seems to fill the window still gets room for its reply."""

    async def handle(_: Call, send: Send) -> None:
        await send(STREAM + event({"content": "good"}, finish="stop") + DONE)

    async with bare(handle) as server, model_at(server.url, context=2000) as model:
        prompt = "word " * 1500
        assert await model.count(ask(prompt).messages) > 1400
        await gather(model, ask(prompt))
        assert server.chats[0].body["max_tokens"] > 500
