"""Histories: what tests do with one object from its constructor on, as one input, and small variations of it.

What an object keeps inside is nobody's business: two programs may number their entries from 0 or from 1 and still
behave alike. So an object of an edited class is compared by what its methods answer, call after call, and by its
public attributes; what is private shows where a further call brings it out.
"""

# Values of the code under test can be anything at all, so what is inside them is unknown to the type checker:
# pyright: reportUnknownArgumentType=false, reportUnknownVariableType=false, reportUnknownMemberType=false
# pyright: reportUnknownLambdaType=false, reportUnknownParameterType=false

from __future__ import annotations

import itertools
import random
import time
import types
from typing import Any, Callable, Iterator

from .canonical import canonical, state_of, text
from .cloning import OMITTED, clone
from .variation import Variation, variations

Value = Any  # values of the code under test: anything at all

LONGEST = 40  # calls of one object that are kept
MOST = 120  # objects of all tests that are followed
PROBES = 4  # methods without arguments that tests call: they bring out what is inside
AGAIN = 3  # times that a probe is called in a row, too: what it takes away, it may take away wrongly
EDITS = 3  # changes to the order of calls that one history gets, at most
PLAYED, FREELY = 2, (3, 7)  # of so many, one is made of any calls in any order: so many calls
ARGUED = 3  # of so many variations, one has other arguments, the others another order of calls
_PLAIN = (int, float, str, bytes, bool, complex, type(None), type, types.FunctionType, types.BuiltinFunctionType)
_HARMLESS = frozenset({"datetime", "decimal", "fractions", "pathlib", "re", "uuid"})


class Step:
    """One call of one object: the function, and its arguments behind the receiver."""

    def __init__(self, function: types.FunctionType, arguments: list[Value], *, edited: bool = False) -> None:
        """Take what the class's docstring says; `edited`: some candidate edits the function."""
        self.function = function
        self.arguments = arguments
        self.edited = edited


class History:
    """One object of a test: its class, and the calls from outside, of which the first is its constructor.

    `hot`: some call ran edited code. `whole`: nothing happened that could not be kept; else it ends before that.
    `told`: some call answered something.
    """

    def __init__(self, kind: type, steps: list[Step], test: str) -> None:
        """Take what the class's docstring says."""
        self.kind = kind
        self.steps = steps
        self.test = test
        self.hot = False
        self.whole = True
        self.told = False


class Follower:
    """Follows the objects of edited classes that one test after the other makes."""

    def __init__(self, edited: Callable[[type], bool]) -> None:
        """`edited` says whether a class has code that some candidate edits."""
        self.edited = edited
        self.kinds: dict[type, bool] = {}
        self.live: dict[int, tuple[History, Value]] = {}
        self.found: list[History] = []
        self.names: dict[type, set[str]] = {}

    def begin(self) -> None:
        """Another test starts: objects of the one before are of no interest any more."""
        for history, target in self.live.values():
            self.names.setdefault(history.kind, set()).update(state_of(target) or {})
        self.live.clear()

    def enter(self, frame: types.FrameType, keep: Callable[[], Step | None], test: str) -> History | None:
        """The history that a call from outside belongs to, the call added; None where it belongs to none."""
        code = frame.f_code
        if not code.co_argcount or code.co_flags & 0x20:
            return None
        target = frame.f_locals.get(code.co_varnames[0])
        history = self.live[id(target)][0] if id(target) in self.live else None
        if history is None:
            if code.co_name != "__init__" or not self._edited(type(target)) or len(self.found) >= MOST:
                return None
            history = History(type(target), [], test)
            self.live[id(target)] = (history, target)
            self.found.append(history)
        elif not history.whole:
            return None
        step = keep() if len(history.steps) < LONGEST else None
        if step is None or not all(self._plain(item) for item in step.arguments):
            history.whole = False
            return None
        history.steps.append(step)
        return history

    def kept(self) -> list[History]:
        """What can be played again, and runs edited code."""
        return [history for history in self.found if history.hot and history.steps]

    def shown(self) -> dict[type, set[str]]:
        """By class, the attributes that count: the public ones; all of them, where no call answers anything."""
        telling = {history.kind for history in self.found if history.told}
        return {
            kind: {name for name in names if kind not in telling or not name.startswith("_")}
            for kind, names in self.names.items()
        }

    def _edited(self, kind: type) -> bool:
        if kind not in self.kinds:
            self.kinds[kind] = self.edited(kind)
        return self.kinds[kind]

    def _plain(self, value: Value) -> bool:
        """Whether a copy of it is good for every candidate: it holds no object of an edited class."""
        if value is OMITTED or isinstance(value, _PLAIN):
            return True
        if type(value) in (list, tuple, set, frozenset):
            return all(self._plain(item) for item in value)
        if type(value) is dict:
            return all(self._plain(item) for pair in value.items() for item in pair)
        kind = type(value)
        if kind.__module__ in _HARMLESS:
            return True
        state = state_of(value)
        return state is not None and not self._edited(kind) and not any(self._edited(type(i)) for i in state.values())


def mark(steps: list[Step]) -> str:
    """Equal for equal calls; empty where the arguments can't be read."""
    try:
        return text([[step.function.__qualname__, canonical(clone(step.arguments, {}))] for step in steps])
    except Exception:  # noqa: BLE001 (an object's own properties may raise anything; such a history is left out)
        return ""


def distinct(found: list[History], limit: int) -> list[History]:
    """Histories with different calls, the first of each, at most `limit`; none that is but the start of another."""
    marks = [mark(history.steps) for history in found]
    kept: list[History] = []
    for place, history in enumerate(found):
        start = marks[place][:-1]
        whole = bool(start) and marks[place] not in marks[:place]
        if whole and not any(other.startswith(start + ",") for other in marks) and len(kept) < limit:
            kept.append(history)
    return kept


class Changed:
    """A variation of a history: which, its calls, and what its arguments break of the tests' own domain."""

    def __init__(self, seed: int, steps: list[Step], *, broken: int = 0, edge: bool = False) -> None:
        """Take what the class's docstring says."""
        self.seed = seed
        self.steps = steps
        self.broken = broken
        self.edge = edge


def variations_of(found: list[History], limit: int, seed: int, constants: list[Value], until: float) -> list[Changed]:
    """At most `limit` variations of histories of one class, no two alike, none a recorded one.

    None is begun after `until` (monotonic seconds). First a further look at each (a method without arguments that
    tests call); then other arguments, calls left out, repeated, exchanged or put in between, in turn.
    """
    rng = random.Random(seed)  # noqa: S311 (repeatable on purpose)
    seen = {mark(history.steps) for history in found}
    looks = probes(found)

    def others(calls: list[list[Value]], part: int) -> list[Variation]:
        return variations(calls, max(8, limit // part), seed, constants, until)

    rows = [_argued(found, looks, others), _reordered(found, looks, limit, rng)]
    kept: list[Changed] = []
    for item in _mixed(itertools.islice(_looked_at(found, looks), limit // ARGUED), rows):
        if len(kept) >= limit or time.monotonic() > until:
            break
        known = mark(item.steps)
        if known and known not in seen and len(item.steps) <= 2 * LONGEST:
            seen.add(known)
            kept.append(item)
    return kept


def probes(found: list[History]) -> list[Step]:
    """Calls without arguments that tests make of these objects, the most frequent first."""
    counts: dict[types.FunctionType, int] = {}
    for history in found:
        for step in history.steps[1:]:
            if all(item is OMITTED for item in step.arguments) and not _paired(step):
                counts[step.function] = counts.get(step.function, 0) + 1
    likely = sorted(counts, key=lambda function: -counts[function])[:PROBES]
    return [
        next(s for h in found for s in h.steps[1:] if s.function is f and all(i is OMITTED for i in s.arguments))
        for f in likely
    ]


def _paired(step: Step) -> bool:
    """Whether the call has its place in a protocol of two, so that alone it means nothing."""
    return step.function.__name__ in ("__enter__", "__exit__", "__aenter__", "__aexit__", "__init__")


def _looked_at(found: list[History], looks: list[Step]) -> Iterator[Changed]:
    for times in (1, AGAIN):
        for place, history in enumerate(found):
            for look in looks:
                yield Changed(place, [*history.steps, *[look] * times])


def _argued(
    found: list[History], looks: list[Step], others: Callable[[list[list[Value]], int], list[Variation]]
) -> Iterator[Changed]:
    """One call with other arguments, and a look at the end."""
    groups: dict[types.FunctionType, list[tuple[int, int]]] = {}
    for place, history in enumerate(found):
        for number, step in enumerate(history.steps):
            if step.arguments and any(item is not OMITTED for item in step.arguments):
                groups.setdefault(step.function, []).append((place, number))
    made: list[Iterator[Changed]] = []
    for places in groups.values():
        calls = [found[place].steps[number].arguments for place, number in places]
        made.append(_with_others(found, places, others(calls, len(groups))))
    for count, item in enumerate(_in_turn(made)):
        look = [looks[count % len(looks)]] if looks else []
        item.steps = [*item.steps, *look]
        yield item


def _with_others(found: list[History], places: list[tuple[int, int]], varied: list[Variation]) -> Iterator[Changed]:
    for item in varied:
        place, number = places[item.seed]
        steps = list(found[place].steps)
        steps[number] = Step(steps[number].function, item.arguments, edited=steps[number].edited)
        yield Changed(place, steps, broken=item.broken, edge=item.edge)


def _reordered(found: list[History], looks: list[Step], limit: int, rng: random.Random) -> Iterator[Changed]:
    """Calls left out, repeated, exchanged, or taken from another object, and a look at the end."""
    pool = [step for history in found for step in history.steps[1:] if not _paired(step)]
    if not pool:
        return
    for count in range(4 * limit):
        place = count % len(found)
        steps = list(found[place].steps)
        if count % PLAYED == 0:
            steps = [steps[0], *(pool[rng.randrange(len(pool))] for _ in range(rng.randint(*FREELY)))]
        else:
            for _ in range(rng.randint(1, EDITS)):
                _edit(steps, pool, rng)
        look = [looks[rng.randrange(len(looks))]] if looks else []
        yield Changed(place, [*steps, *look])


def _edit(steps: list[Step], pool: list[Step], rng: random.Random) -> None:
    """Change the order of calls in place, the constructor's excepted."""
    free = [number for number in range(1, len(steps)) if not _paired(steps[number])]
    kind = rng.randrange(5)
    if kind == 0 and len(free) > 1:
        del steps[free[rng.randrange(len(free))]]
    elif kind == 1 and free:
        number = free[rng.randrange(len(free))]
        steps.insert(number, steps[number])
    elif kind == 2 and len(free) > 1:  # noqa: PLR2004 (which of five)
        at = rng.randrange(len(free) - 1)
        steps[free[at]], steps[free[at + 1]] = steps[free[at + 1]], steps[free[at]]
    else:
        steps.insert(rng.randint(1, len(steps)), pool[rng.randrange(len(pool))])


def _mixed(first: Iterator[Changed], rows: list[Iterator[Changed]]) -> Iterator[Changed]:
    yield from first
    argued, reordered = rows
    open_rows = {0: argued, 1: reordered}
    count = 0
    while open_rows:
        number = 0 if count % ARGUED == 0 else 1
        number = number if number in open_rows else next(iter(open_rows))
        item = next(open_rows[number], None)
        if item is None:
            del open_rows[number]
        else:
            yield item
        count += 1


def _in_turn(rows: list[Iterator[Changed]]) -> Iterator[Changed]:
    while rows:
        for row in list(rows):
            item = next(row, None)
            if item is None:
                rows.remove(row)
            else:
                yield item
