"""Whether a repository's tests can be run, with what, and exactly why not."""

import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from thinklonger.agent import messages
from thinklonger.agent.config import SandboxChoice
from thinklonger.agent.errors import ExecutionError, UsageError
from thinklonger.agent.execution import Harness, Runner
from thinklonger.agent.types import Outcome

Bench = Callable[..., AbstractAsyncContextManager[Harness]]
GREEN = "def test_ok():\n    pass\n"
CLASS = """
    import unittest

    from shapes import area


    class TestArea(unittest.TestCase):
        def test_square(self):
            self.assertEqual(area(2, 2), 4)

        def test_wide(self):
            self.assertEqual(area(2, 3), 6)

        def test_parts(self):
            for side in (1, 2, 3):
                with self.subTest(side=side):
                    self.assertEqual(area(side, side), side * side)
    """
SHAPES = "def area(a, b):\n    return a * a\n"


def make_environment(root: Path) -> None:
    """A virtual environment in the repository, with nothing in it."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(root / ".venv")], check=True)


async def refused(bench: Bench, files: dict[str, str], command: str | None = None) -> ExecutionError:
    """The error that the proof ends with."""
    with pytest.raises(ExecutionError) as caught:
        async with bench(files, command):
            pass
    for language in messages.LANGUAGES:
        assert messages.render(caught.value.message, language)
        assert caught.value.remedy is not None
        assert messages.render(caught.value.remedy, language)
    return caught.value


# ── what can't be run ────────────────────────────────────────────────────────────────────────────────────────────


async def test_no_tests(bench: Bench) -> None:
    """A repository without tests is refused, and the person is told so."""
    error = await refused(bench, {"module.py": "x = 1\n"})
    assert error.message.key == "execution.no-tests"


async def test_a_missing_module_is_named(bench: Bench) -> None:
    """Tests that need a package that is not installed: its name, who needs it, and what to type."""
    error = await refused(bench, {"test_it.py": "import nowhere_to_be_found.inner\n\n" + GREEN})
    assert error.message.key == "execution.missing-module"
    assert error.message.params["module"] == "nowhere_to_be_found"
    assert error.message.params["path"] == "test_it.py"


async def test_a_missing_module_in_a_conftest_is_named(bench: Bench) -> None:
    """The same where the conftest needs it, which stops pytest before it begins."""
    error = await refused(bench, {"conftest.py": "import nowhere_to_be_found\n", "test_it.py": GREEN})
    assert error.message.key == "execution.missing-module"
    assert error.message.params["module"] == "nowhere_to_be_found"
    assert error.message.params["path"] == "conftest.py"


async def test_a_syntax_error_in_a_conftest(bench: Bench) -> None:
    """A conftest that does not parse: one line that says so."""
    error = await refused(bench, {"conftest.py": "def broken(:\n", "test_it.py": GREEN})
    assert error.message.key == "execution.collection-failed"
    assert "SyntaxError" in str(error)
    assert "conftest.py" in str(error)


async def test_an_unknown_option_of_the_user(bench: Bench) -> None:
    """A test command with an option that pytest does not know: pytest's own words."""
    error = await refused(bench, {"test_it.py": GREEN}, "pytest --no-such-option test_it.py")
    assert error.message.key == "execution.runner-failed"
    assert "--no-such-option" in str(error)


async def test_a_test_file_that_is_not_there(bench: Bench) -> None:
    """A test command for a file that does not exist says which."""
    error = await refused(bench, {"test_it.py": GREEN}, "pytest test_other.py")
    assert "test_other.py" in str(error)


async def test_a_program_that_is_not_there(bench: Bench) -> None:
    """A command whose program does not exist is no red test."""
    error = await refused(bench, {"test_it.py": GREEN}, "no-such-program --flag")
    assert error.message.key == "execution.program-missing"


@pytest.mark.parametrize("command", ["", "   ", "pytest 'unbalanced", "pytest \0", "A=1"])
async def test_a_command_that_is_none(bench: Bench, command: str) -> None:
    """An empty or unreadable command is the user's mistake."""
    with pytest.raises(UsageError):
        async with bench({"test_it.py": GREEN}, command):
            pass


# ── what can ─────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_files_that_can_be_collected_count(bench: Bench) -> None:
    """One file that can't be collected does not take the others with it; it is reported."""
    files = {
        "test_bad.py": "import nowhere_to_be_found\n",
        "test_exit.py": "import sys\nsys.exit(3)\n",
        "test_ok.py": GREEN,
    }
    async with bench(files) as harness:
        assert await harness.collect() == ("test_ok.py::test_ok",)
        told = [messages.render(message) for message in harness.problems]
    assert len(told) == 2
    assert "nowhere_to_be_found" in told[0]
    assert "SystemExit" in told[1]


@pytest.mark.parametrize("kind", [SandboxChoice.NONE, SandboxChoice.BUBBLEWRAP])
async def test_a_source_layout_that_is_not_installed(bench: Bench, kind: SandboxChoice) -> None:
    """Packages below src are importable without being installed, also for the tests' own subprocesses."""
    files = {
        "src/pkg/__init__.py": "",
        "src/pkg/__main__.py": "print('here')\n",
        "src/pkg/core.py": "VALUE = 3\n",
        "tests/unit/test_core.py": """
            import subprocess, sys

            from pkg.core import VALUE


            def test_value():
                assert VALUE == 3


            def test_subprocess():
                assert subprocess.check_output([sys.executable, "-m", "pkg"]) == b"here\\n"
            """,
    }
    async with bench(files, kind=kind) as harness:
        run = (await harness.run(None)).run
    assert run.complete
    assert all(result.outcome.green for result in run.results)


async def test_a_module_at_the_root_beside_nested_tests(bench: Bench) -> None:
    """Tests in any folder import the modules at the repository's root."""
    files = {
        "calc.py": "def f():\n    return 1\n",
        "checks/deep/test_f.py": "from calc import f\n\n\ndef test_f():\n    assert f() == 1\n",
    }
    async with bench(files) as harness:
        assert (await harness.run(None)).run.complete


async def test_modules_named_like_the_standard_library(bench: Bench) -> None:
    """A repository's own `queue.py` or `types.py` does not keep the runner from starting."""
    files = {
        "types.py": "raise RuntimeError('not that one')\n",
        "heap.py": "def first(items):\n    return min(items)\n",
        "test_heap.py": "from heap import first\n\n\ndef test_first():\n    assert first([2, 1]) == 1\n",
    }
    async with bench(files) as harness:
        assert (await harness.run(None)).run.complete


async def test_options_that_this_environment_does_not_know(bench: Bench) -> None:
    """Options of a missing plugin in the project's own settings are left out; the other settings stay."""
    files = {
        "pytest.ini": "[pytest]\naddopts = --cov=pkg --no-such-thing\npython_files = check_*.py\n",
        "check_it.py": GREEN,
        "test_no.py": "def test_no():\n    assert 0\n",
    }
    async with bench(files) as harness:
        assert harness.drop_addopts
        assert await harness.collect() == ("check_it.py::test_ok",)
        assert (await harness.run(None)).run.complete


async def test_a_selection_by_command(bench: Bench) -> None:
    """What a pytest command selects becomes the selected tests; the options that do not select stay for later runs."""
    files = {"test_it.py": "def test_one():\n    assert 0\n\n\ndef test_two():\n    pass\n", "test_other.py": GREEN}
    async with bench(files, "python -m pytest test_it.py -k one -p no:logging") as harness:
        assert harness.selected == ("test_it.py::test_one",)
        assert harness.options == ("-p", "no:logging")
        assert (await harness.run(None)).run.results[0].outcome is Outcome.FAILED
        assert len(await harness.collect()) == 3
        other = (await harness.run(["test_other.py::test_ok"])).run
        assert other.complete


async def test_named_tests(bench: Bench) -> None:
    """Tests that an issue names, by function, dotted name or path, become the selected ones."""
    files = {"test_it.py": "def test_one():\n    assert 0\n\n\ndef test_two():\n    pass\n", "sub/test_other.py": GREEN}
    async with bench(files, named=("test_two", "sub/test_other.py", "no_such_test")) as harness:
        assert set(harness.selected) == {"test_it.py::test_two", "sub/test_other.py::test_ok"}


async def test_a_file_that_the_fault_keeps_from_importing(bench: Bench) -> None:
    """A test file that can't be imported because of the repository's own code is red, by its path, until it passes."""
    files = {"calc.py": "def f(:\n", "test_calc.py": "from calc import f\n\n\ndef test_f():\n    assert f() == 1\n"}
    async with bench(files, "pytest test_calc.py") as harness:
        assert harness.selected == ("test_calc.py",)
        before = (await harness.run(None)).run
        assert before.results[0].outcome is Outcome.ERROR
        assert before.results[0].exception == "SyntaxError"


async def test_a_missing_module_of_the_repository_is_a_fault(bench: Bench) -> None:
    """A module that the repository's own package should have is a red test, not an installation to mend."""
    files = {
        "pkg/__init__.py": "from pkg.helper import f\n",
        "test_pkg.py": "from pkg import f\n\n\ndef test_f():\n    assert f() == 1\n",
    }
    async with bench(files, "pytest test_pkg.py") as harness:
        (result,) = (await harness.run(None)).run.results
    assert result.exception == "ModuleNotFoundError"
    assert str(result.frames[-1].path) == "pkg/__init__.py"


# ── unittest, and environments without pytest ────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("kind", [SandboxChoice.NONE, SandboxChoice.BUBBLEWRAP])
async def test_an_environment_without_pytest_runs_unittest(bench: Bench, root: Path, kind: SandboxChoice) -> None:
    """A virtual environment without pytest and with unittest-style tests is run by unittest, under the same ids."""
    make_environment(root)
    async with bench({"shapes.py": SHAPES, "tests/test_shapes.py": CLASS}, kind=kind) as harness:
        assert harness.runner is Runner.UNITTEST
        assert harness.environment.interpreter == str(root / ".venv" / "bin" / "python")
        execution = await harness.run(None, coverage=True)
    found = {result.id: result for result in execution.run.results}
    assert {test.rpartition("::")[2]: result.outcome for test, result in found.items()} == {
        "test_parts": Outcome.PASSED,
        "test_square": Outcome.PASSED,
        "test_wide": Outcome.FAILED,
    }
    assert execution.run.complete
    assert found["tests/test_shapes.py::TestArea::test_wide"].text.startswith("4 != 6")
    assert execution.coverage["tests/test_shapes.py::TestArea::test_wide"]


@pytest.mark.parametrize("kind", [SandboxChoice.NONE, SandboxChoice.BUBBLEWRAP])
async def test_an_environment_without_pytest_borrows_ours(bench: Bench, root: Path, kind: SandboxChoice) -> None:
    """Where the tests need pytest and the environment has none, ours is lent, and the record says so."""
    make_environment(root)
    files = {
        "shapes.py": SHAPES,
        "test_shapes.py": "from shapes import area\n\n\ndef test_wide():\n    assert area(2, 3) == 6\n",
    }
    async with bench(files, kind=kind) as harness:
        assert harness.runner is Runner.PYTEST
        assert "lent" in harness.environment.runner_version
        run = (await harness.run(None)).run
    assert run.results[0].outcome is Outcome.FAILED
    assert run.complete


async def test_nothing_else_of_ours_is_lent(bench: Bench, root: Path) -> None:
    """A lent pytest brings no other package along: what the environment lacks stays missing."""
    make_environment(root)
    error = await refused(bench, {"test_it.py": "import pytest\nimport msgspec\n\n" + GREEN})
    assert error.message.params["module"] == "msgspec"


async def test_a_unittest_command(bench: Bench) -> None:
    """`python -m unittest` with a dotted name selects what it says."""
    files = {"shapes.py": SHAPES, "tests/__init__.py": "", "tests/test_shapes.py": CLASS}
    async with bench(files, "python3 -m unittest tests.test_shapes.TestArea.test_wide") as harness:
        assert harness.runner is Runner.UNITTEST
        assert harness.selected == ("tests/test_shapes.py::TestArea::test_wide",)
        run = (await harness.run(None)).run
    assert run.results[0].outcome is Outcome.FAILED
    assert run.command == (run.command[0], "-m", "unittest", "tests.test_shapes.TestArea.test_wide")


async def test_unittest_fixtures_that_fail(bench: Bench) -> None:
    """Tests that never begin because their class's fixture fails are errors, not missing."""
    files = {
        "test_it.py": """
            import unittest


            class TestIt(unittest.TestCase):
                @classmethod
                def setUpClass(cls):
                    raise ValueError("no")

                def test_a(self):
                    pass


            class TestOther(unittest.TestCase):
                @unittest.skip("later")
                def test_b(self):
                    pass

                @unittest.expectedFailure
                def test_c(self):
                    self.fail()
            """
    }
    async with bench(files, "python -m unittest") as harness:
        run = (await harness.run(None)).run
    assert [result.outcome for result in run.results] == [Outcome.ERROR, Outcome.SKIPPED, Outcome.SKIPPED]
    assert run.results[0].exception == "ValueError"
    assert run.complete


async def test_a_hanging_unittest(bench: Bench) -> None:
    """A hanging unittest test is timed out, and the next one runs."""
    files = {
        "test_it.py": """
            import unittest


            class TestIt(unittest.TestCase):
                def test_a(self):
                    while True:
                        pass

                def test_b(self):
                    pass
            """
    }
    async with bench(files, "python -m unittest") as harness:
        run = (await harness.run(None, seconds_per_test=0.3)).run
    assert [result.outcome for result in run.results] == [Outcome.TIMED_OUT, Outcome.PASSED]
    assert run.results[0].frames[-1].function == "test_a"


# ── plain commands ───────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_plain_command_is_judged_by_its_exit_code(bench: Bench) -> None:
    """A script that says 'passed' and exits with 1 is red; its traceback's frames are told."""
    files = {"check.py": "print('all passed')\n\n\ndef f():\n    return {}['x']\n\n\nf()\n"}
    async with bench(files, "python check.py") as harness:
        assert harness.runner is Runner.COMMAND
        assert harness.selected == ("python check.py",)
        run = (await harness.run(None)).run
    (result,) = run.results
    assert result.outcome is Outcome.FAILED
    assert result.exception == "KeyError"
    assert [(str(frame.path), frame.line, frame.function) for frame in result.frames] == [
        ("check.py", 8, "<module>"),
        ("check.py", 5, "f"),
    ]


async def test_a_command_for_a_shell(bench: Bench) -> None:
    """A command with a pipe or `&&` runs in a shell; the verdict is still the exit code."""
    async with bench({"x.py": "pass\n"}, "python x.py && test -f x.py") as harness:
        run = (await harness.run(None)).run
    assert run.command == ("sh", "-c", "python x.py && test -f x.py")
    assert run.results[0].outcome is Outcome.PASSED


async def test_a_plain_command_that_hangs(bench: Bench) -> None:
    """A command that does not end is timed out."""
    async with bench({"x.py": "while True:\n    pass\n"}, "python x.py") as harness:
        run = (await harness.run(None, seconds_per_test=0.5)).run
    assert run.results[0].outcome is Outcome.TIMED_OUT
    assert not run.complete
