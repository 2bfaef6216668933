"""Which tests a run holds a patch against, and what it says of all the others."""

import shutil
from collections.abc import Sequence
from contextlib import aclosing
from pathlib import Path

from thinklonger.agent.config import RegressionSettings, SandboxChoice, SandboxSettings, SearchSettings, Settings
from thinklonger.agent.pipeline import Request, resolve
from thinklonger.agent.trace.events import Event, RegressionChosen, RunFinished
from thinklonger.agent.types import Issue, IssueSource, Label

EXAMPLE = Path(__file__).parents[2] / "examples" / "invoices"


def chosen_in(events: Sequence[Event]) -> RegressionChosen:
    """The one event that says which tests were chosen."""
    (found,) = (event for event in events if isinstance(event, RegressionChosen))
    return found


async def test_the_whole_suite_on_request_is_known_and_run(tmp_path: Path) -> None:
    """All tests but the red ones are run on base and patch; event and receipt say how many of how many are known."""
    repository = tmp_path / "invoices"
    shutil.copytree(EXAMPLE, repository, ignore=shutil.ignore_patterns("__pycache__"))
    settings = Settings(
        state_directory=str(tmp_path / "state"),
        cache_directory=str(tmp_path / "cache"),
        sandbox=SandboxSettings(kind=SandboxChoice.NONE),
        search=SearchSettings(budget=1, candidates=40),
        regression=RegressionSettings(whole=True),
    )
    issue = Issue("", IssueSource.TEST, "pytest tests/test_invoice.py")
    async with aclosing(resolve(Request(repository, issue, settings))) as stream:
        events = [event async for event in stream]
    chosen = chosen_in(events)
    (note,) = chosen.notes
    assert note.key == "pipeline.suite"
    assert note.params["tests"] == chosen.selected + 2
    assert note.params["files"] == len(list((repository / "tests").glob("test_*.py")))
    finished = events[-1]
    assert isinstance(finished, RunFinished)
    assert finished.label is Label.VERIFIED
    assert finished.receipt is not None
    assert note in finished.receipt.reasons
    assert finished.receipt.regression is not None
    assert finished.receipt.regression.count == chosen.passed
