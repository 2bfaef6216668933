"""The first two stages through the real client, over HTTP, against servers of different ways of speaking."""

import pytest
from asked import assert_prompts_share_their_beginnings, branches, gathered, rejected

from thinklonger.agent.chat import Retried, Trouble
from thinklonger.agent.config import ServedSettings
from thinklonger.agent.errors import ModelError
from thinklonger.agent.model import connect
from thinklonger.agent.model.fake import answer
from thinklonger.agent.model.replay import Exhausted, Fault, FaultKind, Product, Rule, Script, ScriptedReply, serve
from thinklonger.agent.protocols import Asked, Asking, Heard, Task
from thinklonger.agent.repository import Repository
from thinklonger.agent.stages.localize.asking import ask_locations
from thinklonger.agent.stages.understand.asking import ask_files
from thinklonger.agent.types import Issue, IssueSource

ISSUE = Issue("A basket of 1000 exactly gets no discount.", IssueSource.TEXT)
THOUGHT = "first the total, then the rate"


def rule(last: str, *answers: str, faults: tuple[Fault, ...] = ()) -> Rule:
    """Replies, in turn, to prompts whose last message holds a text."""
    said = tuple(ScriptedReply(think=THOUGHT, answer=text) for text in answers)
    return Rule(last=last, replies=said, faults=faults, exhausted=Exhausted.LAST)


FILES = rule("Which files", answer("src/shop/rates.py"), "I think basket.py", answer("src/shop/nowhere.py\nrates.py"))
AGAIN = rule("None of these paths|There is no answer", answer("src/shop/rates.py"))
PLACES = rule("Which classes", answer("src/shop/rates.py :: discount_rate :: the border"))
LOOK = rule("Now find the exact places", answer('search_method("total")'), answer("src/shop/rates.py :: 8-9"))
FOUND = rule("found 1", answer("src/shop/rates.py :: discount_rate :: 1000 is left out"))


@pytest.mark.parametrize(
    "product", [Product.VLLM, Product.SGLANG, Product.TAGS_OPEN, Product.LLAMA_CPP, Product.OLLAMA]
)
async def test_both_stages_through_the_client(shop: Repository, product: Product) -> None:
    """Whatever the server speaks: all samples end as branches that agree, and no thinking is ever sent back."""
    script = Script(rules=(AGAIN, FOUND, FILES, PLACES, LOOK), slots=4)
    async with (
        serve(script, dialect=product) as server,
        connect(server.url, model="", served=ServedSettings()) as model,
    ):
        asking = Asking(model, samples=3, thinking_tokens=1024, answer_tokens=1024)
        task = Task(ISSUE, shop)
        found = await gathered(ask_files(asking, task, ()))
        understood = branches(found)
        assert sorted(understood) == ["u1", "u2", "u3"]
        assert {branch.decided for branch in understood.values()} == {"src/shop/rates.py"}
        further = await gathered(ask_locations(asking, task, understood["u1"]))
        located = branches(further)
        assert sorted(located) == ["u1.l1", "u1.l2", "u1.l3"]
        assert {branch.decided for branch in located.values()} == {"src/shop/rates.py::discount_rate"}
        requests = [one.request for one in (*found, *further) if isinstance(one, Asked)]
        assert_prompts_share_their_beginnings(requests, THOUGHT)
        await server.idle()


async def test_a_server_whose_window_is_smaller_than_it_said_gets_shorter_prompts(shop: Repository) -> None:
    """An overflow over HTTP, in the server's words, shrinks the prompt, which is recorded, and the stage goes on."""
    overflow = (Fault(kind=FaultKind.OVERFLOW, times=2),)
    script = Script(rules=(rule("Which files", answer("src/shop/rates.py"), faults=overflow), PLACES))
    long = Issue(f"It fails. {'And more words. ' * 2000}", IssueSource.TEXT)
    async with serve(script) as server, connect(server.url, model="", served=ServedSettings(retries=0)) as model:
        asking = Asking(model, samples=1, thinking_tokens=1024, answer_tokens=1024)
        found = await gathered(ask_files(asking, Task(long, shop), ()))
    assert branches(found)["u1"].locations
    sizes = [len(one.request.messages[1].content) for one in found if isinstance(one, Asked)]
    assert sizes[0] > sizes[1]
    assert any(
        isinstance(one, Heard) and isinstance(one.what, Retried) and one.what.trouble is Trouble.CONTEXT_OVERFLOW
        for one in found
    )


async def test_an_answer_that_broke_off_is_asked_for_again(shop: Repository) -> None:
    """A stream that ends within the answer costs a turn, not the sample."""
    cut = (Fault(kind=FaultKind.CUT_ANSWER, times=0, tokens=2),)
    broken = rule("Which files", answer("src/shop/rates.py"), faults=cut)
    script = Script(rules=(broken, rule("can't be read", answer("src/shop/rates.py")), PLACES))
    async with serve(script) as server, connect(server.url, model="", served=ServedSettings(retries=0)) as model:
        found = await gathered(ask_files(Asking(model, samples=2), Task(ISSUE, shop), ()))
    assert sorted(branches(found)) == ["u1", "u2"]
    assert rejected(found) == {}


async def test_a_refused_key_is_an_error_in_words(shop: Repository) -> None:
    """What no sample can survive is raised, never an empty list of branches."""
    served = ServedSettings(retries=0)
    async with serve(Script(key="right")) as server, connect(server.url, model="", served=served, key="wrong") as model:
        with pytest.raises(ModelError) as raised:
            await gathered(ask_files(Asking(model), Task(ISSUE, shop), ()))
    assert raised.value.message.key == "model.auth"
