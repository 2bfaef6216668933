"""Small variations of recorded arguments: deterministic, of the same type, inside the domain as far as it is known."""

# Values of the code under test can be anything at all, so what is inside them is unknown to the type checker:
# pyright: reportUnknownArgumentType=false, reportUnknownVariableType=false, reportUnknownMemberType=false
# pyright: reportUnknownLambdaType=false, reportUnknownParameterType=false

from __future__ import annotations

import itertools
import math
import random
import time
from typing import Any, Callable, Iterator

from .canonical import canonical, text
from .cloning import ATOMS, RECORD_ITEMS, Path, clone, rebuilt, replace, sequence, walk
from .domain import PLENTY, SOME, Call, Domain, Trait, safely

Value = Any  # values of the code under test: anything at all

OPERATIONS = 14  # variations kept of one place of one call
PLACES = 40  # places of one call that are varied
LOOSE_SHARE = 0.2
SHORT = 10  # items of a sequence that is also doubled and shuffled
TOLERATED = 3  # broken traits of an input that is still tried


class Variation:
    """An input made from a recorded call: which call, the arguments, how many traits of the domain it breaks.

    `edge`: it breaks one range or shape only, by an empty or zero argument.
    """

    def __init__(self, seed: int, arguments: Call, broken: tuple[int, int]) -> None:
        """Take what the class's docstring says."""
        self.seed = seed
        self.arguments = arguments
        self.broken = sum(broken)
        self.edge = broken[0] == 1 and any(_nothing(item) for item in arguments)


def variations(
    calls: list[Call], limit: int, seed: int, constants: list[Value], until: float = math.inf
) -> list[Variation]:
    """At most `limit` variations of the calls, those inside the domain first, no two alike, none a recorded call.

    None is begun after `until` (monotonic seconds): arguments can be large, and each variation copies and reads them.

    `constants` stand in the code itself: numbers around them, and letters among them, are tried too. The order is
    the order of interest: one change to one argument, arguments of two calls mixed, changes of changes, and last,
    a fifth of all at most where there are enough others, inputs outside the domain.
    """
    maker = Maker(calls, seed, constants, until)
    maker.take(maker.deepened(limit // 8), limit)
    maker.take(maker.singles(6 * limit), limit)
    maker.take(maker.mixed(limit // 4), limit)
    for _ in range(6):
        if len(maker.strict) < limit and not maker.late():
            maker.take(maker.evolved(limit), limit)
    strict, loose = maker.strict, sorted(maker.loose, key=lambda made: (not made.edge, made.broken))
    share = max(int(limit * LOOSE_SHARE), min(24, limit - len(strict)))
    kept = loose[:share]
    return strict[: limit - len(kept)] + kept


def _nothing(item: Value) -> bool:
    return type(item) in (int, float, str, list, tuple, dict, set) and not item


def fingerprint(call: Call) -> str:
    """Equal for equal arguments."""
    return text(canonical(call))


class Maker:
    """Makes variations of the calls of one function."""

    def __init__(self, calls: list[Call], seed: int, constants: list[Value], until: float) -> None:
        """Learn the domain; `seed` makes it repeatable, but for what the clock cuts off."""
        self.until = until
        self.calls = calls
        self.rng = random.Random(seed)  # noqa: S311 (repeatable on purpose)
        self.domain = Domain(calls, constants)
        self.seen = {fingerprint(call) for call in calls}
        self.strict: list[Variation] = []
        self.loose: list[Variation] = []

    def late(self) -> bool:
        """Whether the time is up."""
        return time.monotonic() > self.until

    def take(self, made: Iterator[Variation | None], limit: int) -> None:
        """Keep what is new, until there is enough or the time is up."""
        for item in made:
            if self.late():
                return
            if item is None or item.broken > TOLERATED:
                continue
            mark = fingerprint(item.arguments)
            if mark in self.seen:
                continue
            self.seen.add(mark)
            (self.loose if item.broken else self.strict).append(item)
            if len(self.strict) >= limit:
                return

    def singles(self, limit: int) -> Iterator[Variation | None]:
        """One change to one place of one call, all calls and places in turn."""
        rows = _interleaved([_singles(index, call, self.domain, self.rng) for index, call in enumerate(self.calls)])
        for seed, path, new in rows[:limit]:
            yield apply(self.calls[seed], seed, (path, new), self.domain)

    def deepened(self, limit: int) -> Iterator[Variation | None]:
        """Calls whose nested tables all lie one level deeper, below the same key: what meets, meets there, too."""
        for seed, call in list(enumerate(self.calls))[:limit]:
            nested = [i for i, item in enumerate(call) if isinstance(item, dict) and f"{i}[*]" in self.domain.recursive]
            keys = [key for i in nested for key in call[i] if type(key) is str]
            if len(nested) > 1 and keys:
                arguments = clone(call, {})
                for i in nested:
                    arguments[i] = {keys[0]: arguments[i]}
                yield Variation(seed, arguments, self.domain.broken(arguments))

    def mixed(self, limit: int) -> Iterator[Variation | None]:
        """An argument of one call in another one."""
        if len(self.calls) > 1 and min(len(call) for call in self.calls) > 1:
            for _ in range(limit):
                yield _mixed(self.calls, self.domain, self.rng)

    def evolved(self, limit: int) -> Iterator[Variation | None]:
        """One more change to a variation inside the domain, or to a recorded call."""
        pool = [(item.seed, item.arguments) for item in self.strict[:limit]] + list(enumerate(self.calls))
        for _ in range(limit):
            seed, call = pool[self.rng.randrange(len(pool))]
            places = walk(call)
            if not places:
                return
            path, role, value = places[self.rng.randrange(len(places))]
            trait = self.domain.traits.get(self.domain.role(role))
            options = mutated(value, trait, self.rng) if trait is not None else []
            if options:
                yield apply(call, seed, (path, options[self.rng.randrange(len(options))]), self.domain)


def _interleaved(rows: list[list[tuple[int, Path, Value]]]) -> list[tuple[int, Path, Value]]:
    out: list[tuple[int, Path, Value]] = []
    for i in range(max((len(row) for row in rows), default=0)):
        out.extend(row[i] for row in rows if i < len(row))
    return out


def _singles(index: int, call: Call, domain: Domain, rng: random.Random) -> list[tuple[int, Path, Value]]:
    places = [place for place in walk(call) if domain.traits[domain.role(place[1])].kinds]
    if len(places) > PLACES:
        head = places[: len(call)]
        places = head + rng.sample(places[len(call) :], PLACES - len(head))
    rows: list[list[tuple[int, Path, Value]]] = []
    for path, role, value in places:
        options = mutated(value, domain.traits[domain.role(role)], rng)
        rng.shuffle(options)
        rows.append([(index, path, new) for new in options[:OPERATIONS]])
    return _interleaved(rows)


def _mixed(calls: list[Call], domain: Domain, rng: random.Random) -> Variation | None:
    seed, other = rng.sample(range(len(calls)), 2)
    width = min(len(calls[seed]), len(calls[other]))
    if width <= 1:
        return None
    place = rng.randrange(width)
    donor = calls[other][place]
    if type(donor) not in ATOMS and not isinstance(donor, (list, dict, tuple, set)):
        return None
    return apply(calls[seed], seed, ((("item", place),), donor), domain)


def apply(call: Call, seed: int, change: tuple[Path, Value], domain: Domain) -> Variation | None:
    """A copy of a call with another value at one place, mended where a relation of the domain can be."""
    path, new = change
    try:
        arguments = replace(clone(call, {}), path, clone(new, {}))
        mend(arguments, path[0][1], domain, call)
        broken = domain.broken(arguments)
    except Exception:  # noqa: BLE001 (copying and setting run the objects' own code, which may raise anything)
        return None
    nested = any(kind == "attribute" for kind, _ in path[1:])
    return Variation(seed, arguments, (broken[0] + (1 if nested and _linked(domain) else 0), broken[1]))


def _linked(domain: Domain) -> bool:
    return any(
        count > 1 and kind not in ATOMS and kind.__module__ != "builtins" for kind, count in domain.classes.items()
    )


def mend(call: Call, changed: int, domain: Domain, before: Call) -> None:
    """Repair what one change broke: order, shape, and the other side of a relation with the changed argument."""
    trait = domain.traits.get(str(changed))
    value = call[changed]
    if trait is not None and type(value) is list and trait.witness >= SOME and not trait.keeps(value):
        call[changed] = value = _in_order(value, trait)
    for name, holds in domain.relations:
        words = name.split()
        places = [int(word) for word in words[1:]]
        if changed not in places or safely(holds, call):
            continue
        if words[0] in ("square", "rectangular") and type(value) is list:
            _reshape(value, words[0])
        elif len(places) > 1:
            _mend_pair(call, words[0], places, changed, before)


def _in_order(items: list[Value], trait: Trait) -> list[Value]:
    try:
        if trait.ordered["distinct"] and trait.witness >= PLENTY:
            items = [item for i, item in enumerate(items) if item not in items[:i]]
        if trait.spread and (trait.ordered["rising"] or trait.ordered["falling"]):
            return sorted(items, reverse=not trait.ordered["rising"])
    except TypeError:
        return items
    return items


def _reshape(rows: list[Value], shape: str) -> None:
    good = [row for row in rows if isinstance(row, list)]
    if not good or len(good) != len(rows):
        return
    width = len(rows) if shape == "square" else max(min(len(row) for row in rows), 1)
    filler = next((item for row in good for item in row), 0)
    for row in good:
        del row[width:]
        row.extend([filler] * (width - len(row)))


def _mend_pair(call: Call, name: str, places: list[int], changed: int, before: Call) -> None:
    first, second = places
    a, b = call[first], call[second]
    if name in ("length", "equal", "same-items"):
        target, source = (second, first) if changed == first else (first, second)
        if name == "length":
            call[target] = _sized_like(call[target], len(call[source]))
        elif type(call[source]) in ATOMS or type(call[source]) in (list, tuple):
            items = call[source]
            call[target] = clone(items, {}) if name == "equal" else _arranged(items, before[target])
    elif type(a) is int and hasattr(b, "__len__"):
        size = len(b)
        if name in ("below-length", "to-length") and size:
            call[first] = max(0, min(a, size - 1 if name == "below-length" else size))
        elif name in ("is-length", "is-last"):
            call[first] = size if name == "is-length" else size - 1
        elif name == "member" and isinstance(b, (list, tuple)) and size:
            call[first] = b[a % size]
    elif name in ("at-most", "below") and type(a) is type(b) and type(a) in (int, float):
        if changed == first:
            call[second] = max(b, a if name == "at-most" else a + 1)
        else:
            call[first] = min(a, b if name == "at-most" else b - 1)


def _arranged(items: Value, like: Value) -> Value:
    rank = {text(canonical(item)): i for i, item in enumerate(like)}
    return rebuilt(like, sorted(items, key=lambda item: rank.get(text(canonical(item)), len(rank))))


def _sized_like(value: Value, size: int) -> Value:
    if len(value) == 0:
        return value
    if type(value) is str:
        return (value + value[-1] * size)[:size]
    items = list(value)
    return rebuilt(value, (items + [clone(items[i % len(items)], {}) for i in range(size)])[:size])


def mutated(value: Value, trait: Trait, rng: random.Random) -> list[Value]:
    """Values of the same type near this one; inside of nested data, one level deeper and in another holder, too."""
    near = _alike(value, trait, rng)
    if trait.nested:
        near = [item for pair in itertools.zip_longest(_held(value, trait), near, fillvalue=value) for item in pair]
        near = [item for item in near if item is not value]
    return near


def _held(value: Value, trait: Trait) -> list[Value]:
    """The value inside each kind of holder that is seen beside it; a sequence as another kind of sequence."""
    holders = [kind for kind in (list, tuple) if kind in trait.kinds]
    held: list[Value] = [kind([clone(value, {})]) for kind in holders]
    if dict in trait.kinds:
        names = [name for name in trait.keys if not isinstance(value, dict) or name not in value]
        held += [{name: clone(value, {})} for name in names[:2]]
    if type(value) in holders:
        held += [kind(clone(value, {})) for kind in holders if kind is not type(value)]
        held += [kind([*clone(value, {}), clone(value, {})]) for kind in holders]
    return held


def _alike(value: Value, trait: Trait, rng: random.Random) -> list[Value]:
    kind = type(value)
    if kind in _SCALARS:
        return _SCALARS[kind](value, trait, rng)
    if sequence(value) and not (isinstance(value, tuple) and _record(value, trait)):
        return [rebuilt(value, items) for items in _lists(list(value), rng)]
    if kind in (set, frozenset):
        return [kind(items) for items in _lists(sorted(value, key=lambda item: text(canonical(item))), rng)]
    return [None] if type(None) in trait.kinds else []


def _record(value: Value, trait: Trait) -> bool:
    return hasattr(value, "_fields") or (
        not trait.nested and len(value) <= RECORD_ITEMS and trait.lengths.low >= trait.lengths.high
    )


def _numbers(value: int, trait: Trait, rng: random.Random) -> list[Value]:
    near: list[int] = [value + 1, value - 1, value + 2, value - 2, 0, 1, -1, 2, 3, 2 * value, value // 2, -value]
    low, high = (int(trait.numbers.low), int(trait.numbers.high)) if trait.numbers.count else (0, 9)
    near += [rng.randint(low - 1, high + 2) for _ in range(3)]
    near += [item for item in trait.pool if type(item) is int][:8]
    for constant in trait.constants:
        near += [constant, constant + 1, constant - 1]
        if constant > 1:
            near += [value - value % constant, value - value % constant + constant]
    near.append(value + rng.randint(2, 9))
    return [item for item in dict.fromkeys(near) if item != value]


def _texts(value: str, trait: Trait, rng: random.Random) -> list[Value]:
    letters = list(trait.letters) or list("ab")

    near = ["", value[:-1], value[1:], value + value[-1:], value + value, value[::-1], value[:1]]
    for _ in range(4):
        at = rng.randrange(len(value) + 1)
        letter = letters[rng.randrange(len(letters))]
        near.append(value[:at] + letter + value[at:])
        near.append(value[:at] + letter + value[at + 1 :])
        near.append(value[:at] + value[at + 1 :])
        if 0 < at < len(value):
            near.append(value[: at - 1] + value[at] + value[at - 1] + value[at + 1 :])
    near += [item for item in trait.pool if type(item) is str][:6]
    near.append("".join(letters[rng.randrange(len(letters))] for _ in range(max(2, len(value)))))
    return [item for item in dict.fromkeys(near) if item != value]


def _lists(items: list[Value], rng: random.Random) -> list[list[Value]]:
    size = len(items)
    near: list[list[Value]] = [[], items[:1], items[:-1], items[1:], items[::-1]]
    for _ in range(3 if size else 0):
        at, to = rng.randrange(size), rng.randrange(size)
        near.append(items[:at] + items[at + 1 :])
        near.append([*items[: at + 1], clone(items[at], {}), *items[at + 1 :]])
        swapped = list(items)
        swapped[at], swapped[to] = swapped[to], swapped[at]
        near.append(swapped)
        near.append([*items, _neighbour(items[at], rng)])
        near.append([*items[:to], _neighbour(items[at], rng), *items[to:]])
    if 0 < size <= SHORT:
        near.append(items + [clone(item, {}) for item in items])
        shuffled = list(items)
        rng.shuffle(shuffled)
        near.append(shuffled)
    return near


def _neighbour(item: Value, rng: random.Random) -> Value:
    kind = type(item)
    if kind is int:
        return item + rng.randint(-3, 3)
    if kind is float:
        return item + rng.randint(-3, 3)
    if kind is tuple and item and type(item[0]) is int:
        return (item[0] + rng.randint(-2, 2), *item[1:])
    return clone(item, {})


def _tables(value: dict[Value, Value], _trait: Trait, rng: random.Random) -> list[Value]:
    near: list[Value] = [{}]
    keys = list(value)
    for _ in range(2 if keys else 0):
        key, other = keys[rng.randrange(len(keys))], keys[rng.randrange(len(keys))]
        near.append({name: item for name, item in value.items() if name != key})
        fresh = key + rng.randint(1, 3) if type(key) is int else key + "x" if type(key) is str else other
        near.append({**value, fresh: clone(value[other], {})})
        near.append({**value, key: clone(value[other], {}), other: clone(value[key], {})})
    return near


def _flipped(value: bool, _: Trait, __: random.Random) -> list[Value]:  # noqa: FBT001 (the value itself)
    return [not value]


def _floats(value: float, _: Trait, __: random.Random) -> list[Value]:
    near = [value + 1.0, value - 1.0, value * 2, value / 2, 0.0, -value, value + 0.5, value * 1.01, 1.0]
    return [item for item in near if item != value]


def _filled(_: None, trait: Trait, __: random.Random) -> list[Value]:
    return trait.pool[:3]


_SCALARS: dict[type, Callable[[Any, Trait, random.Random], list[Value]]] = {
    bool: _flipped,
    int: _numbers,
    float: _floats,
    str: _texts,
    dict: _tables,
    type(None): _filled,
}
