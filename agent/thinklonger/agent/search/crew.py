"""The tasks of one search, by what they do, and waiting for what they bring about."""

import asyncio
from collections.abc import Callable, Coroutine

from thinklonger.agent.search.streams import end


class Crew:
    """Tasks that work at once: `growing` and `mending` ask the model, `checking` runs patches."""

    def __init__(self) -> None:
        """Nobody works yet. Belongs to the running event loop."""
        self.growing: set[asyncio.Task[None]] = set()
        self.mending: set[asyncio.Task[None]] = set()
        self.checking: set[asyncio.Task[None]] = set()
        self._broken: BaseException | None = None
        self._turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @property
    def busy(self) -> bool:
        """Whether anybody works."""
        return bool(self.growing or self.mending or self.checking)

    def start(self, kind: set[asyncio.Task[None]], job: Coroutine[object, object, None]) -> None:
        """Have somebody do this job; an error of it is raised where `until` is waited for."""

        def ended(task: asyncio.Task[None]) -> None:
            kind.discard(task)
            if not task.cancelled():
                self._broken = self._broken or task.exception()
            self.look()

        task = asyncio.ensure_future(job)
        kind.add(task)
        task.add_done_callback(ended)

    def look(self) -> None:
        """Let everybody who waits for something look again."""
        if not self._turn.done():
            self._turn.set_result(None)

    async def until(self, true: Callable[[], bool]) -> None:
        """Wait until something is true; it is looked at whenever a task ends, and when told to `look`."""
        while True:
            if self._broken is not None:
                raise self._broken
            if true():
                return
            if self._turn.done():
                self._turn = asyncio.get_running_loop().create_future()
            await asyncio.shield(self._turn)

    async def end(self, *kinds: set[asyncio.Task[None]]) -> None:
        """Stop the tasks of these kinds, of all kinds if none is named, and wait until they are over."""
        await end([task for kind in kinds or (self.growing, self.mending, self.checking) for task in kind])
