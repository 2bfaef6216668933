"""Relations that the tests' cases suggest, and how outcomes are told in words."""

from dataclasses import replace

import pytest

from thinklonger.agent.execution.behaviour import (
    CallInput,
    CallOutcome,
    Comparison,
    Origin,
    OutcomeKind,
    Plain,
    anomalies_of,
)
from thinklonger.agent.execution.behaviour.invariants import broken, suggested
from thinklonger.agent.execution.behaviour.words import call, shown


def observed(cases: list[tuple[Plain, Plain]], varied: list[tuple[Plain, Plain]]) -> Comparison:
    """A function of one argument, seen in tests and on varied inputs."""
    inputs: list[CallInput] = []
    outcomes: list[CallOutcome] = []
    for origin, pairs in ((Origin.GREEN, cases), (Origin.GREEN_VARIED, varied)):
        for argument, value in pairs:
            inputs.append(CallInput("f", f"f({argument})", (argument,), origin))
            outcomes.append(CallOutcome(OutcomeKind.RETURNED, repr(value), repr(value), value))
    return Comparison(tuple(inputs), tuple(outcomes), {"a": tuple(outcomes)}, (("a",),))


RELATIONS: dict[str, tuple[list[tuple[Plain, Plain]], tuple[Plain, Plain]]] = {
    "permutation 0": ([([2, 1], [1, 2]), ([3], [3])], ([5, 4], [4])),
    "same-length 0": ([("ab", "AB"), ("", "")], ("abc", "AB")),
    "drawn-from 0": ([([1, 1, 2], [1, 2])], ([1, 2], [3])),
    "same-set 0": ([([1, 1, 2], [1, 2])], ([1, 2], [1])),
    "in-order 0": ([([1, 5, 1, 2], [1, 5, 2])], ([1, 2, 3], [3, 1])),
    "member 0": ([([4, 7], 7)], ([4, 7], 9)),
    "joined 0": ([([1, 2, 3], [[1, 2], [3]])], ([1, 2, 3], [[1], [3]])),
    "at-most 0": ([(9, 3), (4, 4)], (2, 5)),
    "at-least 0": ([(2, 3), (4, 4)], (9, 5)),
    "up-to-length 0": ([([1, 1, 1], 3), ([], 0)], ([1], 2)),
    "between 0": ([([1, 9], 5)], ([1, 2], 7)),
    "not-negative": ([(1, 0), (2, 3)], (3, -1)),
    "rising": ([(1, [1, 2]), (2, [3, 9])], (3, [2, 1])),
    "distinct": ([(1, [2, 1])], (3, [1, 1])),
    "items-not-negative": ([(1, [0, 1])], (3, [-1])),
    "length-up-to 0": ([(3, [7, 7])], (1, [7, 7])),
    "parts-up-to 0": ([(2, [[7, 7], [1]])], (1, [[7, 7]])),
}


@pytest.mark.parametrize("name", sorted(RELATIONS))
def test_a_relation_is_suggested_by_cases_and_broken_elsewhere(name: str) -> None:
    """Each relation holds on the cases that show it, and notices the input that breaks it."""
    cases, odd = RELATIONS[name]
    comparison = observed(cases, [odd])
    found = {item.name: item for item in suggested(comparison, comparison.behaviours["a"])}
    assert name in found
    assert broken(found[name], comparison.inputs, comparison.behaviours["a"]) == 1
    assert name not in {item.name for item in suggested(observed([*cases, odd], []), observed([*cases, odd], []).base)}


def test_a_promise_needs_several_witnesses() -> None:
    """One case that happens to keep its items promises nothing; three do."""
    cases: list[tuple[Plain, Plain]] = [([2, 1], [1, 2]), ([4, 3], [3, 4]), ([9, 8, 7], [7, 8, 9])]
    odd: list[tuple[Plain, Plain]] = [([6, 5], [5])]
    kept = observed([*cases, ([6, 5], [5, 6])], []).base
    assert anomalies_of(replace(observed(cases, odd), base=kept), ["a"])["a"].promises == (
        "permutation 0",
        "same-set 0",
    )
    assert anomalies_of(replace(observed(cases[:1], odd), base=(kept[0], kept[-1])), ["a"])["a"].promises == ()


def test_what_the_program_never_kept_is_no_promise() -> None:
    """Three cases keep their items, but on another input the program itself loses one: a patch may leave it so."""
    cases: list[tuple[Plain, Plain]] = [([2, 1], [1, 2]), ([4, 3], [3, 4]), ([9, 8, 7], [7, 8, 9])]
    assert anomalies_of(observed(cases, [([6, 5], [5])]), ["a"])["a"].promises == ()


WORDS: dict[str, Plain] = {
    "1.5": {"float": "1.5"},
    "(1,)": {"tuple": [1]},
    "(1, 'a')": {"tuple": [1, "a"]},
    "set()": {"set": []},
    "{1, 2}": {"set": [1, 2]},
    "{'a': [1]}": {"dict": [["a", [1]]]},
    "iter([1])": {"iterator": [1]},
    "b'ab'": {"bytes": "6162", "length": 2},
    "Point(x=1, y=None)": {"object": "Point", "state": [["x", 1], ["y", None]]},
    "Colour.RED": {"name": "Colour.RED"},
}


@pytest.mark.parametrize("text", sorted(WORDS))
def test_values_are_written_as_in_python(text: str) -> None:
    """A person reads Python's own notation, whatever the canonical form looks like."""
    assert shown(WORDS[text]) == text


def test_calls_are_written_as_in_python() -> None:
    """A receiver stands before the dot; arguments after one that was left out carry their names."""
    receiver: Plain = {"object": "Box", "state": [["size", 2]]}
    assert call("Box.put", ["self", "item"], [receiver, 3]) == "Box(size=2).put(3)"
    assert call("f", ["a", "b", "c"], [1, {"omitted": True}, 3]) == "f(1, c=3)"
    assert len(shown("x" * 500)) == 120
