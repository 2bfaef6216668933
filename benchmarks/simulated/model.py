"""The port that the agent talks to, with a simulated engine behind it.

Four characters are a token; a prompt is rendered as the Qwen template does it, and cut into blocks whose numbers
depend on all that stands before them: a prefix that differs by one character is another prefix.
"""

import asyncio
import hashlib
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass

from simulated.cards import Card
from simulated.engine import Engine
from simulated.engine import Sequence as InWork
from simulated.memory import BLOCK
from thinklonger.agent.chat import (
    ChatMessage,
    ChatRequest,
    Closing,
    Delta,
    Dialect,
    Finish,
    ModelFacts,
    Part,
    Reply,
    Retried,
    Usage,
)
from thinklonger.agent.errors import ModelError

CHARACTERS = 4  # of one token


@dataclass(frozen=True, slots=True)
class Written:
    """What a reply will be: how long its thinking is, in tokens, and its answer."""

    thinking: int
    answer: str


@dataclass(frozen=True, slots=True)
class Gap:
    """Nothing was asked of the engine between two requests: seconds of the asking program, and virtual ones of all.

    `cpu` is what the program worked, `wall` what it took on a machine that others use too.
    """

    cpu: float
    wall: float
    virtual: float


class SimulatedModel:
    """A ChatModel. `write` says what the next reply to a request will be, `judge` how sure of yes a prompt makes it."""

    def __init__(
        self,
        engine: Engine,
        *,
        write: Callable[[ChatRequest], Written],
        judge: Callable[[str], float] = lambda _: 0.5,
    ) -> None:
        """Nothing is sent."""
        self._engine = engine
        self._write = write
        self._judge = judge
        self._outstanding = 0
        self._ended: tuple[float, float, float] | None = None
        self.lengths: list[tuple[int, list[int]]] = []
        """of each request the prompt's tokens and those of its replies"""
        self.gaps: list[Gap] = []

    @property
    def name(self) -> str:
        """As at a server."""
        return "simulated"

    async def facts(self) -> ModelFacts:
        """All that vLLM can do."""
        return ModelFacts(
            model=self.name,
            context=min(131_072, self._engine.card.capacity),
            dialect=Dialect.REASONING,
            several=True,
            logprobs=True,
            counts_tokens=True,
            continues=True,
            adapters=("prm", "orm"),
            server=f"simulated {card_name(self._engine.card)}",
        )

    async def count(self, messages: Sequence[ChatMessage]) -> int:
        """Characters by four."""
        return -(-len(render(messages)) // CHARACTERS)

    async def reply(
        self, request: ChatRequest, *, answer_now: asyncio.Event | None = None
    ) -> AsyncGenerator[Delta | Retried | Reply]:
        """Replies when the engine has made them; of the text only a piece at the first token."""
        text = render(request.messages)
        blocks, tokens = numbers(text, request.model)
        written = [self._write(request) for _ in range(request.count)]
        events: asyncio.Queue[tuple[int, int]] = asyncio.Queue()
        started = asyncio.get_running_loop().time()
        sequences = [
            self._sequence(blocks, tokens, _length(one), lambda done, choice=choice: events.put_nowait((choice, done)))
            for choice, one in enumerate(written)
        ]
        self.lengths.append((tokens, [sequence.target for sequence in sequences]))
        closer = asyncio.create_task(self._close_thinking(sequences, written, answer_now)) if answer_now else None
        open_replies = set(range(request.count))
        try:
            while open_replies:
                choice, done = await events.get()
                sequence = sequences[choice]
                if done < sequence.target:
                    yield Delta(choice, Part.THINK, "…")
                    continue
                open_replies.discard(choice)
                self._end()
                cut = sequence.target < _length(written[choice])
                seconds = asyncio.get_running_loop().time() - started
                yield _reply(choice, written[choice], sequence, tokens, seconds, cut=cut)
        finally:
            if closer is not None:
                closer.cancel()
            for choice in open_replies:
                self._engine.abort(sequences[choice])
                self._end()

    async def affirm(self, prompts: Sequence[Sequence[ChatMessage]], *, model: str = "") -> Sequence[float]:
        """One token for each prompt, all at once."""
        done = asyncio.Event()
        left = len(prompts)

        def ended(_: int) -> None:
            nonlocal left
            left -= 1
            self._end()
            if not left:
                done.set()

        for prompt in prompts:
            blocks, tokens = numbers(render(prompt), model)
            self._sequence(blocks, tokens, 1, ended)
        if prompts:
            await done.wait()
        return [self._judge(render(prompt)) for prompt in prompts]

    async def close(self) -> None:
        """Nothing is open."""

    def _sequence(self, blocks: tuple[int, ...], tokens: int, target: int, on_token: Callable[[int], None]) -> InWork:
        """Hand a sequence to the engine; raises ModelError where it could never hold it."""
        if tokens + target > self._engine.card.capacity:
            raise ModelError("model.context-overflow")
        if not self._outstanding and self._ended is not None:
            now = _clocks()
            self.gaps.append(Gap(*(new - old for new, old in zip(now, self._ended, strict=True))))
        self._outstanding += 1
        sequence = InWork(blocks, tokens, target, on_token)
        self._engine.submit(sequence)
        return sequence

    def _end(self) -> None:
        self._outstanding -= 1
        if not self._outstanding:
            self._ended = _clocks()

    async def _close_thinking(self, sequences: list[InWork], written: list[Written], answer_now: asyncio.Event) -> None:
        await answer_now.wait()
        for sequence, one in zip(sequences, written, strict=True):
            self._engine.close(sequence, _length(one) - one.thinking)


def _clocks() -> tuple[float, float, float]:
    return time.process_time(), time.perf_counter(), asyncio.get_running_loop().time()


def card_name(card: Card) -> str:
    """The card with its weights, in words."""
    return f"{card.name}, {card.weights.name}"


def render(messages: Sequence[ChatMessage]) -> str:
    """What the server's template makes of a conversation, up to where the reply begins."""
    turns = "".join(f"<|im_start|>{one.role}\n{one.content}<|im_end|>\n" for one in messages)
    return f"{turns}<|im_start|>assistant\n<think>\n"


def numbers(text: str, model: str) -> tuple[tuple[int, ...], int]:
    """The numbers of a prompt's full blocks, and its tokens. An adapter's blocks are never the base model's."""
    tokens = -(-len(text) // CHARACTERS)
    size = BLOCK * CHARACTERS
    chain = hashlib.blake2b(model.encode(), digest_size=8)
    blocks: list[int] = []
    for start in range(0, len(text) // size * size, size):
        chain.update(text[start : start + size].encode())
        blocks.append(int.from_bytes(chain.digest(), "big"))
    return tuple(blocks), tokens


def _length(written: Written) -> int:
    """A reply's tokens, its end included."""
    return written.thinking + -(-len(written.answer) // CHARACTERS) + 1


def _reply(  # noqa: PLR0913 (all facts of a reply)
    choice: int, written: Written, sequence: InWork, prompt: int, seconds: float, *, cut: bool
) -> Reply:
    answer = _length(written) - written.thinking
    usage = Usage(prompt, 0, max(0, sequence.produced - answer), answer, counted=True)
    closing = Closing.ANSWER_NOW if cut else None
    return Reply(choice, "…", written.answer, Finish.STOP, usage, closing=closing, seconds=seconds)
