"""A resolve where no test shows the issue: the model writes the reproduction, and no patch gets around it."""

from pathlib import Path, PurePosixPath
from textwrap import dedent
from types import SimpleNamespace
from typing import cast

import pytest

from thinklonger.agent.config import SandboxChoice, SandboxSettings, SearchSettings, Settings, Strategy
from thinklonger.agent.model.replay import Exhausted, Rule, Script, ScriptedReply, serve
from thinklonger.agent.pipeline import Request, resolve
from thinklonger.agent.pipeline.repair import Repair
from thinklonger.agent.pipeline.trial import Trial
from thinklonger.agent.stages.patch import Proposal
from thinklonger.agent.stages.verify.proof import Proof
from thinklonger.agent.stages.verify.ranking import Verdict
from thinklonger.agent.stages.verify.reproduction import Origin, Reproduction
from thinklonger.agent.trace.events import CandidateTested, Event, NotReproduced, Reproduced, RunFinished
from thinklonger.agent.types import (
    Candidate,
    Check,
    Ending,
    Issue,
    IssueSource,
    Label,
    Location,
    SymbolKind,
    TestRun,
)

ISSUE = Issue("Weekly rentals are charged the service fee of three, which only daily ones have.", IssueSource.TEXT)
PROGRAM = """
    def fee(days, weekly):
        rate = 7 if weekly else 10
        base = days * rate
        return base + 3


    def label(days):
        return "%d days" % days
    """
TESTS = """
    import pytest
    from fees import fee, label

    @pytest.mark.parametrize("days", range(4))
    def test_daily(days):
        assert fee(days, False) == 10 * days + 3

    def test_label():
        assert label(3) == "3 days"
    """
PASSES = "from fees import fee\nprint('reproduced', fee(0, True))\n"
HOLDS = "from fees import fee\nassert fee(21, True) == 147, f'{fee(21, True)!r} instead of 147'\n"
OLD = "    return base + 3\n"
RIGHT = "    return base if weekly else base + 3\n"
CHEAT = "    if days == 21:\n        return 147\n    return base + 3\n"


def block(new: str, old: str = OLD, path: str = "fees.py") -> str:
    """One search/replace block."""
    return f"### {path}\n<<<<<<< SEARCH\n{old}=======\n{new}>>>>>>> REPLACE\n"


def rule(last: str, *answers: str) -> Rule:
    """Replies, in turn, to prompts whose last message holds a text."""
    said = tuple(ScriptedReply(think="Well.", answer=f"<answer>\n{text}\n</answer>") for text in answers)
    return Rule(last=last, replies=said, exhausted=Exhausted.LAST)


def script(patches: tuple[str, ...], reproductions: tuple[str, str] = (PASSES, HOLDS)) -> Script:
    """A model whose first reproduction is none."""
    first, second = (f"```python\n{source}```" for source in reproductions)
    return Script(
        rules=(
            rule("no reproduction of the issue", second),
            rule("has to be shown", first),
            rule("Which files have to be changed", "fees.py"),
            rule("Which classes, functions", "fees.py :: fee :: the sum"),
            rule("Now find the exact places", "fees.py :: fee :: the sum"),
            rule("Now write the patch", *patches),
            rule("That patch was applied", block(RIGHT)),
        )
    )


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A project whose tests are green."""
    root = tmp_path / "rental"
    root.mkdir()
    (root / "fees.py").write_text(dedent(PROGRAM).lstrip("\n"))
    (root / "test_fees.py").write_text(dedent(TESTS).lstrip("\n"))
    return root


async def run(repository: Path, tmp_path: Path, played: Script, *, budget: int) -> list[Event]:
    """All events of a run; the solver beside the model gets next to no time."""
    async with serve(played) as server:
        settings = Settings(
            engine=server.url,
            state_directory=str(tmp_path / "state"),
            cache_directory=str(tmp_path / "cache"),
            sandbox=SandboxSettings(kind=SandboxChoice.NONE),
            search=SearchSettings(candidates=1, strategy=Strategy.DEV_SEARCH, budget=budget, samples=1, keep=1),
        )
        issue = Issue(
            "Weekly rentals are charged the service fee of three, which only daily ones have.", IssueSource.TEXT
        )
        return [event async for event in resolve(Request(repository, issue, settings))]


async def test_a_model_s_reproduction_proves_partly(repository: Path, tmp_path: Path) -> None:
    """What fails in a debug round is mended there; the receipt names the model's script and says partly."""
    events = await run(repository, tmp_path, script((block("    return base\n"),)), budget=1)
    (shown,) = [event for event in events if isinstance(event, Reproduced)]
    assert shown.origin == "model"
    assert "fee(21, True)" in shown.source
    end = events[-1]
    assert isinstance(end, RunFinished)
    assert "base if weekly else" in end.patch
    assert end.label is Label.PARTLY_VERIFIED
    assert end.receipt is not None
    assert end.receipt.origin == "model"
    assert end.receipt.flags == ()
    assert (end.candidate or "").endswith(".d1")


async def test_no_patch_gets_around_it(repository: Path, tmp_path: Path) -> None:
    """A file in the reproduction's place fails; a branch on its value passes, and ranks below with its flag."""
    double = block("def test_nothing():\n    pass\n", "", "test_thinklonger_script.py")
    events = await run(repository, tmp_path, script((double, block(CHEAT), block(RIGHT))), budget=3)
    end = events[-1]
    assert isinstance(end, RunFinished)
    assert "base if weekly else" in end.patch
    flagged = {ranked.candidate for ranked in end.candidates if ranked.flags}
    assert len(flagged) == 2
    assert end.candidate not in flagged
    red = {event.candidate: event.red for event in events if isinstance(event, CandidateTested)}
    doubles = [ranked.candidate for ranked in end.candidates if "test_nothing" in ranked.diff]
    assert [red[name] for name in doubles] == [1]


async def test_a_model_that_never_shows_it(repository: Path, tmp_path: Path) -> None:
    """Three replies in each attempt, none of them a reproduction: the run goes on, and its patch is unverified."""
    events = await run(repository, tmp_path, script((block(RIGHT),), (PASSES, PASSES)), budget=1)
    assert any(isinstance(event, NotReproduced) for event in events)
    assert not any(isinstance(event, Reproduced) for event in events)
    end = events[-1]
    assert isinstance(end, RunFinished)
    assert end.label is Label.UNVERIFIED
    assert end.candidates


@pytest.mark.parametrize(
    ("origin", "label", "reason"),
    [
        (Origin.MODEL, Label.PARTLY_VERIFIED, "reproduction.model-only"),
        (Origin.EXAMPLE, Label.PARTLY_VERIFIED, "pipeline.example-only"),
        (Origin.NAMED, Label.VERIFIED, ""),
    ],
)
def test_what_we_wrote_ourselves_never_verifies(origin: Origin, label: Label, reason: str) -> None:
    """However good the other evidence is, a test that a model or we wrote proves in part, and the receipt says so."""
    survey = SimpleNamespace(
        request=SimpleNamespace(issue=ISSUE), repository=SimpleNamespace(is_test=lambda _: False), notes=lambda: ()
    )
    repair = Repair(cast("Trial", survey))
    place = Location(PurePosixPath("fees.py"), "", SymbolKind.MODULE, 1, 1, 0.0, ())
    candidate = Candidate("p", "fake", "model", "", "", (), place, 0.5, "x")
    repair.survivors["p"] = Proposal(candidate, "")
    repair.verdict = Verdict(order=("p",), labels={"p": Label.VERIFIED})
    check = Check(("pytest",), ("t",), 1, 0, 0.1, 0.1, ("t",), ())
    repair.proofs["p"] = Proof(check, None, reproduced=True, held=True)
    found = Reproduction(origin, ("t",), TestRun((), Ending.EXITED, 1, 0.1, (), complete=True), {})
    given, reasons = repair._labelled("p", found)  # pyright: ignore[reportPrivateUsage] - the rule is in one place
    assert given is label
    assert [message.key for message in reasons] == ([reason] if reason else [])
