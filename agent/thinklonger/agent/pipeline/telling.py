"""Events of what stages and a model's server say: prompts without what they share, text in readable pieces, tokens."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from thinklonger.agent.chat import ChatMessage, Delta, Part, Reply, Retried, Usage
from thinklonger.agent.protocols import Asked, Branch, Heard, Rejected
from thinklonger.agent.trace.events import (
    BranchProposed,
    Event,
    PromptSent,
    ReplyFinished,
    ReplyRejected,
    ReplyRetried,
    ReplyStreamed,
)
from thinklonger.agent.types import Stage

PIECE_SECONDS, PIECE_SIGNS = 0.05, 400
"""Streamed text is told when it has waited so long, or is so long: a record of single tokens helps nobody."""

LOOKED_AT = 48  # earlier prompts that a new one may begin like


@dataclass(slots=True)
class _Piece:
    """Text of one part of one reply that was not told yet."""

    text: list[str] = field(default_factory=list[str])
    since: float = 0.0
    signs: int = 0


@dataclass(slots=True)
class Teller:
    """Makes events for one run. `usage`: tokens by stage; of replies that are still coming nothing is counted yet."""

    usage: dict[Stage, Usage] = field(default_factory=dict[Stage, Usage])
    _prompts: list[tuple[str, tuple[ChatMessage, ...]]] = field(
        default_factory=list[tuple[str, tuple[ChatMessage, ...]]]
    )
    _stages: dict[str, Stage] = field(default_factory=dict[str, Stage])
    _pieces: dict[tuple[str, Part], _Piece] = field(default_factory=dict[tuple[str, Part], _Piece])

    @property
    def tokens(self) -> int:
        """The tokens of all replies so far."""
        return sum(usage.thinking + usage.answer for usage in self.usage.values())

    def tell(self, said: Asked | Heard | Rejected) -> Iterator[Event]:
        """The events of one thing that a stage passes on."""
        match said:
            case Asked():
                yield self._prompt(said)
            case Heard(reply, Delta(part=part, text=text)):
                yield from self._streamed(reply, part, text)
            case Heard(reply, Retried() as retried):
                yield ReplyRetried(reply, retried.trouble, retried.attempt, retried.after, retried.detail)
            case Heard(reply, Reply() as whole):
                yield from self._finished(reply, whole)
            case Rejected(reply, why):
                yield ReplyRejected(reply, why)
            case _:
                raise TypeError(said)

    def _prompt(self, asked: Asked) -> PromptSent:
        request = asked.request
        name = f"p{len(self._prompts) + 1}"
        base, shared = self._like(request.messages)
        self._prompts.append((name, request.messages))
        self._stages.update((reply, asked.stage) for reply in asked.replies)
        return PromptSent(
            prompt=name,
            stage=asked.stage,
            purpose=asked.purpose,
            parent=asked.parent,
            replies=asked.replies,
            sampling=request.sampling,
            added=request.messages[shared:],
            base=base,
            shared=shared,
            model=request.model,
        )

    def _like(self, messages: Sequence[ChatMessage]) -> tuple[str, int]:
        """The earlier prompt that shares the longest beginning, and how many messages that is."""
        best = ("", 0)
        for name, earlier in reversed(self._prompts[-LOOKED_AT:]):
            shared = next(
                (place for place, pair in enumerate(zip(earlier, messages, strict=False)) if pair[0] != pair[1]),
                min(len(earlier), len(messages)),
            )
            if shared > best[1]:
                best = (name, shared)
        return best

    def _streamed(self, reply: str, part: Part, text: str) -> Iterator[ReplyStreamed]:
        now = time.monotonic()
        piece = self._pieces.setdefault((reply, part), _Piece(since=now))
        piece.text.append(text)
        piece.signs += len(text)
        ready = [
            key
            for key, waiting in self._pieces.items()
            if now - waiting.since >= PIECE_SECONDS or waiting.signs >= PIECE_SIGNS
        ]
        yield from map(self._flushed, ready)

    def _flushed(self, key: tuple[str, Part]) -> ReplyStreamed:
        return ReplyStreamed(*key, "".join(self._pieces.pop(key).text))

    def _finished(self, reply: str, whole: Reply) -> Iterator[Event]:
        yield from map(self._flushed, [key for key in self._pieces if key[0] == reply])
        stage = self._stages.get(reply, Stage.PATCH)
        self.usage[stage] = self.usage[stage] + whole.usage if stage in self.usage else whole.usage
        yield ReplyFinished(
            reply=reply,
            think=whole.think,
            answer=whole.answer,
            finish=whole.finish,
            usage=whole.usage,
            seconds=whole.seconds,
            closing=whole.closing,
            salvaged=whole.salvaged,
        )


def told_branch(branch: Branch) -> BranchProposed:
    """The event of a decision about files or places."""
    return BranchProposed(
        branch=branch.id,
        stage=branch.stage,
        parent=branch.parent,
        reply=branch.reply,
        decided=branch.decided,
        files=branch.files,
        locations=branch.locations,
    )
