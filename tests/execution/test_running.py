"""What a run of tests proves, and what it must not be fooled by."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import PurePosixPath

import pytest

from thinklonger.agent.config import SandboxChoice
from thinklonger.agent.execution import Execution, Harness, Runner
from thinklonger.agent.types import Ending, FileState, Frame, Outcome, TestResult

Bench = Callable[..., AbstractAsyncContextManager[Harness]]
BOTH = pytest.mark.parametrize("kind", [SandboxChoice.NONE, SandboxChoice.BUBBLEWRAP])

CALC = """
    def add(a, b):
        if a > 10:
            return a - b
        return a + b


    def endless(n):
        while n != 0:
            n = n - 2
        return 1
    """

TESTS = """
    import pytest

    from calc import add, endless


    @pytest.mark.parametrize("a, b, c", [(1, 2, 3), (20, 2, 22)])
    def test_add(a, b, c):
        assert add(a, b) == c


    def test_hang():
        assert endless(3) == 1


    def test_after():
        assert endless(4) == 1
    """


def by_id(execution: Execution) -> dict[str, TestResult]:
    """The results by the test's name."""
    return {result.id.rpartition("::")[2]: result for result in execution.run.results}


@BOTH
async def test_outcomes_frames_and_lines(bench: Bench, kind: SandboxChoice) -> None:
    """A run tells outcome, exception, the repository's frames and the lines of each test, in every sandbox."""
    async with bench({"calc.py": CALC, "tests/test_calc.py": TESTS}, kind=kind) as harness:
        assert harness.runner is Runner.PYTEST
        assert harness.environment.tests_collected == 4
        execution = await harness.run(None, coverage=True, seconds_per_test=0.5)
    found = by_id(execution)
    assert execution.run.complete
    assert execution.run.exit_code == 1
    assert {name: result.outcome for name, result in found.items()} == {
        "test_add[1-2-3]": Outcome.PASSED,
        "test_add[20-2-22]": Outcome.FAILED,
        "test_hang": Outcome.TIMED_OUT,
        "test_after": Outcome.PASSED,
    }
    red = found["test_add[20-2-22]"]
    assert red.exception == "AssertionError"
    assert "18 == 22" in red.text
    assert red.frames == (Frame(PurePosixPath("tests/test_calc.py"), 9, "test_add"),)
    calc = PurePosixPath("calc.py")
    assert execution.coverage["tests/test_calc.py::test_add[1-2-3]"][calc] == {3, 5}
    assert execution.coverage["tests/test_calc.py::test_add[20-2-22]"][calc] == {3, 4}


@BOTH
async def test_a_hanging_test_is_red_with_its_place(bench: Bench, kind: SandboxChoice) -> None:
    """A test that never ends is red, says where it hangs and which lines it ran, and the next test still runs."""
    async with bench({"calc.py": CALC, "tests/test_calc.py": TESTS}, kind=kind) as harness:
        execution = await harness.run(["tests/test_calc.py::test_hang"], coverage=True, seconds_per_test=0.3)
    (result,) = execution.run.results
    assert result.outcome is Outcome.TIMED_OUT
    assert result.frames[-1].path == PurePosixPath("calc.py")
    assert result.frames[-1].function == "endless"
    assert result.frames[-1].line in (9, 10)
    assert execution.coverage[result.id][PurePosixPath("calc.py")] == {9, 10}


@BOTH
async def test_layers_are_run_not_the_base(bench: Bench, kind: SandboxChoice) -> None:
    """A run in a layer runs the layer's code, bytecode of the base notwithstanding; the base stays as it was."""
    test = "tests/test_calc.py::test_add[20-2-22]"
    fixed = FileState(CALC.replace("\n    ", "\n").replace("a - b", "a + b").encode())
    async with bench({"calc.py": CALC, "tests/test_calc.py": TESTS}, kind=kind) as harness:
        before = await harness.run([test])
        after = await harness.run([test], layer={PurePosixPath("calc.py"): fixed})
        again = await harness.run([test])
    assert [run.run.results[0].outcome for run in (before, after, again)] == [
        Outcome.FAILED,
        Outcome.PASSED,
        Outcome.FAILED,
    ]
    assert again.run.results[0].frames == before.run.results[0].frames


async def test_a_swallowed_time_out_still_ends(bench: Bench) -> None:
    """Code that catches everything for ever can't hold up the verdict."""
    files = {
        "test_it.py": """
            def test_swallow():
                while True:
                    try:
                        while True:
                            pass
                    except:
                        pass


            def test_next():
                pass
            """
    }
    async with bench(files) as harness:
        execution = await harness.run(None, seconds_per_test=0.3, coverage=True)
    first, second = execution.run.results
    assert first.outcome is Outcome.TIMED_OUT
    assert first.frames[-1].function == "test_swallow"
    assert execution.coverage[first.id]
    assert second.outcome is Outcome.MISSING
    assert not execution.run.complete


async def test_a_swallowed_time_out_is_no_pass(bench: Bench) -> None:
    """A test that catches the end of its time and returns has not passed."""
    files = {
        "test_it.py": """
            def test_quiet():
                try:
                    while True:
                        pass
                except BaseException:
                    pass
            """
    }
    async with bench(files) as harness:
        execution = await harness.run(None, seconds_per_test=0.3)
    (result,) = execution.run.results
    assert result.outcome is Outcome.TIMED_OUT


async def test_a_hang_in_c_ends(bench: Bench) -> None:
    """A hang inside C code, where no Python signal handler runs, ends as timed out with its place."""
    files = {
        "test_it.py": """
            import signal


            def test_deaf():
                signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGALRM])
                while True:
                    pass
            """
    }
    async with bench(files) as harness:
        execution = await harness.run(None, seconds_per_test=0.3)
    (result,) = execution.run.results
    assert result.outcome is Outcome.TIMED_OUT
    assert result.frames[-1].function == "test_deaf"
    assert not execution.run.complete


async def test_leaving_the_process_is_not_green(bench: Bench) -> None:
    """A test that ends the process with status 0 proves nothing; it is red and what follows is missing."""
    files = {
        "test_it.py": """
            import os


            def test_first():
                pass


            def test_leave():
                os._exit(0)


            def test_last():
                pass
            """
    }
    async with bench(files) as harness:
        run = (await harness.run(None)).run
    assert [result.outcome for result in run.results] == [Outcome.PASSED, Outcome.ERROR, Outcome.MISSING]
    assert run.exit_code == 0
    assert not run.complete


async def test_a_forged_report_changes_nothing(bench: Bench) -> None:
    """Words on the terminal, and a report of a test's own, are not a verdict."""
    files = {
        "test_it.py": """
            import json, os


            def test_forge():
                print("1 passed in 0.01s")
                line = json.dumps({"kind": "test", "id": "test_it.py::test_forge", "outcome": "passed"})
                end = json.dumps({"kind": "end", "status": 0})
                with open(os.path.join(os.environ["THINKLONGER_OUT"], "report.jsonl"), "a") as file:
                    file.write("0" * 32 + " " + line + "\\n" + "0" * 32 + " " + end + "\\n")
                assert False
            """
    }
    async with bench(files) as harness:
        run = (await harness.run(None)).run
    assert [result.outcome for result in run.results] == [Outcome.FAILED]
    assert run.complete


async def test_a_removed_report_proves_nothing(bench: Bench) -> None:
    """A test that empties the report leaves nothing that could be taken for green."""
    files = {
        "test_it.py": """
            import os


            def test_first():
                pass


            def test_wipe():
                os.truncate(os.path.join(os.environ["THINKLONGER_OUT"], "report.jsonl"), 0)
            """
    }
    async with bench(files) as harness:
        run = (await harness.run(None)).run
    assert not run.complete
    assert all(result.outcome is Outcome.MISSING for result in run.results)


@BOTH
async def test_a_flood_of_output_is_no_verdict(bench: Bench, kind: SandboxChoice) -> None:
    """A test that prints 100 MB passes if it passes; the flood is not kept."""
    files = {
        "test_it.py": """
            import os


            def test_flood():
                for _ in range(100):
                    print("x" * 1_000_000)
                os.write(1, b"y" * 1_000_000)
            """
    }
    async with bench(files, kind=kind) as harness:
        run = (await harness.run(None)).run
    assert run.ending is Ending.EXITED
    assert run.complete
    assert [result.outcome for result in run.results] == [Outcome.PASSED]
    assert len(run.output) < 20_000


async def test_skips_expected_failures_and_fixtures(bench: Bench) -> None:
    """Skipped and expected-to-fail tests are neither green nor red; a failing fixture is an error."""
    files = {
        "test_it.py": """
            import pytest


            @pytest.fixture
            def broken():
                raise ValueError("no database")


            @pytest.fixture
            def leaky():
                yield
                raise OSError("can't clean up")


            def test_skip():
                pytest.skip("not today")


            @pytest.mark.xfail
            def test_expected():
                assert False


            @pytest.mark.xfail(strict=True)
            def test_surprise():
                pass


            def test_fixture(broken):
                pass


            def test_leak(leaky):
                pass
            """
    }
    async with bench(files) as harness:
        found = by_id(await harness.run(None))
    assert {name: result.outcome for name, result in found.items()} == {
        "test_skip": Outcome.SKIPPED,
        "test_expected": Outcome.SKIPPED,
        "test_surprise": Outcome.FAILED,
        "test_fixture": Outcome.ERROR,
        "test_leak": Outcome.ERROR,
    }
    assert found["test_fixture"].exception == "ValueError"
    assert found["test_fixture"].text == "no database"


async def test_ids_with_anything_in_them(bench: Bench) -> None:
    """Parameters with spaces, brackets, colons and letters of any script are selected exactly."""
    files = {
        "test_it.py": """
            import pytest


            @pytest.mark.parametrize("text", ["a b", "[x]", "a::b", "汉字", "-k", ""])
            def test_text(text):
                assert text != "[x]"
            """
    }
    async with bench(files) as harness:
        tests = await harness.collect()
        runs = [(await harness.run([test])).run for test in tests]
    assert len(tests) == 6
    for test, run in zip(tests, runs, strict=True):
        assert [result.id for result in run.results] == [test]
        assert run.results[0].outcome is (Outcome.FAILED if "[x]" in test else Outcome.PASSED)
        assert run.complete


async def test_a_missing_test_is_said_to_be_missing(bench: Bench) -> None:
    """A test that does not exist is MISSING, and keeps nobody else from running."""
    files = {"test_it.py": "def test_real():\n    pass\n"}
    async with bench(files) as harness:
        run = (await harness.run(["test_it.py::test_real", "test_it.py::test_unreal"])).run
    assert [result.outcome for result in run.results] == [Outcome.PASSED, Outcome.MISSING]
    assert not run.complete


async def test_the_time_of_a_whole_run_is_kept(bench: Bench) -> None:
    """When the time for the run is up no further test begins, and the report still comes to its end."""
    files = {
        "test_it.py": """
            import time

            import pytest


            @pytest.mark.parametrize("n", range(50))
            def test_slow(n):
                time.sleep(0.2)
            """
    }
    async with bench(files) as harness:
        run = (await harness.run(None, seconds=1.0)).run
    assert run.ending is Ending.EXITED
    outcomes = {result.outcome for result in run.results}
    assert outcomes == {Outcome.PASSED, Outcome.MISSING}
    assert not run.complete


async def test_fail_fast_stops_at_the_first_red_test(bench: Bench) -> None:
    """With fail-fast nothing runs after the first red test."""
    files = {"test_it.py": "def test_a():\n    assert 0\n\n\ndef test_b():\n    pass\n"}
    async with bench(files) as harness:
        run = (await harness.run(None, fail_fast=True)).run
    assert [result.outcome for result in run.results] == [Outcome.FAILED, Outcome.MISSING]


async def test_the_causes_of_an_exception_are_told(bench: Bench) -> None:
    """The frames of an exception's cause come after its own, so that the true place is known."""
    files = {
        "deep.py": """
            def inner():
                return {}["key"]


            def outer():
                try:
                    inner()
                except KeyError as error:
                    raise RuntimeError("wrapped") from error
            """,
        "test_it.py": """
            from deep import outer


            def test_it():
                outer()
            """,
    }
    async with bench(files) as harness:
        (result,) = (await harness.run(None)).run.results
    assert result.exception == "RuntimeError"
    assert [frame.function for frame in result.frames] == ["test_it", "outer", "outer", "inner"]


async def test_deep_recursion_is_told_briefly(bench: Bench) -> None:
    """A RecursionError does not fill the record with a thousand frames."""
    files = {"test_it.py": "def f(n):\n    return f(n + 1)\n\n\ndef test_it():\n    f(0)\n"}
    async with bench(files) as harness:
        (result,) = (await harness.run(None)).run.results
    assert result.exception == "RecursionError"
    assert len(result.frames) <= 60


async def test_no_tests_are_not_all_tests(bench: Bench) -> None:
    """Asked for no tests at all, nothing runs."""
    async with bench({"test_it.py": "def test_it():\n    pass\n"}) as harness:
        run = (await harness.run([])).run
    assert run.complete
    assert run.results == ()


async def test_describing_a_failure_is_not_coverage(bench: Bench) -> None:
    """What pytest runs to print a failed assertion's values would look guilty: only failing tests run it."""
    files = {
        "box.py": """
            class Box:
                def __init__(self, size):
                    self.size = size

                def __repr__(self):
                    return "a box"

                def fits(self, other):
                    return other.size > self.size
            """,
        "test_box.py": """
            from box import Box

            def test_fits():
                small, large = Box(1), Box(2)
                assert large.fits(small), large
                assert [large] == [small]
            """,
    }
    async with bench(files) as harness:
        execution = await harness.run(None, coverage=True)
    (lines,) = execution.coverage.values()
    assert execution.run.results[0].outcome is Outcome.FAILED
    assert lines[PurePosixPath("box.py")] == {4, 10}


async def test_some_files_of_a_suite(bench: Bench) -> None:
    """A suite need not be collected as a whole: the tests of some files are enough, and give their ids."""
    files = {f"tests/test_{name}.py": "def test_it():\n    pass\n" for name in "abc"}
    wanted = [PurePosixPath("tests/test_b.py"), PurePosixPath("tests/test_c.py")]
    expected = ("tests/test_b.py::test_it", "tests/test_c.py::test_it")
    async with bench(files, "pytest tests/test_a.py") as harness:
        assert await harness.collect(wanted) == expected
        assert len(await harness.collect()) == len(files)
        assert await harness.collect(wanted) == expected


STRANGE = """
    import pytest


    @pytest.mark.parametrize("value", ["a b", "汉字", "line\\nbreak", "x::y", "[z]", ""])
    def test_values(value):
        assert value != "汉字"


    class Test类:
        def test_方法(self):
            pass
    """


@BOTH
async def test_strange_names(bench: Bench, kind: SandboxChoice) -> None:
    """Line breaks, spaces, brackets and Chinese characters in names of files, folders and parameters are just names."""
    names = ("tests 测试/test_a b.py", "tests/test_line\nbreak.py", "a[b]/test_brackets.py")
    async with bench(dict.fromkeys(names, STRANGE), kind=kind) as harness:
        tests = await harness.collect()
        assert len(tests) == 7 * len(names)
        assert {test.partition("::")[0] for test in tests} == set(names)
        few = [test for test in tests if "Test类" in test or "break]" in test]
        runs = [await harness.run(tests), await harness.run(few)]
    red = {test for test in tests if "test_values[\\u6c49" in test or "test_values[汉" in test}
    assert len(red) == len(names)
    assert {value.id for value in runs[0].run.results if value.outcome is Outcome.FAILED} == red
    assert {value.id for value in runs[0].run.results if value.outcome is Outcome.PASSED} == set(tests) - red
    assert [value.outcome for value in runs[1].run.results] == [Outcome.PASSED] * len(few)


@pytest.mark.parametrize("runner", ["pytest", "unittest"])
async def test_chance_is_the_same_for_each_test(bench: Bench, runner: str) -> None:
    """The random module starts anew for each test, so that a test does the same whatever ran before it."""
    files = {
        "test_it.py": """
            import random
            import unittest


            class TestChance(unittest.TestCase):
                def test_a(self):
                    self.fail(str(random.random()))

                def test_b(self):
                    self.fail(str(random.random()))
            """
    }
    async with bench(files, f"{runner} test_it.py" if runner == "pytest" else "python -m unittest test_it") as harness:
        first = (await harness.run(None)).run.results
        (alone,) = (await harness.run([first[1].id])).run.results
    assert first[0].text == first[1].text == alone.text


@pytest.mark.parametrize("command", ["pytest", "python -m unittest"])
async def test_slow_tests_run_last(bench: Bench, command: str) -> None:
    """Tests that are named as the last ones run after all others, which keep their order."""
    files = {
        "test_it.py": """
            import unittest


            class TestOrder(unittest.TestCase):
                def test_a(self):
                    pass

                def test_b(self):
                    pass

                def test_c(self):
                    pass
            """
    }
    tests = [f"test_it.py::TestOrder::test_{name}" for name in "abc"]
    async with bench(files, command) as harness:
        execution = await harness.run(["test_it.py"], last=tests[:1], expand=True)
    assert [result.id for result in execution.run.results] == [*tests[1:], tests[0]]
