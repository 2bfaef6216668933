"""Which lines of the repository's files a test runs: `sys.monitoring` where there is one, else `sys.settrace`."""

from __future__ import annotations

import signal
import sys
import threading
from typing import TYPE_CHECKING, Any, Callable, Iterable

if TYPE_CHECKING:
    from types import CodeType, FrameType

    from .frames import Places

    Tracer = Callable[[FrameType, str, Any], Any]


def compact(lines: Iterable[int]) -> list[list[int]]:
    """Sorted runs `[first, last]` of line numbers."""
    runs: list[list[int]] = []
    for line in sorted(lines):
        if runs and line == runs[-1][1] + 1:
            runs[-1][1] = line
        else:
            runs.append([line, line])
    return runs


class TracedLines:
    """By trace function: each code object of the repository has a set of lines still to be seen in this test.

    A code object whose lines have all been seen is not traced again until the next test.
    """

    def __init__(self, places: Places) -> None:
        """Trace nothing yet."""
        self._places = places
        self._all: dict[int, tuple[CodeType, set[int]]] = {}
        self._missing: dict[int, tuple[set[int], Tracer]] = {}

    def start(self) -> None:
        """A test begins."""
        self._missing = {}
        threading.settrace(self._enter)
        sys.settrace(self._enter)

    def stop(self) -> dict[str, list[list[int]]]:
        """The test has ended: the lines that it ran, by path."""
        sys.settrace(None)
        threading.settrace(None)  # type: ignore[arg-type] # None is how tracing ends; older stubs do not say so
        found: dict[str, set[int]] = {}
        for key, (missing, _) in self._missing.items():
            code, lines = self._all[key]
            path = self._places.relative(code.co_filename)
            if path is not None:
                found.setdefault(path, set()).update(lines - missing)
        self._missing = {}
        return {path: compact(lines) for path, lines in found.items() if lines}

    def pause(self) -> None:
        """See nothing until `resume`."""
        sys.settrace(None)

    def resume(self) -> None:
        """See again what this test runs."""
        sys.settrace(self._enter)

    def _enter(self, frame: FrameType, _event: str, _argument: object) -> Tracer | None:
        code = frame.f_code
        known = self._missing.get(id(code))
        if known is not None:
            return known[1] if known[0] else None
        if self._places.relative(code.co_filename) is None:
            return None
        if id(code) not in self._all:
            self._all[id(code)] = (code, lines_of(code))
        missing = set(self._all[id(code)][1])
        tracer = follow(missing)
        self._missing[id(code)] = (missing, tracer)
        return tracer


def follow(missing: set[int]) -> Tracer:
    """A local trace function that takes the lines it sees out of `missing`."""
    seen = missing.discard

    def tracer(frame: FrameType, _event: str, _argument: object) -> Tracer | None:
        seen(frame.f_lineno)
        if missing:
            return tracer
        frame.f_trace = None
        return None

    return tracer


def lines_of(code: CodeType) -> set[int]:
    """The lines on which the code object's statements begin."""
    if sys.version_info >= (3, 10):
        return {line for _, _, line in code.co_lines() if line}
    import dis  # noqa: PLC0415 - only old interpreters need it

    return {line for _, line in dis.findlinestarts(code)}


class MonitoredLines:
    """By `sys.monitoring` (3.12 or newer): a line reports itself once in each test, then costs nothing."""

    def __init__(self, places: Places) -> None:
        """Take one of the tool ids that are free; raises ValueError where there is none."""
        self._places = places
        self._monitoring: Any = vars(sys)["monitoring"]  # the stubs of older versions do not know it
        self._found: dict[str, set[int]] = {}
        self._paused = False
        self._tool = self._take()
        self._monitoring.register_callback(self._tool, self._monitoring.events.PY_START, self._enter)
        self._monitoring.register_callback(self._tool, self._monitoring.events.LINE, self._line)

    def _take(self) -> int:
        for tool in (4, 3, 5, 1):
            if self._monitoring.get_tool(tool) is None:
                self._monitoring.use_tool_id(tool, "thinklonger")
                return tool
        raise ValueError(self._monitoring.__name__)

    def start(self) -> None:
        """A test begins."""
        self._found = {}
        self._monitoring.set_events(self._tool, self._monitoring.events.PY_START)
        self._monitoring.restart_events()

    def stop(self) -> dict[str, list[list[int]]]:
        """The test has ended: the lines that it ran, by path."""
        self._monitoring.set_events(self._tool, self._monitoring.events.NO_EVENTS)
        found, self._found = self._found, {}
        return {path: compact(lines) for path, lines in found.items()}

    def pause(self) -> None:
        """See nothing until `resume`."""
        self._paused = True

    def resume(self) -> None:
        """See again what this test runs."""
        self._paused = False

    def _enter(self, code: CodeType, _offset: int) -> object:
        if self._paused:
            return None
        if self._places.relative(code.co_filename) is not None:
            self._monitoring.set_local_events(self._tool, code, self._monitoring.events.LINE)
        return self._monitoring.DISABLE

    def _line(self, code: CodeType, line: int) -> object:
        if self._paused:
            return None
        path = self._places.relative(code.co_filename)
        if path is not None:
            self._found.setdefault(path, set()).add(line)
        return self._monitoring.DISABLE


class BoundedLines:
    """A recorder that stops when it has slowed the tests down for so many seconds (of CPU); the tests go on.

    The lines of the test that runs then are those until then; tests after it have none.
    """

    def __init__(self, lines: TracedLines | MonitoredLines, seconds: float | None) -> None:
        """Record for `seconds` in all; None: without end."""
        self._lines = lines
        self._left = seconds
        self._started = False
        self._recording = False

    def start(self) -> None:
        """A test begins."""
        self._started = False
        if self._left is not None:
            if self._left <= 0 or threading.current_thread() is not threading.main_thread():
                return
            signal.signal(signal.SIGVTALRM, self._halt)
            signal.setitimer(signal.ITIMER_VIRTUAL, max(self._left, 0.01))
        self._started = self._recording = True
        self._lines.start()

    def stop(self) -> dict[str, list[list[int]]] | None:
        """The test has ended: the lines that it ran, by path; None where nobody looked."""
        if not self._started:
            return None
        if self._left is not None:
            left = signal.setitimer(signal.ITIMER_VIRTUAL, 0)[0]
            self._left = left if self._recording else 0.0
        self._started = self._recording = False
        return self._lines.stop()

    def pause(self) -> None:
        """See nothing until `resume`."""
        self._lines.pause()

    def resume(self) -> None:
        """See again what this test runs."""
        if self._recording:
            self._lines.resume()

    def _halt(self, _number: int, _frame: FrameType | None) -> None:
        self._left = 0.0
        self._recording = False
        self._lines.pause()


def bounded_lines(places: Places, seconds: float | None) -> BoundedLines:
    """The recorder that this interpreter has, bounded."""
    return BoundedLines(record_lines(places), seconds)


def record_lines(places: Places) -> TracedLines | MonitoredLines:
    """The recorder that this interpreter has."""
    if sys.version_info >= (3, 12):
        try:
            return MonitoredLines(places)
        except ValueError:
            return TracedLines(places)
    return TracedLines(places)
