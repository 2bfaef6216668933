"""Small variations of recorded arguments: deterministic, of the same type, inside the domain as far as it is known."""

from __future__ import annotations

import random
from typing import Any, Dict, List, Optional, Tuple

from .canonical import canonical, text
from .cloning import ATOMS, Path, clone, rebuilt, replace, sequence, walk
from .domain import Call, Domain, Trait, rectangular, safely, square

Value = Any  # values of the code under test: anything at all

OPERATIONS = 14  # variations kept of one place of one call
PLACES = 40  # places of one call that are varied
LOOSE_SHARE = 0.2


class Variation:
    """An input made from a recorded call: which call, the arguments, how many traits of the domain it breaks."""

    def __init__(self, seed: int, arguments: Call, broken: int) -> None:
        """Take what the class's docstring says."""
        self.seed = seed
        self.arguments = arguments
        self.broken = broken


def variations(calls: List[Call], limit: int, seed: int) -> List[Variation]:
    """At most `limit` variations of the calls, those inside the domain first, no two alike, none a recorded call.

    The order is the order of interest: one change to one argument, arguments of two calls mixed, two changes, and
    last, a fifth of all at most, inputs outside the domain.
    """
    rng = random.Random(seed)  # noqa: S311 (repeatable on purpose)
    domain = Domain(calls)
    seen = {fingerprint(call) for call in calls}
    strict: List[Variation] = []
    loose: List[Variation] = []
    for made in _proposed(calls, domain, rng, limit):
        mark = fingerprint(made.arguments)
        if mark in seen:
            continue
        seen.add(mark)
        if made.broken == 0:
            strict.append(made)
            if len(strict) >= limit:
                break
        elif made.broken <= 3:
            loose.append(made)
    loose.sort(key=lambda made: made.broken)
    share = max(int(limit * LOOSE_SHARE), min(24, limit - len(strict)))
    kept = loose[: min(share, max(0, limit - len(strict)) + int(limit * LOOSE_SHARE))]
    return strict[: limit - len(kept)] + kept


def fingerprint(call: Call) -> str:
    """Equal for equal arguments."""
    return text(canonical(call))


def _proposed(calls: List[Call], domain: Domain, rng: random.Random, limit: int) -> List[Variation]:
    single = _interleaved([_singles(index, call, domain, rng) for index, call in enumerate(calls)])
    made = [apply(calls, seed, [(path, new)], domain) for seed, path, new in single[: 6 * limit]]
    mixed = [_mixed(calls, domain, rng) for _ in range(limit // 4 if len(calls) > 1 else 0)]
    double: List[Optional[Variation]] = []
    for _ in range(limit if single else 0):
        seed, path, new = single[rng.randrange(len(single))]
        others = [step for step in single if step[0] == seed and step[1] != path]
        if others:
            _, path_too, new_too = others[rng.randrange(len(others))]
            double.append(apply(calls, seed, [(path, new), (path_too, new_too)], domain))
    return [item for item in [*made, *mixed, *double] if item is not None]


def _interleaved(rows: List[List[Tuple[int, Path, Value]]]) -> List[Tuple[int, Path, Value]]:
    out: List[Tuple[int, Path, Value]] = []
    for i in range(max((len(row) for row in rows), default=0)):
        out.extend(row[i] for row in rows if i < len(row))
    return out


def _singles(index: int, call: Call, domain: Domain, rng: random.Random) -> List[Tuple[int, Path, Value]]:
    places = [place for place in walk(call) if domain.traits[place[1]].kinds]
    if len(places) > PLACES:
        head = places[: len(call)]
        places = head + rng.sample(places[len(call) :], PLACES - len(head))
    rows: List[List[Tuple[int, Path, Value]]] = []
    for path, role, value in places:
        options = mutated(value, domain.traits[role], rng)
        rng.shuffle(options)
        rows.append([(index, path, new) for new in options[:OPERATIONS]])
    return _interleaved(rows)


def _mixed(calls: List[Call], domain: Domain, rng: random.Random) -> Optional[Variation]:
    seed, other = rng.sample(range(len(calls)), 2)
    width = min(len(calls[seed]), len(calls[other]))
    if width < 2:
        return None
    place = rng.randrange(width)
    donor = calls[other][place]
    if type(donor) not in ATOMS and not isinstance(donor, (list, dict, tuple, set)):
        return None
    return apply(calls, seed, [((("item", place),), clone(donor, {}))], domain)


def apply(calls: List[Call], seed: int, changes: List[Tuple[Path, Value]], domain: Domain) -> Optional[Variation]:
    """A copy of call `seed` with other values at some places, mended where a relation of the domain can be."""
    try:
        arguments = clone(calls[seed], {})
        for path, new in changes:
            arguments = replace(arguments, path, clone(new, {}))
            mend(arguments, path[0][1], domain, calls[seed])
        broken = domain.broken(arguments)
    except Exception:  # noqa: BLE001 (copying and setting run the objects' own code, which may raise anything)
        return None
    nested = any(kind == "attribute" for path, _ in changes for kind, _ in path[1:])
    return Variation(seed, arguments, broken + (1 if nested and _linked(domain) else 0))


def _linked(domain: Domain) -> bool:
    return any(
        count > 1 and kind not in ATOMS and kind.__module__ != "builtins" for kind, count in domain.classes.items()
    )


def mend(call: Call, changed: int, domain: Domain, before: Call) -> None:
    """Repair what one change broke: order, shape, and the other side of a relation with the changed argument."""
    trait = domain.traits.get(str(changed))
    value = call[changed]
    if trait is not None and type(value) is list and trait.witness >= 2.5 and not trait.keeps(value):
        call[changed] = value = _in_order(value, trait)
    for name, holds in domain.relations:
        words = name.split()
        places = [int(word) for word in words[1:]]
        if changed not in places or safely(holds, call):
            continue
        if words[0] in ("square", "rectangular") and type(value) is list:
            _reshape(value, words[0])
        elif len(places) == 2:
            _mend_pair(call, words[0], places, changed, before)


def _in_order(items: List[Value], trait: Trait) -> List[Value]:
    try:
        if trait.ordered["distinct"] and trait.witness >= 4.5:
            items = [item for i, item in enumerate(items) if item not in items[:i]]
        if trait.spread and (trait.ordered["rising"] or trait.ordered["falling"]):
            return sorted(items, reverse=not trait.ordered["rising"])
    except TypeError:
        return items
    return items


def _reshape(rows: List[Value], shape: str) -> None:
    good = [row for row in rows if isinstance(row, list)]
    if not good or len(good) != len(rows):
        return
    width = len(rows) if shape == "square" else max(min(len(row) for row in rows), 1)
    filler = next((item for row in good for item in row), 0)
    for row in good:
        del row[width:]
        row.extend([filler] * (width - len(row)))


def _mend_pair(call: Call, name: str, places: List[int], changed: int, before: Call) -> None:
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


def mutated(value: Value, trait: Trait, rng: random.Random) -> List[Value]:
    """Values of the same type near this one."""
    kind = type(value)
    if kind is bool:
        return [not value]
    if kind is int:
        return _numbers(value, trait, rng)
    if kind is float:
        near = [value + 1.0, value - 1.0, value * 2, value / 2, 0.0, -value, value + 0.5, value * 1.01, 1.0]
        return [item for item in near if item != value]
    if kind is str:
        return _texts(value, trait, rng)
    if sequence(value) and not (isinstance(value, tuple) and _record(value, trait)):
        return [rebuilt(value, items) for items in _lists(list(value), rng)]
    if kind is dict:
        return _tables(value, rng)
    if isinstance(value, (set, frozenset)):
        return [kind(items) for items in _lists(sorted(value, key=lambda item: text(canonical(item))), rng)]
    if value is None:
        return [item for item in trait.pool[:3] if item is not None]
    return [None] if type(None) in trait.kinds else []


def _record(value: Value, trait: Trait) -> bool:
    return hasattr(value, "_fields") or (len(value) <= 4 and len(set(trait.lengths)) <= 1)


def _numbers(value: int, trait: Trait, rng: random.Random) -> List[Value]:
    near: List[int] = [value + 1, value - 1, value + 2, value - 2, 0, 1, -1, 2, 3, 2 * value, value // 2, -value]
    low, high = int(min(trait.numbers, default=0)), int(max(trait.numbers, default=9))
    near += [rng.randint(low - 1, high + 2) for _ in range(3)]
    near += [item for item in trait.pool if type(item) is int][:8]
    near.append(value + rng.randint(2, 9))
    return [item for item in dict.fromkeys(near) if item != value]


def _texts(value: str, trait: Trait, rng: random.Random) -> List[Value]:
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


def _lists(items: List[Value], rng: random.Random) -> List[List[Value]]:
    size = len(items)
    near: List[List[Value]] = [[], items[:1], items[:-1], items[1:], items[::-1]]
    for _ in range(3 if size else 0):
        at, to = rng.randrange(size), rng.randrange(size)
        near.append(items[:at] + items[at + 1 :])
        near.append([*items[: at + 1], clone(items[at], {}), *items[at + 1 :]])
        swapped = list(items)
        swapped[at], swapped[to] = swapped[to], swapped[at]
        near.append(swapped)
        near.append([*items, _neighbour(items[at], rng)])
        near.append([*items[:to], _neighbour(items[at], rng), *items[to:]])
    if 0 < size <= 10:
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


def _tables(value: Dict[Value, Value], rng: random.Random) -> List[Value]:
    near: List[Value] = [{}]
    keys = list(value)
    for _ in range(2 if keys else 0):
        key, other = keys[rng.randrange(len(keys))], keys[rng.randrange(len(keys))]
        near.append({name: item for name, item in value.items() if name != key})
        fresh = key + rng.randint(1, 3) if type(key) is int else key + "x" if type(key) is str else other
        near.append({**value, fresh: clone(value[other], {})})
        near.append({**value, key: clone(value[other], {}), other: clone(value[key], {})})
    return near
