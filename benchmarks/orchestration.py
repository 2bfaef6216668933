"""How close the search comes to what a graphics card allows: orchestration on a simulated engine, in virtual time.

    python benchmarks/orchestration.py [--seeds N] [--card WORD] [--json]
    python benchmarks/orchestration.py --record FOLDER [--card WORD]

The driver and the asking are the product's; engine and verification are simulated (`simulated/`, docs/orchestration.md
for formulas and assumptions). Printed are medians over the seeds:

- `eta`: lower bound / makespan, without verification and with four verification workers (20 to 60 s for each patch).
  The bound: each stage's prompt computed once, then all its replies decoding together, verification hidden entirely.
- `prefill`: prompt tokens computed / unique prompt tokens.
- `gap`: CPU milliseconds of the program between a stage's last reply and the next request, the worst of all seeds.
- `hidden`: the share of verification, counted one patch after another, that does not lengthen the run.
- `speed-up`: the same rollouts one after another / together, both with verification.

With `--record` a real run (its folder among the state, `thinklonger runs list`) is held against a card's bound.

Early stop, speculation and judging by adapters change the work, not how well it is arranged: they stand apart.
"""

import argparse
import asyncio
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import median

from simulated import clock, cost, recorded
from simulated.cards import CARDS, Card
from simulated.engine import Counters, Engine
from simulated.memory import BLOCK
from simulated.model import Gap, SimulatedModel, numbers, render
from simulated.steps import Circumstances, Record, SimulatedSteps

from thinklonger.agent.config import Strategy
from thinklonger.agent.search import Plan, Stopped, dev_search, plan_for
from thinklonger.agent.trace.reading import read_record

ROLLOUTS, WORKERS = 8, 4
SPECULATION = 1.5  # tokens of a sequence for each step; measured values lie between 1.2 and 1.8
EASY, HARD = 0.7, 0.3  # the chance that a rollout ends in the right patch, where stopping early is looked at


@dataclass(frozen=True, slots=True)
class Run:
    """One simulated run: virtual seconds, and what happened in it."""

    seconds: float
    record: Record
    counters: Counters
    gaps: list[Gap]


def plan(strategy: Strategy = Strategy.DEV_SEARCH, *, rollouts: int = ROLLOUTS, keep: int = 1) -> Plan:
    """Eight samples at each stage, of which one goes on: the shape that the bound is written for."""
    return plan_for(strategy, budget=rollouts, samples=rollouts, keep=keep, workers=WORKERS)


async def simulate(card: Card, how: Circumstances, *plans: Plan) -> Run:
    """Searches one after another on one engine."""
    steps = SimulatedSteps(card, how)
    async with Engine(card) as engine:
        model = SimulatedModel(engine, write=steps.write)
        steps.use(model)
        for each in plans:
            async for happening in dev_search(steps, each):
                if isinstance(happening, Stopped) and happening.error is not None:
                    raise happening.error
        return Run(asyncio.get_running_loop().time(), steps.record, engine.counters, model.gaps)


def bound(card: Card, record: Record) -> float:
    """The least time for the stages of a run, whatever arranges them: see docs/orchestration.md."""
    seen: set[int] = set()
    seconds = 0.0
    for requests in record.asked.values():
        prompts = {request.messages: numbers(render(request.messages), "") for request in requests}
        for blocks, tokens in prompts.values():
            known = next((index for index, block in enumerate(blocks) if block not in seen), len(blocks))
            seconds += cost.prefill_seconds(card, tokens, known * BLOCK)
            seen.update(blocks)
        replies = [
            (prompts[request.messages][1], length) for request, lengths in requests.items() for length in lengths
        ]
        seconds += cost.decode_seconds(card, replies)
    return seconds


def unique(record: Record) -> int:
    """The prompt tokens of a run, each counted once."""
    blocks: set[int] = set()
    rests: dict[object, int] = {}
    for requests in record.asked.values():
        for request in requests:
            full, tokens = numbers(render(request.messages), "")
            blocks.update(full)
            rests[request.messages] = tokens - len(full) * BLOCK
    return len(blocks) * BLOCK + sum(rests.values())


@dataclass(frozen=True, slots=True)
class Stopping:
    """Early stop against all eight rollouts: how many times faster, and the share of the tokens.

    Of one wave that ends when its rollouts agree, and of waves of 1, 2, 4 and 8.
    """

    wave: float
    wave_tokens: float
    waves: float
    waves_tokens: float


@dataclass(frozen=True, slots=True)
class Figures:
    """What one card comes to with one seed."""

    bound: float
    without: float
    with_four: float
    one_by_one: float
    eta: float
    eta_four: float
    eta_eight: float
    prefill: float
    gap_ms: float
    gap_wall_ms: float
    hidden: float
    hidden_most: float
    overlapped: float
    speed_up: float
    adapters: float
    stopped: list[Stopping]
    speculation: float
    preemptions: int


def stopping(card: Card, how: Circumstances, alike: float) -> Stopping:
    """What stopping early brings, where so many rollouts end in the right patch."""
    plans = (plan(), replace(plan(), early=True), plan(Strategy.ADAPTIVE))
    whole, wave, waves = (clock.run(simulate(card, replace(how, alike=alike), each)) for each in plans)
    tokens = whole.counters.generated_tokens
    return Stopping(
        wave=whole.seconds / wave.seconds,
        wave_tokens=wave.counters.generated_tokens / tokens,
        waves=whole.seconds / waves.seconds,
        waves_tokens=waves.counters.generated_tokens / tokens,
    )


def figures(card: Card, seed: int) -> Figures:
    """All runs of one card with one seed."""
    how = Circumstances(seed)
    tested = replace(how, verification=1.0)
    plain = clock.run(simulate(card, how, plan()))
    four = clock.run(simulate(card, tested, plan()))
    eight = clock.run(simulate(card, tested, replace(plan(), workers=ROLLOUTS)))
    single = clock.run(simulate(card, tested, *[plan(rollouts=1)] * ROLLOUTS))
    judged = clock.run(simulate(card, replace(how, adapters=True), plan()))
    quick = clock.run(simulate(replace(card, accepted=SPECULATION), how, plan()))
    least = bound(card, plain.record)
    tested_for = sum(end - start for start, end in four.record.verified)
    ended = max(four.record.patched)
    beside = sum(max(0.0, min(end, ended) - start) for start, end in four.record.verified)
    return Figures(
        bound=least,
        without=plain.seconds,
        with_four=four.seconds,
        one_by_one=single.seconds,
        eta=least / plain.seconds,
        eta_four=least / four.seconds,
        eta_eight=least / eight.seconds,
        prefill=plain.counters.prefilled_tokens / unique(plain.record),
        gap_ms=max(1000 * gap.cpu for gap in (*plain.gaps, *four.gaps)),
        gap_wall_ms=median(1000 * gap.wall for gap in (*plain.gaps, *four.gaps)),
        hidden=1 - (four.seconds - plain.seconds) / tested_for,
        hidden_most=1 - (eight.seconds - plain.seconds) / tested_for,
        overlapped=beside / tested_for,
        speed_up=single.seconds / four.seconds,
        adapters=judged.seconds / plain.seconds,
        stopped=[stopping(card, tested, alike) for alike in (EASY, HARD)],
        speculation=plain.seconds / quick.seconds,
        preemptions=plain.counters.preemptions + four.counters.preemptions,
    )


COLUMNS: tuple[tuple[str, Callable[[Figures], float], str], ...] = (
    ("bound s", lambda one: one.bound, "7.0f"),
    ("makespan s", lambda one: one.without, "7.0f"),
    ("with tests s", lambda one: one.with_four, "7.0f"),
    ("one by one s", lambda one: one.one_by_one, "7.0f"),
    ("eta (>= 0.90)", lambda one: one.eta, "7.3f"),
    ("eta, 4 workers (>= 0.85)", lambda one: one.eta_four, "7.3f"),
    ("  a worker for each patch", lambda one: one.eta_eight, "7.3f"),
    ("prefill (<= 1.05)", lambda one: one.prefill, "7.3f"),
    ("gap, most CPU ms (<= 20)", lambda one: one.gap_ms, "7.1f"),
    ("  median wall ms", lambda one: one.gap_wall_ms, "7.1f"),
    ("hidden (>= 0.90)", lambda one: one.hidden, "7.3f"),
    ("  of what a worker for each hides", lambda one: one.hidden / one.hidden_most, "7.3f"),
    ("  worker seconds beside decoding", lambda one: one.overlapped, "7.3f"),
    ("speed-up (>= 4)", lambda one: one.speed_up, "7.2f"),
    ("preemptions", lambda one: one.preemptions, "7.0f"),
    ("apart: judging by adapters, time x", lambda one: one.adapters, "7.3f"),
    (f"apart: right {EASY}, one wave, faster x", lambda one: one.stopped[0].wave, "7.2f"),
    (f"apart: right {EASY}, one wave, tokens x", lambda one: one.stopped[0].wave_tokens, "7.2f"),
    (f"apart: right {EASY}, waves, faster x", lambda one: one.stopped[0].waves, "7.2f"),
    (f"apart: right {EASY}, waves, tokens x", lambda one: one.stopped[0].waves_tokens, "7.2f"),
    (f"apart: right {HARD}, one wave, faster x", lambda one: one.stopped[1].wave, "7.2f"),
    (f"apart: right {HARD}, one wave, tokens x", lambda one: one.stopped[1].wave_tokens, "7.2f"),
    (f"apart: right {HARD}, waves, faster x", lambda one: one.stopped[1].waves, "7.2f"),
    (f"apart: right {HARD}, waves, tokens x", lambda one: one.stopped[1].waves_tokens, "7.2f"),
    (f"apart: speculation of {SPECULATION}, faster x", lambda one: one.speculation, "7.2f"),
)


def title(card: Card) -> str:
    """The card and what it serves."""
    return f"{card.name}, {card.weights.name}"


def main() -> None:
    """Simulate and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--card", default="", help="only cards whose name has this in it")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--record", type=Path, help="the folder of a run that a model has worked on")
    arguments = parser.parse_args()
    cards = [card for card in CARDS if arguments.card in title(card)]
    if arguments.record:
        _recorded(arguments.record, cards)
        return
    results = {title(card): [figures(card, seed) for seed in range(arguments.seeds)] for card in cards}
    if arguments.json:
        print(json.dumps({name: [asdict(one) for one in found] for name, found in results.items()}))
        return
    print(f"{'medians of ' + str(arguments.seeds) + ' seeds':38}", *(f"{card.name:>14}" for card in cards))
    print(f"{'':38}", *(f"{card.weights.name:>14}" for card in cards))
    for label, value, form in COLUMNS:
        values = [
            max(map(value, found)) if label.startswith("gap") else median(map(value, found))
            for found in results.values()
        ]
        print(f"{label:38}", *(f"{value:{form}}".rjust(14) for value in values))


def _recorded(folder: Path, cards: Sequence[Card]) -> None:
    """A real run against each card's bound."""
    entries = read_record(folder).entries
    for card in cards:
        found = recorded.summarize(entries, card)
        if found is None:
            sys.exit("orchestration.py: no model was asked in this run")
        print(f"{title(card)}: bound {found.bound:.1f} s")
        print(f"  generation {found.generation:.1f} s, eta {found.bound / max(found.generation, 1e-9):.3f}")
        print(f"  with verification {found.whole:.1f} s, eta {found.bound / max(found.whole, 1e-9):.3f}")
        print(f"  idle between requests: {', '.join(f'{1000 * gap:.0f} ms' for gap in found.idle) or 'never'}")
        print(f"  prompt tokens {found.prompted}, unique {found.unique}, not cached {found.computed}")
        print(f"  generated tokens {found.generated}{'' if found.counted else ', partly estimated'}")


if __name__ == "__main__":
    main()
