"""A run whose process is killed goes on: what it had paid for is not asked for again, and it ends as it would have."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from textwrap import dedent

import pytest

from thinklonger.agent.config import SandboxChoice, SandboxSettings, SearchSettings, Settings
from thinklonger.agent.errors import RecordError
from thinklonger.agent.model.replay import Exhausted, Rule, Script, ScriptedReply, serve
from thinklonger.agent.pipeline import Request, resolve
from thinklonger.agent.pipeline.resuming import continued, read_memory
from thinklonger.agent.trace import RunStatus, load_run, read_record
from thinklonger.agent.trace.events import PromptSent, ReplyFinished, RunFinished, RunResumed
from thinklonger.agent.types import Issue, IssueSource

PROGRAM = """
    def label(count):
        if count == 1:
            return "item"
        return "items of " + count
    """
TESTS = """
    from program import label

    def test_one():
        assert label(1) == "1 item"

    def test_many():
        assert label(3) == "3 items"

    def test_none():
        assert label(0) == "0 items"
    """
OLD = '        return "item"\n    return "items of " + count\n'
RIGHT = '        return "1 item"\n    return f"{count} items"\n'
WRONG = '        return "1 item"\n    return "items of " + str(count)\n'

Line = Mapping[str, object]


def patch(new: str) -> str:
    """An answer with one search/replace block."""
    return f"<answer>\n### program.py\n<<<<<<< SEARCH\n{OLD}=======\n{new}>>>>>>> REPLACE\n</answer>"


def rule(last: str, *answers: str) -> Rule:
    """Replies that take a moment each, so that a run can be killed in the middle of them."""
    think = "Counting is the matter here. " * 12
    replies = tuple(ScriptedReply(think=think, answer=answer, per_chunk=0.01) for answer in answers)
    return Rule(last=last, replies=replies, exhausted=Exhausted.LAST)


SCRIPT = Script(
    rules=(
        rule("Which files have to be changed", "<answer>\nprogram.py\n</answer>"),
        rule("Which classes, functions", "<answer>\nprogram.py :: label :: it words the count\n</answer>"),
        rule("Now find the exact places", "<answer>\nprogram.py :: label :: it words the count\n</answer>"),
        rule("Now write the patch", patch(WRONG), patch(RIGHT)),
        rule("", patch(WRONG)),
    )
)


def has(kind: str, count: int) -> Callable[[Sequence[Line]], bool]:
    """Whether a record has so many events of a kind."""
    return lambda lines: sum(line["type"] == kind for line in lines) >= count


MOMENTS = {
    "before-the-model": has("environment-proved", 1),
    "in-the-first-thinking": has("reply-streamed", 1),
    "after-the-first-reply": has("reply-finished", 1),
    "between-stages": has("branch-proposed", 2),
    "while-a-patch-runs": has("candidate-proposed", 1),
    "after-a-patch-failed": has("candidate-pruned", 1),
}


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A project with a mistake that takes two changes to mend."""
    root = tmp_path / "shop"
    root.mkdir()
    (root / "program.py").write_text(dedent(PROGRAM).lstrip("\n"))
    (root / "test_program.py").write_text(dedent(TESTS).lstrip("\n"))
    return root


def asked(repository: Path, url: str, tmp_path: Path) -> Request:
    """The run that is killed."""
    settings = Settings(
        engine=url,
        state_directory=str(tmp_path / "state"),
        cache_directory=str(tmp_path / "cache"),
        sandbox=SandboxSettings(kind=SandboxChoice.NONE),
        search=SearchSettings(budget=2, samples=1, keep=1, candidates=2),
    )
    return Request(repository, Issue("Labels are wrong", IssueSource.TEXT, "pytest test_program.py"), settings)


RUN = """
import asyncio, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from test_resuming import asked, resolve

async def main():
    async for _ in resolve(asked(Path(sys.argv[2]), sys.argv[3], Path(sys.argv[4]))):
        pass

asyncio.run(main())
"""


async def killed(repository: Path, url: str, tmp_path: Path, *, when: Callable[[Sequence[Line]], bool]) -> Path:
    """Start the run in a process of its own and kill that once the record says so; the record's folder."""
    arguments = [sys.executable, "-c", RUN, str(Path(__file__).parent), str(repository), url, str(tmp_path)]
    process = await asyncio.create_subprocess_exec(*arguments, start_new_session=True)
    while process.returncode is None:
        records = list((tmp_path / "state" / "runs").glob("*/events.jsonl"))
        lines = [json.loads(line) for line in records[0].read_bytes().split(b"\n")[:-1]] if records else []
        if when(lines):
            break
        await asyncio.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    await process.wait()
    (folder,) = (tmp_path / "state" / "runs").iterdir()
    return folder


def seeds_of(folder: Path) -> set[int]:
    """The seeds of the replies that a record has whole."""
    events = [entry.event for entry in read_record(folder).entries]
    whole = {event.reply for event in events if isinstance(event, ReplyFinished)}
    prompts = [event for event in events if isinstance(event, PromptSent)]
    return {event.sampling.seed for event in prompts if whole.issuperset(event.replies)}


@pytest.mark.parametrize("moment", sorted(MOMENTS))
async def test_a_killed_run_goes_on_and_asks_for_nothing_twice(repository: Path, tmp_path: Path, moment: str) -> None:
    """Killed at any moment: it ends with the right patch, and no whole reply of before is asked for again."""
    async with serve(SCRIPT) as server:
        folder = await killed(repository, server.url, tmp_path, when=MOMENTS[moment])
        assert load_run(folder).summary.status is RunStatus.INTERRUPTED
        paid = seeds_of(folder)
        before = len(server.requests)
        events = [event async for event in resolve(continued(folder))]
        again = {seen.body.get("seed") for seen in server.requests[before:] if seen.number}
    end = events[-1]
    assert isinstance(end, RunFinished), end
    assert 'return f"{count} items"' in end.patch
    assert not paid & again
    run = load_run(folder)
    assert run.summary.status is RunStatus.FINISHED
    assert not run.record.problems
    assert run.record.altered is None
    assert sum(isinstance(entry.event, RunResumed) for entry in run.record.entries) == 1


async def test_what_has_ended_or_lives_is_not_resumed(repository: Path, tmp_path: Path) -> None:
    """A finished run is refused by name, and so is one that another process is still writing."""
    async with serve(SCRIPT) as server:
        events = [event async for event in resolve(asked(repository, server.url, tmp_path))]
        assert isinstance(events[-1], RunFinished)
        (folder,) = (tmp_path / "state" / "runs").iterdir()
        with pytest.raises(RecordError, match="has come to its end"):
            continued(folder)


def test_a_record_without_replies_has_nothing_to_remember(tmp_path: Path) -> None:
    """A run that was killed before it asked anything starts from the beginning."""
    folder = tmp_path / "runs" / "empty"
    folder.mkdir(parents=True)
    (folder / "events.jsonl").write_bytes(b"")
    memory = read_memory(folder)
    assert not memory.replies
    assert not memory.failed
