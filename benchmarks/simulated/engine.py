"""Continuous batching in virtual time, as vLLM's scheduler does it: chunked prefill, prefix cache, admission by memory.

In each step the running sequences come first, one token each or the next chunk of their prompt; waiting ones join in
the order of their coming while tokens and blocks are left. Where a running sequence finds no block, the youngest one
loses its own and is computed again later. Stretches in which nothing but decoding happens are taken in one jump.
"""

import asyncio
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Self

from simulated.cards import Card
from simulated.cost import run_seconds, step_seconds
from simulated.memory import BLOCK, Blocks


@dataclass(slots=True, eq=False)
class Sequence:
    """One reply in the making. `prompt`: its full blocks' numbers; `length`: tokens of prompt and reply so far."""

    prompt: tuple[int, ...]
    length: int
    target: int
    """the reply's tokens"""
    on_token: Callable[[int], None]
    """told how many tokens there are: at the first and at the last one"""
    produced: int = 0
    computed: int = 0
    shared: int = 0
    private: int = 0
    gone: bool = False
    closing: int | None = None
    """so many tokens at most from the next step on: its thinking is closed by force"""

    @property
    def decoding(self) -> bool:
        """Whether just the last token is to be computed."""
        return self.produced > 0 and self.computed == self.length - 1


@dataclass(slots=True)
class Counters:
    """What the engine did, as vLLM's /metrics tell it. Tokens; `busy`: virtual seconds of steps."""

    prompt_tokens: int = 0
    cached_tokens: int = 0
    prefilled_tokens: int = 0
    generated_tokens: int = 0
    preemptions: int = 0
    peak_running: int = 0
    peak_waiting: int = 0
    busy: float = 0.0
    unique: set[int] = field(default_factory=set[int])


class Engine:
    """One GPU with one model. Use it as a context: its work is a task of the running loop."""

    def __init__(self, card: Card) -> None:
        """An idle engine with an empty cache."""
        self.card = card
        self.counters = Counters()
        self._blocks = Blocks(card.capacity)
        self._running: list[Sequence] = []
        self._waiting: list[Sequence] = []
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Start."""
        self._task = asyncio.create_task(self._work())
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop; whatever runs is lost."""
        if self._task is not None:
            self._task.cancel()

    @property
    def running(self) -> int:
        """Sequences in work."""
        return len(self._running)

    def submit(self, sequence: Sequence) -> None:
        """Queue a sequence."""
        self.counters.prompt_tokens += sequence.length
        self.counters.unique.update(sequence.prompt)
        self._waiting.append(sequence)
        self._changed.set()

    def abort(self, sequence: Sequence) -> None:
        """Nobody wants it any more: it is dropped at the end of the step in progress."""
        sequence.gone = True
        self._changed.set()

    def close(self, sequence: Sequence, tokens: int) -> None:
        """Let it end within so many tokens more."""
        sequence.closing = tokens
        self._changed.set()

    async def _work(self) -> None:
        """Steps, for ever."""
        while True:
            self._changed.clear()
            self._drop_gone()
            self._close()
            if not self._running and not self._waiting:
                await self._changed.wait()
                continue
            plan = self._plan()
            if not plan:
                raise RuntimeError("a prompt that no empty engine of this card can hold")  # noqa: TRY003
            if all(sequence.decoding for sequence in plan) and len(plan) == len(self._running):
                await self._decode(plan)
            else:
                await self._step(plan)

    async def _step(self, plan: dict[Sequence, int]) -> None:
        """One step that has prefill in it."""
        context = sum(sequence.computed + tokens for sequence, tokens in plan.items())
        seconds = step_seconds(self.card, sum(plan.values()), context, len(plan))
        await asyncio.sleep(seconds)
        self.counters.busy += seconds
        for sequence, tokens in plan.items():
            if not sequence.decoding:
                self.counters.prefilled_tokens += tokens
            sequence.computed += tokens
            if sequence.computed == sequence.length:
                self._yield(sequence, 1)

    async def _decode(self, plan: dict[Sequence, int]) -> None:
        """As many decoding steps as can be done without anything happening; or until something happens."""
        loop = asyncio.get_running_loop()
        batch = len(plan)
        context = sum(sequence.length for sequence in plan)
        steps = self._steps(plan)
        started, seconds = loop.time(), run_seconds(self.card, batch, context, steps)
        try:
            await asyncio.wait_for(self._changed.wait(), seconds)
        except TimeoutError:
            pass
        else:
            steps = self._begun(loop.time() - started, batch, context, steps)
            seconds = run_seconds(self.card, batch, context, steps)
            await asyncio.sleep(max(0.0, started + seconds - loop.time()))
        self.counters.busy += seconds
        for sequence in plan:
            sequence.computed += steps
            self._yield(sequence, steps)
            self._fit(sequence)

    def _begun(self, elapsed: float, batch: int, context: float, most: int) -> int:
        """How many steps have begun so far: the one in progress is finished, whatever happens."""
        low, high = 1, most
        while low < high:
            middle = (low + high) // 2
            if run_seconds(self.card, batch, context, middle) < elapsed:
                low = middle + 1
            else:
                high = middle
        return low

    def _steps(self, plan: dict[Sequence, int]) -> int:
        """Until the first sequence ends, or the room does."""
        most = min(sequence.target - sequence.produced for sequence in plan)
        low, high = 1, most
        while low < high:
            middle = (low + high + 1) // 2
            wanted = sum(
                max(0, math.ceil((sequence.computed + middle) / BLOCK) - sequence.shared - sequence.private)
                for sequence in plan
            )
            if wanted <= self._blocks.room:
                low = middle
            else:
                high = middle - 1
        return low

    def _plan(self) -> dict[Sequence, int]:
        """Who computes how many tokens in the next step; takes the blocks for them."""
        budget = self.card.batched_tokens
        plan: dict[Sequence, int] = {}
        preempted = False
        for sequence in list(self._running):
            if sequence not in self._running or budget <= 0:
                continue
            tokens = min(budget, sequence.length - sequence.computed)
            while not self._allocate(sequence, tokens):
                preempted = True
                victim = self._running[-1]
                self._preempt(victim)
                budget += plan.pop(victim, 0)
                if victim is sequence:
                    break
            else:
                plan[sequence] = tokens
                budget -= tokens
        while self._waiting and not preempted and budget > 0 and len(self._running) < self.card.sequences:
            sequence = self._waiting[0]
            tokens = self._admit(sequence, budget)
            if not tokens:
                break
            self._waiting.pop(0)
            self._running.append(sequence)
            plan[sequence] = tokens
            budget -= tokens
        self.counters.peak_running = max(self.counters.peak_running, len(self._running))
        self.counters.peak_waiting = max(self.counters.peak_waiting, len(self._waiting))
        return plan

    def _admit(self, sequence: Sequence, budget: int) -> int:
        """Give a waiting sequence what is cached of it and room for its first chunk; 0 where there is too little."""
        known = min(self._blocks.known(sequence.prompt), (sequence.length - 1) // BLOCK)
        tokens = min(budget, sequence.length - known * BLOCK)
        cached = sequence.prompt[:known]
        fresh = math.ceil((known * BLOCK + tokens) / BLOCK) - known
        if self._blocks.price(cached) + fresh > self._blocks.room:
            return 0
        self._blocks.take(cached)
        sequence.shared = known
        sequence.computed = known * BLOCK
        self._allocate(sequence, tokens)
        if not sequence.produced:
            self.counters.cached_tokens += known * BLOCK
        return tokens

    def _allocate(self, sequence: Sequence, tokens: int) -> bool:
        """Blocks for the next tokens; prompt blocks are known to others from now on, as in vLLM."""
        end = sequence.computed + tokens
        full = max(sequence.shared, min(len(sequence.prompt), end // BLOCK))
        shared = sequence.prompt[sequence.shared : full]
        more = math.ceil(end / BLOCK) - full - sequence.private  # -1 where a block has become full
        if self._blocks.price(shared) + more > self._blocks.room:
            return False
        self._blocks.take(shared)
        self._blocks.grow(more)
        sequence.shared = full
        sequence.private += more
        return True

    def _fit(self, sequence: Sequence) -> None:
        """Book the blocks of a jump that has happened; a sequence that has ended holds none."""
        if sequence in self._running:
            self._allocate(sequence, 0)

    def _yield(self, sequence: Sequence, tokens: int) -> None:
        """The sequence has so many tokens more."""
        first = sequence.produced == 0
        sequence.produced += tokens
        sequence.length += tokens
        self.counters.generated_tokens += tokens
        ended = sequence.produced >= sequence.target
        if ended:
            self._release(sequence)
            self._running.remove(sequence)
        if (first or ended) and not sequence.gone:
            sequence.on_token(sequence.produced)

    def _preempt(self, sequence: Sequence) -> None:
        """Take its blocks; it will be computed again, before all others that wait."""
        self.counters.preemptions += 1
        self._release(sequence)
        sequence.computed = 0
        self._running.remove(sequence)
        self._waiting.insert(0, sequence)

    def _release(self, sequence: Sequence) -> None:
        self._blocks.free(sequence.prompt[: sequence.shared], sequence.private)
        sequence.shared = sequence.private = 0

    def _close(self) -> None:
        """Move the ends of those whose thinking was closed."""
        for sequence in (*self._running, *self._waiting):
            if sequence.closing is not None:
                sequence.target = min(sequence.target, sequence.produced + sequence.closing)
                sequence.closing = None

    def _drop_gone(self) -> None:
        """Let go of what nobody wants."""
        for sequence in [one for one in self._running if one.gone]:
            self._release(sequence)
            self._running.remove(sequence)
        self._waiting = [one for one in self._waiting if not one.gone]
