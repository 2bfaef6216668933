"""What failing tests say: clues in their texts and lines, spectra of their coverage, and what follows for the order."""

from collections.abc import Callable
from itertools import islice
from pathlib import PurePosixPath

import pytest

from thinklonger.agent.protocols import Task
from thinklonger.agent.solver import clues, suspicion
from thinklonger.agent.solver.module import Module
from thinklonger.agent.solver.solver import candidates
from thinklonger.agent.solver.source import Source
from thinklonger.agent.types import Frame, Outcome, TestResult

MakeTask = Callable[..., Task]
PROGRAM = PurePosixPath("program.py")
TESTS = PurePosixPath("test_program.py")


def red(text: str = "", exception: str = "AssertionError", *frames: Frame) -> TestResult:
    """A failed test."""
    return TestResult("t", Outcome.FAILED, exception=exception, text=text, frames=frames)


@pytest.mark.parametrize(
    ("text", "tag"),
    [
        ("assert 4 == 5\n +  where 4 = f(2)", "off-by-one"),
        ("assert -3 == 3", "sign"),
        ("AssertionError: assert [1, 2] == [1, 2, 3]", "edge"),
        ("assert [2, 1] == [1, 2]", "reversed"),
        ("assert [1, 1, 2] == [1, 2]", "duplicates"),
        ("assert True is False", "flipped"),
        ("assert None == 3", "none"),
        ("assert 'a ' == 'a'", "whitespace"),
        ("assert 'A' == 'a'", "case"),
        ("assert (1, 2) == [1, 2]", "wanted-list"),
        ("assert 2.5 == 2", "rounding"),
        ("assert 1 == True", "wanted-bool"),
        ("assert <generator object f at 0x1> == [1]", "lazy"),
        ("assert {'a': 'x == y'} == {'a': 'x'}", "content"),
    ],
)
def test_how_got_and_wanted_differ(text: str, tag: str) -> None:
    """An assertion's two values are read from its text, and how they differ is named."""
    assert tag in clues.read([red(text)]).tags


@pytest.mark.parametrize(
    "text", ["", "assert", "assert x == ", "assert 1 ==", "assert f(" + "(" * 5000, "assert 9" * 900]
)
def test_texts_that_say_nothing(text: str) -> None:
    """A text without literals, cut off or huge gives no tags of differences and raises nothing."""
    assert clues.read([red(text)]).tags == {"AssertionError"}


def test_expected_exception_from_text_and_from_the_test() -> None:
    """The exception that a test expects is found in its text, or at the line of the test that was left."""
    assert clues.read([red("DID NOT RAISE <class 'ValueError'>", "Failed")]).wanted == ("ValueError",)
    source = b"def test():\n    with pytest.raises(KeyError):\n        f()\n"
    result = red("maximum recursion depth", "RecursionError", Frame(TESTS, 3, "test"))
    found = clues.read([result], lambda path: source if path == TESTS else None)
    assert found.wanted == ("KeyError",)
    assert {"no-raise", "RecursionError"} <= found.tags


def test_missing_names_are_offered(task_for: MakeTask) -> None:
    """The name that the interpreter suggests is the first attribute tried."""
    text = "'P' object has no attribute 'widht'. Did you mean: 'width'?"
    result = red(text, "AttributeError", Frame(PROGRAM, 2, "f"))
    task = task_for("def f(p):\n    return p.widht\n", results=[result])
    contents = [c.changes[0].after.content for c in islice(candidates(task), 5) if c.changes[0].after]
    assert b"def f(p):\n    return p.width\n" in contents


def test_unreached_lines_come_last(task_for: MakeTask) -> None:
    """What no failing test ran is edited after what they ran; more passing runs make a line less suspicious."""
    code = "def f(a):\n    if a:\n        return a + 1\n    return a - 1\n"
    results = [TestResult("bad", Outcome.FAILED, exception="AssertionError"), TestResult("good", Outcome.PASSED)]
    coverage = {"bad": {PROGRAM: frozenset({2, 4})}, "good": {PROGRAM: frozenset({2, 3})}}
    task = task_for(code, results=results, coverage=coverage)
    source = Source.parse(PROGRAM, code.encode())
    assert source is not None
    module = Module(source)
    weights = {place.line: suspicion.of(task, module).of(place) for place in module.places}
    assert weights[4] > weights[2] > weights[3]


def test_where_the_exception_was_raised_comes_first(task_for: MakeTask) -> None:
    """The line that raised is more suspicious than its neighbours; a loop that hangs, with all that is in it."""
    code = "def f(xs):\n    i = 0\n    while i < 9:\n        i = i\n    return xs[i]\n"
    source = Source.parse(PROGRAM, code.encode())
    assert source is not None
    module = Module(source)
    raised = suspicion.of(task_for(code, results=[red("", "IndexError", Frame(PROGRAM, 5, "f"))]), module)
    weights = {place.line: raised.of(place) for place in module.places}
    assert max(weights, key=weights.__getitem__) == 5
    hung = TestResult("t", Outcome.TIMED_OUT, frames=(Frame(PROGRAM, 4, "f"),))
    weights = {p.line: s.of(p) for s in [suspicion.of(task_for(code, results=[hung]), module)] for p in module.places}
    assert min(weights[3], weights[4]) > weights[2]


def test_places_without_evidence(task_for: MakeTask) -> None:
    """With no run and no coverage every source file is a suspect, and no test."""
    task = task_for("x = 1\n", tests="x = 1\n")
    assert suspicion.suspects(task) == [PROGRAM]


def test_a_line_shares_its_functions_suspicion(task_for: MakeTask) -> None:
    """Red tests that part at a branch leave its lines more suspicious than lines of another function like them."""
    code = "def f(a):\n    b = a\n    if b:\n        return 1\n    return 2\n\n\ndef g(a):\n    return a\n"
    results = [TestResult(name, Outcome.FAILED, exception="AssertionError") for name in ("one", "two")]
    coverage = {
        "one": {PROGRAM: frozenset({2, 3, 4, 9})},
        "two": {PROGRAM: frozenset({2, 3, 5})},
        "green": {PROGRAM: frozenset({20})},
    }
    source = Source.parse(PROGRAM, code.encode())
    assert source is not None
    module = Module(source)
    found = suspicion.of(task_for(code, results=results, coverage=coverage), module)
    weights = {place.line: found.of(place) for place in module.places}
    assert weights[2] > weights[4] > weights[9]


def test_a_pattern_tires(task_for: MakeTask) -> None:
    """Among the first candidates many patterns have their turn, however many edits the first one has."""
    body = "".join(f"    if a{n} < b{n}:\n        return c{n}\n" for n in range(40))
    code = f"def f({', '.join(f'{x}{n}' for n in range(40) for x in 'abc')}):\n{body}"
    names = {candidate.pattern for candidate in islice(candidates(task_for(code)), 60)}
    assert len(names) >= 5


def test_the_wanted_type_says_which_conversion_comes_first(task_for: MakeTask) -> None:
    """Where a test wants another type than it got, what makes that type is tried before other conversions."""
    for text, call in (("assert (1, 2) == [1, 2]", b"list(xs)"), ("assert [1] is True", b"bool(xs)")):
        task = task_for("def f(xs):\n    return xs\n", results=[red(text, "AssertionError", Frame(PROGRAM, 2, "f"))])
        contents = [c.changes[0].after.content for c in islice(candidates(task), 16) if c.changes[0].after]
        assert any(call in content for content in contents)
