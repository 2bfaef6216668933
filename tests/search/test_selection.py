"""The rules of the search: total, deterministic, even, within the budget; the proved before the unproved."""

import random
from itertools import pairwise
from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thinklonger.agent.config import Strategy
from thinklonger.agent.protocols import Branch
from thinklonger.agent.search import Criterion, Entrant, Place, Steering, Trial, plan_for, ranked
from thinklonger.agent.search.plans import CRITERIA, doubling
from thinklonger.agent.search.selection import Tally, allot, choose, distinct, numbering, reachable, settled
from thinklonger.agent.types import (
    Candidate,
    FileChange,
    FileState,
    Location,
    Score,
    Stage,
    SymbolKind,
)


def location(path: str, symbol: str = "") -> Location:
    """A place."""
    return Location(PurePosixPath(path), symbol, SymbolKind.FUNCTION, 1, 1, 0.5, ())


def patch(number: int, decided: str = "", *, path: str = "a.py", symbol: str = "") -> Branch:
    """A patch of one place."""
    change = FileChange(PurePosixPath(path), FileState(b""), FileState(b"1"))
    candidate = Candidate(f"p{number}", "m", "", "", "", (change,), location(path, symbol), 0.5, decided)
    return Branch(f"u1.l1.p{number}", Stage.PATCH, "u1.l1", decided or str(number), candidate=candidate)


def understood(number: int, decided: str, *files: str) -> Branch:
    """A decision for some files."""
    return Branch(
        f"u{number}", Stage.UNDERSTAND, "", decided, files=tuple(PurePosixPath(file) for file in files or (decided,))
    )


TRIALS = st.builds(
    Trial,
    passed=st.sampled_from([True, False, None]),
    facts=st.tuples(st.integers(0, 2), st.integers(0, 2)),
    flags=st.integers(0, 2),
    size=st.integers(0, 5),
    convincing=st.booleans(),
)
SCORES = st.one_of(st.none(), st.builds(Score, st.floats(0, 1), st.just("j")))
ENTRANTS = st.lists(
    st.tuples(st.one_of(st.none(), TRIALS), SCORES, st.integers(0, 3)),
    max_size=8,
).map(lambda drawn: [Entrant(patch(n), votes, 8, trial, score) for n, (trial, score, votes) in enumerate(drawn, 1)])
ORDERS = st.sampled_from(list(CRITERIA.values()))
TALLIES = st.builds(
    lambda entrants, pending, mending: Tally(tuple(entrants), pending, mending),
    ENTRANTS,
    st.integers(0, 4),
    st.integers(0, 4),
)


# ── ranking ──────────────────────────────────────────────────────────────────────────────────────────────────────


@given(ENTRANTS, ORDERS, st.randoms())
def test_the_ranking_does_not_depend_on_the_order_given(
    entrants: list[Entrant], criteria: tuple[Criterion, ...], chance: random.Random
) -> None:
    """It is a total order: the same patches always rank the same, whoever came in first."""
    shuffled = list(entrants)
    chance.shuffle(shuffled)
    order = ranked(entrants, criteria)
    assert order == ranked(shuffled, criteria)
    assert sorted(order, key=id) == sorted(entrants, key=id)


@given(ENTRANTS, ORDERS)
def test_what_passed_is_never_behind_what_did_not(entrants: list[Entrant], criteria: tuple[Criterion, ...]) -> None:
    """No score, agreement or size puts an unverified patch before a verified one, nor a failed one before any other."""
    passed = [entrant.trial.passed if entrant.trial else None for entrant in ranked(entrants, criteria)]
    assert passed == sorted(passed, key=lambda value: {True: 0, None: 1, False: 2}[value])


@given(ENTRANTS, ENTRANTS)
def test_more_rollouts_never_cost_a_verified_patch(some: list[Entrant], more: list[Entrant]) -> None:
    """With more patches the best one is at least as good: by facts and flags never worse than the best of fewer."""
    others = [Entrant(patch(100 + n), e.votes, e.of, e.trial, e.score) for n, e in enumerate(more)]
    criteria = (Criterion.FACTS, Criterion.FLAGS)
    if some:
        best, better = ranked(some, criteria)[0], ranked([*some, *others], criteria)[0]
        assert ranked([best, better], criteria)[0] is better


@pytest.mark.parametrize("criterion", list(Criterion))
def test_each_criterion_decides_where_the_ones_before_are_equal(criterion: Criterion) -> None:
    """Facts, flags, the judge, agreement, size: each puts the better patch first when all else is the same."""
    trial = Trial(passed=True, facts=(1,), flags=1, size=3)
    plain = Entrant(patch(1), 1, 8, trial, Score(0.5, "j"))
    better = {
        Criterion.FACTS: Entrant(patch(2), 1, 8, Trial(passed=True, facts=(2,), flags=1, size=3), Score(0.5, "j")),
        Criterion.FLAGS: Entrant(patch(2), 1, 8, Trial(passed=True, facts=(1,), flags=0, size=3), Score(0.5, "j")),
        Criterion.OUTCOME: Entrant(patch(2), 1, 8, trial, Score(0.9, "j")),
        Criterion.AGREEMENT: Entrant(patch(2), 2, 8, trial, Score(0.5, "j")),
        Criterion.SIZE: Entrant(patch(2), 1, 8, Trial(passed=True, facts=(1,), flags=1, size=2), Score(0.5, "j")),
    }[criterion]
    assert ranked([plain, better], CRITERIA[Strategy.DEV_SEARCH])[0] is better
    assert ranked([plain, better], ())[0] is plain


def test_a_judge_is_not_taken_to_the_third_decimal() -> None:
    """Scores that are nearly equal leave the decision to agreement."""
    lone = Entrant(patch(1), 1, 4, Trial(passed=True), Score(0.81, "j"))
    agreed = Entrant(patch(2), 3, 4, Trial(passed=True), Score(0.80, "j"))
    assert ranked([lone, agreed], CRITERIA[Strategy.DEV_SEARCH])[0] is agreed
    assert ranked([lone, agreed], CRITERIA[Strategy.ORM_EXEC])[0] is lone


def test_voting_counts_votes_and_execution_does_not() -> None:
    """Under voting the majority wins among those that pass, whatever the judge says."""
    judged = Entrant(patch(1), 1, 4, Trial(passed=True, facts=(9,)), Score(0.99, "j"))
    agreed = Entrant(patch(2), 3, 4, Trial(passed=True, facts=(1,)), Score(0.1, "j"))
    assert ranked([judged, agreed], CRITERIA[Strategy.VOTING])[0] is agreed
    assert ranked([judged, agreed], CRITERIA[Strategy.EXEC])[0] is judged


def test_branches_sort_by_their_numbers() -> None:
    """The tenth branch comes after the second, and a branch before what grew from it."""
    names = ["u1.l1.p10", "u1.l1.p2", "u1.l10", "u1.l2", "u1.l1.p2.d1"]
    assert sorted(names, key=numbering) == ["u1.l1.p2", "u1.l1.p2.d1", "u1.l1.p10", "u1.l2", "u1.l10"]


# ── who goes on ──────────────────────────────────────────────────────────────────────────────────────────────────

GROUPS = st.lists(st.tuples(st.sampled_from("abcd"), st.one_of(st.none(), st.floats(0, 1))), max_size=8)


@given(GROUPS, st.integers(1, 4))
def test_the_best_that_differ_go_on(drawn: list[tuple[str, float | None]], keep: int) -> None:
    """As many as may, no two alike, none that scores less than one left out; each branch is either kept or pruned."""
    branches = [understood(n, decided) for n, (decided, _) in enumerate(drawn, 1)]
    scores = {f"u{n}": Score(value, "j") for n, (_, value) in enumerate(drawn, 1) if value is not None}
    choice = choose(branches, keep=keep, scores=scores, standing=Steering().standing)
    assert len(choice.kept) == min(keep, distinct(branches)) == distinct(choice.kept)
    assert sorted([b.id for b in choice.kept] + [b.id for b, _ in choice.pruned]) == sorted(b.id for b in branches)
    least = min((scores[b.id].value if b.id in scores else 0.0 for b in choice.kept), default=0.0)
    for branch, by in choice.pruned:
        if by.key != "search.same":
            assert (scores[branch.id].value if branch.id in scores else 0.0) <= least


def test_equal_scores_go_by_number() -> None:
    """Without scores the first ones go on."""
    branches = [understood(n, str(n)) for n in range(1, 5)]
    choice = choose(branches, keep=2, scores={}, standing=Steering().standing)
    assert [branch.id for branch in choice.kept] == ["u1", "u2"]
    assert {by.key for _, by in choice.pruned} == {"search.enough-others"}


def test_a_pruned_branch_says_by_what() -> None:
    """The reason names the judge, the branch's score and the least that went on."""
    branches = [understood(1, "a"), understood(2, "b"), understood(3, "b")]
    scores = {"u1": Score(0.9, "prm"), "u2": Score(0.25, "prm"), "u3": Score(0.9, "prm")}
    choice = choose(branches, keep=1, scores=scores, standing=Steering().standing)
    reasons = {branch.id: by for branch, by in choice.pruned}
    assert dict(reasons["u2"].params) == {"score": "0.25", "least": "0.90", "by": "prm"}
    assert dict(reasons["u3"].params) == {"branch": "u2"}


def test_a_pinned_file_goes_on_whatever_its_score() -> None:
    """Where some branch has a pinned place, only such branches go on; where none has, all may."""
    branches = [understood(1, "a.py"), understood(2, "b.py")]
    scores = {"u1": Score(0.9, "j"), "u2": Score(0.1, "j")}
    steering = Steering(pinned=[Place(PurePosixPath("b.py"))])
    choice = choose(branches, keep=2, scores=scores, standing=steering.standing)
    assert [branch.id for branch in choice.kept] == ["u2"]
    elsewhere = Steering(pinned=[Place(PurePosixPath("z.py"))])
    assert len(choose(branches, keep=2, scores=scores, standing=elsewhere.standing).kept) == 2


def test_excluded_files_never_go_on_unless_promoted() -> None:
    """A branch of nothing but excluded files is out, even if places are left, until the user promotes it."""
    branches = [understood(1, "x", "a.py"), understood(2, "y", "a.py", "b.py")]
    steering = Steering(excluded=[Place(PurePosixPath("a.py"))])
    choice = choose(branches, keep=2, scores={}, standing=steering.standing)
    assert [branch.id for branch in choice.kept] == ["u2"]
    steering.promote("u1")
    choice = choose(branches, keep=1, scores={}, standing=steering.standing, promoted=steering.promoted)
    assert {branch.id for branch in choice.kept} == {"u1", "u2"}


@pytest.mark.parametrize(
    ("excluded", "symbol", "out"),
    [("", "C.m", True), ("C", "C.m", True), ("C.m", "C.m", True), ("C.m", "C", False), ("C.m", "C.more", False)],
)
def test_a_patch_inside_an_excluded_place_is_out(excluded: str, symbol: str, out: bool) -> None:  # noqa: FBT001 (a table)
    """A file covers all that is in it, a class its methods; a method does not cover its class."""
    steering = Steering(excluded=[Place(PurePosixPath("a.py"), excluded)])
    assert (steering.standing(patch(1, symbol=symbol)).value == "excluded") is out
    assert steering.standing(patch(1, path="b.py", symbol=symbol)).value == "free"


def test_a_pinned_symbol_pins_its_file_until_places_are_known() -> None:
    """When only files are decided, a file counts as pinned for a symbol in it; later the symbol itself has to match."""
    steering = Steering(pinned=[Place(PurePosixPath("a.py"), "C.m")])
    assert steering.standing(understood(1, "a.py")).value == "pinned"
    places = Branch("u1.l1", Stage.LOCALIZE, "u1", "x", locations=(location("a.py", "D.m"),))
    assert steering.standing(places).value == "free"


# ── how many ─────────────────────────────────────────────────────────────────────────────────────────────────────


@given(st.integers(0, 20), st.lists(st.integers(0, 8), max_size=6))
def test_samples_are_shared_out_evenly(total: int, used: list[int]) -> None:
    """All are given out, nobody gets more while another has had less, and what is odd goes to the better one."""
    shares = allot(total, used)
    assert sum(shares) == (total if used else 0)
    ends = [had + more for had, more in zip(used, shares, strict=True)]
    for index, more in enumerate(shares):
        if more:
            assert all(ends[index] - 1 <= end for end in ends)
            assert all(ends[index] - 1 < end for end in ends[:index])


@given(st.integers(1, 64))
def test_waves_double_up_to_the_budget(budget: int) -> None:
    """1, 2, 4, … and exactly the budget at last."""
    waves = doubling(budget)
    assert waves[0] == 1
    assert waves[-1] == budget
    assert all(a < b <= 2 * a for a, b in pairwise(waves))


@given(st.sampled_from(list(Strategy)), st.one_of(st.none(), st.integers(-1, 20)), st.integers(1, 9), st.integers(1, 9))
def test_every_strategy_has_the_same_budget(strategy: Strategy, budget: int | None, samples: int, keep: int) -> None:
    """All spend the same rollouts, with at least half as many workers to verify them."""
    plan = plan_for(strategy, budget=budget, samples=samples, keep=keep)
    assert plan.budget == (8 if budget is None else max(1, budget))
    assert plan.workers >= plan.budget / 2
    assert min(plan.samples, plan.keep) >= 1


def test_strategies_without_a_judge_prune_nothing() -> None:
    """exec, orm-exec and voting let every rollout go its own way; the searches choose at each stage."""
    pruning = {strategy for strategy in Strategy if plan_for(strategy).prune}
    assert pruning == {Strategy.DEV_SEARCH, Strategy.ADAPTIVE}
    assert {s for s in Strategy if plan_for(s).early} == {Strategy.ADAPTIVE}
    judged = {s for s in Strategy if Criterion.OUTCOME in plan_for(s).criteria}
    assert judged == {Strategy.DEV_SEARCH, Strategy.ADAPTIVE, Strategy.ORM_EXEC}


# ── enough ───────────────────────────────────────────────────────────────────────────────────────────────────────


def entrant(number: int, votes: int, trial: Trial | None) -> Entrant:
    """A patch with so many votes."""
    return Entrant(patch(number), votes, votes, trial)


def test_one_convincing_patch_settles_it_and_one_plain_one_does_not() -> None:
    """A first candidate whose evidence is complete needs no second opinion; any other does."""
    assert settled(Tally((entrant(1, 1, Trial(passed=True, convincing=True)),)))
    assert not settled(Tally((entrant(1, 1, Trial(passed=True)),)))
    assert settled(Tally((entrant(1, 2, Trial(passed=True)),)))


@pytest.mark.parametrize(
    "trial",
    [None, Trial(passed=False), Trial(passed=True, flags=1), Trial(passed=True, convincing=True, flags=1)],
    ids=str,
)
def test_agreement_alone_settles_nothing(trial: Trial | None) -> None:
    """However many agree: a patch that failed, was not run yet, or looks like cheating is not enough."""
    assert not settled(Tally((entrant(1, 8, trial),)))


def test_agreement_settles_it_where_nothing_can_be_run() -> None:
    """Without execution it is all that there is."""
    assert settled(Tally((entrant(1, 2, Trial(None)),)))


@given(TALLIES)
def test_what_is_settled_stays_settled(tally: Tally) -> None:
    """Most rollouts agree, so whatever the pending ones say, no other patch gets as many."""
    if found := settled(tally):
        assert 2 * found.votes > tally.total
        assert found.trial
        assert found.trial.passed is not False


@given(TALLIES)
def test_waiting_is_for_something(tally: Tally) -> None:
    """It is worth waiting only while something is generated or run, and never when all is known."""
    under_way = tally.pending or any(e.trial is None for e in tally.entrants)
    if reachable(tally):
        assert under_way


def test_disagreement_is_known_before_anything_is_run() -> None:
    """Two different patches of two rollouts: more are needed, and nobody waits for the tests to say so."""
    assert not reachable(Tally((entrant(1, 1, None), entrant(2, 1, None))))
    assert reachable(Tally((entrant(1, 2, None),)))
    assert reachable(Tally((entrant(1, 1, None),), pending=1))


def test_a_failure_widens_at_once() -> None:
    """Nobody waits for a failed patch to be mended before more are asked for."""
    assert not reachable(Tally((), mending=1))
