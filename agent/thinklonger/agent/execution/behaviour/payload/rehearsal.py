"""The tests run a second time, beside the first, in a child that is a candidate: it sees the calls past a failure.

On the base a red test ends at its first failing assertion; the calls after it are inputs that tests are about, too.
"""

# Values of the code under test can be anything at all, so what is inside them is unknown to the type checker:
# pyright: reportUnknownArgumentType=false, reportUnknownVariableType=false, reportUnknownMemberType=false

from __future__ import annotations

import gc
import os
import pickle
import select
import signal
import time
import types
from typing import Any, Callable

from .histories import History, Step
from .recording import Call

Value = Any  # values of the code under test: anything at all

LARGEST = 200_000  # bytes of one call's arguments
MOST = 400  # calls, and as many histories


class Rehearsal:
    """A child that records; started before the parent's own run, asked after it."""

    def __init__(self, produce: Callable[[], tuple[list[Call], list[History]]]) -> None:
        """Fork; the child records by `produce` and sends what can be pickled."""
        self.reader, writer = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            try:
                os.close(self.reader)
                calls, histories = produce()
                _send(writer, [_packed(call) for call in calls[:MOST]])
                _send(writer, [_packed_history(history) for history in histories[:MOST]])
            finally:
                os._exit(0)
        os.close(writer)

    def recorded(self, seconds: float) -> tuple[list[Call], list[History]]:
        """What the child recorded, with this process's own functions and classes; empty where it did not end."""
        data = self._data(time.monotonic() + seconds)
        functions = _functions()
        received = [_received(line, functions) for line in data.split(b"\n") if line]
        calls = [item for item in received if isinstance(item, Call)]
        return calls, [item for item in received if isinstance(item, History)]

    def _data(self, deadline: float) -> bytes:
        data = b""
        while time.monotonic() < deadline:
            if not select.select([self.reader], [], [], max(0.0, deadline - time.monotonic()))[0]:
                break
            part = os.read(self.reader, 1 << 16)
            if not part:
                break
            data += part
        os.kill(self.pid, signal.SIGKILL)
        os.close(self.reader)
        os.waitpid(self.pid, 0)
        return data


def _received(line: bytes, functions: dict[tuple[str, str], types.FunctionType]) -> Call | History | None:
    try:
        what, test, data = pickle.loads(bytes.fromhex(line.decode()))  # noqa: S301 (the sandbox's own)
        parts = pickle.loads(data)  # noqa: S301 (the sandbox's own)
        if isinstance(what, tuple):
            return Call(functions[what], parts, test)
        return History(what, [Step(functions[name], items, edited=edited) for name, items, edited in parts], test)
    except Exception:  # noqa: BLE001 (an object's own unpickling may raise anything; such a call is left out)
        return None


def _send(writer: int, lines: list[bytes]) -> None:
    for line in lines:
        data = line
        while data:
            data = data[os.write(writer, data) :]


def _packed(call: Call) -> bytes:
    return _line((call.function.__module__, call.function.__qualname__), call.test, call.arguments)


def _packed_history(history: History) -> bytes:
    names = [(step.function.__module__, step.function.__qualname__) for step in history.steps]
    steps = [(name, step.arguments, step.edited) for name, step in zip(names, history.steps)]
    return _line(history.kind, history.test, steps)


def _line(what: Value, test: str, parts: Value) -> bytes:
    """A function by its names, or a class, with a test and arguments, as one line; empty where it can't be sent."""
    try:
        data = pickle.dumps(parts)
        return pickle.dumps((what, test, data)).hex().encode() + b"\n" if len(data) <= LARGEST else b""
    except Exception:  # noqa: BLE001 (not everything can be pickled, and each type says so in its own way)
        return b""


def _functions() -> dict[tuple[str, str], types.FunctionType]:
    """The living functions that have one name each."""
    found: dict[tuple[str, str], types.FunctionType] = {}
    for item in gc.get_objects():
        if type(item) is types.FunctionType and "<locals>" not in item.__qualname__:
            found.setdefault((str(item.__module__), item.__qualname__), item)
    return found
