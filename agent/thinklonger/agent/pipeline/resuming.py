"""Going on with a run whose process has died: what it was asked, and what it has done already."""

from pathlib import Path

from thinklonger.agent.chat import ChatMessage, Reply
from thinklonger.agent.errors import RecordError
from thinklonger.agent.pipeline.memory import Key, Memory, key_of
from thinklonger.agent.pipeline.request import Request
from thinklonger.agent.trace import load_run, read_record
from thinklonger.agent.trace.events import (
    BranchScored,
    CandidateProposed,
    CandidatePruned,
    CandidateTested,
    PromptSent,
    ReplyFinished,
)
from thinklonger.agent.types import Score, TestRun


def continued(folder: Path, *, api_key: str = "") -> Request:
    """The request of an interrupted, failed or cancelled run, to be gone on with.

    Raises RecordError where it can't be read, came to its end, or was asked for with files that no record has.
    """
    run = load_run(folder)
    if run.started is None or run.started.settings is None or not run.started.whole or run.started.job != "resolve":
        raise RecordError("pipeline.cannot-resume", run=folder.name)
    if run.finished is not None:
        raise RecordError("pipeline.already-finished", run=folder.name)
    started = run.started
    return Request(
        repository=Path(started.repository),
        issue=started.issue,
        settings=run.started.settings,
        api_key=api_key,
        continues=folder,
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
