"""Thinking longer, under control: budgets, answers at once, circles; in the running request, by going on, by asking."""

import asyncio
import time
from dataclasses import replace

import pytest
from bare_server import DONE, STREAM, Call, Send, answer, bare, event
from test_client import ask, gather, model_at, replies, streamed

from thinklonger.agent.chat import ChatMessage, ChatRequest, Closing, Delta, Finish, Part, Role, Sampling
from thinklonger.agent.model.closing import abbreviated, asked_again, begun
from thinklonger.agent.model.replay import Exhausted, Product, Rule, Script, ScriptedReply, Thinking, serve

ANSWER = "<answer>\nfix\n</answer>"
RAMBLING = ScriptedReply(think="Hm.", thinking=Thinking.RAMBLES, answer=ANSWER, tokens_per_chunk=2, per_chunk=0.001)
LOOPING = ScriptedReply(think="Let me look at this again. ", thinking=Thinking.LOOPS, answer=ANSWER)
SHORT = Sampling(thinking_tokens=200, answer_tokens=100)
ASKED_AGAIN = Rule(last="time to think is over", replies=(ScriptedReply(answer=ANSWER),), exhausted=Exhausted.LAST)


def rambling(reply: ScriptedReply = RAMBLING) -> Script:
    """A model that never closes its thinking; asked by one turn more, it answers."""
    return Script(rules=(ASKED_AGAIN, Rule(replies=(reply,), exhausted=Exhausted.LAST)))


@pytest.mark.parametrize("product", Product)
async def test_a_spent_budget_closes_the_thinking(product: Product) -> None:
    """Whatever the server can do, thinking ends at its budget, an answer comes, and the reply says so."""
    async with serve(rambling(), dialect=product) as server, model_at(server.url) as model:
        items = await gather(model, ask(sampling=SHORT))
        (reply,) = replies(items)
        assert reply.answer == ANSWER
        assert reply.closing is Closing.BUDGET
        assert reply.think.startswith("Hm.")
        assert 150 <= reply.usage.thinking <= 330 or not reply.usage.counted
        assert streamed(items, Part.ANSWER).strip() == ANSWER
        await asyncio.wait_for(server.idle(), 1)


@pytest.mark.parametrize("product", Product)
@pytest.mark.parametrize("count", [1, 3])
async def test_answer_now_ends_the_thinking_of_all_replies(product: Product, count: int) -> None:
    """The answers come at once, from what was thought; nothing runs on at the server."""
    async with serve(rambling(), dialect=product) as server, model_at(server.url) as model:
        now = asyncio.Event()
        items: list[object] = []
        began = 0.0
        async for item in model.reply(ask(count=count), answer_now=now):
            items.append(item)
            if len(items) == 40:
                now.set()
                began = time.monotonic()
        assert time.monotonic() - began < 2
        got = replies(items)
        assert [(reply.answer, reply.closing) for reply in got] == [(ANSWER, Closing.ANSWER_NOW)] * count
        assert all(reply.think for reply in got)
        await asyncio.wait_for(server.idle(), 1)


@pytest.mark.parametrize("product", [Product.VLLM, Product.LLAMA_CPP, Product.OLLAMA])
async def test_circles_are_left(product: Product) -> None:
    """Thinking that repeats itself is closed long before its budget, and kept without the repetition."""
    async with serve(rambling(LOOPING), dialect=product) as server, model_at(server.url) as model:
        (reply,) = replies(await gather(model, ask()))
        assert reply.closing is Closing.REPETITION
        assert reply.answer == ANSWER
        assert len(reply.think) < 200
        assert reply.usage.thinking < 3000


async def test_a_running_request_is_steered_where_the_server_can() -> None:
    """llama.cpp ends the thinking in the request that runs: nothing is sent twice."""
    async with serve(rambling(), dialect=Product.LLAMA_CPP) as server, model_at(server.url) as model:
        now = asyncio.Event()
        items: list[object] = []
        async for item in model.reply(ask(), answer_now=now):
            items.append(item)
            now.set()
        (reply,) = replies(items)
        assert reply.answer == ANSWER
        assert "POST /v1/chat/completions/control" in server.calls
        assert len(server.texts) == 1


async def test_an_unfinished_turn_is_gone_on_with() -> None:
    """A server that can gets the thinking back, closed, in a turn to go on with; the prompt before it is the same."""
    async with serve(rambling(LOOPING), dialect=Product.VLLM) as server, model_at(server.url) as model:
        (reply,) = replies(await gather(model, ask()))
        first, second = (seen.body for seen in server.texts)
        assert second["continue_final_message"] is True
        assert second["add_generation_prompt"] is False
        assert second["messages"][:-1] == first["messages"]  # pyright: ignore[reportIndexIssue] (JSON)
        turn = second["messages"][-1]["content"]  # pyright: ignore[reportIndexIssue] (JSON)
        assert turn.startswith(f"<think>\n{reply.think}")
        assert turn.rstrip().endswith("</think>")


async def test_a_refused_turn_is_asked_about_instead() -> None:
    """A template that can't go on with a turn is asked by one turn more, and not tried again."""

    async def handle(call: Call, send: Send) -> None:
        if call.body.get("continue_final_message"):
            text = "continue_final_message is set but the final message does not appear in the chat"
            await send(answer("400 Bad Request", {"error": {"message": text}}))
        elif "time to think is over" in call.body["messages"][-1]["content"]:
            await send(STREAM + event({"content": ANSWER}, finish="stop") + DONE)
        else:
            await send(STREAM)
            for number in range(1000):
                await send(event({"reasoning": f"thought {number}; "}))
            await asyncio.sleep(5)

    async with bare(handle) as server, model_at(server.url) as model:
        known = await model._learn()
        known.facts = replace(known.facts, continues=True)
        for _ in range(2):
            (reply,) = replies(await gather(model, ask(sampling=SHORT)))
            assert (reply.answer, reply.closing) == (ANSWER, Closing.BUDGET)
        tried = [call for call in server.chats if call.body.get("continue_final_message")]
        assert len(tried) == 1
        shown = server.chats[-1].body["messages"][-2]
        assert shown["role"] == "assistant"
        assert "thought 0;" in shown["content"]


async def test_a_closed_reply_frees_the_server() -> None:
    """Closing the thinking closes the request that brought it, at once."""
    left: list[float] = []

    async def handle(call: Call, send: Send) -> None:
        if len(call.body["messages"]) > 1:
            await send(STREAM + event({"content": ANSWER}, finish="stop") + DONE)
            return
        await send(STREAM)
        for number in range(400):
            await send(event({"reasoning": f"thought {number}; "}))
        began = time.monotonic()
        await asyncio.wait_for(call.left.wait(), 5)
        left.append(time.monotonic() - began)

    async with bare(handle) as server, model_at(server.url) as model:
        await gather(model, ask(sampling=SHORT))
        await asyncio.sleep(0.05)
        assert left
        assert left[0] < 1


async def test_answer_now_before_anything_came() -> None:
    """The wish may stand before the request: no thinking is waited for."""
    now = asyncio.Event()
    now.set()
    slow = ScriptedReply(think="Hm.", thinking=Thinking.RAMBLES, answer=ANSWER, first_byte=0.0)
    async with serve(rambling(slow), dialect=Product.OLLAMA) as server, model_at(server.url) as model:
        (reply,) = replies(await gather(model, ask(), now=now))
        assert (reply.answer, reply.closing, reply.think) == (ANSWER, Closing.ANSWER_NOW, "")
        assert len(server.texts) == 1


async def test_after_the_wish_nothing_thinks_again() -> None:
    """A reply whose stream breaks while it gives its answer is not thought out anew: the answer alone is asked for."""
    now = asyncio.Event()

    async def handle(call: Call, send: Send) -> None:
        if len(call.body["messages"]) > 1:
            await send(STREAM + event({"content": ANSWER}, finish="stop") + DONE)
        else:
            await send(STREAM + event({"reasoning": "Hm."}) + event({"content": "<answer>"}))
            await asyncio.wait_for(now.wait(), 5)

    async with bare(handle) as server, model_at(server.url) as model:
        items: list[object] = []
        async for item in model.reply(ask(), answer_now=now):
            items.append(item)
            if isinstance(item, Delta) and item.part is Part.ANSWER:
                now.set()
        (reply,) = replies(items)
        assert (reply.answer, reply.closing) == (ANSWER, Closing.ANSWER_NOW)
        assert [len(call.body["messages"]) > 1 for call in server.chats] == [False, True]


async def test_answers_that_have_begun_are_let_end() -> None:
    """The wish for an answer does not disturb a reply that is already giving it."""
    reply = ScriptedReply(think="Hm.", answer="one two three four five six", tokens_per_chunk=1, per_chunk=0.02)
    async with serve(Script(rules=(Rule(replies=(reply,)),))) as server, model_at(server.url) as model:
        now = asyncio.Event()
        items: list[object] = []
        async for item in model.reply(ask(), answer_now=now):
            items.append(item)
            if isinstance(item, Delta) and "two" in item.text:
                now.set()
        (got,) = replies(items)
        assert (got.answer, got.closing, got.finish) == (reply.answer, None, Finish.STOP)
        assert len(server.texts) == 1


async def test_a_model_that_only_thinks_is_asked_once() -> None:
    """It never answers, not even when asked: an empty reply is handed over, after one question and little more."""

    async def handle(call: Call, send: Send) -> None:
        await send(STREAM)
        number = 0
        while not call.left.is_set():
            number += 1
            await send(event({"reasoning": f"thought {number} of this; "}))
            await asyncio.sleep(0)

    async with bare(handle) as server, model_at(server.url) as model:
        (reply,) = replies(await gather(model, ask(sampling=SHORT)))
        assert (reply.answer, reply.finish, reply.closing) == ("", Finish.LENGTH, Closing.BUDGET)
        assert len(server.chats) == 2
        assert reply.usage.thinking < 2000


async def test_thinking_that_just_ends_is_asked_for_its_answer() -> None:
    """A reply that stops inside its thinking, without an answer in it, is gone on with."""

    async def handle(call: Call, send: Send) -> None:
        asked = len(call.body["messages"]) > 1
        text = {"content": ANSWER} if asked else {"reasoning": "It must be a.py."}
        await send(STREAM + event(text, finish="stop") + DONE)

    async with bare(handle) as server, model_at(server.url) as model:
        (got,) = replies(await gather(model, ask()))
        assert (got.answer, got.closing, got.think) == (ANSWER, None, "It must be a.py.")


MESSAGES = (ChatMessage(Role.USER, "Which?"),)


def test_a_long_thinking_is_shown_shortened() -> None:
    """Its beginning and, longer, its end, in whole lines; a short one is shown whole."""
    lines = [f"line {number}: perhaps it is here" for number in range(1000)]
    shown = abbreviated("\n".join(lines))
    assert len(shown) < 6100
    assert shown.startswith(lines[0])
    assert shown.endswith(lines[-1])
    assert all(line in lines or line == "[…]" for line in shown.split("\n"))
    assert abbreviated("short") == "short"


def test_prompts_only_get_longer() -> None:
    """What asks for the answer goes on with the prompt, so that the server's cache holds its beginning."""
    for more in (begun(MESSAGES, "a"), begun(MESSAGES, ""), asked_again(MESSAGES, "a"), asked_again(MESSAGES, "")):
        assert more[:1] == MESSAGES
        assert ChatRequest(more).messages[1].role is Role.ASSISTANT
