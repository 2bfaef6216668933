"""One reply while it comes: its thinking and answer so far, its tokens, and what was done to it."""

import time
from dataclasses import dataclass, field

from thinklonger.agent.chat import Closing, Finish, Part, Reply, Usage
from thinklonger.agent.model.counting import streamed
from thinklonger.agent.model.repetition import Repetition
from thinklonger.agent.model.thinking import Piece, Splitter, Start, salvage
from thinklonger.agent.model.wire import Counted, Text

_GRACE = 8
"""Tokens past the budget before thinking is closed: a server that keeps the budget itself does so in time."""


@dataclass(slots=True)
class Tally:
    """Tokens of one phase of a reply: pieces and text lengths as they came, and what the server counted."""

    thinking: float = 0.0
    answer: float = 0.0
    pieces: int = 0
    counted: Counted | None = None

    def split(self, total: int, *, reasoning: int | None) -> tuple[int, int]:
        """So many tokens in all, as tokens of thinking and of the answer."""
        if reasoning is not None:
            return min(reasoning, total), total - min(reasoning, total)
        whole = self.thinking + self.answer
        thinking = round(total * self.thinking / whole) if whole else 0
        return thinking, total - thinking

    @property
    def guess(self) -> int:
        """Tokens of thinking and answer, about right: a piece is one at least."""
        return max(self.pieces, round(self.thinking + self.answer))


@dataclass(slots=True)
class Draft:
    """One reply of a request. `seed` is what it is drawn with. `settled`: nothing more will come of it."""

    choice: int
    seed: int
    start: Start
    began: float = field(default_factory=time.monotonic)
    closing: Closing | None = None
    controlled: bool = False
    asked: bool = False
    settled: bool = False
    finish: Finish | None = None
    attempts: int = 0
    usage: Usage | None = None
    earlier: str = ""
    answers_only: bool = False
    tally: Tally = field(default_factory=Tally)
    circle: int | None = None
    _fields: list[str] = field(default_factory=list[str])
    _splitter: Splitter | None = None
    _repetition: Repetition = field(default_factory=Repetition)

    def feed(self, text: Text) -> list[Piece]:
        """Take a piece as the server gives it; the pieces of thinking and answer that are certain now."""
        thought = text.reasoning or text.reasoning_content or text.reasoning_text
        content = text.content
        if thought:
            if self.answers_only:
                content = thought + (content or "")
            else:
                self._fields.append(thought)
                pieces: list[Piece] = [(Part.THINK, thought)]
                if content:
                    pieces += self._content(content)
                self._count(pieces)
                return pieces
        if not content:
            return []
        pieces = self._content(content)
        self._count(pieces)
        return pieces

    def _content(self, content: str) -> list[Piece]:
        """Take text that may hold tags; where thinking has a field of its own, it is the answer."""
        if self._splitter is None:
            self._splitter = Splitter(Start.ANSWER if self._fields or self.answers_only else self.start)
        return self._splitter.feed(content)

    def _count(self, pieces: list[Piece]) -> None:
        tally = self.tally
        tally.pieces += 1
        for part, text in pieces:
            if part is Part.THINK:
                tally.thinking += streamed(text)
                if self.circle is None:
                    self.circle = self._repetition.feed(text)
            else:
                tally.answer += streamed(text)

    @property
    def thinking(self) -> bool:
        """Whether it still thinks, or has not begun."""
        return not self.answers_only and (self._splitter is None or self._splitter.thinking)

    @property
    def empty(self) -> bool:
        """Whether nothing came at all."""
        return not self._fields and (self._splitter is None or not (self._splitter.think or self._splitter.answer))

    @property
    def unopened(self) -> bool:
        """Whether it closed thinking that it had not opened."""
        return self._splitter is not None and self._splitter.unopened

    def over(self, budget: int) -> bool:
        """Whether its thinking has used up so many tokens."""
        counted = self.tally.counted
        if counted is not None and counted.completion_tokens:
            return counted.completion_tokens > budget + _GRACE
        return self.tally.guess > budget * 1.05 + _GRACE

    def end(self) -> list[Piece]:
        """The stream is over: the pieces that were held back."""
        pieces = [] if self._splitter is None else self._splitter.end()
        if pieces:
            self._count(pieces)
        return pieces

    @property
    def think(self) -> str:
        """All thinking, of all phases; without the circles that it went in."""
        inside = "" if self._splitter is None else self._splitter.think
        now = "".join(self._fields) + inside
        if self.closing is Closing.REPETITION and self.circle is not None and not self.earlier:
            now = now[: self.circle]
        return "\n\n".join(part for part in (self.earlier, now.strip()) if part)

    @property
    def answer(self) -> str:
        """The answer."""
        return "" if self._splitter is None else self._splitter.answer.strip()

    def restart(self) -> None:
        """Forget this phase's text: it is asked for again."""
        self._fields.clear()
        self._splitter = None
        self._repetition = Repetition()
        self.circle = None
        self.finish = None
        self.controlled = False
        self.tally = Tally()

    def go_on(self, *, answers_only: bool) -> None:
        """A new phase: the thinking so far is kept, what comes now is the answer or leads to it."""
        self.earlier = self.think
        self.restart()
        self.answers_only = answers_only
        self.start = Start.ANSWER

    def count(self, counted: Counted | None, *, prompt: int, shared: bool, exact: bool = True) -> Usage:
        """Close this phase's account: by the server's count where there is one, else as it came.

        `shared`: the prompt came with that of another reply, so the server had it. `exact`: False where the count is
        what is left of several replies' count, the others' shares being estimates. Returns the phase's usage.
        """
        tally = self.tally
        if self._splitter is not None and not self._fields and not self._splitter.think:
            tally.answer, tally.thinking = tally.answer + tally.thinking, 0.0  # it was no thinking after all
        if counted is None:
            thinking, answer = tally.split(tally.guess, reasoning=None)
            usage = Usage(prompt, prompt if shared else 0, thinking, answer)
        else:
            details = counted.completion_tokens_details
            reasoning = details.reasoning_tokens if details is not None else None
            if reasoning == 0 and tally.thinking:
                reasoning = None  # a server that does not count them says 0
            thinking, answer = tally.split(counted.completion_tokens, reasoning=reasoning)
            prompts = counted.prompt_tokens_details
            cached = (prompts.cached_tokens or 0) if prompts is not None else 0
            known = counted.prompt_tokens if shared else cached
            usage = Usage(counted.prompt_tokens, known, thinking, answer, counted=exact)
        self.usage = usage if self.usage is None else self.usage + usage
        return usage

    def reply(self, finish: Finish) -> Reply:
        """The whole reply; an answer that stands only inside the thinking is taken from there."""
        think, answer = self.think, self.answer
        found = salvage(think) if not answer else None
        return Reply(
            self.choice,
            think,
            found or answer,
            finish,
            self.usage or Usage(),
            self.closing,
            salvaged=found is not None,
            seconds=time.monotonic() - self.began,
        )
