"""The replay server: each server's way of speaking over real HTTP, rules and replies, scores, and what it remembers."""

import asyncio
import json
import math
import signal
import ssl
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from thinklonger.agent.model.replay import (
    Exhausted,
    Product,
    Replay,
    Rule,
    Script,
    ScriptedReply,
    ScriptedScore,
    Thinking,
    read_script,
    serve,
)
from thinklonger.agent.model.replay.products import TRAITS
from thinklonger.agent.model.replay.tokens import BLOCK, Vocabulary, tokens_of

THINK = "The total is read before it is rounded."
ANSWER = "<answer>\nshop/total.py\n</answer>"


def says(*answers: str, **options: Any) -> Rule:  # noqa: ANN401 (any of Rule's fields)
    """A rule for any request, with one reply for each answer."""
    return Rule(replies=tuple(ScriptedReply(think=THINK, answer=answer) for answer in answers), **options)


def asks(text: str = "Which files?", **options: Any) -> dict[str, Any]:  # noqa: ANN401 (any field of the API)
    """A chat request's body."""
    return {"model": "replay", "messages": [{"role": "user", "content": text}], "max_tokens": 500, **options}


def client() -> httpx.AsyncClient:
    """A client that is made quickly: no certificates are loaded."""
    return httpx.AsyncClient(timeout=10, trust_env=False, verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))


async def post(server: Replay, body: Mapping[str, Any], path: str = "/chat/completions") -> httpx.Response:
    """A request on a connection of its own."""
    async with client() as http:
        return await http.post(server.url + path, json=body)


async def events(server: Replay, body: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A streamed request's events; the stream must end in order."""
    response = await post(server, {**body, "stream": True})
    assert response.status_code == 200, response.text
    lines = [line.removeprefix("data: ") for line in response.text.split("\n\n") if line]
    assert lines.pop() == "[DONE]"
    return [json.loads(line) for line in lines]


def joined(found: list[dict[str, Any]], field: str, choice: int = 0) -> str:
    """What a choice's deltas say in one field."""
    choices = [each for event in found for each in event["choices"] if each["index"] == choice]
    return "".join(each["delta"].get(field) or "" for each in choices)


# ── each server's way of speaking ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("product", Product)
async def test_thinking_comes_where_each_server_puts_it(product: Product) -> None:
    """Fields are named as the server names them; tags stand in the content, the opening one where it is sent."""
    traits = TRAITS[product]
    async with serve(Script(rules=(says(ANSWER),)), dialect=product) as server:
        found = await events(server, asks())
    content = joined(found, "content")
    if traits.thinking == "tags":
        opening = "<think>\n" if traits.opening else ""
        assert content.split() == f"{opening}{THINK}\n</think>\n\n{ANSWER}".split()
        assert content.startswith(opening + THINK)
    else:
        assert joined(found, traits.thinking) == THINK
        assert content.strip() == ANSWER
    assert [each["finish_reason"] for event in found for each in event["choices"] if each["finish_reason"]] == ["stop"]


@pytest.mark.parametrize("product", Product)
async def test_several_choices_are_given_or_not(product: Product) -> None:
    """A request for three choices gets the next three replies, but one from servers that do not know `n`."""
    async with serve(Script(rules=(says("a", "b", "c"),)), dialect=product) as server:
        found = await events(server, asks(n=3))
        wanted = ["a"] if TRAITS[product].several == "ignored" else ["a", "b", "c"]
        assert [joined(found, "content", choice)[-1] for choice in range(len(wanted))] == wanted
        assert server.requests[0].replies == tuple(range(len(wanted)))


@pytest.mark.parametrize("product", Product)
async def test_a_whole_answer_says_the_same(product: Product) -> None:
    """A request without a stream gets the same texts in one body, with its tokens counted."""
    async with serve(Script(rules=(says("yes, that one", exhausted=Exhausted.LAST),)), dialect=product) as server:
        streamed = await events(server, asks())
        body = (await post(server, asks())).json()
    message = body["choices"][0]["message"]
    for field in ("content", "reasoning", "reasoning_content"):
        assert (message.get(field) or "") == joined(streamed, field)
    assert body["usage"]["total_tokens"] == body["usage"]["prompt_tokens"] + body["usage"]["completion_tokens"]


async def test_tags_are_split_over_chunks() -> None:
    """With one token a chunk no chunk holds a whole tag: the client has to put it together."""
    reply = ScriptedReply(think=THINK, answer=ANSWER, tokens_per_chunk=1)
    async with serve(Script(rules=(Rule(replies=(reply,)),)), dialect=Product.TAGS) as server:
        found = await events(server, asks())
    deltas = [each["delta"].get("content") or "" for event in found for each in event["choices"]]
    assert not any("<think>" in delta or "</think>" in delta for delta in deltas)
    assert "</think>" in "".join(deltas)


@pytest.mark.parametrize(
    ("product", "path"),
    [
        (Product.VLLM, "/metrics"),
        (Product.LLAMA_CPP, "/props"),
        (Product.LLAMA_CPP, "/slots"),
        (Product.LM_STUDIO, "/api/v0/models"),
        (Product.OLLAMA, "/api/version"),
        (Product.SGLANG, "/get_model_info"),
    ],
)
async def test_only_a_servers_own_paths_are_there(product: Product, path: str) -> None:
    """What one server has is 404 at the others that do not."""
    for other in Product:
        async with serve(Script(), dialect=other) as server, client() as http:
            response = await http.get(server.url.removesuffix("/v1") + path)
        assert response.status_code == (200 if path in TRAITS[other].paths else 404)
    assert path in TRAITS[product].paths


async def test_strict_servers_refuse_fields_that_they_do_not_know() -> None:
    """`transformers serve` answers 422 and names the field; the others let it pass."""
    for product in Product:
        async with serve(Script(rules=(says("a"),)), dialect=product) as server:
            response = await post(server, asks(chat_template_kwargs={}))
        assert response.status_code == (422 if product is Product.TRANSFORMERS else 200)
    assert "reasoning_control" in (await _refused(Product.TRANSFORMERS, asks(reasoning_control=True)))


async def _refused(product: Product, body: Mapping[str, Any]) -> str:
    async with serve(Script(rules=(says("a"),)), dialect=product) as server:
        return (await post(server, body)).text


async def test_unknown_models_are_refused_by_those_that_look() -> None:
    """A vLLM server knows its model and its adapters by name; llama.cpp takes any name."""
    script = Script(rules=(says("a", exhausted=Exhausted.LAST),), adapters=("judge",))
    for product, status in ((Product.VLLM, 404), (Product.LLAMA_CPP, 200)):
        async with serve(script, dialect=product) as server:
            assert (await post(server, asks() | {"model": "judge"})).status_code == 200
            assert (await post(server, asks() | {"model": "nobody"})).status_code == status


async def test_llama_cpp_refuses_more_choices_than_slots() -> None:
    """`n` beyond the slots is a bad parameter there."""
    async with serve(Script(rules=(says("a", "b", "c"),), slots=2), dialect=Product.LLAMA_CPP) as server:
        assert (await post(server, asks(n=3))).status_code == 400
        assert (await post(server, asks(n=2))).status_code == 200


# ── rules and replies ────────────────────────────────────────────────────────────────────────────────────────────


async def test_the_first_rule_that_holds_answers() -> None:
    """Rules are tried in order, by the last user message, by all messages, by the model, by the request's number."""
    script = Script(
        rules=(
            says("by number", request=3),
            says("by model", model="judge"),
            says("by last", last="files"),
            says("by prompt", prompt="a system.*Anything"),
        ),
        adapters=("judge",),
    )
    system = {"role": "system", "content": "a system"}
    async with serve(script) as server:
        first = await events(server, asks())
        second = await events(server, asks("Anything") | {"messages": [system, *asks("Anything")["messages"]]})
        third = await events(server, asks())
        fourth = await events(server, asks("else") | {"model": "judge"})
    said = [joined(found, "content").strip() for found in (first, second, third, fourth)]
    assert said == ["by last", "by prompt", "by number", "by model"]


@pytest.mark.parametrize(
    ("exhausted", "wanted"),
    [
        (Exhausted.FAIL, ["a", "b", "400", "400"]),
        (Exhausted.LAST, ["a", "b", "b", "b"]),
        (Exhausted.AGAIN, ["a", "b", "a", "b"]),
        (Exhausted.NEXT, ["a", "b", "z", "400"]),
    ],
)
async def test_what_comes_after_the_last_reply_is_said(exhausted: Exhausted, wanted: list[str]) -> None:
    """A rule that is used up fails loudly, repeats itself, or leaves it to the next, as the script says."""
    said: list[str] = []
    async with serve(Script(rules=(says("a", "b", exhausted=exhausted), says("z")))) as server:
        for _ in range(4):
            response = await post(server, asks())
            text = str(response.status_code)
            said.append(response.json()["choices"][0]["message"]["content"].strip() if text == "200" else text)
    assert said == wanted


async def test_a_request_without_a_rule_is_told_so() -> None:
    """A gap in the script is an error that names the request, never an empty reply."""
    async with serve(Script(rules=(says("a", last="files"),))) as server:
        response = await post(server, asks("Where is the tea?"))
    assert response.status_code == 400
    assert "no rule holds for request 1" in response.text
    assert "tea" in response.text


async def test_probes_use_nothing_up() -> None:
    """A request for few tokens is a probe: it meets no rule and gets no reply of one."""
    async with serve(Script(rules=(says("a"),))) as server:
        found = await events(server, asks(max_tokens=1, n=2))
        assert joined(found, "reasoning", 1)
        assert server.unspoken == [(0, 0)]
        assert server.texts == []


async def test_what_a_client_left_is_handed_out_again() -> None:
    """A reply whose client left before its end is not used up: the next request gets it."""
    reply = ScriptedReply(think=THINK, answer="a", tokens_per_chunk=1, per_chunk=0.02)
    async with serve(Script(rules=(Rule(replies=(reply,)),))) as server:
        async with (
            client() as http,
            http.stream("POST", server.url + "/chat/completions", json=asks(stream=True)) as response,
        ):
            await anext(response.aiter_raw())
            assert server.running == 1
        await asyncio.wait_for(server.idle(), 5)
        assert server.requests[0].left is not None
        assert server.requests[0].sent < len(tokens_of(THINK))
        assert joined(await events(server, asks()), "content").strip() == "a"


async def test_requests_run_at_once_and_wait_for_slots() -> None:
    """What runs is counted; with one slot the second request waits for the first."""
    slow = ScriptedReply(answer="a b c d e f", tokens_per_chunk=1, per_chunk=0.02)
    script = Script(rules=(Rule(replies=(slow, slow)),), slots=1)
    async with serve(script, dialect=Product.LLAMA_CPP) as server:
        await asyncio.gather(events(server, asks()), events(server, asks()))
        assert server.most_running == 2
        first, second = server.requests
        assert first.ended is not None
        assert second.ended is not None
        assert second.ended - first.ended > 0.1
        assert server.running == 0


async def test_choices_come_side_by_side() -> None:
    """Choices are spoken each at its own pace, so their chunks are mixed."""
    fast = ScriptedReply(answer="one two three four five six", tokens_per_chunk=1, per_chunk=0.001)
    slow = ScriptedReply(answer="one two three", tokens_per_chunk=1, per_chunk=0.03)
    async with serve(Script(rules=(Rule(replies=(slow, fast)),))) as server:
        found = await events(server, asks(n=2))
    order = [each["index"] for event in found for each in event["choices"] if each["finish_reason"]]
    assert order == [1, 0]


# ── limits, closing and going on ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("thinking", [Thinking.RAMBLES, Thinking.LOOPS])
async def test_endless_thinking_ends_at_the_limit(thinking: Thinking) -> None:
    """A reply that never closes its thinking goes on to the request's limit and has no answer."""
    reply = ScriptedReply(think="Hm. ", answer="a", thinking=thinking)
    async with serve(Script(rules=(Rule(replies=(reply,)),))) as server:
        found = await events(server, asks(max_tokens=200))
    think = joined(found, "reasoning")
    assert server.requests[0].sent == 200
    assert joined(found, "content") == ""
    assert found[-1]["choices"][0]["finish_reason"] == "length"
    assert (think == "Hm. " * (len(think) // 4) + "Hm. "[: len(think) % 4]) == (thinking is Thinking.LOOPS)


async def test_a_thinking_budget_closes_the_thinking() -> None:
    """The parameter `thinking_token_budget` ends the thinking, and the answer comes."""
    reply = ScriptedReply(think="Hm.", answer="a", thinking=Thinking.RAMBLES)
    async with serve(Script(rules=(Rule(replies=(reply,)),))) as server:
        found = await events(server, asks(thinking_token_budget=50))
    assert len(tokens_of(joined(found, "reasoning"))) == 50
    assert joined(found, "content").strip() == "a"


async def test_without_a_reasoning_parser_a_budget_is_refused() -> None:
    """A vLLM that can't tell thinking from text refuses a thinking budget; older servers pass over it."""
    for product, status in ((Product.TAGS, 400), (Product.VLLM_OLD, 200), (Product.SGLANG, 200)):
        async with serve(Script(rules=(says("a"),)), dialect=product) as server:
            assert (await post(server, asks(thinking_token_budget=50))).status_code == status


async def test_llama_cpp_can_be_told_to_end_its_thinking() -> None:
    """The control endpoint ends the thinking of a completion that runs; of another one it is 404."""
    reply = ScriptedReply(think="Hm.", answer="a", thinking=Thinking.RAMBLES, per_chunk=0.01)
    async with serve(Script(rules=(Rule(replies=(reply,)),)), dialect=Product.LLAMA_CPP) as server:
        asking = asyncio.create_task(events(server, asks(reasoning_control=True, max_tokens=20000)))
        while not server.requests or not server.requests[0].sent:  # noqa: ASYNC110 (tokens are not announced)
            await asyncio.sleep(0.005)
        (running,) = server.state.voices
        told = await post(server, {"id": running, "action": "reasoning_end"}, "/chat/completions/control")
        assert told.json() == {"success": True}
        assert joined(await asyncio.wait_for(asking, 5), "content").strip() == "a"
        assert (await post(server, {"id": "x", "action": "reasoning_end"}, "/chat/completions/control")).is_error


async def test_llama_cpp_ends_the_thinking_of_one_choice_only() -> None:
    """Of several choices the control endpoint reaches one; the others go on to their limit."""
    reply = ScriptedReply(think="Hm.", answer="a", thinking=Thinking.RAMBLES, per_chunk=0.01)
    async with serve(Script(rules=(Rule(replies=(reply, reply)),)), dialect=Product.LLAMA_CPP) as server:
        asking = asyncio.create_task(events(server, asks(reasoning_control=True, max_tokens=400, n=2)))
        while not server.state.voices:  # noqa: ASYNC110 (it is not announced)
            await asyncio.sleep(0.005)
        (running,) = server.state.voices
        await post(server, {"id": running, "action": "reasoning_end"}, "/chat/completions/control")
        found = await asyncio.wait_for(asking, 10)
    assert [joined(found, "content", choice).strip() for choice in (0, 1)] == ["a", ""]


@pytest.mark.parametrize("product", [Product.VLLM, Product.TAGS, Product.SGLANG])
async def test_an_unfinished_turn_is_gone_on_with(product: Product) -> None:
    """Of several replies the one that begins like the turn goes on: with its thinking, or with its answer if closed."""
    replies = tuple(ScriptedReply(think=f"{word} is {THINK}", answer=word) for word in ("red", "green", "blue"))
    async with serve(Script(rules=(Rule(replies=replies),)), dialect=product) as server:
        for begun, field in (("<think>\ngreen is The total", TRAITS[product].thinking), ("green is", None)):
            closed = "" if field else "\n\nTime is up.\n</think>\n\n"
            turn = {"role": "assistant", "content": begun + closed}
            body = asks(continue_final_message=True, add_generation_prompt=False)
            found = await events(server, body | {"messages": [*body["messages"], turn]})
            assert joined(found, "content").strip().endswith("green")
            if field and product is not Product.TAGS:
                assert joined(found, field) == THINK.removeprefix("The total")
            if not field:
                assert joined(found, "content").strip() == "green"
        assert server.unspoken == [(0, 0), (0, 2)]


async def test_a_client_that_asks_again_gets_the_answer() -> None:
    """Where no turn can be gone on with, a turn that shows the thinking and one that asks get that reply's answer."""
    replies = tuple(ScriptedReply(think=f"{word} is {THINK}", answer=word) for word in ("red", "green", "blue"))
    script = Script(rules=(Rule(last="files", replies=replies),))
    async with serve(script, dialect=Product.OLLAMA) as server:
        for shown, wanted in (("So far:\n\ngreen is The total is", "green"), ("…", "red")):
            messages = [
                *asks()["messages"],
                {"role": "assistant", "content": shown},
                {"role": "user", "content": "Answer now."},
            ]
            found = await events(server, asks() | {"messages": messages})
            assert (joined(found, "reasoning"), joined(found, "content")) == ("", wanted)
        assert server.unspoken == [(0, 2)]


async def test_llama_cpp_goes_on_with_an_assistants_turn_unasked() -> None:
    """A conversation that ends with an assistant's turn is gone on with."""
    body = asks() | {"messages": [*asks()["messages"], {"role": "assistant", "content": "<answer>\nshop/"}]}
    async with serve(
        Script(rules=(Rule(replies=(ScriptedReply(answer=ANSWER),)),)), dialect=Product.LLAMA_CPP
    ) as server:
        assert joined(await events(server, body), "content") == "total.py\n</answer>"


async def test_usage_so_far_comes_with_each_event() -> None:
    """With `continuous_usage_stats` each event tells its own choice's tokens so far; the last one those of all."""
    options = {"include_usage": True, "continuous_usage_stats": True}
    async with serve(Script(rules=(says(ANSWER, "b"),))) as server:
        found = await events(server, asks(n=2, stream_options=options))
    counts = {0: [0], 1: [0]}
    for event in found[:-1]:
        if "usage" in event:
            counts[event["choices"][0]["index"]].append(event["usage"]["completion_tokens"])
    assert all(counted == sorted(counted) for counted in counts.values())
    assert counts[0][-1] + counts[1][-1] == found[-1]["usage"]["completion_tokens"] == server.requests[0].sent


async def test_a_stop_word_ends_the_answer() -> None:
    """What follows a stop word, and the word itself, never comes."""
    async with serve(Script(rules=(says("one </answer> two"),))) as server:
        found = await events(server, asks(stop=["</answer>"]))
    assert joined(found, "content").strip() == "one"


async def test_prompts_that_do_not_fit_are_refused_or_cut() -> None:
    """A vLLM server counts the output limit in, llama.cpp does not, Ollama cuts silently."""
    script = Script(rules=(says("a", exhausted=Exhausted.LAST),), context=1000)
    for product, long, tight in ((Product.VLLM, 400, 400), (Product.LLAMA_CPP, 400, 200), (Product.OLLAMA, 200, 200)):
        async with serve(script, dialect=product) as server:
            assert (await post(server, asks("x " * 2000))).status_code == long
            assert (await post(server, asks("x " * 700))).status_code == tight
            assert (await post(server, asks("x " * 400))).status_code == 200


# ── questions ────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("probability", [0.0, 0.25, 0.9, 1.0])
async def test_a_score_is_in_the_first_tokens_probabilities(probability: float) -> None:
    """Yes and no, whatever their spelling, share the probability as scripted."""
    script = Script(scores=(ScriptedScore(prompt="rounds up", probability=probability),))
    async with serve(script) as server:
        body = asks("Is it right? It rounds up.", max_tokens=1, logprobs=True, top_logprobs=10)
        choice = (await post(server, body)).json()["choices"][0]
    shares = {"yes": 0.0, "no": 0.0}
    for entry in choice["logprobs"]["content"][0]["top_logprobs"]:
        if entry["token"].lower() in shares:
            shares[entry["token"].lower()] += math.exp(entry["logprob"])
    assert shares["yes"] / sum(shares.values()) == pytest.approx(probability, abs=1e-6)
    assert choice["message"]["content"].lower() == ("yes" if probability >= 0.5 else "no")


async def test_scores_go_by_adapter_and_pattern() -> None:
    """The first score that holds for the text and the model's name counts, else the script's default."""
    script = Script(
        adapters=("judge",),
        scores=(
            ScriptedScore(prompt="tea", probability=0.75, model="judge"),
            ScriptedScore(prompt="tea", probability=0.25),
        ),
    )
    async with serve(script) as server:
        found = [
            (await post(server, {"model": model, "query": query, "items": ["?"]}, "/../generative_scoring")).json()
            for model, query in (("judge", "tea"), ("replay", "tea"), ("replay", "milk"))
        ]
    assert [each["data"][0]["score"] for each in found] == [0.75, 0.25, 0.5]


async def test_without_probabilities_draws_agree_with_the_score() -> None:
    """A server with no logprobs says yes as often as the score says."""
    script = Script(scores=(ScriptedScore(prompt="tea", probability=0.25),))
    async with serve(script, dialect=Product.OLLAMA) as server:
        said = [(await post(server, asks("tea?", max_tokens=2))).json() for _ in range(8)]
    assert [each["choices"][0]["message"]["content"] for each in said].count("Yes") == 2


# ── tokens and the prefix cache ──────────────────────────────────────────────────────────────────────────────────


async def test_a_shared_prefix_is_computed_once() -> None:
    """Usage, metrics and record agree on which of a prompt's tokens were known; adapters have their own cache."""
    shared = "The repository holds these files. " * 40
    script = Script(rules=(says("a", exhausted=Exhausted.LAST),), adapters=("judge",))
    async with serve(script) as server:
        usage = [(await post(server, asks(shared + end))).json()["usage"] for end in ("One?", "Two?")]
        await post(server, asks(shared + "One?") | {"model": "judge"})
        async with client() as http:
            metrics = (await http.get(server.url.removesuffix("/v1") + "/metrics")).text
        first, second, other = server.requests
    assert usage[0]["prompt_tokens_details"]["cached_tokens"] == 0
    assert usage[1]["prompt_tokens_details"]["cached_tokens"] == second.cached
    assert second.tokens - second.cached < 2 * BLOCK + len(tokens_of("Two?")) + 10
    assert other.cached == 0
    hits = next(line for line in metrics.splitlines() if line.startswith("vllm:prefix_cache_hits_total"))
    assert float(hits.split()[-1]) == second.cached
    assert first.tokens == usage[0]["prompt_tokens"]


async def test_the_tokenizer_counts_what_a_prompt_costs() -> None:
    """`/tokenize` of messages gives the number of tokens that a completion of them reports, and the limit."""
    async with serve(Script(rules=(says("a"),), context=4096)) as server:
        counted = (await post(server, {"messages": asks()["messages"]}, "/../tokenize")).json()
        used = (await post(server, asks())).json()["usage"]
    assert counted["count"] == used["prompt_tokens"]
    assert counted["max_model_len"] == 4096


@given(st.text())
def test_tokens_are_the_text_again(text: str) -> None:
    """No character is lost between a text, its tokens and their numbers."""
    assert "".join(tokens_of(text)) == text
    vocabulary = Vocabulary()
    assert vocabulary.decode(vocabulary.encode(text)) == text


# ── the script as a file, the server as a program ────────────────────────────────────────────────────────────────


@settings(max_examples=25)
@given(
    st.builds(Script, rules=st.lists(st.builds(Rule, replies=st.lists(st.builds(ScriptedReply)).map(tuple))).map(tuple))
)
def test_a_script_is_its_file_again(script: Script) -> None:
    """What is written as JSON is read as the same script."""
    assert msgspec.json.decode(msgspec.json.encode(script), type=Script) == script


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ('{"rules": [{"lst": "x"}]}', "lst"),
        ('{"rules": [{"replies": [{"answer": 3}]}]}', "$.rules[0].replies[0].answer"),
        ('{"rules": [{"last": "("}]}', "position 0"),
        ('{"rules": ', "truncated"),
    ],
)
def test_a_mistake_in_a_script_is_named(tmp_path: Path, text: str, named: str) -> None:
    """A field that is none, a wrong type, a broken pattern, a torn file: the program says which and ends with 2."""
    file = tmp_path / "script.json"
    file.write_text(text)
    done = subprocess.run(
        [sys.executable, "-m", "thinklonger.agent.model.replay", file], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert named in done.stderr


async def test_the_example_plays() -> None:
    """The script beside the documentation is read as it stands, and its first rule answers."""
    script = read_script(Path(__file__).parents[2] / "examples" / "replay" / "script.json")
    async with serve(script, dialect=Product.LLAMA_CPP) as server:
        found = await events(server, asks("Which files have to be changed?"))
    assert "shop/total.py" in joined(found, "content")


def test_the_program_serves_until_it_is_interrupted(tmp_path: Path) -> None:
    """It prints its URL, answers in the dialect that was asked for, and ends with 0 on Ctrl-C."""
    file = tmp_path / "script.json"
    file.write_bytes(msgspec.json.encode(Script(rules=(says("a"),))))
    command = [sys.executable, "-m", "thinklonger.agent.model.replay", file, "--dialect", "llama.cpp"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        try:
            message = httpx.post(url + "/chat/completions", json=asks()).json()["choices"][0]["message"]
            assert message["reasoning_content"] == THINK
        finally:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(10)
            finally:
                process.kill()
        assert process.returncode == 0
