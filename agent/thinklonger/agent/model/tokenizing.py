"""A prompt's tokens by the served tokenizer: vLLM's endpoint takes messages, llama.cpp's the rendered prompt."""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from thinklonger.agent.chat import ChatMessage, Trouble
from thinklonger.agent.model.channel import Channel
from thinklonger.agent.model.known import Tokenizer
from thinklonger.agent.model.troubles import Failure
from thinklonger.agent.model.wire import turns


class _Tokens(msgspec.Struct):
    count: int | None = None
    tokens: list[msgspec.Raw] | None = None
    token_strs: list[str] | None = None
    max_model_len: int | None = None


class _Rendered(msgspec.Struct):
    prompt: str


@dataclass(frozen=True, slots=True)
class Measured:
    """A prompt's tokens; `tail`: how the rendered prompt ends, where that is told; `context`: the served limit."""

    tokens: int
    tail: str = ""
    context: int | None = None


async def measure(
    channel: Channel, messages: Sequence[ChatMessage], *, model: str, by: Tokenizer, tail: bool = False
) -> Measured:
    """The tokens of a prompt, its beginning of a reply included; raises Failure."""
    try:
        if by is Tokenizer.MESSAGES:
            return await _messages(channel, messages, model=model, tail=tail)
        return await _rendered(channel, messages)
    except (msgspec.DecodeError, UnicodeDecodeError) as cause:
        raise Failure(Trouble.BAD_PARAMETER, f"the tokenizer's answer is unreadable: {cause}") from None


async def _messages(channel: Channel, messages: Sequence[ChatMessage], *, model: str, tail: bool) -> Measured:
    body = {"model": model, "messages": turns(messages), "add_generation_prompt": True}
    if tail:
        body["return_token_strs"] = True
    answer = await channel.post(channel.address.own("/tokenize"), body)
    found = msgspec.json.decode(answer.body, type=_Tokens)
    if found.count is None:
        raise Failure(Trouble.BAD_PARAMETER, "the tokenizer counts no messages")
    return Measured(found.count, "".join((found.token_strs or [])[-8:]), found.max_model_len)


async def _rendered(channel: Channel, messages: Sequence[ChatMessage]) -> Measured:
    answer = await channel.post(channel.address.own("/apply-template"), {"messages": turns(messages)})
    prompt = msgspec.json.decode(answer.body, type=_Rendered).prompt
    body = {"content": prompt, "add_special": True, "parse_special": True}
    answer = await channel.post(channel.address.own("/tokenize"), body)
    found = msgspec.json.decode(answer.body, type=_Tokens)
    if found.tokens is None:
        raise Failure(Trouble.BAD_PARAMETER, "the tokenizer gives no tokens")
    return Measured(len(found.tokens), prompt[-32:])
