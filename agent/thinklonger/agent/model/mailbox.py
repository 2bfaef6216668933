"""From many streams to one reader: what comes is handed over in batches, and senders wait for a slow reader."""

import asyncio
from typing import Generic, TypeVar

Item = TypeVar("Item")

MOST = 1024
"""Items that may lie there before senders wait."""


class Mailbox(Generic[Item]):
    """A queue whose reader takes all that is there at once; cheaper by far than one wake-up for each item."""

    def __init__(self) -> None:
        """Start empty."""
        self._items: list[Item] = []
        self._error: BaseException | None = None
        self._closed = False
        self._come = asyncio.Event()
        self._gone = asyncio.Event()

    @property
    def full(self) -> bool:
        """Whether a sender should wait."""
        return len(self._items) >= MOST

    def post(self, item: Item) -> None:
        """Put one item in."""
        if not self._items:
            self._come.set()
        self._items.append(item)

    def close(self, error: BaseException | None = None) -> None:
        """Nothing more comes; the reader gets what is there and then, if given, the error."""
        if not self._closed:
            self._closed, self._error = True, error
            self._come.set()

    async def room(self) -> None:
        """Wait until the reader has taken what is there."""
        while self.full:
            self._gone.clear()
            await self._gone.wait()

    async def take(self) -> list[Item]:
        """All that is there, at least one item; none once it is closed. Raises the error that closed it."""
        if not self._items and not self._closed:
            self._come.clear()
            await self._come.wait()
        items, self._items = self._items, []
        self._gone.set()
        if not items and self._error is not None:
            raise self._error
        return items
