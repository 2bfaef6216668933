"""Reading a run record: any prefix of one loads; what can't be read is reported, never fatal."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import msgspec

from thinklonger.agent.errors import RecordError
from thinklonger.agent.trace.events import SCHEMA_VERSION
from thinklonger.agent.trace.recording import RECORD_NAME
from thinklonger.agent.trace.wire import Envelope, Plain, Recorded, Unread, decode, link, open_envelope, unlinked
from thinklonger.agent.types import Message

Migration: TypeAlias = Callable[[str, Plain], tuple[str, Plain]]
"""From an event's type and data as one schema version wrote them to those of the next version."""

MIGRATIONS: Mapping[int, Migration] = {}
"""The way up: version n → the migration to n + 1. Every version below SCHEMA_VERSION has one."""


@dataclass(frozen=True, slots=True)
class Record:
    """What a record says. `problems` name the lines that were dropped; `unread` are a newer version's lines.

    `altered` is the first line that does not follow from the one before it: somebody changed the record.
    """

    folder: Path
    entries: tuple[Recorded, ...]
    unread: tuple[Unread, ...]
    problems: tuple[Message, ...]
    altered: int | None = None


class _Schema(msgspec.Struct):
    schema: int = SCHEMA_VERSION


def read_record(folder: Path, *, migrations: Mapping[int, Migration] = MIGRATIONS) -> Record:
    """Load a run's record from its folder.

    A last line without its newline (the writer was stopped in the middle) is dropped and reported, so is a line
    that is no envelope. Raises RecordError if there is no record, it can't be opened, or a newer schema wrote it.
    """
    lines, problems = split_lines(read_bytes(folder))
    envelopes: list[Envelope] = []
    for number, line in lines:
        try:
            envelopes.append(open_envelope(line))
        except ValueError:
            problems.append(Message("trace.damaged-line", {"line": number}))
    altered = first_altered(lines)
    if altered is not None and len(envelopes) == len(lines):  # damage is told as damage
        problems.append(Message("trace.altered-line", {"line": altered}))
    entries = [decode(envelope) for envelope in migrate(envelopes, folder, migrations)]
    return Record(
        folder,
        tuple(entry for entry in entries if isinstance(entry, Recorded)),
        tuple(entry for entry in entries if isinstance(entry, Unread)),
        tuple(problems),
        altered,
    )


def first_altered(lines: Iterable[tuple[int, bytes]]) -> int | None:
    """The first line whose link does not follow from the line before; a record without any link says nothing."""
    before = ""
    for number, line in lines:
        bare, own = unlinked(line)
        if own != link(before, bare) and (own or before):
            return number
        before = own
    return None


def read_bytes(folder: Path) -> bytes:
    """The record's bytes; raises RecordError."""
    path = folder / RECORD_NAME
    try:
        return path.read_bytes()
    except OSError as cause:
        reason = cause.strerror or type(cause).__name__
        raise RecordError("trace.unreadable", path=str(path), reason=reason) from cause


def split_lines(content: bytes) -> tuple[list[tuple[int, bytes]], list[Message]]:
    """The whole lines with their 1-based numbers, and a problem if the last one is torn."""
    *whole, rest = content.split(b"\n")
    problems = [Message("trace.torn-line", {"line": len(whole) + 1})] if rest else []
    return [(number, line) for number, line in enumerate(whole, 1) if line], problems


def migrate(envelopes: list[Envelope], folder: Path, migrations: Mapping[int, Migration]) -> Iterable[Envelope]:
    """The envelopes as today's schema writes them; raises RecordError for a schema of the future or a lost one."""
    version = schema_of(envelopes[0]) if envelopes else SCHEMA_VERSION
    if version > SCHEMA_VERSION or any(step not in migrations for step in range(version, SCHEMA_VERSION)):
        raise RecordError("trace.other-schema", folder=str(folder), schema=version, known=SCHEMA_VERSION)
    return [_lift(envelope, version, migrations) for envelope in envelopes]


def schema_of(first: Envelope) -> int:
    """The schema version that the record's first event names; today's if it names none."""
    try:
        return msgspec.convert(first.data, _Schema).schema if first.type == "run-started" else SCHEMA_VERSION
    except msgspec.ValidationError:
        return SCHEMA_VERSION


def _lift(envelope: Envelope, version: int, migrations: Mapping[int, Migration]) -> Envelope:
    if version == SCHEMA_VERSION:
        return envelope
    name, data = envelope.type, envelope.data
    for step in range(version, SCHEMA_VERSION):
        name, data = migrations[step](name, data)
    return Envelope(envelope.seq, envelope.time, name, data)
