"""One event as one line of JSON, and back: `{"seq":1,"time":"2026-…Z","type":"run-started","data":{…},"link":"…"}`.

The link is a digest over the line without it and the link of the line before: a line that was changed, taken out or
put in later breaks the chain.
"""

import hashlib
import json
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


@dataclass(frozen=True, slots=True)
class Envelope:
    """A line whose data is still plain values."""

    seq: int
    time: datetime
    type: str
    data: Plain


class _Line(msgspec.Struct):
    seq: int
    time: datetime
    type: str
    data: object


def type_name(event: type[object]) -> str:
    """The event's name on the wire: its class name in kebab case."""
    return re.sub(r"(?<=.)(?=[A-Z])", "-", event.__name__).lower()


EVENT_TYPES: Mapping[str, type[Event]] = {type_name(event): event for event in get_args(Event)}


def encode(recorded: Recorded) -> bytes:
    """The line, with its newline. Lone surrogates (bytes of a path or a diff that are not UTF-8) are kept, escaped."""
    line = {
        "seq": recorded.seq,
        "time": recorded.time.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "type": type_name(type(recorded.event)),
        "data": recorded.event,
    }
    try:
        return msgspec.json.encode(line, enc_hook=to_wire) + b"\n"
    except UnicodeEncodeError:
        plain = msgspec.to_builtins(line, enc_hook=to_wire)
        return json.dumps(plain, separators=(",", ":")).encode() + b"\n"


LINK_LENGTH = 32
_LINK = re.compile(rb',"link":"([0-9a-f]{%d})"}\n?$' % LINK_LENGTH)


def link(before: str, line: bytes) -> str:
    """The link of a line (as `encode` gives it) that follows one with the link `before`; empty for the first."""
    return hashlib.sha256(before.encode() + line.rstrip(b"\n")).hexdigest()[:LINK_LENGTH]


def linked(line: bytes, own: str) -> bytes:
    """The line with its link."""
    return line.rstrip(b"\n")[:-1] + b',"link":"' + own.encode() + b'"}\n'


def unlinked(line: bytes) -> tuple[bytes, str]:
    """The line without its link, and the link; empty where it has none (older versions wrote none)."""
    found = _LINK.search(line)
    return (line[: found.start()] + b"}", found[1].decode()) if found else (line, "")


def open_envelope(line: bytes) -> Envelope:
    """The line's envelope; raises ValueError if it is not one."""
    try:
        content: object = msgspec.json.decode(line)
    except (
        msgspec.DecodeError,
        RecursionError,
    ):  # damaged, or with lone surrogates: only the standard library reads it
        content = _by_standard_library(line)
    try:
        found = msgspec.convert(content, _Line)
    except msgspec.ValidationError as cause:
        raise ValueError(str(cause)) from cause
    return Envelope(found.seq, found.time, found.type, cast("Plain", found.data))


def decode(envelope: Envelope) -> Recorded | Unread:
    """The event in an envelope, or `Unread` where this version knows neither its type nor its shape."""
    event_type = EVENT_TYPES.get(envelope.type)
    if event_type is not None:
        try:
            event = msgspec.convert(envelope.data, event_type, dec_hook=from_wire)
            return Recorded(envelope.seq, envelope.time, event)
        except msgspec.ValidationError:
            pass  # a newer version's enum member or type of field: kept as it stands
    return Unread(envelope.seq, envelope.time, envelope.type, json.dumps(envelope.data))


def _by_standard_library(line: bytes) -> object:
    try:
        return json.loads(line)
    except RecursionError as cause:
        raise ValueError(str(cause)) from cause


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
