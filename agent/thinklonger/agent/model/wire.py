"""What goes over the wire: requests as JSON, streamed chunks as typed records, and lines out of bytes."""

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import msgspec

from thinklonger.agent.chat import ChatMessage, Trouble
from thinklonger.agent.model.troubles import Failure, classify

Json: TypeAlias = "Mapping[str, Json] | Sequence[Json] | str | float | bool | None"


class PromptDetails(msgspec.Struct, gc=False):
    """Of a prompt's tokens, those that the server had."""

    cached_tokens: int | None = None


class OutputDetails(msgspec.Struct, gc=False):
    """Of a reply's tokens, those of its thinking."""

    reasoning_tokens: int | None = None


class Counted(msgspec.Struct, gc=False):
    """The tokens that a server has counted."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    prompt_tokens_details: PromptDetails | None = None
    completion_tokens_details: OutputDetails | None = None


class Text(msgspec.Struct, gc=False):
    """A piece of a reply, or all of it: the answer's text, and thinking under each of its names."""

    content: str | None = None
    reasoning: str | None = None
    reasoning_content: str | None = None
    reasoning_text: str | None = None


class Choice(msgspec.Struct, gc=False):
    """What came for one reply; `message` where the server did not stream."""

    index: int = 0
    delta: Text | None = None
    message: Text | None = None
    finish_reason: str | None = None


class Chunk(msgspec.Struct, gc=False):
    """One event of a stream."""

    choices: list[Choice] | None = None
    usage: Counted | None = None
    error: msgspec.Raw = msgspec.Raw()  # a union of Raw with None takes None only (msgspec 0.22)
    id: str | None = None


class TopToken(msgspec.Struct, gc=False):
    """A token that could have stood at a place, and the logarithm of its probability."""

    token: str
    logprob: float


class PlaceTokens(msgspec.Struct, gc=False):
    """One place of a reply: the token that stands there, and the likely ones."""

    token: str
    logprob: float
    top_logprobs: list[TopToken] = []


class Logprobs(msgspec.Struct, gc=False):
    """The places of a reply."""

    content: list[PlaceTokens] | None = None


class ScoredChoice(msgspec.Struct, gc=False):
    """One reply with its tokens' probabilities."""

    index: int = 0
    delta: Text | None = None
    message: Text | None = None
    logprobs: Logprobs | None = None
    finish_reason: str | None = None


class ScoredChunk(msgspec.Struct, gc=False):
    """One event of a stream with probabilities."""

    choices: list[ScoredChoice] | None = None
    usage: Counted | None = None
    error: msgspec.Raw = msgspec.Raw()  # a union of Raw with None takes None only (msgspec 0.22)
    id: str | None = None


CHUNKS = msgspec.json.Decoder(Chunk)
SCORED = msgspec.json.Decoder(ScoredChunk)

_ENCODER = msgspec.json.Encoder()


def encode(body: Mapping[str, Json]) -> bytes:
    """The body as JSON; equal bodies are equal bytes."""
    return _ENCODER.encode(body)


def turns(messages: Sequence[ChatMessage]) -> list[Json]:
    """Messages as the API wants them."""
    return [{"role": message.role.value, "content": message.content} for message in messages]


def said(body: bytes) -> str:
    """What a server says is wrong, out of any of the shapes that servers use; else the body's text."""
    try:
        found = msgspec.json.decode(body, type=_Error | str)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return body.decode("utf-8", "replace").strip()
    return _words(found) or body.decode("utf-8", "replace").strip()


class _Fault(msgspec.Struct):
    """One thing that is wrong, where, as pydantic words it."""

    msg: str = ""
    loc: list[str | int] = []


class _Error(msgspec.Struct):
    """All shapes of an error's object."""

    error: "_Error | str | None" = None
    message: str | None = None
    detail: list[_Fault] | str | None = None


def _words(found: _Error | str) -> str:
    """The sentence inside an error."""
    if isinstance(found, str):
        return found
    if found.error:
        return _words(found.error)
    if found.message:
        return found.message
    if isinstance(found.detail, list):
        return "; ".join(f"{'.'.join(map(str, fault.loc))}: {fault.msg}" for fault in found.detail)
    return found.detail or ""


def stream_failure(error: bytes) -> Failure:
    """The failure that an error object inside a stream tells."""
    status = 500
    try:
        found = msgspec.json.decode(error, type=_Coded)
    except (msgspec.DecodeError, UnicodeDecodeError):
        found = None
    if found is not None and isinstance(found.code, int) and 400 <= found.code < 600:  # noqa: PLR2004 (HTTP's errors)
        status = found.code
    text = said(error)
    trouble = classify(status, text)
    return Failure(trouble, text, whole=error.decode("utf-8", "replace"))


class _Coded(msgspec.Struct):
    code: int | str | None = None


class Lines:
    """The data of server-sent events, out of bytes that come in any pieces. Comments (keep-alives) fall away."""

    def __init__(self) -> None:
        """Start with no bytes."""
        self._rest = b""

    def feed(self, data: bytes) -> list[bytes]:
        """The data lines that are whole now."""
        if self._rest:
            data = self._rest + data
        lines = data.split(b"\n")
        self._rest = lines.pop()
        return [found for line in lines if line and (found := _data(line))]

    def end(self) -> list[bytes]:
        """The last line, where nothing ended it."""
        rest, self._rest = self._rest, b""
        return [found] if (found := _data(rest)) else []


def _data(line: bytes) -> bytes:
    """The data of one line; empty where it has none. `error:` is how some servers put an error into a stream."""
    if line.startswith(b"data:"):
        return line[5:].strip()
    if line.startswith(b"error:"):
        return b'{"error":' + line[6:].strip() + b"}"
    return b""


def unreadable(data: bytes) -> Failure:
    """The failure of an event that is none."""
    shown = data[:120].decode("utf-8", "replace")
    return Failure(Trouble.STREAM_CUT, f"an event that is no JSON of a reply: {shown}")
