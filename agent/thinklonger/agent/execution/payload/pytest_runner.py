"""Runs pytest with a plugin that selects, times and reports; works with pytest 6 and newer."""

from __future__ import annotations

import importlib.util
import os
import sys
import time
from typing import TYPE_CHECKING, Any, Callable, Generator

import pytest

from .lines import bounded_lines
from .request import Bounded, Run, bare, flush, silence
from .watch import hang_record

if TYPE_CHECKING:
    from .lines import BoundedLines

TERMINAL_LIMIT = 200_000
NARROW = 8
"""Up to so many tests are named to pytest one by one; more are collected by file and then filtered."""

TAMED = (
    ("xdist", ("-n0",)),
    ("pytest_cov", ("--no-cov",)),
    ("pytest_randomly", ("-p", "no:randomly")),
    ("random_order", ("-p", "no:random_order")),
    ("pytest_timeout", ("-p", "no:timeout")),
    ("pytest_rerunfailures", ("--reruns=0",)),
    ("pytest_sugar", ("-p", "no:sugar")),
    ("pytest_benchmark", ("--benchmark-disable",)),
    ("_hypothesis_pytestplugin", ("--hypothesis-seed=0",)),
)
"""Plugins that would spread, shuffle, repeat, time, slow down or vary the tests, and what keeps them from it."""


def arguments(run: Run) -> list[str]:
    """The command line: the user's options, then ours, which win, then what to collect."""
    request = run.request
    line = list(request.arguments)
    line += ["--rootdir=" + run.root, "--confcutdir=" + run.root, "-p", "no:cacheprovider"]
    line += ["--color=no", "--capture=no", "--tb=short"]
    for module, options in TAMED:
        if importlib.util.find_spec(module) is not None:
            line += options
    if request.drop_addopts:
        line += ["-o", "addopts="]
    if request.plain:
        line.append("--assert=plain")
    if request.mode != "collect":
        line.append("--continue-on-collection-errors")
    return line + [os.path.join(run.root, target) if request.folder else target for target in targets(request.tests)]


def targets(tests: list[str] | None) -> list[str]:
    """What pytest is to collect so that these tests are among it."""
    if tests is None:
        return []
    narrow = len(tests) <= NARROW
    found = [(path, bare(test) if narrow else path) for test in tests for path in [test.partition("::")[0]]]
    return list(dict.fromkeys(named if "[" not in path else outside(path) for path, named in found))


def outside(path: str) -> str:
    """The folder around the part of a path that has a bracket, which pytest would take for parameters."""
    return path.partition("[")[0].rpartition("/")[0] or "."


def execute(run: Run) -> int:
    """Run pytest in this process; its exit status."""
    plugin = Plugin(run)
    status = int(pytest.main(arguments(run), plugins=[plugin]))
    tests = run.request.tests
    if status == pytest.ExitCode.USAGE_ERROR and tests and len(tests) <= NARROW and plugin.configured and not run.leave:
        run.request.tests = [test.partition("::")[0] for test in tests]
        status = int(pytest.main(arguments(run), plugins=[Plugin(run)]))
    return status


def version() -> str:
    """The version of the pytest that runs."""
    return pytest.__version__


class Plugin:
    """The hooks."""

    def __init__(self, run: Run) -> None:
        """Report to the run."""
        self.run = run
        self.configured = False
        self._lines = bounded_lines(run.places, run.request.coverage_seconds) if run.request.coverage else None
        if self._lines is not None:
            describe_unseen(self._lines)
        self._record: dict[str, Any] = {}
        self._since = 0.0

    # ── the session ──────────────────────────────────────────────────────────────────────────────────────────────

    @pytest.hookimpl(trylast=True)
    def pytest_configure(self, config: pytest.Config) -> None:
        """Take the runner's words to the real output, and the tests' words to nowhere."""
        self.configured = True
        for marker in ("timeout", "flaky", "randomly_dont_reorganize"):
            config.addinivalue_line("markers", marker + ": of a plugin that is switched off here")
        config.option.maxfail = 1 if self.run.request.fail_fast else 0
        config.option.usepdb = False
        config.option.trace = False
        if self.run.wanted is not None:
            config.option.keyword = config.option.markexpr = ""
            config.option.deselect = None
        real = None if self.run.leave is not None or self.run.request.mode == "serve" else os.dup(1)
        terminal: Any = config.pluginmanager.getplugin("terminalreporter")
        if terminal is not None:
            terminal._tw._file = Bounded(real, TERMINAL_LIMIT)
        self._restore = (os.dup(0), os.dup(1), os.dup(2))
        silence()

    @pytest.hookimpl(trylast=True)
    def pytest_unconfigure(self) -> None:
        """Give the streams back."""
        flush()
        for fd, saved in enumerate(self._restore):
            os.dup2(saved, fd)
            os.close(saved)

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_make_collect_report(self, collector: pytest.Collector) -> Generator[None, Any, None]:
        """Report what can't be collected; a file that hangs or exits must not take the others with it."""
        self.run.watch.begin(self.run.collect_seconds)
        self.run.watch.arm()
        outcome = yield
        self.run.watch.disarm()
        error: BaseException | None = outcome.excinfo[1] if outcome.excinfo else None
        if error is not None and not isinstance(error, (KeyboardInterrupt, pytest.exit.Exception)):
            self._broken(collector.nodeid, error)
            words = f"{type(error).__name__}: {error}"
            outcome.force_result(pytest.CollectReport(collector.nodeid, "failed", words, []))
        elif error is None:
            report = outcome.get_result()
            call = getattr(report, "call", None)
            if report.failed and call is not None and call.excinfo is not None:
                self._broken(report.nodeid, call.excinfo.value)

    def _broken(self, nodeid: str, error: BaseException) -> None:
        if isinstance(error, pytest.Collector.CollectError) and error.__cause__ is not None:
            error = error.__cause__
        record = self.run.places.describe(error)
        if self.run.watch.fired:
            record.update(exception="Timeout", text="", frames=self.run.watch.frames)
        self.run.broken(nodeid, record)

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        """Keep the tests that were asked for."""
        kept = [item for item in items if self.run.wants(item.nodeid)]
        if len(kept) != len(items):
            config.hook.pytest_deselected(items=[item for item in items if not self.run.wants(item.nodeid)])
            items[:] = kept
        last = self.run.request.last
        items.sort(key=lambda item: item.nodeid in last)

    @pytest.hookimpl(trylast=True)
    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Report the plan."""
        given: list[object] = getattr(session.config.option, "file_or_dir", None) or []
        positional = [str(word) for word in given]
        self.run.report.write("plan", {"tests": [item.nodeid for item in session.items], "positional": positional})

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self) -> bool | None:
        """Everything is collected; a collection ends here."""
        if self.run.request.mode == "collect":
            return True
        self.run.before_tests()
        self.run.collected()
        return None

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, exitstatus: int) -> None:
        """A candidate's process has said all that it has to say."""
        if self.run.leave is not None:
            self.run.report.write("end", {"status": int(exitstatus)})
            self.run.leave()

    # ── one test ─────────────────────────────────────────────────────────────────────────────────────────────────

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, Any, None]:
        """The whole of one test, set-up to tear-down."""
        self.run.watch.begin(self.run.request.seconds_per_test, self.run.request.patience)
        self._record = {"id": item.nodeid, "outcome": "passed", "exception": "", "text": "", "frames": []}
        self._since = time.monotonic()
        self.run.started(item.nodeid)
        if self._lines is not None:
            self.run.lines = self._lines.stop
            self._lines.start()
        yield
        self.run.watch.disarm()
        lines = None if self._lines is None else self._lines.stop()
        seconds = time.monotonic() - self._since
        if self.run.watch.fired and self._record["outcome"] == "passed":  # it swallowed the end of its time
            self._record.update(hang_record(self.run.watch))
        self.run.finished(dict(self._record, seconds=seconds, lines=lines))
        if self.run.late:
            item.session.shouldstop = "the time for this run is up"

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> Generator[None, Any, None]:
        """The set-up, under the alarm."""
        self.run.watch.arm()
        outcome = yield
        self.run.watch.disarm()
        self._leave_if_red(item, outcome)

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, Any, None]:
        """The test itself, under the alarm."""
        self.run.watch.arm()
        outcome = yield
        self.run.watch.disarm()
        self._leave_if_red(item, outcome)

    def _leave_if_red(self, item: pytest.Item, outcome: Any) -> None:  # noqa: ANN401 - pluggy's result, old and new
        """A candidate's process ends here with its first red test, before anybody formats a traceback for nobody."""
        error: BaseException | None = outcome.excinfo[1] if outcome.excinfo else None
        if self.run.leave is None or error is None or item.get_closest_marker("xfail") is not None:
            return
        if isinstance(error, (pytest.skip.Exception, pytest.xfail.Exception, pytest.exit.Exception, KeyboardInterrupt)):
            return
        record = dict(self._record, **self.run.places.describe(error))
        record.update(outcome="failed", seconds=time.monotonic() - self._since, lines={})
        if self.run.watch.fired:
            record.update(hang_record(self.run.watch))
        self.run.finished(record)

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_runtest_teardown(self) -> Generator[None, Any, None]:
        """The tear-down, under the alarm, with a little time of its own."""
        self.run.watch.arm(least=2.0)
        yield
        self.run.watch.disarm()

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_runtest_makereport(self, call: pytest.CallInfo[None]) -> Generator[None, Any, None]:
        """What set-up, call or tear-down gave; the first red one counts."""
        outcome = yield
        report: pytest.TestReport = outcome.get_result()
        record = self._record
        if record["outcome"] not in ("passed", "skipped"):
            return
        if report.skipped:
            record["outcome"] = "skipped"
            if isinstance(report.longrepr, tuple):
                record["text"] = report.longrepr[2]
        elif report.failed:
            record["outcome"] = "failed" if report.when == "call" else "error"
            if call.excinfo is not None:
                record.update(self.run.places.describe(call.excinfo.value))
            else:
                record.update(exception="", text=str(report.longrepr))
            if self.run.watch.fired:
                record.update(hang_record(self.run.watch))
        elif call.excinfo is not None and not hasattr(report, "wasxfail"):  # somebody has made a pass of it
            record.update(self.run.places.describe(call.excinfo.value), outcome="failed")


def describe_unseen(lines: BoundedLines) -> None:
    """What pytest runs to describe a failed assertion (`__repr__`, `__eq__`) is no part of what the test runs."""
    module: Any = sys.modules.get("_pytest.assertion.rewrite")

    def unseen(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*given: Any) -> Any:  # noqa: ANN401 - whatever pytest passes, in any version
            lines.pause()
            try:
                return function(*given)
            finally:
                lines.resume()

        return call

    for name in ("_saferepr", "_call_reprcompare"):
        if hasattr(module, name):
            setattr(module, name, unseen(getattr(module, name)))


def rewriting_hook() -> type | None:
    """The class that imports test files, whose source is read by pytest itself."""
    hook = sys.modules.get("_pytest.assertion.rewrite")
    found = getattr(hook, "AssertionRewritingHook", None)
    return found if isinstance(found, type) else None
