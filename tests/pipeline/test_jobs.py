"""The two jobs end to end on small real projects: real index, real sandbox, real tests, real record."""

import asyncio
import hashlib
import shutil
import subprocess
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from pathlib import Path

import pytest

from thinklonger.agent.config import SandboxChoice, SandboxSettings, SearchSettings, Settings
from thinklonger.agent.pipeline import Request, localize, resolve
from thinklonger.agent.trace import RunStatus, list_runs, load_run
from thinklonger.agent.trace.events import (
    CandidateTested,
    Event,
    ExecutionUnavailable,
    LocationsRanked,
    NotReproduced,
    Reproduced,
    RunFailed,
    RunFinished,
    RunStarted,
)
from thinklonger.agent.types import Issue, IssueSource, Label, StopReason

EXAMPLE = Path(__file__).parents[2] / "examples" / "invoices"
MakeRequest = Callable[..., Request]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A private copy of the bundled example, committed."""
    repository = tmp_path / "项目 with spaces" / "invoices"
    shutil.copytree(EXAMPLE, repository, ignore=shutil.ignore_patterns("__pycache__"))
    who = ["-c", "user.name=x", "-c", "user.email=x@localhost"]
    for words in (["init", "-q"], ["add", "-A"], [*who, "commit", "-qm", "x"]):
        subprocess.run(["git", *words], cwd=repository, check=True)
    return repository


@pytest.fixture
def request_for(tmp_path: Path) -> MakeRequest:
    """Requests whose records and caches lie in the test's own folder."""

    def make(
        repository: Path,
        *,
        text: str = "",
        command: str | None = None,
        sandbox: SandboxChoice = SandboxChoice.NONE,
        seconds: float = 50.0,
    ) -> Request:
        settings = Settings(
            state_directory=str(tmp_path / "state"),
            cache_directory=str(tmp_path / "cache"),
            sandbox=SandboxSettings(kind=sandbox),
            search=SearchSettings(budget=1, seconds=seconds, candidates=40),
        )
        return Request(repository, Issue(text, IssueSource.TEXT, command), settings)

    return make


async def gather(request: Request, job: Callable[[Request], AsyncGenerator[Event]] = resolve) -> list[Event]:
    """All events of a run."""
    async with aclosing(job(request)) as events:
        return [event async for event in events]


def only(events: list[Event], kind: type[Event]) -> Event:
    """The one event of a kind."""
    (found,) = [event for event in events if isinstance(event, kind)]
    return found


def digest(root: Path) -> str:
    """Every path, mode, modification time and content below a folder, git's own files included."""
    parts = hashlib.sha256()
    for path in sorted(root.rglob("*")):
        state = path.lstat()
        parts.update(f"{path} {state.st_mode} {state.st_mtime_ns}\0".encode())
        if path.is_file():
            parts.update(path.read_bytes())
    return parts.hexdigest()


@pytest.mark.parametrize("sandbox", [SandboxChoice.NONE, SandboxChoice.BUBBLEWRAP])
async def test_an_issue_in_words_is_resolved_and_proved(
    project: Path, request_for: MakeRequest, sandbox: SandboxChoice
) -> None:
    """From the issue's text alone: the red tests are found, the bug is repaired, the tree is untouched."""
    if sandbox is SandboxChoice.BUBBLEWRAP and shutil.which("bwrap") is None:
        pytest.skip("bubblewrap is not installed")
    before = digest(project)
    events = await gather(request_for(project, text=(project / "issue.md").read_text(), sandbox=sandbox))
    finished = only(events, RunFinished)
    assert isinstance(finished, RunFinished)
    assert finished.label is Label.VERIFIED, finished
    assert finished.stop_reason is StopReason.VERIFIED
    assert "+        while day <= self.last:" in finished.patch
    assert finished.receipt is not None
    assert finished.receipt.reproduction is not None
    assert len(finished.receipt.reproduction.red_before) == 2
    assert finished.receipt.reproduction.red_after == ()
    assert finished.receipt.regression is not None
    assert digest(project) == before


async def test_a_failing_test_is_an_issue(project: Path, request_for: MakeRequest) -> None:
    """A test command alone is a valid issue, and its red tests are the reproduction."""
    events = await gather(request_for(project, command="pytest tests/test_invoice.py"))
    reproduced = only(events, Reproduced)
    assert isinstance(reproduced, Reproduced)
    assert set(reproduced.tests) == {
        "tests/test_invoice.py::test_a_period_that_ends_on_a_working_day",
        "tests/test_invoice.py::test_one_day",
    }
    finished = only(events, RunFinished)
    assert isinstance(finished, RunFinished)
    assert finished.label is Label.VERIFIED
    assert any(isinstance(event, CandidateTested) for event in events)


async def test_localize_runs_the_failing_test(project: Path, request_for: MakeRequest) -> None:
    """With a failing test, the code that it ran is what is ranked, the guilty function in it, each with evidence."""
    events = await gather(request_for(project, command="pytest tests/test_invoice.py"), localize)
    finished = only(events, RunFinished)
    assert isinstance(finished, RunFinished)
    assert "Period.days" in {location.symbol for location in finished.locations}
    assert all(location.evidence for location in finished.locations)


async def test_localize_without_a_test_runs_nothing(project: Path, request_for: MakeRequest) -> None:
    """From words alone nothing is executed, and places are ranked all the same."""
    events = await gather(request_for(project, text="Invoices miss the last working day of a period"), localize)
    ranked = only(events, LocationsRanked)
    assert isinstance(ranked, LocationsRanked)
    assert ranked.locations
    assert not ranked.executed


async def test_a_command_that_passes_is_said_so(project: Path, request_for: MakeRequest) -> None:
    """Nothing red, nothing to repair: an honest negative."""
    events = await gather(request_for(project, command="pytest tests/test_money.py"))
    assert only(events, NotReproduced)
    finished = only(events, RunFinished)
    assert isinstance(finished, RunFinished)
    assert (finished.label, finished.stop_reason) == (Label.UNVERIFIED, StopReason.NO_REPRODUCTION)
    assert finished.patch == ""


async def test_without_tests_places_are_still_ranked(tmp_path: Path, request_for: MakeRequest) -> None:
    """A repository whose tests can't run says why; the label is unverified."""
    repository = tmp_path / "plain"
    repository.mkdir()
    (repository / "totals.py").write_text("def total(prices):\n    return sum(prices) - 1\n")
    events = await gather(request_for(repository, text="total(prices) is one too small"))
    unavailable = only(events, ExecutionUnavailable)
    assert isinstance(unavailable, ExecutionUnavailable)
    finished = only(events, RunFinished)
    assert isinstance(finished, RunFinished)
    assert (finished.label, finished.stop_reason) == (Label.UNVERIFIED, StopReason.NO_EXECUTION)
    assert finished.locations[0].symbol == "total"


@pytest.mark.parametrize("missing", ["nowhere", "empty"])
async def test_no_repository_is_a_clear_failure(tmp_path: Path, request_for: MakeRequest, missing: str) -> None:
    """A folder that is not there, or holds no code, ends the run with an error that a person understands."""
    (tmp_path / "empty").mkdir()
    events = await gather(request_for(tmp_path / missing, text="it crashes"))
    failed = only(events, RunFailed)
    assert isinstance(failed, RunFailed)
    assert failed.exit_code == 2
    assert failed.message.key.startswith("repository.")


async def test_an_empty_issue_is_a_clear_failure(project: Path, request_for: MakeRequest) -> None:
    """No text and no test: nothing to work on."""
    failed = only(await gather(request_for(project, text=" \n")), RunFailed)
    assert isinstance(failed, RunFailed)
    assert (failed.exit_code, failed.message.key) == (2, "pipeline.empty-issue")


async def test_a_cancelled_run_is_recorded_and_leaves_nothing(
    project: Path, request_for: MakeRequest, tmp_path: Path
) -> None:
    """Cancelling ends within a second; the record says so and the tree is as it was."""
    before = digest(project)
    request = request_for(project, command="pytest tests/test_invoice.py")
    seen = asyncio.Event()

    async def consume() -> None:
        async with aclosing(resolve(request)) as events:
            async for event in events:
                if isinstance(event, Reproduced):
                    seen.set()

    task = asyncio.create_task(consume())
    await asyncio.wait_for(seen.wait(), 60)
    task.cancel()
    loop = asyncio.get_running_loop()
    asked = loop.time()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert loop.time() - asked < 1.0
    (summary,) = list_runs(tmp_path / "state").runs
    assert summary.status is RunStatus.CANCELLED
    assert digest(project) == before


async def test_the_record_holds_what_was_seen(project: Path, request_for: MakeRequest, tmp_path: Path) -> None:
    """Every event that a view saw is in the record, in the same order."""
    events = await gather(request_for(project, command="pytest tests/test_invoice.py"))
    started = events[0]
    assert isinstance(started, RunStarted)
    run = load_run(tmp_path / "state" / "runs" / started.run_id)
    assert [entry.event for entry in run.record.entries] == events
    assert run.record.problems == ()
