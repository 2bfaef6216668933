"""The bodies of chat completions: events of a stream, whole answers, usage and probabilities, in a product's words."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import cast

from thinklonger.agent.chat import Finish, Part
from thinklonger.agent.model.replay.asked import Chat
from thinklonger.agent.model.replay.products import Traits
from thinklonger.agent.model.replay.speaking import Token

_LEAST = 1e-9
_OTHERS = (("The", 0.012), ("Maybe", 0.005), ("I", 0.003))
_SPELT = (0.8, 0.2)
"""How the probability of an answer is shared between its spellings (`Yes`, `yes`); others get 0.02 together."""


@dataclass(frozen=True, slots=True)
class Counted:
    """Tokens of a request, over all its choices."""

    prompt: int
    cached: int
    thought: int
    said: int


@dataclass(slots=True)
class Writer:
    """Words the bodies for one request."""

    id: str
    model: str
    chat: Chat
    traits: Traits
    created: int
    texts: dict[int, dict[str, str]] = field(default_factory=dict[int, dict[str, str]])
    probabilities: dict[int, list[object]] = field(default_factory=dict[int, list[object]])
    finishes: dict[int, str] = field(default_factory=dict[int, str])

    def opening(self, choice: int) -> object:
        """The event that says who speaks."""
        content = None if self.traits.prefills else ""
        return self._event(choice, {"role": "assistant", "content": content})

    def delta(
        self, choice: int, tokens: Sequence[Token], counted: Counted, *, listing: list[object] | None = None
    ) -> list[dict[str, object]]:
        """The events for a chunk: one for each field in it.

        `counted`: this choice's tokens so far. `listing`: probabilities that are not the usual ones.
        """
        events: list[dict[str, object]] = []
        for name, run in _runs(tokens):
            text = "".join(token.text for token in run)
            whole = self.texts.setdefault(choice, {})
            whole[name] = whole.get(name, "") + text
            logprobs: object = None
            if self.chat.question and self.traits.logprobs:
                listed = listing if listing is not None else [_sure(token.text) for token in run]
                self.probabilities.setdefault(choice, []).extend(listed)
                logprobs = {"content": listed}
            event = self._event(choice, {name: text}, logprobs=logprobs)
            events.append({**event, "usage": self.usage(counted, details=False)} if self.chat.running else event)
        return events

    def close(self, choice: int, finish: Finish, events: list[dict[str, object]]) -> None:
        """Add why a choice ended: to the last of a chunk's events, or as one more."""
        self.finishes[choice] = finish.value
        if events and self.traits.joined:
            (last,) = cast("list[dict[str, object]]", events[-1]["choices"])
            last["finish_reason"] = finish.value
        else:
            events.append(self._event(choice, {}, finish=finish.value))

    def usage_event(self, counted: Counted) -> object:
        """The event with the tokens."""
        return {**self._frame("chat.completion.chunk"), "choices": [], "usage": self.usage(counted)}

    def usage(self, counted: Counted, *, details: bool = True) -> object:
        """The tokens, as far as the product tells them."""
        completion = counted.thought + counted.said
        usage: dict[str, object] = {
            "prompt_tokens": counted.prompt,
            "completion_tokens": completion,
            "total_tokens": counted.prompt + completion,
        }
        if self.traits.cached and details:
            usage["prompt_tokens_details"] = {"cached_tokens": counted.cached}
        if self.traits.budgets:
            usage["completion_tokens_details"] = {"reasoning_tokens": counted.thought}
        return usage

    def whole(self, counted: Counted) -> object:
        """The answer to a request that wants no stream."""
        choices: list[object] = []
        for choice, finish in sorted(self.finishes.items()):
            message: dict[str, object] = {"role": "assistant", "content": None, **self.texts.get(choice, {})}
            listed = self.probabilities.get(choice)
            logprobs = {"content": listed} if listed is not None else None
            choices.append({"index": choice, "message": message, "logprobs": logprobs, "finish_reason": finish})
        return {**self._frame("chat.completion"), "choices": choices, "usage": self.usage(counted)}

    def _frame(self, kind: str) -> dict[str, object]:
        return {"id": self.id, "object": kind, "created": self.created, "model": self.model}

    def _event(
        self, choice: int, delta: object, *, finish: str | None = None, logprobs: object = None
    ) -> dict[str, object]:
        body: dict[str, object] = {"index": choice, "delta": delta, "finish_reason": finish}
        if logprobs is not None:
            body["logprobs"] = logprobs
        return {**self._frame("chat.completion.chunk"), "choices": [body]}


def verdict_listing(probability: float, count: int) -> list[object]:
    """The probabilities of a question's first token, the likeliest `count` of them."""
    shares = {"Yes": probability, "No": 1 - probability}
    spelt = [
        (word if place == 0 else word.lower(), share * part * 0.98)
        for word, share in shares.items()
        for place, part in enumerate(_SPELT)
    ]
    ranked = sorted([*spelt, *_OTHERS], key=lambda pair: -pair[1])
    entries = [_entry(word, math.log(max(share, _LEAST))) for word, share in ranked]
    return [{**entries[0], "top_logprobs": entries[:count]}]


def verdict_token(*, yes: bool) -> Token:
    """The token that says it."""
    return Token(Part.ANSWER, "Yes" if yes else "No", "content")


def _sure(token: str) -> object:
    entry = _entry(token, -0.01)
    return {**entry, "top_logprobs": [entry]}


def _entry(token: str, logprob: float) -> dict[str, object]:
    return {"token": token, "logprob": logprob, "bytes": list(token.encode())}


def _runs(tokens: Sequence[Token]) -> list[tuple[str, list[Token]]]:
    runs: list[tuple[str, list[Token]]] = []
    for token in tokens:
        if not runs or runs[-1][0] != token.field:
            runs.append((token.field, []))
        runs[-1][1].append(token)
    return runs
