"""Where a reproduction comes from: named tests, related red tests, the issue's own example."""

from pathlib import PurePosixPath

from thinklonger.agent.issue import read_clues
from thinklonger.agent.stages.verify.reproduction import (
    named_tests,
    red_tests,
    related,
    steady,
)
from thinklonger.agent.types import Ending, Frame, Outcome, TestResult, TestRun

TESTS = (
    "tests/test_pager.py::test_last_page",
    "tests/test_pager.py::TestJump::test_far[3-1]",
    "tests/test_menu.py::test_opens",
)


def run_of(*results: TestResult) -> TestRun:
    """A complete run with these results."""
    return TestRun(("pytest",), Ending.EXITED, 1, 0.1, results, complete=True)


def red(test: str, *, exception: str = "AssertionError", path: str = "") -> TestResult:
    """A red test, perhaps with a frame in a file."""
    frames = (Frame(PurePosixPath(path), 3, "f"),) if path else ()
    return TestResult(test, Outcome.FAILED, exception=exception, frames=frames)


def test_a_test_is_named_by_id_by_file_or_by_function() -> None:
    """An issue may name a test in any of the ways that people write one."""
    assert named_tests(read_clues("tests/test_pager.py::test_last_page fails"), TESTS) == TESTS[:1]
    assert named_tests(read_clues("Run `test_menu.py` and see"), TESTS) == TESTS[2:]
    assert named_tests(read_clues("`test_far` is red since Monday"), TESTS) == TESTS[1:2]
    assert named_tests(read_clues("The pager jumps too far"), TESTS) == ()


def test_the_exception_that_the_issue_names_decides_first() -> None:
    """Of red tests, those that raise what the issue shows go before those that only touch a suspected file."""
    text = 'Jumping crashes\n\nTraceback (most recent call last):\n  File "a.py", line 1, in f\nKeyError: 3\n'
    run = run_of(red(TESTS[0], exception="KeyError"), red(TESTS[2], path="pager.py"))
    found = related(run, {}, clues=read_clues(text), suspects={PurePosixPath("pager.py")})
    assert found == TESTS[:1]


def test_a_red_test_that_runs_no_suspect_is_another_matter() -> None:
    """A test that is red for another reason is not the reproduction."""
    run = run_of(red(TESTS[2], path="menu.py"))
    coverage = {TESTS[2]: {PurePosixPath("menu.py"): frozenset({1})}}
    assert related(run, coverage, clues=read_clues("The pager is slow"), suspects={PurePosixPath("pager.py")}) == ()


def test_without_text_every_red_test_counts() -> None:
    """With nothing to compare with, what is red is the issue."""
    run = run_of(red(TESTS[0]), TestResult(TESTS[1], Outcome.PASSED))
    assert related(run, {}, clues=read_clues(""), suspects=frozenset()) == TESTS[:1]
    assert red_tests(run) == TESTS[:1]


def test_only_what_is_red_each_time_for_one_reason_is_steady() -> None:
    """A test that is green once, or red for another reason, proves nothing."""
    first = run_of(red("a", exception="KeyError"), red("b", exception="KeyError"), red("c", exception="KeyError"))
    again = run_of(red("a", exception="KeyError"), TestResult("b", Outcome.PASSED), red("c", exception="OSError"))
    assert steady(first, (again,), ("a", "b", "c")) == ("a",)
    assert steady(first, (), ("a", "b")) == ("a", "b")
