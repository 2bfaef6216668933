"""The jobs, and what all promise: every event is recorded before anybody sees it, every end is an event."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, aclosing
from dataclasses import replace
from typing import TypeAlias

from thinklonger.agent import __version__
from thinklonger.agent.config.places import state_directory
from thinklonger.agent.errors import InternalError, ThinkLongerError, UsageError, boundary
from thinklonger.agent.issue import read_clues
from thinklonger.agent.pipeline.keeping import Keep, slimmed
from thinklonger.agent.pipeline.request import Request
from thinklonger.agent.pipeline.survey import Survey
from thinklonger.agent.trace import Recorder, new_run_id
from thinklonger.agent.trace.events import Event, RunCancelled, RunFailed, RunFinished, RunResumed, RunStarted
from thinklonger.agent.types import Label, StopReason

BUILTIN = "builtin"
"""The engine that is no model."""

Job: TypeAlias = Callable[[Request, AsyncExitStack, Keep], AsyncGenerator[Event]]


async def resolve(request: Request) -> AsyncGenerator[Event]:
    """Find a patch for the issue and prove it.

    Yields events, each already in the run's record; the last is RunFinished or RunFailed. An error that a user may
    see ends the stream with RunFailed, it is not raised; only a record that can't be begun raises RecordError.
    Closing the generator or cancelling its task stops everything within a second, records RunCancelled and leaves
    nothing behind but the record.
    """
    async with aclosing(_recorded("resolve", request, _resolve)) as events:
        async for event in events:
            yield event


async def localize(request: Request) -> AsyncGenerator[Event]:
    """Rank the places where the fault may be; the same contract as `resolve`, the answer in RunFinished."""
    async with aclosing(_recorded("localize", request, _localize)) as events:
        async for event in events:
            yield event


async def verify(request: Request, patch: str = "") -> AsyncGenerator[Event]:
    """Put a given patch (a unified diff; else the request's own) through what every candidate goes through.

    The same contract as `resolve`; the answer is RunFinished with the patch, its label and its receipt.
    """
    asked = replace(request, patch=patch) if patch else request
    async with aclosing(_recorded("verify", asked, _verify)) as events:
        async for event in events:
            yield event


async def _resolve(request: Request, stack: AsyncExitStack, keep: Keep) -> AsyncGenerator[Event]:
    from thinklonger.agent.pipeline.repair import Repair  # noqa: PLC0415 - localize needs no solver
    from thinklonger.agent.pipeline.trial import Trial  # noqa: PLC0415 - nor, mostly, anything that runs tests

    trial = Trial(request, stack, read_clues(request.issue.text), widely=True)
    for step in trial.steps():
        async for event in step:
            yield event
    repair = Repair(trial, keep=keep)
    if request.settings.engine != BUILTIN:
        from thinklonger.agent.pipeline.engine import open_model  # noqa: PLC0415 - the same, no model either
        from thinklonger.agent.pipeline.served import Served  # noqa: PLC0415 - the same

        repair = Served(trial, keep=keep, model=await stack.enter_async_context(open_model(request)))
    if request.continues is not None:
        from thinklonger.agent.pipeline.resuming import read_memory  # noqa: PLC0415 - few runs are resumed

        repair.memory = read_memory(request.continues)
    async for event in repair.search():
        yield event
    async for event in repair.prove():
        yield event
    yield repair.finish()


async def _verify(request: Request, stack: AsyncExitStack, keep: Keep) -> AsyncGenerator[Event]:
    from thinklonger.agent.pipeline.examination import Examination, changes_of  # noqa: PLC0415 - localize needs none
    from thinklonger.agent.pipeline.trial import Trial  # noqa: PLC0415 - the same

    changes = changes_of(request)
    trial = Trial(request, stack, read_clues(request.issue.text), widely=True)
    for step in trial.steps():
        async for event in step:
            yield event
    examination = Examination(trial, keep=keep, changes=changes)
    async for event in examination.search():
        yield event
    async for event in examination.prove():
        yield event
    yield examination.finish()


async def _localize(request: Request, stack: AsyncExitStack, _keep: Keep) -> AsyncGenerator[Event]:
    survey = _survey(request, stack)
    for step in survey.steps():
        async for event in step:
            yield event
    if request.settings.engine != BUILTIN:
        from thinklonger.agent.pipeline.asking import Asked  # noqa: PLC0415 - without a model none of it is needed
        from thinklonger.agent.pipeline.engine import open_model  # noqa: PLC0415 - the same

        async for event in Asked(survey, await stack.enter_async_context(open_model(request))).ask():
            yield event
    yield RunFinished(
        label=Label.UNVERIFIED,
        candidate=None,
        patch="",
        receipt=None,
        candidates=(),
        stop_reason=StopReason.EXHAUSTED if survey.locations else StopReason.NOTHING_FOUND,
        seconds=0.0,
        files=survey.files,
        locations=survey.locations,
    )


def _survey(request: Request, stack: AsyncExitStack) -> Survey:
    """What localizes an issue; tests run only where the issue itself says which."""
    clues = read_clues(request.issue.text)
    if not request.settings.localize.execute or not (request.issue.test_command or clues.tests):
        return Survey(request, stack, clues)
    from thinklonger.agent.pipeline.trial import Trial  # noqa: PLC0415 - see above

    return Trial(request, stack, clues, widely=False)


async def _recorded(name: str, request: Request, job: Job) -> AsyncGenerator[Event]:
    """Run a job with its record; see `resolve` for what the stream promises."""
    started = time.monotonic()
    settings = request.settings
    resumed = request.continues
    state = state_directory(settings)
    with Recorder.reopen(resumed) if resumed else Recorder.create(state, new_run_id()) as recorder:
        ended = False
        try:
            first: Event = RunStarted(
                run_id=recorder.run_id,
                job=name,
                issue=request.issue,
                repository=str(request.repository),
                engine=settings.engine,
                budget=settings.search.budget,
                version=__version__,
                settings=settings,
                whole=not (request.overlay or request.reproduction or request.patch or steered(request)),
            )
            if resumed:
                yield first  # its record has it already
                first = RunResumed(__version__)
            recorder.append(first)
            yield first
            with boundary(InternalError, "pipeline.internal"):
                async with AsyncExitStack() as stack, aclosing(job(request, stack, recorder.keep)) as events:
                    if not request.issue.text.strip() and not request.issue.test_command:
                        raise UsageError("pipeline.empty-issue")
                    async for event in events:
                        timed = slimmed(_timed(event, time.monotonic() - started), recorder.keep)
                        ended = isinstance(timed, RunFinished)
                        recorder.append(timed)
                        yield timed
        except ThinkLongerError as error:
            ended = True
            failed = RunFailed(type(error).__name__, error.message, error.remedy, error.exit_code)
            recorder.append(failed)
            yield failed
        except (asyncio.CancelledError, GeneratorExit):
            if not ended:
                recorder.append(RunCancelled(time.monotonic() - started))
            raise


def steered(request: Request) -> bool:
    """Whether the user has a hand on the search, which no record holds."""
    steering = request.steering
    return steering is not None and bool(steering.pinned or steering.excluded or steering.promoted)


def _timed(event: Event, seconds: float) -> Event:
    """The last event carries the whole run's length."""
    return replace(event, seconds=seconds) if isinstance(event, RunFinished) else event
