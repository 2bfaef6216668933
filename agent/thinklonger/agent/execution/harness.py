"""The proof that a repository's tests run, and the handle to run them with."""

import hashlib
from collections.abc import AsyncGenerator, AsyncIterable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import TypeAlias

from thinklonger.agent.errors import ExecutionError
from thinklonger.agent.execution import proof
from thinklonger.agent.execution.commands import TestCommand, read_command, unselective
from thinklonger.agent.execution.lending import lent_pytest
from thinklonger.agent.execution.obstacles import named, python_2
from thinklonger.agent.execution.outcomes import Execution, Runner, Screened, ScreenResult, test_path
from thinklonger.agent.execution.reading import REPORT, Finished, Reader, Record, Report, read_report, run_of
from thinklonger.agent.execution.request import Place, Request, bounded, command_for, environment, make_nonce, shown
from thinklonger.agent.execution.screening import Plan, screen
from thinklonger.agent.execution.verdict import judge
from thinklonger.agent.protocols import SandboxSession
from thinklonger.agent.types import (
    Command,
    CommandResult,
    Ending,
    EnvironmentRecord,
    FileState,
    Interpreter,
    Layer,
    Limits,
    Message,
    TestResult,
    TestRun,
)

MISSES_FILE = ("FileNotFoundError", "NotADirectoryError")
MOST_FOLDERS = 3
USAGE_STATUS = 4
"""What pytest exits with when it can't read its options, or a conftest."""


async def prove(  # noqa: PLR0913 - all that an issue and its repository may say about tests
    session: SandboxSession,
    interpreter: Interpreter,
    *,
    test_command: str | None = None,
    tests_named: Sequence[str] = (),
    files: Sequence[PurePosixPath] = (),
    limits: Limits = Limits(),
) -> "Harness":
    """Prove that the tests run: the interpreter starts, the runner imports, more than zero tests are collected.

    `tests_named` are ids, paths or bare names of tests (as an issue gives them); those that exist become `selected`,
    as does what a `test_command` selects. Without a command, `files` are collected where all would take too long, and
    all where these give nothing. Raises UsageError for a command that is none, ExecutionError when the
    tests can't be run, with the first error that matters.
    """
    asked = None if test_command is None else read_command(test_command)
    place = Place(interpreter, lent_pytest(interpreter), () if asked is None else asked.environment, limits)
    if asked is not None and asked.runner is Runner.COMMAND:
        return await prove_command(session, place, asked)
    runner = "auto" if asked is None else asked.runner.value
    arguments = () if asked is None else asked.arguments
    request = Request("collect", runner, arguments, seconds=limits.wall_seconds)
    collected = await collect_some(session, place, request, files) if asked is None and files else None
    whole = collected is None
    collected = collected or await collect(session, place, request)
    report = collected.report
    tests = report.planned or ()
    selected = (*tests, *report.broken) if asked is not None else proof.resolve_names(tuple(tests_named), tests)
    options = unselective(without(arguments, report.positional)) if report.runner["runner"] == Runner.PYTEST else ()
    harness = Harness(
        session=session,
        place=place,
        environment=record_of(interpreter, report.runner, len(tests)),
        runner=Runner(report.runner["runner"]),
        selected=selected,
        problems=problems_of(report),
        options=options,
        drop_addopts=collected.drop_addopts,
        folder=collected.folder,
    )
    if asked is None and whole:
        harness.all_tests = tests
    return harness


async def prove_command(session: SandboxSession, place: Place, asked: TestCommand) -> "Harness":
    """Prove as much as can be proved of a command that is no known runner: the interpreter starts, the program is."""
    request = Request("probe", Runner.COMMAND, program=asked.argv[0])
    result, report = await ask(session, place, request)
    if not report.runner:
        raise proof.failure(result, report, place.interpreter, seconds=0.0)
    if not report.runner["found"]:
        raise ExecutionError("execution.program-missing", program=asked.argv[0])
    return Harness(
        session=session,
        place=place,
        environment=record_of(place.interpreter, report.runner, 1),
        runner=Runner.COMMAND,
        selected=(" ".join(asked.argv),),
        problems=(),
        argv=asked.argv,
        all_tests=(" ".join(asked.argv),),
    )


@dataclass(frozen=True, slots=True)
class Collected:
    """A collection that gave something to run, from which folder (below the root; mostly the root itself).

    `drop_addopts`: the repository's own extra options were unusable.
    """

    report: Report
    drop_addopts: bool
    folder: str = ""


async def collect(session: SandboxSession, place: Place, request: Request) -> Collected:
    """Collect tests; options that the repository adds and this environment does not know are left out at last.

    Raises ExecutionError where nothing at all can be run.
    """
    result, report = await ask(session, place, request)
    if report.status == USAGE_STATUS and not report.planned and not report.broken:
        retried = replace(request, drop_addopts=True)
        second_result, second = await ask(session, place, retried)
        if second.planned or second.broken:
            result, report, request = second_result, second, retried
    if not report.planned:
        for folder in folders_to_try(report):
            inside = replace(request, folder=folder)
            _, second = await ask(session, place, inside)
            if second.planned:
                return Collected(second, request.drop_addopts, folder)
    if report.planned or (report.broken and worth_running(report, request)):
        return Collected(report, request.drop_addopts)
    raise proof.failure(result, report, place.interpreter, seconds=request.seconds)


def folders_to_try(report: Report) -> list[str]:
    """The folders of test files that open a file by a name that does not hold at the root."""
    lost = [path for path, value in report.broken.items() if value.exception in MISSES_FILE]
    return list(dict.fromkeys(str(test_path(path).parent) for path in lost if "/" in path))[:MOST_FOLDERS]


def problems_of(report: Report) -> tuple[Message, ...]:
    """What a person should know of a collection; files for Python 2 in one sentence."""
    old = [path for path, value in report.broken.items() if python_2(value)]
    rest = {path: value for path, value in report.broken.items() if path not in old}
    told = proof.problems(replace(report, broken=rest))
    return (*told, *([Message("execution.files-python-2", {"count": len(old), "paths": named(old)})] if old else []))


async def collect_some(
    session: SandboxSession, place: Place, request: Request, files: Sequence[PurePosixPath]
) -> Collected | None:
    """Collect some files only; None where they give no test."""
    try:
        collected = await collect(session, place, replace(request, tests=tuple(map(str, files))))
    except ExecutionError:
        return None
    return collected if collected.report.planned else None


def worth_running(report: Report, request: Request) -> bool:
    """Whether files that can't be collected are themselves the failing tests that were asked for."""
    asked = request.runner != "auto"
    return asked and not any(proof.missing_module(value, report) for value in report.broken.values())


async def ask(session: SandboxSession, place: Place, request: Request) -> tuple[CommandResult, Report]:
    """Run the payload once on the tree as it is, keeping the bytecode for later layers."""
    nonce = make_nonce()
    result = await session.warm(command_for(request, place, nonce=nonce))
    return result, report_in(result, nonce)


def report_in(result: CommandResult, nonce: str) -> Report:
    """The report among a command's artifacts."""
    return read_report(Reader(nonce).read(result.artifacts.get(REPORT, b"")))


def without(words: Sequence[str], positional: Sequence[str]) -> tuple[str, ...]:
    """The words that are options, once the positional ones are taken away (from the end)."""
    left = list(reversed(words))
    for word in reversed(positional):
        if word in left:
            left.remove(word)
    return tuple(reversed(left))


def record_of(interpreter: Interpreter, runner: Record, collected: int) -> EnvironmentRecord:
    """What ran, with a digest over all of it."""
    lent = " (lent by ThinkLonger)" if runner["lent"] else ""
    fields = (str(interpreter.executable), runner["python"], runner["runner"], f"{runner['version']}{lent}", collected)
    digest = hashlib.sha256("\0".join(map(str, (*fields, runner["implementation"]))).encode()).hexdigest()
    return EnvironmentRecord(*fields, digest=digest)


Foundation: TypeAlias = frozenset[tuple[PurePosixPath, FileState | None]]
"""A layer's files, as a key."""


def foundation(layer: Layer | None) -> Foundation:
    """The key of a layer; no layer and an empty one are the same."""
    return frozenset((layer or {}).items())


@dataclass(slots=True)
class Harness:
    """A repository's tests, ready to run.

    `selected`: the ids that the test command or the named tests select (empty without either); a file that can't be
    collected stands there by its path, and is red until all of its tests pass. `problems`: what a person should know
    about the proof, such as files that can't be collected. `folder`: where the tests run, below the root.
    """

    environment: EnvironmentRecord
    runner: Runner
    selected: tuple[str, ...]
    problems: tuple[Message, ...]
    session: SandboxSession
    place: Place
    options: tuple[str, ...] = ()
    argv: tuple[str, ...] = ()
    drop_addopts: bool = False
    folder: str = ""
    all_tests: tuple[str, ...] | None = None
    seen: dict[Foundation, dict[str, TestResult]] = field(default_factory=dict[Foundation, dict[str, TestResult]])

    async def collect(self, files: Sequence[PurePosixPath] | None = None) -> tuple[str, ...]:
        """The ids of all of the repository's tests, or of those in some files; empty where that fails.

        All are collected once at most.
        """
        if files is not None and self.all_tests is None:
            return await self._collect(tuple(map(str, files))) if files else ()
        if self.all_tests is None:
            self.all_tests = await self._collect(None)
        if files is None:
            return self.all_tests
        wanted = frozenset(map(str, files))
        return tuple(test for test in self.all_tests if test.partition("::")[0] in wanted)

    async def _collect(self, tests: tuple[str, ...] | None) -> tuple[str, ...]:
        request = self._request("collect", tests, seconds=self.place.limits.wall_seconds)
        _, report = await ask(self.session, self.place, request)
        return report.planned or ()

    async def discover(
        self, files: Sequence[PurePosixPath] | None, *, seconds: float = 120.0, idle: bool = False
    ) -> Mapping[str, tuple[str, ...]] | None:
        """The ids of the tests in files (None: all), by path, in a layer of its own; None where that did not end.

        A file that can't be collected has none. `idle` leaves the machine to everything else. Raises SandboxError only.
        """
        if self.runner is Runner.COMMAND or (files is not None and not files):
            return {}
        named = None if files is None else tuple(map(str, files))
        asked = replace(self._request("collect", named, seconds=seconds), plain=True, idle=idle)
        nonce = make_nonce()
        async with self.session.layer() as opened:
            report = report_in(await opened.run(command_for(asked, self.place, nonce=nonce)), nonce)
        if report.planned is None or report.status is None:
            return None
        found: dict[str, list[str]] = {str(path): [] for path in files or ()}
        for test in report.planned:
            found.setdefault(test.partition("::")[0], []).append(test)
        return {path: tuple(tests) for path, tests in found.items()}

    async def run(  # noqa: PLR0913 - one run has these dials, all but two of them defaulted
        self,
        tests: Sequence[str] | None,
        *,
        layer: Layer | None = None,
        coverage: bool = False,
        seconds_per_test: float = 10.0,
        seconds: float = 60.0,
        fail_fast: bool = False,
        coverage_seconds: float | None = None,
        last: Sequence[str] = (),
        start_seconds: float = 0.0,
        cpu_seconds: float | None = None,
        patience: float = 1.0,
        expand: bool = False,
    ) -> Execution:
        """Run tests (None: the selected ones, or all) in a fresh layer.

        A test that hangs ends as TIMED_OUT after `seconds_per_test`, with the frames where it hung. After `seconds`
        no further test is started. `fail_fast` stops at the first red test; the run is then not `complete`. No tests
        at all give an empty run. `coverage_seconds` bounds how long lines are recorded in all (CPU): the first tests
        have coverage, the others none. Tests in `last` run after all others. `start_seconds` is what importing and
        collecting may take on top of `seconds`; `cpu_seconds` bounds the tests' CPU as well. With `patience`
        a test may take so many times `seconds_per_test` where it got little of the processor. `expand`: `tests` may be
        files, and the run has a result for each test in them.
        Raises SandboxError only.
        """
        wanted = tuple(tests) if tests is not None else self.selected or await self.collect()
        if not wanted:
            return Execution(TestRun((), Ending.EXITED, None, 0.0, (), complete=True), {})
        request = replace(
            self._request("run", wanted, seconds=seconds),
            coverage=coverage,
            seconds_per_test=seconds_per_test,
            fail_fast=fail_fast,
            coverage_seconds=coverage_seconds,
            last=tuple(last),
            start_seconds=start_seconds,
            cpu_seconds=cpu_seconds,
            patience=patience,
        )
        execution = await self._execute(request, None if expand else wanted, layer)
        results = {value.id: value for value in execution.run.results}
        self.seen.setdefault(foundation(layer), {}).update(results)
        return execution

    async def _execute(self, request: Request, wanted: tuple[str, ...] | None, layer: Layer | None) -> Execution:
        """Run what is asked for in a fresh layer; `wanted` None: the results of whatever is collected."""
        async with self.session.layer(layer) as opened:
            if self.runner is Runner.COMMAND:
                limits = bounded(self.place.limits, min(request.seconds, request.seconds_per_test))
                result = await opened.run(Command(self.argv, env=environment(self.place), limits=limits))
                return Execution(judge(result, self.argv, opened.root), {})
            nonce = make_nonce()
            result = await opened.run(command_for(request, self.place, nonce=nonce))
            report = report_in(result, nonce)
            run = run_of(Finished(result, report, self._shown(request.tests or ()), wanted, opened.root))
            return Execution(run, report.coverage)

    def screen(  # noqa: PLR0913 - what is run, on what, by how many, for how long
        self,
        tests: Sequence[str],
        candidates: AsyncIterable[Screened] | Iterable[Screened],
        *,
        base: Layer | None = None,
        workers: int = 1,
        seconds_per_candidate: float = 5.0,
        seconds_per_test: float | None = None,
    ) -> AsyncGenerator[ScreenResult]:
        """Run the tests against many candidates, as fast as can be, each until its first red test.

        `base` is a layer that lies below every candidate's own (a reproduction that the tree does not have, say).
        `seconds_per_test` bounds one test's CPU time, where that is less than what a whole candidate may take.
        Results come as they are known, not in order; `candidates` is read ahead by a batch for each worker. Closing
        the generator stops everything. Raises SandboxError only.
        """
        seen = self.seen.get(foundation(base), {})
        most = min(seconds_per_test or seconds_per_candidate, seconds_per_candidate)
        request = replace(
            self._request("serve", tuple(tests)),
            seconds_per_test=most,
            patience=seconds_per_candidate / most,
            candidate_seconds=seconds_per_candidate,
            fail_fast=True,
        )
        plan = Plan(
            session=self.session,
            place=self.place,
            request=request,
            tests=tuple(tests),
            base=base or {},
            known={test: seen[test] for test in tests if test in seen},
            seconds=seconds_per_candidate,
            whole=self._screen_whole,
        )
        return screen(plan, candidates, workers=workers, servers=self.runner is not Runner.COMMAND)

    async def _screen_whole(self, tests: Sequence[str], layer: Layer, seconds: float) -> TestRun:
        """One candidate the slow way: an ordinary run."""
        wanted = tuple(tests)
        asked = replace(self._request("run", wanted, seconds=seconds), seconds_per_test=seconds, fail_fast=True)
        return (await self._execute(asked, wanted, layer)).run

    def _request(self, mode: str, tests: tuple[str, ...] | None, *, seconds: float = 60.0) -> Request:
        return Request(
            mode,
            self.runner.value,
            self.options,
            tests=tests,
            drop_addopts=self.drop_addopts,
            seconds=seconds,
            folder=self.folder,
        )

    def _shown(self, tests: Sequence[str]) -> tuple[str, ...]:
        options = self.options if self.runner is Runner.PYTEST else ()
        words = tests if self.runner is Runner.PYTEST else [dotted(test) for test in tests]
        return shown(self.place.interpreter, (self.runner.value, *options, *words))


def dotted(test: str) -> str:
    """A unittest test's id as its command line takes it."""
    return test.removesuffix(".py").replace(".py::", ".").replace("::", ".").replace("/", ".")
