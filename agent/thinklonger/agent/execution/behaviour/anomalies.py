"""What speaks against a behaviour, measured on varied inputs inside the domain."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from thinklonger.agent.execution.behaviour.invariants import broken, items_of, kind_of, number_of, suggested
from thinklonger.agent.execution.behaviour.nouns import Behaviour, CallOutcome, Comparison, Origin, OutcomeKind, Plain

PROMISES = frozenset({"permutation", "same-set", "in-order"})
NEAR, REACH = 20, 0.03  # of at least so many inputs near failing calls, a patch must change this part
FURTHER, SELDOM = 0.05, 3  # what one repairs beyond another: this part near failing tests, so many times that elsewhere
WITNESSES = 3  # calls that must show a relation before it is a promise
_ENDLESS = frozenset({OutcomeKind.HUNG, OutcomeKind.DIED, OutcomeKind.SKIPPED})


@dataclass(frozen=True, slots=True)
class Anomalies:
    """How one behaviour looks beside the base and the tests: parts of the varied inputs, in [0, 1].

    `crashes`: raises, where the base does something else, a type that no test shows. `hangs`: does not end, where
    the base does. `strangers`: returns a type that no test shows. `changed_red`, `changed_green`: differs from the
    base near a failing, near a passing test's input (a repair changes little that passing tests see).
    `changed_passing`: differs from the base on the very calls that passing tests make, as a part of these.
    `disturbed`: differs from the base near a test's call, red or green, on which it does what the base does.
    `invariants`: how many relations it breaks that the tests suggest and another behaviour keeps everywhere.
    `narrow`: it changes what failing tests call, and next to nothing near that: it may be made for their inputs alone.
    `promises`: names of broken relations that are too particular to hold in several tests by chance, and broken on
    some input where the base does something else: what the program as it is does not keep, it does not promise.
    """

    crashes: float = 0.0
    hangs: float = 0.0
    strangers: float = 0.0
    changed_red: float = 0.0
    changed_green: float = 0.0
    changed_passing: float = 0.0
    disturbed: float = 0.0
    narrow: bool = False
    invariants: int = 0
    promises: tuple[str, ...] = ()


def anomalies_of(comparison: Comparison, names: Sequence[str]) -> dict[str, Anomalies]:
    """The anomalies of the behaviours of these candidates, one of each group, measured beside each other."""
    known = [name for name in names if name in comparison.behaviours]
    if not known:
        return {}
    invariants = suggested(comparison, comparison.behaviours[known[0]])
    counts = {
        name: [broken(item, comparison.inputs, comparison.behaviours[name]) for item in invariants] for name in known
    }
    kept = [place for place in range(len(invariants)) if any(counts[name][place] == 0 for name in known)]
    return {
        name: replace(
            _measured(comparison, comparison.behaviours[name]),
            invariants=sum(counts[name][place] > 0 for place in kept),
            promises=tuple(
                item.name
                for item, count in zip(invariants, counts[name], strict=True)
                if count
                and item.witnesses >= WITNESSES
                and item.name.partition(" ")[0] in PROMISES
                and broken(item, comparison.inputs, comparison.behaviours[name], beside=comparison.base)
            ),
        )
        for name in known
    }


def extends(comparison: Comparison, wide: str, narrow: str) -> bool:
    """Whether one candidate repairs what another one repairs in the same way, and more of the same near failing tests.

    More: a part of the inputs near failing calls on which the other one does what the base does, and hardly any near
    passing ones. A patch made for the failing tests' inputs is extended by an honest one; an honest one seldom by a
    random edit, which changes what works as easily as what does not.
    """
    base, ours, theirs = comparison.base, comparison.behaviours[wide], comparison.behaviours[narrow]
    further: dict[Origin, int] = {}
    count: dict[Origin, int] = {}
    for place, given in enumerate(comparison.inputs):
        if given.origin is Origin.LOOSE:
            continue
        count[given.origin] = count.get(given.origin, 0) + 1
        if base[place].digest != theirs[place].digest:
            if ours[place].digest != theirs[place].digest:
                return False
        elif base[place].digest != ours[place].digest:
            further[given.origin] = further.get(given.origin, 0) + 1

    def part(origin: Origin) -> float:
        return further.get(origin, 0) / max(1, count.get(origin, 0))

    near = part(Origin.RED_VARIED)
    return not further.get(Origin.GREEN) and near >= FURTHER and near >= SELDOM * part(Origin.GREEN_VARIED)


def is_corner(plain: Plain) -> bool:
    """Whether a value is one that programs treat apart for good reasons: nothing, empty, zero, plus or minus one."""
    if plain is None or isinstance(plain, bool):
        return True
    number = number_of(plain)
    if number is not None:
        return number in (0, 1, -1)
    if isinstance(plain, Mapping) and "omitted" in plain:
        return False
    items = items_of(plain)
    return items is not None and not items


def untested_order(comparison: Comparison, name: str) -> str:
    """An edited method whose meeting with the object's other methods no test shows, or nothing.

    An object's methods meet in what it keeps. One that changes the object has to be called by some test once another
    method has changed it, where others do. One that only looks has to be called after those that failing tests call
    before it, whichever of two comes first.
    """
    found: dict[str, list[_Seen]] = {}
    for given, outcome in zip(comparison.inputs, comparison.behaviours.get(name, ()), strict=False):
        if given.origin.recorded and len(given.steps) == len(outcome.moved) > 0:
            seen = _seen(list(zip(given.steps, outcome.moved, strict=True))[1:], red=given.origin is Origin.RED)
            found.setdefault(given.function, []).extend(seen)
    for kind, calls in sorted(found.items()):
        moving = {call.method for call in calls if call.moved}
        for method in sorted({call.method for call in calls if call.edited}):
            own = [call for call in calls if call.method == method]
            if method in moving:
                untested = len(moving) > 1 and not any(set(call.before) - {method} for call in own)
            else:
                failing = {before for call in own if call.red for before in call.before}
                orders = {pair for call in own for pair in _pairs(call.before)}
                untested = any((a, b) not in orders for a in failing for b in failing if a != b)
            if untested:
                return f"{kind}.{method}"
    return ""


@dataclass(frozen=True, slots=True)
class _Seen:
    """A call that a test makes of an object's method: what changed the object before it, in order; by a red test?"""

    method: str
    before: tuple[str, ...]
    edited: bool
    moved: bool
    red: bool


def _seen(calls: Sequence[tuple[tuple[str, bool], bool]], *, red: bool) -> list[_Seen]:
    found: list[_Seen] = []
    before: tuple[str, ...] = ()
    for (method, edited), moved in calls:
        found.append(_Seen(method, before, edited, moved, red))
        before = (*before, method) if moved else before
    return found


def _pairs(before: Sequence[str]) -> set[tuple[str, str]]:
    return {(before[a], before[b]) for b in range(len(before)) for a in range(b)}


def raised_in(outcome: CallOutcome) -> set[str]:
    """The types of the exceptions that a call, or one of a history's calls, ends with."""
    if outcome.kind is OutcomeKind.RAISED:
        return {outcome.exception}
    answers = outcome.value.get("history") if isinstance(outcome.value, Mapping) else None
    found = [item.get("raised") for item in answers if isinstance(item, Mapping)] if isinstance(answers, list) else []
    return {name for name in found if isinstance(name, str)}


def _measured(comparison: Comparison, behaviour: Behaviour) -> Anomalies:
    places = range(len(comparison.inputs))
    recorded = [behaviour[place] for place in places if comparison.inputs[place].origin.recorded]
    raised = {name for outcome in recorded for name in raised_in(outcome)}
    kinds = {kind_of(outcome.value) for outcome in recorded if outcome.kind is OutcomeKind.RETURNED}
    red = [place for place in places if comparison.inputs[place].origin is Origin.RED_VARIED]
    green = [place for place in places if comparison.inputs[place].origin is Origin.GREEN_VARIED]
    passing = [place for place in places if comparison.inputs[place].origin is Origin.GREEN]
    varied = red + green

    def crashes(before: CallOutcome, after: CallOutcome) -> bool:
        return not raised_in(after) <= raised | raised_in(before)

    def hangs(before: CallOutcome, after: CallOutcome) -> bool:
        return after.kind in _ENDLESS and before.kind not in _ENDLESS

    def part(of: Sequence[int], *, holding: Sequence[bool]) -> float:
        return sum(holding) / len(of) if of else 0.0

    base = comparison.base
    spared = [
        place
        for place in varied
        if (seed := comparison.inputs[place].seed) >= 0 and base[seed].digest == behaviour[seed].digest
    ]
    mended = {
        place
        for place in places
        if comparison.inputs[place].origin is Origin.RED
        and base[place].digest != behaviour[place].digest
        and not any(is_corner(item) for item in comparison.inputs[place].arguments)
    }
    near = [place for place in red if comparison.inputs[place].seed in mended]
    reached = sum(base[place].digest != behaviour[place].digest for place in near)
    return Anomalies(
        narrow=len(near) >= NEAR and reached <= REACH * len(near),
        crashes=part(varied, holding=[crashes(base[place], behaviour[place]) for place in varied]),
        hangs=part(varied, holding=[hangs(base[place], behaviour[place]) for place in varied]),
        strangers=part(
            varied,
            holding=[
                behaviour[place].kind is OutcomeKind.RETURNED and kind_of(behaviour[place].value) not in kinds
                for place in varied
            ],
        ),
        changed_red=part(red, holding=[base[place].digest != behaviour[place].digest for place in red]),
        changed_green=part(green, holding=[base[place].digest != behaviour[place].digest for place in green]),
        changed_passing=part(passing, holding=[base[place].digest != behaviour[place].digest for place in passing]),
        disturbed=part(spared, holding=[base[place].digest != behaviour[place].digest for place in spared]),
    )
