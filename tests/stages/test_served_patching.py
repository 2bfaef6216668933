"""Patches, debug rounds and reproductions through the real client, over HTTP."""

import pytest
from asked import assert_prompts_share_their_beginnings, branches, gathered, rejected

from thinklonger.agent.config import ServedSettings
from thinklonger.agent.model import connect
from thinklonger.agent.model.fake import answer
from thinklonger.agent.model.replay import Exhausted, Product, Rule, Script, ScriptedReply, serve
from thinklonger.agent.prompts import begin, history
from thinklonger.agent.protocols import Asked, Asking, Branch, Task
from thinklonger.agent.repository import Repository
from thinklonger.agent.stages.patch.asking import ask_patches
from thinklonger.agent.stages.patch.debugging import Checked, Failure, ask_debug
from thinklonger.agent.stages.verify.checking import Judgement
from thinklonger.agent.stages.verify.reproduction import Origin, Reproduction
from thinklonger.agent.stages.verify.scripting import Script as Reproducing
from thinklonger.agent.stages.verify.scripting import write_reproduction
from thinklonger.agent.types import Ending, Issue, IssueSource, Message, Outcome, Stage, TestResult, TestRun

ISSUE = Issue("A basket of 1000 exactly gets no discount.", IssueSource.TEXT)
THOUGHT = "is the border in or out"


def block(path: str, search: str, replace: str) -> str:
    """One search/replace block."""
    return f"### {path}\n<<<<<<< SEARCH\n{search}=======\n{replace}>>>>>>> REPLACE"


GOOD = block("src/shop/rates.py", "    if amount > 1000:\n", "    if amount >= 1000:\n")
BETTER = block("src/shop/rates.py", "    if amount > 1000:\n", "    if amount > 999:\n")
MISSING = block("src/shop/prices.py", "a\n", "b\n")


def rule(last: str, *answers: str) -> Rule:
    """Replies, in turn, to prompts whose last message holds a text."""
    said = tuple(ScriptedReply(think=THOUGHT, answer=text) for text in answers)
    return Rule(last=last, replies=said, exhausted=Exhausted.LAST)


@pytest.mark.parametrize("product", [Product.VLLM, Product.TAGS_OPEN, Product.LLAMA_CPP])
async def test_patches_and_a_debug_round(shop: Repository, product: Product) -> None:
    """A patch, one that is mended, one that is not; then the failed one again; every prompt only grows."""
    script = Script(
        rules=(
            rule("no edit block", answer(GOOD)),
            rule("no file src/shop/prices.py", answer(MISSING)),
            rule("passed before", answer(BETTER)),
            rule("write the patch", answer(f"So:\n{GOOD}"), answer("Make it >=."), answer(MISSING)),
        ),
        slots=4,
    )
    async with (
        serve(script, dialect=product) as server,
        connect(server.url, model="", served=ServedSettings()) as model,
    ):
        asking = Asking(model, samples=3, thinking_tokens=1024, answer_tokens=1024)
        task = Task(ISSUE, shop)
        parent = Branch("u1.l1", Stage.LOCALIZE, "u1", "x", history(begin(ISSUE.text), answer("rates.py :: 8-9")))
        found = await gathered(ask_patches(asking, task, parent, tree=shop))
        patches = branches(found)
        assert len(patches) == 2
        assert len({branch.decided for branch in patches.values()}) == 1
        assert list(rejected(found).values()) == ["edits.no-file"]
        candidates = [branch.candidate for branch in patches.values() if branch.candidate is not None]
        assert [candidate.think.strip() for candidate in candidates] == [THOUGHT, THOUGHT]
        first = next(iter(patches.values()))
        red = TestResult("tests/test_basket.py::test_total", Outcome.FAILED, 0.1, "AssertionError", "assert 1 == 2")
        failure = Failure(Checked.REGRESSION, (red,), "1 failed")
        again = await gathered(ask_debug(asking, task, first, tree=shop, failure=failure))
        better = branches(again)
        assert sorted(better) == [f"{first.id}.d1", f"{first.id}.d2", f"{first.id}.d3"]
        assert {branch.decided for branch in better.values()}.isdisjoint({first.decided})
        requests = [one.request for one in (*found, *again) if isinstance(one, Asked)]
        assert_prompts_share_their_beginnings(requests, THOUGHT)
        await server.idle()


async def test_a_reproduction(shop: Repository) -> None:
    """The first attempt that holds ends the others: the server is free at once."""
    script = Script(
        rules=(
            rule("no reproduction of the issue", answer("```python\nimport shop\nshop.two()\n```")),
            rule("has to be shown", answer("```python\nimport shop\nshop.one()\n```")),
        ),
        slots=4,
    )
    run = TestRun((), Ending.EXITED, 1, 0.1, (), complete=True)

    async def check(source: bytes) -> Judgement:
        if b"two" in source:
            return Judgement(None, "", Reproduction(Origin.MODEL, ("t",), run, {}))
        return Judgement(Message("reproduction.passes"), "1 passed")

    async with (
        serve(script, dialect=Product.VLLM) as server,
        connect(server.url, model="", served=ServedSettings()) as model,
    ):
        asking = Asking(model, samples=2, thinking_tokens=1024, answer_tokens=1024)
        stream = write_reproduction(asking, Task(ISSUE, shop), check=check)
        found: list[Reproducing] = []
        async for step in stream:
            if isinstance(step, Reproducing):
                found.append(step)
                break
        await stream.aclose()
        assert [script.source for script in found] == [b"import shop\nshop.two()\n"]
        assert found[0].reply.endswith("/2")
        await server.idle()
