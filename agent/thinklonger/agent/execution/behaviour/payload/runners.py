"""The test runners, in this process: each test under the recorder, each under a clock, each with its colour."""

from __future__ import annotations

import contextlib
import io
import os
import signal
import sys
import unittest
from typing import Any, Callable, Dict, Generator, List, Set

from .recording import Recorder

Value = Any  # values of the code under test: anything at all

Collected = Callable[[Set[str]], None]


class TooLong(BaseException):
    """The test has used up its time."""


@contextlib.contextmanager
def clock(seconds: float) -> Generator[None, None, None]:
    """Raise TooLong in the main thread when so much CPU time, or three times as much wall time, has gone by."""

    def expired(*_: Value) -> None:
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


def run_tests(request: Dict[str, Value], recorder: Recorder, collected: Collected) -> Dict[str, str]:
    """Run the requested tests; test id → 'red', 'green' or 'grey' (skipped)."""
    if request["runner"] == "unittest":
        return _unittest(request, recorder, collected)
    return _pytest(request, recorder, collected)


def _pytest(request: Dict[str, Value], recorder: Recorder, collected: Collected) -> Dict[str, str]:
    import pytest  # noqa: PLC0415 (there may be none; then unittest is asked for)

    colours: Dict[str, str] = {}
    seconds = float(request["test_seconds"])

    class Watcher:
        """A pytest plugin: tells the recorder where tests begin and end."""

        def pytest_collection_finish(self, session: Value) -> None:
            collected({str(item.fspath) for item in session.items})

        @pytest.hookimpl(hookwrapper=True)
        def pytest_runtest_call(self, item: Value) -> Generator[None, Value, None]:
            recorder.start(item.nodeid)
            with clock(seconds):
                yield
            recorder.stop()

        def pytest_runtest_logreport(self, report: Value) -> None:
            if report.failed:
                colours[report.nodeid] = "red"
            elif report.when == "call":
                colours.setdefault(report.nodeid, "green" if report.passed else "grey")

    options = ["-q", "-p", "no:cacheprovider", "-p", "no:xdist", "-p", "no:randomly", "--capture=sys", *request["options"]]
    with _quiet():
        pytest.main([*options, *request["tests"]], plugins=[Watcher()])
    return colours


def _unittest(request: Dict[str, Value], recorder: Recorder, collected: Collected) -> Dict[str, str]:
    colours: Dict[str, str] = {}
    loader = unittest.TestLoader()
    suite = unittest.TestSuite(loader.loadTestsFromName(name) for name in request["tests"])
    collected({os.path.abspath(str(getattr(sys.modules.get(type(test).__module__), "__file__", ""))) for test in _flat(suite)})

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
    for test in _flat(suite):
        with _quiet():
            try:
                with clock(float(request["test_seconds"])):
                    test.run(result)
            except TooLong:
                recorder.stop()
                colours[test.id()] = "red"
    return colours


def _flat(suite: Value) -> List[unittest.TestCase]:
    found: List[unittest.TestCase] = []
    for item in suite:
        found.extend(_flat(item) if isinstance(item, unittest.TestSuite) else [item])
    return found


@contextlib.contextmanager
def _quiet() -> Generator[None, None, None]:
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        yield
