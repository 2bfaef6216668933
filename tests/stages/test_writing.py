"""A reproduction that is written down: it fails for the issue's reason and for no other, and can be read and edited."""

import subprocess
import sys
from pathlib import Path

import pytest

from thinklonger.agent.issue import Sketch
from thinklonger.agent.stages.verify.writing import (
    Written,
    is_test_file,
    reason_of,
    reason_seen,
    red_for_the_reason,
    write_given,
    write_sketch,
)
from thinklonger.agent.types import Outcome, TestResult

PAGER = "def jump(n):\n    if n > 2:\n        raise ValueError('page %d is far' % n)\n    return n\n"


def nowhere(name: str) -> str | None:
    """A repository that defines only `jump`."""
    return "pager" if name == "jump" else None


def run(written: Written, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a written test with unittest, as any runner would."""
    (folder / "pager.py").write_text(PAGER)
    (folder / written.path.name).write_text(written.text)
    words = [sys.executable, "-B", "-m", "unittest", "-q", written.path.stem]  # a text may change within a second
    return subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)


def red(exception: str, text: str = "") -> TestResult:
    """A red result."""
    return TestResult("t", Outcome.FAILED, 0.0, exception, text)


@pytest.mark.parametrize("quotes", ["plain", 'with """ and \\ inside'])
def test_an_exception(tmp_path: Path, quotes: str) -> None:
    """The example runs as it stands, its names are imported, and what it raises is what the test raises."""
    sketch = Sketch(f"note = {quotes!r}", "jump(3)", exception="ValueError", message="page 3 is far")
    ran = run(write_sketch(sketch, module_of=nowhere), tmp_path)
    assert ran.returncode == 1
    assert "ValueError: page 3 is far" in ran.stderr
    good = Sketch(sketch.program, "jump(2)", exception="ValueError")
    assert run(write_sketch(good, module_of=nowhere), tmp_path).returncode == 0


@pytest.mark.parametrize(("expected", "code"), [("2", 0), ("3", 1), ("'2'", 1), ("2.0", 0)])
def test_a_value(tmp_path: Path, expected: str, code: int) -> None:
    """A value is right as the issue shows it, or as the literal that it shows."""
    sketch = Sketch("", "jump(2)", expected=expected)
    ran = run(write_sketch(sketch, module_of=nowhere), tmp_path)
    assert ran.returncode == code
    assert (f"it gives 2; the issue expects {expected}" in ran.stderr) is bool(code)


@pytest.mark.parametrize(
    ("result", "sketch", "is_reason"),
    [
        (red("builtins.KeyError", "'x'"), Sketch("f()", exception="KeyError", message="'x'"), True),
        (red("KeyError", "'other'"), Sketch("f()", exception="KeyError", message="'x_name'"), False),
        (red("TypeError"), Sketch("f()", exception="KeyError"), False),
        (
            red("a.b.ParseError", "bad line 3 here"),
            Sketch("f()", exception="b.ParseError", message="bad line 9 here"),
            True,
        ),
        (red("AssertionError", "it gives 4; the issue expects 5"), Sketch("", "f()", actual="4", expected="5"), True),
        (red("AssertionError", "it gives 6; the issue expects 5"), Sketch("", "f()", actual="4", expected="5"), False),
        (
            red("AssertionError", "it gives [1,\n 2]; the issue expects 5"),
            Sketch("", "f()", actual="[1, 2]", expected="5"),
            True,
        ),
        (red("ImportError", "no f"), Sketch("", "f()", actual="4", expected="5"), False),
        (red("AssertionError", "it gives 6; the issue expects 5"), Sketch("", "f()", expected="5"), True),
        (TestResult("t", Outcome.PASSED), Sketch("f()", exception="KeyError"), False),
    ],
)
def test_red_for_the_reason_that_the_issue_gives(result: TestResult, sketch: Sketch, is_reason: bool) -> None:  # noqa: FBT001 (a column)
    """Exception, message and value decide; red alone is not enough."""
    assert red_for_the_reason(result, sketch) is is_reason


def test_reasons_in_short() -> None:
    """What the issue gives and what was seen, to be told side by side."""
    assert reason_of(Sketch("f()", exception="KeyError", message="'x'")) == "KeyError: 'x'"
    assert reason_of(Sketch("", "f()", actual="4", expected="5")) == "f() → 4"
    assert reason_seen(red("TypeError", "\nno len\nmore")) == "TypeError: no len"
    assert reason_seen(red("AssertionError", "it gives 6; the issue expects 5")) == "6"


@pytest.mark.parametrize(
    ("script", "code"),
    [
        ("print('FAILED')\n", 0),
        ("import sys\nsys.exit(0)\n", 0),
        ("import sys\nsys.exit(3)\n", 1),
        ("raise SystemExit('bad')\n", 1),
        ("import pager\npager.jump(3)\n", 1),
        ('x = """a\\n\\\\"""\nassert __name__ == "__main__"\n', 0),
    ],
)
def test_a_script_counts_by_how_it_ends(tmp_path: Path, script: str, code: int) -> None:
    """Exit code and exception decide, never a printed word."""
    assert run(write_given("show bug.py", script.encode()), tmp_path).returncode == code


def test_a_test_file_stays_as_it_is() -> None:
    """A file with tests is run as one; its name becomes one that runners look for."""
    text = "import unittest\nclass T(unittest.TestCase):\n    def test_a(self): ...\n"
    written = write_given("bug-7.py", text.encode())
    assert (written.text, str(written.path), written.tests) == (text, "test_bug_7.py", ("test_bug_7.py",))
    assert str(write_given("test_x.py", b"def test_x(): ...\n").path) == "test_x.py"
    assert not is_test_file("print(1)\n")
    assert not is_test_file("def test(:\n")
