"""The budget of a prompt: what fits into the model's window, and what is cut, which the prompt then says.

Tokens are the served tokenizer's where it can be asked, else an estimate that is seldom too low. Nothing is counted by
the server while the estimate says that all of it fits.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from thinklonger.agent.chat import ChatMessage, ModelFacts, Role
from thinklonger.agent.prompts.fences import split_fences
from thinklonger.agent.protocols import Asking, ChatModel

Count: TypeAlias = Callable[[str], Awaitable[int]]
"""Tokens of a text, by the served tokenizer or an estimate of it."""

PER_MESSAGE = 8
"""Tokens that a chat template puts around one message, at most, as far as seen."""
_MARGIN = 64
_LEAST = 24
"""Tokens below which a cut item is not worth showing."""
_LETTERS = 2.5
"""ASCII characters in a token, digits (a token each) left out; code has 3 to 4, English prose 4 to 5."""
_FOREIGN = 1.5
"""Tokens of any other character, at most, as far as seen."""
_CAREFUL = 0.95
"""What is used of a room by what is cut: its items' tokens are not counted one by one."""
_SHORTEST = 12
_NOTE = 40
"""Characters of a note that says that something was cut."""
_FIRST, _LAST = 2, 2
"""Turns of a thread that are never left out, at its start and at its end."""


@dataclass(frozen=True, slots=True)
class Section:
    """A part of a prompt that may be cut: its items come most important first.

    `share` of the room is kept free for it, even if all others want more; what is left over goes to the sections in
    their order. `whole` items are shown whole or not at all; of others, the first that does not fit loses its middle.
    The very first item is always shown, at least in part. `around`: tokens that the prompt puts around each item.
    """

    name: str
    items: tuple[str, ...]
    share: float
    whole: bool = False
    around: int = 0


@dataclass(frozen=True, slots=True)
class Fitted:
    """What is left of a section: its items, and how many were left out. `cut`: whether anything is missing."""

    items: tuple[str, ...]
    left_out: int = 0
    cut: bool = False


def estimate(text: str) -> int:
    """Tokens of a text without a tokenizer: seldom too few, for code about a third too many."""
    letters = len(text)
    ascii_letters = letters if text.isascii() else sum(map(str.isascii, text))
    digits = sum(map(text.count, "0123456789"))
    return int((ascii_letters - digits) / _LETTERS + digits + (letters - ascii_letters) * _FOREIGN) + 1


def counter(model: ChatModel) -> Count:
    """How a served model counts the tokens of a text; with what its template puts around one message."""

    async def count(text: str) -> int:
        return await model.count((ChatMessage(Role.USER, text),))

    return count


def window(facts: ModelFacts, asking: Asking) -> tuple[Asking, int]:
    """How to ask in the model's window, and the tokens that a prompt may have in it.

    Thinking and answer are kept free what they ask for, but never more than half of the window. What a shorter prompt
    leaves is theirs: the model's client fits a request's limits to what there is, so that they are asked for as they
    are.
    """
    return asking, max(
        0, facts.context - min(asking.thinking_tokens + asking.answer_tokens, facts.context // 2) - _MARGIN
    )


async def fit(parts: Sequence[Section], *, room: int, count: Count) -> Mapping[str, Fitted]:
    """Cut the sections until together they have at most `room` tokens; what is not cut is exactly what was given."""
    needs = [_tokens(part) for part in parts]
    if sum(needs) > room:
        needs = [await _counted(part, need, count) for part, need in zip(parts, needs, strict=True)]
    rooms = _rooms(parts, needs, max(0, room))
    return {
        part.name: Fitted(part.items) if need <= given else _cut(part, need, given)
        for part, need, given in zip(parts, needs, rooms, strict=True)
    }


async def shorten(messages: Sequence[ChatMessage], *, room: int, count: Count) -> tuple[ChatMessage, ...]:
    """A thread cut down to `room` tokens: what stands in fences loses its middle, the longest first.

    Where that is not enough, whole turns go, the oldest first; never the system's words, the first user's turn (it has
    the issue) and the last two. A thread that fits is given back as it is. Only for a prompt that was too long: what is
    cut is no longer a beginning that the server has seen.
    """
    kept = tuple(messages)
    while True:
        tokens = sum(estimate(message.content) + PER_MESSAGE for message in kept)
        scale = 1.0
        if tokens > room:
            exact = await count("\n".join(message.content for message in kept)) + PER_MESSAGE * len(kept)
            scale = min(1.0, exact / tokens)
        if tokens * scale <= room:
            return kept
        cut = _lowered(kept, int(room / scale))
        if cut is not None:
            return cut
        if len(kept) <= _FIRST + _LAST:
            return _lowest(kept)
        kept = (*kept[:_FIRST], *kept[_FIRST + 2 :]) if len(kept) >= _FIRST + _LAST + 2 else kept[:_FIRST] + kept[-1:]


async def make_room(  # noqa: PLR0913 - a budget, by name
    thread: Sequence[ChatMessage], words: str, *, room: int, target: int, least: int, count: Count
) -> tuple[tuple[ChatMessage, ...], int]:
    """The thread that a further turn goes on with, and the tokens that this turn's material may have.

    `words` are the turn's own. The material gets what is left of `target`, but at least `least`, for which the thread
    is shortened where all together would have more than `room`.
    """
    said_words = estimate(words) + 2 * PER_MESSAGE
    kept = await shorten(thread, room=max(1, room - said_words - least), count=count)
    taken = sum(estimate(message.content) + PER_MESSAGE for message in kept) + said_words
    return kept, max(least, target - taken)


def cut_middle(text: str, tokens: float) -> str:
    """The text without its middle, of about so many (estimated) tokens; it says how much is missing."""
    whole = estimate(text)
    if whole <= tokens:
        return text
    letters = max(2 * _SHORTEST, int(len(text) * tokens / whole) - _NOTE)
    if letters >= len(text):
        return text
    head, tail = text[: letters * 2 // 3], text[len(text) - letters // 3 :]
    if (end := head.rfind("\n")) > len(head) // 2:
        head = head[:end]
    if 0 <= (start := tail.find("\n")) < len(tail) // 2:
        tail = tail[start + 1 :]
    missing = len(text) - len(head) - len(tail)
    return f"{head}\n[… {missing} characters cut here …]\n{tail}"


# ── one section ──────────────────────────────────────────────────────────────────────────────────────────────────


def _tokens(part: Section) -> int:
    """A section's estimated tokens."""
    return sum(estimate(item) + part.around for item in part.items)


async def _counted(part: Section, need: int, count: Count) -> int:
    """A section's tokens by the served tokenizer, never more than estimated."""
    if not part.items:
        return 0
    return min(need, await count("\n".join(part.items)) + part.around * len(part.items))


def _rooms(parts: Sequence[Section], needs: Sequence[int], room: int) -> list[int]:
    """What each section gets: its share first, then what is left over, in the sections' order."""
    rooms = [min(need, int(part.share * room)) for part, need in zip(parts, needs, strict=True)]
    left = room - sum(rooms)
    for number, need in enumerate(needs):
        more = max(0, min(need - rooms[number], left))
        rooms[number] += more
        left -= more
    return rooms


def _cut(part: Section, need: int, room: int) -> Fitted:
    """A section's first items, as many as there is room for; the last one perhaps without its middle."""
    scale = need / max(1, _tokens(part))
    left = max(_LEAST, room * _CAREFUL) / max(scale, 0.01)
    kept: list[str] = []
    for number, item in enumerate(part.items):
        tokens = estimate(item) + part.around
        if tokens <= left:
            kept.append(item)
            left -= tokens
            continue
        if number == 0 or (not part.whole and left - part.around >= 4 * _LEAST):
            kept.append(cut_middle(item, max(_LEAST, left - part.around)))
        break
    return Fitted(tuple(kept), len(part.items) - len(kept), cut=True)


# ── a whole thread ───────────────────────────────────────────────────────────────────────────────────────────────


def _lowered(messages: Sequence[ChatMessage], room: int) -> tuple[ChatMessage, ...] | None:
    """The thread with all that stands in fences cut to the highest level that fits; None where none does."""
    fenced = [estimate(piece) for message in messages for inside, piece in split_fences(message.content) if inside]
    fixed = sum(estimate(message.content) + PER_MESSAGE for message in messages) - sum(fenced)
    if fixed + sum(min(tokens, _LEAST) for tokens in fenced) > room:
        return None
    low, high = _LEAST, max(fenced, default=_LEAST)
    while low < high:
        level = (low + high + 1) // 2
        if fixed + sum(min(tokens, level) for tokens in fenced) <= room:
            low = level
        else:
            high = level - 1
    return _at_level(messages, low)


def _lowest(messages: Sequence[ChatMessage]) -> tuple[ChatMessage, ...]:
    """The thread with next to nothing in its fences."""
    return _at_level(messages, _LEAST)


def _at_level(messages: Sequence[ChatMessage], level: int) -> tuple[ChatMessage, ...]:
    """The thread with at most so many tokens in each fence."""
    return tuple(
        replace(
            message,
            content="\n".join(
                cut_middle(piece, level) if inside else piece for inside, piece in split_fences(message.content)
            ),
        )
        for message in messages
    )
