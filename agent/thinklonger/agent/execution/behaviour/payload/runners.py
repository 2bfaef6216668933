"""The test runners, in this process: each test under the recorder, each under a clock, each with its colour."""

# Values of the code under test can be anything at all, so what is inside them is unknown to the type checker:
# pyright: reportUnknownArgumentType=false, reportUnknownVariableType=false, reportUnknownMemberType=false
# pyright: reportUnknownLambdaType=false, reportUnknownParameterType=false

from __future__ import annotations

import contextlib
import io
import os
import signal
import sys
import time
import unittest
from typing import Any, Callable, Generator, Set

from .recording import Recorder

Value = Any  # values of the code under test: anything at all

Collected = Callable[[Set[str]], None]


class TooLong(BaseException):
    """The test has used up its time."""


class Budget:
    """The time that tests may take once all is collected: less for each one after one that did not end."""

    def __init__(self, request: dict[str, Value]) -> None:
        """Half of the comparison's wall-clock time is for recording."""
        self.seconds = float(request["test_seconds"])
        self.recording = float(request["seconds"]) / 2
        self.end = time.monotonic() + self.recording

    def begin(self) -> None:
        """Count from now on: importing and collecting are not counted."""
        self.end = time.monotonic() + self.recording

    def spent(self) -> bool:
        """Whether no other test should start."""
        return time.monotonic() > self.end


@contextlib.contextmanager
def clock(budget: Budget) -> Generator[None, None, None]:
    """Raise TooLong in the main thread when so much CPU time, or three times as much wall time, has gone by."""
    seconds = budget.seconds

    def expired(*_: Value) -> None:
        budget.seconds = max(0.1, seconds / 2)
        raise TooLong

    signal.signal(signal.SIGPROF, expired)
    signal.signal(signal.SIGALRM, expired)
    signal.setitimer(signal.ITIMER_PROF, seconds, 0.1)
    signal.setitimer(signal.ITIMER_REAL, 3 * seconds, 0.1)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)


def run_tests(request: dict[str, Value], recorder: Recorder, collected: Collected) -> dict[str, str]:
    """Run the requested tests; test id → 'red', 'green' or 'grey' (skipped)."""
    if request["runner"] == "unittest":
        return _unittest(request, recorder, collected)
    return _pytest(request, recorder, collected)


def _pytest(request: dict[str, Value], recorder: Recorder, collected: Collected) -> dict[str, str]:
    import pytest  # noqa: PLC0415 (there may be none; then unittest is asked for)

    colours: dict[str, str] = {}
    budget = Budget(request)

    class Watcher:
        """A pytest plugin: tells the recorder where tests begin and end."""

        def pytest_collection_finish(self, session: Value) -> None:
            collected({str(item.fspath) for item in session.items})
            budget.begin()

        @pytest.hookimpl(hookwrapper=True)
        def pytest_runtest_call(self, item: Value) -> Generator[None, Value, None]:
            recorder.start(item.nodeid)
            with clock(budget):
                yield
            recorder.stop()
            if budget.spent():
                item.session.shouldstop = "enough"

        def pytest_runtest_logreport(self, report: Value) -> None:
            if report.failed:
                colours[report.nodeid] = "red"
            elif report.when == "call":
                colours.setdefault(report.nodeid, "green" if report.passed else "grey")

    options = [
        "-q",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:xdist",
        "-p",
        "no:randomly",
        "--capture=sys",
        *request["options"],
    ]
    with _quiet():
        pytest.main([*options, *request["tests"]], plugins=[Watcher()])
    return colours


def _unittest(request: dict[str, Value], recorder: Recorder, collected: Collected) -> dict[str, str]:
    colours: dict[str, str] = {}
    loader = unittest.TestLoader()
    suite = unittest.TestSuite(loader.loadTestsFromName(name) for name in request["tests"])
    collected(
        {os.path.abspath(str(getattr(sys.modules.get(type(test).__module__), "__file__", ""))) for test in _flat(suite)}
    )

    class Result(unittest.TestResult):
        def startTest(self, test: unittest.TestCase) -> None:  # noqa: N802 (unittest's name)
            super().startTest(test)
            colours[test.id()] = "green"
            recorder.start(test.id())

        def stopTest(self, test: unittest.TestCase) -> None:  # noqa: N802 (unittest's name)
            recorder.stop()
            super().stopTest(test)

        def addError(self, test: unittest.TestCase, err: Value) -> None:  # noqa: N802 (unittest's name)
            super().addError(test, err)
            colours[test.id()] = "red"

        def addFailure(self, test: unittest.TestCase, err: Value) -> None:  # noqa: N802 (unittest's name)
            super().addFailure(test, err)
            colours[test.id()] = "red"

        def addSkip(self, test: unittest.TestCase, reason: str) -> None:  # noqa: N802 (unittest's name)
            super().addSkip(test, reason)
            colours[test.id()] = "grey"

    result = Result()
    budget = Budget(request)
    for test in _flat(suite):
        if budget.spent():
            break
        with _quiet():
            try:
                with clock(budget):
                    test.run(result)
            except TooLong:
                recorder.stop()
                colours[test.id()] = "red"
    return colours


def _flat(suite: Value) -> list[unittest.TestCase]:
    found: list[unittest.TestCase] = []
    for item in suite:
        found.extend(_flat(item) if isinstance(item, unittest.TestSuite) else [item])
    return found


@contextlib.contextmanager
def _quiet() -> Generator[None, None, None]:
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        yield
