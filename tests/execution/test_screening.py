"""Screening many candidates: fast, never wrong in what it lets through, and not to be stopped by any of them."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import PurePosixPath

import pytest

from thinklonger.agent.config import SandboxChoice
from thinklonger.agent.execution import Harness, Screened, ScreenResult
from thinklonger.agent.types import Ending, FileState, Outcome

Bench = Callable[..., AbstractAsyncContextManager[Harness]]
BOTH = pytest.mark.parametrize("kind", [SandboxChoice.NONE, SandboxChoice.BUBBLEWRAP])
LOW, HIGH = PurePosixPath("pkg/low.py"), PurePosixPath("pkg/high.py")
FILES = {
    "pkg/__init__.py": "from pkg.high import total\n",
    "pkg/low.py": "def add(a, b):\n    return a - b\n",
    "pkg/high.py": """
        import json

        from pkg.low import add


        def total(items):
            result = 0
            for item in items:
                result = add(result, item)
            return result
        """,
    "tests/test_total.py": """
        from pkg import total


        def test_total():
            assert total([1, 2]) == 3


        def test_none():
            assert total([]) == 0
        """,
}
HIGHER = "from pkg.low import add\n\n\ndef total(items):\n    return add(*items) if items else 0\n"
TEST = "tests/test_total.py::test_total"
GOOD = "def add(a, b):\n    return a + b\n"


def candidate(name: str, source: str, path: PurePosixPath = LOW) -> Screened:
    """A candidate that replaces one file."""
    return Screened(name, {path: FileState(source.encode())})


async def screened(
    harness: Harness,
    candidates: Iterable[Screened],
    tests: Sequence[str] = (TEST,),
    workers: int = 1,
    seconds_per_candidate: float = 5.0,
) -> dict[str, ScreenResult]:
    """All results by candidate."""
    return {
        result.id: result
        async for result in harness.screen(
            tests, candidates, workers=workers, seconds_per_candidate=seconds_per_candidate
        )
    }


@BOTH
async def test_what_passes_and_what_does_not(bench: Bench, kind: SandboxChoice) -> None:
    """The right candidates pass, in whichever file and however broken the others are; red ones say why."""
    candidates = [
        candidate("same", FILES["pkg/low.py"]),
        candidate("good", GOOD),
        candidate("syntax", "def add(a, b:\n"),
        candidate("import", "import nowhere_to_be_found\n"),
        candidate("hang", "def add(a, b):\n    while True:\n        pass\n"),
        candidate(
            "swallow",
            "def add(a, b):\n    while True:\n        try:\n            while True: pass\n        except: pass\n",
        ),
        candidate("leave", "import os\n\n\ndef add(a, b):\n    os._exit(0)\n"),
        candidate("kill", "import os, signal\n\n\ndef add(a, b):\n    os.kill(os.getpid(), signal.SIGKILL)\n"),
        candidate("memory", "def add(a, b):\n    return len('x' * 2**40)\n"),
        candidate("high", "def total(items):\n    return sum(items)\n", HIGH),
        Screened("gone", {LOW: None}),
        Screened("both", {LOW: FileState(GOOD.encode()), HIGH: FileState(HIGHER.encode())}),
    ]
    async with bench(FILES, kind=kind) as harness:
        await harness.run([TEST])
        found = await screened(harness, candidates, seconds_per_candidate=0.5)
        base = (await harness.run([TEST])).run
    assert {name for name, result in found.items() if result.passed} == {"good", "high", "both"}
    assert set(found) == {item.id for item in candidates}
    assert found["same"].red == (TEST,)
    assert found["same"].first_red is not None
    assert found["same"].first_red.exception == "AssertionError"
    assert found["syntax"].first_red is not None
    assert found["syntax"].first_red.exception == "SyntaxError"
    assert found["hang"].first_red is not None
    assert found["hang"].first_red.outcome is Outcome.TIMED_OUT
    assert found["hang"].first_red.frames[-1].path == LOW
    assert base.results[0].outcome is Outcome.FAILED


@BOTH
async def test_all_tests_must_be_green(bench: Bench, kind: SandboxChoice) -> None:
    """A candidate that repairs one test and breaks another does not pass."""
    trick = "def total(items):\n    return 3\n"
    async with bench(FILES, kind=kind) as harness:
        tests = await harness.collect()
        await harness.run(tests)
        found = await screened(harness, [candidate("trick", trick, HIGH), candidate("good", GOOD)], tests)
    assert not found["trick"].passed
    assert found["trick"].red == ("tests/test_total.py::test_none",)
    assert found["good"].passed


async def test_a_candidate_that_kills_its_server(bench: Bench) -> None:
    """What takes the server down is red; the candidates after it are still tried."""
    murder = "import os, signal\nfor pid in (os.getppid(), os.getpid()):\n    os.kill(pid, signal.SIGKILL)\n"
    massacre = (
        "import os, signal\n"
        "pid = os.getppid()\n"
        "while True:\n"
        "    parent = int(open(f'/proc/{pid}/stat').read().rsplit(')', 1)[1].split()[1])\n"
        "    if b'import main' not in open(f'/proc/{parent}/cmdline', 'rb').read():\n"
        "        break\n"
        "    pid = parent\n"
        "os.kill(pid, signal.SIGKILL)\n"
    )
    candidates = [candidate("murder", murder), candidate("massacre", massacre), candidate("good", GOOD)]
    async with bench(FILES) as harness:
        found = await screened(harness, candidates, seconds_per_candidate=2.0)
    assert {name: result.passed for name, result in found.items()} == {"murder": False, "massacre": False, "good": True}
    assert found["massacre"].ending is Ending.KILLED


async def test_a_flood_of_output_stops_nobody(bench: Bench) -> None:
    """What candidates print goes nowhere."""
    flood = "import os\nos.write(1, b'x' * 20_000_000)\nprint('y' * 20_000_000)\n" + GOOD
    async with bench(FILES) as harness:
        found = await screened(harness, [candidate("flood", flood), candidate("good", GOOD)])
    assert all(result.passed for result in found.values())


async def test_candidates_do_not_see_each_other(bench: Bench) -> None:
    """Modules, files in the temporary folder and state of one candidate are not there for the next."""
    nosy = "import builtins\nassert not hasattr(builtins, 'seen')\nbuiltins.seen = True\n" + GOOD
    async with bench(FILES) as harness:
        found = await screened(harness, [candidate(str(number), nosy) for number in range(5)])
    assert all(result.passed for result in found.values())


async def test_a_file_imported_while_a_test_runs(bench: Bench) -> None:
    """A file that only a test's own body imports is patched as well."""
    files = {
        "low.py": "def f():\n    return 1\n",
        "test_it.py": "def test_f():\n    from low import f\n    assert f() == 2\n",
    }
    path = PurePosixPath("low.py")
    async with bench(files) as harness:
        found = await screened(
            harness,
            [candidate("good", "def f():\n    return 2\n", path), candidate("bad", "def f():\n    return 3\n", path)],
            ("test_it.py::test_f",),
        )
    assert found["good"].passed
    assert not found["bad"].passed


async def test_files_that_are_not_imported(bench: Bench) -> None:
    """A data file or a script that tests start is patched too: what no import shows is run from the beginning."""
    files = {
        "data.txt": "1",
        "script.py": "print(1)\n",
        "conf.py": "VALUE = open('data.txt').read()\n",
        "test_it.py": """
            import subprocess, sys

            from conf import VALUE


            def test_data():
                assert VALUE == "2"


            def test_script():
                assert subprocess.check_output([sys.executable, "script.py"]) == b"2\\n"
            """,
    }
    data, script = PurePosixPath("data.txt"), PurePosixPath("script.py")
    async with bench(files) as harness:
        first = await screened(
            harness, [candidate("bad", "3", data), candidate("good", "2", data)], ("test_it.py::test_data",)
        )
        second = await screened(
            harness,
            [candidate("bad", "print(3)\n", script), candidate("good", "print(2)\n", script)],
            ("test_it.py::test_script",),
        )
    for found in (first, second):
        assert {name: result.passed for name, result in found.items()} == {"bad": False, "good": True}


async def test_a_red_file_by_its_path(bench: Bench) -> None:
    """A test file that can't be imported, selected by its path, passes when all that is in it passes."""
    files = {"calc.py": "def f(:\n", "test_calc.py": "from calc import f\n\n\ndef test_f():\n    assert f() == 1\n"}
    path = PurePosixPath("calc.py")
    async with bench(files, "pytest test_calc.py") as harness:
        await harness.run(None)
        found = await screened(
            harness,
            [candidate("good", "def f():\n    return 1\n", path), candidate("bad", "def f():\n    return 2\n", path)],
            harness.selected,
        )
    assert found["good"].passed
    assert not found["bad"].passed


async def test_a_server_that_can_not_be_trusted_is_not_used(bench: Bench) -> None:
    """Where the unchanged base would pass in a server, candidates are run one by one instead."""
    files = {
        "low.py": "def f():\n    return 1\n",
        "test_it.py": """
            import sys

            from low import f


            def test_f():
                if "thinklonger_payload.serve" in sys.modules:
                    return
                assert f() == 2
            """,
    }
    path = PurePosixPath("low.py")
    async with bench(files) as harness:
        found = await screened(
            harness,
            [candidate("bad", "def f():\n    return 3\n", path), candidate("good", "def f():\n    return 2\n", path)],
            ("test_it.py::test_f",),
        )
    assert {name: result.passed for name, result in found.items()} == {"bad": False, "good": True}


async def test_a_plain_command_is_screened_by_plain_runs(bench: Bench) -> None:
    """Candidates for a command that is no known runner are run one by one."""
    files = {"low.py": "def f():\n    return 1\n", "check.py": "from low import f\n\nassert f() == 2\n"}
    path = PurePosixPath("low.py")
    async with bench(files, "python check.py") as harness:
        found = await screened(
            harness,
            [candidate("bad", "def f():\n    return 3\n", path), candidate("good", "def f():\n    return 2\n", path)],
            harness.selected,
            workers=2,
        )
    assert {name: result.passed for name, result in found.items()} == {"bad": False, "good": True}


async def test_unittest_is_screened_by_servers(bench: Bench) -> None:
    """Unittest's tests are screened as pytest's are."""
    files = {
        "low.py": "def f():\n    return 1\n",
        "test_it.py": """
            import unittest

            from low import f


            class TestIt(unittest.TestCase):
                def test_f(self):
                    self.assertEqual(f(), 2)
            """,
    }
    path = PurePosixPath("low.py")
    async with bench(files, "python -m unittest") as harness:
        await harness.run(None)
        found = await screened(
            harness,
            [candidate("bad", "def f():\n    return 3\n", path), candidate("good", "def f():\n    return 2\n", path)],
            harness.selected,
        )
    assert {name: result.passed for name, result in found.items()} == {"bad": False, "good": True}
    assert found["bad"].seconds < 1.0, found


async def test_closing_stops_everything(bench: Bench) -> None:
    """A consumer that has seen enough closes the generator: no more candidates are taken, nothing goes on."""
    taken: list[int] = []

    async def endless() -> AsyncIterator[Screened]:
        number = 0
        while True:
            taken.append(number)
            yield candidate(str(number), GOOD)
            number += 1
            await asyncio.sleep(0)

    async with bench(FILES) as harness:
        results = harness.screen([TEST], endless(), workers=2)
        async for result in results:
            assert result.passed
            break
        started = time.monotonic()
        await results.aclose()
        assert time.monotonic() - started < 1.0
        count = len(taken)
        await asyncio.sleep(0.05)
    assert len(taken) == count


async def test_candidates_upon_a_base_of_their_own(bench: Bench) -> None:
    """A reproduction that the tree does not have lies below every candidate, and screening stays as fast."""
    base = {
        PurePosixPath("tests/test_new.py"): FileState(
            b"from pkg import total\n\n\ndef test_new():\n    assert total([2]) == 2\n"
        )
    }
    test = "tests/test_new.py::test_new"
    files = {path: text for path, text in FILES.items() if not path.startswith("tests")}
    async with bench({**files, "test_other.py": "def test_other():\n    pass\n"}) as harness:
        before = (await harness.run([test], layer=base)).run
        candidates = [Screened("good", {**base, LOW: FileState(GOOD.encode())}), candidate("same", FILES["pkg/low.py"])]
        found = {result.id: result async for result in harness.screen([test], candidates, base=base)}
    assert before.results[0].outcome is Outcome.FAILED
    assert {name: result.passed for name, result in found.items()} == {"good": True, "same": False}
    assert found["same"].seconds < before.seconds


async def test_no_candidates(bench: Bench) -> None:
    """Nothing to screen gives nothing."""
    async with bench(FILES) as harness:
        assert await screened(harness, []) == {}


async def test_a_failing_source_is_the_callers_error(bench: Bench) -> None:
    """An exception of the candidates' own iterator reaches the consumer."""

    def failing() -> Iterable[Screened]:
        yield candidate("good", GOOD)
        raise RuntimeError

    async with bench(FILES) as harness:
        with pytest.raises(RuntimeError):
            await screened(harness, failing())


MEMOISED = """
import functools


def scale(x):
    return x * 2


def twice(function):
    @functools.wraps(function)
    def wrapper(x):
        return function(function(x))

    return wrapper


class Box:
    __slots__ = ()

    @staticmethod
    @twice
    def grow(x):
        return x + 1

    @property
    def size(self):
        return [n + 1 for n in range(2)]

    def __len__(self):
        return super().__sizeof__() * 0


def default(x=1):
    def inner():
        return x
    return inner


TABLE = {n: scale(n) for n in range(3)}
"""
BODIES = [
    ("a decorated static method", "return x + 1", "return x + 2", "assert Box.grow(0) == 4"),
    ("what a decorator made", "function(function(x))", "function(x)", "assert Box.grow(0) == 1"),
    ("a property with a comprehension", "n + 1 for", "n + 2 for", "assert Box().size == [2, 3]"),
    ("a slot method that uses super", "* 0", "* 0 + 7", "assert len(Box()) == 7"),
    ("a nested function", "        return x\n    return inner", "        return x + 1\n    return inner",
     "assert default()() == 2"),
    ("a default", "x=1", "x=2", "assert default()() == 2"),
    ("a function that ran at import", "return x * 2", "return x * 3", "assert TABLE[2] == 6"),
    ("a statement added at a function's end", "    return inner\n", "    inner = lambda: 5\n    return inner\n",
     "assert default()() == 5"),
    ("more lines above", "import functools", "import functools\nOTHER = 1", "import low; assert low.OTHER == 1"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "line"), [row[1:] for row in BODIES], ids=[row[0] for row in BODIES])
async def test_a_changed_body_is_seen_wherever_the_function_is_held(
    bench: Bench, old: str, new: str, line: str
) -> None:
    """Put into live functions or imported anew: the candidate that is right passes, and the base and others don't."""
    path = PurePosixPath("low.py")
    files = {"low.py": MEMOISED, "test_it.py": f"from low import *\n\n\ndef test_f():\n    {line}\n"}
    right = MEMOISED.replace(old, new, 1)
    assert right != MEMOISED
    async with bench(files) as harness:
        found = await screened(
            harness,
            [candidate("same", MEMOISED, path), candidate("right", right, path), candidate("end", "1 / 0\n", path)],
            ("test_it.py::test_f",),
        )
    assert {name: result.passed for name, result in found.items()} == {"same": False, "right": True, "end": False}


async def test_a_changed_body_costs_no_import(bench: Bench) -> None:
    """A module that is slow to import is imported once, however many candidates change its functions."""
    slow = "import time\n\ntime.sleep(1.5)\n\n\ndef f():\n    return {}\n"
    path = PurePosixPath("low.py")
    files = {"low.py": slow.format(1), "test_it.py": "from low import f\n\n\ndef test_f():\n    assert f() == 2\n"}
    candidates = [candidate(str(number), slow.format(number), path) for number in range(2, 6)]
    async with bench(files) as harness:
        found = await screened(harness, candidates, ("test_it.py::test_f",))
    assert {name for name, result in found.items() if result.passed} == {"2"}
    assert min(result.seconds for result in found.values()) < 1.0
