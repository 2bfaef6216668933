"""Run the tests once and record how they call the edited code: the outermost call of repository code, and the direct.

A call is recorded where a profile hook sees a frame begin: its function and a deep copy of its arguments, before
anything can change them. Two doors to the edited code are recorded: the repository function that test code calls
(what tests are about), and the edited function itself where that is another one.
"""

# Values of the code under test can be anything at all, so what is inside them is unknown to the type checker:
# pyright: reportUnknownArgumentType=false, reportUnknownVariableType=false, reportUnknownMemberType=false
# pyright: reportUnknownLambdaType=false, reportUnknownParameterType=false

from __future__ import annotations

import copy
import gc
import itertools
import os
import sys
import time
import types
from typing import Any

from .canonical import canonical, text
from .cloning import OMITTED, Replayed, clone
from .histories import Follower, History, Step

Value = Any  # values of the code under test: anything at all

FOREIGN, OWN, EDITED = 0, 1, 2
PER_FUNCTION = 160  # calls of one function that are looked at
COPYING = 1.0  # CPU seconds that all copies of arguments may take
AHEAD = 24  # items of an iterator that are read ahead; a longer one is not recorded
_ITERATORS = (types.GeneratorType, map, filter, zip, enumerate, itertools.chain, itertools.islice)
_GENERATOR = 0x20 | 0x80 | 0x200  # CO_GENERATOR, CO_COROUTINE, CO_ASYNC_GENERATOR


class Call:
    """One recorded call: the function, its positional and keyword arguments as one list, and the test around it."""

    def __init__(self, function: types.FunctionType, arguments: list[Value], test: str) -> None:
        """Take what the class's docstring says; `arguments` is in the order of the code object's own names."""
        self.function = function
        self.arguments = arguments
        self.test = test


class Recorder:
    """A profile hook that records calls while it is installed."""

    def __init__(self, root: str, edited: set[tuple[str, str, int]], is_test: set[str]) -> None:
        """`edited` are file, name and first line of code objects; `is_test` absolute paths of test files."""
        self.root = os.path.join(root, "")
        self.edited = edited
        self.is_test = is_test
        self.kinds: dict[types.CodeType, int] = {}
        self.count: dict[types.CodeType, int] = {}
        self.functions: dict[types.CodeType, list[types.FunctionType]] = {}
        self.outer: list[Call] = []
        self.direct: list[Call] = []
        self.test = ""
        self.depth = 0
        self.hot = False
        self.pending: Call | None = None
        self.generators: dict[int, Value] = {}
        self.copying = 0.0
        self.skipped = 0
        self.follower = Follower(self._is_edited)
        self.history: History | None = None

    def start(self, test: str) -> None:
        """Record what this test does from now on."""
        self.test, self.depth, self.pending = test, 0, None
        self.follower.begin()
        sys.setprofile(self._event)

    def stop(self) -> None:
        """Record no longer."""
        sys.setprofile(None)
        self._close()
        self.follower.begin()
        self.depth = 0

    def _event(self, frame: types.FrameType, event: str, value: Value) -> None:
        if event == "call":
            kind = self.kinds.get(frame.f_code)
            if kind is None:
                kind = self.kinds[frame.f_code] = self._classified(frame.f_code)
            if kind:
                self._enter(frame, kind)
        elif event == "return" and self.kinds.get(frame.f_code):
            self.depth = max(0, self.depth - 1)
            if self.depth == 0:
                if self.history is not None and value is not None:
                    self.history.told = True
                self._close()

    def _classified(self, code: types.CodeType) -> int:
        path = code.co_filename
        if not path.startswith(self.root) or code.co_name in ("<module>", "<lambda>") or path in self.is_test:
            return FOREIGN
        if not code.co_flags & 0x01 or code.co_name in ("<listcomp>", "<genexpr>", "<dictcomp>", "<setcomp>"):
            return FOREIGN
        inner = path[len(self.root) :]
        parts = inner.split(os.sep)
        if parts[-1].startswith(("test_", "conftest")) or {"site-packages", ".venv", ".tox"} & set(parts):
            return FOREIGN
        return EDITED if (path, code.co_name, code.co_firstlineno) in self.edited else OWN

    def _enter(self, frame: types.FrameType, kind: int) -> None:
        outermost = self.depth == 0
        self.depth += 1
        if kind == EDITED:
            self.hot = True
        if not (outermost or kind == EDITED) or self._resumed(frame):
            return
        if outermost:
            self.history = self.follower.enter(frame, lambda: self._step(frame), self.test)
        if self.history is not None:
            return
        seen = self.count[frame.f_code] = self.count.get(frame.f_code, 0) + 1
        if seen > PER_FUNCTION or (kind == EDITED and not outermost and self._recursive(frame)):
            return
        call = self._snapshot(frame)
        if call is None:
            return
        if outermost:
            self.pending, self.hot = call, kind == EDITED
        else:
            self.direct.append(call)

    def _resumed(self, frame: types.FrameType) -> bool:
        if not frame.f_code.co_flags & _GENERATOR:
            return False
        if id(frame) in self.generators:
            return True
        self.generators[id(frame)] = frame
        return False

    @staticmethod
    def _recursive(frame: types.FrameType) -> bool:
        code, back = frame.f_code, frame.f_back
        while back is not None:
            if back.f_code is code:
                return True
            back = back.f_back
        return False

    def _close(self) -> None:
        if self.hot and self.pending is not None:
            self.outer.append(self.pending)
        if self.hot and self.history is not None:
            self.history.hot = True
        self.pending, self.history, self.hot = None, None, False

    def _is_edited(self, kind: type) -> bool:
        """Whether a class has code that some candidate edits."""
        functions = (getattr(_bare(item), "__code__", None) for owner in kind.__mro__ for item in vars(owner).values())
        return any(isinstance(code, types.CodeType) and self._classified(code) == EDITED for code in functions)

    def _step(self, frame: types.FrameType) -> Step | None:
        call = self._snapshot(frame, first=1)
        edited = self.kinds.get(frame.f_code) == EDITED
        return None if call is None else Step(call.function, call.arguments, edited=edited)

    def _snapshot(self, frame: types.FrameType, first: int = 0) -> Call | None:
        """The call of a frame with copies of its arguments, those before `first` left out; None where it can't be."""
        code = frame.f_code
        scope = frame.f_locals
        width = code.co_argcount + code.co_kwonlyargcount
        width += bool(code.co_flags & 0x04) + bool(code.co_flags & 0x08)
        function = self._function(code, scope)
        if function is None or self.copying > COPYING:
            self.skipped += 1
            return None
        memo: dict[int, Value] = {}
        defaults = _defaults(function)
        began = time.process_time()
        try:
            arguments = [
                OMITTED if name in defaults and scope[name] is defaults[name] else _kept(scope, name, memo)
                for name in code.co_varnames[first:width]
            ]
        except Exception:  # noqa: BLE001 (an object's own copying may raise anything; such a call can't be replayed)
            self.skipped += 1
            return None
        finally:
            self.copying += time.process_time() - began
        return Call(function, arguments, self.test)

    def _function(self, code: types.CodeType, scope: dict[str, Value]) -> types.FunctionType | None:
        known = self.functions.get(code)
        if known is None or code.co_freevars:
            known = [item for item in gc.get_referrers(code) if type(item) is types.FunctionType]
            self.functions[code] = known
        fitting = [item for item in known if item.__code__ is code and _closes_over(item, scope)]
        return fitting[0] if len(fitting) == 1 or (fitting and not code.co_freevars) else None


def _bare(value: Value) -> Value:
    """The function inside a property, or what a class or static method wraps."""
    if isinstance(value, property):
        return value.fget
    return getattr(value, "__func__", value)


def _kept(scope: dict[str, Value], name: str, memo: dict[int, Value]) -> Value:
    """A copy of an argument. Of an iterator, the items that it still has; the frame goes on with them and the rest.

    What is written to a frame's locals in a profile hook reaches the frame. Raises TypeError for a long iterator.
    """
    value = scope[name]
    if not isinstance(value, _ITERATORS):
        return clone(value, memo)
    items = list(itertools.islice(value, AHEAD + 1))
    scope[name] = itertools.chain(items, value) if len(items) > AHEAD else _items(items)
    if len(items) > AHEAD:
        raise TypeError("endless")
    return Replayed([clone(item, memo) for item in items])


def _items(items: list[Value]) -> Value:
    """A generator of items, for code that asks whether it was given one."""
    yield from items


def _defaults(function: types.FunctionType) -> dict[str, Value]:
    """The defaults by parameter; none where further arguments by place follow, since these can't be passed alone."""
    code = function.__code__
    found = dict(function.__kwdefaults__ or {})
    values = function.__defaults__ or ()
    if not code.co_flags & 0x04:
        found.update(zip(code.co_varnames[code.co_argcount - len(values) : code.co_argcount], values))
    return found


def _closes_over(function: types.FunctionType, scope: dict[str, Value]) -> bool:
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or ()):
        try:
            if name in scope and cell.cell_contents is not scope[name]:
                return False
        except ValueError:
            continue
    return True


def distinct(calls: list[Call], limit: int) -> list[Call]:
    """Calls with different functions or arguments, in the order of recording, at most `limit` of each test."""
    seen: set[tuple[int, str]] = set()
    per_test: dict[str, int] = {}
    kept: list[Call] = []
    for call in calls:
        mark = (id(call.function), _mark(call))
        if not mark[1] or mark in seen or per_test.get(call.test, 0) >= limit:
            continue
        seen.add(mark)
        per_test[call.test] = per_test.get(call.test, 0) + 1
        kept.append(call)
    return kept


def _mark(call: Call) -> str:
    try:
        return text(canonical(clone(call.arguments, {})))
    except Exception:  # noqa: BLE001 (an object's own properties may raise anything; such a call is left out)
        return ""


class State:
    """Plain containers at module and class level, so that what tests leave behind can be undone."""

    def __init__(self, modules: list[types.ModuleType]) -> None:
        """Take copies of the containers of these modules and of their functions' defaults."""
        self.saved: list[tuple[Value, Value]] = []
        for module in modules:
            for value in list(module.__dict__.values()):
                self._save(value)
                if isinstance(value, type) and value.__module__ == module.__name__:
                    for item in list(value.__dict__.values()):
                        self._save(item)

    def _save(self, value: Value) -> None:
        if isinstance(value, types.FunctionType):
            for item in value.__defaults__ or ():
                self._save(item)
        elif type(value) in (list, dict, set):
            try:
                self.saved.append((value, copy.copy(value)))
            except Exception:  # noqa: BLE001 (items may have hashing and copying of their own)
                return

    def restore(self) -> None:
        """Put the containers back as they were, and empty every functools cache."""
        for value, before in self.saved:
            if isinstance(value, list):
                value[:] = before
            else:
                value.clear()
                value.update(before)
        for item in gc.get_objects():
            if type(item).__name__ == "_lru_cache_wrapper":
                item.cache_clear()
