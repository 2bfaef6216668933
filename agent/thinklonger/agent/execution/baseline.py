"""How the base fares on chosen tests, measured once and cached by content."""

import asyncio
import hashlib
import os
import tempfile
from collections.abc import Awaitable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from thinklonger.agent.execution.harness import Harness
from thinklonger.agent.execution.outcomes import Baseline, Execution
from thinklonger.agent.types import Ending, EnvironmentRecord, Layer, LineCoverage, Outcome, TestRun

FORMAT = 2
NOTHING_RAN = frozenset({Outcome.MISSING})
PATIENCE = 3.0
"""How many times its time a test may take where the machine has more to do."""
START_SECONDS = 60.0
"""What importing and collecting may take before the first test runs."""


@dataclass(frozen=True, slots=True)
class Effort:
    """How the base is measured: `seconds` of tests in each of the two runs, one of them at most `seconds_per_test`.

    `cpu_seconds` bound their CPU: on a machine that has more to do the same tests are reached, only later.

    A test that runs out of its time is red, or, where `slow_is_red` is False, says nothing.
    `traced_seconds` (CPU) of the second run see which lines each test runs. `together`: both runs at once, where
    the sandbox keeps them apart. `last`: tests that are known to be slow. `shards` above 1: the first run is spread
    over so many processes, and only what is red is run again; for whole suites.
    """

    seconds: float = 60.0
    seconds_per_test: float = 10.0
    cpu_seconds: float | None = None
    slow_is_red: bool = True
    traced_seconds: float = 0.0
    together: bool = False
    last: tuple[str, ...] = ()
    shards: int = 1


async def measure(
    harness: Harness, targets: Sequence[str], *, layer: Layer | None = None, effort: Effort = Effort()
) -> tuple[Baseline, LineCoverage]:
    """Run the tests (or all tests of files) on the base twice, each time in a fresh layer; what differs is flaky.

    Tests that were not reached in time are MISSING in the baseline's run, and neither red nor flaky. A test that ran
    out of its time only under the tracer has no second opinion. Red tests without one run once more. The coverage is
    that of the tests that ran first in the second run. Raises SandboxError only.
    """
    if not targets:
        return Baseline(TestRun((), Ending.EXITED, None, 0.0, (), complete=True), (), ()), {}
    if effort.shards > 1:
        first, second = await spread(harness, targets, layer, effort), None
    elif effort.together:
        first, second = await gather_both(
            once(harness, targets, layer, effort), traced(harness, targets, layer, effort)
        )
    else:
        first = await once(harness, targets, layer, effort)
        second = await traced(harness, targets, layer, effort)
    opinions = {result.id: result.outcome for result in second.run.results} if second is not None else {}
    doubted = [result.id for result in first.results if result.outcome.red and not_heard(opinions.get(result.id))]
    passed_over = first.ids(Outcome.MISSING) if effort.slow_is_red else first.ids(Outcome.MISSING, Outcome.TIMED_OUT)
    doubted = [test for test in doubted if test not in passed_over]
    if doubted:
        again = await harness.run(
            doubted, layer=layer, seconds_per_test=effort.seconds_per_test, seconds=effort.seconds
        )
        opinions |= {result.id: result.outcome for result in again.run.results}
    return judged(first, opinions, effort), second.coverage if second is not None else {}


def judged(first: TestRun, opinions: Mapping[str, Outcome], effort: Effort) -> Baseline:
    """The baseline that a run and second opinions make."""
    slow = frozenset[str]() if effort.slow_is_red else first.ids(Outcome.TIMED_OUT)
    ran = [result for result in first.results if result.outcome not in NOTHING_RAN]
    steady = [result for result in ran if result.id not in slow]
    flaky = [result.id for result in steady if differs(result.outcome, opinions.get(result.id))]
    unsteady = frozenset(flaky)
    return Baseline(
        run=first,
        already_red=tuple(result.id for result in steady if result.outcome.red and result.id not in unsteady),
        flaky=tuple(flaky),
        timings={result.id: max(result.seconds, effort.seconds_per_test * (result.id in slow)) for result in ran},
    )


def differs(first: Outcome, second: Outcome | None) -> bool:
    """Whether two runs disagree on a test; to run out of time in the second one is no opinion of a green test."""
    if not_heard(second) or (first.green and second is Outcome.TIMED_OUT):
        return False
    return (first.green, first.red) != (second.green, second.red) if second is not None else False


def not_heard(outcome: Outcome | None) -> bool:
    """Whether a run said nothing of a test."""
    return outcome is None or outcome in NOTHING_RAN


def merged(first: Baseline, second: Baseline) -> Baseline:
    """Two baselines of different tests as one; a test that only one of them reached is as that one says."""
    reached = {result.id for result in second.run.results if result.outcome not in NOTHING_RAN}
    kept = {result.id: result for result in first.run.results if result.id not in reached}
    run = joined((first.run, second.run)) if first.run.results else second.run
    results = (*kept.values(), *(result for result in second.run.results if result.id not in kept))
    return Baseline(
        run=replace(run, results=results),
        already_red=(*first.already_red, *second.already_red),
        flaky=(*first.flaky, *second.flaky),
        timings=first.timings | second.timings,
    )


def without_tests(baseline: Baseline, tests: Collection[str]) -> Baseline:
    """The baseline of all other tests."""
    return Baseline(
        run=replace(baseline.run, results=tuple(result for result in baseline.run.results if result.id not in tests)),
        already_red=tuple(test for test in baseline.already_red if test not in tests),
        flaky=tuple(test for test in baseline.flaky if test not in tests),
        timings={test: seconds for test, seconds in baseline.timings.items() if test not in tests},
    )


async def once(harness: Harness, targets: Sequence[str], layer: Layer | None, effort: Effort) -> TestRun:
    """The plain run."""
    return (
        await harness.run(
            targets,
            layer=layer,
            seconds_per_test=effort.seconds_per_test,
            patience=PATIENCE,
            seconds=effort.seconds,
            cpu_seconds=effort.cpu_seconds,
            start_seconds=START_SECONDS,
            last=effort.last,
            expand=True,
        )
    ).run


async def traced(harness: Harness, targets: Sequence[str], layer: Layer | None, effort: Effort) -> Execution:
    """The second run: the same tests in the same order, the first of them under the tracer."""
    return await harness.run(
        targets,
        layer=layer,
        coverage=effort.traced_seconds > 0,
        coverage_seconds=effort.traced_seconds,
        seconds_per_test=effort.seconds_per_test,
        patience=PATIENCE,
        seconds=effort.seconds,
        cpu_seconds=effort.cpu_seconds,
        start_seconds=START_SECONDS,
        last=effort.last,
        expand=True,
    )


async def gather_both(first: Awaitable[TestRun], second: Awaitable[Execution]) -> tuple[TestRun, Execution]:
    """Both at once; where one fails, the other one is stopped."""
    tasks = asyncio.ensure_future(first), asyncio.ensure_future(second)
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def spread(harness: Harness, targets: Sequence[str], layer: Layer | None, effort: Effort) -> TestRun:
    """The plain run in several processes, each with files of its own."""
    files: dict[str, list[str]] = {}
    for target in targets:
        files.setdefault(target.partition("::")[0], []).append(target)
    shards: list[list[str]] = [[] for _ in range(min(effort.shards, len(files)))]
    for names in sorted(files.values(), key=len, reverse=True):
        min(shards, key=len).extend(names)
    tasks = [asyncio.create_task(once(harness, shard, layer, effort)) for shard in shards]
    try:
        runs = await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return joined(runs)


def joined(runs: Sequence[TestRun]) -> TestRun:
    """Runs of different tests at the same time, as one: as bad as the worst, as long as the longest."""
    worst = max(runs, key=lambda run: (run.ending is not Ending.EXITED, not run.complete, run.exit_code or 0))
    return TestRun(
        command=runs[0].command[:3] + tuple(word for run in runs for word in run.command[3:]),
        ending=worst.ending,
        exit_code=worst.exit_code,
        seconds=max(run.seconds for run in runs),
        results=tuple(result for run in runs for result in run.results),
        complete=all(run.complete for run in runs),
        output=worst.output,
    )


async def measure_baseline(
    harness: Harness,
    tests: Sequence[str],
    *,
    layer: Layer | None = None,
    seconds_per_test: float = 10.0,
    seconds: float = 60.0,
) -> Baseline:
    """See `measure`; one run after the other, nothing traced."""
    effort = Effort(seconds=seconds, seconds_per_test=seconds_per_test)
    return (await measure(harness, tests, layer=layer, effort=effort))[0]


def tree_digest(root: Path, files: Collection[PurePosixPath]) -> str:
    """A digest over the names and contents of a tree's files; what can't be read counts as absent."""
    digest = hashlib.sha256()
    for path in sorted(files):
        digest.update(f"{path}\0".encode("utf-8", "surrogateescape"))
        with suppress(OSError):
            digest.update(hashlib.sha256((root / path).read_bytes()).digest())
    return digest.hexdigest()


class BaselineCache:
    """Baselines on disk, keyed by content; a folder that can't be read or written is no cache, never an error."""

    def __init__(self, directory: Path) -> None:
        """Keep baselines in `directory`, made when first needed."""
        self.directory = directory

    def key(self, tree: str, environment: EnvironmentRecord, tests: Sequence[str]) -> str:
        """The key of these tests on that tree (its `tree_digest`) in that environment."""
        parts = (str(FORMAT), tree, environment.digest, *tests)
        return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogateescape")).hexdigest()

    def load(self, key: str) -> Baseline | None:
        """The baseline, or None where there is none or it can't be read."""
        import msgspec  # noqa: PLC0415 - needed only where there is a cache

        try:
            return msgspec.json.decode(self._place(key).read_bytes(), type=Baseline, dec_hook=decode_path)
        except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
            return None

    def store(self, key: str, baseline: Baseline) -> None:
        """Keep the baseline, if the folder can be written; nobody ever sees half of it."""
        import msgspec  # noqa: PLC0415 - needed only where there is a cache

        place = self._place(key)
        with suppress(OSError):
            place.parent.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(dir=place.parent, prefix=".new-")
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(msgspec.json.encode(baseline, enc_hook=str))
                Path(name).replace(place)
            except OSError:
                Path(name).unlink(missing_ok=True)

    def _place(self, key: str) -> Path:
        return self.directory / key[:2] / f"{key}.json"


def decode_path(kind: type, value: object) -> object:
    """Read a path; everything else msgspec knows by itself."""
    if kind is PurePosixPath and isinstance(value, str):
        return PurePosixPath(value)
    raise NotImplementedError(kind)
