"""What a server can do, found out by asking it for things and looking at what it does, not by its name."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from thinklonger.agent.chat import ChatMessage, Dialect, ModelFacts, Role, Trouble
from thinklonger.agent.model import bodies
from thinklonger.agent.model.channel import Channel
from thinklonger.agent.model.known import Known, Tokenizer
from thinklonger.agent.model.limits import context_of
from thinklonger.agent.model.listing import Listing, read_listing
from thinklonger.agent.model.thinking import Start
from thinklonger.agent.model.tokenizing import Measured, measure
from thinklonger.agent.model.troubles import Failure
from thinklonger.agent.model.wire import (
    SCORED,
    Counted,
    Json,
    Lines,
    PlaceTokens,
    ScoredChunk,
    Text,
    stream_failure,
    turns,
    unreadable,
)

ASSUMED_CONTEXT = 8192
"""Tokens where neither the server nor the settings tell the limit."""

_GREETING = (ChatMessage(Role.USER, "Say hello."),)
_BEGUN = (*_GREETING, ChatMessage(Role.ASSISTANT, "1"))
_A_FEW = 16


@dataclass(slots=True)
class Sample:
    """What a small request has brought; `first`: its first token with the likely ones."""

    choices: set[int] = field(default_factory=set[int])
    texts: list[Text] = field(default_factory=list[Text])
    first: PlaceTokens | None = None
    counted: Counted | None = None


async def probe(channel: Channel, *, model: str, context: int | None) -> Known:
    """Find out all about a model; raises Failure where it can't be used at all. `context`: tokens to use at most."""
    listing = await _listing(channel)
    entry = listing.find(model) if listing else None
    name = model or (entry.id if entry else "")
    if not name:
        raise Failure(Trouble.MODEL_NOT_FOUND, "the server names no model; say which one to use")
    refused: set[str] = set()
    greeting = await _greet(channel, name, refused)
    several, scores, continues, (tokenizer, measured), limit = await asyncio.gather(
        _gives_several(channel, name, refused),
        _scores(channel, name, refused),
        _continues(channel, name, refused),
        _tokenizer(channel, name),
        context_of(channel, name, listed=entry.max_model_len if entry else None),
    )
    served = limit.context or (measured.context if measured else None)
    tokens = min(served or context or ASSUMED_CONTEXT, context or served or ASSUMED_CONTEXT)
    dialect = _dialect(greeting.texts)
    facts = ModelFacts(
        model=name,
        context=tokens,
        dialect=dialect,
        several=several,
        logprobs=scores,
        counts_tokens=tokenizer is not Tokenizer.NONE,
        continues=continues,
        adapters=tuple(other.id for other in listing.data if other.id != name) if listing else (),
        server=limit.server or (listing.server() if listing else ""),
    )
    return Known(
        facts,
        tokenizer=tokenizer,
        start=_start(dialect, measured),
        controls=limit.controls,
        measured=served is not None,
        at_once=None if several else 1,
        context=tokens,
        refused=refused,
    )


async def _listing(channel: Channel) -> Listing | None:
    """The server's models; None where it does not list them."""
    try:
        return read_listing(await channel.get(channel.address.api("/models")))
    except Failure as failure:
        gone = failure.trouble is Trouble.UNREACHABLE and not channel.answered
        if gone or failure.trouble in (Trouble.AUTH, Trouble.LOADING, Trouble.RATE):
            raise
        return None


async def ask(channel: Channel, body: Mapping[str, Json]) -> Sample:
    """Send a chat request and gather what it brings; raises Failure."""
    sample = Sample()
    async with channel.stream(channel.address.api("/chat/completions"), body) as response:
        if response.headers.get("content-type", "").startswith("application/json"):
            gather(sample, b"".join([piece async for piece in response.aiter_raw()]))
            return sample
        lines = Lines()
        async for data in response.aiter_raw():
            for line in lines.feed(data):
                gather(sample, line)
        for line in lines.end():
            gather(sample, line)
    return sample


def gather(sample: Sample, line: bytes) -> None:
    """Add one event to what a request has brought; raises Failure."""
    if line == b"[DONE]":
        return
    try:
        chunk: ScoredChunk = SCORED.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise unreadable(line) from None
    if len(chunk.error) and bytes(chunk.error) != b"null":
        raise stream_failure(bytes(chunk.error))
    sample.counted = chunk.usage or sample.counted
    for choice in chunk.choices or ():
        sample.choices.add(choice.index)
        if choice.logprobs is not None and choice.logprobs.content:
            sample.first = sample.first or choice.logprobs.content[0]
        text = choice.delta or choice.message
        if text is not None:
            sample.texts.append(text)


async def persist(channel: Channel, body: dict[str, Json], refused: set[str]) -> Sample:
    """`ask`, leaving out what the server refuses, and remembering it; raises Failure."""
    while True:
        trimmed = bodies.without(dict(body), refused)
        if bodies.LIMIT in refused and bodies.LIMIT in trimmed:
            trimmed[bodies.NEW_LIMIT] = trimmed.pop(bodies.LIMIT)
        try:
            return await ask(channel, trimmed)
        except Failure as failure:
            if failure.trouble is not Trouble.BAD_PARAMETER:
                raise
            names = bodies.to_leave_out(trimmed, failure.whole, refused=refused)
            if not names:
                raise
            refused.update(names)


def small(messages: Sequence[ChatMessage], model: str, *, limit: int) -> dict[str, Json]:
    """The body of a request for a few tokens."""
    return {
        "model": model,
        "messages": turns(messages),
        "stream": True,
        bodies.LIMIT: limit,
        "temperature": 0.0,
        "seed": 0,
        "stream_options": {"include_usage": True},
    }


async def _greet(channel: Channel, model: str, refused: set[str]) -> Sample:
    """A short reply: shows the dialect, that the model is there at all, and which helpful fields are refused."""
    body = small(_GREETING, model, limit=_A_FEW)
    body.update(
        {
            "stream_options": {"include_usage": True, bodies.STATS: True},
            "thinking_token_budget": _A_FEW,
            "chat_template_kwargs": {"enable_thinking": True},
        }
    )
    return await persist(channel, body, refused)


async def _scores(channel: Channel, model: str, refused: set[str]) -> bool:
    """Whether the first token comes with the likely ones and their probabilities."""
    body = small(_GREETING, model, limit=1)
    body.update({"logprobs": True, "top_logprobs": 5})
    try:
        sample = await persist(channel, body, refused)
    except Failure as failure:
        return _told(failure)
    return sample.first is not None and bool(sample.first.top_logprobs)


async def _gives_several(channel: Channel, model: str, refused: set[str]) -> bool:
    """Whether one request brings two replies."""
    body = small(_GREETING, model, limit=1)
    body.update({"temperature": 1.0, "n": 2})
    try:
        sample = await persist(channel, body, refused)
    except Failure as failure:
        return _told(failure)
    return len(sample.choices) > 1


async def _continues(channel: Channel, model: str, refused: set[str]) -> bool:
    """Whether an unfinished turn is gone on with: its prompt is then shorter than with the turn ended, a new one begun.

    Templates add what they like to a turn, so the same messages are compared with and without the wish to go on.
    """
    ended = small(_BEGUN, model, limit=1)
    going_on = {**ended, "continue_final_message": True, "add_generation_prompt": False}
    try:
        samples = await asyncio.gather(persist(channel, ended, refused), persist(channel, going_on, refused))
    except Failure as failure:
        return _told(failure)
    tokens = [sample.counted.prompt_tokens if sample.counted else 0 for sample in samples]
    return 0 < tokens[1] < tokens[0]


def _told(failure: Failure) -> bool:
    """A refusal is an answer: no. Any other trouble is raised."""
    if failure.trouble in (Trouble.BAD_PARAMETER, Trouble.STREAM_CUT, Trouble.EMPTY):
        return False
    raise failure


async def _tokenizer(channel: Channel, model: str) -> tuple[Tokenizer, Measured | None]:
    """Who counts tokens here, and how the prompt of a greeting ends."""
    for by in (Tokenizer.MESSAGES, Tokenizer.RENDERED):
        try:
            return by, await measure(channel, _GREETING, model=model, by=by, tail=True)
        except Failure:
            continue
    return Tokenizer.NONE, None


def _dialect(texts: Sequence[Text]) -> Dialect:
    """How thinking comes."""
    if any(text.reasoning for text in texts):
        return Dialect.REASONING
    if any(text.reasoning_content or text.reasoning_text for text in texts):
        return Dialect.REASONING_CONTENT
    return Dialect.TAGS


def _start(dialect: Dialect, measured: Measured | None) -> Start:
    """What a reply's text begins with, where the end of a rendered prompt or the dialect tells."""
    if dialect is not Dialect.TAGS:
        return Start.ANSWER
    if measured is None or not measured.tail:
        return Start.UNKNOWN
    return Start.THINKING if measured.tail.rstrip("\n Ċ").endswith("<think>") else Start.ANSWER
