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

from .recording import Call

Value = Any  # values of the code under test: anything at all

LARGEST = 200_000  # bytes of one call's arguments
MOST = 400  # calls


class Rehearsal:
    """A child that records; started before the parent's own run, asked after it."""

    def __init__(self, produce: Callable[[], list[Call]]) -> None:
        """Fork; the child records by `produce` and sends what can be pickled."""
        self.reader, writer = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            try:
                os.close(self.reader)
                _send(writer, produce())
            finally:
                os._exit(0)
        os.close(writer)

    def calls(self, seconds: float) -> list[Call]:
        """What the child recorded, with this process's own functions and classes; empty where it did not end."""
        data = self._data(time.monotonic() + seconds)
        functions = _functions()
        found: list[Call] = []
        for line in data.split(b"\n"):
            call = _received(line, functions)
            if call is not None:
                found.append(call)
        return found

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


def _received(line: bytes, functions: dict[tuple[str, str], types.FunctionType]) -> Call | None:
    try:
        module, name, test, arguments = pickle.loads(bytes.fromhex(line.decode()))  # noqa: S301 (the sandbox's own)
        return Call(functions[module, name], pickle.loads(arguments), test)  # noqa: S301 (the sandbox's own)
    except Exception:  # noqa: BLE001 (an object's own unpickling may raise anything; such a call is left out)
        return None


def _send(writer: int, calls: list[Call]) -> None:
    for call in calls[:MOST]:
        data = _packed(call)
        while data:
            data = data[os.write(writer, data) :]


def _packed(call: Call) -> bytes:
    try:
        arguments = pickle.dumps(call.arguments)
    except Exception:  # noqa: BLE001 (not everything can be pickled, and each type says so in its own way)
        return b""
    named = (call.function.__module__, call.function.__qualname__, call.test, arguments)
    return pickle.dumps(named).hex().encode() + b"\n" if len(arguments) <= LARGEST else b""


def _functions() -> dict[tuple[str, str], types.FunctionType]:
    """The living functions that have one name each."""
    found: dict[tuple[str, str], types.FunctionType] = {}
    for item in gc.get_objects():
        if type(item) is types.FunctionType and "<locals>" not in item.__qualname__:
            found.setdefault((str(item.__module__), item.__qualname__), item)
    return found
