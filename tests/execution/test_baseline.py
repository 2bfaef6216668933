"""The baseline: what was red before, what can't make up its mind, and its cache."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path, PurePosixPath

import pytest

from thinklonger.agent.config import SandboxChoice
from thinklonger.agent.execution import Baseline, BaselineCache, Harness, measure_baseline
from thinklonger.agent.execution.baseline import Effort, measure, merged, tree_digest, without_tests
from thinklonger.agent.types import Ending, EnvironmentRecord, Frame, Outcome, TestResult, TestRun

Bench = Callable[..., AbstractAsyncContextManager[Harness]]
BASELINE = Baseline(
    run=TestRun(
        ("python", "-m", "pytest"),
        Ending.EXITED,
        1,
        0.5,
        (
            TestResult(
                "t.py::a[汉 字]", Outcome.FAILED, 0.1, "KeyError", "'x'", (Frame(PurePosixPath("a/b.py"), 3, "f"),)
            ),
        ),
        complete=True,
    ),
    already_red=("t.py::a[汉 字]",),
    flaky=(),
    timings={"t.py::a[汉 字]": 0.1},
)
ENVIRONMENT = EnvironmentRecord("/usr/bin/python3", "3.11.2", "pytest", "9.0", 3, "digest")


async def test_red_and_flaky_tests_are_kept_apart(bench: Bench, tmp_path: Path) -> None:
    """A test that is red twice was red before; one that changes its mind is flaky; the rest must stay green."""
    marker = tmp_path / "second time"
    files = {
        "test_it.py": f"""
            import os


            def test_green():
                pass


            def test_red():
                assert False


            def test_flaky():
                if not os.path.exists({str(marker)!r}):
                    open({str(marker)!r}, "w").close()
                    assert False
            """
    }
    async with bench(files) as harness:
        baseline = await measure_baseline(harness, await harness.collect())
    assert baseline.already_red == ("test_it.py::test_red",)
    assert baseline.flaky == ("test_it.py::test_flaky",)
    assert baseline.green == ("test_it.py::test_green",)
    assert baseline.timings.keys() == {"test_it.py::test_green", "test_it.py::test_red", "test_it.py::test_flaky"}


def test_the_cache_gives_back_what_it_was_given(tmp_path: Path) -> None:
    """A baseline survives the disk unchanged; another key has none."""
    cache = BaselineCache(tmp_path / "new" / "folder")
    key = cache.key("tree", ENVIRONMENT, ("t.py::a",))
    assert cache.load(key) is None
    cache.store(key, BASELINE)
    assert cache.load(key) == BASELINE
    assert cache.load(cache.key("tree", ENVIRONMENT, ("t.py::b",))) is None
    assert cache.load(cache.key("other tree", ENVIRONMENT, ("t.py::a",))) is None


def test_a_corrupt_cache_is_no_cache(tmp_path: Path) -> None:
    """Broken entries are measured again, and replaced."""
    cache = BaselineCache(tmp_path)
    key = cache.key("tree", ENVIRONMENT, ())
    cache.store(key, BASELINE)
    (entry,) = tmp_path.rglob("*.json")
    for rubbish in (b"", b"{", b"\xff\xfe", b'{"run": 3}'):
        entry.write_bytes(rubbish)
        assert cache.load(key) is None
    cache.store(key, BASELINE)
    assert cache.load(key) == BASELINE


def test_a_folder_that_can_not_be_written_is_no_error(tmp_path: Path) -> None:
    """Where the cache's folder can't be made, nothing is kept and nobody is bothered."""
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    cache = BaselineCache(blocked / "inside")
    cache.store(cache.key("tree", ENVIRONMENT, ()), BASELINE)
    assert cache.load(cache.key("tree", ENVIRONMENT, ())) is None


def test_a_tree_is_known_by_its_content(tmp_path: Path) -> None:
    """The digest follows names and contents, not times or the order of the files."""
    first, second = PurePosixPath("a.py"), PurePosixPath("b.py")
    (tmp_path / "a.py").write_text("1")
    (tmp_path / "b.py").write_text("2")
    before = tree_digest(tmp_path, [first, second])
    assert tree_digest(tmp_path, [second, first]) == before
    (tmp_path / "a.py").write_text("3")
    assert tree_digest(tmp_path, [first, second]) != before


COUNTED = {
    "calc.py": """
        def double(number):
            return 2 * number


        def spin(times):
            total = 0
            for number in range(times):
                if number < 0:
                    total = 1
                total += number
            return total
        """,
    "tests/test_calc.py": """
        from calc import double, spin


        def test_double():
            assert double(2) == 4


        def test_spin():
            assert spin(3_000_000) > 0


        def test_untraced():
            assert double(3) == 6


        def test_red():
            assert double(1) == 3
        """,
}


@pytest.mark.parametrize("kind", [SandboxChoice.NONE, SandboxChoice.BUBBLEWRAP])
async def test_the_second_run_sees_the_lines_of_the_first_tests(bench: Bench, kind: SandboxChoice) -> None:
    """Files may be named instead of tests; lines are seen until the tracer's time is up; the verdict is the same."""
    effort = Effort(seconds=60, traced_seconds=0.3, together=kind is SandboxChoice.BUBBLEWRAP)
    async with bench(COUNTED, kind=kind) as harness:
        baseline, coverage = await measure(harness, ["tests/test_calc.py"], effort=effort)
    assert baseline.green == tuple(f"tests/test_calc.py::test_{name}" for name in ("double", "spin", "untraced"))
    assert baseline.already_red == ("tests/test_calc.py::test_red",)
    assert baseline.flaky == ()
    calc = PurePosixPath("calc.py")
    assert coverage["tests/test_calc.py::test_double"][calc] == {3}
    assert coverage["tests/test_calc.py::test_spin"][calc] >= {7, 8, 9, 11}
    assert coverage.keys() == {"tests/test_calc.py::test_double", "tests/test_calc.py::test_spin"}


async def test_what_differs_between_the_runs_is_flaky_either_way(bench: Bench, tmp_path: Path) -> None:
    """A test that is green at first and red the second time says nothing of a patch, no more than the other way."""
    marker = tmp_path / "first time"
    files = {
        "test_it.py": f"""
            import os


            def test_green_then_red():
                assert not os.path.exists({str(marker)!r})
                open({str(marker)!r}, "w").close()
            """
    }
    async with bench(files) as harness:
        baseline, _ = await measure(harness, ["test_it.py"])
    assert baseline.flaky == ("test_it.py::test_green_then_red",)
    assert (baseline.green, baseline.already_red) == ((), ())


async def test_a_whole_suite_is_spread_over_processes(bench: Bench) -> None:
    """Each process has files of its own; together they say what one would, and the red ones are asked twice."""
    files = {
        f"test_{name}.py": f"def test_green():\n    pass\n\n\ndef test_{name}():\n    assert {name!r} != 'b'\n"
        for name in "abc"
    }
    async with bench(files, kind=SandboxChoice.BUBBLEWRAP) as harness:
        baseline, _ = await measure(harness, await harness.collect(), effort=Effort(shards=2))
    assert {result.id for result in baseline.run.results} == {
        f"test_{name}.py::test_{test}" for name in "abc" for test in ("green", name)
    }
    assert baseline.already_red == ("test_b.py::test_b",)
    assert len(baseline.green) == 5
    assert baseline.run.complete
    assert baseline.run.exit_code == 1


async def test_time_is_for_tests_not_for_their_collection(bench: Bench) -> None:
    """The clock starts with the first test; tests that it does not reach are missing, neither red nor flaky."""
    files = {
        "test_it.py": """
            import time

            time.sleep(1.0)


            def test_first():
                time.sleep(0.7)


            def test_last():
                pass
            """
    }
    async with bench(files) as harness:
        baseline, _ = await measure(harness, ["test_it.py"], effort=Effort(seconds=0.6))
    assert baseline.green == ("test_it.py::test_first",)
    assert baseline.run.ids(Outcome.MISSING) == {"test_it.py::test_last"}
    assert (baseline.already_red, baseline.flaky) == ((), ())


def made(*results: TestResult, red: tuple[str, ...] = ()) -> Baseline:
    """A baseline of these results."""
    run = TestRun(("python", "-m", "pytest", "t.py"), Ending.EXITED, 1 if red else 0, 0.5, results, complete=True)
    return Baseline(run, red, (), {result.id: result.seconds for result in results})


def test_baselines_are_put_together() -> None:
    """What only one of two reached is as that one says; tests can be left out of a baseline."""
    first = made(TestResult("t.py::a", Outcome.PASSED, 0.1), TestResult("t.py::b", Outcome.MISSING))
    second = made(TestResult("t.py::b", Outcome.FAILED, 0.2), red=("t.py::b",))
    both = merged(first, second)
    assert [(result.id, result.outcome) for result in both.run.results] == [
        ("t.py::a", Outcome.PASSED),
        ("t.py::b", Outcome.FAILED),
    ]
    assert (both.green, both.already_red, both.run.exit_code) == (("t.py::a",), ("t.py::b",), 1)
    assert without_tests(both, {"t.py::b"}).already_red == ()
    assert without_tests(both, {"t.py::a"}).green == ()


SLOW = """
    def test_slow():
        total = 0
        for number in range(40_000_000):
            total += number


    def test_quick():
        pass
    """


async def test_a_slow_test_says_nothing_where_it_is_not_to_be_red(bench: Bench) -> None:
    """A test that needs more than its share is neither red nor flaky, its time is known, and the others still run."""
    async with bench({"test_it.py": SLOW}) as harness:
        baseline, _ = await measure(harness, ["test_it.py"], effort=Effort(seconds_per_test=0.3, slow_is_red=False))
    assert baseline.green == ("test_it.py::test_quick",)
    assert (baseline.already_red, baseline.flaky) == ((), ())
    assert baseline.run.ids(Outcome.TIMED_OUT) == {"test_it.py::test_slow"}
    assert baseline.timings["test_it.py::test_slow"] >= 0.3


async def test_the_processor_counts_not_the_clock(bench: Bench) -> None:
    """CPU bounds the tests of a run: a test that only waits takes none of it; with patience it may take longer."""
    files = {
        "test_it.py": "import time\n\n\ndef test_waits():\n    time.sleep(1.2)\n\n\n" + SLOW.replace("\n    ", "\n")
    }
    async with bench(files) as harness:
        waiting = await harness.run(["test_it.py::test_waits"], seconds_per_test=0.5, patience=6.0, cpu_seconds=0.5)
        spent = await harness.run(["test_it.py"], cpu_seconds=0.1, expand=True)
    assert [result.outcome for result in waiting.run.results] == [Outcome.PASSED]
    assert [result.outcome for result in spent.run.results] == [Outcome.PASSED, Outcome.PASSED, Outcome.MISSING]
