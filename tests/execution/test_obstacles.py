"""Tests that a machine can't run: kept apart with their reason, never fatal."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

import pytest

from thinklonger.agent.config import SandboxChoice
from thinklonger.agent.execution import Harness
from thinklonger.agent.execution.baseline import measure
from thinklonger.agent.execution.folders import settle_folder
from thinklonger.agent.execution.obstacles import Obstacle, obstacle, set_aside, told
from thinklonger.agent.messages import render
from thinklonger.agent.types import Outcome, TestResult

Bench = Callable[..., AbstractAsyncContextManager[Harness]]
NEEDY = """
    import os
    import socket
    import sqlite3
    import urllib.request

    import pytest


    def test_fine():
        assert True


    def test_network():
        urllib.request.urlopen("http://example.org/", timeout=5)


    def test_name():
        socket.create_connection(("example.org", 80), timeout=5)


    def test_display():
        raise RuntimeError("no display name and no $DISPLAY environment variable")


    def test_database():
        raise sqlite3.OperationalError('connection to server at "localhost", port 5432 failed')


    def test_gpu():
        raise RuntimeError("Found no NVIDIA driver on your system.")


    def test_root():
        os.chown("/", 0, 0)
        raise PermissionError("this machine lets everybody do it")


    @pytest.mark.skip(reason="requires network")
    def test_skipped():
        pass


    @pytest.mark.skip(reason="not today")
    def test_skipped_for_another_reason():
        pass


    def test_wrong():
        assert 1 == 2
    """
NAMES = {
    Obstacle.NETWORK: {"test_network", "test_name", "test_skipped"},
    Obstacle.DISPLAY: {"test_display"},
    Obstacle.DATABASE: {"test_database"},
    Obstacle.GPU: {"test_gpu"},
    Obstacle.ROOT: {"test_root"},
    None: {"test_wrong"},
}


async def test_tests_that_need_more_are_kept_apart_by_reason(bench: Bench) -> None:
    """In a sandbox without a network and other things the rest of the suite still counts."""
    async with bench({"test_needs.py": NEEDY}, kind=SandboxChoice.BUBBLEWRAP) as harness:
        baseline, _ = await measure(harness, ["test_needs.py"])
    assert baseline.green == ("test_needs.py::test_fine",)
    aside = set_aside(baseline.run.results, red=baseline.already_red)
    assert {reason: {test.partition("::")[2] for test in tests} for reason, tests in aside.items()} == NAMES
    words = [render(message, "en") for message in told(aside)]
    assert "1 test needs a display and is left out: test_needs.py::test_display" in words
    assert len(words) == len(NAMES)
    assert all(render(message, "zh-CN") for message in told(aside))


@pytest.mark.parametrize(
    ("exception", "text", "reason"),
    [
        ("socket.gaierror", "[Errno -3] Temporary failure in name resolution", Obstacle.NETWORK),
        ("redis.exceptions.ConnectionError", "Error 111 connecting to localhost:6379.", Obstacle.DATABASE),
        ("_tkinter.TclError", "couldn't connect to display", Obstacle.DISPLAY),
        ("AssertionError", "Torch not compiled with CUDA enabled", Obstacle.GPU),
        ("SyntaxError", "Missing parentheses in call to 'print'. Did you mean print(...)?", Obstacle.PYTHON_2),
        ("ModuleNotFoundError", "No module named 'urllib2'", Obstacle.PYTHON_2),
        ("ModuleNotFoundError", "No module named 'yaml'", Obstacle.MODULE),
        ("FileNotFoundError", "[Errno 2] No such file or directory: 'data.txt'", Obstacle.FOLDER),
        ("ValueError", "wrong number of nodes", None),
    ],
)
def test_the_reason_is_read_from_the_error(exception: str, text: str, reason: Obstacle | None) -> None:
    """Each kind of error that stands for something missing is recognised; any other is the code's own."""
    assert obstacle(TestResult("t.py::t", Outcome.ERROR, 0.1, exception, text)) is reason


def test_an_assertion_about_networks_is_no_obstacle() -> None:
    """A failed comparison is the code's own, whatever words it compares."""
    failed = TestResult("t.py::t", Outcome.FAILED, 0.1, "AssertionError", "assert 'requires network' == 'GPU'")
    assert obstacle(failed) is None


FROM_TESTS = {
    "size.py": "def size(text):\n    return len(text)\n",
    "tests/data/words.txt": "one two",
    "tests/test_here.py": """
        from size import size


        def test_words():
            assert size(open("data/words.txt").read()) == 7


        def test_wrong():
            assert size(open("data/words.txt").read()) == 8


        def test_anywhere():
            assert size("") == 0
        """,
}


@pytest.mark.parametrize("kind", [SandboxChoice.NONE, SandboxChoice.BUBBLEWRAP])
async def test_tests_that_pass_from_one_folder_only(bench: Bench, kind: SandboxChoice) -> None:
    """Where red tests miss files, the folder in which they find them is where all later runs take place."""
    async with bench(FROM_TESTS, kind=kind) as harness:
        before = await harness.run(None)
        assert len([result for result in before.run.results if result.outcome.green]) == 1
        assert await settle_folder(harness, before.run)
        assert harness.folder == "tests"
        after = await harness.run(None)
        assert not await settle_folder(harness, after.run)
    assert {result.id: result.outcome for result in after.run.results} == {
        "tests/test_here.py::test_words": Outcome.PASSED,
        "tests/test_here.py::test_wrong": Outcome.FAILED,
        "tests/test_here.py::test_anywhere": Outcome.PASSED,
    }


async def test_a_missing_file_that_is_nowhere_changes_nothing(bench: Bench) -> None:
    """Where no folder makes a difference, tests go on running from the root."""
    lost = "def test_lost():\n    open('nowhere.txt')\n"
    files = {"tests/test_it.py": f"{lost}\n\ndef test_fine():\n    open('tests/test_it.py')\n"}
    async with bench(files) as harness:
        run = (await harness.run(None)).run
        assert not await settle_folder(harness, run)
        assert harness.folder == ""


async def test_files_that_are_read_while_collecting(bench: Bench) -> None:
    """A test file that opens its data when it is imported is collected from its own folder."""
    files = {
        "tests/words.txt": "one two",
        "tests/test_words.py": "TEXT = open('words.txt').read()\n\n\ndef test_text():\n    assert TEXT == 'one two'\n",
    }
    async with bench(files) as harness:
        assert harness.folder == "tests"
        (result,) = (await harness.run(None)).run.results
    assert (result.id, result.outcome) == ("tests/test_words.py::test_text", Outcome.PASSED)


async def test_python_2_is_said_once(bench: Bench) -> None:
    """Test files written for Python 2 are named in one sentence, and the others count."""
    old = "def test_old():\n    print 'hello'\n"
    files = {"test_new.py": "def test_new():\n    pass\n", "test_old.py": old, "old/test_older.py": old}
    async with bench(files) as harness:
        assert await harness.collect() == ("test_new.py::test_new",)
        (problem,) = harness.problems
    assert render(problem, "en") == (
        "2 test files are written for Python 2 and are left out: old/test_older.py, test_old.py"
    )
