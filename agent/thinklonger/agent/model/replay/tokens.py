"""Tokens, prompts and the prefix cache of a replay server: simple, but consistent with each other."""

import re
from collections.abc import Sequence

BLOCK = 16
"""Tokens in a block of the prefix cache: only whole blocks are found again, as in vLLM."""

_TOKEN = re.compile(r"<\|\w+\|>|\s*[A-Za-z0-9_]{1,4}|\s*\S|\s+")


def tokens_of(text: str) -> list[str]:
    """The text in pieces of at most four letters or one other character, each with the blanks before it."""
    return _TOKEN.findall(text)


def render(turns: Sequence[tuple[str, str]], *, generate: bool = True, goes_on: bool = False) -> str:
    """The prompt for turns of (role, content); `goes_on`: the last turn is left open, to be gone on with."""
    closed = [f"<|im_start|>{role}\n{content}<|im_end|>\n" for role, content in turns[: -1 if goes_on else None]]
    if goes_on:
        role, content = turns[-1]
        return "".join(closed) + f"<|im_start|>{role}\n{content}"
    return "".join(closed) + ("<|im_start|>assistant\n" if generate else "")


def shared(one: str, other: str) -> int:
    """How many characters two texts have in common at their beginning."""
    for place, (own, theirs) in enumerate(zip(one, other, strict=False)):
        if own != theirs:
            return place
    return min(len(one), len(other))


class Vocabulary:
    """Numbers for tokens, given out as they are met."""

    def __init__(self) -> None:
        """Start empty."""
        self._numbers: dict[str, int] = {}
        self._tokens: list[str] = []

    def encode(self, text: str) -> list[int]:
        """The text's token numbers."""
        numbers: list[int] = []
        for token in tokens_of(text):
            number = self._numbers.setdefault(token, len(self._tokens))
            if number == len(self._tokens):
                self._tokens.append(token)
            numbers.append(number)
        return numbers

    def decode(self, numbers: Sequence[int]) -> str:
        """The text of token numbers; those never given out are left out."""
        return "".join(self._tokens[number] for number in numbers if 0 <= number < len(self._tokens))


class PrefixCache:
    """Which blocks of prompts were seen before, each known by all tokens up to its end; never forgets."""

    def __init__(self) -> None:
        """Start empty."""
        self._blocks: set[int] = set()
        self.queried = 0
        self.hit = 0

    def look_up(self, tokens: Sequence[int], space: str = "") -> int:
        """How many of the prompt's first tokens were known; all of it is known from now on. `space`: one per model."""
        known = 0
        behind = hash(space)
        whole = True
        for start in range(0, len(tokens) - BLOCK + 1, BLOCK):
            behind = hash((behind, tuple(tokens[start : start + BLOCK])))
            whole = whole and behind in self._blocks
            known += BLOCK if whole else 0
            self._blocks.add(behind)
        known = min(known, len(tokens) - 1) if tokens else 0  # the last token is always computed
        self.queried += len(tokens)
        self.hit += known
        return known
