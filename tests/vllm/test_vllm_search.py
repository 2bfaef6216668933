"""A whole search against a real vLLM: what the simulated engine promises of shared prompts, on the real scheduler."""

import asyncio
import secrets
import sys
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from thinklonger.agent.chat import ChatMessage, ChatRequest, Delta, ModelFacts, Reply, Retried
from thinklonger.agent.model.served import ServedModel
from thinklonger.agent.search import Halt, Stopped, dev_search

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))

import orchestration
from simulated.cards import CARDS
from simulated.steps import Circumstances, SimulatedSteps

pytestmark = pytest.mark.vllm

COMPUTED = "vllm:request_prefill_kv_computed_tokens_sum"
BLOCK = 128  # tokens, of vLLM's cache on a CPU
SMALL = replace(CARDS[0], prompts=(650, 750, 850))  # in units of four characters, each a token or nearly so here


@dataclass(slots=True)
class Overheard:
    """Passes on what is asked, and remembers it."""

    model: ServedModel
    requests: list[ChatRequest] = field(default_factory=list[ChatRequest])

    @property
    def name(self) -> str:
        """The model's."""
        return self.model.name

    async def facts(self) -> ModelFacts:
        """The model's."""
        return await self.model.facts()

    async def count(self, messages: Sequence[ChatMessage]) -> int:
        """The model's."""
        return await self.model.count(messages)

    async def reply(
        self, request: ChatRequest, *, answer_now: asyncio.Event | None = None
    ) -> AsyncGenerator[Delta | Retried | Reply]:
        """The model's."""
        self.requests.append(request)
        async for item in self.model.reply(request, answer_now=answer_now):
            yield item

    async def affirm(self, prompts: Sequence[Sequence[ChatMessage]], *, model: str = "") -> Sequence[float]:
        """The model's."""
        return await self.model.affirm(prompts, model=model)

    async def close(self) -> None:
        """Left to whoever made it."""


async def test_a_search_computes_each_prompt_once(
    model: ServedModel, metrics: Callable[[], Mapping[str, float]]
) -> None:
    """Three stages of eight replies: the server computes what is new of each stage's prompt, and a last block each."""
    overheard = Overheard(model)
    steps = SimulatedSteps(SMALL, Circumstances(secrets.randbits(32)))  # nothing of it is cached already
    steps.use(overheard)
    await model.facts()
    before = metrics()
    happened = [happening async for happening in dev_search(steps, orchestration.plan())]
    after = metrics()
    last = happened[-1]
    assert isinstance(last, Stopped)
    assert (last.halt, last.rollouts) == (Halt.ROLLOUTS, 8)
    assert sum(request.count for request in overheard.requests) == 24
    prompts = [await model.count(request.messages) for request in overheard.requests]
    unique = max(prompts)  # each stage's prompt goes on from the one before
    computed = after[COMPUTED] - before[COMPUTED]
    asked = sum(prompt * request.count for prompt, request in zip(prompts, overheard.requests, strict=True))
    assert computed <= unique + 24 * BLOCK
    assert asked > 8 * computed
    assert after["vllm:num_preemptions_total"] == before["vllm:num_preemptions_total"]
