"""The driver: overlap, early stop, identical patches once, budgets, steering, and nothing left when it is stopped.

Everything here runs in virtual time: a step takes as long as its script says, and no test sleeps.
"""

import asyncio
import sys
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))

from simulated import clock

from thinklonger.agent.config import Strategy
from thinklonger.agent.errors import ModelError, SandboxError
from thinklonger.agent.protocols import Branch
from thinklonger.agent.search import (
    Draw,
    Failed,
    Halt,
    Happening,
    Kept,
    Noted,
    Place,
    Plan,
    Proposed,
    Pruned,
    Scored,
    Steering,
    Stopped,
    Trial,
    Verified,
    WaveBegan,
    dev_search,
    plan_for,
)
from thinklonger.agent.types import Score, Stage

PASS = Trial(passed=True, facts=(1,))
SURE = Trial(passed=True, facts=(1,), convincing=True)
FAIL = Trial(passed=False)
MENDABLE = Trial(passed=False, mendable=True)


@dataclass
class Script:
    """Steps that take the time and give the answers that they are told to, and remember what was asked of them.

    `says` maps a branch's id to what it decides (its own id unless told: all differ); `score` and `trial` answer by
    what was decided. `seconds` says how long a sample (by its branch's id), a trial or a score takes.
    """

    says: Callable[[str], str | None] = lambda name: name
    trial: Callable[[str], Trial] = lambda _: PASS
    score_of: Callable[[str], float] = lambda _: 0.5
    seconds: Callable[[str], float] = lambda _: 1.0
    trial_seconds: float = 0.0
    score_seconds: float = 0.0
    errors: dict[str, str] = field(default_factory=dict)
    breaks: str = ""
    asked: list[tuple[str, str, Draw]] = field(default_factory=list)
    debugged: list[tuple[str, int]] = field(default_factory=list)
    scored: list[tuple[Stage, tuple[str, ...]]] = field(default_factory=list)
    tried: list[str] = field(default_factory=list)
    times: dict[str, float] = field(default_factory=dict)
    running: Counter[str] = field(default_factory=Counter)
    most: Counter[str] = field(default_factory=Counter)
    tokens: int = 0

    def understand(self, draw: Draw) -> AsyncGenerator[Branch | Noted[str]]:
        """See `Steps`."""
        return self._draw("", Stage.UNDERSTAND, draw)

    def localize(self, parent: Branch, draw: Draw) -> AsyncGenerator[Branch | Noted[str]]:
        """See `Steps`."""
        return self._draw(parent.id, Stage.LOCALIZE, draw)

    def patch(self, parent: Branch, draw: Draw) -> AsyncGenerator[Branch | Noted[str]]:
        """See `Steps`."""
        return self._draw(parent.id, Stage.PATCH, draw)

    async def debug(self, failed: Branch, _trial: Trial, turn: int) -> AsyncGenerator[Branch | Noted[str]]:
        """See `Steps`."""
        self.debugged.append((failed.id, turn))
        name = f"{failed.id}.d{turn}"
        async with self._busy("generating"):
            await asyncio.sleep(self.seconds(name))
            if name in self.errors:
                raise ModelError(self.errors[name])
            if (decided := self.says(name)) is not None:
                yield Branch(name, Stage.PATCH, failed.id, decided)

    async def verify(self, patch: Branch) -> AsyncGenerator[Trial | Noted[str]]:
        """See `Steps`."""
        self.tried.append(patch.id)
        async with self._busy("verifying"):
            yield Noted(f"running {patch.id}")
            await asyncio.sleep(self.trial_seconds)
            if patch.id == self.breaks:
                raise SandboxError("sandbox.broken")
            yield self.trial(patch.decided)

    async def score(self, stage: Stage, branches: Sequence[Branch]) -> Sequence[Score]:
        """See `Steps`."""
        self.scored.append((stage, tuple(branch.id for branch in branches)))
        await asyncio.sleep(self.score_seconds)
        if stage.value in self.errors:
            raise ModelError(self.errors[stage.value])
        return [Score(self.score_of(branch.decided), "judge") for branch in branches]

    async def _draw(self, parent: str, stage: Stage, draw: Draw) -> AsyncGenerator[Branch | Noted[str]]:
        self.asked.append((parent, stage.value, draw))
        self.times.setdefault(f"ask {stage.value} {parent}", asyncio.get_running_loop().time())
        began = asyncio.get_running_loop().time()
        names = [
            ".".join(filter(None, (parent, f"{stage.value[0]}{number}")))
            for number in range(draw.first, draw.first + draw.count)
        ]
        async with self._busy("generating"):
            for name in sorted(names, key=self.seconds):
                await asyncio.sleep(max(0.0, began + self.seconds(name) - asyncio.get_running_loop().time()))
                yield Noted(f"heard {name}")
                self.tokens += 100
                if name in self.errors:
                    raise ModelError(self.errors[name])
                if (decided := self.says(name)) is not None:
                    self.times[name] = asyncio.get_running_loop().time()
                    yield Branch(name, stage, parent, decided, files=(PurePosixPath(f"{decided}.py"),))

    def _busy(self, what: str) -> "_Busy":
        return _Busy(self, what)


@dataclass
class _Busy:
    script: Script
    what: str

    async def __aenter__(self) -> None:
        self.script.running[self.what] += 1
        self.script.most[self.what] = max(self.script.most[self.what], self.script.running[self.what])

    async def __aexit__(self, *_: object) -> None:
        self.script.running[self.what] -= 1


@dataclass
class Run:
    """What a search told, and when."""

    told: list[Happening] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    at: list[float] = field(default_factory=list)

    @property
    def stopped(self) -> Stopped:
        """The last word."""
        last = self.told[-1]
        assert isinstance(last, Stopped)
        return last

    def ids(self, kind: type[Proposed | Kept | Pruned | Scored | Verified]) -> list[str]:
        """The branches of one kind of happening, in order."""
        return [item.branch.id for item in self.told if isinstance(item, kind)]

    def time_of(self, kind: type[Happening], branch: str = "") -> float:
        """When something happened first."""
        for item, at in zip(self.told, self.at, strict=True):
            if isinstance(item, kind) and (not branch or getattr(item, "branch", None).id == branch):  # type: ignore[union-attr]
                return at
        raise AssertionError(branch)

    @property
    def best(self) -> str:
        """What the best patch decided."""
        return self.stopped.ranking[0].branch.decided


async def told(  # noqa: PLR0913 (what a search takes)
    script: Script,
    plan: Plan,
    *,
    steering: Steering | None = None,
    spent: Callable[[], float] = lambda: 0,
    roots: Sequence[Branch] = (),
    hear: Callable[[Happening], None] = lambda _: None,
) -> Run:
    """Search to the end and collect what was told."""
    run = Run()
    async for item in dev_search(script, plan, steering=steering, spent=spent, roots=roots):
        if isinstance(item, Noted):
            run.notes.append(item.note)
        else:
            run.told.append(item)
            run.at.append(asyncio.get_running_loop().time())
            hear(item)
    others = asyncio.all_tasks() - {asyncio.current_task()}
    assert not others
    assert not +script.running
    return run


def search(script: Script, plan: Plan, **options: object) -> Run:
    """Run a search in virtual time."""
    return clock.run(told(script, plan, **options))  # type: ignore[arg-type]


def virtually(main: Coroutine[object, object, None]) -> None:
    """Run a test's own coroutine in virtual time."""
    clock.run(main)


def letter(name: str) -> str:
    """The last part of a branch's id: `p3` of `u1.l2.p3`."""
    return name.rpartition(".")[2]


# ── the search finds it ──────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("strategy", Strategy)
def test_every_strategy_finds_the_one_right_patch(strategy: Strategy) -> None:
    """Of five rollouts one is right: it is found, verified and ranked first; five rollouts, no more, were spent."""
    count = 0

    def says(name: str) -> str:
        nonlocal count
        if ".p" not in name:
            return name
        count += 1
        return "right" if count == 3 else name

    script = Script(says=says, trial=lambda decided: PASS if decided == "right" else FAIL)
    run = search(script, plan_for(strategy, budget=5))
    assert run.best == "right"
    assert run.stopped.ranking[0].trial == PASS
    assert (run.stopped.halt, run.stopped.rollouts) == (Halt.ROLLOUTS, 5)


@pytest.mark.parametrize("strategy", Strategy)
def test_where_none_is_right_none_passes(strategy: Strategy) -> None:
    """A search that finds nothing says so: all that it ranks has failed."""
    run = search(Script(trial=lambda _: FAIL), plan_for(strategy, budget=5))
    assert run.stopped.ranking
    assert all(entrant.trial == FAIL for entrant in run.stopped.ranking)


def test_one_rollout_is_one_chain() -> None:
    """A budget of one asks each stage once, and nobody to judge where there is nothing to choose."""
    script = Script()
    run = search(script, plan_for(Strategy.DEV_SEARCH, budget=1))
    assert [(parent, stage, draw.count) for parent, stage, draw in script.asked] == [
        ("", "understand", 1),
        ("u1", "localize", 1),
        ("u1.l1", "patch", 1),
    ]
    assert [stage for stage, _ in script.scored] == [Stage.PATCH]
    assert run.stopped.rollouts == 1


def test_the_best_branches_go_on() -> None:
    """Understand and localize keep the two that the judge believes most; patches are shared out between them."""
    beliefs = {"u2": 0.9, "u4": 0.8, "u2.l2": 0.7, "u4.l1": 0.6}
    script = Script(score_of=lambda decided: beliefs.get(decided, 0.1))
    run = search(script, plan_for(Strategy.DEV_SEARCH, budget=8, samples=4, keep=2))
    assert set(run.ids(Kept)) == {"u2", "u4", "u2.l2", "u4.l1"}
    assert {(parent, draw.count) for parent, stage, draw in script.asked if stage == "patch"} == {
        ("u2.l2", 4),
        ("u4.l1", 4),
    }
    assert set(run.ids(Pruned)) == {"u1", "u3", "u2.l1", "u4.l2"}


def test_a_stage_is_judged_in_one_call() -> None:
    """All branches of a stage below one parent are scored at once, and the patches that passed once at the end."""
    script = Script()
    search(script, plan_for(Strategy.DEV_SEARCH, budget=4))
    assert [(stage.value, len(names)) for stage, names in script.scored] == [
        ("understand", 4),
        ("localize", 2),
        ("localize", 2),
        ("patch", 4),
    ]


@pytest.mark.parametrize("strategy", [Strategy.EXEC, Strategy.VOTING])
def test_strategies_without_a_judge_ask_none(strategy: Strategy) -> None:
    """Under exec and voting nobody asks a judge, and each rollout goes its own way."""
    script = Script()
    search(script, plan_for(strategy, budget=4))
    assert not script.scored
    assert len({parent for parent, stage, _ in script.asked if stage == "patch"}) == 4


def test_notes_come_through_in_their_order() -> None:
    """What steps want in the record is passed on, before the branch that it led to."""
    run = search(Script(), plan_for(Strategy.DEV_SEARCH, budget=1))
    assert run.notes == ["heard u1", "heard u1.l1", "heard u1.l1.p1", "running u1.l1.p1"]


# ── time ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_nothing_is_lost_between_stages() -> None:
    """With steps that take their time, the search itself adds none: each stage begins when the one before ends."""
    script = Script(score_seconds=0.25, trial_seconds=3)
    run = search(script, plan_for(Strategy.DEV_SEARCH, budget=8))
    assert run.at[-1] == pytest.approx(1 + 0.25 + 1 + 0.25 + 1 + 2 * 3 + 0.25)


def test_branches_go_on_by_themselves() -> None:
    """A kept branch whose places are there is patched while its sibling still localizes."""
    script = Script(seconds=lambda name: 9 if name.startswith("u2.l") else 1)
    run = search(script, plan_for(Strategy.DEV_SEARCH, budget=4, samples=2))
    assert script.times["ask patch u1.l1"] == 2
    assert script.times["ask patch u2.l1"] == 10
    assert run.time_of(Verified, "u1.l1.p1") == 3


def test_verification_runs_beside_generation() -> None:
    """Each patch is verified when it is complete, while its siblings are still written."""
    script = Script(seconds=lambda name: int(name[-1]) if ".p" in name else 1, trial_seconds=1)
    run = search(script, plan_for(Strategy.DEV_SEARCH, budget=4, samples=1, keep=1))
    times = [run.time_of(Verified, f"u1.l1.p{number}") for number in range(1, 5)]
    assert times == [4, 5, 6, 7]


def test_no_more_patches_are_verified_at_once_than_there_are_workers() -> None:
    """Workers bound verification, and are all used."""
    script = Script(trial_seconds=5)
    search(script, plan_for(Strategy.EXEC, budget=8, workers=3))
    assert script.most["verifying"] == 3


# ── identical patches, debugging ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("trial_seconds", [0.0, 5.0])
def test_identical_patches_are_verified_once(trial_seconds: float) -> None:
    """Eight rollouts, one patch: it runs once, all eight share the result, and it has eight votes."""
    script = Script(
        says=lambda name: "same" if ".p" in name else name, seconds=lambda n: ord(n[-1]), trial_seconds=trial_seconds
    )
    run = search(script, plan_for(Strategy.DEV_SEARCH, budget=8))
    assert len(script.tried) == 1
    shared = [item for item in run.told if isinstance(item, Verified) and item.like]
    assert len(shared) == 7
    assert {item.like for item in shared} == set(script.tried)
    (entrant,) = run.stopped.ranking
    assert (entrant.votes, entrant.of, entrant.agreement) == (8, 8, 1.0)


def test_a_failure_is_mended_at_most_twice() -> None:
    """Feedback goes back two times for one rollout, and no debug round is a rollout."""
    script = Script(trial=lambda _: MENDABLE)
    run = search(script, plan_for(Strategy.DEV_SEARCH, budget=1))
    assert script.debugged == [("u1.l1.p1", 1), ("u1.l1.p1.d1", 2)]
    assert run.stopped.rollouts == 1


def test_a_mended_patch_gets_the_rollouts_vote() -> None:
    """What feedback made of a patch is what the rollout ended in."""
    script = Script(
        says=lambda name: "mended" if ".d" in name else "wrong" if ".p" in name else name,
        trial=lambda decided: PASS if decided == "mended" else MENDABLE,
    )
    run = search(script, plan_for(Strategy.DEV_SEARCH, budget=4))
    assert {e.branch.decided: e.votes for e in run.stopped.ranking} == {"mended": 4, "wrong": 0}
    assert len(script.debugged) == 1
    assert run.best == "mended"


def test_mending_in_circles_ends() -> None:
    """Two failed patches that are mended into each other do not wait for each other, and each is run once."""
    script = Script(
        says=lambda name: (
            {"p1": "a", "p2": "b"}.get(letter(name), "b" if name.endswith("p1.d1") else "a") if ".p" in name else name
        ),
        trial=lambda _: MENDABLE,
    )
    run = search(script, plan_for(Strategy.DEV_SEARCH, budget=2, samples=1, keep=1))
    assert len(script.tried) == 2
    assert sum(entrant.votes for entrant in run.stopped.ranking) == 2


def test_what_feedback_can_not_mend_is_not_debugged() -> None:
    """A failure that says nothing useful costs no debug round."""
    script = Script(trial=lambda _: FAIL)
    search(script, plan_for(Strategy.DEV_SEARCH, budget=4))
    assert not script.debugged


# ── adaptive ─────────────────────────────────────────────────────────────────────────────────────────────────────


def waves(run: Run) -> list[int]:
    """The rollouts at the end of each wave that began."""
    return [item.rollouts for item in run.told if isinstance(item, WaveBegan)]


def test_an_easy_issue_takes_one_rollout() -> None:
    """A first patch with complete evidence ends the search."""
    run = search(Script(trial=lambda _: SURE), plan_for(Strategy.ADAPTIVE))
    assert (run.stopped.halt, run.stopped.rollouts, waves(run)) == (Halt.SETTLED, 1, [1])


def test_two_that_agree_and_pass_are_enough() -> None:
    """Where no patch is convincing alone, a second one that is the same ends the search."""
    script = Script(says=lambda name: "same" if ".p" in name else name)
    run = search(script, plan_for(Strategy.ADAPTIVE))
    assert (run.stopped.halt, run.stopped.rollouts, waves(run)) == (Halt.SETTLED, 2, [1, 2])


@pytest.mark.parametrize("trial", [PASS, FAIL])
def test_more_is_spent_where_candidates_disagree_or_fail(trial: Trial) -> None:
    """Patches that all differ, or all fail, use the whole budget in waves that double."""
    run = search(Script(trial=lambda _: trial), plan_for(Strategy.ADAPTIVE))
    assert (run.stopped.halt, run.stopped.rollouts, waves(run)) == (Halt.ROLLOUTS, 8, [1, 2, 4, 8])


def test_later_waves_look_wider() -> None:
    """A later wave numbers on where the earlier ended, and proposes other files, not only other patches."""
    script = Script(trial=lambda _: FAIL)
    search(script, plan_for(Strategy.ADAPTIVE))
    understood = [(draw.first, draw.count, draw.wave) for _, stage, draw in script.asked if stage == "understand"]
    assert understood == [(1, 1, 1), (2, 1, 2), (3, 2, 3)]
    drawn = Counter[str]()
    for parent, _, draw in script.asked:
        assert draw.first == drawn[parent] + 1
        drawn[parent] += draw.count


def test_agreement_stops_the_siblings() -> None:
    """When most rollouts of a wave agree and pass, those still being written are not waited for."""
    names: list[str] = []

    def says(name: str) -> str:
        if ".p" not in name:
            return name
        names.append(name)
        return name if len(names) < 3 else "same"

    script = Script(says=says, seconds=lambda name: 1000 if len(names) >= 7 and ".p" in name else 1)
    run = search(script, plan_for(Strategy.ADAPTIVE, samples=1, keep=1))
    assert run.stopped.halt is Halt.SETTLED
    assert run.best == "same"
    assert run.at[-1] < 900


def test_a_wave_does_not_wait_for_tests_that_decide_nothing() -> None:
    """Two different patches: the next wave begins while they are still run, for neither has a majority."""
    script = Script(trial_seconds=100)
    run = search(script, plan_for(Strategy.ADAPTIVE, budget=4))
    began = [at for item, at in zip(run.told, run.at, strict=True) if isinstance(item, WaveBegan)]
    assert began[1] >= 100
    assert began[2] < 110


# ── budgets ──────────────────────────────────────────────────────────────────────────────────────────────────────


@given(
    st.sampled_from(list(Strategy)),
    st.integers(1, 9),
    st.integers(1, 5),
    st.integers(1, 3),
    st.randoms(use_true_random=False),
)
def test_no_search_ever_exceeds_its_rollouts(strategy, budget, samples, keep, chance) -> None:  # type: ignore[no-untyped-def] # noqa: ANN001
    """Whatever steps give, reject, repeat or break: at most so many patches are asked for, all is ranked, all ends."""
    fates = ["", "", "", "reject", "same", "error"]
    errors: dict[str, str] = {}

    def says(name: str) -> str | None:
        fate = chance.choice(fates)
        return None if fate == "reject" else f"same {name.count('.')}" if fate == "same" else name

    def seconds(name: str) -> float:
        if name not in script.times and chance.random() < 0.05:
            errors[name] = "model.stream-cut"
        return 1 + sum(map(ord, name)) % 7

    trials = [PASS, FAIL, MENDABLE, SURE, Trial(passed=None)]
    script = Script(says=says, seconds=seconds, trial=lambda _: chance.choice(trials), errors=errors, trial_seconds=2)
    run = search(script, plan_for(strategy, budget=budget, samples=samples, keep=keep))
    patches = [name for name in run.ids(Proposed) if ".p" in name and ".d" not in name]
    assert len(patches) <= run.stopped.rollouts <= budget
    ranked = [entrant.branch.decided for entrant in run.stopped.ranking]
    assert len(set(ranked)) == len(ranked)
    assert set(script.tried) == {entrant.branch.id for entrant in run.stopped.ranking}
    passed = {entrant.branch.id for entrant in run.stopped.ranking if entrant.trial and entrant.trial.passed}
    assert not passed or run.stopped.ranking[0].branch.id in passed


def test_the_allowance_ends_generation_not_verification() -> None:
    """When the tokens are used up no more is asked for; patches that are complete still get their verdict."""
    script = Script(seconds=lambda name: int(name[-1]) if ".p" in name else 1, trial_seconds=50)
    plan = plan_for(Strategy.DEV_SEARCH, budget=8, samples=1, keep=1, allowance=500)
    run = search(script, plan, spent=lambda: script.tokens)
    assert (run.stopped.halt, script.tokens) == (Halt.ALLOWANCE, 500)
    assert [entrant.trial for entrant in run.stopped.ranking] == [PASS] * len(run.stopped.ranking)
    assert 2 <= len(run.stopped.ranking) <= 3


def test_no_allowance_asks_for_nothing() -> None:
    """A search that may spend nothing stops before its first patch."""
    script = Script()
    run = search(script, plan_for(Strategy.DEV_SEARCH, allowance=0))
    assert (run.stopped.halt, run.stopped.ranking) == (Halt.ALLOWANCE, ())


# ── trouble ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_trouble_of_one_branch_is_that_branchs() -> None:
    """A request that fails ends its branch with the reason; its rollouts go to the others."""
    script = Script(errors={"u1.l1.p1": "model.context-overflow"}, seconds=lambda name: 1 + len(name) / 100)
    run = search(script, plan_for(Strategy.DEV_SEARCH, budget=4, samples=2))
    failed = [item for item in run.told if isinstance(item, Failed)]
    assert [(item.branch, item.stage, item.why.key) for item in failed] == [
        ("u1.l1", Stage.PATCH, "model.context-overflow")
    ]
    assert run.stopped.halt is Halt.ROLLOUTS
    assert len(run.stopped.ranking) == 4


@pytest.mark.parametrize("trouble", ["unreachable", "auth", "model-not-found"])
def test_a_server_that_is_gone_stops_the_search(trouble: str) -> None:
    """No other branch is tried; what is complete is verified and ranked, and the error is handed over."""
    script = Script(
        errors={"u2.l1.p1": f"model.{trouble}"}, seconds=lambda n: 3 if "u2.l1.p" in n else 1, trial_seconds=9
    )
    run = search(script, plan_for(Strategy.DEV_SEARCH, budget=4, samples=2))
    assert run.stopped.halt is Halt.TROUBLE
    assert run.stopped.error is not None
    assert run.stopped.error.message.key == f"model.{trouble}"
    assert [entrant.trial for entrant in run.stopped.ranking] == [PASS, PASS]
    assert run.at[-1] == 3 + 9


def test_a_judge_that_fails_is_done_without() -> None:
    """Where scores can't be had, branches go on in their order, and the record says why."""
    script = Script(errors={"understand": "model.bad-parameter"})
    run = search(script, plan_for(Strategy.DEV_SEARCH, budget=2, samples=4, keep=1))
    assert run.ids(Kept)[0] == "u1"
    assert run.stopped.halt is Halt.ROLLOUTS


def test_nothing_proposed_is_an_end() -> None:
    """A model whose every answer is rejected is asked again a few times, and then the search says that it is over."""
    script = Script(says=lambda _: None)
    run = search(script, plan_for(Strategy.DEV_SEARCH, budget=4))
    assert (run.stopped.halt, run.stopped.ranking, run.stopped.rollouts) == (Halt.EXHAUSTED, (), 0)
    assert 1 < len(script.asked) <= 3


def test_other_errors_come_out() -> None:
    """A sandbox that breaks is no matter of a branch: the error is the search's, and nothing is left running."""
    script = Script(breaks="u1.l1.p1", seconds=lambda n: 100 if n == "u1.l1.p2" else 1)

    async def main() -> None:
        with pytest.raises(SandboxError):
            await told(script, plan_for(Strategy.DEV_SEARCH, budget=2, samples=1, keep=1))
        assert len(asyncio.all_tasks()) == 1
        assert not +script.running
        assert asyncio.get_running_loop().time() < 10

    virtually(main())


# ── stopping ─────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("after", [0.5, 1.5, 2.5, 3.5, 6.0])
def test_closing_leaves_nothing_running(after: float) -> None:
    """Whenever it is closed (while files, places or patches are written, or patches run), all ends at once."""
    script = Script(trial_seconds=100, seconds=lambda name: 50 if name.endswith("p4") else 1)

    async def main() -> None:
        stream = dev_search(script, plan_for(Strategy.DEV_SEARCH))
        with suppress(TimeoutError):
            async with asyncio.timeout(after):
                async for item in stream:
                    assert not isinstance(item, Stopped)
        await stream.aclose()
        assert asyncio.get_running_loop().time() == after
        assert len(asyncio.all_tasks()) == 1
        assert not +script.running

    virtually(main())


def test_closing_between_two_words_leaves_nothing_running() -> None:
    """Who has heard enough closes the stream, and its streams are closed with it."""
    script = Script()

    async def main() -> None:
        stream = dev_search(script, plan_for(Strategy.EXEC))
        async for item in stream:
            if isinstance(item, Verified):
                break
        await stream.aclose()
        assert len(asyncio.all_tasks()) == 1
        assert not +script.running

    virtually(main())


def test_who_steers_can_stop_it() -> None:
    """Stopped while patches are run and written, it ends at once and still says what it has found."""
    steering = Steering()

    def hear(item: Happening) -> None:
        if isinstance(item, Verified):
            steering.stop()

    script = Script(trial_seconds=10, seconds=lambda name: 500 if name.endswith("p4") else 1)
    run = search(script, plan_for(Strategy.EXEC, budget=8, workers=1), steering=steering, hear=hear)
    assert run.stopped.halt is Halt.STEERED
    assert run.at[-1] == 13
    assert run.stopped.ranking[0].trial == PASS
    assert [entrant.trial for entrant in run.stopped.ranking[1:]] == [None] * 7


# ── steering ─────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", ["u1", "u3.l1"])
def test_a_promoted_branch_goes_on_while_the_search_runs(name: str) -> None:
    """A pruned branch that the user promotes gets a rollout of its own, beyond the budget."""
    steering = Steering()

    def hear(item: Happening) -> None:
        if isinstance(item, Pruned) and item.branch.id == name:
            steering.promote(name)

    script = Script(score_of=lambda decided: int(decided[-1]) / 10)
    run = search(script, plan_for(Strategy.DEV_SEARCH, budget=4), steering=steering, hear=hear)
    assert [item.branch.id for item in run.told if isinstance(item, Kept) and item.promoted] == [name]
    assert any(patch.startswith(f"{name}.") for patch in run.ids(Verified))
    assert run.stopped.rollouts == 5


def test_a_settled_search_still_sees_a_promoted_branch_through() -> None:
    """What the user asked for is not dropped because others agree meanwhile."""
    steering = Steering()

    def hear(item: Happening) -> None:
        if isinstance(item, Pruned) and item.branch.id == "u3":
            steering.promote("u3")

    names: list[str] = []

    def says(name: str) -> str:
        names.append(name)
        return "same" if ".p" in name and not name.startswith("u3") and len(names) > 12 else name

    script = Script(
        says=says,
        score_of=lambda decided: 0.9 if decided in ("u1", "u2") else 0.1,
        seconds=lambda name: 500 if name.startswith("u3.") else 1,
    )
    run = search(script, plan_for(Strategy.ADAPTIVE), steering=steering, hear=hear)
    assert "u3.l1.p1" in run.ids(Verified)


def test_excluding_a_file_ends_what_is_under_way_there() -> None:
    """A branch of files that the user excludes is closed at once; its rollouts go to the others."""
    steering = Steering()

    def hear(item: Happening) -> None:
        if isinstance(item, Kept) and item.branch.id == "u2":
            steering.exclude(Place(PurePosixPath("u1.py")))

    script = Script(seconds=lambda name: 500 if name.startswith("u1.") else 1)
    run = search(script, plan_for(Strategy.DEV_SEARCH, budget=4, samples=2), steering=steering, hear=hear)
    assert "u1" in run.ids(Pruned)
    assert run.at[-1] < 100
    assert (len(run.stopped.ranking), run.stopped.rollouts) == (4, 4)
    assert all(entrant.branch.id.startswith("u2.") for entrant in run.stopped.ranking)


def test_an_excluded_patch_is_not_run_until_it_is_promoted() -> None:
    """A patch of an excluded place is pruned, not run; promoted, it is run like any other."""
    excluded = [Place(PurePosixPath(f"u1.l1.p{number}.py")) for number in (1, 2)]
    steering = Steering(excluded=excluded)

    def hear(item: Happening) -> None:
        if isinstance(item, Pruned) and item.branch.id == "u1.l1.p1":
            steering.promote("u1.l1.p1")

    script = Script(seconds=lambda name: int(name[-1]))
    plan = plan_for(Strategy.DEV_SEARCH, budget=3, samples=1, keep=1)
    run = search(script, plan, steering=steering, hear=hear)
    assert run.ids(Pruned) == ["u1.l1.p1", "u1.l1.p2"]
    assert sorted(run.ids(Verified)) == ["u1.l1.p1", "u1.l1.p3"]


@pytest.mark.parametrize("stage", [Stage.UNDERSTAND, Stage.LOCALIZE])
def test_a_search_can_start_from_a_branch(stage: Stage) -> None:
    """Restarted from files or places of an earlier search, nothing before them is asked again."""
    root = Branch("u7" if stage is Stage.UNDERSTAND else "u7.l2", stage, "", "earlier")
    script = Script()
    run = search(script, plan_for(Strategy.DEV_SEARCH, budget=4), roots=[root])
    assert "understand" not in {name for _, name, _ in script.asked}
    assert all(entrant.branch.id.startswith(root.id) for entrant in run.stopped.ranking)
    assert run.stopped.rollouts == 4


def test_given_patches_compete() -> None:
    """A patch from elsewhere (the built-in solver's) is verified and ranked beside the search's own; no rollout."""
    given_patch = Branch("solver", Stage.PATCH, "", "solved")
    script = Script(trial=lambda decided: PASS if decided == "solved" else FAIL)
    run = search(script, plan_for(Strategy.DEV_SEARCH, budget=2), roots=[given_patch])
    assert run.best == "solved"
    assert (run.stopped.ranking[0].votes, run.stopped.rollouts) == (0, 2)
