"""Fault localization with a model: rounds of search actions, until the places that it names stand for code."""

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import PurePosixPath
from typing import TypeAlias

from thinklonger.agent import messages
from thinklonger.agent.chat import ChatMessage
from thinklonger.agent.errors import ModelError, ThinkLongerError
from thinklonger.agent.issue import PathTable
from thinklonger.agent.model.asking import Answered, Question, Step, Streams, ask, go_on, is_overflow, shrinking
from thinklonger.agent.prompts import (
    Call,
    Count,
    Located,
    Place,
    Section,
    counter,
    fit,
    history,
    locate,
    make_room,
    read_answer,
    read_calls,
    render,
    said,
    window,
)
from thinklonger.agent.protocols import Asked, Asking, Branch, Heard, Rejected, Task
from thinklonger.agent.stages.localize.searching import Hit, Result, Searcher, check
from thinklonger.agent.stages.localize.showing import excerpts, first_hits, heading, texts_of, unseen_hits
from thinklonger.agent.types import Location, Message, Stage

ROUNDS = 4
"""Turns of one sample, the last without calls."""
MOST_PLACES = 8
MOST_CALLS = 6
_MOST_ROOM = 12_288
"""Tokens of one turn's code at most, however large the window."""
_TAKEN = 0.85
"""How much of a prompt's room the thread may take at the end of the stage."""
_LEAST_ROOM = 0.08
"""How much of a prompt's room one turn's code gets, however long the thread is."""
_HEADING = 24
_UNSEEN = "The code of the places that you named; confirm or correct them:"

Found: TypeAlias = Asked | Heard | Rejected | Branch


@dataclass(frozen=True, slots=True)
class _Answer:
    """What an answer means: calls to carry out, places, and what was dropped of it."""

    calls: tuple[Call, ...]
    located: Located
    dropped: tuple[Message, ...]


@dataclass(frozen=True, slots=True)
class _Walk:
    """One sample on its way: its last answer, the turn that it was, the best places so far, what code it has seen."""

    answered: Answered[_Answer]
    turn: int
    seen: tuple[Hit, ...]
    best: tuple[Location, ...] = ()
    confirmed: bool = False


@dataclass(frozen=True, slots=True)
class _Stage:
    """What all samples of the stage share."""

    asking: Asking
    task: Task
    parent: Branch
    rounds: int
    room: int
    count: Count
    resolve: Callable[[str], Sequence[PurePosixPath]]
    searcher: Searcher
    streams: Streams[Found] = field(default_factory=Streams[Found])


async def ask_locations(asking: Asking, task: Task, parent: Branch, *, rounds: int = ROUNDS) -> AsyncGenerator[Found]:
    """Ask a model for the places of the fault, in the thread of `parent`; each sample that names some is a branch.

    In each of at most `rounds` turns a sample may call search actions or name places. It ends when it names places and
    calls nothing, all of them stand for code, and it was shown that code once. Calls that can't be carried out get one
    repair turn, then are dropped, and the model is told why; so are places that are not there. What the last turn names
    counts as far as it stands for code, else what was named before; a sample without any is rejected. `decided` is the
    same for the same places. Prompts that are too long for the window are tried again shorter. Raises ModelError for
    trouble with the server.
    """
    asking, room = window(await asking.model.facts(), asking)
    resolve = _resolver(tuple(task.repository.paths()))
    ranked = task.localization.files if task.localization is not None else ()
    near = tuple(dict.fromkeys((*parent.files, *(rank.path for rank in ranked))))
    searcher = Searcher(task.repository, near=near, resolve=resolve)
    stage = _Stage(asking, task, parent, max(1, rounds), room, counter(asking.model), resolve, searcher)
    stage.streams.add(_first(stage))
    async with aclosing(stage.streams.items()) as items:
        async for item in items:
            yield item


@lru_cache(maxsize=2)
def _resolver(paths: tuple[PurePosixPath, ...]) -> Callable[[str], Sequence[PurePosixPath]]:
    """What gives the files that fit a written path equally well."""
    table = PathTable(paths)
    known = frozenset(paths)

    def resolve(written: str) -> Sequence[PurePosixPath]:
        path = PurePosixPath(written.strip().removeprefix("./"))
        return (path,) if path in known else table.resolve(written.strip())

    return resolve


# ── turns ────────────────────────────────────────────────────────────────────────────────────────────────────────


async def _first(stage: _Stage) -> AsyncGenerator[Found]:
    """The turn that all samples begin with: the code of the places named so far."""
    question = _question(stage)
    seen: list[Hit] = []

    async def attempt(factor: float) -> AsyncGenerator[Step[_Answer]]:
        thread, seen[:] = await _first_prompt(stage, factor)
        async with aclosing(ask(stage.asking, thread, question, parent=stage.parent.id)) as steps:
            async for step in steps:
                yield step

    async with aclosing(shrinking(attempt, model=stage.asking.model, room=stage.room)) as steps:
        async for step in steps:
            if isinstance(step, Answered):
                stage.streams.add(_walk(stage, _Walk(step, 1, tuple(seen), step.value.located.locations)))
            else:
                yield step


async def _walk(stage: _Stage, walk: _Walk) -> AsyncGenerator[Found]:
    """Go on with one sample until it has its places."""
    while walk.turn < stage.rounds:
        answer = walk.answered.value
        unseen = (
            []
            if walk.confirmed or answer.calls
            else unseen_hits(answer.located.locations, walk.seen, stage.task.repository)
        )
        if not (answer.calls or answer.located.unknown or unseen):
            break
        results = [await stage.searcher.run(call) for call in answer.calls]
        further: _Walk | None = None
        async with aclosing(_next(stage, walk, results, unseen)) as steps:
            async for step in steps:
                if isinstance(step, _Walk):
                    further = step
                else:
                    yield step
        if further is None:
            break
        walk = further
    if walk.best:
        yield _branch(stage, walk)
    else:
        yield Rejected(walk.answered.reply, Message("localize.no-places"))


async def _next(
    stage: _Stage, walk: _Walk, results: Sequence[Result], unseen: Sequence[Hit]
) -> AsyncGenerator[Asked | Heard | Rejected | _Walk]:
    """One more turn of one sample; where even a short prompt does not fit, its reply is Rejected."""
    question = _question(stage, last=walk.turn + 1 >= stage.rounds)
    seen: list[Hit] = []
    sent: tuple[str, ...] = ()

    async def attempt(factor: float) -> AsyncGenerator[Step[_Answer]]:
        thread, seen[:] = await _results(stage, walk, results, unseen, factor)
        async with aclosing(go_on(stage.asking, thread, question, after=walk.answered)) as steps:
            async for step in steps:
                yield step

    try:
        async with aclosing(shrinking(attempt, model=stage.asking.model, room=stage.room)) as steps:
            async for step in steps:
                if isinstance(step, Answered):
                    yield _Walk(
                        step,
                        walk.turn + 1,
                        (*walk.seen, *seen),
                        step.value.located.locations or walk.best,
                        confirmed=walk.confirmed or bool(unseen),
                    )
                    continue
                if isinstance(step, Asked):
                    sent = step.replies
                yield step
    except ModelError as error:
        if not is_overflow(error):
            raise
        for reply in sent:
            yield Rejected(reply, error.message)


def _branch(stage: _Stage, walk: _Walk) -> Branch:
    """A sample at its end."""
    return Branch(
        id=walk.answered.branch,
        stage=Stage.LOCALIZE,
        parent=stage.parent.id,
        decided="\n".join(sorted(_meaning(location) for location in walk.best)),
        thread=walk.answered.thread,
        answer=walk.answered.answer,
        reply=walk.answered.reply,
        files=stage.parent.files,
        locations=walk.best,
    )


def _meaning(location: Location) -> str:
    """A place in a form that is equal where the same code is meant: its symbol, or its lines outside of any."""
    return f"{location.path}::{location.symbol or f'{location.start_line}-{location.end_line}'}"


# ── answers ──────────────────────────────────────────────────────────────────────────────────────────────────────


def _question(stage: _Stage, *, last: bool = False) -> Question[_Answer]:
    """What is asked in a turn; calls no longer count in the last."""
    form = "form-places" if last else "form-actions"
    return Question(
        stage=Stage.LOCALIZE,
        purpose="locations",
        read=lambda text: _read(stage, text, last=last),
        repair=lambda failure: _repair(failure, form),
        lenient=lambda text: _read_leniently(stage, text, last=last),
        remember=history,
    )


def _repair(failure: ThinkLongerError, form: str) -> str:
    """What a model is told of an answer that can't be used."""
    return render("repair-answer", reason=str(failure), form=render(form))


def _read(stage: _Stage, text: str, *, last: bool) -> _Answer:
    """An answer of which every line can be used; raises ModelError."""
    calls, places, wrong = read_calls(read_answer(text))
    if wrong:
        raise wrong[0]
    for call in calls:
        check(call)
    return _answer(stage, calls, places, (), last=last)


def _read_leniently(stage: _Stage, text: str, *, last: bool) -> _Answer:
    """An answer, its unusable lines dropped; raises ModelError where nothing is left."""
    calls, places, wrong = read_calls(read_answer(text))
    good: list[Call] = []
    dropped = [failure.message for failure in wrong]
    for call in calls:
        try:
            check(call)
        except ModelError as failure:
            dropped.append(failure.message)
        else:
            good.append(call)
    if not good and not places and dropped:
        raise ModelError(dropped[0].key, **dropped[0].params)
    return _answer(stage, good, places, tuple(dropped), last=last)


def _answer(
    stage: _Stage, calls: Sequence[Call], places: Sequence[Place], dropped: tuple[Message, ...], *, last: bool
) -> _Answer:
    """What calls and places amount to; raises ModelError where a last answer has no place that stands for code."""
    located = locate(places[:MOST_PLACES], stage.task.repository, stage.resolve)
    if last and not located.locations:
        unknown = located.unknown[0] if located.unknown else Message("localize.no-places")
        raise ModelError(unknown.key, **unknown.params)
    if last:
        return _Answer((), located, dropped)
    if len(calls) > MOST_CALLS:
        dropped = (*dropped, Message("localize.too-many-calls", {"limit": MOST_CALLS}))
    return _Answer(tuple(calls[:MOST_CALLS]), located, dropped)


# ── prompts ──────────────────────────────────────────────────────────────────────────────────────────────────────


async def _first_prompt(stage: _Stage, factor: float) -> tuple[tuple[ChatMessage, ...], list[Hit]]:
    """The parent's thread with the code of the places so far and with the actions, and what it shows."""
    fixed = render("localize", code="", rounds=stage.rounds - 1, calls=MOST_CALLS, most=MOST_PLACES)
    thread, room = await _room(stage, stage.parent.thread, fixed, stage.rounds, factor)
    hits = first_hits(stage.task, stage.parent)
    section = Section("places", texts_of(hits), share=1.0, around=_HEADING)
    fitted = (await fit((section,), room=room, count=stage.count))["places"]
    code = "\n\n".join(excerpts(hits, fitted.items))
    prompt = render("localize", code=code, rounds=stage.rounds - 1, calls=MOST_CALLS, most=MOST_PLACES)
    return said(thread, prompt), hits[: len(fitted.items)]


async def _results(
    stage: _Stage, walk: _Walk, results: Sequence[Result], unseen: Sequence[Hit], factor: float
) -> tuple[tuple[ChatMessage, ...], list[Hit]]:
    """A sample's thread with what its calls found and what is wrong with its places, and the code that it shows."""
    answer = walk.answered.value
    notes = "\n".join(f"- {messages.render(note)}" for note in (*answer.dropped, *answer.located.unknown))
    left = stage.rounds - walk.turn - 1
    ending = render("localize-more", rounds=left) if left > 0 else render("localize-last")
    fixed = f"{notes}\n{ending}"
    thread, room = await _room(stage, walk.answered.thread, fixed, left + 1, factor)
    groups = [*(result.hits for result in results), tuple(unseen)]
    sections = [
        Section(str(number), texts_of(group), share=1 / len(groups), around=_HEADING)
        for number, group in enumerate(groups)
    ]
    fitted = await fit(sections, room=room, count=stage.count)
    shown: list[str] = []
    seen: list[Hit] = []
    for number, (group, result) in enumerate(zip(groups, (*results, None), strict=True)):
        items = fitted[str(number)].items
        seen += group[: len(items)]
        above = [heading(result)] if result is not None else [_UNSEEN] if group else []
        shown += [*above, *excerpts(group, items)]
    told = [render("localize-notes", notes=notes)] if notes else []
    return said(thread, "\n\n".join((*told, *shown, ending))), seen


async def _room(
    stage: _Stage, thread: tuple[ChatMessage, ...], fixed: str, turns: int, factor: float
) -> tuple[tuple[ChatMessage, ...], int]:
    """The thread, shorter where nothing more would fit, and the tokens that this turn's code may have.

    What is left of the stage's part is shared out among the turns that may come.
    """
    room = int(stage.room * factor)
    least = int(room * _LEAST_ROOM)
    target = min(room, int(stage.room * _TAKEN))
    thread, left = await make_room(thread, fixed, room=room, target=target, least=least, count=stage.count)
    return thread, max(least, min(left // max(1, turns), _MOST_ROOM))
