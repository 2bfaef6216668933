"""Facts about inputs and outputs that the tests' own cases suggest, and which candidates keep them elsewhere.

In the manner of Daikon (Ernst et al., 2001): of a fixed list of relations between what goes in and what comes out,
those that hold on every call that a test made, where every survivor gives the expected answer. A few cases suggest
many relations that are not meant; one counts only where some group of survivors keeps it on every varied input.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeAlias

from thinklonger.agent.execution.behaviour.nouns import Behaviour, CallInput, Comparison, Origin, OutcomeKind, Plain

Relation: TypeAlias = Callable[[Sequence[Plain], Plain], bool | None]
"""Whether it holds for arguments and result; None where it has nothing to say."""


@dataclass(frozen=True, slots=True)
class Invariant:
    """A relation that every recorded call of a function keeps, and how many of these put it to a test."""

    function: str
    name: str
    holds: Relation
    witnesses: int


def items_of(plain: Plain) -> list[Plain] | None:
    """The items of a canonical sequence, set or iterator, the letters of a text, None for anything else."""
    if isinstance(plain, str):
        return list(plain)
    if isinstance(plain, Mapping):
        for kind in ("tuple", "set", "iterator", "sequence"):
            if kind in plain:
                return items_of(plain[kind])
        pairs = plain.get("dict", plain.get("ordered"))
        if isinstance(pairs, list):
            return [pair[0] for pair in pairs if isinstance(pair, list) and pair]
        return None
    return list(plain) if isinstance(plain, list) else None


def number_of(plain: Plain) -> float | None:
    """The number that a canonical value stands for, or None; booleans are none."""
    if isinstance(plain, Mapping) and "float" in plain:
        return float(str(plain["float"]))
    return plain if isinstance(plain, int | float) and not isinstance(plain, bool) else None


def kind_of(plain: Plain) -> str:
    """The type of a canonical value, int and float being one."""
    if number_of(plain) is not None:
        return "number"
    if isinstance(plain, Mapping):
        return next(iter(sorted(plain)), "dict")
    return type(plain).__name__


def _bag(items: Sequence[Plain]) -> Counter[str]:
    return Counter(repr(item) for item in items)


def _permutation(place: int) -> Relation:
    def holds(arguments: Sequence[Plain], result: Plain) -> bool | None:
        given, got = items_of(arguments[place]), items_of(result)
        return None if given is None or got is None or isinstance(result, str) else _bag(given) == _bag(got)

    return holds


def _same_length(place: int) -> Relation:
    def holds(arguments: Sequence[Plain], result: Plain) -> bool | None:
        given, got = items_of(arguments[place]), items_of(result)
        return None if given is None or got is None else len(given) == len(got)

    return holds


def _drawn_from(place: int) -> Relation:
    def holds(arguments: Sequence[Plain], result: Plain) -> bool | None:
        given, got = items_of(arguments[place]), items_of(result)
        return None if given is None or got is None else not _bag(got) - _bag(given)

    return holds


def _same_set(place: int) -> Relation:
    def holds(arguments: Sequence[Plain], result: Plain) -> bool | None:
        given, got = items_of(arguments[place]), items_of(result)
        if given is None or got is None or not given or isinstance(result, str):
            return None
        return _bag(given).keys() == _bag(got).keys()

    return holds


def _in_order(place: int) -> Relation:
    def holds(arguments: Sequence[Plain], result: Plain) -> bool | None:
        given, got = items_of(arguments[place]), items_of(result)
        if given is None or got is None or len(got) < 2 or len(set(map(repr, got))) < 2:  # noqa: PLR2004 (no order)
            return None
        rest = iter(given)
        return all(item in rest for item in got)

    return holds


def _member(place: int) -> Relation:
    def holds(arguments: Sequence[Plain], result: Plain) -> bool | None:
        given = items_of(arguments[place])
        return None if given is None or items_of(result) is not None else result in given or result is None

    return holds


def _joined(place: int) -> Relation:
    def holds(arguments: Sequence[Plain], result: Plain) -> bool | None:
        given, got = items_of(arguments[place]), items_of(result)
        if given is None or got is None or isinstance(result, str):
            return None
        parts: list[Plain] = []
        for part in got:
            inner = items_of(part)
            if inner is None:
                return None
            parts.extend(inner)
        return parts == given

    return holds


def _at_most(place: int) -> Relation:
    def holds(arguments: Sequence[Plain], result: Plain) -> bool | None:
        given, got = number_of(arguments[place]), number_of(result)
        return None if given is None or got is None else got <= given

    return holds


def _at_least(place: int) -> Relation:
    def holds(arguments: Sequence[Plain], result: Plain) -> bool | None:
        given, got = number_of(arguments[place]), number_of(result)
        return None if given is None or got is None else got >= given

    return holds


def _up_to_length(place: int) -> Relation:
    def holds(arguments: Sequence[Plain], result: Plain) -> bool | None:
        given, got = items_of(arguments[place]), number_of(result)
        return None if given is None or got is None else 0 <= got <= len(given)

    return holds


def _between(place: int) -> Relation:
    def holds(arguments: Sequence[Plain], result: Plain) -> bool | None:
        given, got = items_of(arguments[place]), number_of(result)
        numbers = [number for number in map(number_of, given or ()) if number is not None]
        if got is None or not numbers or len(numbers) != len(given or ()):
            return None
        return min(numbers) <= got <= max(numbers)

    return holds


def _parts_up_to(place: int) -> Relation:
    def holds(arguments: Sequence[Plain], result: Plain) -> bool | None:
        bound, got = number_of(arguments[place]), items_of(result)
        if bound is None or not got or isinstance(result, str):
            return None
        sizes = [items_of(part) for part in got]
        return None if any(part is None for part in sizes) else all(len(part or ()) <= bound for part in sizes)

    return holds


def _length_up_to(place: int) -> Relation:
    def holds(arguments: Sequence[Plain], result: Plain) -> bool | None:
        bound, got = number_of(arguments[place]), items_of(result)
        return None if bound is None or got is None else len(got) <= bound

    return holds


def _not_negative(_: Sequence[Plain], result: Plain) -> bool | None:
    got = number_of(result)
    return None if got is None else got >= 0


def _rising(_: Sequence[Plain], result: Plain) -> bool | None:
    numbers = [number_of(item) for item in items_of(result) or ()]
    if isinstance(result, str) or len(numbers) < 2:  # noqa: PLR2004 (fewer have no order)
        return None
    found = [number for number in numbers if number is not None]
    return None if len(found) != len(numbers) else all(a <= b for a, b in pairwise(found))


def _distinct(_: Sequence[Plain], result: Plain) -> bool | None:
    got = items_of(result)
    if got is None or isinstance(result, str) or len(got) < 2:  # noqa: PLR2004 (one is always distinct)
        return None
    return max(_bag(got).values()) == 1


def _fewest_negative(_: Sequence[Plain], result: Plain) -> bool | None:
    numbers = [number_of(item) for item in items_of(result) or ()]
    return None if not numbers or None in numbers else all(number is not None and number >= 0 for number in numbers)


_OF_RESULT: tuple[tuple[str, Relation], ...] = (
    ("not-negative", _not_negative),
    ("rising", _rising),
    ("distinct", _distinct),
    ("items-not-negative", _fewest_negative),
)
_OF_ARGUMENT: tuple[tuple[str, Callable[[int], Relation]], ...] = (
    ("permutation", _permutation),
    ("same-length", _same_length),
    ("drawn-from", _drawn_from),
    ("same-set", _same_set),
    ("in-order", _in_order),
    ("member", _member),
    ("joined", _joined),
    ("at-most", _at_most),
    ("at-least", _at_least),
    ("up-to-length", _up_to_length),
    ("between", _between),
    ("parts-up-to", _parts_up_to),
    ("length-up-to", _length_up_to),
)


def suggested(comparison: Comparison, behaviour: Behaviour) -> tuple[Invariant, ...]:
    """The relations that a candidate keeps on every call that a test made, at least one of them put to a test."""
    recorded: dict[str, list[tuple[CallInput, Plain]]] = {}
    for given, outcome in zip(comparison.inputs, behaviour, strict=True):
        if given.origin.recorded and outcome.kind is OutcomeKind.RETURNED:
            recorded.setdefault(given.function, []).append((given, outcome.value))
    found: list[Invariant] = []
    for function, cases in recorded.items():
        width = min(len(given.arguments) for given, _ in cases)
        relations = list(_OF_RESULT)
        relations += [(f"{name} {place}", make(place)) for name, make in _OF_ARGUMENT for place in range(width)]
        for name, holds in relations:
            verdicts = [verdict for given, value in cases if (verdict := holds(given.arguments, value)) is not None]
            if verdicts and all(verdicts):
                found.append(Invariant(function, name, holds, len(verdicts)))
    return tuple(found)


def broken(
    invariant: Invariant, inputs: Sequence[CallInput], behaviour: Behaviour, *, beside: Behaviour | None = None
) -> int:
    """On how many inputs inside the domain a candidate returns something that breaks the relation.

    `beside`: only inputs count on which this behaviour does not return the same.
    """
    return sum(
        1
        for place, (given, outcome) in enumerate(zip(inputs, behaviour, strict=True))
        if given.function == invariant.function
        and given.origin is not Origin.LOOSE
        and outcome.kind is OutcomeKind.RETURNED
        and invariant.holds(given.arguments, outcome.value) is False
        and (beside is None or beside[place].kind is not outcome.kind or beside[place].value != outcome.value)
    )
