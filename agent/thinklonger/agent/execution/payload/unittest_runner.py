"""Runs unittest's tests and reports them under ids like pytest's: `path::Class::method`."""

from __future__ import annotations

import fnmatch
import importlib
import importlib.util
import os
import platform
import sys
import time
import unittest
from typing import TYPE_CHECKING, Any, Iterable, Iterator, Tuple

from .discovery import test_files
from .lines import bounded_lines
from .request import Bounded, Run, silence
from .watch import hang_record

if TYPE_CHECKING:
    from types import ModuleType, TracebackType

    Problem = Tuple[type, BaseException, TracebackType]

TERMINAL_LIMIT = 200_000
FLAGS = ("-v", "--verbose", "-q", "--quiet", "-f", "--failfast", "-c", "--catch", "-b", "--buffer", "--locals")


def version() -> str:
    """Unittest is as old as its Python."""
    return platform.python_version()


class Selection:
    """What a unittest command line selects."""

    def __init__(self, words: list[str]) -> None:
        """Read the words after `python -m unittest`."""
        self.names: list[str] = []
        self.patterns: list[str] = []
        self.start = "."
        self.files = ""
        self.discover = not words or words[0] == "discover"
        rest = iter(words[1:] if words and words[0] == "discover" else words)
        places: list[str] = []
        for word in rest:
            if word in FLAGS:
                continue
            if word in ("-k", "-s", "--start-directory", "-p", "--pattern", "-t", "--top-level-directory"):
                self._take(word, next(rest, ""))
            elif word.startswith("-k"):
                self._take("-k", word[2:])
            elif not word.startswith("-"):
                places.append(word)
        if self.discover:
            self.start, self.files = (*places, *(self.start, self.files)[len(places) :])[:2]
        else:
            self.names = places
            self.discover = not places

    def _take(self, option: str, value: str) -> None:
        if option == "-k":
            self.patterns.append(value if "*" in value else f"*{value}*")
        elif option in ("-s", "--start-directory"):
            self.start = value
        elif option in ("-p", "--pattern"):
            self.files = value


def execute(run: Run) -> int:
    """Collect, and unless only that was asked for, run; the exit status (5: no tests)."""
    real = None if run.leave is not None or run.request.mode == "serve" else os.dup(1)
    terminal = Bounded(real, TERMINAL_LIMIT)
    silence()
    cases = [case for case in collect(run) if run.wants(identify(run, case))]
    cases.sort(key=lambda case: identify(run, case) in run.request.last)
    run.report.write("plan", {"tests": [identify(run, case) for case in cases], "positional": run.request.arguments})
    if run.request.mode == "collect":
        return 0 if cases else 5
    run.before_tests()
    run.collected()
    result = Result(run, terminal)
    unittest.TestSuite(cases).run(result)
    result.account_for(cases)
    terminal.write(f"{result.testsRun} run, {result.red} red\n")
    status = 1 if result.red else (0 if cases else 5)
    if run.leave is not None:
        run.report.write("end", {"status": status})
        run.leave()
    return status


def collect(run: Run) -> Iterator[unittest.TestCase]:
    """The test cases that the request selects, files in order of their paths."""
    loader = unittest.TestLoader()
    if run.request.tests is not None:
        yield from load_files(run, loader, dict.fromkeys(test.partition("::")[0] for test in run.request.tests))
        return
    selection = Selection(run.request.arguments)
    if selection.patterns:
        loader.testNamePatterns = selection.patterns
    if not selection.discover:
        for name in selection.names:
            yield from load_name(run, loader, name)
        return
    files = test_files(os.path.abspath(selection.start))
    wanted = (path for path in files if not selection.files or fnmatch.fnmatch(os.path.basename(path), selection.files))
    yield from load_files(run, loader, (os.path.relpath(path, run.root) for path in wanted))


def load_files(run: Run, loader: unittest.TestLoader, paths: Iterable[str]) -> Iterator[unittest.TestCase]:
    """The test cases in files; one that can't be imported is reported and passed over."""
    for path in paths:
        run.watch.begin(run.collect_seconds)
        run.watch.arm()
        try:
            cases = list(flatten(loader.loadTestsFromModule(import_file(run.root, path))))
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001 - a test file may raise anything, SystemExit too
            run.watch.disarm()
            record = run.places.describe(error)
            if run.watch.fired:
                record.update(exception="Timeout", text="", frames=run.watch.frames)
            run.broken(path.replace(os.sep, "/"), record)
        else:
            run.watch.disarm()
            yield from cases


def load_name(run: Run, loader: unittest.TestLoader, name: str) -> Iterator[unittest.TestCase]:
    """The test cases of a dotted name or a path."""
    if name.endswith(".py"):
        yield from load_files(run, loader, [name])
        return
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        path = os.path.join(*parts[:length]) + ".py"
        if os.path.exists(os.path.join(run.root, path)):
            inner = parts[length:]
            for case in load_files(run, loader, [path]):
                names = [*type(case).__qualname__.split("."), case._testMethodName]
                if names[: len(inner)] == inner:
                    yield case
            return
    package = os.path.join(run.root, *parts)
    if os.path.isdir(package):
        files = [os.path.relpath(path, run.root) for path in test_files(package)]
        yield from load_files(run, loader, files)
        return
    run.broken(name, {"exception": "ModuleNotFoundError", "text": f"No module named {name!r}", "frames": []})


def flatten(suite: Iterable[Any]) -> Iterator[unittest.TestCase]:
    """The test cases of nested suites."""
    for item in suite:
        if isinstance(item, unittest.TestCase):
            yield item
        else:
            yield from flatten(item)


def import_file(root: str, path: str) -> ModuleType:
    """Import a file by the name it has inside its outermost package, whose folder goes on the path."""
    full = os.path.join(root, path)
    folder, name = os.path.split(full[: -len(".py")])
    while os.path.exists(os.path.join(folder, "__init__.py")) and len(folder) > len(root):
        folder, package = os.path.split(folder)
        name = package + "." + name
    if folder not in sys.path:
        sys.path.insert(0, folder)
    loaded = sys.modules.get(name)
    if loaded is None:
        loaded = importlib.import_module(name)
    if same_file(getattr(loaded, "__file__", None), full):
        return loaded
    spec = importlib.util.spec_from_file_location("_at_" + path.replace(os.sep, "_")[: -len(".py")], full)
    if spec is None or spec.loader is None:
        raise ImportError(path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[module.__name__] = module
    spec.loader.exec_module(module)
    return module


def same_file(first: str | None, second: str) -> bool:
    """Whether both name one file."""
    return first is not None and os.path.exists(first) and os.path.samefile(first, second)


def identify(run: Run, case: unittest.TestCase) -> str:
    """The test's id."""
    module = sys.modules.get(type(case).__module__)
    path = run.places.relative(getattr(module, "__file__", None) or "<none>") or type(case).__module__
    return "::".join((path, *type(case).__qualname__.split("."), case._testMethodName))


class Result(unittest.TestResult):
    """Reports each test as it ends."""

    def __init__(self, run: Run, terminal: Bounded) -> None:
        """Report to the run; the terminal gets one line for each red test."""
        super().__init__()
        self.failfast = run.request.fail_fast
        self.red = 0
        self._run = run
        self._terminal = terminal
        self._lines = bounded_lines(run.places, run.request.coverage_seconds) if run.request.coverage else None
        self._record: dict[str, Any] = {}
        self._since = 0.0
        self._reported: list[str] = []
        self._outside: list[tuple[str, dict[str, Any]]] = []

    def startTest(self, test: unittest.TestCase) -> None:
        """The test begins."""
        super().startTest(test)
        test_id = identify(self._run, test)
        self._record = {"id": test_id, "outcome": "passed", "exception": "", "text": "", "frames": []}
        self._since = time.monotonic()
        self._run.started(test_id)
        self._run.watch.begin(self._run.request.seconds_per_test, self._run.request.patience)
        self._run.watch.arm()
        if self._lines is not None:
            self._run.lines = self._lines.stop
            self._lines.start()

    def stopTest(self, test: unittest.TestCase) -> None:
        """The test has ended."""
        self._run.watch.disarm()
        lines = None if self._lines is None else self._lines.stop()
        record = dict(self._record, seconds=time.monotonic() - self._since, lines=lines)
        if self._run.watch.fired and record["outcome"] == "passed":  # it swallowed the end of its time
            record.update(hang_record(self._run.watch))
        if record["outcome"] not in ("passed", "skipped"):
            self.red += 1
            self._terminal.write("{id}: {outcome}: {exception}: {text}\n".format(**record))
        self._reported.append(record["id"])
        self._run.finished(record)
        super().stopTest(test)
        if self._run.late:
            self.stop()

    def _red(self, outcome: str, error: Problem) -> None:
        self._record.update(self._run.places.describe(error[1]), outcome=outcome)
        if self._run.watch.fired:
            self._record.update(hang_record(self._run.watch))
        if self.failfast:
            self.stop()

    def addError(self, test: Any, err: Any) -> None:  # noqa: ANN401 - may be unittest's holder of a fixture's error
        """An error in a test, or in the fixture of a class or module."""
        if isinstance(test, unittest.TestCase):
            self._red("failed", err)
        else:
            self._outside.append((str(test), self._run.places.describe(err[1])))

    def addFailure(self, test: unittest.TestCase, err: Any) -> None:  # noqa: ANN401 - as the base class has it
        """A failed assertion."""
        self._red("failed", err)

    def addSubTest(self, test: unittest.TestCase, subtest: unittest.TestCase, err: Any) -> None:  # noqa: ANN401 - same
        """One part of a test; a red part makes the test red."""
        if err is not None and self._record["outcome"] in ("passed", "skipped"):
            self._red("failed", err)

    def addSkip(self, test: unittest.TestCase, reason: str) -> None:
        """Skipped: by a decorator, or because a fixture of its class or module says so."""
        if self._record and self._record["id"] == identify(self._run, test):
            self._record.update(outcome="skipped", text=reason)

    def addExpectedFailure(self, test: unittest.TestCase, err: Any) -> None:  # noqa: ANN401 - as the base class has it
        """Red, as it should be."""
        self._record.update(outcome="skipped", text=str(err[1]))

    def addUnexpectedSuccess(self, test: unittest.TestCase) -> None:
        """Green where red was promised."""
        self._record.update(outcome="failed", text="unexpected success")

    def account_for(self, cases: list[unittest.TestCase]) -> None:
        """Report the tests that never began because a fixture around them failed."""
        reported = frozenset(self._reported)
        for case in cases:
            test_id = identify(self._run, case)
            if test_id in reported:
                continue
            for holder, record in self._outside:
                if type(case).__qualname__ in holder or type(case).__module__ in holder:
                    self.red += 1
                    self._run.finished(dict(record, id=test_id, outcome="error", seconds=0.0, lines={}))
                    break
