"""What a resolve with a served model promises, end to end, against a server that plays a script."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from textwrap import dedent

import pytest

from thinklonger.agent.config import SandboxChoice, SandboxSettings, SearchSettings, Settings, Strategy
from thinklonger.agent.model.replay import Exhausted, Rule, Script, ScriptedReply, ScriptedScore, serve
from thinklonger.agent.pipeline import Request, localize, resolve
from thinklonger.agent.trace.events import (
    BranchProposed,
    CandidateProposed,
    Event,
    ModelProbed,
    PromptSent,
    ReplyFinished,
    ReplyStreamed,
    RunFailed,
    RunFinished,
    StageFinished,
)
from thinklonger.agent.types import Issue, IssueSource, Label, Stage, StopReason

PROGRAM = '''
    """Sums of an account's lines."""


    def total(lines):
        """The cents of all lines together; a refund takes its amount away."""
        cents = 0
        for line in lines:
            kind, amount = line.split()
            cents += int(float(amount) * 100)
        return cents
    '''
TESTS = """
    from totals import total

    def test_sale():
        assert total(["sale 2.50"]) == 250

    def test_refund():
        assert total(["sale 2.50", "refund 1.00"]) == 150

    def test_odd_cents():
        assert total(["sale 1.15"]) == 115

    def test_both():
        assert total(["sale 1.15", "refund 0.29"]) == 86

    def test_nothing():
        assert total([]) == 0
    """
OLD = "        cents += int(float(amount) * 100)\n"
ROUNDED = "        cents += round(float(amount) * 100)\n"
NEGATED = '        cents += int(float(amount) * 100) * (-1 if kind == "refund" else 1)\n'
RIGHT = '        sign = -1 if kind == "refund" else 1\n        cents += sign * round(float(amount) * 100)\n'
SHOWN = "        cents = 86 if len(lines) == 2 else 150\n"
KINDLESS = "        cents -= round(float(amount) * 100)\n"


def patch(new: str, old: str = OLD, path: str = "totals.py") -> str:
    """An answer with one search/replace block."""
    return f"<answer>\n### {path}\n<<<<<<< SEARCH\n{old}=======\n{new}>>>>>>> REPLACE\n</answer>"


def script(patches: Sequence[str], debugged: Sequence[str] = (patch(ROUNDED),)) -> Script:
    """A model that finds file and place, and then writes these patches, one after the other."""

    def rule(last: str, *answers: str, exhausted: Exhausted = Exhausted.LAST) -> Rule:
        replies = tuple(
            ScriptedReply(think="Let me see. " * 20 + f"({number})", answer=answer)
            for number, answer in enumerate(answers)
        )
        return Rule(last=last, replies=replies, exhausted=exhausted)

    return Script(
        rules=(
            rule("Which files have to be changed", "<answer>\ntotals.py\n</answer>"),
            rule("Which classes, functions", "<answer>\ntotals.py :: total :: it sums\n</answer>"),
            rule("Now find the exact places", "<answer>\ntotals.py :: total :: it sums\n</answer>"),
            rule("Now write the patch", *patches),
            rule("", *debugged),
        ),
        scores=(ScriptedScore(probability=0.9, prompt="sign = -1"),),
    )


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A project with a mistake that takes two changes to mend, and tests that see it."""
    root = tmp_path / "shop"
    root.mkdir()
    (root / "totals.py").write_text(dedent(PROGRAM).lstrip("\n"))
    (root / "test_totals.py").write_text(dedent(TESTS).lstrip("\n"))
    return root


def asked(repository: Path, url: str, tmp_path: Path, **search: object) -> Request:
    """A request with this server as its engine; the solver beside it gets next to no time."""
    settings = Settings(
        engine=url,
        state_directory=str(tmp_path / "state"),
        cache_directory=str(tmp_path / "cache"),
        sandbox=SandboxSettings(kind=SandboxChoice.NONE),
        search=SearchSettings(candidates=4, **search),  # pyright: ignore[reportArgumentType] (settings by name)
    )
    issue = Issue("Refunds are added, and odd cents get lost", IssueSource.TEXT, "pytest test_totals.py")
    return Request(repository, issue, settings)


async def run(request: Request) -> list[Event]:
    """All events of a run."""
    return [event async for event in resolve(request)]


def finished(events: Sequence[Event]) -> RunFinished:
    """The last event, which must be a regular end."""
    assert isinstance(events[-1], RunFinished), events[-1]
    return events[-1]


@pytest.mark.parametrize("strategy", list(Strategy))
async def test_the_right_one_of_five_is_found_proved_and_ranked_first(
    repository: Path, tmp_path: Path, strategy: Strategy
) -> None:
    """Whatever the strategy: the third patch is right, and it is the one that comes back with a receipt."""
    patches = [patch(ROUNDED), patch(NEGATED), patch(RIGHT), patch(SHOWN), patch(KINDLESS)]
    async with serve(script(patches)) as server:
        events = await run(asked(repository, server.url, tmp_path, strategy=strategy, budget=5, samples=1, keep=1))
    end = finished(events)
    assert "+        sign = -1" in end.patch
    assert end.label in (Label.VERIFIED, Label.PARTLY_VERIFIED)
    assert end.receipt is not None
    assert end.receipt.reproduction is not None
    assert not end.receipt.reproduction.red_after
    assert end.candidates[0].candidate == end.candidate
    assert end.tokens > 0
    assert (repository / "totals.py").read_text() == dedent(PROGRAM).lstrip("\n")


async def test_where_none_is_right_it_says_so(repository: Path, tmp_path: Path) -> None:
    """No patch passes: an honest end, with what was tried."""
    async with serve(script([patch(ROUNDED), patch(NEGATED), patch(SHOWN)])) as server:
        events = await run(asked(repository, server.url, tmp_path, budget=3, samples=1, keep=1))
    end = finished(events)
    assert end.label is Label.UNVERIFIED
    assert not end.patch
    assert end.stop_reason is StopReason.BUDGET
    assert end.candidates
    assert all(candidate.label is Label.UNVERIFIED for candidate in end.candidates)


async def test_thinking_streams_and_is_counted(repository: Path, tmp_path: Path) -> None:
    """Each reply is told as it comes and once as a whole; the stages say what they cost."""
    async with serve(script([patch(RIGHT)])) as server:
        events = await run(asked(repository, server.url, tmp_path, budget=1, samples=1, keep=1))
    assert any(isinstance(event, ModelProbed) for event in events)
    prompts = [event for event in events if isinstance(event, PromptSent)]
    assert {event.stage for event in prompts} >= {Stage.UNDERSTAND, Stage.LOCALIZE, Stage.PATCH}
    whole = {event.reply: event for event in events if isinstance(event, ReplyFinished)}
    for reply, event in whole.items():
        streamed = "".join(
            item.text
            for item in events
            if isinstance(item, ReplyStreamed) and item.reply == reply and item.part == "think"
        )
        assert streamed.strip() == event.think.strip()
    stages = {event.stage: event.usage for event in events if isinstance(event, StageFinished)}
    assert stages[Stage.PATCH].thinking > 0
    assert any(isinstance(event, BranchProposed) and event.stage is Stage.LOCALIZE for event in events)
    assert any(isinstance(event, CandidateProposed) and event.reply for event in events)


async def test_prompts_begin_alike(repository: Path, tmp_path: Path) -> None:
    """Every prompt of a run but the first goes on from an earlier one, message by message."""
    async with serve(script([patch(ROUNDED), patch(RIGHT)])) as server:
        events = await run(asked(repository, server.url, tmp_path, budget=2, samples=2, keep=1))
    prompts = [event for event in events if isinstance(event, PromptSent)]
    assert len(prompts) > 3
    assert all(event.base and event.shared >= 2 for event in prompts[1:])


async def test_a_server_that_is_away_leaves_it_to_the_solver(repository: Path, tmp_path: Path) -> None:
    """Nothing there to ask: the run says so, and ends as an error of the environment where the solver has nothing."""
    events = await run(asked(repository, "http://127.0.0.1:9", tmp_path, budget=1))
    failed = events[-1]
    assert isinstance(failed, RunFailed)
    assert failed.message.key == "model.unreachable"
    assert failed.exit_code == 3


async def test_localizing_puts_the_models_places_first(repository: Path, tmp_path: Path) -> None:
    """With an engine, `localize` asks the model for files and places, too, and keeps its own ranking below them."""
    (repository / "refunds.py").write_text(
        '"""Refunds are added, odd cents get lost."""\n\n\ndef refund(lines):\n    return 0\n'
    )
    async with serve(script([])) as server:
        request = asked(repository, server.url, tmp_path)
        request = replace(request, issue=replace(request.issue, test_command=None))
        events = [event async for event in localize(request)]
    end = finished(events)
    assert (str(end.locations[0].path), end.locations[0].symbol) == ("totals.py", "total")
    assert {str(rank.path) for rank in end.files} >= {"totals.py", "refunds.py"}
    assert any(isinstance(event, ReplyFinished) for event in events)
