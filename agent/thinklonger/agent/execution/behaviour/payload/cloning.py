"""Copies of arguments, fast for plain values, and places inside them: walk, replace."""

# Values of the code under test can be anything at all, so what is inside them is unknown to the type checker:
# pyright: reportUnknownArgumentType=false, reportUnknownVariableType=false, reportUnknownMemberType=false
# pyright: reportUnknownLambdaType=false, reportUnknownParameterType=false

from __future__ import annotations

import copy
import types
from collections import deque
from typing import Any, Tuple

from .canonical import TEST_FILES, closed_over, state_of

Value = Any  # values of the code under test: anything at all
Step = Tuple[str, Any]
Path = Tuple[Step, ...]

ATOMS = frozenset({int, float, str, bool, type(None), bytes, complex})
CHILDREN = 24
RECORD_ITEMS, RECORD_KEYS = 4, 12  # tuples and tables up to so many may be records: each place has a role of its own


class Omitted:
    """Stands for an argument that the caller left out: the function's own default counts, whatever it is now."""

    def __copy__(self) -> Omitted:
        """There is only one."""
        return self

    def __deepcopy__(self, memo: dict[int, Value]) -> Omitted:
        """There is only one."""
        return self


OMITTED = Omitted()


class Replayed:
    """Stands for an iterator: gives the items that the recorded one had ahead of it."""

    def __init__(self, items: list[Value]) -> None:
        """Keep the items."""
        self.items = items
        self.at = 0

    def __iter__(self) -> Replayed:
        """Itself, as iterators do."""
        return self

    def __next__(self) -> Value:
        """The next item."""
        if self.at >= len(self.items):
            raise StopIteration
        self.at += 1
        return self.items[self.at - 1]


def clone(value: Value, memo: dict[int, Value]) -> Value:
    """A deep copy that keeps aliasing; raises whatever an object's own copying raises."""
    kind = type(value)
    if kind in ATOMS:
        return value
    known = memo.get(id(value))
    if known is not None:
        return known
    if kind is list:
        made: list[Value] = []
        memo[id(value)] = made
        made.extend([item if type(item) in ATOMS else clone(item, memo) for item in value])
        return made
    if kind is dict:
        table: dict[Value, Value] = {}
        memo[id(value)] = table
        for key, item in value.items():
            table[key if type(key) in ATOMS else clone(key, memo)] = clone(item, memo)
        return table
    if kind is types.FunctionType and value.__code__.co_filename in TEST_FILES and value.__closure__:
        return _function(value, memo)
    return copy.deepcopy(value, memo)


def _function(value: types.FunctionType, memo: dict[int, Value]) -> types.FunctionType:
    """A test's function with copies of what it closes over: its calls count anew each time, and show."""
    cells = tuple(types.CellType() for _ in value.__closure__ or ())
    made = types.FunctionType(value.__code__, value.__globals__, value.__name__, value.__defaults__, cells)
    made.__kwdefaults__ = value.__kwdefaults__
    made.__qualname__ = value.__qualname__
    memo[id(value)] = made
    for cell, old in zip(cells, value.__closure__ or ()):
        try:
            cell.cell_contents = clone(old.cell_contents, memo)
        except ValueError:  # not set yet
            continue
    return made


def sequence(value: Value) -> bool:
    """Whether it is a list-like value that can be rebuilt from items."""
    return isinstance(value, (list, tuple, deque))


def rebuilt(like: Value, items: list[Value]) -> Value:
    """A sequence of the same type with other items."""
    kind = type(like)
    if isinstance(like, tuple) and hasattr(like, "_fields"):
        return kind(*items)
    if isinstance(like, deque):
        return deque(items, like.maxlen)
    return kind(items)


def children(value: Value, generic: str) -> list[tuple[Step, str, Value]]:
    """The values right inside one: how to get there, the name of all such places, the value.

    Places that play the same role share a name: items of a list, values of a dict, one attribute of one class.
    """
    if isinstance(value, tuple):
        fixed = len(value) <= RECORD_ITEMS
        return [(("item", i), f"{generic}.{i if fixed else '*'}", item) for i, item in enumerate(value[:CHILDREN])]
    if sequence(value):
        return [(("item", i), f"{generic}.*", item) for i, item in enumerate(list(value)[:CHILDREN])]
    if isinstance(value, dict):
        mixed = len({type(item) for item in value.values()}) > 1
        record = mixed and len(value) <= RECORD_KEYS and all(type(key) is str and key.isidentifier() for key in value)
        pairs = list(value.items())[:CHILDREN]
        return [(("key", key), f"{generic}[{key if record else '*'}]", item) for key, item in pairs]
    if isinstance(value, (type, set, frozenset, Omitted)) or type(value) in ATOMS or callable(value):
        return _cells(value)
    return _parts(value)


def _cells(value: Value) -> list[tuple[Step, str, Value]]:
    """What a test's function closes over; nothing for other values."""
    if type(value) is not types.FunctionType or value.__code__.co_filename not in TEST_FILES:
        return []
    return [(("cell", name), f"{value.__qualname__}:{name}", item) for name, item in closed_over(value)]


def _parts(value: Value) -> list[tuple[Step, str, Value]]:
    """The attributes of an object."""
    state = {"items": value.items} if isinstance(value, Replayed) else state_of(value)
    if not state or type(value).__module__ in ("builtins", "re", "datetime", "decimal", "fractions", "pathlib"):
        return []
    return [(("attribute", name), f"{type(value).__qualname__}:{name}", state[name]) for name in sorted(state)]


def walk(arguments: list[Value], limit: int = 240) -> list[tuple[Path, str, Value]]:
    """Every place inside the arguments, outermost first, each object once: path, name of the role, value."""
    queue: deque[tuple[Path, str, Value]] = deque(((("item", i),), str(i), value) for i, value in enumerate(arguments))
    found: list[tuple[Path, str, Value]] = []
    seen: dict[int, bool] = {}
    while queue and len(found) < limit:
        path, generic, value = queue.popleft()
        if type(value) not in ATOMS:
            if id(value) in seen:
                continue
            seen[id(value)] = True
        found.append((path, generic, value))
        for step, name, item in children(value, generic):
            queue.append(((*path, step), name, item))
    return found


def fetch(value: Value, path: Path) -> Value:
    """The value at a path."""
    for kind, key in path:
        if kind == "cell":
            value = dict(closed_over(value))[key]
        else:
            value = getattr(value, key) if kind == "attribute" else value[key]
    return value


def replace(value: Value, path: Path, new: Value) -> Value:
    """`value` with `new` at `path`; mutable holders are changed in place, tuples rebuilt."""
    if not path:
        return new
    (kind, key), rest = path[0], path[1:]
    if kind == "attribute":
        inner = replace(getattr(value, key), rest, new)
        object.__setattr__(value, key, inner)
        return value
    if kind == "cell":
        cell = value.__closure__[value.__code__.co_freevars.index(key)]
        cell.cell_contents = replace(cell.cell_contents, rest, new)
        return value
    inner = replace(value[key], rest, new)
    if isinstance(value, tuple):
        return rebuilt(value, [*value[:key], inner, *value[key + 1 :]])
    value[key] = inner
    return value
