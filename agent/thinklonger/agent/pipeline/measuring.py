"""Which tests a run chooses to hold a patch against, and how the base fares on them."""

import asyncio
import os
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from thinklonger.agent.config import Settings
from thinklonger.agent.config.places import cache_directory
from thinklonger.agent.errors import SandboxError
from thinklonger.agent.execution import Baseline, BaselineCache, Harness, Runner, choose_regression, choose_test_files
from thinklonger.agent.execution.baseline import Effort, measure, merged, without_tests
from thinklonger.agent.execution.folders import settle_folder
from thinklonger.agent.execution.memory import SuiteMemory, digest_files, digest_settings
from thinklonger.agent.execution.obstacles import named, set_aside, told
from thinklonger.agent.execution.regression import FAR, SLOW_SECONDS, UNKNOWN_SECONDS, changed_lines, nearness
from thinklonger.agent.execution.suite import Suite, collects_files, count_tests
from thinklonger.agent.repository import Repository
from thinklonger.agent.types import Ending, Layer, LineCoverage, Message, Outcome, TestRun

SMALL_SUITE = 100  # test files; a suite up to this is collected by one process, in its own way
TRACED_SECONDS = 5.0  # CPU; how long the second base run sees which lines its tests run
SHARE = 0.5  # of the time for regression tests, before a patch is known; what is left goes to the lines that it changes
SLOWEST = 2.0  # CPU; a test that takes longer has its turn only when a patch changes what it runs
BUSY = 3.0  # how much longer tests may take than their CPU: they wait, or the machine has more to do
FURTHER = 0.25  # of that time, for tests that run what a patch changes
NOTHING = Baseline(TestRun((), Ending.EXITED, None, 0.0, (), complete=True), (), ())


@dataclass(slots=True)
class Measuring:
    """The base's tests: what is known of the whole suite, and what was measured so far.

    `isolated`: two runs at once can't meet (they share neither files nor ports).
    """

    repository: Repository
    harness: Harness
    settings: Settings
    suite: Suite
    digests: Mapping[PurePosixPath, str]
    base: Layer
    isolated: bool
    measured: Baseline = NOTHING
    coverage: LineCoverage = field(default_factory=dict[str, Mapping[PurePosixPath, frozenset[int]]])

    @property
    def cores(self) -> int:
        """How many processes may run at once."""
        return (self.settings.search.workers or len(os.sched_getaffinity(0))) if self.isolated else 1

    def discover(self, stack: AsyncExitStack) -> None:
        """Collect the whole suite in the background, behind everything else, until the run ends."""

        async def collect() -> None:
            try:
                await self.suite.collect(idle=True)
            except SandboxError:
                return  # the sandbox is gone, and so is the run; whoever waits for a result hears of it

        task = asyncio.create_task(collect())

        async def stop() -> None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

        stack.push_async_callback(stop)

    async def measure(
        self,
        suspects: Sequence[PurePosixPath],
        *,
        coverage: LineCoverage,
        red: AbstractSet[str] = frozenset(),
    ) -> Baseline:
        """How the base fares on the tests most likely to run suspected files; `red` ones are the reproduction.

        What was measured before is not measured again. Raises SandboxError only.
        """
        if self.harness.runner is Runner.COMMAND:
            return NOTHING if red else (await measure(self.harness, self.harness.all_tests or (), layer=self.base))[0]
        regression = self.settings.regression
        if regression.whole:
            await self.suite.collect(workers=self.cores, seconds=self.settings.sandbox.limits.wall_seconds)
        lines = _lines_of(coverage, red, suspects)
        asked = [PurePosixPath(test.partition("::")[0]) for test in red]
        chosen = self._choose(suspects, lines, coverage=coverage, asked=asked, seconds=regression.seconds)
        targets = self._fresh(chosen, red)
        effort = Effort(
            BUSY * SHARE * regression.seconds,
            cpu_seconds=SHARE * regression.seconds,
            seconds_per_test=SLOWEST if red else 10.0,
            slow_is_red=not red,
            traced_seconds=TRACED_SECONDS,
            together=self.isolated,
            last=self._slow(targets),
        )
        await self._add(targets, effort)
        if regression.whole:
            everything = [test for path in self.suite.files for test in self.suite.targets(path)]
            rest = self._fresh(everything, red)
            seconds = self.settings.sandbox.limits.wall_seconds
            await self._add(rest, Effort(seconds, shards=self.cores, last=self._slow(rest)))
        return without_tests(self.measured, red)

    async def widen(self, changed: Mapping[PurePosixPath, tuple[bytes, bytes]], *, red: AbstractSet[str]) -> Baseline:
        """The same with the tests that run the lines a patch changes (`changed`: its files before and after).

        Raises SandboxError only.
        """
        regression = self.settings.regression
        if self.harness.runner is not Runner.COMMAND and not regression.whole:
            lines = {path: changed_lines(before, after) for path, (before, after) in changed.items()}
            near = nearness(self.repository, lines)
            chosen = self._choose(tuple(lines), lines, coverage=self.coverage, asked=(), seconds=regression.seconds)
            known = self._running(tuple(lines)).keys() | self.coverage.keys()
            targets = [
                test
                for test in self._fresh(chosen, red)
                if test in known or near(PurePosixPath(test.partition("::")[0]))[0] < FAR
            ]
            effort = Effort(
                BUSY * FURTHER * regression.seconds,
                cpu_seconds=FURTHER * regression.seconds,
                slow_is_red=False,
                traced_seconds=1.0,
                together=self.isolated,
                last=self._slow(targets),
            )
            await self._add(targets, effort)
        return without_tests(self.measured, red)

    def notes(self) -> tuple[Message, ...]:
        """What a person should know of the tests that were chosen, and of those that were not."""
        facts = self.suite.facts
        known = {"files": facts.collected, "of": facts.files, "tests": facts.tests, "counted": facts.counted}
        found: list[Message] = []
        if facts.files:
            found.append(Message("pipeline.suite-partly" if facts.collected < facts.files else "pipeline.suite", known))
        return (*found, *self.set_aside())

    def set_aside(self) -> tuple[Message, ...]:
        """The tests that say nothing of a patch, by reason: flaky ones, and those that this machine can't run."""
        flaky = self.measured.flaky
        said = [Message("pipeline.flaky", {"count": len(flaky), "tests": named(flaky)})] if flaky else []
        red = {*self.measured.already_red, *self.measured.run.ids(Outcome.TIMED_OUT)}
        aside = set_aside(self.measured.run.results, red=red)
        return (*said, *told({reason: tests for reason, tests in aside.items() if reason is not None}))

    def _choose(
        self,
        suspects: Sequence[PurePosixPath],
        lines: Mapping[PurePosixPath, frozenset[int]],
        *,
        coverage: LineCoverage,
        asked: Sequence[PurePosixPath],
        seconds: float,
    ) -> tuple[str, ...]:
        """Tests, or whole files where their tests are not known: first those that ran the lines, then those nearby."""
        suite = self.suite
        running = self._running(suspects)
        counts = dict(suite.counts) | {path: len(tests) for path, tests in suite.known.items()}
        near = choose_test_files(self.repository, changed=suspects, files=suite.files, seconds=seconds, counts=counts)
        files = set(suite.files)
        ran = [PurePosixPath(test.partition("::")[0]) for test in running]
        wanted = [path for path in dict.fromkeys((*asked, *ran, *near)) if path in files]
        return choose_regression(
            self.repository,
            changed=suspects,
            tests=[target for path in wanted for target in suite.targets(path)],
            timings=suite.costs(suite.memory.timings(), UNKNOWN_SECONDS),
            coverage={**running, **coverage},
            seconds=seconds,
            lines=lines,
        )

    def _running(self, paths: Sequence[PurePosixPath]) -> LineCoverage:
        return self.suite.memory.running(paths, self.digests)

    def _fresh(self, targets: Sequence[str], red: AbstractSet[str]) -> list[str]:
        """The targets that were not measured yet and are not the reproduction."""
        missing = self.measured.run.ids(Outcome.MISSING, Outcome.TIMED_OUT)
        known = {result.id for result in self.measured.run.results} - missing
        return [target for target in targets if target not in known and target not in red]

    def _slow(self, targets: Sequence[str]) -> tuple[str, ...]:
        timings = self.suite.memory.timings()
        return tuple(target for target in targets if timings.get(target, 0.0) > SLOW_SECONDS)

    async def _add(self, targets: Sequence[str], effort: Effort) -> None:
        """Measure these, or take what an earlier run on the same content measured, and remember all of it."""
        if not targets:
            return
        cache = BaselineCache(cache_directory(self.settings) / "baselines")
        tree = "\0".join((self.harness.folder, *(f"{path}\0{text}" for path, text in sorted(self.digests.items()))))
        key = cache.key(tree, self.harness.environment, targets)
        found = cache.load(key)
        coverage: LineCoverage = {}
        if found is None:
            found, coverage = await measure(self.harness, targets, layer=self.base, effort=effort)
            if await settle_folder(self.harness, found.run, layer=self.base):
                found, coverage = await measure(self.harness, targets, layer=self.base, effort=effort)
            self._remember(targets, found, coverage)
            cache.store(key, found)
        self.measured = merged(self.measured, found)
        steady = frozenset(found.green)
        known = self.suite.memory.lines(steady - coverage.keys(), self.digests)
        traced = {test: lines for test, lines in {**known, **coverage}.items() if test in steady}
        self.coverage = {**self.coverage, **traced}

    def _remember(self, targets: Sequence[str], found: Baseline, coverage: LineCoverage) -> None:
        memory = self.suite.memory
        whole = frozenset(target for target in targets if "::" not in target)
        tests = [value.id for value in found.run.results if value.id.partition("::")[0] in whole and "::" in value.id]
        self.suite.learn(
            tests, [PurePosixPath(path) for path in dict.fromkeys(test.partition("::")[0] for test in tests)]
        )
        memory.keep_timings(found.timings)
        memory.keep_lines(coverage, self.digests)


async def begin_measuring(
    repository: Repository, harness: Harness, *, settings: Settings, base: Layer, isolated: bool
) -> Measuring:
    """Take stock of a repository's tests: by reading, and from what earlier runs found out."""

    def take_stock() -> Measuring:
        files = repository.snapshot_files()
        digests = digest_files(repository.root, [*files, *base], base)
        memory = SuiteMemory(
            cache_directory(settings) / "tests",
            root=repository.root,
            environment=harness.environment,
            settings=digest_settings(repository.root, files, base),
        )
        counts = count_tests(repository)
        special = collects_files(lambda path: getattr(repository.read(path), "content", None), sorted(files))
        suite = Suite(harness, memory, digests, counts, whole=special or len(counts) <= SMALL_SUITE)
        suite.recall()
        return Measuring(repository, harness, settings, suite, digests, base, isolated)

    return await asyncio.to_thread(take_stock)


def _lines_of(
    coverage: LineCoverage, red: AbstractSet[str], suspects: Sequence[PurePosixPath]
) -> dict[PurePosixPath, frozenset[int]]:
    """The lines of suspected files that red tests run."""
    found: dict[PurePosixPath, frozenset[int]] = {}
    for test in red & coverage.keys():
        for path in coverage[test].keys() & set(suspects):
            found[path] = found.get(path, frozenset()) | coverage[test][path]
    return found
