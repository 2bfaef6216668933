"""What an interrupted run has done already: replies that were paid for, scores, patches that were run.

A run that goes on makes the same choices from the same answers, so it is played again with these at hand.
"""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from thinklonger.agent.chat import ChatMessage, ChatRequest, Delta, ModelFacts, Reply, Retried, Sampling
from thinklonger.agent.protocols import ChatModel
from thinklonger.agent.types import Score, TestRun

Key: TypeAlias = tuple[int, float, str, int]
"""What tells one request of a run from all others: its seed (which is its first reply's own), temperature, adapter, and
how many messages it has."""


def key_of(messages: Sequence[ChatMessage], sampling: Sampling, model: str) -> Key:
    """The key of a request."""
    return sampling.seed, sampling.temperature, model, len(messages)


@dataclass(frozen=True, slots=True)
class Memory:
    """By request, its whole replies by their place; by branch, its score and its run; the diffs that failed."""

    replies: Mapping[Key, Mapping[int, Reply]] = field(default_factory=dict[Key, Mapping[int, Reply]])
    scores: Mapping[str, Score] = field(default_factory=dict[str, Score])
    runs: Mapping[str, TestRun] = field(default_factory=dict[str, TestRun])
    failed: frozenset[str] = frozenset()


class Remembering:
    """A model whose earlier replies are given again instead of being asked for (`protocols.ChatModel`)."""

    def __init__(self, model: ChatModel, memory: Memory) -> None:
        """Stand before `model`."""
        self._model = model
        self._replies = memory.replies

    @property
    def name(self) -> str:
        """The model's name at its server."""
        return self._model.name

    async def facts(self) -> ModelFacts:
        """What the server can do."""
        return await self._model.facts()

    async def count(self, messages: Sequence[ChatMessage]) -> int:
        """The tokens of a prompt."""
        return await self._model.count(messages)

    async def reply(
        self, request: ChatRequest, *, answer_now: asyncio.Event | None = None
    ) -> AsyncGenerator[Delta | Retried | Reply]:
        """The replies that are known at once, then those that are missing."""
        known = self._replies.get(key_of(request.messages, request.sampling, request.model), {})
        for choice, reply in sorted(known.items()):
            if choice < request.count:
                yield reply
        missing = [choice for choice in range(request.count) if choice not in known]
        if not missing:
            return
        rest = replace(request, count=len(missing))
        async with aclosing(self._model.reply(rest, answer_now=answer_now)) as replies:
            async for what in replies:
                yield replace(what, choice=missing[what.choice])

    async def affirm(self, prompts: Sequence[Sequence[ChatMessage]], *, model: str = "") -> Sequence[float]:
        """The probability of yes."""
        return await self._model.affirm(prompts, model=model)

    async def close(self) -> None:
        """Close all connections."""
        await self._model.close()
