"""What an issue says should be seen is read as it says it, and nothing is guessed."""

import pytest

from thinklonger.agent.issue import Sketch, read_clues, read_sketches


def sketches(text: str) -> tuple[Sketch, ...]:
    """The sketches of an issue."""
    return read_sketches(text, read_clues(text))


TRACEBACK = "Traceback (most recent call last):\n  File \"a.py\", line 3, in f\n    g()\nKeyError: 'x'\n"


def test_a_session_that_ends_in_an_exception() -> None:
    """What was typed before is the program; what stands above the traceback is what raises."""
    (sketch,) = sketches(f"It fails\n\n```\n>>> from m import f\n>>> d = {{}}\n>>> f(d)\n{TRACEBACK}```\n")[:1]
    assert sketch.program == "from m import f\nd = {}"
    assert (sketch.expression, sketch.exception, sketch.message) == ("f(d)", "KeyError", "'x'")


def test_blocks_that_build_on_each_other() -> None:
    """A later block needs the imports of an earlier one."""
    text = f"Broken\n\n```python\nfrom m import f\n```\n\nthen\n\n```python\nf({{}})\n```\n\n```\n{TRACEBACK}```\n"
    programs = [sketch.program for sketch in sketches(text)]
    assert programs[0] == "from m import f\nf({})"
    assert all(sketch.exception == "KeyError" for sketch in sketches(text))


@pytest.mark.parametrize(
    ("text", "expression", "actual", "expected"),
    [
        ("`total([1, 2])` returns `2` but should be `3`.", "total([1, 2])", "2", "3"),
        (
            "merge([(1, 10), (2, 3)]) returns [(1, 3)]; expected [(1, 10)].",
            "merge([(1, 10), (2, 3)])",
            "[(1, 3)]",
            "[(1, 10)]",
        ),
        ("`slug('a b')` should be 'a-b' but is 'a b'", "slug('a b')", "'a b'", "'a-b'"),
        ("is_leap(1900) is True, should be False", "is_leap(1900)", "True", "False"),
        ("`f(1) == 2`, should be 3", "f(1)", "2", "3"),
        ("Wrong sum\n\n```\n>>> f(1)\n2\n```\n\nExpected: 3\n", "f(1)", "2", "3"),
        ("Wrong sum\n\n```\n>>> f(1)  # should be 3\n2\n```\n", "f(1)", "2", "3"),
        ("Wrong sum\n\nExpected:\n\n```\n>>> f(1)\n3\n```\n", "f(1)", "", "3"),
    ],
)
def test_values_that_the_text_calls_right_or_wrong(text: str, expression: str, actual: str, expected: str) -> None:
    """An expression with what it gives and what it should give, in the ways in which people say so."""
    found = [(sketch.expression, sketch.actual, sketch.expected) for sketch in sketches(text)]
    assert (expression, actual, expected) in found


@pytest.mark.parametrize(
    "text",
    [
        "",
        "It is slow.",
        "```\n>>> f(1)\n2\n```\n",
        "`f(1)` returns 2 and `g(1)` is fine",
        "`f(1)` should be faster than `g(1)`",
        "```python\nf(1)\n```\n",
        "```\nnot python at all (\n```\nKeyError: 'x'\n",
        "```bash\npip install x\n```\n" + TRACEBACK,
        "\x00\x1b[31m`" * 500,
    ],
)
def test_nothing_is_guessed(text: str) -> None:
    """A value that nobody calls right or wrong, code without an end, an error without code: no sketch."""
    assert sketches(text) == ()


def test_long_issues_take_no_time() -> None:
    """A megabyte of nearly matching text is read in linear time."""
    assert sketches("`f(1)` returns (" * 40_000) == ()
