"""Exploring a stream of proposals: what proposes, what checks and what is enough are arguments."""

import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from thinklonger.agent.search.streams import close

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a search is: how much was proposed, checked and kept, and at which check the first one was kept."""

    proposed: int = 0
    checked: int = 0
    kept: int = 0
    first_kept: int | None = None
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Checked(Generic[Result]):
    """One result of a search, whether it is kept, and how far the search was then."""

    result: Result
    kept: bool
    progress: Progress


async def explore(
    proposals: AsyncIterator[Item],
    check: Callable[[AsyncIterator[Item]], AsyncIterator[Result]],
    *,
    keep: Callable[[Result], bool],
    enough: Callable[[Progress], bool],
) -> AsyncGenerator[Checked[Result]]:
    """Check proposals as they come, until there are no more or it is `enough`.

    `check` maps a stream to a stream and may work on several items at once; results come in the order of their ends.
    Items in flight when it is enough are dropped by closing the stream.
    """
    progress = Progress()
    started = time.monotonic()

    async def feed() -> AsyncIterator[Item]:
        nonlocal progress
        async for item in proposals:
            progress = replace(progress, proposed=progress.proposed + 1)
            yield item

    results = check(feed())
    try:
        async for result in results:
            kept = keep(result)
            checked = progress.checked + 1
            progress = replace(
                progress,
                checked=checked,
                kept=progress.kept + kept,
                first_kept=checked if kept and progress.first_kept is None else progress.first_kept,
                seconds=time.monotonic() - started,
            )
            yield Checked(result, kept, progress)
            if enough(progress):
                return
    finally:
        await close(results)
        await close(proposals)


def within(*, items: int, seconds: float, after_first: int) -> Callable[[Progress], bool]:
    """The usual `enough`: so many items checked, so long searched, or so many more checked since the first was kept.

    The search goes on after the first one kept because a second that behaves differently is worth knowing: it says
    that the evidence does not decide between them.
    """

    def enough(progress: Progress) -> bool:
        if progress.checked >= items or progress.seconds >= seconds:
            return True
        return progress.first_kept is not None and progress.checked >= progress.first_kept + after_first

    return enough
