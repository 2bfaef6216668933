"""The driver: waves of rollouts through understand, localize and patch, each patch verified when it is complete.

Nothing waits for what it does not need: each kept branch goes on by itself, scoring waits for its own siblings only,
and verification runs beside generation.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Sequence
from contextlib import aclosing
from functools import partial
from typing import Generic, TypeVar, cast

from thinklonger.agent.chat import Trouble
from thinklonger.agent.errors import ModelError
from thinklonger.agent.protocols import Branch
from thinklonger.agent.search.crew import Crew
from thinklonger.agent.search.ledger import ROOT, Entry, Ledger
from thinklonger.agent.search.nouns import (
    Draw,
    Failed,
    Halt,
    Happening,
    Kept,
    Noted,
    Proposed,
    Pruned,
    Scored,
    Stopped,
    Trial,
    Verified,
    WaveBegan,
)
from thinklonger.agent.search.plans import Criterion, Plan
from thinklonger.agent.search.selection import allot, choose, distinct, ranked, reachable, settled
from thinklonger.agent.search.steering import Standing, Steering
from thinklonger.agent.search.steps import Steps
from thinklonger.agent.search.streams import close, end, together
from thinklonger.agent.types import Message, Stage

Note = TypeVar("Note")
Item = TypeVar("Item")

USELESS = frozenset(f"model.{trouble}" for trouble in (Trouble.UNREACHABLE, Trouble.AUTH, Trouble.MODEL_NOT_FOUND))
"""Troubles after which asking the same server again is pointless."""
PASSES = 3
"""How often a wave asks for the rollouts that branches which ended did not bring."""


def _nothing() -> float:
    return 0.0


async def dev_search(
    steps: Steps[Note],
    plan: Plan,
    *,
    steering: Steering | None = None,
    spent: Callable[[], float] = _nothing,
    roots: Sequence[Branch] = (),
) -> AsyncGenerator[Happening | Noted[Note]]:
    """Search, and tell what happens as it happens; the last thing told is `Stopped`.

    `spent` says what has been used of the plan's allowance. `roots` are branches to start from instead of
    understanding: files or places of an earlier search or of the user's choice; patches among them are verified and
    ranked beside the search's own. Closing the generator ends all that is under way. Raises whatever a step raises,
    but for ModelError (see `Stopped.error`).
    """
    search = _Search(steps, plan, steering or Steering(), spent)
    running = asyncio.create_task(search.run(roots))
    running.add_done_callback(lambda _: search.wake.set())
    try:
        while True:
            search.wake.clear()
            while search.outbox:
                yield search.outbox.popleft()
            if running.done() and not search.outbox:
                break
            await search.wake.wait()
        running.result()
    finally:
        await end([running])


class _Search(Generic[Note]):
    """One search: the ledger says what has been done, the crew does it."""

    def __init__(self, steps: Steps[Note], plan: Plan, steering: Steering, spent: Callable[[], float]) -> None:
        self.steps = steps
        self.plan = plan
        self.steering = steering
        self.spent = spent
        self.ledger = Ledger()
        self.outbox: deque[Happening | Noted[Note]] = deque()
        self.wake = asyncio.Event()
        self.crew = Crew()
        self.workers = asyncio.Semaphore(plan.workers)
        self.wave = 0
        self.given: tuple[Branch, ...] = ()
        self.trouble: ModelError | None = None
        self.draining = False
        self.jobs: dict[str, asyncio.Task[None]] = {}
        self.dropped: set[str] = set()
        self.promoted: set[str] = set()
        self.promoting = 0

    # ── the whole ────────────────────────────────────────────────────────────────────────────────────────────────

    async def run(self, roots: Sequence[Branch]) -> None:
        """Search to the end, then judge and rank what was found."""
        self.steering.listen(self._steered)
        try:
            self._begin(roots)
            halt = await self._waves()
            self.draining = True
            await self.crew.end(self.crew.growing, self.crew.mending)
            if halt is not Halt.SETTLED:
                await self.crew.until(lambda: not self.crew.checking or self.steering.stopped)
            await self.crew.end()
            if self.trouble is None and not self.steering.stopped:
                await self._judge()
            ranking = ranked(self.ledger.entrants(), self.plan.criteria)
            rollouts = self.ledger.asked + self.ledger.granted
            self._tell(Stopped(halt, ranking, rollouts, self.trouble))
        finally:
            self.steering.listen(None)
            await self.crew.end()

    def _begin(self, roots: Sequence[Branch]) -> None:
        self.given = tuple(branch for branch in roots if branch.stage is not Stage.PATCH)
        for branch in roots:
            self.ledger.known[branch.id] = branch
            if branch.stage is Stage.PATCH:
                self._enter(branch, mended=0)

    async def _waves(self) -> Halt:
        for wave, target in enumerate(self.plan.waves, 1):
            self.wave = wave
            self._tell(WaveBegan(wave, target))
            self.crew.start(self.crew.growing, self._wave(target))
            await self.crew.until(lambda: self._halt() is not None or not (self.crew.growing or self._worth_waiting()))
            if (halt := self._halt()) is not None:
                return halt
        await self.crew.until(lambda: self._halt() is not None or not self.crew.busy)
        if (halt := self._halt()) is not None:
            return halt
        return Halt.ROLLOUTS if self.ledger.asked >= self.plan.budget else Halt.EXHAUSTED

    def _halt(self) -> Halt | None:
        if self.steering.stopped:
            return Halt.STEERED
        if self.trouble is not None:
            return Halt.TROUBLE
        if self.plan.early and not self.promoting and settled(self.ledger.tally()) is not None:
            return Halt.SETTLED
        return Halt.ALLOWANCE if self._used_up() else None

    def _worth_waiting(self) -> bool:
        return self.plan.early and reachable(self.ledger.tally())

    def _used_up(self) -> bool:
        return self.plan.allowance is not None and self.spent() >= self.plan.allowance

    # ── a wave ───────────────────────────────────────────────────────────────────────────────────────────────────

    async def _wave(self, target: int) -> None:
        """Carry on until so many rollouts have been asked for, or nothing is left to ask."""
        for _ in range(PASSES):
            before = self.ledger.drawn.total()
            heads = await self._heads(target)
            wanted = allot(target - self.ledger.asked, [self.ledger.patches_below(head) for head in heads])
            heads = [head for head, count in zip(heads, wanted, strict=True) if count]
            samples, keeps = self._breadths(heads, target)
            await together(
                self._under(head, partial(self._head, head, samples=some, keep=keep, patches=patches))
                for head, some, keep, patches in zip(heads, samples, keeps, filter(None, wanted), strict=True)
            )
            if self.ledger.asked >= target or self.ledger.drawn.total() == before:
                return

    async def _heads(self, target: int) -> list[Branch]:
        """The branches that this wave goes on from, best first."""
        if self.given:
            return [branch for branch in self.given if branch.id not in self.ledger.dead]
        missing = min(self.plan.samples, target) - self.ledger.drawn[ROOT]
        if not self.ledger.living(ROOT):
            missing = max(missing, 1)
        if missing > 0 and ROOT not in self.ledger.dead:
            await self._decide(Stage.UNDERSTAND, None, missing)
        return await self._keep(Stage.UNDERSTAND, ROOT, min(self.plan.keep, target))

    def _breadths(self, heads: Sequence[Branch], target: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """How many places each head is to propose now, and how many of its places may go on."""
        drawn = [self.ledger.drawn[head.id] for head in heads]
        fruitless = sum(not self.ledger.living(head.id) for head in heads)
        more = max(min(self.plan.samples, target) - sum(drawn), fruitless)
        keep = max(min(self.plan.keep, target), len(heads))
        return allot(more, drawn), allot(keep, [0] * len(heads))

    async def _head(self, head: Branch, *, samples: int, keep: int, patches: int) -> None:
        if head.stage is Stage.LOCALIZE:
            await self._patch(head, patches)
            return
        if samples:
            await self._decide(Stage.LOCALIZE, head, samples)
        places = await self._keep(Stage.LOCALIZE, head.id, keep)
        if not places:
            self.ledger.dead.add(head.id)
        shares = allot(patches, [self.ledger.drawn[place.id] for place in places])
        await together(
            self._under(place, partial(self._patch, place, share))
            for place, share in zip(places, shares, strict=True)
            if share
        )

    async def _decide(self, stage: Stage, parent: Branch | None, count: int) -> None:
        """Draw samples of understand or localize."""
        name = parent.id if parent else ROOT
        draw = Draw(self.ledger.drawn[name] + 1, count, self.wave)
        self.ledger.drawn[name] += count
        stream = self.steps.localize(parent, draw) if parent else self.steps.understand(draw)
        try:
            async with aclosing(self._flow(stream)) as found:
                async for branch in found:
                    self._find(branch)
        except ModelError as error:
            self._failed(name, stage, error)

    async def _keep(self, stage: Stage, parent: str, keep: int) -> list[Branch]:
        """Score the branches below a parent, if there is anything to choose, and say which go on."""
        living = self.ledger.living(parent)
        if self.plan.prune and distinct(living) > keep:
            await self._score(stage, parent, living)
        choice = choose(
            living,
            keep=keep,
            scores=self.ledger.scores,
            standing=self.steering.standing,
            promoted=self.steering.promoted,
        )
        for branch in choice.kept:
            if branch.id not in self.ledger.kept:
                self.ledger.kept.add(branch.id)
                self._tell(Kept(branch, branch.id in self.steering.promoted))
        for branch, by in choice.pruned:
            if branch.id not in self.ledger.kept and branch.id not in self.ledger.pruned:
                self.ledger.pruned.add(branch.id)
                self._tell(Pruned(branch, by))
        return list(choice.kept)

    async def _score(self, stage: Stage, parent: str, branches: Sequence[Branch]) -> None:
        try:
            scores = await self.steps.score(stage, branches)
        except ModelError as error:
            self._failed(parent, stage, error, ends=False)
            return
        for branch, score in zip(branches, scores, strict=True):
            if self.ledger.scores.get(branch.id) != score:
                self.ledger.scores[branch.id] = score
                self._tell(Scored(branch, score))

    # ── patches ──────────────────────────────────────────────────────────────────────────────────────────────────

    async def _patch(self, place: Branch, count: int, *, granted: bool = False) -> None:
        """Draw patches and hand each one over as it comes; those that a broken request did not bring are given back."""
        ledger = self.ledger
        draw = Draw(ledger.drawn[place.id] + 1, count, self.wave)
        ledger.drawn[place.id] += count
        ledger.asked += 0 if granted else count
        ledger.granted += count if granted else 0
        ledger.generating += count
        missing = count
        try:
            async with aclosing(self._flow(self.steps.patch(place, draw))) as found:
                async for branch in found:
                    missing -= 1
                    ledger.generating -= 1
                    self._find(branch)
                    self._rollout(branch)
        except ModelError as error:
            ledger.asked -= 0 if granted else missing
            self._failed(place.id, Stage.PATCH, error)
        except asyncio.CancelledError:
            ledger.asked -= 0 if granted else missing
            raise
        finally:
            ledger.generating -= missing
            self.crew.look()

    def _rollout(self, branch: Branch) -> None:
        if self.steering.standing(branch) is Standing.EXCLUDED:
            self.ledger.pruned.add(branch.id)
            self._tell(Pruned(branch, Message("search.excluded")))
            return
        self.ledger.rollouts.append(branch.decided)
        self._enter(branch, mended=0)

    def _enter(self, branch: Branch, *, mended: int) -> None:
        """Have a patch verified, unless an identical one is: then they share the result."""
        entry = self.ledger.enter(branch)
        if entry is not None:
            self.crew.start(self.crew.checking, self._check(entry, mended))
        elif (trial := self.ledger.entries[branch.decided].trial) is not None:
            self._tell(Verified(branch, trial, self.ledger.entries[branch.decided].branch.id))
        self.crew.look()

    async def _check(self, entry: Entry, mended: int) -> None:
        """Run a patch; where it fails and feedback may help, ask for a better one."""
        trial = Trial(None)
        async with self.workers:
            try:
                async with aclosing(self._flow(self.steps.verify(entry.branch))) as said:
                    async for found in said:
                        trial = found
            except ModelError as error:
                self._failed(entry.branch.id, Stage.VERIFY, error, ends=False)
        entry.trial = trial
        self._tell(Verified(entry.branch, trial))
        for twin in entry.twins:
            self._tell(Verified(twin, trial, entry.branch.id))
        again = trial.passed is False and trial.mendable and mended < self.plan.debug_rounds
        if again and not self.draining and not self._used_up():
            entry.mending = True
            self.crew.start(self.crew.mending, self._mend(entry, trial, debugging=mended + 1))

    async def _mend(self, entry: Entry, trial: Trial, *, debugging: int) -> None:
        """Ask for a better patch, given how this one failed."""
        better: Branch | None = None
        try:
            async with aclosing(self._flow(self.steps.debug(entry.branch, trial, debugging))) as found:
                async for branch in found:
                    better = better or branch
        except ModelError as error:
            self._failed(entry.branch.id, Stage.PATCH, error, ends=False)
        entry.mending = False
        if better is None:
            return
        self._find(better)
        if self.steering.standing(better) is Standing.EXCLUDED:
            self._tell(Pruned(better, Message("search.excluded")))
            return
        self._enter(better, mended=debugging)
        entry.becomes = better.decided

    async def _judge(self) -> None:
        """Score the patches that the ranking has to tell apart, all at once."""
        if Criterion.OUTCOME not in self.plan.criteria:
            return
        entrants = self.ledger.entrants()
        passing = [entrant.branch for entrant in entrants if entrant.trial and entrant.trial.passed]
        judged = passing or [entrant.branch for entrant in entrants]
        if judged:
            await self._score(Stage.PATCH, ROOT, judged)

    # ── steering ─────────────────────────────────────────────────────────────────────────────────────────────────

    def _steered(self) -> None:
        """The user has said something: promote what is known, drop what is excluded now, or stop."""
        for name in sorted(self.steering.promoted - self.promoted):
            if (branch := self.ledger.known.get(name)) is not None and not self.draining:
                self.promoted.add(name)
                if name not in self.ledger.kept:
                    self.crew.start(self.crew.mending, self._promote(branch))
        for name, job in list(self.jobs.items()):
            if self.steering.standing(self.ledger.known[name]) is Standing.EXCLUDED:
                self.dropped.add(name)
                job.cancel()
        self.crew.look()

    async def _promote(self, branch: Branch) -> None:
        """Give a branch a rollout of its own, beyond the budget, and see it through."""
        self.promoting += 1
        self.ledger.kept.add(branch.id)
        self._tell(Kept(branch, promoted=True))
        try:
            if branch.stage is Stage.PATCH:
                self._rollout(branch)
            places = [branch] if branch.stage is Stage.LOCALIZE else []
            if branch.stage is Stage.UNDERSTAND:
                if not self.ledger.living(branch.id):
                    await self._decide(Stage.LOCALIZE, branch, 1)
                places = await self._keep(Stage.LOCALIZE, branch.id, 1)
            for place in places[:1]:
                await self._patch(place, 1, granted=True)
            own = {place.id for place in places} | {branch.id}
            await self.crew.until(lambda: not any(self._open(name) for name in own))
        finally:
            self.promoting -= 1

    def _open(self, place: str) -> bool:
        """Whether a patch below a place, or the patch itself, still has no trial."""
        return any(
            entry.trial is None and place in (entry.branch.parent, entry.branch.id)
            for entry in self.ledger.entries.values()
        )

    async def _under(self, branch: Branch, job: Callable[[], Coroutine[object, object, None]]) -> None:
        """Do a branch's job, unless and until the user excludes it."""
        task = asyncio.current_task()
        if task is None or self.steering.standing(branch) is Standing.EXCLUDED:
            self._drop(branch)
            return
        self.jobs[branch.id] = task
        try:
            await job()
        except asyncio.CancelledError:
            if branch.id not in self.dropped:
                raise
            task.uncancel()
            self._drop(branch)
        finally:
            del self.jobs[branch.id]

    def _drop(self, branch: Branch) -> None:
        self.ledger.dead.add(branch.id)
        self._tell(Pruned(branch, Message("search.excluded")))

    # ── plumbing ─────────────────────────────────────────────────────────────────────────────────────────────────

    async def _flow(self, stream: AsyncIterator[Item | Noted[Note]]) -> AsyncGenerator[Item]:
        """What a step gives, without its notes, which are passed on."""
        try:
            async for item in stream:
                if isinstance(item, Noted):
                    self._tell(cast("Noted[Note]", item))
                else:
                    yield item
        finally:
            await close(stream)

    def _tell(self, item: "Happening | Noted[Note]") -> None:
        self.outbox.append(item)
        self.wake.set()
        if self._used_up():
            self.crew.look()

    def _find(self, branch: Branch) -> None:
        self.ledger.find(branch)
        self._tell(Proposed(branch))

    def _failed(self, name: str, stage: Stage, error: ModelError, *, ends: bool = True) -> None:
        """Take a model's error down: the end of a branch, or of the search where no other branch can do better."""
        if error.message.key in USELESS:
            self.trouble = self.trouble or error
        elif ends and not (stage is Stage.LOCALIZE and self.ledger.living(name)):
            self.ledger.dead.add(name)
        self._tell(Failed(name, stage, error.message))
        self.crew.look()
