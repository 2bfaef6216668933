"""Which survivor comes first and what label it may carry, over tables of facts."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thinklonger.agent.execution.behaviour import (
    Behaviour,
    CallInput,
    CallOutcome,
    Comparison,
    Origin,
    OutcomeKind,
    Plain,
    extends,
)
from thinklonger.agent.execution.behaviour.grouping import differences_of, digest_of, groups_of
from thinklonger.agent.messages import LANGUAGES, render
from thinklonger.agent.solver.catalogue import PATTERNS
from thinklonger.agent.stages.verify.exercising import changed_statements, exercising
from thinklonger.agent.stages.verify.ranking import (
    MOVING,
    CandidateFacts,
    Evidence,
    Thresholds,
    Verdict,
    agreement_of,
    rank,
    strength_of,
    weight_of,
)
from thinklonger.agent.types import FileChange, FileState, Label, Message

RECORDED = ([3, 1], [9, 7, 8], [2, 5], [4], [6, 6])
VARIED = ([3, 2], [1, 3], [9, 8], [5, 2], [8, 7, 9], [4, 4])


def returned(value: Plain) -> CallOutcome:
    """A call that gave a value."""
    return CallOutcome(OutcomeKind.RETURNED, digest_of(OutcomeKind.RETURNED, value), repr(value), value)


def raised(name: str) -> CallOutcome:
    """A call that raised."""
    return CallOutcome(OutcomeKind.RAISED, digest_of(OutcomeKind.RAISED, name), f"raise {name}", exception=name)


def hung() -> CallOutcome:
    """A call that did not end."""
    return CallOutcome(OutcomeKind.HUNG, digest_of(OutcomeKind.HUNG), "")


def ordered(items: Sequence[int]) -> CallOutcome:
    """What a right candidate gives: the items in order."""
    return returned(sorted(items))


def comparison(varied: Mapping[str, Sequence[CallOutcome]]) -> Comparison:
    """Candidates that sort alike on the tests' own inputs, and give these outcomes on variations of them."""
    inputs = [
        CallInput("order", f"order({items})", (items,), Origin.RED if place < 2 else Origin.GREEN)
        for place, items in enumerate(RECORDED)
    ]
    inputs += [CallInput("order", f"order({items})", (items,), Origin.RED_VARIED) for items in VARIED]
    expected = tuple(ordered(items) for items in RECORDED)
    behaviours: dict[str, Behaviour] = {name: expected + tuple(outcomes) for name, outcomes in varied.items()}
    base = tuple(returned(list(items)) for items in (*RECORDED, *VARIED))
    groups = groups_of(inputs, behaviours)
    return Comparison(tuple(inputs), base, behaviours, groups, differences_of(inputs, behaviours, groups))


RIGHT = [ordered(items) for items in VARIED]


def facts(**priors: float) -> list[CandidateFacts]:
    """Candidates by id and prior."""
    return [CandidateFacts(name, prior, name, 2) for name, prior in priors.items()]


def judge(table: Sequence[CandidateFacts], varied: Mapping[str, Sequence[CallOutcome]], tried: int = 400) -> Verdict:
    """The verdict over candidates that were compared."""
    return rank(table, Evidence(tried, len(RECORDED), comparison=comparison(varied)))


def keys(verdict: Verdict) -> set[str]:
    """The reasons' keys."""
    return {reason.key.removeprefix("verdict.") for reason in verdict.reasons}


def test_nothing_to_rank_is_unverified() -> None:
    """No survivor, no label."""
    assert rank([], Evidence(10, 2)) == Verdict()


def test_survivors_that_behave_alike_are_verified() -> None:
    """Strong tests, several spellings of one repair: verified, the likeliest first."""
    verdict = judge(facts(a=0.2, b=0.5), {"a": RIGHT, "b": RIGHT})
    assert verdict.order == ("b", "a")
    assert verdict.label is verdict.labels["b"] is Label.VERIFIED
    assert verdict.labels["a"] is Label.PARTLY_VERIFIED
    assert "alike" in keys(verdict)
    assert verdict.agreement is not None
    assert (verdict.agreement.survivors, verdict.agreement.behaviours, verdict.agreement.share) == (2, 1, 1.0)


def test_two_plausible_behaviours_are_ambiguous_and_told() -> None:
    """Where two behaviours are about as likely, the label drops and the receipt says on which input they part."""
    other = [returned(sorted(items, reverse=True)) if items[0] == 9 else ordered(items) for items in VARIED]
    verdict = judge(facts(a=0.5, b=0.4), {"a": RIGHT, "b": other})
    assert verdict.label is Label.PARTLY_VERIFIED
    assert "ambiguous" in keys(verdict)
    assert verdict.agreement is not None
    (difference,) = verdict.agreement.differences
    assert "order([9, 8])" in render(difference)


ODD: dict[str, list[CallOutcome]] = {
    "crashes": [raised("IndexError") for _ in VARIED],
    "hangs": [hung() for _ in VARIED],
    "strangers": [returned(None) for _ in VARIED],
    "loses-items": [returned(sorted(items)[:1]) for items in VARIED],
}


@pytest.mark.parametrize("odd", sorted(ODD))
def test_odd_behaviour_near_the_tests_inputs_loses(odd: str) -> None:
    """New crashes, hangs, foreign types and broken relations outweigh a somewhat higher prior."""
    verdict = judge(facts(odd=0.5, right=0.4), {"odd": ODD[odd], "right": RIGHT})
    assert verdict.order == ("right", "odd")


def near_failing(**changed: int) -> tuple[Comparison, list[CandidateFacts]]:
    """Candidates that mend one failing call, f(50), and differ from the base on so many of 40 inputs near it."""
    inputs = [CallInput("f", "f(50)", (50,), Origin.RED)]
    inputs += [CallInput("f", f"f({place})", (place,), Origin.GREEN) for place in range(2, 7)]
    inputs += [CallInput("f", f"f({place})", (place,), Origin.RED_VARIED, seed=0) for place in range(60, 100)]
    inputs += [CallInput("f", f"f({place})", (place,), Origin.GREEN_VARIED, seed=1) for place in range(100, 120)]
    base = tuple(returned(1) for _ in inputs)
    behaviours: dict[str, Behaviour] = {
        name: (returned(2), *base[1:6], *(returned(2) for _ in range(number)), *base[6 + number :])
        for name, number in changed.items()
    }
    groups = groups_of(inputs, behaviours)
    found = Comparison(tuple(inputs), base, behaviours, groups, differences_of(inputs, behaviours, groups))
    return found, facts(**dict.fromkeys(changed, 0.5))


def test_a_patch_for_one_input_alone_is_narrow() -> None:
    """What mends the failing call and nothing near it is not verified, though no rival is known; what mends more is."""
    for changed, label in ((0, Label.PARTLY_VERIFIED), (1, Label.PARTLY_VERIFIED), (12, Label.VERIFIED)):
        found, table = near_failing(only=changed)
        verdict = rank(table, Evidence(400, 6, comparison=found))
        assert verdict.label is label
        assert ("narrow" in keys(verdict)) is (label is Label.PARTLY_VERIFIED)


@pytest.mark.parametrize("corner", [None, 0, 1, -1, "", [], False])
def test_a_corner_may_be_mended_alone(corner: Plain) -> None:
    """Zero, one, nothing, emptiness: a program treats them apart for good reasons, and so may a patch."""
    found, table = near_failing(only=0)
    given = replace(found.inputs[0], arguments=(corner,))
    found = replace(found, inputs=(given, *found.inputs[1:]))
    assert "narrow" not in keys(rank(table, Evidence(400, 6, comparison=found)))


def test_what_repairs_the_same_and_more_comes_first() -> None:
    """A patch that changes few inputs near the failing one is outranked by one that agrees with it and changes more."""
    found, table = near_failing(few=8, more=30)
    assert extends(found, "more", "few")
    assert not extends(found, "few", "more")
    verdict = rank(table, Evidence(400, 6, comparison=found))
    assert verdict.order == ("more", "few")
    assert verdict.label is Label.PARTLY_VERIFIED  # which one is right, the tests do not say


def test_what_changes_as_much_elsewhere_repairs_no_more() -> None:
    """Further changes near passing tests, as many as near failing ones: a random edit does that."""
    found, _ = near_failing(few=8, more=30)
    wild = tuple(
        returned(2) if given.origin is Origin.GREEN_VARIED else outcome
        for given, outcome in zip(found.inputs, found.behaviours["more"], strict=True)
    )
    assert not extends(replace(found, behaviours={**found.behaviours, "more": wild}), "more", "few")


def test_changing_what_passing_tests_call_loses() -> None:
    """Two behaviours, one of which also changes the very calls that passing tests make: the other one is chosen."""
    inputs = [CallInput("f", f"f({place})", (place,), Origin.RED if place < 2 else Origin.GREEN) for place in range(8)]
    base = tuple(returned(place) for place in range(8))
    behaviours: dict[str, Behaviour] = {
        "narrow": (returned(10), returned(11), *base[2:]),
        "wide": tuple(returned(10 + place) for place in range(8)),
    }
    groups = groups_of(inputs, behaviours)
    found = Comparison(tuple(inputs), base, behaviours, groups, differences_of(inputs, behaviours, groups))
    verdict = rank(facts(narrow=0.2, wide=0.6), Evidence(400, 8, comparison=found))
    assert verdict.order == ("narrow", "wide")


def test_many_near_copies_weigh_little_more_than_one() -> None:
    """Twenty spellings of one edit do not outvote a likelier edit."""
    crowd = {f"crowd{number}": 0.2 for number in range(20)}
    other = [returned([0, *items]) for items in VARIED]
    verdict = judge(facts(right=0.5, **crowd), {"right": RIGHT} | dict.fromkeys(crowd, other))
    assert verdict.order[0] == "right"


def test_a_lone_behaviour_that_breaks_a_promise_of_all_tests_is_not_verified() -> None:
    """Every test keeps the items; a patch that loses some elsewhere is no more than partly verified."""
    verdict = judge(facts(a=0.9), {"a": ODD["loses-items"]})
    assert verdict.label is Label.PARTLY_VERIFIED
    assert "promise-broken" in keys(verdict)


def test_flagged_candidates_come_after_honest_ones() -> None:
    """What looks like cheating ranks below all that does not, and is never verified."""
    honest, cheat = facts(honest=0.1, cheat=0.9)
    cheat = replace(cheat, flags=(Message("verdict.flagged", {"count": 1}),))
    verdict = judge([honest, cheat], {"honest": RIGHT, "cheat": RIGHT})
    assert verdict.order == ("honest", "cheat")
    assert verdict.labels["cheat"] is Label.PARTLY_VERIFIED
    alone = judge([cheat], {"cheat": RIGHT})
    assert alone.label is Label.PARTLY_VERIFIED


def test_execution_facts_come_before_everything() -> None:
    """A candidate that does not reproduce, or breaks a test, is last and unverified, whatever its prior."""
    good, red, worse = facts(good=0.01, red=0.9, worse=0.8)
    red = replace(red, reproduced=False)
    worse = replace(worse, regression_held=False)
    verdict = judge([red, worse, good], {"good": RIGHT, "red": RIGHT, "worse": RIGHT})
    assert verdict.order[0] == "good"
    assert verdict.labels["red"] is verdict.labels["worse"] is Label.UNVERIFIED
    assert judge([red], {"red": RIGHT}).label is Label.UNVERIFIED
    assert judge([worse], {"worse": RIGHT}).label is Label.UNVERIFIED


def cut(behaviours: dict[str, list[CallOutcome]], *, calls: int) -> Comparison:
    """The usual comparison with only the first so many of the calls that tests make."""
    whole = comparison(behaviours)
    shown = [place for place, given in enumerate(whole.inputs) if not given.origin.recorded or place < calls]
    return replace(
        whole,
        inputs=tuple(whole.inputs[place] for place in shown),
        base=tuple(whole.base[place] for place in shown),
        behaviours={name: tuple(found[place] for place in shown) for name, found in whole.behaviours.items()},
    )


def test_few_or_weak_tests_are_not_proof() -> None:
    """Too few calls, or tests that let many candidates pass, hold the label down."""
    assert "few-tests" in keys(rank(facts(a=0.9), Evidence(400, 1, comparison=cut({"a": RIGHT}, calls=1))))
    crowd = {f"c{number}": 0.4 for number in range(30)}
    assert "weak-tests" in keys(judge(facts(**crowd), dict.fromkeys(crowd, RIGHT), tried=100))


def test_two_calls_are_enough_only_where_all_else_is_clear() -> None:
    """Few calls prove a likely edit if many others fell and survivors behave alike; one doubt more is too much."""
    alike = cut({"a": RIGHT}, calls=2)
    assert rank(facts(a=0.9), Evidence(400, 2, comparison=alike)).label is Label.VERIFIED
    assert "few-tests" in keys(rank(facts(a=0.9), Evidence(60, 2, comparison=alike)))
    assert "unlikely" in keys(rank(facts(a=0.05), Evidence(400, 2, comparison=alike)))
    parted = cut({"a": RIGHT, "b": [returned([0, *items]) for items in VARIED]}, calls=2)
    assert "few-tests" in keys(rank(facts(a=0.9, b=0.5), Evidence(400, 2, comparison=parted)))


def test_an_unlikely_edit_needs_more() -> None:
    """A kind of edit that is rarely a repair is not verified by a handful of tests."""
    assert "unlikely" in keys(judge(facts(a=0.01), {"a": RIGHT}))
    assert judge(facts(a=0.5), {"a": RIGHT}).label is Label.VERIFIED


def test_survivors_that_could_not_be_compared_are_not_verified() -> None:
    """Without a comparison several survivors stay ambiguous; a single one may stand on many tests."""
    assert "not-compared" in keys(rank(facts(a=0.9, b=0.1), Evidence(400, 9)))
    assert rank(facts(a=0.9), Evidence(400, 9)).label is Label.VERIFIED
    assert rank(facts(a=0.9), Evidence(400, 2)).label is Label.PARTLY_VERIFIED


def test_every_reason_has_words() -> None:
    """All sentences that a verdict may use are in the catalogue, in each language."""
    other = [returned([0, *items]) for items in VARIED]
    verdicts = [
        judge(facts(a=0.5), {"a": RIGHT}),
        judge(facts(a=0.5, b=0.5), {"a": RIGHT, "b": RIGHT}),
        judge(facts(a=0.5, b=0.5), {"a": RIGHT, "b": other}),
        judge(facts(a=0.5, b=0.001), {"a": RIGHT, "b": other}),
        judge(facts(a=0.01), {"a": ODD["loses-items"]}),
        rank(facts(a=0.5, b=0.5), Evidence(4, 1)),
        rank([replace(facts(a=0.5)[0], reproduced=False)], Evidence(4, 1)),
        rank([replace(facts(a=0.5)[0], regression_held=None)], Evidence(400, 9)),
    ]
    for verdict in verdicts:
        for language in LANGUAGES:
            assert all(render(reason, language) for reason in verdict.reasons)


@given(st.lists(st.floats(0.001, 1.0), min_size=1, max_size=30))
def test_weight_is_between_the_best_and_twice_the_best(priors: list[float]) -> None:
    """More members never make a group lighter, nor more than twice as heavy as its best."""
    weight = weight_of(priors)
    assert max(priors) <= weight <= 2 * max(priors)


@given(st.permutations(["a", "b", "c", "d"]))
def test_order_does_not_depend_on_the_order_of_facts(names: list[str]) -> None:
    """The same candidates in another order get the same verdict."""
    priors = {"a": 0.5, "b": 0.4, "c": 0.3, "d": 0.2}
    other = [returned([0, *items]) for items in VARIED]
    varied = {"a": RIGHT, "b": other, "c": RIGHT, "d": ODD["crashes"]}
    table = facts(**{name: priors[name] for name in names})
    verdict = judge(table, {name: varied[name] for name in names})
    assert verdict.order == judge(facts(**priors), varied).order


def test_thresholds_are_adjustable() -> None:
    """A caller may ask for more than the calibrated defaults."""
    table = facts(a=0.5)
    found = rank(
        table, Evidence(400, 5, comparison=comparison({"a": RIGHT})), Thresholds(strength=1000, strength_few=1000)
    )
    assert found.label is Label.PARTLY_VERIFIED


def test_green_tests_that_run_the_changed_lines_are_evidence() -> None:
    """Tests whose calls could not be recorded count, though less than recorded calls; those elsewhere do not."""
    seen = replace(cut({"a": RIGHT}, calls=1), called=1, skipped=9)
    assert strength_of("a", Evidence(400, 9, comparison=seen)) == 6
    assert strength_of("a", Evidence(400, 9, comparison=seen, running={"a": 6})) == 26
    assert rank(facts(a=0.9), Evidence(60, 9, comparison=seen, running={"a": 6})).label is Label.VERIFIED
    assert "few-tests" in keys(rank(facts(a=0.9), Evidence(60, 9, comparison=seen, running={"a": 1})))
    assert "few-tests" in keys(rank(facts(a=0.9), Evidence(60, 9, running={"a": 2})))


def test_tests_that_make_the_same_calls_over_again_are_no_evidence() -> None:
    """Where every call could be kept, a test that adds no call adds nothing; else one test for each call not kept."""
    seen = replace(cut({"a": RIGHT}, calls=1), called=1)
    assert strength_of("a", Evidence(400, 9, comparison=seen, running={"a": 9})) == 6
    assert strength_of("a", Evidence(400, 9, comparison=replace(seen, skipped=2), running={"a": 9})) == 14


def moved(*, tried: int = 400, running: int = 5, pattern: str = "depth", others: Sequence[str] = ()) -> Verdict:
    """The verdict on a lone behaviour of a moved statement; `others` are patterns that give the same behaviour."""
    table = [replace(item, pattern=pattern) for item in facts(a=0.9)]
    table += [replace(table[0], id=f"b{place}", pattern=other) for place, other in enumerate(others)]
    seen = comparison({item.id: RIGHT for item in table})
    return rank(table, Evidence(tried, 5, comparison=seen, running={item.id: running for item in table}))


def test_a_moved_statement_needs_more_than_other_edits() -> None:
    """Moving a statement passes a single failing test too easily: the search must have run its course."""
    assert moved().label is Label.VERIFIED
    assert keys(moved(tried=90)) >= {"moved"}
    assert keys(moved(running=1)) >= {"moved"}
    assert moved(tried=90, pattern="off-by-one").label is Label.VERIFIED
    assert moved(tried=90, others=["off-by-one"]).label is Label.VERIFIED


def test_a_moved_statement_that_disturbs_what_was_right_is_not_verified() -> None:
    """Near a call on which the patch does what the base does, results that change speak against a moved statement."""
    seen = comparison({"a": RIGHT})
    near = [replace(given, seed=-1 if given.origin.recorded else 3) for given in seen.inputs]
    seen = replace(seen, inputs=tuple(near))  # a single item, which needs no order: the base has it right
    table = [replace(item, pattern="hoist") for item in facts(a=0.9)]
    verdict = rank(table, Evidence(400, 5, comparison=seen))
    assert verdict.label is Label.PARTLY_VERIFIED
    assert "moved" in keys(verdict)
    assert judge(facts(a=0.9), {"a": RIGHT}).label is Label.VERIFIED


def test_a_search_that_is_cut_short_verifies_nothing() -> None:
    """Where time ran out after a few candidates, nobody knows what else would pass."""
    evidence = Evidence(30, 5, exhausted=False, comparison=comparison({"a": RIGHT}))
    verdict = rank(facts(a=0.9), evidence)
    assert verdict.label is Label.PARTLY_VERIFIED
    assert "cut-short" in keys(verdict)
    assert rank(facts(a=0.9), replace(evidence, exhausted=True)).label is Label.VERIFIED


def test_how_an_outranked_survivor_differs_is_told_too() -> None:
    """Each survivor's receipt says in words where it parts with the others, and how much belief it has itself."""
    other = [returned([0, *items]) for items in VARIED]
    seen = comparison({"a": RIGHT, "b": other})
    verdict = rank(facts(a=0.5, b=0.2), Evidence(400, 5, comparison=seen))
    assert verdict.agreement is not None
    told = agreement_of(verdict.groups, seen, "b")
    assert told is not None
    assert verdict.agreement.share + told.share == pytest.approx(1.0)
    (own,) = told.differences
    (best,) = verdict.agreement.differences
    assert (own.params["left"], own.params["right"]) == (best.params["right"], best.params["left"])
    assert all("order(" in render(own, language) for language in LANGUAGES)


def test_which_tests_run_a_changed_line() -> None:
    """A changed line, any line of its statement, and the neighbours of an insertion; not the rest of the file."""
    before = b"def f(a):\n    b = (\n        a\n        + 1\n    )\n    return b\n\n\ndef g():\n    return 2\n"
    assert changed_statements(before, before.replace(b"+ 1", b"- 1")) == {2, 3, 4, 5}
    assert changed_statements(before, before.replace(b"    return b", b"    b = 2\n    return b")) >= {5, 6}
    path = PurePosixPath("m.py")
    change = FileChange(path, FileState(before), FileState(before.replace(b"+ 1", b"- 1")))
    coverage = {"one": {path: frozenset({2, 6})}, "two": {path: frozenset({10})}, "three": {}}
    assert exercising((change,), coverage) == {"one"}


def test_every_pattern_that_moves_statements_has_the_higher_bar() -> None:
    """The label's list follows the catalogue: a new structural pattern is on it, or stands here with its reason."""
    structural = {pattern.name for pattern in PATTERNS if pattern.structural}
    exempt = {
        *("mutable-default", "shared-attribute", "declaration", "missing-import", "missing-initialization"),  # one way
        "simultaneous",  # two assignments made one, in place
    }
    assert structural - MOVING == exempt
    assert {pattern.name for pattern in PATTERNS} >= MOVING
