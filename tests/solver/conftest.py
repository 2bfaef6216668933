"""What the solver's tests share: a repository in memory, tasks about it, the own corpus of bugs and its evidence."""

import hashlib
import os
import pickle
import signal
import sys
import time
import tomllib
import traceback
import types
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath

import pytest

from thinklonger.agent.protocols import Task
from thinklonger.agent.types import (
    Ending,
    FileRank,
    FileState,
    Frame,
    Issue,
    IssueSource,
    LineCoverage,
    Localization,
    Outcome,
    Reference,
    Symbol,
    TestResult,
    TestRun,
)

PROGRAM = PurePosixPath("program.py")
TESTS = PurePosixPath("test_program.py")
_CORPUS = Path(__file__).parent / "bugs"


@dataclass
class MemoryRepository:
    """A repository of files held in memory."""

    files: dict[PurePosixPath, FileState]
    root: Path = Path("/nowhere")
    commit: str | None = None

    def read(self, path: PurePosixPath) -> FileState | None:
        """The file, if there is one."""
        return self.files.get(path)

    def paths(self) -> Sequence[PurePosixPath]:
        """All files."""
        return sorted(self.files)

    def is_test(self, path: PurePosixPath) -> bool:
        """By name."""
        return path.name.startswith("test_")

    def symbols(self, path: PurePosixPath) -> Sequence[Symbol]:
        """None: the solver parses for itself."""
        del path
        return ()

    def find(self, name: str) -> Sequence[Symbol]:
        """None."""
        del name
        return ()

    def references(self, name: str) -> Sequence[Reference]:
        """None."""
        del name
        return ()

    def imports(self, path: PurePosixPath) -> Sequence[PurePosixPath]:
        """None."""
        del path
        return ()

    importers = imports

    def skeleton(self, path: PurePosixPath) -> str:
        """Empty."""
        del path
        return ""

    def source(self, symbol: Symbol) -> str:
        """Empty."""
        del symbol
        return ""


@dataclass(frozen=True)
class Bug:
    """One program of the corpus: right and wrong, with weak tests that fail and stronger ones that nobody saw."""

    name: str
    right: str
    wrong: str
    visible: str
    hidden: str

    @property
    def held_out(self) -> bool:
        """Whether the catalogue was not tuned on it: half of the corpus, by a hash of the name."""
        return hashlib.sha256(self.name.encode()).digest()[0] % 2 == 0


def _corpus() -> list[Bug]:
    found: list[Bug] = []
    for path in sorted(_CORPUS.glob("*.toml")):
        for row in tomllib.loads(path.read_text("utf-8"))["bug"]:
            wrong = row["code"].replace(row["right"], row["wrong"], 1)
            found.append(Bug(row["name"], row["code"], wrong, row["visible"], row["hidden"]))
    return found


@pytest.fixture(scope="session")
def corpus() -> list[Bug]:
    """All bugs."""
    return _corpus()


MakeTask = Callable[..., Task]


@pytest.fixture
def task_for() -> MakeTask:
    """A task about one program, with as much evidence as is given."""

    def make(
        content: str | bytes,
        *,
        results: Sequence[TestResult] = (),
        coverage: LineCoverage | None = None,
        tests: str = "",
        path: PurePosixPath = PROGRAM,
    ) -> Task:
        data = content.encode() if isinstance(content, str) else content
        repository = MemoryRepository({path: FileState(data), TESTS: FileState(tests.encode())})
        run = TestRun(("pytest",), Ending.EXITED, 1, 0.1, tuple(results), complete=True) if results else None
        ranks = Localization((FileRank(path, 1.0, ()),), ())
        return Task(Issue("", IssueSource.TEST), repository, run, coverage or {}, ranks)

    return make


Row = tuple[str, str, str, str, list[tuple[str, int, str]]]


def _tests(source: str) -> list[tuple[str, Callable[[], object]]]:
    namespace: dict[str, object] = {"__name__": "test_program"}
    exec(compile(source, f"/{TESTS}", "exec"), namespace)  # noqa: S102 - the corpus's own tests
    found: list[tuple[str, Callable[[], object]]] = []
    for name, value in namespace.items():
        if not name.startswith("test") or not callable(value):
            continue
        marks = [mark for mark in getattr(value, "pytestmark", []) if mark.name == "parametrize"]
        if not marks:
            found.append((name, value))
        cases = marks[0].args[1] if marks else ()
        found += [(f"{name}[{case}]", partial(value, case)) for case in cases]
    return found


def _alarm(*_: object) -> None:
    raise TimeoutError


def _run(program: str, tests: str, seconds: float) -> tuple[list[Row], dict[str, set[int]]]:
    """Run tests of a program in this process, with the lines that each ran."""
    module = types.ModuleType("program")
    sys.modules["program"] = module
    rows: list[Row] = []
    lines: dict[str, set[int]] = {}
    signal.signal(signal.SIGALRM, _alarm)
    exec(compile(program, f"/{PROGRAM}", "exec"), module.__dict__)  # noqa: S102 - the corpus's own programs
    for name, test in _tests(tests):
        ran = lines.setdefault(name, set())

        def trace(frame: types.FrameType, event: str, _: object, ran: set[int] = ran) -> object:
            if frame.f_code.co_filename != f"/{PROGRAM}":
                return None
            if event == "line":
                ran.add(frame.f_lineno)
            return trace

        signal.setitimer(signal.ITIMER_REAL, seconds)
        sys.settrace(trace)  # type: ignore[arg-type]
        row: Row = (name, "passed", "", "", [])
        try:
            test()
        except BaseException as cause:  # noqa: BLE001 - whatever a test raises is its result
            sys.settrace(None)
            outcome = "timed-out" if isinstance(cause, TimeoutError) else "failed"
            frames = [(f.filename, f.lineno or 0, f.name) for f in traceback.extract_tb(cause.__traceback__)]
            row = (name, outcome, type(cause).__name__, str(cause)[:2000], frames)
        finally:
            sys.settrace(None)
            signal.setitimer(signal.ITIMER_REAL, 0)
        rows.append(row)
    return rows, lines


def run_apart(program: str, tests: str, seconds: float = 1.0) -> tuple[list[Row], dict[str, set[int]]]:
    """Run tests of a program in a forked process of its own; a process that dies gives one failed row."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        try:
            result = _run(program, tests, seconds)
        except BaseException as cause:  # noqa: BLE001 - the child must end here
            result = ([("import", "failed", type(cause).__name__, str(cause), [])], {})
        os.write(writer, pickle.dumps(result))
        os._exit(0)
    os.close(writer)
    deadline = time.monotonic() + 30
    data = b""
    while time.monotonic() < deadline and (part := os.read(reader, 65536)):
        data += part
    os.close(reader)
    os.waitpid(child, 0)
    return pickle.loads(data) if data else ([("all", "failed", "", "", [])], {})  # noqa: S301 - our own child wrote it


@pytest.fixture
def evidence(task_for: MakeTask) -> Callable[[Bug], Task]:
    """The task of a bug, with its tests' results, tracebacks and coverage."""

    def make(bug: Bug) -> Task:
        rows, lines = run_apart(bug.wrong, bug.visible)
        results = [
            TestResult(
                name,
                Outcome(outcome),
                exception=exception,
                text=text,
                frames=tuple(
                    Frame(PurePosixPath(file.lstrip("/")), line, function)
                    for file, line, function in frames
                    if file in {f"/{PROGRAM}", f"/{TESTS}"}
                ),
            )
            for name, outcome, exception, text, frames in rows
        ]
        coverage = {name: {PROGRAM: frozenset(ran)} for name, ran in lines.items()}
        return task_for(bug.wrong, results=results, coverage=coverage, tests=bug.visible)

    return make


@pytest.fixture
def passes() -> Callable[[str, str], bool]:
    """Whether all of a source's tests pass with a program."""

    def check(program: str, tests: str) -> bool:
        return all(row[1] == "passed" for row in run_apart(program, tests, 0.5)[0])

    return check
