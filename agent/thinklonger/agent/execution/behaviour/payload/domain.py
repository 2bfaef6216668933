"""What all recorded calls of one function have in common: ranges, shapes and relations of their arguments.

In the manner of Daikon (Ernst et al., 2001): every relation of a fixed list that no recorded call breaks, and that
enough of them witness, is taken for a precondition. An input that breaks one may be outside what the function is
for, and there two correct programs may well differ.
"""

# Values of the code under test can be anything at all, so what is inside them is unknown to the type checker:
# pyright: reportUnknownArgumentType=false, reportUnknownVariableType=false, reportUnknownMemberType=false
# pyright: reportUnknownLambdaType=false, reportUnknownParameterType=false

from __future__ import annotations

import math
import re
from collections import deque
from typing import Any, Callable, List, Tuple

from .canonical import state_of
from .cloning import ATOMS, RECORD_ITEMS, sequence, walk

Value = Any  # values of the code under test: anything at all
Call = List[Value]
Check = Callable[[Call], bool]
Size = Tuple[str, str, str]  # a class, an attribute that holds items, one that holds a number

POOL = 64  # values kept of one role
CONTAINERS = frozenset({list, tuple, dict})
_INNER = re.compile(r"\.(?:\d+|\*)|\[[^\]]*\]")  # one step into a sequence or a table
OFTEN = 3  # so many times is no accident
SOME, PLENTY = 2.5, 4.5  # bits: log2 of the orders that the sequences seen could have had (2.5: three items)


class Span:
    """How many numbers were seen, the lowest and the highest of them."""

    def __init__(self) -> None:
        """Start with nothing seen."""
        self.count = 0
        self.low = math.inf
        self.high = -math.inf

    def see(self, number: float) -> None:
        """Take in one number."""
        self.count += 1
        self.low = min(self.low, number)
        self.high = max(self.high, number)


class Trait:
    """All values seen in one role: their types, ranges, lengths, alphabets and order."""

    def __init__(self) -> None:
        """Start with nothing seen."""
        self.kinds: dict[type, int] = {}
        self.pool: list[Value] = []
        self.numbers = Span()
        self.constants: list[int] = []
        self.lengths = Span()
        self.letters: dict[str, None] = {}
        self.known: dict[str, bool] = {}
        self.ordered: dict[str, bool] = {"rising": True, "strict": True, "falling": True, "distinct": True}
        self.witness = 0.0
        self.spread = False
        self.nested = False
        self.keys: dict[str, None] = {}

    def see(self, value: Value) -> None:
        """Take in one value."""
        kind = type(value)
        self.kinds[kind] = self.kinds.get(kind, 0) + 1
        if kind in (int, float, str) and len(self.pool) < POOL and value not in self.pool:
            self.pool.append(value)
        if kind in (int, float) and not (kind is float and not math.isfinite(value)):
            self.numbers.see(value)
        if kind is str:
            self.lengths.see(len(value))
            for letter in value[:400]:
                self.letters[letter] = None
        elif sequence(value):
            self.lengths.see(len(value))
            self._order(list(value))
        elif isinstance(value, (dict, set, frozenset)):
            self.lengths.see(len(value))
            if isinstance(value, dict):
                self.keys.update((key, None) for key in list(value)[:POOL] if type(key) is str)

    def _order(self, items: list[Value]) -> None:
        try:
            pairs = [(items[i], items[i + 1]) for i in range(len(items) - 1)]
            held = {
                "rising": all(a <= b for a, b in pairs),
                "strict": all(a < b for a, b in pairs),
                "falling": all(a >= b for a, b in pairs),
            }
        except TypeError:
            held = {"rising": False, "strict": False, "falling": False}
        held["distinct"] = distinct(items)
        for name in sorted(held):
            self.ordered[name] = self.ordered[name] and held[name]
        if any(items[i] != items[0] for i in range(1, len(items))):
            self.spread = True
        self.witness += math.lgamma(len(items) + 1) / math.log(2)

    def keeps(self, value: Value) -> bool:
        """Whether the value has the type, sign, length and order of all that were seen."""
        kind = type(value)
        if kind not in self.kinds:
            return False
        if kind in (int, float):
            return self._keeps_number(value)
        if kind is str:
            return self._keeps_text(value)
        if sequence(value):
            return self._keeps_length(len(value)) and self._keeps_order(list(value))
        if isinstance(value, (dict, set, frozenset)):
            return self._keeps_length(len(value))
        return True

    def _keeps_number(self, value: float) -> bool:
        if not self.numbers.count or not math.isfinite(value):
            return False
        low, high = self.numbers.low, self.numbers.high
        if low > 0 and value <= 0:
            return False
        if low >= 0 and value < 0:
            return False
        if type(value) is float and low >= 0.0 and high <= 1.0 and value > 1.0:
            return False
        reach = max(abs(low), abs(high))
        return abs(value) <= max(12, 2 * reach + 2)

    def _keeps_text(self, value: str) -> bool:
        if not self._keeps_length(len(value)):
            return False
        return all(self._keeps_letter(letter) for letter in value)

    def _keeps_letter(self, letter: str) -> bool:
        """Whether a character of its kind was seen; asked only when all has been seen."""
        known = self.known.get(letter)
        if known is None:
            known = self.known[letter] = any(similar(letter, seen) for seen in self.letters)
        return known

    def _keeps_length(self, length: int) -> bool:
        if not self.lengths.count:
            return True
        low, high = self.lengths.low, self.lengths.high
        if low == high and (self.lengths.count >= OFTEN or high == 1) and high <= RECORD_ITEMS:
            return length == low
        if low > 0 and length == 0:
            return False
        return length <= max(8, 2 * high + 2)

    def _keeps_order(self, items: list[Value]) -> bool:
        if self.witness < SOME:
            return True
        try:
            pairs = [(items[i], items[i + 1]) for i in range(len(items) - 1)]
            if self.ordered["rising"] and self.spread and not all(a <= b for a, b in pairs):
                return False
            if self.ordered["falling"] and self.spread and not all(a >= b for a, b in pairs):
                return False
        except TypeError:
            return False
        return not (self.ordered["distinct"] and self.witness >= PLENTY) or distinct(items)


def similar(letter: str, seen: str) -> bool:
    """Whether two characters are of one kind: equal, or letters or digits of the same case."""
    if letter == seen:
        return True
    if letter.isdigit() or seen.isdigit():
        return letter.isdigit() and seen.isdigit()
    if letter.isalpha() and seen.isalpha():
        return letter.isupper() == seen.isupper()
    return False


def distinct(items: list[Value]) -> bool:
    """Whether no two items are equal."""
    try:
        return len(set(items)) == len(items)
    except TypeError:
        return all(items[i] != items[k] for i in range(len(items)) for k in range(i))


class Domain:
    """The traits of every role and the relations between arguments that all recorded calls keep."""

    def __init__(self, calls: list[Call], constants: list[Value]) -> None:
        """Learn from recorded calls; they are only read. `constants` stand in the code that they call."""
        self.traits: dict[str, Trait] = {}
        self.classes: dict[type, int] = {}
        self.recursive = recursive_roles(calls)
        for call in calls:
            per_call: dict[type, int] = {}
            for _, role, value in walk(call):
                self.traits.setdefault(self.role(role), Trait()).see(value)
                per_call[type(value)] = per_call.get(type(value), 0) + 1
            for kind, count in per_call.items():
                self.classes[kind] = max(self.classes.get(kind, 0), count)
        for role, trait in self.traits.items():
            trait.nested = role in self.recursive
            trait.constants = [item for item in constants if type(item) is int]
            if str in trait.kinds and not trait.lengths.low == trait.lengths.high == 1:
                trait.letters.update((letter, None) for item in constants if type(item) is str for letter in item)
        self.relations = learned(calls)
        self.limits = limits(calls)

    def role(self, name: str) -> str:
        """The role of a place: all that is inside of nested data plays one role, however deep it lies."""
        for outer in self.recursive:
            while name.startswith((f"{outer}.", f"{outer}[")):
                name = outer + _INNER.sub("", name[len(outer) :], count=1)
        return name

    def broken(self, call: Call) -> tuple[int, int]:
        """How many ranges and shapes, and how many relations, an input breaks; none inside the domain."""
        count = 0
        for _, role, value in walk(call):
            trait = self.traits.get(self.role(role))
            if trait is None:
                count += 2
            elif not trait.keeps(value):
                count += 1
        beyond = sum(1 for size, bound in _sizes([call]).items() if size in self.limits and not all(bound))
        return count, beyond + sum(1 for _, holds in self.relations if not safely(holds, call))


def recursive_roles(calls: list[Call]) -> list[str]:
    """The roles of items, some of which are plain values and some hold such items again: lists of lists, tables."""
    kinds: dict[str, set[type]] = {}
    for call in calls:
        for _, role, value in walk(call):
            kinds.setdefault(role, set()).add(type(value))
    found: list[str] = []
    for role in sorted(kinds, key=len):
        inside = any(role.startswith((f"{outer}.", f"{outer}[")) for outer in found)
        if not inside and role.endswith(("*", "]")) and kinds[role] & ATOMS and kinds[role] & CONTAINERS:
            found.append(role)
    return found


def limits(calls: list[Call]) -> frozenset[Size]:
    """Which attribute of which class is never longer than the number in another one says: a buffer and its size."""
    return frozenset(size for size, held in _sizes(calls).items() if len(held) >= OFTEN and all(held))


def _sizes(calls: list[Call]) -> dict[Size, list[bool]]:
    found: dict[Size, list[bool]] = {}
    for call in calls:
        for _, _, value in walk(call):
            state = state_of(value) if type(value).__module__ != "builtins" else None
            numbers = [name for name, item in (state or {}).items() if whole(item)]
            holders = [
                name for name, item in (state or {}).items() if isinstance(item, (list, tuple, dict, set, deque))
            ]
            for number in numbers:
                for holder in holders:
                    held = len((state or {})[holder]) <= (state or {})[number]
                    found.setdefault((type(value).__qualname__, holder, number), []).append(held)
    return found


def safely(check: Check, call: Call) -> bool:
    """Whether a relation holds; one that can't be asked does not."""
    try:
        return check(call)
    except (TypeError, IndexError, KeyError, AttributeError, ValueError):
        return False


def learned(calls: list[Call]) -> list[tuple[str, Check]]:
    """The relations that hold in every recorded call and were put to a test by at least one."""
    if not calls:
        return []
    width = min(len(call) for call in calls)
    found: list[tuple[str, Check]] = []
    for i in range(width):
        found.extend((f"{name} {i}", bound(check, i)) for name, check in UNARY)
        for k in range(width):
            if i != k:
                found.extend((f"{name} {i} {k}", bound(check, i, k)) for name, check in BINARY)
    return [(name, check) for name, check in found if all(safely(check, call) for call in calls)]


def bound(check: Callable[..., bool], *places: int) -> Check:
    """A relation between values as one between the arguments at these places."""
    return lambda call: check(*[call[place] for place in places])


def whole(value: Value) -> bool:
    """Whether it is an int and no bool."""
    return type(value) is int


def sized(value: Value) -> bool:
    """Whether it has items: a sequence or a string."""
    return sequence(value) or type(value) is str


def grid(rows: Value) -> bool:
    """Whether it is a non-empty list of sequences."""
    return sequence(rows) and len(rows) > 0 and all(sequence(row) for row in rows)


def rectangular(rows: Value) -> bool:
    """Rows of one length, at least two of them."""
    return grid(rows) and len(rows) > 1 and len({len(row) for row in rows}) == 1


def square(rows: Value) -> bool:
    """As many columns as rows."""
    return grid(rows) and all(len(row) == len(rows) for row in rows)


def indices(items: Value) -> bool:
    """Every item points into the sequence itself."""
    return sequence(items) and len(items) > 1 and all(whole(item) and 0 <= item < len(items) for item in items)


def arrangement(items: Value) -> bool:
    """A permutation of 0..n-1 or 1..n."""
    if not sequence(items) or len(items) < OFTEN or not all(whole(item) for item in items):
        return False
    return sorted(items) in (list(range(len(items))), list(range(1, len(items) + 1)))


def closed(table: Value) -> bool:
    """Every value's items are keys of the same table (a graph's neighbours are its nodes)."""
    if not isinstance(table, dict) or not table:
        return False
    return all(
        isinstance(row, (list, tuple, set, dict)) and all(item in table for item in row) for row in table.values()
    )


def closed_list(rows: Value) -> bool:
    """Every row's items point into the list of rows."""
    if not grid(rows):
        return False
    return all(whole(item) and 0 <= item < len(rows) for row in rows for item in row)


def balanced_rows(rows: Value) -> bool:
    """No row is empty."""
    return grid(rows) and all(len(row) > 0 for row in rows)


def alike(left: Value, right: Value) -> bool:
    """Equal values."""
    return type(left) is type(right) and bool(left == right)


UNARY: list[tuple[str, Callable[..., bool]]] = [
    ("rectangular", rectangular),
    ("square", square),
    ("indices", indices),
    ("arrangement", arrangement),
    ("closed", closed),
    ("closed-list", closed_list),
    ("rows", balanced_rows),
]

BINARY: list[tuple[str, Callable[..., bool]]] = [
    ("length", lambda a, b: sized(a) and sized(b) and len(a) == len(b) > 0),
    ("below-length", lambda a, b: whole(a) and sized(b) and 0 <= a < len(b)),
    ("to-length", lambda a, b: whole(a) and sized(b) and 0 <= a <= len(b)),
    ("is-length", lambda a, b: whole(a) and sized(b) and a == len(b)),
    ("is-last", lambda a, b: whole(a) and sized(b) and a == len(b) - 1),
    ("member", lambda a, b: not sized(a) and (sequence(b) or isinstance(b, (dict, set))) and a in b),
    ("key", lambda a, b: type(a) is str and isinstance(b, (dict, list, tuple, set)) and a in b),
    ("inside", lambda a, b: type(a) is str and type(b) is str and a in b),
    ("at-most", lambda a, b: type(a) is type(b) and type(a) in (int, float) and a <= b),
    ("below", lambda a, b: type(a) is type(b) and type(a) in (int, float) and a < b),
    ("equal", alike),
    ("same-items", lambda a, b: sequence(a) and sequence(b) and len(a) > 1 and sorted(a) == sorted(b)),
    ("subset", lambda a, b: sequence(a) and sequence(b) and len(a) > 1 and all(item in b for item in a)),
    ("floor", lambda a, b: whole(a) and sequence(b) and len(b) > 1 and all(whole(i) and i >= a for i in b)),
    ("ceiling", lambda a, b: whole(a) and sequence(b) and len(b) > 1 and all(whole(i) and i <= a for i in b)),
]
