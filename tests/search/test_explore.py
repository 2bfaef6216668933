"""Exploring: a stream of proposals, a check that works on several at once, and a rule for enough."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable

from hypothesis import given
from hypothesis import strategies as st

from thinklonger.agent.search import Checked, Progress, explore, within


async def proposals(items: list[int], closed: list[str]) -> AsyncGenerator[int]:
    """Propose these, and say when closed."""
    try:
        for item in items:
            await asyncio.sleep(0)
            yield item
    finally:
        closed.append("proposals")


def check_into(closed: list[str]) -> Callable[[AsyncIterator[int]], AsyncGenerator[int]]:
    """A check that passes everything on, and says when closed."""

    async def check(stream: AsyncIterator[int]) -> AsyncGenerator[int]:
        try:
            async for item in stream:
                yield item
        finally:
            closed.append("check")

    return check


async def run(
    items: list[int], *, enough: Callable[[Progress], bool], closed: list[str] | None = None
) -> list[Checked[int]]:
    """All results of exploring these items, where multiples of three are kept."""
    closed = [] if closed is None else closed
    found = explore(proposals(items, closed), check_into(closed), keep=lambda item: item % 3 == 0, enough=enough)
    return [checked async for checked in found]


def never(_progress: Progress) -> bool:
    """It is never enough."""
    return False


@given(st.lists(st.integers(0, 50)))
def test_everything_is_checked_and_counted(items: list[int]) -> None:
    """Without a limit every proposal gives one result, and the counts say how many were kept and when first."""
    found = asyncio.run(run(items, enough=never))
    assert [checked.result for checked in found] == items
    kept = [index for index, item in enumerate(items, 1) if item % 3 == 0]
    if found:
        last = found[-1].progress
        assert (last.proposed, last.checked, last.kept) == (len(items), len(items), len(kept))
        assert last.first_kept == (kept[0] if kept else None)


@given(st.integers(1, 20), st.integers(0, 20))
def test_stops_when_it_is_enough(limit: int, after: int) -> None:
    """It stops at the limit of checks, or so many checks after the first one kept, whichever comes first."""
    items = [1, 1, 3, *([1] * 60)]
    found = asyncio.run(run(items, enough=within(items=limit, seconds=60, after_first=after)))
    assert len(found) == min(limit, 3 + after)


async def test_stopping_closes_both_streams() -> None:
    """Whatever the streams hold is freed when the search stops, not at some later collection."""
    closed: list[str] = []
    await run([1, 2, 3, 4], enough=within(items=2, seconds=60, after_first=9), closed=closed)
    assert sorted(closed) == ["check", "proposals"]


async def test_cancelling_closes_both_streams() -> None:
    """A cancelled search frees what its streams hold."""
    closed: list[str] = []

    async def forever() -> AsyncGenerator[int]:
        try:
            while True:
                await asyncio.sleep(0)
                yield 1
        finally:
            closed.append("proposals")

    async def consume() -> None:
        async for _ in explore(forever(), check_into(closed), keep=bool, enough=never):
            pass

    task = asyncio.create_task(consume())
    await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert sorted(closed) == ["check", "proposals"]
