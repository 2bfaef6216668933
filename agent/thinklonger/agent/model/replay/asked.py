"""What a replay server was asked: a chat request read from its JSON, and the record of what became of it."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import cast

from thinklonger.agent.model.replay.products import Traits
from thinklonger.agent.model.replay.script import PROBE_TOKENS

Json = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Chat:
    """A request for chat completions. `most`: its output limit in tokens, None if it gave none.

    `goes_on`: the last turn is an assistant's and is to be gone on with. `question`: first token's probabilities are
    asked for. `budget`: thinking tokens, None for no bound. `thinks`: thinking was not switched off.
    `running`: usage so far is wanted in each event.
    """

    model: str
    turns: tuple[tuple[str, str], ...]
    count: int = 1
    most: int | None = None
    stream: bool = False
    usage: bool = False
    goes_on: bool = False
    logprobs: int = 0
    question: bool = False
    budget: int | None = None
    running: bool = False
    thinks: bool = True
    stop: tuple[str, ...] = ()
    controlled: bool = False

    @property
    def last(self) -> str:
        """The last user message."""
        return next((content for role, content in reversed(self.turns) if role == "user"), "")

    @property
    def whole(self) -> str:
        """All messages, one below the other."""
        return "\n".join(content for _, content in self.turns)

    @property
    def small(self) -> bool:
        """Whether so few tokens are wanted that it asks for a score, or probes."""
        return self.most is not None and self.most <= PROBE_TOKENS

    @property
    def begun_parts(self) -> tuple[str, str | None]:
        """What the reply to go on with says so far: its thinking, and its answer, None while it still thinks."""
        begun = self.turns[-1][1] if self.goes_on else "<think>"
        if "<think>" not in begun and "</think>" not in begun:
            return "", begun.lstrip()
        thought, closed, behind = begun.partition("</think>")
        return thought.removeprefix("<think>").lstrip(), behind.lstrip() if closed else None


@dataclass(slots=True)
class Seen:
    """A request that the server has met, and what became of it. Times are `time.monotonic()`.

    `place` counts chat requests from 1, `number` requests for text (0: it was none). `prompt` is the rendered prompt,
    `tokens` its length, `cached` what of it was known. `rule` and `replies` are the places
    in the script of what was handed out. `left`: when the client had left before the end. `sent`: tokens sent.
    """

    path: str
    body: Json
    place: int = 0
    chat: Chat | None = None
    number: int = 0
    prompt: str = ""
    tokens: int = 0
    cached: int = 0
    rule: int | None = None
    replies: tuple[int, ...] = ()
    fault: str = ""
    status: int = 200
    sent: int = 0
    began: float = field(default_factory=time.monotonic)
    ended: float | None = None
    left: float | None = None


class UnreadableError(ValueError):
    """The request's body is not what the API wants: which field, and what is wanted of it."""

    def __init__(self, field: str, wanted: str) -> None:
        """Say it as servers do."""
        super().__init__(f"{field}: {wanted}")


def read_chat(body: Json, traits: Traits) -> Chat:
    """The request in its body, as far as the product reads it; raises UnreadableError."""
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise UnreadableError("messages", "a list with at least one message is wanted")
    turns = tuple(_turn(message) for message in cast("list[object]", messages))
    wants_more = body.get("continue_final_message") is True
    if wants_more and body.get("add_generation_prompt", True) is not False:
        raise UnreadableError("continue_final_message", "Cannot set both this and `add_generation_prompt` to True.")
    if traits.budgets is False and body.get("thinking_token_budget") is not None:
        raise UnreadableError("thinking_token_budget", "it is set but reasoning_config is not configured.")
    stop = body.get("stop") or ()
    options = _mapping(body.get("stream_options"))
    template = _mapping(body.get("chat_template_kwargs"))
    most = body.get("max_completion_tokens", body.get("max_tokens"))
    return Chat(
        model=str(body.get("model") or ""),
        turns=turns,
        count=_whole(body.get("n"), "n") or 1,
        most=_whole(most, "max_tokens"),
        stream=body.get("stream") is True,
        usage=options.get("include_usage") is True,
        running=traits.running and options.get("continuous_usage_stats") is True,
        goes_on=turns[-1][0] == "assistant" and (traits.prefills or (traits.continues and wants_more)),
        logprobs=(_whole(body.get("top_logprobs"), "top_logprobs") or 0) if body.get("logprobs") else 0,
        question=bool(body.get("logprobs")),
        budget=_whole(body.get("thinking_token_budget"), "thinking_token_budget") if traits.budgets else None,
        thinks=template.get("enable_thinking", template.get("thinking", True)) is not False,
        stop=(stop,) if isinstance(stop, str) else tuple(str(text) for text in cast("list[object]", stop)),
        controlled=body.get("reasoning_control") is True,
    )


def _turn(message: object) -> tuple[str, str]:
    fields = _mapping(message)
    content = fields.get("content") or ""
    if isinstance(content, list):
        content = "".join(str(_mapping(part).get("text", "")) for part in cast("list[object]", content))
    return str(fields.get("role", "")), str(content)


def _mapping(value: object) -> Json:
    return cast("Json", value) if isinstance(value, dict) else {}


def _whole(value: object, name: str) -> int | None:
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise UnreadableError(name, "a whole number is wanted")
    return value
