"""Values in one canonical form that two processes can compare: plain JSON, sorted where order means nothing.

`None`, `bool`, `int`, `str` and lists stand for themselves; all else is a dict with one key that names the type:
`float` (rounded to nine decimals), `bytes`, `tuple`, `set`, `dict` (pairs), `iterator` (drained), `object` (type,
state), `name` (functions, classes, modules), `callable` (a test's function with the values that it closes over, which
its calls may change), `ref` (a value inside itself), `cut` (too deep or too large).
"""

# Values of the code under test can be anything at all, so what is inside them is unknown to the type checker:
# pyright: reportUnknownArgumentType=false, reportUnknownVariableType=false, reportUnknownMemberType=false
# pyright: reportUnknownLambdaType=false, reportUnknownParameterType=false

from __future__ import annotations

import enum
import hashlib
import io
import json
import math
import types
from collections import OrderedDict, deque
from typing import Any

Value = Any  # values of the code under test: anything at all

DEPTH = 60
NODES = 4000
DRAINED = 200
TEXT = 2000
DIGITS = 10**600
TEST_FILES: set[str] = set()  # where functions are defined whose state counts; filled when the tests are known

_ATOMS = frozenset({type(None), bool, int, float, str, bytes, bytearray, complex})
_NAMED = (
    type,
    types.FunctionType,
    types.BuiltinFunctionType,
    types.MethodType,
    types.ModuleType,
    types.MethodDescriptorType,
)


class Canon:
    """One conversion: its budget of nodes and the containers that it is inside of."""

    def __init__(self, public: frozenset[type] = frozenset()) -> None:
        """Start with a full budget; of objects of the `public` classes, only what their users may read counts."""
        self.left = NODES
        self.public = public
        self.inside: dict[int, int] = {}

    def form(self, value: Value) -> Value:
        """The canonical form of `value`."""
        kind = type(value)
        if kind in _ATOMS:
            return _atom(value)
        self.left -= 1
        if self.left < 0 or len(self.inside) > DEPTH:
            return {"cut": kind.__name__}
        if id(value) in self.inside:
            return {"ref": len(self.inside) - self.inside[id(value)]}
        self.inside[id(value)] = len(self.inside)
        try:
            return self._container(kind, value)
        finally:
            del self.inside[id(value)]

    def _container(self, kind: type, value: Value) -> Value:
        if kind is list:
            return [self.form(item) for item in value]
        if kind is tuple:
            return {"tuple": [self.form(item) for item in value]}
        if kind is dict:
            return {"dict": self._pairs(value)}
        if kind is set or kind is frozenset:
            return {"set": sorted((self.form(item) for item in value), key=text)}
        if kind.__name__ == "Omitted":
            return {"omitted": True}
        name = _name(value)
        return self._other(kind, value) if name is None else self._named(name, value)

    def _named(self, name: str, value: Value) -> Value:
        if isinstance(value, types.FunctionType) and value.__closure__ and value.__code__.co_filename in TEST_FILES:
            cells = [[cell, self.form(item)] for cell, item in closed_over(value)]
            return {"callable": value.__name__, "cells": cells}
        return {"name": name}

    def _other(self, kind: type, value: Value) -> Value:
        if isinstance(value, OrderedDict):
            return {"ordered": [[self.form(key), self.form(item)] for key, item in value.items()]}
        if isinstance(value, dict):
            return {"dict": self._pairs(value), "type": kind.__qualname__}
        if isinstance(value, (list, tuple, deque)):
            return {"sequence": [self.form(item) for item in value], "type": kind.__qualname__}
        if isinstance(value, (io.StringIO, io.BytesIO)):  # reading it would move it
            written = [] if value.closed else [self.form(value.getvalue()), value.tell()]
            return {"stream": kind.__qualname__, "written": written}
        if kind.__name__ == "Replayed" or hasattr(kind, "__next__"):
            return {"iterator": self._drained(value)}
        return {"object": kind.__qualname__, "state": self._state(value)}

    def _state(self, value: Value) -> Value:
        if isinstance(value, BaseException):
            return [self.form(item) for item in value.args]
        state = state_of(value)
        if state is None:
            shown = repr(value)
            return "" if " at 0x" in shown else shown[:TEXT]
        hidden = type(value) in self.public
        return [[name, self.form(state[name])] for name in sorted(state) if not (hidden and name.startswith("_"))]

    def _pairs(self, value: Value) -> list[Value]:
        return sorted(([self.form(key), self.form(item)] for key, item in value.items()), key=text)

    def _drained(self, value: Value) -> list[Value]:
        if type(value).__name__ == "Replayed":  # looked at many times, so it must not be used up
            return [self.form(item) for item in value.items[value.at :]]
        items: list[Value] = []
        for item in value:
            items.append(self.form(item))
            if len(items) >= DRAINED:
                items.append({"cut": "iterator"})
                break
        return items


def closed_over(function: Value) -> list[tuple[str, Value]]:
    """The variables that a function closes over, with their values."""
    found: list[tuple[str, Value]] = []
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or ()):
        try:
            found.append((name, cell.cell_contents))
        except ValueError:  # not set yet
            continue
    return found


def state_of(value: Value) -> dict[str, Value] | None:
    """The attributes of an object of a Python class, slots included; None where it has no such state."""
    found: dict[str, Value] = {}
    slotted = False
    for kind in type(value).__mro__:
        names = kind.__dict__.get("__slots__", ())
        for name in (names,) if isinstance(names, str) else names:
            slotted = True
            if name not in ("__dict__", "__weakref__") and hasattr(value, name):
                found[name] = getattr(value, name)
    plain = getattr(value, "__dict__", None)
    if isinstance(plain, dict):
        found.update((name, item) for name, item in plain.items() if isinstance(name, str))
        return found
    return found if slotted else None


def canonical(value: Value, public: frozenset[type] = frozenset()) -> Value:
    """The canonical form of any value; drains iterators."""
    return Canon(public).form(value)


def text(plain: Value) -> str:
    """A canonical form as one string, equal for equal forms."""
    return json.dumps(plain, sort_keys=True, separators=(",", ":"))


def _atom(value: Value) -> Value:
    if isinstance(value, float):
        return {"float": _number(value)}
    if isinstance(value, str) and len(value) > TEXT:
        return {"cut": "str", "digest": _digest(value.encode("utf-8", "replace"))}
    if isinstance(value, int) and not -DIGITS < value < DIGITS:
        return {"cut": "int"}
    if isinstance(value, (bytes, bytearray)):
        return {"bytes": value[:TEXT].hex(), "length": len(value)}
    if isinstance(value, complex):
        return {"complex": [_number(value.real), _number(value.imag)]}
    return value


def _name(value: Value) -> str | None:
    if isinstance(value, enum.Enum):
        return f"{type(value).__qualname__}.{value.name}"
    if isinstance(value, range):
        return repr(value)
    if isinstance(value, _NAMED):
        return str(getattr(value, "__qualname__", getattr(value, "__name__", "")))
    return None


def _number(value: float) -> str:
    if math.isnan(value) or math.isinf(value):
        return repr(value)
    return repr(round(value, 9) + 0.0)


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]
