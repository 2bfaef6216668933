"""The baseline: what was red before, what can't make up its mind, and its cache."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path, PurePosixPath

from thinklonger.agent.execution import Baseline, BaselineCache, Harness, measure_baseline
from thinklonger.agent.execution.baseline import tree_digest
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
