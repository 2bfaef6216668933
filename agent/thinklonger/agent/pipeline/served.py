"""The search for a patch with a served model, the built-in solver beside it: generation overlaps all that runs here.

Whichever is first to have a patch that is proved ends the other one's work; where none is proved, the patches of both
are compared, and the best is proved as far as it can be.
"""

import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field, replace

from thinklonger.agent.chat import ModelFacts, Usage
from thinklonger.agent.errors import ModelError
from thinklonger.agent.execution import Runner
from thinklonger.agent.model.asking import Streams
from thinklonger.agent.pipeline.memory import Remembering
from thinklonger.agent.pipeline.repair import Repair
from thinklonger.agent.pipeline.rewards import choose_rewards
from thinklonger.agent.pipeline.rollouts import Decisions, thinking_tokens
from thinklonger.agent.pipeline.telling import Teller, told_branch
from thinklonger.agent.pipeline.trial import Workshop
from thinklonger.agent.protocols import Asking, ChatModel, Task
from thinklonger.agent.search import (
    Entrant,
    Failed,
    Halt,
    Happening,
    Kept,
    Noted,
    Proposed,
    Pruned,
    Scored,
    Steering,
    Stopped,
    Verified,
    dev_search,
    plan_for,
)
from thinklonger.agent.stages.patch import Proposal
from thinklonger.agent.stages.verify.cheating import cheat_flags
from thinklonger.agent.stages.verify.checking import Judgement, check_reproduction
from thinklonger.agent.stages.verify.ranking import CandidateFacts
from thinklonger.agent.stages.verify.reasons import read_reasons
from thinklonger.agent.stages.verify.reproduction import Reproduction
from thinklonger.agent.stages.verify.scripting import Script, write_reproduction
from thinklonger.agent.trace.events import (
    BranchPromoted,
    BranchPruned,
    BranchScored,
    CandidateProposed,
    CandidatePruned,
    CandidateRanked,
    Event,
    ModelProbed,
    ProblemFound,
    RunFinished,
    StageFinished,
    StageStarted,
)
from thinklonger.agent.types import Candidate, Label, Localization, Message, Score, Stage, StopReason

REPRODUCTIONS = 2  # attempts of the model at a reproduction, beside each other
UNJUDGED = 0.5  # the belief in a patch that no judge has seen
SECONDS_PER_TEST = 10.0


@dataclass  # no slots: with them `super()` finds another class
class Served(Repair):
    """One search for a patch by a model and the solver; `search`, `prove` and `finish` in this order, as ever.

    `trouble` is the server's where nothing could be had of it; the solver goes on alone then.
    """

    model: ChatModel | None = None
    teller: Teller = field(default_factory=Teller)
    decisions: Decisions | None = None
    ranking: tuple[Entrant, ...] = ()
    trouble: ModelError | None = None
    halt: Halt | None = None
    judged: dict[str, Score] = field(default_factory=dict[str, Score])
    steering: Steering = field(init=False)
    spans: dict[Stage, list[float]] = field(default_factory=dict[Stage, list[float]])

    def __post_init__(self) -> None:
        """Take the user's hand on the search, or one that nobody moves."""
        self.steering = self.survey.request.steering or Steering()

    async def search(self) -> AsyncGenerator[Event]:
        """Ask the model and the solver for patches at the same time; see the module's words."""
        facts: ModelFacts | None = None
        started = time.monotonic()
        try:
            facts = await self._model.facts()
            yield ModelProbed(facts, time.monotonic() - started)
        except ModelError as error:
            self.trouble = error
            yield ProblemFound(error.message)
        if facts is not None and self.survey.workshop is not None and self.survey.reproduction is None:
            async for event in self._reproduce(self.survey.workshop):
                yield event
        yield StageStarted(Stage.PATCH)
        started = time.monotonic()
        streams = Streams[Event]()
        if facts is not None:
            streams.add(self._ask(facts))
        if self.survey.workshop is not None and self.survey.reproduction is not None:
            streams.add(self._solve(self.survey.workshop, self.survey.reproduction))
        async with aclosing(streams.items()) as events:
            async for event in events:
                yield event
        for stage in (Stage.UNDERSTAND, Stage.LOCALIZE):
            if stage in self.teller.usage:
                first, last = self.spans.get(stage, [0.0, 0.0])
                yield StageFinished(stage, last - first, self.teller.usage[stage])
        yield StageFinished(Stage.PATCH, time.monotonic() - started, self.teller.usage.get(Stage.PATCH, Usage()))
        self._stop()

    @property
    def _model(self) -> ChatModel:
        if self.model is None:
            raise ValueError("no model")  # noqa: TRY003 (a mistake of ours)
        return Remembering(self.model, self.memory) if self.memory.replies else self.model

    # ── a reproduction ───────────────────────────────────────────────────────────────────────────────────────────

    async def _reproduce(self, workshop: Workshop) -> AsyncGenerator[Event]:
        """Have the model write a test that is red for the issue's reason."""
        survey = self.survey
        reasons = read_reasons(survey.request.issue, survey.clues)

        async def check(source: bytes) -> Judgement:
            return await check_reproduction(source, harness=workshop.harness, base=survey.base, reasons=reasons)

        if workshop.harness.runner is Runner.COMMAND:
            return
        found: Reproduction | None = None
        settings = survey.request.settings.thinking
        asking = Asking(
            model=self._model,
            samples=REPRODUCTIONS,
            thinking_tokens=thinking_tokens(settings, 1),
            answer_tokens=settings.answer_tokens,
            answer_now=survey.request.answer_now,
        )
        try:
            async with aclosing(write_reproduction(asking, self._task(None), check=check)) as said:
                async for item in said:
                    if isinstance(item, Script):
                        found = item.judgement.reproduction
                        break
                    for event in self.teller.tell(item):
                        yield event
        except ModelError as error:
            yield ProblemFound(error.message)
        if found is not None:
            async for event in survey.accept(found):
                yield event

    # ── the model ────────────────────────────────────────────────────────────────────────────────────────────────

    async def _ask(self, facts: ModelFacts) -> AsyncGenerator[Event]:
        """Drive the model's rollouts until they are done or somebody else has settled it."""
        settings = self.survey.request.settings.search
        reproduction = self.survey.reproduction
        tests, allowance = self._screening(reproduction) if reproduction is not None else ((), SECONDS_PER_TEST)
        rewards = choose_rewards(self._model, facts, self.survey.request.settings.served)
        for message in rewards.notes:
            yield ProblemFound(message)
        decisions = self.decisions = Decisions(
            survey=self.survey,
            model=self._model,
            process=rewards.process,
            outcome=rewards.outcome,
            task=self._task(reproduction),
            teller=self.teller,
            tests=tests,
            seconds_per_test=max(allowance, SECONDS_PER_TEST),
            flags=self._flags,
            memory=self.memory,
            harness=self.survey.workshop.harness if self.survey.workshop is not None else None,
            base=self.survey.base,
        )
        plan = plan_for(
            settings.strategy,
            budget=settings.budget,
            samples=settings.samples,
            keep=settings.keep,
            allowance=settings.tokens,
        )
        happenings = dev_search(decisions, plan, steering=self.steering, spent=lambda: float(self.teller.tokens))
        async with aclosing(happenings) as told:
            async for happening in told:
                for event in self._told(happening):
                    yield event
        self.survivors.update(decisions.passed)

    def _flags(self, proposal: Proposal) -> int:
        reproduction = self.survey.reproduction
        return len(
            cheat_flags(
                proposal.candidate.changes,
                is_test=self.survey.repository.is_test,
                reproduction=self._failing_sources(reproduction) if reproduction else [],
                issue=self.survey.request.issue,
            )
        )

    def _told(self, happening: Happening | Noted[Event]) -> tuple[Event, ...]:
        """What happens in the search, as events."""
        told: tuple[Event, ...] = ()
        match happening:
            case Noted(note):
                told = (note,)
            case Proposed(branch):
                span = self.spans.setdefault(branch.stage, [time.monotonic(), 0.0])
                span[1] = time.monotonic()
                candidate = branch.candidate
                told = (self._proposed(candidate, branch.parent, branch.reply) if candidate else told_branch(branch),)
            case Scored(branch, score):
                self.judged[branch.id] = score
                told = (BranchScored(branch.id, score),)
            case Pruned(branch, by):
                told = (BranchPruned(branch.id, by),)
            case Verified(branch, like=like) if like:
                told = (CandidatePruned(branch.id, Message("pipeline.same-patch", {"candidate": like})),)
            case Kept(branch, promoted=True):
                told = (BranchPromoted(branch.id),)
            case Failed(why=why):
                told = (ProblemFound(why),)
            case Stopped(halt, ranking, error=error):
                self.halt, self.ranking = halt, ranking
                self.trouble = self.trouble or error
            case _:
                pass
        return told

    def _proposed(self, candidate: Candidate, parent: str, reply: str) -> CandidateProposed:
        proposals = self.decisions.proposals if self.decisions is not None else {}
        return CandidateProposed(
            candidate=candidate.id,
            proposer=candidate.proposer,
            pattern=candidate.pattern,
            think=candidate.think,
            answer=candidate.answer,
            path=candidate.location.path,
            line=candidate.location.start_line,
            diff=proposals[candidate.id].diff,
            prior=candidate.prior,
            parent=parent,
            reply=reply,
        )

    # ── the solver beside it ─────────────────────────────────────────────────────────────────────────────────────

    async def _solve(self, workshop: Workshop, reproduction: Reproduction) -> AsyncGenerator[Event]:
        """Let the built-in solver try; where it alone has proof, the model need not go on."""
        async with aclosing(self._screened(workshop, reproduction)) as events:
            async for event in events:
                yield event
        if not self.survivors:
            return
        async with aclosing(self._decide(workshop, reproduction)) as events:
            async for event in events:
                yield event
        best = self.verdict.order[0]
        if self._labelled(best, reproduction)[0] is Label.VERIFIED:
            self.steering.stop()

    def _task(self, reproduction: Reproduction | None) -> Task:
        if reproduction is not None:
            return super()._task(reproduction)
        survey = self.survey
        return Task(survey.request.issue, survey.repository, localization=Localization(survey.files, survey.locations))

    # ── the end ──────────────────────────────────────────────────────────────────────────────────────────────────

    def _facts(self, proposal: Proposal, reproduction: Reproduction) -> CandidateFacts:
        """What is known; a model's patch weighs as much beside the solver's as its judge believes in it."""
        facts = super()._facts(proposal, reproduction)
        if self.decisions is None or facts.id not in self.decisions.proposals:
            return facts
        score = self.judged.get(facts.id)
        heaviest = self.heaviest or UNJUDGED
        return replace(facts, prior=heaviest * (UNJUDGED + (score.value if score is not None else UNJUDGED)))

    def _stop(self) -> None:
        """Why the search is over."""
        if self.halt in (Halt.ROLLOUTS, Halt.ALLOWANCE):
            self.stop = StopReason.BUDGET
        elif self.halt is Halt.TROUBLE and not self.survivors:
            self.stop = StopReason.FAILED

    def finish(self) -> RunFinished:
        """The last event; raises ModelError where the server gave nothing and neither did the solver.

        A patch that nothing has run is still shown, for what it is: unverified.
        """
        found = super().finish()
        if self.trouble is not None and not self.survivors and not self.ranking:
            raise self.trouble
        rest = tuple(
            self._unproved(entrant.branch.candidate)
            for entrant in self.ranking
            if entrant.branch.candidate is not None and entrant.branch.id not in self.survivors
        )
        found = replace(found, candidates=(*found.candidates, *rest), tokens=self.teller.tokens)
        if self.survey.reproduction is None and rest:
            return replace(found, candidate=rest[0].candidate, patch=rest[0].diff)
        return found

    def _unproved(self, candidate: Candidate) -> CandidateRanked:
        """One line of the ranking for a patch that failed, or that could not be run."""
        proposal = self.decisions.proposals[candidate.id] if self.decisions else None
        return CandidateRanked(
            candidate=candidate.id,
            label=Label.UNVERIFIED,
            pattern=candidate.pattern,
            path=candidate.location.path,
            line=candidate.location.start_line,
            diff=proposal.diff if proposal else "",
            flags=self._flags(proposal) if proposal else 0,
        )
