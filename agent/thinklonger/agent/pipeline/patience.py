"""How long a candidate may take: little at first where the base hangs, and what is usual once nothing else passed.

Where the base hangs, most of its neighbours hang, too, and each of them costs its whole time.
"""

import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from typing import TypeAlias

from thinklonger.agent.execution import Screened, ScreenResult
from thinklonger.agent.types import Outcome, TestRun

BRIEF_SECONDS = 0.25  # of CPU, for one test; a test that ends takes milliseconds, mostly
BRIEF_TIMES = 20  # or so many times as long as the slowest of the tests that do end
BRIEF_SHARE = 0.6  # of the time for proposing, after which the candidates that were cut short get theirs

Look: TypeAlias = Callable[[AsyncIterator[Screened]], AsyncGenerator[ScreenResult]]


def brief_seconds(reproduction: TestRun, usual: float) -> float | None:
    """The CPU seconds for one test in a first, brief look; None where the base ends, or there is little to gain."""
    if all(result.outcome is not Outcome.TIMED_OUT for result in reproduction.results):
        return None
    ended = [result.seconds for result in reproduction.results if result.outcome is not Outcome.TIMED_OUT]
    brief = max(BRIEF_SECONDS, BRIEF_TIMES * max(ended, default=0.0))
    return brief if 2 * brief < usual else None


async def in_two_looks(
    candidates: AsyncIterator[Screened], *, brief: Look, usual: Look, until: float
) -> AsyncGenerator[ScreenResult]:
    """Look at all candidates briefly; if none passes until then (monotonic seconds), at the slow ones once more.

    A slow candidate's first result comes like any other; the second one only if it passes then.
    """
    waiting: dict[str, Screened] = {}
    slow: list[Screened] = []
    passed = False
    async with aclosing(brief(_noted(candidates, waiting))) as results:
        async for result in results:
            candidate = waiting.pop(result.id)
            slow += [candidate] if _cut_short(result) else []
            passed = passed or result.passed
            yield result
            if not passed and slow and time.monotonic() > until:
                break
    async with aclosing(usual(_each([] if passed else slow))) as results:
        async for result in results:
            if result.passed:
                yield result


def _cut_short(result: ScreenResult) -> bool:
    """Whether the clock ended it."""
    return result.first_red is not None and result.first_red.outcome is Outcome.TIMED_OUT


async def _noted(candidates: AsyncIterator[Screened], waiting: dict[str, Screened]) -> AsyncIterator[Screened]:
    """The candidates, each noted until its result comes."""
    async for candidate in candidates:
        waiting[candidate.id] = candidate
        yield candidate


async def _each(candidates: list[Screened]) -> AsyncIterator[Screened]:
    """A list as a stream."""
    for candidate in candidates:
        yield candidate
