"""The client of a served model: `protocols.ChatModel` over HTTP."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from typing import Self, TypeVar

from thinklonger.agent.chat import ChatMessage, ChatRequest, Delta, ModelFacts, Reply, Retried, Trouble
from thinklonger.agent.config import ServedSettings
from thinklonger.agent.errors import ModelError
from thinklonger.agent.model.affirming import Questions
from thinklonger.agent.model.channel import Address, Channel
from thinklonger.agent.model.counting import estimate
from thinklonger.agent.model.known import Known, Tokenizer
from thinklonger.agent.model.probing import probe
from thinklonger.agent.model.round import Plan, Round
from thinklonger.agent.model.tokenizing import measure
from thinklonger.agent.model.troubles import Failure, wait

_MARGIN = 16
_LEAST_ROOM = 64
"""Tokens that a reply must have room for; with less, the prompt is too long."""

_MOST_COUNTS = 64
"""Prompts whose tokens are remembered."""

_LIKELY = 0.75
"""What of an estimate, which is rather too high, a prompt's tokens are likely to be."""

Got = TypeVar("Got")


class ServedModel:
    """A model at an OpenAI-compatible server. Nothing is sent before something is asked for.

    It may be used by many tasks at once, of one event loop. See `protocols.ChatModel` for its methods.
    """

    def __init__(self, url: str, *, model: str, served: ServedSettings, key: str = "") -> None:
        """Take the server's address, the model's name there (empty: its first), the settings and the API key."""
        self._channel = Channel(Address.of(url), key=key, idle_seconds=served.idle_seconds)
        self._model = model
        self._served = served
        self._known: Known | None = None
        self._questions: Questions | None = None
        self._probing = asyncio.Lock()

    async def __aenter__(self) -> Self:
        """Use it as a context that closes it."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close it."""
        await self.close()

    @property
    def name(self) -> str:
        """The model's name at its server; until probed, as it was given."""
        return self._known.facts.model if self._known else self._model

    @property
    def url(self) -> str:
        """The server's address, for people."""
        return self._channel.address.shown

    async def facts(self) -> ModelFacts:
        """What the server can do, probed once."""
        return (await self._learn()).facts

    async def count(self, messages: Sequence[ChatMessage]) -> int:
        """The tokens of a prompt, by the served tokenizer where it can be asked, else never too few."""
        known = await self._learn()
        return await self._count(known, messages)

    async def reply(
        self, request: ChatRequest, *, answer_now: asyncio.Event | None = None
    ) -> AsyncGenerator[Delta | Retried | Reply]:
        """Stream the replies to a request; see `protocols.ChatModel.reply`."""
        known = await self._learn()
        model = request.model or known.facts.model
        try:
            plan = await self._plan(known, request)
            running = Round(request, plan, channel=self._channel, known=known, retries=self._served.retries)
            try:
                running.begin(answer_now)
                while items := await running.take():
                    for item in items:
                        yield item
            finally:
                await running.stop()
        except Failure as failure:
            raise self._error(failure, model) from None

    async def affirm(self, prompts: Sequence[Sequence[ChatMessage]], *, model: str = "") -> Sequence[float]:
        """For each prompt the probability of yes; see `protocols.ChatModel.affirm`.

        Read off the first token's probabilities; where the server gives none, drawn eight times.
        """
        known = await self._learn()
        questions = self._questions or Questions(self._channel, known)
        self._questions = questions
        name = model or known.facts.model
        asked = (
            self._persist(lambda messages=messages: questions.affirm(messages, model=name), model=name)
            for messages in prompts
        )
        return list(await asyncio.gather(*asked))

    async def close(self) -> None:
        """Close all connections."""
        await self._channel.close()

    async def _learn(self) -> Known:
        """Probe the server, once."""
        if self._known is None:
            async with self._probing:
                if self._known is None:
                    self._known = await self._persist(
                        lambda: probe(self._channel, model=self._model, context=self._served.context),
                        model=self._model,
                    )
        return self._known

    async def _persist(self, ask: Callable[[], Awaitable[Got]], *, model: str) -> Got:
        """Ask until it works or no retry is left; raises ModelError."""
        attempt = 0
        while True:
            try:
                return await ask()
            except Failure as failure:
                attempt += 1
                gone = failure.trouble is Trouble.UNREACHABLE and not self._channel.answered
                pause = None if gone else wait(failure, attempt, retries=self._served.retries, seed=0)
                if pause is None:
                    raise self._error(failure, model) from None
                await asyncio.sleep(pause)

    def _error(self, failure: Failure, model: str) -> ModelError:
        """What the user sees; the key is not in it."""
        return failure.error(url=self._channel.address.shown, model=model, clean=self._channel.clean)

    async def _count(self, known: Known, messages: Sequence[ChatMessage]) -> int:
        """The tokens of a prompt, remembered."""
        if known.tokenizer is Tokenizer.NONE:
            return estimate(messages)
        asked = tuple(messages)
        if (counted := known.counts.get(asked)) is not None:
            return counted
        try:
            measured = await measure(self._channel, messages, model=known.facts.model, by=known.tokenizer)
        except Failure:
            return estimate(messages)
        if len(known.counts) >= _MOST_COUNTS:
            known.counts.pop(next(iter(known.counts)))
        known.counts[asked] = measured.tokens
        return measured.tokens

    async def _plan(self, known: Known, request: ChatRequest) -> Plan:
        """How long a request's thinking and answer may be beside its prompt; raises Failure where nothing fits."""
        sampling = request.sampling
        prompt = await self._count(known, request.messages)
        wanted = sampling.thinking_tokens + sampling.answer_tokens
        least = min(_LEAST_ROOM, sampling.answer_tokens)
        if known.tokenizer is Tokenizer.NONE and prompt + wanted + _MARGIN > known.context:
            prompt = int(prompt * _LIKELY)  # rather than cut the output for an estimate: the server says if it is wrong
        room = known.context - prompt - _MARGIN
        if room < least and known.tokenizer is not Tokenizer.NONE and known.measured:
            raise Failure(
                Trouble.CONTEXT_OVERFLOW, f"the prompt has {prompt} tokens, {known.context} are served in all"
            )
        room = max(room, least)
        answer = min(sampling.answer_tokens, room)
        thinking = min(sampling.thinking_tokens, max(room - answer, room // 2))
        return Plan(prompt, thinking, min(answer, room - thinking))
