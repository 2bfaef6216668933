"""What the launcher asks for, and the run that answers it: shared by all runners."""

from __future__ import annotations

import contextlib
import os
import random
import re
import sys
import time
from typing import IO, Any, Callable

from .frames import Places
from .report import Report
from .watch import Watch

COLLECT_SECONDS = 60.0
"""What importing one test file may take at most; a run that has less time in all gives it half of that."""


MISSING = re.compile(r"No module named '?(\w+)")


class Request:
    """The launcher's request, as read from standard input."""

    def __init__(self, fields: dict[str, Any]) -> None:
        """Take the fields of the JSON object; see the launcher's `request` module for what they mean."""
        self.nonce: str = fields["nonce"]
        self.mode: str = fields["mode"]
        self.runner: str = fields["runner"]
        self.arguments: list[str] = fields["arguments"]
        self.tests: list[str] | None = fields["tests"]
        self.program: str = fields["program"]
        self.drop_addopts: bool = fields["drop_addopts"]
        self.fail_fast: bool = fields["fail_fast"]
        self.coverage: bool = fields["coverage"]
        self.seconds_per_test: float = fields["seconds_per_test"]
        self.seconds: float = fields["seconds"]
        self.lent: str | None = fields["lent"]
        self.candidates: list[dict[str, Any]] = fields["candidates"]
        self.memory_bytes: int = fields["memory_bytes"]
        self.coverage_seconds: float | None = fields["coverage_seconds"]
        self.last: frozenset[str] = frozenset(fields["last"])
        self.start_seconds: float = fields["start_seconds"]
        self.patience: float = fields["patience"]
        self.cpu_seconds: float | None = fields["cpu_seconds"]
        self.candidate_seconds: float = fields["candidate_seconds"] or self.seconds_per_test
        self.folder: str = fields["folder"]
        self.plain: bool = fields["plain"]
        self.idle: bool = fields["idle"]


class Run:
    """One run of tests in this process: the request, where to report, and what keeps it from hanging.

    `before_tests` is called when everything is collected and nothing has run; `leave` ends a candidate's process at
    once (None in an ordinary run, which ends as the runner does).
    """

    def __init__(self, request: Request, report: Report, dump: IO[bytes] | None) -> None:
        """Begin the clock."""
        self.request = request
        self.report = report
        self.root = os.getcwd()
        self.places = Places(self.root)
        self.watch = Watch(self.places, dump, self._give_up)
        self.wanted: frozenset[str] | None = None if request.tests is None else frozenset(request.tests)
        self.before_tests: Callable[[], None] = nothing
        self.leave: Callable[[], None] | None = None
        self.running: dict[str, Any] | None = None
        self.lines: Callable[[], dict[str, Any] | None] = dict
        self._end = time.monotonic() + request.seconds + request.start_seconds
        self._cpu_end: float | None = None

    @property
    def late(self) -> bool:
        """Whether the time for the whole run is up."""
        return time.monotonic() >= self._end or (self._cpu_end is not None and spent() >= self._cpu_end)

    @property
    def collect_seconds(self) -> float:
        """What collecting one file may take."""
        return min(
            max(COLLECT_SECONDS, self.request.seconds_per_test), (self.request.seconds + self.request.start_seconds) / 2
        )

    def extend(self) -> None:
        """Begin the clock anew."""
        self._end = time.monotonic() + self.request.seconds

    def collected(self) -> None:
        """Everything is collected: from here on the tests have their own time."""
        self._end = min(self._end, time.monotonic() + self.request.seconds)
        if self.request.cpu_seconds is not None:
            self._cpu_end = spent() + self.request.cpu_seconds

    def wants(self, test: str) -> bool:
        """Whether the test is selected: by its id, by its id without parameters, or by its file or class."""
        if self.wanted is None or test in self.wanted:
            return True
        name = bare(test)
        while name:
            if name in self.wanted:
                return True
            name = name.rpartition("::")[0]
        return False

    def started(self, test: str) -> None:
        """Report that a test begins, so that a process that dies in it is attributed to it."""
        self.running = {"id": test}
        self.report.write("start", {"id": test})
        seed()

    def finished(self, record: dict[str, Any]) -> None:
        """Report what a test gave; a candidate that has shown its first red test leaves here."""
        self.running = None
        self.report.write("test", record)
        if self.leave is not None and record["outcome"] not in ("passed", "skipped"):
            self.leave()

    def broken(self, path: str, record: dict[str, Any]) -> None:
        """Report that a file can't be collected."""
        self.report.write("broken", dict(record, path=path, local=self._misses_its_own(record)))
        if self.leave is not None:
            self.leave()

    def _misses_its_own(self, record: dict[str, Any]) -> bool:
        """Whether a module was not found in a package that is the repository's own: a fault, not an installation."""
        found = MISSING.search(record["text"])
        if found is None:
            return False
        places = [os.path.join(self.root, folder, found.group(1)) for folder in ("", "src", "lib")]
        return any(os.path.isdir(place) or os.path.isfile(place + ".py") for place in places)

    def _give_up(self) -> None:
        """The running test can't be ended; end the process, with what is known of it."""
        if self.running is not None:
            hang: dict[str, Any] = {"outcome": "timed-out", "exception": "Timeout", "text": "", "seconds": 0.0}
            self.report.write("test", dict(self.running, frames=self.watch.frames, lines=self.lines(), **hang))
        os._exit(3)


def bare(test: str) -> str:
    """A test's id without its parameters; a bracket may also stand in a folder's name."""
    path, separator, inner = test.partition("::")
    return path + separator + inner.partition("[")[0]


def spent() -> float:
    """The seconds of CPU that this process and its children have taken."""
    return sum(os.times()[:4])


def seed() -> None:
    """Start the known sources of chance anew, so that a test does the same whatever ran before it."""
    random.seed(0)
    numpy = getattr(sys.modules.get("numpy"), "random", None)
    if numpy is not None:
        numpy.seed(0)


def nothing() -> None:
    """Do nothing."""


def silence() -> None:
    """Send what tests print to nowhere, and give them nothing to read."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    flush()
    for fd in (0, 1, 2):
        os.dup2(nowhere, fd)
    os.close(nowhere)


def flush() -> None:
    """Write what is buffered; a test may have closed or replaced the streams."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            stream.flush()


class Bounded:
    """A text file that takes so many characters and then no more: a runner's own words, for people."""

    encoding = "utf-8"

    def __init__(self, fd: int | None, limit: int) -> None:
        """Write to `fd`; None writes nowhere."""
        self._fd = fd
        self._left = limit

    def write(self, text: str) -> int:
        """Write what still fits."""
        part = text[: self._left]
        self._left -= len(part)
        if part and self._fd is not None:
            data = part.encode("utf-8", "replace")
            try:
                while data:
                    data = data[os.write(self._fd, data) :]
            except OSError:
                self._fd = None
        return len(text)

    def flush(self) -> None:
        """Nothing is held back."""

    def isatty(self) -> bool:
        """It never is a terminal."""
        return False
