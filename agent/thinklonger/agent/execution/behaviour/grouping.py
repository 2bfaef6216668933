"""Which candidates behave alike, and on which simplest input two groups part."""

import json
from collections.abc import Mapping, Sequence
from hashlib import sha256

from thinklonger.agent.execution.behaviour.nouns import (
    Behaviour,
    CallInput,
    CallOutcome,
    Difference,
    Origin,
    OutcomeKind,
    Plain,
)
from thinklonger.agent.types import Message

DIFFERENCES = 12


def digest_of(kind: OutcomeKind, *parts: Plain) -> str:
    """A short text, equal for equal outcomes."""
    return sha256(json.dumps([kind, *parts], sort_keys=True).encode()).hexdigest()[:16]


def groups_of(inputs: Sequence[CallInput], behaviours: Mapping[str, Behaviour]) -> tuple[tuple[str, ...], ...]:
    """Ids that behave alike on every input that is not loose, the largest group first, else in the given order."""
    counted = [place for place, given in enumerate(inputs) if given.origin is not Origin.LOOSE]
    groups: dict[tuple[str, ...], list[str]] = {}
    for name, behaviour in behaviours.items():
        groups.setdefault(tuple(behaviour[place].digest for place in counted), []).append(name)
    return tuple(tuple(members) for members in sorted(groups.values(), key=len, reverse=True))


def differences_of(
    inputs: Sequence[CallInput], behaviours: Mapping[str, Behaviour], groups: Sequence[Sequence[str]]
) -> tuple[Difference, ...]:
    """For each pair of groups, the largest first, the simplest input on which they part."""
    found: list[Difference] = []
    order = sorted(range(len(inputs)), key=lambda place: (inputs[place].origin is Origin.LOOSE, _length(inputs[place])))
    for first in range(len(groups)):
        for second in range(first + 1, len(groups)):
            if len(found) >= DIFFERENCES:
                return tuple(found)
            difference = _difference(inputs, behaviours, order, groups[first][0], groups[second][0])
            if difference is not None:
                found.append(difference)
    return tuple(found)


def difference_between(
    inputs: Sequence[CallInput], behaviours: Mapping[str, Behaviour], left: str, right: str
) -> Difference | None:
    """The simplest input on which two candidates part, or None."""
    order = sorted(range(len(inputs)), key=lambda place: (inputs[place].origin is Origin.LOOSE, _length(inputs[place])))
    return _difference(inputs, behaviours, order, left, right)


def _length(given: CallInput) -> int:
    return len(given.words)


def _difference(
    inputs: Sequence[CallInput], behaviours: Mapping[str, Behaviour], order: Sequence[int], left: str, right: str
) -> Difference | None:
    for place in order:
        one, other = behaviours[left][place], behaviours[right][place]
        if one.digest != other.digest:
            return Difference(left, right, place, _message(inputs[place], one, other))
    return None


def _message(given: CallInput, one: CallOutcome, other: CallOutcome) -> Message:
    params = {"call": given.words, "left": one.words, "right": other.words}
    endless = OutcomeKind.HUNG, OutcomeKind.SKIPPED, OutcomeKind.DIED
    match one.kind in endless, other.kind in endless:
        case True, True:
            return Message("behaviour.differs-both-endless", {"call": given.words})
        case True, False:
            return Message("behaviour.differs-left-endless", {"call": given.words, "right": other.words})
        case False, True:
            return Message("behaviour.differs-right-endless", {"call": given.words, "left": one.words})
        case _:
            return Message("behaviour.differs", params)
