"""One scripted reply, token by token: thinking and answer, within limits, gone on with, closed from outside."""

import random
from collections.abc import Iterator
from dataclasses import dataclass

from thinklonger.agent.chat import Dialect, Finish, Part
from thinklonger.agent.model.replay.asked import Chat
from thinklonger.agent.model.replay.products import Traits
from thinklonger.agent.model.replay.script import ScriptedReply, Thinking
from thinklonger.agent.model.replay.tokens import shared, tokens_of

_WORDS = (
    "perhaps",
    "the",
    "total",
    "is",
    "read",
    "twice",
    "before",
    "anything",
    "rounds",
    "wait",
    "let",
    "me",
    "look",
    "at",
    "where",
    "this",
    "value",
    "comes",
    "from",
    "again",
)


@dataclass(frozen=True, slots=True)
class Token:
    """A token, what it belongs to, and the field of a message that carries it."""

    part: Part
    text: str
    field: str


class Voice:
    """One choice of a reply as it is spoken. `room`: tokens that the context has left for it."""

    def __init__(self, reply: ScriptedReply, chat: Chat, traits: Traits, *, seed: int, room: int) -> None:
        """Begin at the reply's beginning, or where the request goes on with it."""
        self.finish: Finish | None = None
        self.thought = 0
        self.said = 0
        self.pace = reply.per_chunk
        self.delay = reply.first_byte
        self._reply = reply
        self._chat = chat
        self._traits = traits
        self._most = min(chat.most if chat.most is not None else room, room)
        self._closed = False
        self._ever = bool(reply.think) or reply.thinking is not Thinking.CLOSES
        self._seed = seed
        self._tokens = self._spoken()

    def close_thinking(self) -> None:
        """End the thinking now and go on with the answer."""
        self._closed = True

    def chunk(self) -> list[Token]:
        """The tokens of the next chunk; empty once `finish` is set."""
        chunk: list[Token] = []
        while self.finish is None and len(chunk) < max(self._reply.tokens_per_chunk, 1):
            if self.thought + self.said >= self._most:
                self.finish = Finish.LENGTH
                break
            token = next(self._tokens, None)
            if token is None:
                self.finish = self._reply.finish
                break
            if token.part is Part.THINK:
                self.thought += 1
            else:
                self.said += 1
            chunk.append(token)
        return chunk

    def _spoken(self) -> Iterator[Token]:
        thought, behind = self._chat.begun_parts
        tags = self._traits.thinking is Dialect.TAGS
        if self._chat.thinks and behind is None and self._ever:
            if tags and self._traits.opening and not self._chat.goes_on:
                yield from self._all(Part.THINK, "<think>\n")
            yield from self._thinking(thought)
            if self._halted(self._reply.think):
                return
            if tags:
                yield from self._all(Part.THINK, "\n</think>")
            if self._traits.gap:
                yield from self._all(Part.ANSWER, "\n\n")
        answer = self._until_stop(self._reply.answer)
        yield from self._all(Part.ANSWER, answer[shared(answer, behind or "") :])

    def _thinking(self, begun: str) -> Iterator[Token]:
        own = self._until_stop(self._reply.think)
        for token in self._all(Part.THINK, own[shared(own, begun.rstrip()) :]):
            if self._ended():
                return
            yield token
        if self._halted(self._reply.think):
            return
        while self._reply.thinking is not Thinking.CLOSES:
            for token in self._all(Part.THINK, self._more(own)):
                if self._ended():
                    return
                yield token

    def _more(self, own: str) -> str:
        if self._reply.thinking is Thinking.LOOPS:
            return own or "Wait. "
        self._seed += 1
        words = random.Random(self._seed).choices(_WORDS, k=12)  # noqa: S311 (no secret: the same words each time)
        return " " + " ".join(words).capitalize() + "."

    def _ended(self) -> bool:
        return self._closed or (self._chat.budget is not None and self.thought >= self._chat.budget)

    def _halted(self, text: str) -> bool:
        return any(stop in text for stop in self._chat.stop)

    def _until_stop(self, text: str) -> str:
        return text[: min((text.index(stop) for stop in self._chat.stop if stop in text), default=len(text))]

    def _all(self, part: Part, text: str) -> Iterator[Token]:
        field = "content"
        if part is Part.THINK and self._traits.thinking is not Dialect.TAGS:
            field = self._traits.thinking.value
        for token in tokens_of(text):
            yield Token(part, token, field)
