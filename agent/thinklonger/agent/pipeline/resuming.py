"""Going on with a run whose process has died: what it was asked, and what it has done already."""

from collections.abc import Sequence
from pathlib import Path

from thinklonger.agent.chat import ChatMessage, Reply
from thinklonger.agent.errors import RecordError, UsageError
from thinklonger.agent.pipeline.memory import Key, Memory, key_of
from thinklonger.agent.pipeline.request import Request
from thinklonger.agent.search import Steering
from thinklonger.agent.trace import load_run, read_record
from thinklonger.agent.trace.events import (
    BranchProposed,
    BranchScored,
    CandidateProposed,
    CandidatePruned,
    CandidateTested,
    PromptSent,
    ReplyFinished,
)
from thinklonger.agent.types import Score, TestRun


def continued(folder: Path, *, api_key: str = "", promoted: Sequence[str] = ()) -> Request:
    """The request of an interrupted, failed or cancelled run, to be gone on with.

    With `promoted` branches, which then go on whatever the judge said, a finished one may be, too. Raises RecordError
    where it can't be read, came to its end, or was asked for with files that no record has, and UsageError for a branch
    that it does not have.
    """
    run = load_run(folder)
    if run.started is None or run.started.settings is None or not run.started.whole or run.started.job != "resolve":
        raise RecordError("pipeline.cannot-resume", run=folder.name)
    branches = {entry.event.branch for entry in run.record.entries if isinstance(entry.event, BranchProposed)}
    unknown = [name for name in promoted if name not in branches]
    if unknown:
        known = ", ".join(sorted(branches)) or "-"
        raise UsageError("pipeline.no-such-branch", branch=unknown[0], run=folder.name, known=known)
    if run.finished is not None and not promoted:
        raise RecordError("pipeline.already-finished", run=folder.name)
    started = run.started
    return Request(
        repository=Path(started.repository),
        issue=started.issue,
        settings=run.started.settings,
        api_key=api_key,
        continues=folder,
        steering=Steering(promoted=promoted) if promoted else None,
    )


def read_memory(folder: Path) -> Memory:
    """What the record of a run holds that need not be done again; raises RecordError."""
    events = [entry.event for entry in read_record(folder).entries]
    prompts: dict[str, tuple[ChatMessage, ...]] = {}
    keys: dict[str, tuple[Key, int]] = {}
    replies: dict[Key, dict[int, Reply]] = {}
    scores: dict[str, Score] = {}
    runs: dict[str, TestRun] = {}
    diffs: dict[str, str] = {}
    failed: set[str] = set()
    for event in events:
        match event:
            case PromptSent():
                messages = (*prompts.get(event.base, ())[: event.shared], *event.added)
                prompts[event.prompt] = messages
                key = key_of(messages, event.sampling, event.model)
                keys.update((reply, (key, choice)) for choice, reply in enumerate(event.replies))
            case ReplyFinished() if event.reply in keys:
                key, choice = keys[event.reply]
                replies.setdefault(key, {})[choice] = _reply(event, choice)
            case BranchScored():
                scores[event.branch] = event.score
            case CandidateProposed():
                diffs[event.candidate] = event.diff
            case CandidateTested() if event.run is not None:
                runs[event.candidate] = event.run
            case CandidatePruned() if event.candidate in diffs and event.candidate not in runs:
                failed.add(diffs[event.candidate])
            case _:
                pass
    return Memory(replies, scores, runs, frozenset(failed))


def _reply(event: ReplyFinished, choice: int) -> Reply:
    return Reply(
        choice=choice,
        think=event.think,
        answer=event.answer,
        finish=event.finish,
        usage=event.usage,
        closing=event.closing,
        salvaged=event.salvaged,
        seconds=event.seconds,
    )
