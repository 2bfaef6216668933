"""The prefix property, on every prompt of a recorded run: prompts grow at their end and are never rewritten."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from thinklonger.agent.chat import ChatMessage, Role
from thinklonger.agent.config import SandboxChoice, SandboxSettings, SearchSettings, Settings, Strategy
from thinklonger.agent.model.replay import Exhausted, Rule, Script, ScriptedReply, serve
from thinklonger.agent.pipeline import Request, resolve
from thinklonger.agent.prompts import render, shared_prefix
from thinklonger.agent.trace import read_record
from thinklonger.agent.trace.events import PromptSent, ReplyFinished, RunFinished
from thinklonger.agent.types import Issue, IssueSource, Stage

OLD = "    return price - price * percent\n"
PROGRAM = f'''"""Prices."""


def reduced(price, percent):
    """The price without so many percent of it."""
{OLD}

def doubled(price):
    """Twice the price."""
    return price * 2
'''
TESTS = """from prices import doubled, reduced


def test_half():
    assert reduced(10, 50) == 5


def test_nothing():
    assert reduced(10, 0) == 10


def test_doubled():
    assert doubled(4) == 8
"""
THOUGHT = "Percent are hundredths."


def said(last: str, *answers: str) -> Rule:
    """What the model answers to prompts whose last turn says this, one after the other."""
    replies = tuple(ScriptedReply(think=f"{THOUGHT} {number}", answer=text) for number, text in enumerate(answers))
    return Rule(last=last, replies=replies, exhausted=Exhausted.LAST)


def tagged(text: str) -> str:
    """An answer."""
    return f"<answer>\n{text}\n</answer>"


def patch(new: str) -> str:
    """An answer with one block."""
    return tagged(f"### prices.py\n<<<<<<< SEARCH\n{OLD}=======\n{new}>>>>>>> REPLACE")


SCRIPT = Script(
    rules=(
        said("Which files have to be changed", tagged("prices.py"), "It is prices.py."),
        said("Which classes, functions", tagged("prices.py :: reduced"), tagged("prices.py :: 4-6")),
        said(
            "Now find the exact places", tagged('search_method("doubled")'), tagged("prices.py :: reduced :: percent")
        ),
        said("found 1", tagged("prices.py :: reduced :: percent")),
        said("The code of the places that you named", tagged("prices.py :: reduced :: percent")),
        said(
            "Now write the patch", "No.", patch("    return price - percent\n"), patch("    return price * percent\n")
        ),
        said("can't be used as a patch", patch("    return price - percent / 100\n")),
        said("That patch was applied and run", patch("    return price - price / percent\n")),
        said("can't be read", tagged("prices.py")),
    )
)


@pytest.mark.slow
async def test_every_prompt_of_a_recorded_run_goes_on_with_an_earlier_one(tmp_path: Path) -> None:
    """With several samples, repair turns, searches and debug rounds: one beginning, and only answers in between."""
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop/prices.py").write_text(PROGRAM)
    (tmp_path / "shop/test_prices.py").write_text(TESTS)
    async with serve(SCRIPT) as server:
        settings = Settings(
            engine=server.url,
            state_directory=str(tmp_path / "state"),
            cache_directory=str(tmp_path / "cache"),
            sandbox=SandboxSettings(kind=SandboxChoice.NONE),
            search=SearchSettings(budget=2, samples=2, keep=2, candidates=1, strategy=Strategy.DEV_SEARCH),
        )
        issue = Issue("reduced(10, 50) is -490", IssueSource.TEXT, "pytest test_prices.py")
        events = [event async for event in resolve(Request(tmp_path / "shop", issue, settings))]
    assert isinstance(events[-1], RunFinished)
    (record,) = (tmp_path / "state").glob("runs/*")
    recorded = [entry.event for entry in read_record(record).entries]
    prompts = prompts_of([event for event in recorded if isinstance(event, PromptSent)])
    assert {event.stage for event, _ in prompts.values()} >= {Stage.UNDERSTAND, Stage.LOCALIZE, Stage.PATCH}
    assert {event.purpose for event, _ in prompts.values()} >= {"files", "files-repair", "places", "locations", "patch"}
    assert len(prompts) >= 12
    assert_prompts_grow_at_their_end([messages for _, messages in prompts.values()])
    answers = [event.answer for event in recorded if isinstance(event, ReplyFinished)]
    thoughts = [event.think for event in recorded if isinstance(event, ReplyFinished)]
    assert answers
    assert all(THOUGHT in thought for thought in thoughts)
    assert not any(THOUGHT in message.content for _, messages in prompts.values() for message in messages)


def prompts_of(sent: Sequence[PromptSent]) -> Mapping[str, tuple[PromptSent, tuple[ChatMessage, ...]]]:
    """Every prompt whole, from the record, which holds only what each adds."""
    whole: dict[str, tuple[PromptSent, tuple[ChatMessage, ...]]] = {}
    for event in sent:
        before = whole[event.base][1] if event.base else ()
        whole[event.prompt] = (event, (*before[: event.shared], *event.added))
    return whole


def assert_prompts_grow_at_their_end(prompts: Sequence[tuple[ChatMessage, ...]]) -> None:
    """All begin with the same system's words and issue; each longer one is an earlier one, an answer and a question."""
    first = prompts[0]
    assert first[0] == ChatMessage(Role.SYSTEM, render("system"))
    beginning = shared_prefix(first, first)
    for number, messages in enumerate(prompts[1:], start=1):
        assert shared_prefix(first, messages) == beginning
        earlier = prompts[:number]
        assert messages in earlier or messages[:-2] in earlier or messages == first
        assert [message.role for message in messages[1:]] == ([Role.USER, Role.ASSISTANT] * len(messages))[
            : len(messages) - 1
        ]
