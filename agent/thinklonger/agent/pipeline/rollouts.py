"""The decisions of a model's rollouts: each stage asked, each patch run, each decision judged.

What `search.dev_search` drives; everything that comes back goes into the record as a note.
"""

import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import TypeAlias

from thinklonger.agent.config import Effort, ThinkingSettings
from thinklonger.agent.edits import layer_of, render_diff
from thinklonger.agent.execution import Harness
from thinklonger.agent.pipeline.memory import Memory
from thinklonger.agent.pipeline.survey import Survey
from thinklonger.agent.pipeline.telling import Teller
from thinklonger.agent.protocols import Asked, Asking, Branch, ChatModel, Heard, Rejected, Reward, Task
from thinklonger.agent.search import Draw, Noted, Trial
from thinklonger.agent.stages.localize.asking import ask_locations
from thinklonger.agent.stages.patch import Proposal
from thinklonger.agent.stages.patch.asking import ask_patches
from thinklonger.agent.stages.patch.debugging import Checked, Failure, ask_debug
from thinklonger.agent.stages.understand.asking import ask_files
from thinklonger.agent.stages.verify.exercising import exercising
from thinklonger.agent.trace.events import CandidatePruned, CandidateTested, Event
from thinklonger.agent.types import Candidate, FileState, Layer, Message, Score, Stage, TestResult, TestRun

Found: TypeAlias = AsyncGenerator[Branch | Noted[Event]]
Said: TypeAlias = AsyncGenerator[Asked | Heard | Rejected | Branch]

THINKING = {Effort.LOW: 4096, Effort.MEDIUM: 12288, Effort.HIGH: 32768}
"""Tokens of one reply's thinking, by effort."""

AUTO_FIRST, AUTO_MOST = 8192, 32768
"""Where we choose: of a first reply; each further wave (the candidates disagree or fail) has twice as much."""

CONVINCING = 8  # tests that run the lines which a patch changes: so many need no second opinion


def thinking_tokens(settings: ThinkingSettings, wave: int) -> int:
    """How long one reply may think in a search's wave (from 1); longer where earlier waves have not settled it."""
    if settings.tokens is not None:
        return settings.tokens
    if settings.effort is Effort.AUTO:
        return min(AUTO_MOST, AUTO_FIRST * 2 ** (wave - 1))
    return THINKING[settings.effort]


@dataclass(frozen=True, slots=True)
class Run:
    """One run of a patch: what the tests said, and whether it was one of the reproduction's that is red."""

    run: TestRun
    red: tuple[TestResult, ...]
    reproduction: frozenset[str]

    @property
    def failure(self) -> Failure:
        """What is fed back."""
        own = tuple(result for result in self.red if result.id in self.reproduction)
        if own:
            return Failure(Checked.REPRODUCTION, own, self.run.output)
        return Failure(Checked.REGRESSION, self.red, self.run.output)


@dataclass(slots=True)
class Decisions:
    """The steps of one search (`search.Steps`).

    `flags` says what of a candidate looks like cheating. `harness` runs patches over `base`; without one none is run.
    `proposals` are the model's patches as views show them, `passed` those that every test that was run is green on.
    """

    survey: Survey
    model: ChatModel
    process: Reward
    outcome: Reward
    task: Task
    teller: Teller
    tests: tuple[str, ...]
    seconds_per_test: float
    flags: Callable[[Proposal], int]
    harness: Harness | None = None
    base: Layer = field(default_factory=dict[PurePosixPath, FileState | None])
    memory: Memory = field(default_factory=Memory)
    proposals: dict[str, Proposal] = field(default_factory=dict[str, Proposal])
    passed: dict[str, Proposal] = field(default_factory=dict[str, Proposal])
    runs: dict[str, Run] = field(default_factory=dict[str, Run])

    def understand(self, draw: Draw) -> Found:
        """Which files; see `search.Steps`."""
        return self._told(ask_files(self._asking(draw), self.task, self.survey.files))

    def localize(self, parent: Branch, draw: Draw) -> Found:
        """Which places; see `search.Steps`."""
        return self._told(ask_locations(self._asking(draw), self.task, parent))

    def patch(self, parent: Branch, draw: Draw) -> Found:
        """Which patch; see `search.Steps`."""
        return self._told(ask_patches(self._asking(draw), self.task, parent, tree=self.survey.repository))

    def debug(self, failed: Branch, trial: Trial, round: int) -> Found:  # noqa: A002, ARG002 (the port's words)
        """A better patch after one that failed; see `search.Steps`."""
        asking = self._asking(Draw(round, 1, wave=1 + round))
        failure = self.runs[failed.id].failure
        return self._told(ask_debug(asking, self.task, failed, tree=self.survey.repository, failure=failure))

    async def verify(self, patch: Branch) -> AsyncIterator[Trial | Noted[Event]]:
        """Run a patch against the red tests and the quick green ones; see `search.Steps`."""
        candidate = patch.candidate
        if candidate is None:
            raise ValueError(patch.id)
        proposal = self.proposals[patch.id]
        size = sum(line[:1] in "+-" and line[:3] not in ("+++", "---") for line in proposal.diff.splitlines() if line)
        flags = self.flags(proposal)
        harness, reproduction = self.harness, self.survey.reproduction
        if harness is None or reproduction is None:
            yield Trial(None, flags=flags, size=size)
            return
        started = time.monotonic()
        layer = {**self.base, **layer_of(candidate.changes), **reproduction.layer}
        ran = self.memory.runs.get(patch.id)
        if ran is None:
            ran = (await harness.run(self.tests, layer=layer, seconds_per_test=self.seconds_per_test)).run
        green = {result.id for result in ran.results if result.outcome.green}
        red = tuple(result for result in ran.results if result.outcome.red)
        own = frozenset(reproduction.tests)
        run = self.runs[patch.id] = Run(ran, red, own)
        passed = ran.complete and not red and own <= green
        seconds = time.monotonic() - started
        yield Noted(CandidateTested(patch.id, "screening", len(green), len(red), seconds, run=ran))
        if passed:
            self.passed[patch.id] = proposal
        else:
            yield Noted(CandidatePruned(patch.id, why_red(run)))
        telling = exercising(candidate.changes, self.survey.coverage)
        yield Trial(
            passed,
            facts=(len(own & green), -len([result for result in red if result.id not in own])),
            flags=flags,
            size=size,
            convincing=passed and not flags and len(telling) >= CONVINCING,
            mendable=bool(red),
        )

    async def score(self, stage: Stage, branches: Sequence[Branch]) -> Sequence[Score]:
        """Judge decisions; see `search.Steps`."""
        known = [self.memory.scores[branch.id] for branch in branches if branch.id in self.memory.scores]
        if len(known) == len(branches):
            return known
        reward = self.outcome if stage is Stage.PATCH else self.process
        return await reward.score(self.task, branches)

    def _asking(self, draw: Draw) -> Asking:
        settings = self.survey.request.settings
        return Asking(
            model=self.model,
            samples=draw.count,
            first=draw.first,
            thinking_tokens=thinking_tokens(settings.thinking, draw.wave),
            answer_tokens=settings.thinking.answer_tokens,
            answer_now=self.survey.request.answer_now,
        )

    async def _told(self, said: Said) -> Found:
        """Branches as they are, all else as notes."""
        async with aclosing(said):
            async for item in said:
                if not isinstance(item, Branch):
                    for event in self.teller.tell(item):
                        yield Noted(event)
                    continue
                if item.candidate is not None:
                    self.proposals[item.id] = proposal_of(item.candidate)
                yield item


def proposal_of(candidate: Candidate) -> Proposal:
    """A candidate with its diff."""
    return Proposal(candidate, render_diff(candidate.changes))


def why_red(run: Run) -> Message:
    """What ended a candidate, in words."""
    if not run.red:
        return Message("pipeline.pruned-by-ending", {"ending": run.run.ending.value})
    first = next((result for result in run.red if result.id in run.reproduction), run.red[0])
    return Message(
        "pipeline.pruned-by-test",
        {"test": first.id, "outcome": first.outcome.value, "exception": first.exception or first.outcome.value},
    )
