"""The bodies of requests: what is always sent, what is left out once a server has refused it, and which was refused."""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from thinklonger.agent.chat import ChatMessage, Sampling
from thinklonger.agent.model.wire import Json, turns

STATS = "continuous_usage_stats"
LIMIT = "max_tokens"
NEW_LIMIT = "max_completion_tokens"

NO_THINKING: Mapping[str, Json] = MappingProxyType({"enable_thinking": False, "thinking": False})
"""What tells a chat template to leave thinking out, under the names that templates give it."""

DECORATIONS = ("thinking_token_budget", "reasoning_control", STATS, "chat_template_kwargs")
"""Fields that help where they are known, and that a strict server may refuse without naming them."""

OPTIONAL = (*DECORATIONS, "stream_options", "seed", "top_p", "top_logprobs", "logprobs", "stop")
"""Fields that a request can do without."""

_NO_LIMIT = re.compile(rf"{LIMIT}.{{0,80}}(?:not supported|unsupported|unrecogni[sz]ed|unexpected)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Asked:
    """What one request asks for. `goes_on`: the last message is an unfinished turn of the model's.

    `limit`: tokens at most, thinking included; `thinking`: those of them that the server itself may let it think, None
    where that is not to be said. `thinks`: False asks the chat template for no thinking.
    """

    messages: Sequence[ChatMessage]
    sampling: Sampling
    seed: int
    limit: int
    count: int = 1
    goes_on: bool = False
    thinking: int | None = None
    thinks: bool = True
    control: bool = False


def body_of(asked: Asked, *, model: str, refused: Collection[str]) -> dict[str, Json]:
    """The request's body. It always streams and always has an output limit; messages come before all that varies."""
    sampling = asked.sampling
    body: dict[str, Json] = {
        "model": model,
        "messages": turns(asked.messages),
        "stream": True,
        NEW_LIMIT if LIMIT in refused else LIMIT: asked.limit,
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "seed": asked.seed,
        "stream_options": {"include_usage": True, STATS: True},
    }
    if asked.count > 1:
        body["n"] = asked.count
    if sampling.stop:
        body["stop"] = list(sampling.stop)
    if asked.goes_on:
        body["continue_final_message"] = True
        body["add_generation_prompt"] = False
    if not asked.thinks:
        body["chat_template_kwargs"] = dict(NO_THINKING)
    if asked.thinking is not None:
        body["thinking_token_budget"] = asked.thinking
    if asked.control:
        body["reasoning_control"] = True
    return without(body, refused)


def without(body: dict[str, Json], refused: Collection[str]) -> dict[str, Json]:
    """The body without the optional fields that the server has refused."""
    for name in OPTIONAL:
        if name in refused:
            body.pop(name, None)
    if STATS in refused and "stream_options" in body:
        body["stream_options"] = {"include_usage": True}
    return body


def to_leave_out(body: Mapping[str, Json], words: str, *, refused: Collection[str]) -> tuple[str, ...]:
    """The fields of a refused body that the server's words name, else its decorations; empty: it can't be mended so."""
    sent = {name for name in OPTIONAL if name in body}
    options = body.get("stream_options")
    if isinstance(options, Mapping) and STATS in options:
        sent.add(STATS)
    named = tuple(name for name in OPTIONAL if name in sent and re.search(rf"\b{name}\b", words))
    if named:
        return named
    if LIMIT in body and LIMIT not in refused and (NEW_LIMIT in words or _NO_LIMIT.search(words)):
        return (LIMIT,)
    return tuple(name for name in DECORATIONS if name in sent)
