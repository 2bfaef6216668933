"""Repository understanding with a model: which files, from a list, then which places, from their skeletons."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TypeAlias

from thinklonger.agent.chat import ChatMessage
from thinklonger.agent.errors import ModelError, ThinkLongerError
from thinklonger.agent.model.asking import Answered, Question, Step, Streams, ask, go_on, is_overflow, shrinking
from thinklonger.agent.prompts import (
    Count,
    Located,
    Place,
    Section,
    begin,
    counter,
    estimate,
    failures_text,
    fit,
    history,
    issue_text,
    legible_path,
    locate,
    make_room,
    read_answer,
    read_calls,
    read_paths,
    read_places,
    render,
    said,
    window,
)
from thinklonger.agent.protocols import Asked, Asking, Branch, Heard, Rejected, Task
from thinklonger.agent.stages.understand.listing import MOST_FILES, Choice, Listing, list_files, merged, quoted
from thinklonger.agent.stages.understand.outlines import shown_files
from thinklonger.agent.types import FileRank, Message, Stage

MOST_PLACES = 10
_MOST_ROOM, _MOST_CODE = 40_960, 12_288
"""Tokens of a first prompt, and of skeletons, at most, whatever the window: what is far from the issue distracts."""
_FIRST, _SECOND = 0.5, 0.7
"""How much of a prompt's room the thread may take, with the list of files and with their skeletons."""
_LEAST = 0.15
"""How much of it the skeletons get, however long the thread is; issue and list together twice as much."""

Found: TypeAlias = Asked | Heard | Rejected | Branch


@dataclass(frozen=True, slots=True)
class _Stage:
    """What all samples of the stage share."""

    asking: Asking
    task: Task
    ranked: Sequence[FileRank]
    listing: Listing
    room: int
    count: Count


async def ask_files(asking: Asking, task: Task, ranked: Sequence[FileRank]) -> AsyncGenerator[Found]:
    """Ask a model for the files where the fault may be; each sample that names some is a branch once it is there.

    A branch's `files` are the model's, then those of `ranked`, at most `MOST_FILES`; its `locations` the places in them
    that the model suspects by their skeletons; `decided` is the same for the same files. Paths that are not there are
    left aside, and the model is told; an answer with none that is gets one repair turn, then it is rejected. Prompts
    that are too long for the window are tried again shorter. Raises ModelError for trouble with the server.
    """
    asking, room = window(await asking.model.facts(), asking)
    listing = list_files(task.repository, ranked)
    stage = _Stage(asking, task, ranked, listing, room, counter(asking.model))
    streams = Streams[Found]()
    streams.add(_files(stage, streams))
    async with aclosing(streams.items()) as items:
        async for item in items:
            yield item


# ── the first turn: files ────────────────────────────────────────────────────────────────────────────────────────


async def _files(stage: _Stage, streams: Streams[Found]) -> AsyncGenerator[Found]:
    """Ask for files; whoever has answered goes on to the places at once."""
    question = Question(
        stage=Stage.UNDERSTAND,
        purpose="files",
        read=lambda text: stage.listing.choose(read_paths(read_answer(text))),
        repair=lambda failure: _repair(failure, "form-files"),
        remember=history,
    )

    async def attempt(factor: float) -> AsyncGenerator[Step[Choice]]:
        thread = await _first_prompt(stage, factor)
        async with aclosing(ask(stage.asking, thread, question, parent="")) as steps:
            async for step in steps:
                yield step

    async with aclosing(shrinking(attempt, model=stage.asking.model, room=stage.room)) as steps:
        async for step in steps:
            if isinstance(step, Answered):
                streams.add(_places(stage, step))
            else:
                yield step


async def _first_prompt(stage: _Stage, factor: float) -> tuple[ChatMessage, ...]:
    """The system's words, the list of files and the issue: the beginning of every prompt of a run."""
    failures = failures_text(stage.task.reproduction)
    fixed = sum(
        estimate(message.content)
        for message in begin(render("understand", files="", issue="", cut="", failures="", most=MOST_FILES))
    )
    room = min(stage.room * _FIRST, stage.room * factor, _MOST_ROOM)
    fitted = await fit(
        (
            Section("issue", (issue_text(stage.task.issue),), share=0.45),
            Section("failures", (failures,) if failures else (), share=0.2),
            Section("files", tuple(map(legible_path, stage.listing.files)), share=0.35, whole=True, around=1),
        ),
        room=max(int(room) - fixed, int(stage.room * _LEAST * 2 * factor)),
        count=stage.count,
    )
    return begin(
        render(
            "understand",
            files="\n".join(sorted(fitted["files"].items)),
            cut=_cut_note(fitted["files"].left_out + stage.listing.more),
            issue="\n".join(fitted["issue"].items),
            failures=render("failures", failures="\n".join(fitted["failures"].items)) if failures else "",
            most=MOST_FILES,
        )
    )


def _cut_note(left_out: int) -> str:
    """What is said of a list that does not hold all files."""
    return f" ({left_out} more, which have less to do with the issue, are left out)" if left_out else ""


# ── the second turn: places ──────────────────────────────────────────────────────────────────────────────────────


async def _places(stage: _Stage, chosen: Answered[Choice]) -> AsyncGenerator[Found]:
    """Show one sample its files' skeletons, ask for places, and give the branch.

    Where no answer comes of that, the branch ends with its files.
    """
    files = merged(chosen.value.files, stage.ranked, stage.listing)
    question = Question(
        stage=Stage.UNDERSTAND,
        purpose="places",
        read=lambda text: _located(stage, read_places(read_answer(text))),
        repair=lambda failure: _repair(failure, "form-places"),
        lenient=lambda text: _located(stage, read_calls(read_answer(text))[1]),
        remember=history,
    )

    async def attempt(factor: float) -> AsyncGenerator[Step[Located]]:
        thread = await _second_prompt(stage, chosen, files, factor)
        async with aclosing(go_on(stage.asking, thread, question, after=chosen)) as steps:
            async for step in steps:
                yield step

    answered: Answered[Located] | None = None
    sent: tuple[str, ...] = ()
    try:
        async with aclosing(shrinking(attempt, model=stage.asking.model, room=stage.room)) as steps:
            async for step in steps:
                if isinstance(step, Answered):
                    answered = step
                    continue
                if isinstance(step, Asked):
                    sent = step.replies
                yield step
    except ModelError as error:
        if not is_overflow(error):
            raise
        for reply in sent:
            yield Rejected(reply, error.message)
    last = answered or chosen
    yield Branch(
        id=chosen.branch,
        stage=Stage.UNDERSTAND,
        parent="",
        decided="\n".join(sorted(map(str, files))),
        thread=last.thread,
        answer=last.answer,
        reply=last.reply,
        files=files,
        locations=answered.value.locations if answered is not None else (),
    )


async def _second_prompt(
    stage: _Stage, chosen: Answered[Choice], files: Sequence[PurePosixPath], factor: float
) -> tuple[ChatMessage, ...]:
    """The sample's thread with the skeletons of its files, as far as there is room."""
    invented = chosen.value.invented
    notes = f" Not in the list, and left aside: {quoted(invented)}." if invented else ""
    room = int(stage.room * factor)
    thread, left = await make_room(
        chosen.thread,
        render("understand-places", skeletons="", notes=notes, most=MOST_PLACES),
        room=room,
        target=min(room, int(stage.room * _SECOND)),
        least=int(room * _LEAST),
        count=stage.count,
    )
    shown = await shown_files(files, stage.task.repository, room=min(left, _MOST_CODE), count=stage.count)
    prompt = render("understand-places", skeletons="\n\n".join(shown), notes=notes, most=MOST_PLACES)
    return said(thread, prompt)


def _located(stage: _Stage, places: Sequence[Place]) -> Located:
    """The code that places mean; raises ModelError where none of them stands for any."""
    found = locate(places[:MOST_PLACES], stage.task.repository, stage.listing.resolve)
    if not found.locations:
        why = found.unknown[0] if found.unknown else Message("localize.no-places")
        raise ModelError(why.key, **why.params)
    return found


def _repair(failure: ThinkLongerError, form: str) -> str:
    """What a model is told of an answer that can't be used."""
    return render("repair-answer", reason=str(failure), form=render(form))
