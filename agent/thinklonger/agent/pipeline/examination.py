"""A given patch through all that a candidate goes through, beside the solver's own attempts at the same tests.

The rivals matter: where another patch passes the same tests and behaves differently, the tests do not tell which one
is right, and neither do we.
"""

import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, replace

from thinklonger.agent.edits import DirectoryTree, layer_of, render_diff
from thinklonger.agent.execution.behaviour import Comparison
from thinklonger.agent.pipeline.given import GIVEN, Given, honest_part, read_patch
from thinklonger.agent.pipeline.neighbours import FAINT, NEIGHBOUR, Neighbours
from thinklonger.agent.pipeline.repair import Repair, tested
from thinklonger.agent.pipeline.request import Request
from thinklonger.agent.pipeline.trial import Workshop
from thinklonger.agent.protocols import Proposer
from thinklonger.agent.stages.patch import propose
from thinklonger.agent.stages.verify.cheating import blames_the_test
from thinklonger.agent.stages.verify.ranking import agreement_of, rank
from thinklonger.agent.stages.verify.reproduction import Reproduction
from thinklonger.agent.trace.events import (
    CandidateVerified,
    Event,
    RunFinished,
    StageFinished,
    StageStarted,
)
from thinklonger.agent.types import Agreement, Candidate, Changes, Label, Message, Stage, StopReason

MENDED = 20  # tests that are red on the base, beside the reproduction, that a patch is tried on
SLIGHTLY = 1.001  # a given patch weighs as much as the likeliest of the solver's, and a hair more


def changes_of(request: Request) -> Changes:
    """The changes that the request's patch makes to its repository; raises UsageError where it does not fit."""
    return read_patch(request.patch, DirectoryTree(request.repository))


@dataclass  # no slots: with them `super()` finds another class
class Examination(Repair):
    """One given patch, measured with the tests as they stand in the repository, not as the patch leaves them."""

    changes: Changes = ()
    flags: tuple[Message, ...] = ()
    mended: tuple[str, ...] = ()
    comparison: Comparison | None = None

    def _proposers(self) -> tuple[Proposer, ...]:
        measured = self._measured()
        rivals = Neighbours(self.survey.request, measured)
        return (Given(measured, self.changes), rivals, *super()._proposers())

    async def _screened(self, workshop: Workshop, reproduction: Reproduction) -> AsyncGenerator[Event]:
        """The search; rivals have to pass what the patch passes, also of the other tests that are red on the base."""
        baseline = self.survey.baseline
        red = [test for test in (baseline.already_red if baseline else ()) if test not in reproduction.tests]
        if red:
            layer = {**self.survey.base, **layer_of(self._measured())}
            run = (await workshop.harness.run(red[:MENDED], layer=layer)).run
            self.mended = tuple(result.id for result in run.results if result.outcome.green and result.id in red)
        async with aclosing(super()._screened(workshop, reproduction)) as events:
            async for event in events:
                yield event

    def _screening(self, reproduction: Reproduction) -> tuple[tuple[str, ...], float]:
        tests, allowance = super()._screening(reproduction)
        first = len(reproduction.tests)
        return (*tests[:first], *self.mended, *tests[first:]), allowance

    def _measured(self) -> Changes:
        """What is run of the patch: all but its edits to tests that were there, unless the issue asks for these."""
        repository = self.survey.repository
        if blames_the_test(self.survey.request.issue):
            return self.changes
        return honest_part(
            self.changes, is_test=repository.is_test, exists=lambda path: repository.read(path) is not None
        )

    def _whole(self, candidate: Candidate) -> Changes:
        return self.changes if candidate.id == GIVEN else candidate.changes

    async def prove(self) -> AsyncGenerator[Event]:
        """Compare the patch with its rivals, and prove it in a layer of its own, whatever the screening said."""
        workshop, reproduction = self.survey.workshop, self.survey.reproduction
        if workshop is None or reproduction is None:
            return
        yield StageStarted(Stage.VERIFY)
        started = time.monotonic()
        passed = GIVEN in self.survivors
        if not passed:
            async for proposal in propose(self._proposers()[:1], self._task(reproduction)):
                self.survivors = {GIVEN: proposal, **self.survivors}
        facts = {name: self._facts(proposal, reproduction) for name, proposal in self.survivors.items()}
        facts[GIVEN] = replace(facts[GIVEN], prior=SLIGHTLY * self.heaviest or 0.5)
        proof = self.proofs[GIVEN] = await self._proof(workshop, reproduction, GIVEN)
        for event in tested(GIVEN, proof):
            yield event
        facts[GIVEN] = replace(facts[GIVEN], reproduced=proof.reproduced, regression_held=proof.held)
        self.flags = facts[GIVEN].flags
        for name, item in facts.items():
            if name.startswith(NEIGHBOUR):
                facts[name] = replace(item, prior=item.prior / FAINT * self.heaviest)
        evidence = await self._evidence(workshop, reproduction, facts)
        self.comparison = evidence.comparison
        telling = _telling(evidence.comparison)
        told = [item for name, item in facts.items() if not name.startswith(NEIGHBOUR) or name in telling]
        self.verdict = rank(told, evidence)
        receipt = self.receipts[GIVEN] = self._receipt(workshop, reproduction, GIVEN, facts[GIVEN])
        yield CandidateVerified(GIVEN, receipt)
        self.stop = StopReason.VERIFIED if receipt.label is Label.VERIFIED else StopReason.EXHAUSTED
        yield StageFinished(Stage.VERIFY, time.monotonic() - started)

    def _labelled(self, name: str, reproduction: Reproduction) -> tuple[Label, tuple[Message, ...]]:
        """The label of the given patch; one that a rival outranks passes, but the tests do not decide for it."""
        label, reasons = super()._labelled(name, reproduction)
        if name == self.verdict.order[0]:
            return label, reasons
        return label, (*self._shortfall(name), *reasons)

    def _agreement(self, name: str) -> Agreement | None:
        """How the given patch compares with its rivals, whether or not one of them outranks it."""
        return agreement_of(self.verdict.groups, self.comparison, name)

    def _shortfall(self, name: str) -> tuple[Message, ...]:
        """Why the given patch is not the best of those that pass."""
        proof = self.proofs[name]
        if not proof.reproduced:
            return (Message("verdict.not-reproduced"),)
        if proof.held is False:
            return (Message("verdict.regression-worse"),)
        held = (
            Message("verdict.reproduced"),
            Message("verdict.regression-held" if proof.held else "verdict.no-regression"),
        )
        if self.flags:
            return (*held, Message("verdict.flagged", {"count": len(self.flags)}))
        return (*held, Message("pipeline.outranked"))

    def finish(self) -> RunFinished:
        """The last event: the patch as it was handed in, with its label and receipt, and the rivals that pass."""
        receipt = self.receipts.get(GIVEN)
        order = (GIVEN, *(name for name in self.verdict.order if name != GIVEN)) if receipt else ()
        return RunFinished(
            label=receipt.label if receipt else Label.UNVERIFIED,
            candidate=GIVEN,
            patch=render_diff(self.changes),
            receipt=receipt,
            candidates=tuple(self._ranked(name) for name in order),
            stop_reason=self.stop,
            seconds=0.0,
            tried=self.tried,
            files=self.survey.files,
            locations=self.survey.locations,
        )


def _telling(comparison: Comparison | None) -> frozenset[str]:
    """Those that were compared and behave differently than the given patch: its other neighbours say nothing.

    Where the patch itself could not be compared, all of them tell: nobody knows how they behave beside it.
    """
    groups = comparison.groups if comparison is not None else ()
    if comparison is not None and GIVEN in comparison.unknown:
        return frozenset((*comparison.behaviours, *comparison.unknown))
    return frozenset(name for members in groups if GIVEN not in members for name in members)
