"""The simulated engine's arithmetic: what `benchmarks/orchestration.py` measures with must itself be right."""

import asyncio
import math
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))

from simulated import clock, cost, memory, model
from simulated.cards import CARDS, Card
from simulated.engine import Engine
from simulated.engine import Sequence as InWork

from thinklonger.agent.chat import ChatMessage, ChatRequest, Closing, Reply, Role, Sampling
from thinklonger.agent.errors import ModelError

H100 = CARDS[3]
TINY = replace(H100, sequences=16, memory=(34.3e9 + 1.5e9 + 131_072 * 4_096) / 0.92)  # room for 4,096 tokens


def prompt(tokens: int, seed: int = 0) -> tuple[int, ...]:
    """The numbers of a prompt's blocks."""
    return tuple(seed * 100_000 + index for index in range(tokens // memory.BLOCK))


async def finish(engine: Engine, *sequences: InWork) -> float:
    """Virtual seconds until all have ended."""
    ended = asyncio.Event()

    def told(_: int) -> None:
        if all(sequence.produced >= sequence.target for sequence in sequences):
            ended.set()

    async with engine:
        for sequence in sequences:
            sequence.on_token = told
            engine.submit(sequence)
        await ended.wait()
        return asyncio.get_running_loop().time()


def sequence(tokens: int, target: int, seed: int = 0) -> InWork:
    """A reply of so many tokens to a prompt of so many."""
    return InWork(prompt(tokens, seed), tokens, target, lambda _: None)


def test_time_jumps() -> None:
    """A virtual hour takes no real second, and timers fire in the order of their times."""
    fired: list[float] = []

    async def wait(seconds: float) -> None:
        await asyncio.sleep(seconds)
        fired.append(asyncio.get_running_loop().time())

    async def main() -> None:
        await asyncio.gather(wait(3600.0), wait(1.5), wait(20.0))

    started = time.perf_counter()
    clock.run(main())
    assert fired == pytest.approx([1.5, 20.0, 3600.0])
    assert time.perf_counter() - started < 1.0


@pytest.mark.parametrize(
    ("card", "tokens"), list(zip(CARDS, (58_000, 22_000, 203_000, 330_000, 789_000), strict=True)), ids=str
)
def test_capacities(card: Card, tokens: int) -> None:
    """So many tokens fit beside the weights as the published arithmetic for these cards says."""
    assert card.capacity == pytest.approx(tokens, rel=0.03)


@given(batch=st.integers(1, 600), context=st.integers(1, 50_000), steps=st.integers(0, 300))
def test_a_jump_costs_what_its_steps_cost(batch: int, context: int, steps: int) -> None:
    """The closed form of a stretch of decoding is the sum of its steps, also where computing takes over."""
    singly = sum(cost.step_seconds(H100, batch, context + index * batch, batch) for index in range(steps))
    assert cost.run_seconds(H100, batch, context, steps) == pytest.approx(singly, rel=1e-9, abs=1e-12)


def test_one_reply_takes_its_floor() -> None:
    """An engine with nothing else to do takes exactly what the formulas say."""
    seconds = clock.run(finish(Engine(H100), sequence(8_000, 3_000)))
    assert seconds == pytest.approx(cost.stage_seconds(H100, 8_000, [3_000]), rel=0.001)


def test_replies_share_their_prompt() -> None:
    """Eight replies to one prompt prefill it once, and take the stage's lower bound but for their last blocks."""
    lengths = [2_000 + 500 * index for index in range(8)]
    engine = Engine(H100)
    seconds = clock.run(finish(engine, *(sequence(12_000, length) for length in lengths)))
    assert engine.counters.prefilled_tokens <= 12_000 + 8 * memory.BLOCK
    assert seconds == pytest.approx(cost.stage_seconds(H100, 12_000, lengths), rel=0.005)
    assert engine.counters.generated_tokens == sum(lengths)
    assert engine.counters.preemptions == 0


@given(lengths=st.lists(st.integers(1, 6_000), min_size=1, max_size=8), sequences=st.integers(1, 8))
def test_no_schedule_beats_the_bound(lengths: list[int], sequences: int) -> None:
    """The engine is never faster than the lower bound; where all replies fit at once it is as fast."""
    card = replace(H100, sequences=sequences)
    seconds = clock.run(finish(Engine(card), *(sequence(8_000, length) for length in lengths)))
    least = cost.stage_seconds(card, 8_000, lengths)
    assert seconds >= least * 0.9999
    if sequences >= len(lengths):
        assert seconds <= least * 1.01


def test_different_prompts_are_computed_each() -> None:
    """What differs from the first token on shares nothing."""
    engine = Engine(H100)
    clock.run(finish(engine, *(sequence(4_000, 10, seed) for seed in range(4))))
    assert engine.counters.prefilled_tokens == 16_000


def test_too_little_memory_preempts() -> None:
    """Where the room for tokens ends, the youngest is put back and computed again; all end, the last ones later."""
    engine = Engine(TINY)
    many = [sequence(1_024, 800) for _ in range(6)]
    seconds = clock.run(finish(engine, *many))
    assert engine.counters.preemptions > 0
    assert [one.produced for one in many] == [800] * 6
    assert seconds > cost.stage_seconds(TINY, 1_024, [800] * 6)


@given(
    replies=st.lists(st.tuples(st.integers(16, 1_500), st.integers(1, 900), st.integers(0, 3)), min_size=1, max_size=12)
)
def test_no_block_is_lost(replies: list[tuple[int, int, int]]) -> None:
    """Whatever runs, preempted or not: everything ends, every token is made, and all room is free again."""
    engine = Engine(TINY)
    clock.run(finish(engine, *(sequence(*reply) for reply in replies)))
    assert engine._blocks.room == TINY.capacity // memory.BLOCK
    assert engine.counters.generated_tokens == sum(target for _, target, _ in replies)
    assert engine.running == 0


# ── as a ChatModel ───────────────────────────────────────────────────────────────────────────────────────────────


def request(text: str, count: int = 1) -> ChatRequest:
    """One question."""
    return ChatRequest((ChatMessage(Role.USER, text),), Sampling(), count)


def simulated(engine: Engine, thinking: int = 1_000) -> model.SimulatedModel:
    """A model that always thinks as long."""
    return model.SimulatedModel(engine, write=lambda _: model.Written(thinking, "an answer"))


async def replies_of(served: model.SimulatedModel, asked: ChatRequest, **options: asyncio.Event) -> list[Reply]:
    """All replies, in the order of their ends."""
    return [event async for event in served.reply(asked, **options) if isinstance(event, Reply)]


def test_replies_come_whole() -> None:
    """Each reply of a request comes once, with its tokens counted and the virtual seconds that it took."""

    async def main() -> list[Reply]:
        async with Engine(H100) as engine:
            return await replies_of(simulated(engine), request("x" * 4_000, 3))

    replies = clock.run(main())
    assert sorted(reply.choice for reply in replies) == [0, 1, 2]
    assert {(reply.usage.thinking, reply.usage.answer, reply.usage.counted) for reply in replies} == {(1_000, 4, True)}
    assert all(reply.seconds == pytest.approx(replies[0].seconds) and reply.seconds > 1 for reply in replies)


def test_closing_the_stream_frees_the_engine() -> None:
    """Who closes the generator gets the engine idle at the end of the step in progress, and its blocks back."""

    async def main() -> tuple[int, float]:
        async with Engine(H100) as engine:
            stream = simulated(engine, 50_000).reply(request("x" * 4_000, 8))
            await anext(stream)
            await stream.aclose()
            before = asyncio.get_running_loop().time()
            while engine.running:  # noqa: ASYNC110 (nobody would set an event)
                await asyncio.sleep(0.001)
            return engine._blocks.room, asyncio.get_running_loop().time() - before

    room, seconds = clock.run(main())
    assert room == H100.capacity // memory.BLOCK
    assert seconds < 0.2


def test_answer_now_ends_the_thinking() -> None:
    """Closing the thinking leaves the answer's tokens only."""

    async def main() -> tuple[Reply, float]:
        async with Engine(H100) as engine:
            now = asyncio.Event()
            asyncio.get_running_loop().call_later(5.0, now.set)
            (reply,) = await replies_of(simulated(engine, 50_000), request("x" * 4_000), answer_now=now)
            return reply, asyncio.get_running_loop().time()

    reply, seconds = clock.run(main())
    assert reply.closing is Closing.ANSWER_NOW
    assert 100 < reply.usage.thinking < 1_000
    assert 5.0 < seconds < 5.2


def test_a_prefix_is_shared_to_the_character() -> None:
    """A conversation that goes on finds all blocks of its beginning; another adapter, or another character, none."""
    first = (ChatMessage(Role.SYSTEM, "s" * 4_000), ChatMessage(Role.USER, "u" * 4_000))
    longer = (*first, ChatMessage(Role.ASSISTANT, "a"), ChatMessage(Role.USER, "v" * 4_000))
    other = (ChatMessage(Role.SYSTEM, "S" + "s" * 3_999), ChatMessage(Role.USER, "u" * 4_000))
    blocks, tokens = model.numbers(model.render(first), "")
    shared = len("<think>\n") // model.CHARACTERS + 1
    assert model.numbers(model.render(longer), "")[0][: len(blocks) - 1] == blocks[:-1]
    assert not set(model.numbers(model.render(other), "")[0]) & set(blocks)
    assert not set(model.numbers(model.render(first), "prm")[0]) & set(blocks)
    assert math.isclose(tokens, len(blocks) * memory.BLOCK, abs_tol=memory.BLOCK + shared)


def test_too_long_a_prompt_overflows() -> None:
    """What could never fit is refused with the trouble that may shrink a prompt."""

    async def main() -> None:
        async with Engine(TINY) as engine:
            await replies_of(simulated(engine), request("x" * 4 * 4_000))

    with pytest.raises(ModelError) as caught:
        clock.run(main())
    assert caught.value.message.key == "model.context-overflow"


def test_gaps_between_requests_are_seen() -> None:
    """The time in which nothing is asked of the engine is measured, in real and in virtual seconds."""

    async def main() -> model.SimulatedModel:
        async with Engine(H100) as engine:
            served = simulated(engine, 100)
            await replies_of(served, request("x"))
            await asyncio.sleep(7.0)
            await replies_of(served, request("y"))
            return served

    (gap,) = clock.run(main()).gaps
    assert gap.virtual == pytest.approx(7.0)
    assert 0 < gap.cpu < 1.0
