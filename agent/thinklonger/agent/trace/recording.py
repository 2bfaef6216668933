"""Writing a run record: a private folder for each run, one write for each event, a lock that says who is alive."""

import fcntl
import hashlib
import os
import re
import secrets
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import Self

from thinklonger.agent.errors import RecordError
from thinklonger.agent.trace.events import Event
from thinklonger.agent.trace.wire import Recorded, encode, link, linked, open_envelope, unlinked
from thinklonger.agent.types import Artifact

RECORD_NAME = "events.jsonl"
ARTIFACTS_NAME = "artifacts"
_RUN_ID = re.compile(r"[0-9A-Za-z][0-9A-Za-z._-]{0,99}")
_ARTIFACT_NAME = re.compile(r"[0-9A-Za-z_][0-9A-Za-z._-]{0,99}")


def new_run_id() -> str:
    """A fresh id: UTC time in milliseconds, so that ids sort by age, and a random tail."""
    now = datetime.now(UTC)
    return f"{now:%Y%m%d-%H%M%S}{now.microsecond // 1000:03d}-{secrets.token_hex(3)}"


def run_folder(state: Path, run_id: str) -> Path:
    """Where a run's record lies below the state folder; raises RecordError for an id that is no plain name."""
    if not _RUN_ID.fullmatch(run_id):
        raise RecordError("trace.bad-run-id", run=run_id)
    return state / "runs" / run_id


class Recorder:
    """The one writer of one run's record.

    It holds a lock on the record while it lives; the kernel drops the lock when the process ends, however it ends,
    so readers can tell a running run from an interrupted one. What was appended survives the death of the process
    (not a loss of power: nothing is forced to the disk).
    """

    def __init__(self, folder: Path, descriptor: int) -> None:
        """Take over an open, locked, empty record; use `create`."""
        self.folder = folder
        self.run_id = folder.name
        self._descriptor = descriptor
        self._seq = 0
        self._link = ""
        self._refused = False
        self._again = False

    @classmethod
    def create(cls, state: Path, run_id: str) -> Self:
        """Start a record below the state folder (made if need be); raises RecordError if it can't be written."""
        folder = run_folder(state, run_id)
        try:
            folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            folder.mkdir(mode=0o700)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
            descriptor = os.open(folder / RECORD_NAME, flags, 0o600)
        except OSError as cause:
            raise RecordError("trace.no-folder", folder=str(folder), reason=_reason(cause)) from cause
        lock(descriptor)
        return cls(folder, descriptor)

    @classmethod
    def reopen(cls, folder: Path) -> Self:
        """Go on with the record of a run whose process has died; a line that it left half is cut off.

        Raises RecordError if the record can't be written, or its run is still alive.
        """
        path = folder / RECORD_NAME
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC)
        except OSError as cause:
            raise RecordError("trace.unreadable", path=str(path), reason=_reason(cause)) from cause
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            content = path.read_bytes()
            whole = content.rfind(b"\n") + 1
            os.ftruncate(descriptor, whole)
        except OSError as cause:
            os.close(descriptor)
            alive = isinstance(cause, BlockingIOError)
            if alive:
                raise RecordError("trace.still-running", run=folder.name) from cause
            raise RecordError("trace.write-failed", path=str(path), reason=_reason(cause)) from cause
        recorder = cls(folder, descriptor)
        last = content[:whole].rstrip(b"\n").rpartition(b"\n")[2]
        recorder._seq, recorder._link, recorder._again = _seq_of(last), unlinked(last)[1], True
        return recorder

    def append(self, event: Event) -> Recorded:
        """Write one event; it is in the record when this returns. Raises RecordError and leaves the record whole."""
        recorded = Recorded(self._seq + 1, _now(), event)
        line = encode(recorded)
        following = link(self._link, line)
        try:
            self._write(linked(line, following))
        except OSError as cause:
            self._refused = True
            path = str(self.folder / RECORD_NAME)
            raise RecordError("trace.write-failed", path=path, reason=_reason(cause)) from cause
        self._seq, self._link = recorded.seq, following
        return recorded

    def keep(self, name: str, content: bytes, *, about: str = "", source: PurePosixPath | None = None) -> Artifact:
        """Keep a big output beside the record, whole or not at all; says where, how large and with which digest.

        Raises RecordError for a name that is no plain file name, is taken, or can't be written. A run that goes on
        takes another name where the first attempt has taken this one.
        """
        if not _ARTIFACT_NAME.fullmatch(name):
            raise RecordError("trace.bad-artifact-name", name=name)
        path = self.folder / ARTIFACTS_NAME / name
        attempt = 1
        while self._again and path.exists():
            attempt += 1
            path = path.with_name(f"{PurePosixPath(name).stem}-{attempt}{PurePosixPath(name).suffix}")
        try:
            path.parent.mkdir(mode=0o700, exist_ok=True)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            descriptor = os.open(path, flags, 0o600)
            try:
                with os.fdopen(descriptor, "wb") as file:
                    file.write(content)
            except OSError:
                path.unlink(missing_ok=True)
                raise
        except OSError as cause:
            raise RecordError("trace.write-failed", path=str(path), reason=_reason(cause)) from cause
        kept = PurePosixPath(ARTIFACTS_NAME, path.name)
        return Artifact(kept, about, len(content), hashlib.sha256(content).hexdigest(), source)

    def close(self) -> None:
        """Let go of the record and its lock; one that refused even its first event goes. May be called twice."""
        if self._descriptor >= 0:
            descriptor, self._descriptor = self._descriptor, -1
            os.close(descriptor)
            if self._refused and not self._seq:
                with suppress(OSError):
                    (self.folder / RECORD_NAME).unlink()
                    self.folder.rmdir()

    def __enter__(self) -> Self:
        """Use it as a context."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        self.close()

    def _write(self, line: bytes) -> None:
        written = os.write(self._descriptor, line)
        if written != len(line):  # a full disk takes what still fits: give it back, so that no half line stays
            size = os.fstat(self._descriptor).st_size
            os.ftruncate(self._descriptor, size - written)
            raise OSError(28, os.strerror(28))


def _seq_of(line: bytes) -> int:
    """The number of a record's last line; 0 where there is none that can be read."""
    try:
        return open_envelope(line).seq
    except ValueError:
        return 0


def lock(descriptor: int) -> None:
    """Mark the record as being written."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    except OSError:
        return  # a file system without locks: the run is shown as interrupted until it has ended


def is_being_written(folder: Path) -> bool:
    """Whether a living process is writing this run's record."""
    try:
        descriptor = os.open(folder / RECORD_NAME, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return False


def _now() -> datetime:
    now = datetime.now(UTC)
    return now.replace(microsecond=now.microsecond // 1000 * 1000)


def _reason(cause: OSError) -> str:
    return cause.strerror or type(cause).__name__
