"""A reproduction that a model writes: asked for from the issue, checked by running it, sent back with what was seen."""

import ast
import re
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass

from thinklonger.agent import messages
from thinklonger.agent.chat import ChatMessage
from thinklonger.agent.errors import ModelError, ThinkLongerError
from thinklonger.agent.model.asking import Answered, Question, Step, Streams, ask, go_on, shrinking
from thinklonger.agent.prompts import (
    CLOSE,
    OPEN,
    Count,
    Section,
    begin,
    counter,
    estimate,
    excerpt,
    fit,
    history,
    issue_text,
    read_answer,
    render,
    said,
    shorten,
    window,
)
from thinklonger.agent.protocols import Asked, Asking, Heard, Rejected, Task
from thinklonger.agent.stages.verify.checking import Judgement
from thinklonger.agent.stages.verify.sources import parsed
from thinklonger.agent.stages.verify.writing import SCRIPT_NAME
from thinklonger.agent.types import Message, Stage

TURNS = 3
"""Replies that one attempt may take, repair turns included."""

MOST_BYTES = 64 * 1024
SHOWN_PLACES, SHOWN_FILES = 6, 4  # code that is shown: the most suspicious places, and what their files look like
_MOST_ROOM = 24_000  # tokens of a first prompt, however large the window
_FENCE = re.compile(r"(`{3,}|~{3,})([^`]*)")

Check = Callable[[bytes], Awaitable[Judgement]]
"""Runs a script or test file on the base and says whether it is a reproduction (`checking.check_reproduction`)."""


@dataclass(frozen=True, slots=True)
class Script:
    """A reproduction that a model wrote and that holds: its file's name, its source, and what running it showed."""

    name: str
    source: bytes
    reply: str
    judgement: Judgement


@dataclass(frozen=True, slots=True)
class _Writing:
    """What all attempts share."""

    asking: Asking
    check: Check
    room: int
    count: Count


async def write_reproduction(
    asking: Asking, task: Task, *, check: Check
) -> AsyncGenerator[Asked | Heard | Rejected | Script]:
    """Ask for scripts that show the issue, `asking.samples` attempts beside each other; each that holds is given.

    An attempt's script is checked at once. One that does not hold goes back with the reason and the end of its output,
    until the attempt has had `TURNS` replies; then its last reply is rejected. Close the generator when one is enough.
    Raises ModelError for trouble with the server, and whatever `check` raises.
    """
    asking, room = window(await asking.model.facts(), asking)
    writing = _Writing(asking, check, min(room, _MOST_ROOM), counter(asking.model))
    streams = Streams[Asked | Heard | Rejected | Script]()

    async def attempt(factor: float) -> AsyncGenerator[Step[bytes]]:
        thread = await _prompt(task, room=int(writing.room * factor), count=writing.count)
        async with aclosing(ask(asking, thread, _question(repairs=1), parent="")) as steps:
            async for step in steps:
                yield step

    async def first() -> AsyncGenerator[Asked | Heard | Rejected | Script]:
        async with aclosing(shrinking(attempt, model=writing.asking.model, room=writing.room)) as steps:
            async for step in steps:
                if isinstance(step, Answered):
                    streams.add(_checked(writing, step))
                else:
                    yield step

    streams.add(first())
    async with aclosing(streams.items()) as items:
        async for item in items:
            yield item


async def _checked(writing: _Writing, answered: Answered[bytes]) -> AsyncGenerator[Asked | Heard | Rejected | Script]:
    """Check one attempt's script, and have it written again until it holds or its replies are used up."""
    last: Answered[bytes] | None = answered
    while last is not None:
        judgement = await writing.check(last.value)
        if judgement.reproduction is not None:
            yield Script(SCRIPT_NAME, last.value, last.reply, judgement)
            return
        why = judgement.why or Message("reproduction.not-run")
        if last.turn >= TURNS:
            yield Rejected(last.reply, why)
            return
        before, last = last, None
        async with aclosing(
            shrinking(_again(writing, before, why, judgement.log), model=writing.asking.model, room=writing.room)
        ) as steps:
            async for step in steps:
                if isinstance(step, Answered):
                    last = step
                else:
                    yield step


def _again(
    writing: _Writing, before: Answered[bytes], why: Message, log: str
) -> Callable[[float], AsyncGenerator[Step[bytes]]]:
    """One more turn in an attempt's thread, which says what was wrong."""
    told = render("reproduction-failed", failure=messages.render(why), output=log.strip("\n") or "(nothing)")
    question = _question(repairs=1 if before.turn + 1 < TURNS else 0)

    async def attempt(factor: float) -> AsyncGenerator[Step[bytes]]:
        thread = await shorten(said(before.thread, told), room=int(writing.room * factor), count=writing.count)
        async with aclosing(go_on(writing.asking, thread, question, after=before)) as steps:
            async for step in steps:
                yield step

    return attempt


def _question(*, repairs: int) -> Question[bytes]:
    return Question(
        stage=Stage.VERIFY,
        purpose="reproduction",
        read=read_script,
        repair=_repair,
        repairs=repairs,
        remember=history,
    )


def _repair(failure: ThinkLongerError) -> str:
    """What a model is told of an answer that holds no script."""
    words = str(failure) if failure.remedy is None else f"{failure}\n{messages.render(failure.remedy)}"
    return render("reproduction-repair", failure=words)


def read_script(text: str) -> bytes:
    """The one block of code of an answer, or all of it where it is nothing but Python; raises ModelError."""
    inside = read_answer(text) if OPEN in text else text.partition(CLOSE)[0]
    blocks = _blocks(inside)
    if len(blocks) > 1:
        raise ModelError("reproduction.several", count=len(blocks))
    if not blocks and not _is_python(inside):
        raise ModelError("reproduction.no-code")
    source = (blocks[0] if blocks else inside).strip("\n") + "\n"
    content = source.encode("utf-8", "replace")
    if len(content) > MOST_BYTES:
        raise ModelError("reproduction.too-long", limit=MOST_BYTES)
    return content


def _blocks(text: str) -> list[str]:
    """What stands between code fences; a fence that is never closed is none."""
    blocks: list[str] = []
    inside: list[str] = []
    fence = ""
    for line in text.split("\n"):
        found = _FENCE.fullmatch(line.strip())
        if not fence and found:
            fence, inside = found[1], []
        elif fence and line.strip() == fence:
            blocks.append("".join(inside))
            fence = ""
        else:
            inside.append(f"{line}\n")
    return blocks


def _is_python(text: str) -> bool:
    """Whether a text is a program that does something: a word alone is a name in Python, too."""
    tree = parsed(text)
    body = tree.body if tree is not None else []
    return any(not isinstance(node, ast.Expr) or isinstance(node.value, ast.Call) for node in body)


async def _prompt(task: Task, *, room: int, count: Count) -> tuple[ChatMessage, ...]:
    """The issue and the code that may matter, as far as there is room."""
    repository, found = task.repository, task.localization
    places = found.locations[:SHOWN_PLACES] if found is not None else ()
    files = found.files[:SHOWN_FILES] if found is not None else ()
    code: list[str] = []
    for place in places:
        state = repository.read(place.path)
        lines = state.content.decode("utf-8", "replace").split("\n") if state is not None else []
        about = place.symbol or f"lines {place.start_line}-{place.end_line}"
        code.append(excerpt(place.path, "\n".join(lines[place.start_line - 1 : place.end_line]), about=about))
    code += [excerpt(rank.path, repository.skeleton(rank.path), about="outline") for rank in files]
    fixed = sum(estimate(message.content) for message in begin(render("reproduction", issue="", code="")))
    fitted = await fit(
        (Section("issue", (issue_text(task.issue),), share=0.5), Section("code", tuple(code), share=0.5)),
        room=room - fixed,
        count=count,
    )
    shown = "\n\n".join(fitted["code"].items) or "(none was found by searching)"
    return begin(render("reproduction", issue="\n".join(fitted["issue"].items), code=shown))
