"""Tracebacks as people paste them: Python's, pytest's and IPython's formats, and error lines alone."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from thinklonger.agent.issue.clues import FrameClue, TracebackClue

_LEAD = r"[ \t>|E+]{0,40}"
_PYTHON = re.compile(_LEAD + r'File "([^"\n]{1,1000})", line (\d{1,9})(?:, in (.{1,200}))?')
_IPYTHON = re.compile(r"(?:File )?(\S{1,1000}\.pyx?)(?::(\d{1,9}))?,? in ([\w.<>]{1,200})\(")
_ARROW = re.compile(r"-{2,}> ?(\d{1,9})\b(.{0,300})")
_PYTEST = re.compile(_LEAD + r"([^\s:\"'()]{1,1000}\.py):(\d{1,9}): ?(?:in (\S{1,200})|([A-Za-z_][\w.]{0,200}))?\s*$")
_RAISED = re.compile(
    _LEAD
    + r"((?:[a-z_]\w{0,80}\.){0,8}[A-Z]\w{0,80}(?:Error|Exception|Warning|Interrupt|Exit|Iteration|NotFound|Failure))"
    + r"(?:: ?(.{0,2000}))?\s*$"
)
_QUALIFIED = re.compile(r"((?:[A-Za-z_]\w{0,80}\.){0,8}[A-Z_]\w{0,80})(?:: (.{0,2000}))?\s*$")
_MENTIONED = re.compile(
    r"(?<![\w.])((?:[a-z_]\w{0,40}\.){0,4}[A-Z]\w{1,60}(?:Error|Exception|Warning)): ([^\n`]{3,400})"
)
_MAX_LINE = 4000
_MAX_TRACEBACKS = 50


@dataclass(slots=True)
class _Reading:
    """The traceback being read, and those that are complete."""

    done: list[TracebackClue] = field(default_factory=list[TracebackClue])
    frames: list[FrameClue] = field(default_factory=list[FrameClue])
    pending: tuple[str, str] | None = None
    """An error line of pytest's, which comes before its frame."""
    arrow_open: bool = False

    def close(self, exception: str = "", message: str = "") -> None:
        """The traceback ends here."""
        if self.frames or exception:
            self.done.append(TracebackClue(tuple(self.frames), exception, message.strip()))
        self.frames = []
        self.pending = None
        self.arrow_open = False


def read_tracebacks(lines: Sequence[str]) -> tuple[TracebackClue, ...]:
    """The tracebacks in these lines, in order, without repeats."""
    reading = _Reading()
    for position, full in enumerate(lines):
        line = full[:_MAX_LINE]
        if "Traceback (most recent call last)" in line:
            reading.close(*(reading.pending or ()))
        elif not _read_frame(reading, line, lines[position + 1] if position + 1 < len(lines) else ""):
            _read_error(reading, line)
        if len(reading.done) > _MAX_TRACEBACKS:
            break
    reading.close(*(reading.pending or ()))
    framed = [traceback for traceback in reading.done if traceback.frames]
    heard = {(traceback.exception, traceback.message) for traceback in framed}
    alone = [
        one for one in reading.done if not one.frames and (one.exception, one.message) not in heard and one.message
    ]
    return tuple(dict.fromkeys((*framed, *alone)))[:_MAX_TRACEBACKS]


def _read_frame(reading: _Reading, line: str, following: str) -> bool:
    """Take the line if it is a frame of any format."""
    if 'File "' in line and (found := _PYTHON.match(line)) is not None:
        code = "" if _PYTHON.match(following[:_MAX_LINE]) else following.strip()[:300]
        reading.frames.append(FrameClue(_tidy(found[1]), int(found[2]), (found[3] or "").strip(), code))
        return True
    if ".py" in line:
        if (found := _PYTEST.match(line)) is not None and (found[3] or found[4] or reading.pending or reading.frames):
            reading.frames.append(FrameClue(_tidy(found[1]), int(found[2]), found[3] or "", following.strip()[:300]))
            if found[4]:
                exception, message = reading.pending or (found[4], "")
                reading.close(exception, message)
            return True
        if (found := _IPYTHON.match(line.lstrip())) is not None:
            reading.frames.append(FrameClue(_tidy(found[1]), int(found[2] or 0), found[3]))
            reading.arrow_open = True
            return True
    if reading.arrow_open and (found := _ARROW.match(line)) is not None:
        last = reading.frames[-1]
        reading.frames[-1] = FrameClue(last.path, int(found[1]), last.function, found[2].strip())
        reading.arrow_open = False
        return True
    return False


def _read_error(reading: _Reading, line: str) -> None:
    """Take the line if it names an exception: it ends a traceback, but precedes pytest's frame."""
    if "Traceback" in line:
        return
    found = _RAISED.match(line)
    if found is None and reading.frames and not line[:1].isspace():
        found = _QUALIFIED.match(line)
    if found is not None:
        if line.startswith("E ") and not reading.frames:
            reading.pending = reading.pending or (found[1], found[2] or "")
        elif reading.frames or found[2]:
            reading.close(found[1], found[2] or "")
    elif not reading.frames and ": " in line:
        for mention in _MENTIONED.finditer(line):
            reading.done.append(TracebackClue((), mention[1], mention[2].strip()))


def _tidy(path: str) -> str:
    """The path with forward slashes."""
    return path.replace("\\", "/")
