"""What is found out by running tests, before anything is changed: how they run, which are red, what they run."""

import asyncio
import time
from collections.abc import AsyncGenerator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath

from thinklonger.agent.config import SandboxChoice
from thinklonger.agent.errors import ExecutionError, SandboxError, UsageError
from thinklonger.agent.execution import (
    Baseline,
    Execution,
    Harness,
    Runner,
    choose_test_files,
    prove,
)
from thinklonger.agent.execution.environments import open_environment
from thinklonger.agent.execution.folders import settle_folder
from thinklonger.agent.issue import read_sketches
from thinklonger.agent.pipeline.allowance import permission_of
from thinklonger.agent.pipeline.measuring import SMALL_SUITE, Measuring, begin_measuring
from thinklonger.agent.pipeline.request import GivenReproduction
from thinklonger.agent.pipeline.survey import Survey
from thinklonger.agent.protocols import SandboxSession
from thinklonger.agent.sandbox import risk, select_sandbox
from thinklonger.agent.stages.verify.reproduction import (
    Origin,
    Reproduction,
    named_tests,
    red_tests,
    related,
    steady,
)
from thinklonger.agent.stages.verify.writing import (
    Written,
    reason_of,
    reason_seen,
    red_for_the_reason,
    write_given,
    write_sketch,
)
from thinklonger.agent.trace.events import (
    EnvironmentProved,
    Event,
    ExecutionUnavailable,
    NotReproduced,
    ProblemFound,
    RegressionChosen,
    Reproduced,
)
from thinklonger.agent.types import Changes, FileState, Interpreter, Layer, Message, Outcome, SymbolKind

SUSPECTED_FILES = 10  # files whose tests may show the issue
SKETCHES = 6  # examples of an issue that are tried
REPEATED_BELOW = (20.0, 4.0)  # a reproduction is run once again below so many seconds, and once more below so few
TRACED_SECONDS = 2.0  # how long tests may run a second time under the tracer, by their time without it
TRACED_SLOWDOWN = 4  # what the tracer is granted on top


@dataclass(slots=True)
class Workshop:
    """Where the repository's tests run."""

    sandbox: str
    interpreter: Interpreter
    session: SandboxSession
    harness: Harness


@dataclass(slots=True)
class Trial(Survey):
    """A survey that runs tests, too; `widely` also tests that the issue does not name."""

    widely: bool = False
    misses: list[Message] = field(default_factory=list[Message])
    workshop: Workshop | None = None
    unavailable: SandboxError | ExecutionError | None = None
    baseline: Baseline | None = None
    measuring: Measuring | None = None

    @property
    def base(self) -> Layer:
        """What lies over the disk's files in every run: unsaved text and a written reproduction."""
        layer = dict(self.request.overlay or {})
        if self.reproduction is not None:
            layer.update(self.reproduction.layer)
        return layer

    def steps(self) -> tuple[AsyncGenerator[Event], ...]:
        """All that this survey does, in order."""
        return self.read(), self.execute(), self.reproduce(), self.rank()

    async def execute(self) -> AsyncGenerator[Event]:
        """Open the sandbox and prove that the tests run in it; if they can't, say why and go on without."""
        started = time.monotonic()
        request = self.request
        try:
            sandbox = await select_sandbox(request.settings.sandbox)
            if warning := risk(sandbox):
                yield ProblemFound(warning)
            provided = await self.stack.enter_async_context(
                open_environment(
                    sandbox,
                    self.repository.root,
                    self.repository.snapshot_files(),
                    permission=await asyncio.to_thread(permission_of, request.settings, self.repository.root),
                    prove=self._prove,
                )
            )
        except (SandboxError, ExecutionError) as error:
            self.unavailable = error
            yield ExecutionUnavailable(error.message, error.remedy)
            return
        harness = provided.harness
        self.workshop = Workshop(sandbox.name, provided.environment.interpreter, provided.session, harness)
        for problem in (*provided.notes, *harness.problems):
            yield ProblemFound(problem)
        yield EnvironmentProved(harness.environment, sandbox.name, time.monotonic() - started)

    async def _prove(self, session: SandboxSession, interpreter: Interpreter, command: str | None) -> Harness:
        """Prove that what this issue is about can run: by its own command, else by that of the repository, if any."""
        return await prove(
            session,
            interpreter,
            test_command=self.request.issue.test_command or command,
            tests_named=self.clues.tests,
            files=self._test_files(self._suspects()) or (),
            limits=self.request.settings.sandbox.limits,
        )

    async def reproduce(self) -> AsyncGenerator[Event]:
        """Find tests that are red for the issue's reason.

        Then see how the tests around them fare: which lines the green ones run tells the guilty lines apart.
        """
        if self.workshop is None:
            return
        harness = self.workshop.harness
        found = await self._found(harness)
        found = await self._steady(harness, found) if found is not None else None
        for message in self.misses:
            yield ProblemFound(message)
        if found is None:
            command = self.request.issue.test_command
            key = "pipeline.command-passes" if command else "pipeline.nothing-red"
            if self.request.reproduction is not None:
                key, command = "pipeline.given-green", self.request.reproduction.name
            yield NotReproduced(Message(key, {"command": command or ""}))
            return
        async for event in self.accept(found):
            yield event

    async def accept(self, found: Reproduction) -> AsyncGenerator[Event]:
        """Take a reproduction that holds, and measure the tests around what it runs."""
        self.reproduction = found
        self.coverage = {**self.coverage, **found.coverage}
        yield Reproduced(found.tests, found.run, found.origin.value, _source(found))
        self.rank_files()
        baseline = self.baseline = await self._measure(self._suspects(), red=frozenset(found.tests))
        yield self._chosen(baseline)

    def _chosen(self, baseline: Baseline) -> RegressionChosen:
        """The event that says which tests a patch must not make worse, and what is known of all others."""
        return RegressionChosen(
            len(baseline.run.results),
            len(baseline.green),
            baseline.already_red,
            baseline.flaky,
            sum(baseline.timings.values()),
            notes=self.notes(),
        )

    @property
    def regression_seconds(self) -> float:
        """How long the regression tests may take on a patch: as on the base, on a machine as busy as it was then."""
        settings = self.request.settings
        if settings.regression.whole:
            return settings.sandbox.limits.wall_seconds
        measured = 0.0 if self.baseline is None else max(self.baseline.run.seconds, sum(self.baseline.timings.values()))
        return max(settings.regression.seconds, 2 * measured)

    def notes(self) -> tuple[Message, ...]:
        """What a person should know of the regression tests and of those that are none."""
        return self.measuring.notes() if self.measuring is not None else ()

    async def widen(self, changes: Changes) -> Baseline | None:
        """Measure the base on the tests that run what a patch changes, too; the baseline with them."""
        if self.measuring is not None and self.reproduction is not None:
            changed = {
                change.renamed_from or change.path: (_bytes(change.before), _bytes(change.after))
                for change in changes
                if change.before is not None
            }
            red = frozenset(self.reproduction.tests)
            self.baseline = await self.measuring.widen(changed, red=red)
            self.coverage = {**self.measuring.coverage, **self.coverage}
        return self.baseline

    async def _asked(self, harness: Harness) -> Reproduction | None:
        """The tests that the issue's command runs, or that its text names, if any is red."""
        if self.request.issue.test_command:
            execution = await self._settled(harness, None)
            return _reproduction(Origin.COMMAND, execution, red_tests(execution.run))
        if named := named_tests(self.clues, await harness.collect(self._test_files(self._suspects()))):
            execution = await self._settled(harness, named)
            return _reproduction(Origin.NAMED, execution, red_tests(execution.run))
        return None

    async def _settled(self, harness: Harness, tests: Sequence[str] | None) -> Execution:
        """A run on the base, from the folder in which most of the tests find their files."""
        execution = await harness.run(tests, layer=self.base, coverage=True)
        if await settle_folder(harness, execution.run, layer=self.base):
            return await harness.run(tests, layer=self.base, coverage=True)
        return execution

    async def _red_in_the_suite(self, harness: Harness) -> Reproduction | None:
        """Red tests near the suspected files that speak of what the issue speaks of."""
        suspects = self._suspects()
        red = (await self._measure(suspects)).already_red
        if not red:
            return None
        execution = await harness.run(red, layer=self.base, coverage=True)
        chosen = related(execution.run, execution.coverage, clues=self.clues, suspects=frozenset(suspects))
        return _reproduction(Origin.FAILING, execution, chosen)

    async def _found(self, harness: Harness) -> Reproduction | None:
        """The user's own reproduction, nothing else; without one, the first that is red for the issue's reason."""
        if self.request.reproduction is not None:
            return await self._given(harness, self.request.reproduction)
        found = await self._asked(harness)
        if found is None and self.widely and not self.request.issue.test_command:
            found = await self._red_in_the_suite(harness) or await self._example(harness)
        return found

    async def _given(self, harness: Harness, given: GivenReproduction) -> Reproduction | None:
        """The user's script or test file, if it is red; it is said if the issue shows another exception."""
        if harness.runner is Runner.COMMAND:
            raise UsageError("pipeline.given-command")
        written = write_given(given.name, given.content)
        execution = await self._try(harness, written)
        red = red_tests(execution.run)
        shown = {clue.exception.rpartition(".")[2] for clue in self.clues.tracebacks if clue.exception}
        seen = {result.exception.rpartition(".")[2] for result in execution.run.results if result.outcome.red}
        if red and shown and shown.isdisjoint(seen):
            self.misses.append(_other_reason(", ".join(sorted(shown)), ", ".join(sorted(seen))))
        return _reproduction(Origin.GIVEN, execution, red, written.layer)

    async def _example(self, harness: Harness) -> Reproduction | None:
        """A test written around an example of the issue, the first that is red for the reason that the issue shows."""
        if harness.runner is Runner.COMMAND:
            return None
        misses: list[Message] = []
        for sketch in read_sketches(self.request.issue.text, self.clues)[:SKETCHES]:
            written = write_sketch(sketch, module_of=self._module_of)
            execution = await self._try(harness, written)
            result = next(iter(execution.run.results), None)
            if result is not None and red_for_the_reason(result, sketch):
                return _reproduction(Origin.EXAMPLE, execution, red_tests(execution.run), written.layer)
            if result is not None and result.outcome.green:
                misses.append(Message("pipeline.example-green", {"expected": reason_of(sketch)}))
            elif result is not None:
                misses.append(_other_reason(reason_of(sketch), reason_seen(result)))
        self.misses += [miss for number, miss in enumerate(misses) if miss not in misses[:number]]
        return None

    async def _try(self, harness: Harness, written: Written) -> Execution:
        return await harness.run(written.tests, layer={**self.base, **written.layer}, coverage=True)

    def _module_of(self, name: str) -> str | None:
        """The module that a name of an example comes from, where the repository leaves no doubt."""
        places = {
            symbol.path
            for symbol in self.repository.find(name)
            if symbol.name == name
            and symbol.kind in (SymbolKind.CLASS, SymbolKind.FUNCTION)
            and not self.repository.is_test(symbol.path)
        }
        if len(places) == 1:
            parts = places.pop().with_suffix("").parts
            parts = parts[1:] if parts[0] == "src" else parts
            return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        tops = {path.parts[1 if path.parts[0] == "src" else 0] for path in self.repository.paths()}
        return name if not places and (name in tops or f"{name}.py" in tops) else None

    async def _steady(self, harness: Harness, found: Reproduction) -> Reproduction | None:
        """The reproduction without tests that are red only sometimes; they are named, and prove nothing.

        One that hung is not tried again, which would take its whole time: what a test that hangs only sometimes
        would prove, the placebo's run shows to be worth nothing.
        """
        hung = found.run.ids(Outcome.TIMED_OUT)
        ended = tuple(test for test in found.tests if test not in hung)
        seconds = found.run.seconds - sum(result.seconds for result in found.run.results if result.id in hung)
        repeats = sum(seconds < limit for limit in REPEATED_BELOW) if ended else 0
        layer = {**self.base, **found.layer}
        again = [(await harness.run(ended, layer=layer)).run for _ in range(repeats)]
        kept = {*steady(found.run, again, ended), *hung}
        kept = tuple(test for test in found.tests if test in kept)
        self.misses += [Message("pipeline.unsteady", {"test": test}) for test in found.tests if test not in kept]
        return replace(found, tests=kept) if kept else None

    def _suspects(self) -> list[PurePosixPath]:
        """The most suspicious files of what is no test; once tests ran, of what they ran."""
        ran = {path for lines in self.coverage.values() for path in lines}
        paths = [rank.path for rank in self.files if not self.repository.is_test(rank.path)]
        return ([path for path in paths if path in ran] or paths)[:SUSPECTED_FILES]

    def _test_files(self, suspects: Sequence[PurePosixPath]) -> list[PurePosixPath] | None:
        """The test files that are collected at once: what the issue is about, what is near the suspects; None: all."""
        regression = self.request.settings.regression
        files = [path for path in self.repository.paths() if self.repository.is_test(path)]
        if regression.whole or len(files) <= SMALL_SUITE:
            return None
        asked = {rank.path for rank in self.files if self.repository.is_test(rank.path)}
        asked |= {PurePosixPath(test.partition("::")[0]) for test in self.coverage}
        near = choose_test_files(self.repository, changed=suspects, files=files, seconds=regression.seconds)
        return list(dict.fromkeys((*(path for path in files if path in asked), *near)))

    async def trace(self, harness: Harness, baseline: Baseline) -> None:
        """Run quick green tests once more under the tracer."""
        traced: list[str] = []
        seconds = 0.0
        for test in baseline.green:
            seconds += baseline.timings.get(test, 0.0)
            if seconds > TRACED_SECONDS:
                break
            traced.append(test)
        if traced:
            seconds = TRACED_SLOWDOWN * TRACED_SECONDS
            execution = await harness.run(traced, layer=self.base, coverage=True, seconds=seconds)
            self.coverage = {**execution.coverage, **self.coverage}

    async def _measure(self, suspects: Sequence[PurePosixPath], *, red: AbstractSet[str] = frozenset()) -> Baseline:
        """How the base fares on the tests most likely to run the suspected files; once for each content."""
        measuring = await self._measuring()
        baseline = await measuring.measure(suspects, coverage=self.coverage, red=red)
        self.coverage = {**measuring.coverage, **self.coverage}
        return baseline

    async def _measuring(self) -> Measuring:
        """What is known of the repository's tests; from here on the whole suite is collected in the background."""
        workshop = self.workshop
        if workshop is None:
            raise SandboxError("pipeline.no-baseline")
        if self.measuring is None:
            self.measuring = await begin_measuring(
                self.repository,
                workshop.harness,
                settings=self.request.settings,
                base=self.base,
                isolated=workshop.sandbox != SandboxChoice.NONE,
            )
            self.measuring.discover(self.stack)
        self.measuring.base = self.base
        return self.measuring


def _bytes(state: FileState | None) -> bytes:
    """A file's content; empty where there is no file."""
    return state.content if state is not None else b""


def _source(reproduction: Reproduction) -> str:
    """The text of a reproduction that the repository does not hold."""
    return b"\n".join(map(_bytes, reproduction.layer.values())).decode("utf-8", "replace")


def _other_reason(expected: str, seen: str) -> Message:
    return Message("pipeline.other-reason", {"expected": expected, "seen": seen})


def _reproduction(
    origin: Origin, execution: Execution, red: Sequence[str], layer: Layer | None = None
) -> Reproduction | None:
    """The reproduction that these red tests make, None if there is none."""
    if not red:
        return None
    return Reproduction(origin, tuple(red), execution.run, execution.coverage, layer or {})
