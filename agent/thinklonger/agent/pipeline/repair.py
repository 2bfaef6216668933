"""From a survey to a proved patch: propose, screen, compare the survivors, prove the best, rank."""

import os
import time
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import PurePosixPath

from thinklonger.agent.edits import layer_of, render_diff
from thinklonger.agent.errors import SandboxError
from thinklonger.agent.execution import Runner, Screened, ScreenResult
from thinklonger.agent.execution.behaviour import Comparison, Observation, Survivor, compare
from thinklonger.agent.execution.behaviour import Runner as ObservedRunner
from thinklonger.agent.pipeline.keeping import Keep
from thinklonger.agent.pipeline.memory import Memory
from thinklonger.agent.pipeline.patience import BRIEF_SHARE, brief_seconds, in_two_looks
from thinklonger.agent.pipeline.trial import Trial, Workshop
from thinklonger.agent.protocols import Proposer, Task
from thinklonger.agent.search import explore, within
from thinklonger.agent.solver import Solver
from thinklonger.agent.stages.patch import Proposal, propose
from thinklonger.agent.stages.verify.cheating import cheat_flags, cheat_notes, failing_source
from thinklonger.agent.stages.verify.exercising import exercising
from thinklonger.agent.stages.verify.placebo import placebo_of
from thinklonger.agent.stages.verify.proof import Proof, prove_candidate
from thinklonger.agent.stages.verify.ranking import CandidateFacts, Evidence, Verdict, rank
from thinklonger.agent.stages.verify.reproduction import Origin, Reproduction
from thinklonger.agent.trace import seal
from thinklonger.agent.trace.events import (
    CandidateProposed,
    CandidatePruned,
    CandidateRanked,
    CandidateTested,
    CandidateVerified,
    Event,
    RunFinished,
    StageFinished,
    StageStarted,
)
from thinklonger.agent.types import (
    Agreement,
    Candidate,
    Changes,
    Label,
    Layer,
    Localization,
    Message,
    Outcome,
    Receipt,
    Stage,
    StopReason,
    TestRun,
)

ROLLOUTS_AT_MOST = 8  # what budget 'auto' may grow to
AFTER_FIRST = 400  # candidates to try beyond the first that passes: does another one behave differently?
COMPARED = 40  # survivors that are compared, the most promising
OBSERVED = 100  # tests whose calls are compared, those of the red tests' files first
COMPARING_SECONDS = 5.0  # for comparing them, at most,
COMPARING_SHARE = 0.3  # and of the time that is left
INPUTS, INPUTS_ALONE = 320, 96  # calls that rivals, or one survivor and the base, are compared on
PROOFS = 6  # survivors that are proved in a fresh layer, at most
LEAST_SECONDS = 30.0  # for proposing, however long the survey took
LEAST_TRIED = 40  # candidates that there must be time for, however long their package takes to import
PROOF_SECONDS = 12.0  # kept back from the time budget for comparing and proving
PATIENCE = 8  # a candidate whose tests take so many times as long as the base's is taken to hang,
LONGEST_WAIT = 10.0  # or so much longer, where they take long themselves,
PATIENCE_SECONDS = 0.8  # after this much for its start; every hanging candidate costs this
LONGEST_START = 10.0  # importing a large package is granted to a candidate, a process that hung is not
RUNNER_START = 1.0  # of a run's start, what is the interpreter's and the runner's own
SCREENING_SECONDS = 1.5  # how long the green tests may take that are screened along with the red ones


@dataclass(slots=True)
class Repair:
    """One search for a patch; `search`, `prove` and `finish` are called in this order."""

    survey: Trial
    keep: Keep | None = None
    memory: Memory = field(default_factory=Memory)
    survivors: dict[str, Proposal] = field(default_factory=dict[str, Proposal])
    proofs: dict[str, Proof] = field(default_factory=dict[str, Proof])
    receipts: dict[str, Receipt] = field(default_factory=dict[str, Receipt])
    facts: dict[str, CandidateFacts] = field(default_factory=dict[str, CandidateFacts])
    verdict: Verdict = field(default_factory=Verdict)
    tried: int = 0
    heaviest: float = 0.0
    exhausted: bool = True
    stop: StopReason = StopReason.EXHAUSTED

    async def search(self) -> AsyncGenerator[Event]:
        """Propose candidates and screen them against the red tests and the quick green ones."""
        workshop, reproduction = self.survey.workshop, self.survey.reproduction
        if self.survey.unavailable is not None or workshop is None:
            self.stop = StopReason.NO_EXECUTION
            return
        if reproduction is None:
            self.stop = StopReason.NO_REPRODUCTION
            return
        yield StageStarted(Stage.PATCH)
        started = time.monotonic()
        async with aclosing(self._screened(workshop, reproduction)) as events:
            async for event in events:
                yield event
        yield StageFinished(Stage.PATCH, time.monotonic() - started)

    async def _screened(self, workshop: Workshop, reproduction: Reproduction) -> AsyncGenerator[Event]:
        settings = self.survey.request.settings.search
        rollouts = settings.budget or ROLLOUTS_AT_MOST
        spent = time.monotonic() - self.survey.started
        workers = settings.workers or len(os.sched_getaffinity(0))
        slow = max(0.1, _start_of(reproduction.run)) / workers
        left = max(LEAST_SECONDS, LEAST_TRIED * slow, settings.seconds - spent - PROOF_SECONDS)
        after_first = min(AFTER_FIRST, int(LEAST_SECONDS / slow))
        enough = within(items=rollouts * settings.candidates, seconds=left, after_first=after_first)
        tests, allowance = self._screening(reproduction)
        proposals: dict[str, Proposal] = {}
        announced: list[Event] = []

        async def layers(stream: AsyncIterator[Proposal]) -> AsyncIterator[Screened]:
            async for proposal in self._untried(stream):
                candidate = proposal.candidate
                proposals[candidate.id] = proposal
                self.heaviest = max(self.heaviest, candidate.prior)
                announced.append(_proposed(proposal))
                yield Screened(candidate.id, layer_of(candidate.changes))

        def look(stream: AsyncIterator[Screened], brief: float | None = None) -> AsyncGenerator[ScreenResult]:
            return workshop.harness.screen(
                tests,
                stream,
                base=self.survey.base,
                workers=workers,
                seconds_per_candidate=allowance,
                seconds_per_test=brief,
            )

        def check(stream: AsyncIterator[Proposal]) -> AsyncIterator[ScreenResult]:
            brief = brief_seconds(reproduction.run, allowance)
            if brief is None:
                return look(layers(stream))
            until = time.monotonic() + BRIEF_SHARE * left
            return in_two_looks(layers(stream), brief=partial(look, brief=brief), usual=look, until=until)

        found = explore(propose(self._proposers(), self._task(reproduction)), check, keep=_passed, enough=enough)
        self.exhausted = True
        async with aclosing(found):
            async for checked in found:
                while announced:
                    yield announced.pop(0)
                result = checked.result
                self.tried += 1
                yield _screening_of(result, tests)
                if checked.kept:
                    self.survivors[result.id] = proposals[result.id]
                else:
                    yield CandidatePruned(result.id, _why_red(result))
                if enough(checked.progress):
                    self.exhausted = False
        self.stop = StopReason.EXHAUSTED if self.exhausted else StopReason.BUDGET

    async def _untried(self, proposals: AsyncIterator[Proposal]) -> AsyncIterator[Proposal]:
        """Those of the proposals that no earlier attempt at this run has seen fail, where the user wants them."""
        steering = self.survey.request.steering
        async for proposal in proposals:
            location = proposal.candidate.location
            if proposal.diff in self.memory.failed:
                self.tried += 1
            elif steering is None or steering.admits(location.path, location.symbol):
                yield proposal

    def _screening(self, reproduction: Reproduction) -> tuple[tuple[str, ...], float]:
        """The tests that every candidate runs, the red ones first, and how long a candidate may take.

        The green ones come from the red ones' files where these have any: a candidate that patches what is imported
        early imports all test files anew, and one of them may well import the whole package.
        """
        baseline = self.survey.baseline
        files = {test.partition("::")[0] for test in reproduction.tests}
        timings: Mapping[str, float] = baseline.timings if baseline else {}
        quick: list[str] = []
        seconds = 0.0
        green = baseline.green if baseline else ()
        green = [test for test in green if test.partition("::")[0] in files] or green
        for test in sorted(green, key=lambda test: (test not in self.survey.coverage, timings.get(test, 0.0))):
            seconds += timings.get(test, 0.0)
            if seconds > SCREENING_SECONDS:
                break
            if test not in reproduction.tests:
                quick.append(test)
        run = reproduction.run
        finished = [r.seconds for r in run.results if r.outcome is not Outcome.TIMED_OUT]
        expected = min(seconds, SCREENING_SECONDS) + sum(finished)
        patience = min(PATIENCE * expected, expected + LONGEST_WAIT)
        return (*reproduction.tests, *quick), PATIENCE_SECONDS + _start_of(run) + patience

    def _proposers(self) -> tuple[Proposer, ...]:
        return (Solver(),)

    def _task(self, reproduction: Reproduction) -> Task:
        survey = self.survey
        return Task(
            issue=survey.request.issue,
            repository=survey.repository,
            reproduction=reproduction.run,
            coverage=survey.coverage,
            localization=Localization(survey.files, survey.locations),
        )

    async def prove(self) -> AsyncGenerator[Event]:
        """Compare the survivors, prove the best in a layer of its own; if it fails there, the next, and so on."""
        workshop, reproduction = self.survey.workshop, self.survey.reproduction
        if workshop is None or reproduction is None or not self.survivors:
            return
        yield StageStarted(Stage.VERIFY)
        started = time.monotonic()
        async for event in self._decide(workshop, reproduction):
            yield event
        for name in self.proofs:
            receipt = self.receipts[name] = self._receipt(workshop, reproduction, name, self.facts[name])
            yield CandidateVerified(name, receipt)
        self.stop = StopReason.VERIFIED if self._label() is Label.VERIFIED else self.stop
        yield StageFinished(Stage.VERIFY, time.monotonic() - started)

    async def _decide(self, workshop: Workshop, reproduction: Reproduction) -> AsyncGenerator[Event]:
        """Rank the survivors by how they behave, and prove the best ones until the ranking stands."""
        facts = self.facts = {name: self._facts(item, reproduction) for name, item in self.survivors.items()}
        for name in facts.keys() & self.proofs.keys():
            facts[name] = with_proof(facts[name], self.proofs[name])
        evidence = await self._evidence(workshop, reproduction, facts)
        for _ in range(PROOFS):
            self.verdict = rank(tuple(facts.values()), evidence)
            best = self.verdict.order[0]
            if best in self.proofs:
                break
            proof = self.proofs[best] = await self._proof(workshop, reproduction, best)
            facts[best] = with_proof(facts[best], proof)
            for event in tested(best, proof):
                yield event

    def _facts(self, proposal: Proposal, reproduction: Reproduction) -> CandidateFacts:
        candidate = proposal.candidate
        repository = self.survey.repository
        sources = self._failing_sources(reproduction)
        has_regression = bool(self.survey.baseline and self.survey.baseline.green)
        return CandidateFacts(
            id=candidate.id,
            prior=candidate.prior,
            normalized=candidate.normalized,
            size=sum(
                line[:1] in "+-" and line[:3] not in ("+++", "---") for line in proposal.diff.splitlines() if line
            ),
            pattern=candidate.pattern,
            regression_held=True if has_regression else None,
            flags=cheat_flags(
                self._whole(candidate),
                is_test=repository.is_test,
                reproduction=sources,
                issue=self.survey.request.issue,
            ),
        )

    def _failing_sources(self, reproduction: Reproduction) -> list[str]:
        """The source of the failing tests, without their neighbours'."""
        base = self.survey.base
        paths = sorted({PurePosixPath(test.partition("::")[0]) for test in reproduction.tests})
        states = {path: base.get(path) or self.survey.repository.read(path) for path in paths}
        return [
            failing_source(
                state.content.decode("utf-8", "replace"),
                [test for test in reproduction.tests if test.partition("::")[0] == str(path)],
            )
            for path, state in states.items()
            if state is not None
        ]

    async def _evidence(
        self, workshop: Workshop, reproduction: Reproduction, facts: Mapping[str, CandidateFacts]
    ) -> Evidence:
        """How the most promising survivors behave beside each other."""
        names = sorted(self.survivors, key=lambda name: (bool(facts[name].flags), -facts[name].prior))[:COMPARED]
        edited = {change.path for name in names for change in self.survivors[name].candidate.changes}
        near = [
            test
            for test, lines in self.survey.coverage.items()
            if not edited.isdisjoint(lines) or test in reproduction.tests
        ]
        comparison = None
        if workshop.harness.runner is not Runner.COMMAND:
            files = {test.partition("::")[0] for test in reproduction.tests}
            telling = exercising(
                tuple(change for name in names for change in self.survivors[name].candidate.changes),
                self.survey.coverage,
            )
            nearest = sorted(near, key=lambda test: (test not in telling, test.partition("::")[0] not in files))
            comparison = await self._compare(workshop, names, nearest[:OBSERVED])
        running = {
            name: len(exercising(self.survivors[name].candidate.changes, self.survey.coverage)) for name in names
        }
        return Evidence(self.tried, len(near), self.exhausted, comparison, running, heaviest=self.heaviest)

    def _comparing_seconds(self, survivors: int) -> float:
        """The time for comparing behaviour: a part of what is left of the run, little where there is no rival."""
        left = self.survey.request.settings.search.seconds - (time.monotonic() - self.survey.started)
        most = COMPARING_SECONDS if survivors > 1 else COMPARING_SECONDS / 2
        return min(most, max(COMPARING_SECONDS / 2, COMPARING_SHARE * left))

    async def _compare(self, workshop: Workshop, names: list[str], tests: list[str]) -> Comparison:
        survivors = [Survivor(name, self._layer(self.survivors[name].candidate)) for name in names]
        observed = ObservedRunner(workshop.harness.runner.value)
        place, found = workshop.harness.place, self.survey.reproduction
        observation = Observation(
            workshop.interpreter.executable,
            tuple(tests),
            observed,
            options=("-o", "addopts=") if workshop.harness.drop_addopts else (),
            python_path=(str(place.lent),) if place.lent else (),
            environment=dict(place.variables),
            overlay=self.survey.base,
            seconds=self._comparing_seconds(len(names)),
            starting=LONGEST_START + 2 * (_start_of(found.run) if found else 0.0),
            inputs=INPUTS if len(names) > 1 else INPUTS_ALONE,
        )
        return await compare(workshop.session, survivors, observation)

    async def _proof(self, workshop: Workshop, reproduction: Reproduction, name: str) -> Proof:
        if self.survey.baseline is None:
            raise SandboxError("pipeline.no-baseline")
        meaningless = placebo_of(self.survivors[name].candidate.changes)
        baseline = await self.survey.widen(self.survivors[name].candidate.changes) or self.survey.baseline
        return await prove_candidate(
            workshop.harness,
            self._layer(self.survivors[name].candidate),
            base=self.survey.base,
            reproduction=reproduction,
            baseline=baseline,
            seconds=self.survey.regression_seconds,
            placebo={**self.survey.base, **meaningless} if meaningless else None,
        )

    def _whole(self, candidate: Candidate) -> Changes:
        """All that the candidate wants to change, also what is not run of it."""
        return candidate.changes

    def _layer(self, candidate: Candidate) -> Layer:
        """The patched files; a reproduction that was written stays what it is, whatever the patch puts in its place."""
        found = self.survey.reproduction
        layer = {**self.survey.base, **layer_of(candidate.changes)}
        return layer if found is None else {**layer, **found.layer}

    def _receipt(self, workshop: Workshop, reproduction: Reproduction, name: str, facts: CandidateFacts) -> Receipt:
        proof = self.proofs[name]
        label, reasons = self._labelled(name, reproduction)
        receipt = Receipt(
            label=label,
            reproduction=proof.reproduction,
            regression=proof.regression,
            environment=workshop.harness.environment,
            sandbox=workshop.sandbox,
            limits=self.survey.request.settings.sandbox.limits,
            flags=facts.flags,
            agreement=self._agreement(name),
            reasons=reasons,
            origin=reproduction.origin.value,
            tried=self.tried,
            exhausted=self.exhausted,
        )
        return self._documented(receipt, workshop, name)

    def _agreement(self, name: str) -> Agreement | None:
        """How the survivors compare, for the best one's receipt."""
        return self.verdict.agreement if name == self.verdict.order[0] else None

    def _documented(self, receipt: Receipt, workshop: Workshop, name: str) -> Receipt:
        """The receipt with all that stands behind it, sealed."""
        from thinklonger.agent.pipeline.receipts import Documents  # noqa: PLC0415 - only where something was proved

        changes = self._whole(self.survivors[name].candidate)
        documents = Documents(self.survey, workshop, self.keep)
        receipt = documents.complete(receipt, name, changes=changes, proof=self.proofs[name])
        return seal(receipt, render_diff(changes))

    def _labelled(self, name: str, reproduction: Reproduction) -> tuple[Label, tuple[Message, ...]]:
        """The label of a proved candidate: the verdict's, but never `verified` by a test that we wrote ourselves."""
        label = self.verdict.labels.get(name, Label.UNVERIFIED)
        reasons = self.verdict.reasons if name == self.verdict.order[0] else ()
        changes = self._whole(self.survivors[name].candidate)
        issue = self.survey.request.issue
        reasons = (*reasons, *cheat_notes(changes, is_test=self.survey.repository.is_test, issue=issue))
        reasons = (*reasons, *self.survey.notes())
        if green := self.proofs[name].placebo:
            return Label.UNVERIFIED, (*reasons, Message("receipt.placebo-green", {"test": green[0]}))
        replaced = [part for _, run in self.proofs[name].runs for part in run.tampered]
        if label is Label.VERIFIED and replaced:
            return Label.PARTLY_VERIFIED, (*reasons, Message("receipt.tampered", {"part": replaced[0]}))
        if label is Label.VERIFIED and reproduction.origin is Origin.EXAMPLE:
            return Label.PARTLY_VERIFIED, (*reasons, Message("pipeline.example-only"))
        if label is Label.VERIFIED and reproduction.origin is Origin.MODEL:
            return Label.PARTLY_VERIFIED, (*reasons, Message("reproduction.model-only"))
        return label, reasons

    def _label(self) -> Label:
        best = self.verdict.order[0] if self.verdict.order else None
        return self.receipts[best].label if best in self.receipts else Label.UNVERIFIED

    def finish(self) -> RunFinished:
        """The last event: the best candidate with its receipt, and all survivors in their order."""
        order = self.verdict.order
        label = self._label()
        best = order[0] if order and label is not Label.UNVERIFIED else None
        return RunFinished(
            label=label,
            candidate=best,
            patch=self.survivors[best].diff if best else "",
            receipt=self.receipts.get(best) if best else None,
            candidates=tuple(self._ranked(name) for name in order),
            stop_reason=self.stop,
            seconds=0.0,
            tried=self.tried,
            files=self.survey.files,
            locations=self.survey.locations,
        )

    def _ranked(self, name: str) -> CandidateRanked:
        """One line of the ranking; what was not proved is unverified, however it did in the screening."""
        proposal = self.survivors[name]
        candidate = proposal.candidate
        receipt = self.receipts.get(name)
        known = receipt or self.facts.get(name)
        return CandidateRanked(
            candidate=name,
            label=receipt.label if receipt else Label.UNVERIFIED,
            pattern=candidate.pattern,
            path=candidate.location.path,
            line=candidate.location.start_line,
            diff=proposal.diff,
            flags=len(known.flags) if known else 0,
        )


def tested(name: str, proof: Proof) -> tuple[CandidateTested, ...]:
    """What a proof says of a candidate, as events."""
    checks = (("reproduction", proof.reproduction), ("regression", proof.regression))
    return tuple(
        CandidateTested(name, kind, len(check.tests) - len(check.red_after), len(check.red_after), check.seconds_after)
        for kind, check in checks
        if check is not None
    )


def with_proof(facts: CandidateFacts, proof: Proof) -> CandidateFacts:
    """What is known of a candidate once it is proved, or not."""
    return replace(facts, reproduced=proof.reproduced, regression_held=proof.held)


def _start_of(run: TestRun) -> float:
    """The seconds of a run before its tests: what a candidate may need to import the package anew."""
    tests = sum(result.seconds for result in run.results)
    return min(max(0.0, run.seconds - tests - RUNNER_START), LONGEST_START)


def _screening_of(result: ScreenResult, tests: Sequence[str]) -> CandidateTested:
    """How far a candidate came: the tests run in order and end at the first red one."""
    if result.passed:
        return CandidateTested(result.id, "screening", len(tests), 0, result.seconds)
    first = result.first_red.id if result.first_red else ""
    green = tests.index(first) if first in tests else 0
    return CandidateTested(result.id, "screening", green, 1, result.seconds)


def _passed(result: ScreenResult) -> bool:
    return result.passed


def _proposed(proposal: Proposal) -> CandidateProposed:
    candidate = proposal.candidate
    return CandidateProposed(
        candidate=candidate.id,
        proposer=candidate.proposer,
        pattern=candidate.pattern,
        think=candidate.think,
        answer=candidate.answer,
        path=candidate.location.path,
        line=candidate.location.start_line,
        diff=proposal.diff,
        prior=candidate.prior,
    )


def _why_red(result: ScreenResult) -> Message:
    """What ended a candidate, in words."""
    if result.first_red is None:
        return Message("pipeline.pruned-by-ending", {"ending": result.ending.value})
    first = result.first_red
    return Message(
        "pipeline.pruned-by-test",
        {"test": first.id, "outcome": first.outcome.value, "exception": first.exception or first.outcome.value},
    )
