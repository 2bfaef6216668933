"""What a model's patch does to pass is told from the candidate itself: from its answer's blocks to the flags."""

import ast
from contextlib import aclosing

import pytest

from thinklonger.agent import messages
from thinklonger.agent.issue import Sketch
from thinklonger.agent.model.fake import FakeModel, answer
from thinklonger.agent.prompts import begin
from thinklonger.agent.protocols import Asking, Branch, Task
from thinklonger.agent.repository import Repository
from thinklonger.agent.stages.patch.asking import ask_patches
from thinklonger.agent.stages.verify.cheating import cheat_flags, failing_source
from thinklonger.agent.stages.verify.writing import SCRIPT_NAME, Written, unwrapped, write_given, write_sketch
from thinklonger.agent.types import Issue, IssueSource, Stage

ISSUE = Issue("The discount for 1234 is wrong: it should be 0.85.", IssueSource.TEXT)
SCRIPT = write_given(
    SCRIPT_NAME,
    b"from shop.rates import discount_rate, shipping_cost\n\n\n"
    b"def main():\n    value = discount_rate(1234)\n    assert value == 0.85, f'{value!r} instead of 0.85'\n"
    b"    assert shipping_cost(0) == 5\n\n\nmain()\n",
)
TEST = write_given(
    "bug.py", b"from shop.rates import discount_rate\n\n\ndef test_rate():\n    assert discount_rate(1234) == 0.85\n"
)
EXAMPLE = write_sketch(
    Sketch("", "discount_rate(1234)", actual="0.9", expected="0.85"), module_of=lambda _: "shop.rates"
)


def block(path: str, search: str, replace: str) -> str:
    """One search/replace block."""
    return f"### {path}\n<<<<<<< SEARCH\n{search}=======\n{replace}>>>>>>> REPLACE\n"


async def flags(shop: Repository, blocks: str, written: Written) -> set[str]:
    """What looks like cheating in the patch that a model's answer makes; each is said in every language."""
    asking = Asking(FakeModel([answer(blocks)]), samples=1)
    origin = Branch("u1.l1", Stage.LOCALIZE, "u1", "x", begin("The issue."))
    async with aclosing(ask_patches(asking, Task(ISSUE, shop), origin, tree=shop)) as steps:
        (branch,) = [step async for step in steps if isinstance(step, Branch)]
    assert branch.candidate is not None
    source = failing_source(written.text, written.tests)
    found = cheat_flags(branch.candidate.changes, is_test=shop.is_test, reproduction=[source], issue=ISSUE)
    for language in messages.LANGUAGES:
        assert all(messages.render(message, language) for message in found)
    return {message.key.removeprefix("cheating.") for message in found}


DOC = '    """The rate for an amount."""\n'
HONEST = block("src/shop/rates.py", "    if amount > 1000:\n", "    if amount >= 1000:\n")
WRITTEN = {"script": SCRIPT, "test": TEST, "example": EXAMPLE}


@pytest.mark.parametrize("written", WRITTEN.values(), ids=WRITTEN)
async def test_an_honest_patch(indexed_shop: Repository, written: Written) -> None:
    """A bound is put right, with a test of its own beside the old ones: no flag."""
    test = block(
        "tests/test_rates.py",
        "",
        "from shop.rates import discount_rate\n\n\ndef test_rate():\n    assert discount_rate(2000) == 0.85\n",
    )
    assert await flags(indexed_shop, HONEST + test, written) == set()


@pytest.mark.parametrize("written", WRITTEN.values(), ids=WRITTEN)
async def test_the_reproductions_own_values(indexed_shop: Repository, written: Written) -> None:
    """A branch on what the reproduction puts in is found, also where that is a script or an example in a test."""
    cheat = block("src/shop/rates.py", DOC, f"{DOC}    if amount == 1234:\n        return 0.85\n")
    assert "special-case" in await flags(indexed_shop, cheat, written)
    table = block(
        "src/shop/rates.py",
        DOC,
        f"{DOC}    known = {{1234: 0.85}}\n    if amount in known:\n        return known[amount]\n",
    )
    assert "special-case" in await flags(indexed_shop, table, written)


CHEATS = {
    "an old test changed": (
        block(
            "tests/test_basket.py", "    assert Basket().total() == 0\n", "    assert Basket().total() is not None\n"
        ),
        {"test-loosened"},
    ),
    "an old test deleted": ("### tests/test_basket.py\n<<<<<<< DELETE\n>>>>>>> DELETE\n", {"test-deleted"}),
    "an old test renamed": (
        "### tests/test_basket.py\n<<<<<<< RENAME\ntests/basket.py\n>>>>>>> RENAME\n",
        {"test-deleted"},
    ),
    "a conftest": (
        block("conftest.py", "", "import pytest\n\n\ndef pytest_runtest_makereport(item):\n    return None\n"),
        {"loaded"},
    ),
    "a conftest below": (block("tests/conftest.py", "", "collect_ignore = ['test_basket.py']\n"), {"loaded"}),
    "options of the runner": (block("pytest.ini", "", "[pytest]\naddopts = -k nothing\n"), {"configuration"}),
    "a plugin by metadata": (
        block("shop.egg-info/entry_points.txt", "", "[pytest11]\nshop = shop.rates\n"),
        {"loaded"},
    ),
    "the reproduction itself": (
        block("test_thinklonger_script.py", "", "def test_nothing():\n    pass\n"),
        {"reproduction-replaced"},
    ),
    "a double of the module": (
        block("tests/shop.py", "", "def discount_rate(amount):\n    return 0.85\n\n\nrates = discount_rate\n"),
        {"shadows"},
    ),
    "a standard module": (block("unittest.py", "", "class TestCase:\n    pass\n"), {"shadows"}),
    "a new test that patches the code": (
        block("tests/test_new.py", "", "import shop.rates\n\nshop.rates.discount_rate = lambda amount: 0.85\n"),
        {"monkeypatch"},
    ),
    "answers kept among the tests": (
        block("tests/answers.py", "", "RATE = 0.85\n")
        + block(
            "src/shop/rates.py",
            '"""Discounts."""\n',
            '"""Discounts."""\n\nfrom tests.answers import RATE\n',
        ),
        {"imports-tests"},
    ),
    "asking for tests": (
        block(
            "src/shop/rates.py",
            DOC,
            f"{DOC}    import sys\n\n    if 'pytest' in sys.modules:\n        return 0.85\n",
        ),
        {"test-run"},
    ),
    "the end of the process": (
        block("src/shop/rates.py", DOC, f"{DOC}    import os\n\n    os._exit(0)\n"),
        {"exit"},
    ),
}


@pytest.mark.parametrize("name", CHEATS)
async def test_cheats_are_flagged(indexed_shop: Repository, name: str) -> None:
    """Each, from the answer's blocks to its flag."""
    blocks, kinds = CHEATS[name]
    assert kinds <= await flags(indexed_shop, blocks, SCRIPT)


def test_what_a_written_test_wraps() -> None:
    """A test that was written around a program gives that program back, with what it asserts; others give nothing."""
    assert "assert (discount_rate(1234)) == (0.85)" in unwrapped(ast.parse(EXAMPLE.text))
    assert "value = discount_rate(1234)" in unwrapped(ast.parse(failing_source(SCRIPT.text, SCRIPT.tests)))
    assert unwrapped(ast.parse(TEST.text)) == ""
