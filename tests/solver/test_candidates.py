"""Candidates: parse, change one region, keep every other byte, come once, in one order, at once."""

import ast
import time
from collections.abc import Callable
from itertools import islice
from pathlib import PurePosixPath

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from thinklonger.agent.protocols import Task
from thinklonger.agent.solver import Solver
from thinklonger.agent.solver.solver import candidates
from thinklonger.agent.types import FileState, Frame, Outcome, TestResult

MakeTask = Callable[..., Task]

SAMPLE = '''"""Doc."""
import asyncio

LIMIT = 10  # größte Zahl


class Store:
    items = []

    def __init__(self, size=3, *, name="näme"):
        self.size = size
        self.name = name

    @property
    def full(self):
        return len(self.items) >= self.size

    async def load(self, keys):
        """Load."""
        for key in keys:
            if key in self.items and not self.full:
                continue
            self.items.append(await self.fetch(key))
        return self.items

    async def fetch(self, key): return key


def pick(values, low=0, high=LIMIT):
    best = None
    for i, value in enumerate(values):
        if low <= value < high and (best is None or value > best):
            best = value
        elif value == high:
            break
        else:
            best, low = low, best
    try:
        total = sum(v for v in values if v)
    except (TypeError, ValueError) as error:
        raise KeyError(f"{error!r:>10} {best}") from error
    match best:
        case None:
            return [x[:] for x in values]
        case int() as n if n > 3:
            return {n: total}
    return (
        best
        + total
    )


def walk(tree):
    def inner(node):
        if node:
            yield from inner(node.left)
            yield node.value

    while tree: tree = tree.left
    return lambda x: (x, tree), [f"{a}" for a in inner(tree)]
'''


def change_of(base: bytes, new: bytes) -> tuple[int, int]:
    """How many bytes are equal at the beginning and at the end."""
    start = next((i for i, (a, b) in enumerate(zip(base, new, strict=False)) if a != b), min(len(base), len(new)))
    rest = min(len(base), len(new)) - start
    end = next((i for i in range(rest) if base[-1 - i] != new[-1 - i]), rest)
    return start, end


def test_every_candidate_compiles(task_for: MakeTask) -> None:
    """A candidate's file compiles, not only parses: no jump outside a loop, no await outside a coroutine."""
    for candidate in islice(candidates(task_for(SAMPLE)), 3000):
        (change,) = candidate.changes
        assert change.after is not None
        compile(change.after.content, "m.py", "exec", dont_inherit=True)


def test_equal_edits_come_once(task_for: MakeTask) -> None:
    """`normalized` says whether two candidates mean the same code: none comes twice, none is the base."""
    normalized: set[str] = set()
    trees: dict[str, str] = {}
    for candidate in islice(candidates(task_for(SAMPLE)), 1500):
        after = candidate.changes[0].after
        assert after is not None
        tree = ast.dump(ast.parse(after.content))
        assert candidate.normalized not in normalized
        assert tree not in trees, (candidate.think, trees[tree])
        normalized.add(candidate.normalized)
        trees[tree] = candidate.think
    assert ast.dump(ast.parse(SAMPLE)) not in trees


@pytest.mark.parametrize(
    "data",
    [
        SAMPLE.encode(),
        SAMPLE.replace("\n", "\r\n").encode(),
        b"\xef\xbb\xbf" + SAMPLE.encode(),
        ("# -*- coding: latin-1 -*-\n" + SAMPLE).encode("latin-1"),
        SAMPLE.replace("    ", "\t").encode(),
        SAMPLE.rstrip().encode(),
    ],
    ids=["plain", "crlf", "bom", "latin-1", "tabs", "no-newline"],
)
def test_bytes_around_an_edit_stay(task_for: MakeTask, data: bytes) -> None:
    """One region changes; encoding, byte order mark, line endings, comments and layout around it stay."""
    for candidate in islice(candidates(task_for(data)), 400):
        (change,) = candidate.changes
        assert change.before == FileState(data)
        assert change.after is not None
        content = change.after.content
        start, end = change_of(data, content)
        assert start + end <= min(len(data), len(content))
        ast.parse(content)
        if b"\r\n" in data:
            assert b"\n" not in content.replace(b"\r\n", b"")


def test_order_depends_on_the_task_alone(task_for: MakeTask) -> None:
    """Two runs give the same candidates in the same order."""
    one = [(c.id, c.normalized, c.prior) for c in islice(candidates(task_for(SAMPLE)), 800)]
    two = [(c.id, c.normalized, c.prior) for c in islice(candidates(task_for(SAMPLE)), 800)]
    assert one == two
    assert all(0 < prior <= 1 for _, _, prior in one)


async def test_the_port(task_for: MakeTask) -> None:
    """`Solver` is a proposer: named, with an account of three sentences, no answer, and a location around the edit."""
    found = [candidate async for candidate in Solver().patches(task_for("def f(a, b):\n    return a - b\n"))]
    assert Solver.name == "builtin"
    assert found[0].proposer == "builtin"
    for candidate in found:
        assert candidate.answer == ""
        assert candidate.think.startswith("Line ")
        assert candidate.think.count(". ") >= 2
        assert candidate.location.symbol == "f"


def test_tests_are_never_edited(task_for: MakeTask) -> None:
    """No candidate changes a test, even where the evidence points at it."""
    result = TestResult("t", Outcome.FAILED, frames=(Frame(PurePosixPath("test_program.py"), 1, "test"),))
    task = task_for("def f(a):\n    return a + 1\n", results=[result], tests="def test():\n    assert f(1) == 3\n")
    assert {candidate.changes[0].path for candidate in candidates(task)} == {PurePosixPath("program.py")}


@pytest.mark.parametrize("data", [b"def f(:\n", b"\xff\xfe\x00", b"# coding: nonsense\nx = 1\n", b""])
def test_files_that_can_not_be_read_give_nothing(task_for: MakeTask, data: bytes) -> None:
    """A file that does not parse or decode has no candidates and raises nothing."""
    assert list(candidates(task_for(data))) == []


def test_candidates_stream(task_for: MakeTask) -> None:
    """The first candidate of a file of 1,000 lines comes without making the others, and generation keeps its pace."""
    lines = SAMPLE.replace("def pick", "def pick{n}").replace("class Store", "class Store{n}")
    body = "\n\n".join(lines.replace("{n}", str(n)) for n in range(17))
    assert body.count("\n") > 1000
    started = time.process_time()
    stream = candidates(task_for(body))
    next(stream)
    first = time.process_time() - started
    count = sum(1 for _ in islice(stream, 1500))
    pace = count / (time.process_time() - started - first)
    assert first < 0.5
    assert pace > 500  # trying one costs several times as much


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    operator=st.sampled_from(["+", "-", "*", "//", "%"]),
    comparison=st.sampled_from(["<", "<=", "==", "!=", "in"]),
    left=st.sampled_from(["a", "a[0]", "(a or b)", "f(a)", "-a", "a.b", "lambda: a", "[a]", "'é'"]),
    right=st.sampled_from(["b", "b[i:j]", "not b", "b if a else 1", "(yield)", "{1: 2}", "x := 3"]),
)
def test_any_expression_can_be_edited(
    task_for: MakeTask, operator: str, comparison: str, left: str, right: str
) -> None:
    """Whatever an expression is made of, its edits compile and differ from it."""
    text = f"def f(a, b, i=0, j=1):\n    c = ({left}) {operator} ({right})\n    if ({left}) {comparison} c:\n"
    text += "        return c\n"
    for candidate in islice(candidates(task_for(text)), 120):
        after = candidate.changes[0].after
        assert after is not None
        compile(after.content, "m.py", "exec", dont_inherit=True)
