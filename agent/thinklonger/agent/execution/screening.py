"""Screens many candidates quickly: batches for servers inside the sandbox, one server a worker."""

import asyncio
import base64
import json
import time
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Awaitable,
    Callable,
    Iterable,
    Mapping,
    Sequence,
)
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

from thinklonger.agent.execution.outcomes import Screened, ScreenResult
from thinklonger.agent.execution.reading import ENDED, Reader, Record, Report, read_report
from thinklonger.agent.execution.request import Place, Request, command_for, make_nonce
from thinklonger.agent.protocols import SandboxSession
from thinklonger.agent.types import CommandResult, Ending, Layer, Outcome, TestResult, TestRun

FIRST_BATCH = 32
LARGEST_BATCH = 128
BATCH_SECONDS = 6.0
"""A batch is what a worker gets through in about this time, or in the longer time that keeps a server's start small."""
STARTS = 4
"""A batch takes so many times as long as its server's start, where that is slow."""
BATCH_BYTES = 16 * 1024**2
CONTROL = "\0base"
"""The id of the candidate that changes nothing: screening must judge it as the ordinary run did."""

Whole = Callable[[Sequence[str], Layer, float], Awaitable[TestRun]]


@dataclass(frozen=True, slots=True)
class Plan:
    """What every worker needs: where and what to run, what the base is known to give, and the slow way.

    `base` is laid over the tree below every candidate.
    """

    session: SandboxSession
    place: Place
    request: Request
    tests: tuple[str, ...]
    base: Layer
    known: Mapping[str, TestResult]
    seconds: float
    whole: Whole


class Source:
    """The candidates, handed out in batches to whoever asks."""

    def __init__(self, candidates: AsyncIterable[Screened] | Iterable[Screened]) -> None:
        """Read from this; nothing is read before it is asked for."""
        self._items = aiter(candidates) if isinstance(candidates, AsyncIterable) else walk(candidates)
        self._lock = asyncio.Lock()

    async def take(self, count: int) -> list[Screened]:
        """Up to `count` candidates, fewer where they are large; empty at the end."""
        batch: list[Screened] = []
        size = 0
        async with self._lock:
            while len(batch) < count and size < BATCH_BYTES:
                try:
                    item = await anext(self._items)
                except StopAsyncIteration:
                    break
                batch.append(item)
                size += sum(len(state.content) for state in item.layer.values() if state is not None)
        return batch


async def walk(items: Iterable[Screened]) -> AsyncIterator[Screened]:
    """An ordinary iterable, asynchronously; others get their turn between two items."""
    for item in items:
        yield item
        await asyncio.sleep(0)


@dataclass(slots=True)
class Rate:
    """How long a candidate takes, as far as is known, and whether servers judge as ordinary runs do.

    The first worker's server tries the unchanged base before its first batch; the others wait until that is `judged`.
    """

    trusted: bool
    judging: bool = False
    seconds: float | None = None
    start: float = 0.0
    judged: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def batch(self) -> int:
        """How many candidates to take at once."""
        if self.seconds is None:
            return FIRST_BATCH
        return max(4, min(LARGEST_BATCH, int(max(BATCH_SECONDS, STARTS * self.start) / max(self.seconds, 1e-3))))

    def learn(self, seconds: float) -> None:
        """A candidate took so long."""
        self.seconds = seconds if self.seconds is None else 0.9 * self.seconds + 0.1 * seconds

    def learn_start(self, seconds: float) -> None:
        """A server was ready after so long."""
        self.start = max(self.start, seconds)

    def judge(self, *, trusted: bool) -> None:
        """It is known whether servers can be trusted."""
        self.trusted = trusted
        self.judged.set()


Results: TypeAlias = "asyncio.Queue[ScreenResult | None]"


async def screen(
    plan: Plan,
    candidates: AsyncIterable[Screened] | Iterable[Screened],
    *,
    workers: int,
    servers: bool,
) -> AsyncGenerator[ScreenResult]:
    """Results as they are known. See `Harness.screen`."""
    source, rate = Source(candidates), Rate(trusted=servers)
    if not servers or any(value.outcome is Outcome.TIMED_OUT for value in plan.known.values()):
        rate.judge(trusted=servers)  # a base that hangs would only cost its whole time again
    results: Results = asyncio.Queue()
    tasks = [asyncio.create_task(work(plan, source, rate, results)) for _ in range(max(1, workers))]
    for task in tasks:
        task.add_done_callback(lambda _: results.put_nowait(None))
    try:
        left = len(tasks)
        while left:
            result = await results.get()
            if result is not None:
                yield result
                continue
            left -= 1
            for task in tasks:
                if task.done():
                    task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def work(plan: Plan, source: Source, rate: Rate, results: Results) -> None:
    """One worker: batch after batch."""
    if rate.judging:
        await rate.judged.wait()
    rate.judging = True
    try:
        while batch := await source.take(rate.batch if rate.trusted else 1):
            left = await serve(plan, batch, rate, results) if rate.trusted else batch
            for candidate in left:
                results.put_nowait(await slowly(plan, candidate))
    finally:
        rate.judged.set()


def agrees(plan: Plan, record: Record) -> bool:
    """Whether a server judges the unchanged base as the ordinary run did; without such a run it must be red."""
    result = result_of(plan, record)
    if result.passed:
        return not any(value.outcome.red for value in plan.known.values()) and bool(plan.known)
    first = result.first_red
    known = plan.known.get(first.id) if first is not None else None
    if first is None:  # it died without a word: right only if it did so in the ordinary run
        return any(value.exception == ENDED for value in plan.known.values())
    if known is None:
        return True
    return known.outcome.red and known.exception == first.exception


@dataclass(slots=True)
class Told:
    """What a server has said so far."""

    tried: list[Record] = field(default_factory=list[Record])
    trying: str | None = None
    ended: bool = False

    def take(self, record: Record) -> None:
        """One more record."""
        match record["kind"]:
            case "trying":
                self.trying = record["id"]
            case "tried":
                self.trying = None
                self.tried.append(record)
            case "end":
                self.ended = True
            case _:
                pass


async def serve(plan: Plan, batch: Sequence[Screened], rate: Rate, results: Results) -> list[Screened]:
    """Have a server try a batch; where it dies, the candidate that it was trying is red and a new one goes on.

    Gives back what is left over because servers turned out not to be trusted.
    """
    left: list[Screened] = list(batch)
    while left and rate.trusted:
        told = Told()
        control: list[Screened] = [] if rate.judged.is_set() else [Screened(CONTROL, {})]
        started = time.monotonic()

        def hear(record: Record, told: Told = told, started: float = started) -> None:
            told.take(record)
            if record["kind"] == "tried" and len(told.tried) == 1:
                rate.learn_start(time.monotonic() - started - float(record["seconds"]))
            if record["kind"] != "tried" or not rate.trusted:
                return
            if record["id"] == CONTROL:
                rate.judge(trusted=agrees(plan, record))
                return
            rate.learn(float(record["seconds"]))
            results.put_nowait(result_of(plan, record))

        running = asyncio.ensure_future(run_batch(plan, [*control, *left], hear))
        await while_trusted(running, rate)
        if not rate.judged.is_set():
            rate.judge(trusted=False)
        if not rate.trusted:
            return left
        known = {record["id"] for record in told.tried}
        rest: list[Screened] = [candidate for candidate in left if candidate.id not in known]
        if rest and not told.ended and (running.result().ending is not Ending.TIMED_OUT or not known):
            culprit = next((candidate for candidate in rest if candidate.id == told.trying), rest[0])
            results.put_nowait(killed(culprit.id, time.monotonic() - started))
            rest.remove(culprit)
        left = rest
    return left


async def while_trusted(running: "asyncio.Future[CommandResult]", rate: Rate) -> None:
    """Wait until the server has ended; stop it as soon as its judgement of the base is found wrong."""
    judged = asyncio.ensure_future(rate.judged.wait())
    try:
        await asyncio.wait([running, judged], return_when=asyncio.FIRST_COMPLETED)
        if rate.trusted:
            await running
    finally:
        judged.cancel()
        running.cancel()
        await asyncio.gather(running, judged, return_exceptions=True)


def killed(candidate: str, seconds: float) -> ScreenResult:
    """The verdict on a candidate that took its server down."""
    return ScreenResult(candidate, passed=False, red=(), ending=Ending.KILLED, seconds=seconds)


async def run_batch(plan: Plan, batch: Sequence[Screened], hear: Callable[[Record], None]) -> CommandResult:
    """Run one server in a layer of its own over a batch."""
    nonce = make_nonce()
    reader = Reader(nonce)
    seconds = 150.0 + len(batch) * (plan.seconds + 1.0)
    asked = replace(
        plan.request, candidates=tuple(encode(candidate, plan.base) for candidate in batch), seconds=seconds
    )

    def on_output(data: bytes) -> None:
        for record in reader.read(data):
            hear(record)

    async with plan.session.layer(plan.base) as layer:
        return await layer.run(command_for(asked, plan.place, nonce=nonce), on_output=on_output)


def encode(candidate: Screened, base: Layer) -> dict[str, Any]:
    """A candidate as the server reads it: what differs from the base."""
    files = {
        str(path): None if state is None else base64.b64encode(state.content).decode("ascii")
        for path, state in candidate.layer.items()
        if path not in base or base[path] != state
    }
    return {"id": candidate.id, "files": files}


def report_of(record: Record) -> tuple[Report, Ending]:
    """What a candidate's process reported, and how it ended."""
    report = read_report(json_lines(record["lines"]))
    if record["timed_out"]:
        return report, Ending.TIMED_OUT
    return report, Ending.EXITED if record["status"] == 0 else Ending.KILLED


def json_lines(lines: Sequence[str]) -> list[Record]:
    """The records of a candidate's report, whose lines the server passes on with their seals."""
    return [json.loads(line.partition(" ")[2]) for line in lines]


def result_of(plan: Plan, record: Record) -> ScreenResult:
    """The verdict on one candidate."""
    report, ending = report_of(record)
    red = tuple(test for test, value in report.results.items() if value.outcome.red)
    first = next((value for value in (*report.results.values(), *report.broken.values()) if value.outcome.red), None)
    if report.running is not None and first is None:
        outcome = Outcome.TIMED_OUT if ending is Ending.TIMED_OUT else Outcome.ERROR
        first, red = TestResult(report.running, outcome), (report.running,)
    passed = ending is Ending.EXITED and first is None and passes(plan.tests, report)
    return ScreenResult(record["id"], passed, red, ending, float(record["seconds"]), first)


def passes(tests: Sequence[str], report: Report) -> bool:
    """Whether a run to its end shows all of the tests green."""
    return report.status == 0 and all(shows_green(test, report) for test in tests)


def shows_green(test: str, report: Report) -> bool:
    """Whether the test, or all that it contains, is green."""
    if test in report.results:
        return report.results[test].outcome.green
    inside = [value for name, value in report.results.items() if name.startswith((f"{test}::", f"{test}["))]
    return bool(inside) and all(value.outcome.green or value.outcome is Outcome.SKIPPED for value in inside)


async def slowly(plan: Plan, candidate: Screened) -> ScreenResult:
    """One candidate by an ordinary run in a layer of its own."""
    run = await plan.whole(plan.tests, {**plan.base, **candidate.layer}, plan.seconds)
    red = tuple(value.id for value in run.results if value.outcome.red)
    first = next((value for value in run.results if value.outcome.red), None)
    passed = run.complete and not red and bool(run.results)
    return ScreenResult(candidate.id, passed, red, run.ending, run.seconds, first)
