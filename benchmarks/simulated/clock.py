"""Virtual time: an event loop whose clock jumps to the next timer instead of sleeping until then."""

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

Result = TypeVar("Result")

_STUCK = 5.0  # real seconds without any timer or event after which nothing can come any more


class _Jumping(selectors.DefaultSelector):
    """Never waits: the time that the loop wants to sleep is handed to `jump`."""

    def __init__(self, jump: Callable[[float], None]) -> None:
        super().__init__()
        self._jump = jump

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        events = super().select(_STUCK if timeout is None else 0)
        if not events:
            if timeout is None:
                raise RuntimeError("virtual time stands still: everybody waits and no timer is set")  # noqa: TRY003
            self._jump(max(timeout, 0.0))
        return events


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop for simulations: `time()` starts at 0 and moves only by the timers that were set.

    Threads and real sockets have no place in it: while they work, its time would run on without them.
    """

    def __init__(self) -> None:
        """Time is 0."""
        self._now = 0.0
        super().__init__(_Jumping(self._jump))
        self._clock_resolution = 1e-9  # a jump may end a rounding error before its timer

    def time(self) -> float:
        """Virtual seconds since the loop was made."""
        return self._now

    def _jump(self, seconds: float) -> None:
        self._now += seconds


def run(main: Coroutine[Any, Any, Result]) -> Result:
    """Run a coroutine in a virtual time of its own."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main)
