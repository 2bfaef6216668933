"""One event as one line of JSON, and back: `{"seq":1,"time":"2026-…Z","type":"run-started","data":{…}}`."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePosixPath
from typing import TypeAlias, cast, get_args

import msgspec

from thinklonger.agent.trace.events import Event

Plain: TypeAlias = bool | int | float | str | list["Plain"] | dict[str, "Plain"] | None
"""What JSON can say."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """An event with its place in the record: `seq` counts from 1, `time` is UTC in milliseconds."""

    seq: int
    time: datetime
    event: Event


@dataclass(frozen=True, slots=True)
class Unread:
    """A line of a newer version: its type or its data is unknown here. `data` is its JSON as it stands."""

    seq: int
    time: datetime
    type: str
    data: str


class Envelope(msgspec.Struct):
    """A line before its data is understood."""

    seq: int
    time: datetime
    type: str
    data: msgspec.Raw


def type_name(event: type[object]) -> str:
    """The event's name on the wire: its class name in kebab case."""
    return re.sub(r"(?<=.)(?=[A-Z])", "-", event.__name__).lower()


EVENT_TYPES: Mapping[str, type[Event]] = {type_name(event): event for event in get_args(Event)}

_envelopes = msgspec.json.Decoder(Envelope)


def encode(recorded: Recorded) -> bytes:
    """The line, with its newline. Text that Unicode can't say (lone surrogates) is written as backslash escapes."""
    line = {
        "seq": recorded.seq,
        "time": recorded.time,
        "type": type_name(type(recorded.event)),
        "data": recorded.event,
    }
    try:
        return msgspec.json.encode(line, enc_hook=to_wire) + b"\n"
    except UnicodeEncodeError:
        return msgspec.json.encode(_speakable(msgspec.to_builtins(line, enc_hook=to_wire))) + b"\n"


def open_envelope(line: bytes) -> Envelope:
    """The line's envelope; raises msgspec.MsgspecError if it is not one."""
    return _envelopes.decode(line)


def decode(envelope: Envelope) -> Recorded | Unread:
    """The event in an envelope, or `Unread` where this version knows neither its type nor its shape."""
    event_type = EVENT_TYPES.get(envelope.type)
    if event_type is not None:
        try:
            event = msgspec.json.decode(envelope.data, type=event_type, dec_hook=from_wire)
            return Recorded(envelope.seq, envelope.time, event)
        except msgspec.ValidationError:
            pass  # a newer version's enum member or type of field: kept as it stands
    return Unread(envelope.seq, envelope.time, envelope.type, bytes(envelope.data).decode("utf-8", "replace"))


def to_wire(value: object) -> str:
    """What msgspec does not know how to write."""
    if isinstance(value, PurePosixPath):
        return str(value)
    raise NotImplementedError(type(value).__name__)


def from_wire(wanted: type[object], value: object) -> object:
    """What msgspec does not know how to read."""
    if wanted is PurePosixPath and isinstance(value, str):
        return PurePosixPath(value)
    raise NotImplementedError(wanted.__name__)


def _speakable(value: Plain) -> Plain:
    match value:
        case str():
            return value.encode("utf-8", "backslashreplace").decode()
        case list():
            return [_speakable(item) for item in value]
        case dict():
            return {cast("str", _speakable(key)): _speakable(item) for key, item in value.items()}
        case _:
            return value
