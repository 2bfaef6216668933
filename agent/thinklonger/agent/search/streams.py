"""Streams and jobs that end in an orderly way: nothing of them is left behind, whoever stops first."""

import asyncio
from collections.abc import Coroutine, Iterable


async def close(stream: object) -> None:
    """Close a stream that is a generator, so that what it holds is freed now and not at some collection."""
    closing = getattr(stream, "aclose", None)
    if closing is not None:
        await closing()


async def together(jobs: Iterable[Coroutine[object, object, object]]) -> None:
    """Run jobs at once to their ends; if one fails or this is cancelled, the others end first, then it raises."""
    tasks = [asyncio.ensure_future(job) for job in jobs]
    try:
        await asyncio.gather(*tasks)
    finally:
        await end(tasks)


async def end(tasks: Iterable["asyncio.Task[object]"]) -> None:
    """Cancel tasks and wait until they are over, whatever they make of it."""
    ending = list(tasks)
    for task in ending:
        task.cancel()
    await asyncio.gather(*ending, return_exceptions=True)
