"""A reproduction holds only if it is red for the issue's reason, by the repository's own code, each time it is run."""

import ast
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path, PurePosixPath

import pytest

from thinklonger.agent import messages
from thinklonger.agent.config import SandboxChoice
from thinklonger.agent.execution import Harness, find_interpreter, prove
from thinklonger.agent.issue import read_clues
from thinklonger.agent.sandbox import select_sandbox
from thinklonger.agent.stages.verify import checking
from thinklonger.agent.stages.verify.checking import Judgement, check_reproduction
from thinklonger.agent.stages.verify.reasons import Reasons, read_reasons, shows
from thinklonger.agent.stages.verify.reproduction import Origin
from thinklonger.agent.stages.verify.scrutiny import always_fails, raised_by_itself, reads_source
from thinklonger.agent.types import Frame, Issue, IssueSource, Limits, Outcome, TestResult

FILES = {
    "pager.py": """\
def jump(n):
    if n > 2:
        raise ValueError('page %d is far' % n)
    return n + 1


def wait(n):
    while n:
        pass
""",
    "tests/test_pager.py": "from pager import jump\n\n\ndef test_jump():\n    assert jump(1) == 2\n",
}

RAISES = """\
Jumping to page 3 fails

Traceback (most recent call last):
  File "pager.py", line 3, in jump
ValueError: page 3 is far
"""
GIVES = "`jump(1)` returns `2` but should return `1`."
PROSE = "Jumping is off by one page: one always lands on the next one."
HANGS = "`wait(1)` hangs forever."


@asynccontextmanager
async def opened(root: Path) -> AsyncIterator[Harness]:
    """The little repository, proved to run."""
    for name, text in FILES.items():
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text(text)
    interpreter = find_interpreter(root)
    sandbox = await select_sandbox(SandboxChoice.NONE)
    async with sandbox.open(root, list(map(PurePosixPath, FILES)), readable=interpreter.readable) as session:
        yield await prove(session, interpreter, limits=Limits(wall_seconds=60))


def reasons(text: str) -> Reasons:
    """What an issue of this text names."""
    return read_reasons(Issue(text, IssueSource.TEXT), read_clues(text))


async def check(harness: Harness, script: str, issue: str) -> Judgement:
    """A script checked against an issue; what is said of it renders in every language."""
    judgement = await check_reproduction(script.encode(), harness=harness, base={}, reasons=reasons(issue))
    if judgement.why is not None:
        for language in messages.LANGUAGES:
            assert messages.render(judgement.why, language)
    return judgement


def why(judgement: Judgement) -> str:
    """Why a script is no reproduction, in short; empty where it is one."""
    assert (judgement.why is None) == (judgement.reproduction is not None)
    return judgement.why.key.removeprefix("reproduction.") if judgement.why is not None else ""


GOOD = {
    "exception": ("from pager import jump\njump(3)\n", RAISES),
    "value in a message": ("from pager import jump\nv = jump(1)\nassert v == 1, f'{v!r} instead of 1'\n", GIVES),
    "value in a test": ("from pager import jump\n\ndef test_it():\n    assert jump(1) == 1\n", GIVES),
    "an assertion for words": ("from pager import jump\nassert jump(1) == 1\n", PROSE),
    "an exit code for words": ("import sys\nfrom pager import jump\nsys.exit(jump(1) != 1)\n", PROSE),
    "an exception retold": (
        """\
from pager import jump

def test_it():
    try:
        jump(3)
    except ValueError as e:
        raise AssertionError(f'ValueError: {e}') from e
""",
        RAISES,
    ),
}


async def test_a_reproduction(tmp_path: Path) -> None:
    """The issue's exception, its value, or in prose a check of its own; its tests and lines come with it."""
    async with opened(tmp_path) as harness:
        found = {name: await check(harness, *case) for name, case in GOOD.items()}
    assert {name: why(judgement) for name, judgement in found.items()} == dict.fromkeys(GOOD, "")
    for judgement in found.values():
        reproduction = judgement.reproduction
        assert reproduction is not None
        assert reproduction.origin is Origin.MODEL
        (test,) = reproduction.tests
        assert PurePosixPath("pager.py") in reproduction.coverage[test]
        assert list(reproduction.layer) == [PurePosixPath(test.partition("::")[0])]


BAD = [
    ("from pager import jump\njump(1)\nprint('Issue reproduced')\n", RAISES, "passes"),
    ("from pager import jump\nprint('reproduced')\nraise SystemExit(0)\n", PROSE, "passes"),
    ("from pager import jump\njump('3')\n", RAISES, "other-reason"),
    ("from pager import leap\nleap(3)\n", RAISES, "other-reason"),
    ("from pager import jump\nassert jump(2) == 2, f'{jump(2)!r} instead of 2'\n", GIVES, "other-reason"),
    ("from pager import leap\nassert leap(1) == 1\n", PROSE, "no-check"),
    ("from pager import jump\nif jump(1):\n    raise ValueError('page 3 is far')\n", RAISES, "raised-by-itself"),
    ("from pager import jump\njump(1)\nraise ValueError('page 3 is far')\n", RAISES, "always-fails"),
    ("from pager import jump\njump(1)\nassert False, '2 instead of 1'\n", GIVES, "always-fails"),
    ("import inspect, pager\nassert '+ 1' not in inspect.getsource(pager), '2 instead of 1'\n", GIVES, "reads-source"),
    ("assert 2 == 1, '2 instead of 1'\n", GIVES, "runs-nothing"),
    ("def test_it(:\n", RAISES, "not-python"),
    ("# nothing\n", RAISES, "empty"),
    ("import pytest\n\ndef test_it():\n    pytest.skip('later')\n", RAISES, "not-run"),
    ("import os\nfrom pager import jump\njump(1)\nos._exit(0)\n", RAISES, "other-reason"),
]


async def test_what_is_no_reproduction(tmp_path: Path) -> None:
    """Each failure has its own words; words that are printed and an exit code of 0 are worth nothing."""
    async with opened(tmp_path) as harness:
        found = [(script, issue, why(await check(harness, script, issue))) for script, issue, _ in BAD]
    assert found == BAD


async def test_a_reproduction_that_hangs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is stopped; it counts only where the issue speaks of that, and the repository's code is what hangs."""
    monkeypatch.setattr(checking, "SECONDS", 1.0)
    hanging = "from pager import wait\nwait(1)\n"
    async with opened(tmp_path) as harness:
        assert why(await check(harness, hanging, HANGS)) == ""
        assert why(await check(harness, hanging, RAISES)) == "hangs"
        assert why(await check(harness, "import pager\nwhile pager:\n    pass\n", HANGS)) == "runs-nothing"


async def test_a_reproduction_that_is_red_only_sometimes(tmp_path: Path) -> None:
    """Luck proves nothing: it is run again."""
    marks = tmp_path / "marks"
    marks.mkdir()
    script = (
        "import os\nfrom pager import jump\n"
        f"n = len(os.listdir({str(marks)!r}))\nopen(os.path.join({str(marks)!r}, str(n)), 'w').close()\n"
        "if n == 0:\n    jump(3)\n"
    )
    (tmp_path / "tree").mkdir()
    async with opened(tmp_path / "tree") as harness:
        assert why(await check(harness, script, RAISES)) == "unsteady"


async def test_a_test_file_with_some_telling_tests(tmp_path: Path) -> None:
    """Of a file's tests those count that show the reason."""
    script = (
        "from pager import jump\n\ndef test_good():\n    assert jump(0) == 1\n\n"
        "def test_bad():\n    jump(3)\n\ndef test_other():\n    jump(None)\n"
    )
    async with opened(tmp_path) as harness:
        judgement = await check(harness, script, RAISES)
    assert judgement.reproduction is not None
    assert [test.rpartition("::")[2] for test in judgement.reproduction.tests] == ["test_bad"]


# ── reasons ──────────────────────────────────────────────────────────────────────────────────────────────────────


def red(exception: str, text: str = "", *frames: str) -> TestResult:
    """A red result."""
    places = tuple(Frame(PurePosixPath(name), 1, "f") for name in frames)
    return TestResult("t", Outcome.FAILED, 0.0, exception, text, places)


@pytest.mark.parametrize(
    ("result", "issue", "is_shown"),
    [
        (red("ValueError", "page 3 is far"), RAISES, True),
        (red("ValueError", "no such thing"), RAISES, False),
        (red("AssertionError", "ValueError: page 3 is far"), RAISES, True),
        (red("AssertionError", "it is far"), RAISES, False),
        (red("AssertionError", "assert 2 == 1\n +  where 2 = jump(1)"), GIVES, True),
        (red("AssertionError", "got 2"), GIVES, True),
        (red("AssertionError", "3 instead of 2"), GIVES, False),
        (red("AssertionError", "assert 12 == 1"), GIVES, False),
        (red("AssertionError", "assert 2.5 == 1"), GIVES, False),
        (red("AssertionError", ""), GIVES, False),
        (red("Failed", "DID NOT RAISE KeyError"), PROSE, True),
        (red("AssertionError", ""), PROSE, True),
        (red("NameError", "x"), PROSE, False),
        (TestResult("t", Outcome.TIMED_OUT, 1.0, "Timeout"), HANGS, True),
        (TestResult("t", Outcome.TIMED_OUT, 1.0, "Timeout"), PROSE, False),
        (TestResult("t", Outcome.PASSED), PROSE, False),
    ],
)
def test_what_shows_an_issue(result: TestResult, issue: str, is_shown: bool) -> None:  # noqa: FBT001 (a column)
    """Exception and message, or the value; what is left of a test's own check is what its words say."""
    assert shows(result, reasons(issue)) is is_shown


def test_what_raises_itself() -> None:
    """A script that raises the exception is found out, one that only passes on the code's or a library's is not."""
    own = (PurePosixPath("script.py"),)
    source = ast.parse("class A:\n    def f(self):\n        raise pager.ValueError('x')\n")
    assert raised_by_itself(red("ValueError", "x", "script.py"), source, own=own)
    assert not raised_by_itself(red("ValueError", "x", "script.py", "pager.py"), source, own=own)
    assert not raised_by_itself(red("TypeError", "x", "script.py"), source, own=own)
    assert not raised_by_itself(red("AssertionError", "x", "script.py"), ast.parse("raise AssertionError\n"), own=own)


@pytest.mark.parametrize(
    ("script", "does"),
    [
        ("f()\nassert False\n", True),
        ("f()\nassert 0, 'wrong'\n", True),
        ("def test_a():\n    f()\n    raise AssertionError('wrong')\n", True),
        ("if f() != 1:\n    assert False, 'wrong'\n", False),
        ("if f() == 1:\n    raise SystemExit(0)\nraise AssertionError('wrong')\n", False),
        ("import sys\nf() == 1 and sys.exit()\nassert False\n", False),
        ("def test_a():\n    if f() == 1:\n        return\n    raise AssertionError('wrong')\n", False),
        ("def check():\n    raise AssertionError('wrong')\n\nif f():\n    check()\n", False),
        ("try:\n    f()\nexcept ValueError as e:\n    raise AssertionError('wrong') from e\n", False),
        ("assert f() == 1\n", False),
    ],
)
def test_what_always_fails(script: str, does: bool) -> None:  # noqa: FBT001 (a column)
    """A failure that nothing can prevent shows nothing; one behind a condition, or a way out, may."""
    assert always_fails(ast.parse(script)) is does


@pytest.mark.parametrize(
    ("script", "does"),
    [
        ("import inspect\ninspect.getsource(f)\n", True),
        ("from inspect import getsource\n", True),
        ("open(pager.__file__)\n", True),
        ("f.__code__.co_consts\n", True),
        ("open(__file__)\n", False),
        ("import inspect\ninspect.signature(f)\n", False),
    ],
)
def test_what_reads_the_source(script: str, does: bool) -> None:  # noqa: FBT001 (a column)
    """What the code's text says is no behaviour."""
    assert reads_source(ast.parse(script)) is does


def test_reasons_in_words() -> None:
    """They can be told to whoever writes the script."""
    assert "ValueError: page 3 is far" in str(reasons(RAISES))
    assert "jump(1) → 2" in str(reasons(GIVES))
    assert not reasons(PROSE).named
    assert reasons(HANGS).named
