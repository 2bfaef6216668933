"""How a server behaves: whether it stops working for who has left, and whether it keeps prompts that it has read."""

import asyncio
import re
import secrets
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import cast

import msgspec

from thinklonger.agent.chat import ModelFacts
from thinklonger.agent.model.channel import Address, Channel
from thinklonger.agent.model.troubles import Failure
from thinklonger.agent.model.wire import Json

FREED = 5.0
"""Seconds in which a server must have stopped working for a client that has left."""
SILENCE = 60.0
"""Seconds that it may be silent while it is looked at."""
_LONG = 16384
"""Tokens that the reply may have that is left early: enough to be seen at work on a fast server."""
_PAUSE = 0.1
_SEEN_RUNNING = 3.0
_WORDS = 500
"""Words of the prompt that is sent twice: some dozens of a server's cache blocks, and short enough for any context."""
_TOKENS_OF_A_WORD = 8
"""More than any tokenizer makes of these words."""
_RUNNING = re.compile(
    r"^(?:vllm:num_requests_running|llamacpp:requests_processing|sglang:num_running_reqs|sglang:num_requests_running)"
    r"(?:\{[^}]*\})?\s+([0-9.eE+]+)\s*$",
    re.MULTILINE,
)


@dataclass(frozen=True, slots=True)
class Conduct:
    """What was seen. None: the server does not tell.

    `tells`: whether it says how many requests it works at. `freed`: seconds until it had stopped working for a client
    that had left, infinite where it had not within `FREED`; None where the reply was done before anybody could leave.
    `prompt`, `cached`: tokens of a prompt that was sent a second time, and those of them that it still had.
    """

    tells: bool = False
    freed: float | None = None
    prompt: int = 0
    cached: int | None = None


async def observe(url: str, facts: ModelFacts, *, key: str = "") -> Conduct:
    """Send a server three small requests, leave one of them early, and see what becomes of it.

    Takes seconds on a server that does nothing else; raises ModelError.
    """
    channel = Channel(Address.of(url), key=key, idle_seconds=SILENCE)
    try:
        prompt, cached = await _repeated(channel, facts)
        before = await running(channel)
        if before is None:
            return Conduct(prompt=prompt, cached=cached)
        freed = await _left(channel, facts, before)
        return Conduct(tells=True, freed=freed, prompt=prompt, cached=cached)
    except Failure as failure:
        raise failure.error(url=channel.address.shown, model=facts.model, clean=channel.clean) from None
    finally:
        await channel.close()


async def _repeated(channel: Channel, facts: ModelFacts) -> tuple[int, int | None]:
    """The tokens of a prompt that is sent twice, and how many of them the server had the second time."""
    words = min(_WORDS, facts.context // _TOKENS_OF_A_WORD)
    text = secrets.token_hex(8) + " one two three four five six seven eight nine ten" * (words // 10)
    body = _body(facts.model, text, limit=1)
    await channel.post(channel.address.api("/chat/completions"), body)
    second = await channel.post(channel.address.api("/chat/completions"), body)
    usage = _usage(second.body)
    details = usage.get("prompt_tokens_details")
    cached = cast("Mapping[str, object]", details).get("cached_tokens") if isinstance(details, dict) else None
    prompt = usage.get("prompt_tokens")
    return (prompt if isinstance(prompt, int) else 0), (cached if isinstance(cached, int) else None)


def _usage(body: bytes) -> Mapping[str, object]:
    try:
        found: object = msgspec.json.decode(body)
    except msgspec.DecodeError:
        return {}
    usage = cast("Mapping[str, object]", found).get("usage") if isinstance(found, dict) else None
    return cast("Mapping[str, object]", usage) if isinstance(usage, dict) else {}


async def _left(channel: Channel, facts: ModelFacts, before: int) -> float | None:
    """Seconds until the server has stopped working for a request that is left early; it worked at `before` others."""
    limit = min(_LONG, facts.context // 2)
    body = {**_body(facts.model, "Count from one to a thousand, in words.", limit=limit), "stream": True}
    async with channel.stream(channel.address.api("/chat/completions"), body) as response:
        if not await _begun(response.aiter_raw()):
            return None
        seen = await _until(channel, lambda now: now > before, seconds=_SEEN_RUNNING)
    if seen is None:
        return None  # it was done before anybody could see it at work
    gone = await _until(channel, lambda now: now <= before, seconds=FREED)
    return gone if gone is not None else float("inf")


async def _begun(stream: AsyncIterator[bytes]) -> bool:
    """Whether anything comes."""
    async for _ in stream:
        return True
    return False


async def _until(channel: Channel, wanted: Callable[[int], bool], *, seconds: float) -> float | None:
    """Seconds until the number of running requests is as wanted; None where it does not come to that in time."""
    began = time.monotonic()
    while time.monotonic() - began < seconds:
        now = await running(channel)
        if now is not None and wanted(now):
            return time.monotonic() - began
        await asyncio.sleep(_PAUSE)
    return None


async def running(channel: Channel) -> int | None:
    """How many requests the server works at, by its own word; None where it does not say."""
    try:
        text = (await channel.get(channel.address.own("/metrics"))).body.decode("utf-8", "replace")
        if found := _RUNNING.findall(text):
            return int(sum(float(number) for number in found))
    except Failure:
        pass  # it may have slots instead
    try:
        slots: object = msgspec.json.decode((await channel.get(channel.address.own("/slots"))).body)
    except (Failure, msgspec.DecodeError):
        return None
    if not isinstance(slots, list):
        return None
    entries = [cast("Mapping[str, object]", slot) for slot in cast("list[object]", slots) if isinstance(slot, dict)]
    return sum(slot.get("is_processing") is True for slot in entries)


def _body(model: str, text: str, *, limit: int) -> dict[str, Json]:
    return {"model": model, "messages": [{"role": "user", "content": text}], "max_tokens": limit, "temperature": 0.0}
