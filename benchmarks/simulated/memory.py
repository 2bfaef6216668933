"""The key-value cache: blocks of tokens, shared where two sequences begin alike, kept until their room is needed."""

from collections.abc import Sequence

BLOCK = 16  # tokens, vLLM's default


class Blocks:
    """A pool of blocks. Those of prompts are known by a number that stands for all tokens up to their end."""

    def __init__(self, tokens: int) -> None:
        """A pool that holds so many tokens."""
        self._capacity = tokens // BLOCK
        self._held: dict[int, int] = {}
        self._idle: dict[int, None] = {}
        self._private = 0

    @property
    def room(self) -> int:
        """Blocks that can be taken now; what is merely cached makes way."""
        return self._capacity - len(self._held) - self._private

    def known(self, prompt: Sequence[int]) -> int:
        """How many of a prompt's first blocks are there."""
        for index, block in enumerate(prompt):
            if block not in self._held and block not in self._idle:
                return index
        return len(prompt)

    def price(self, prompt: Sequence[int]) -> int:
        """How much room it takes to hold these blocks of a prompt: those in nobody's use now."""
        return sum(block not in self._held for block in prompt)

    def take(self, prompt: Sequence[int]) -> None:
        """Hold these blocks of a prompt; `price` says how much room that takes."""
        for block in prompt:
            self._idle.pop(block, None)
            self._held[block] = self._held.get(block, 0) + 1
        self._evict()

    def grow(self, blocks: int) -> None:
        """Take blocks that nobody else can use, or give some back."""
        self._private += blocks
        self._evict()

    def free(self, prompt: Sequence[int], private: int) -> None:
        """Let go; a prompt's blocks stay cached, the last ones the first to make way."""
        self._private -= private
        for block in reversed(prompt):
            self._held[block] -= 1
            if not self._held[block]:
                del self._held[block]
                self._idle[block] = None

    def _evict(self) -> None:
        """Drop what has been idle longest."""
        while len(self._held) + self._private + len(self._idle) > self._capacity and self._idle:
            del self._idle[next(iter(self._idle))]
