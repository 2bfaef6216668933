"""Patches asked of a model: search/replace blocks in its answers, each applied; what is wrong with one is told once."""

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing

from thinklonger.agent import messages
from thinklonger.agent.chat import ChatMessage, Reply
from thinklonger.agent.errors import ThinkLongerError
from thinklonger.agent.model.asking import Answered, Question, Step, ask, shrinking
from thinklonger.agent.prompts import (
    CLOSE,
    OPEN,
    Section,
    counter,
    estimate,
    fit,
    history,
    read_answer,
    render,
    said,
    shorten,
    window,
)
from thinklonger.agent.protocols import Asked, Asking, Branch, Heard, Rejected, SourceTree, Task
from thinklonger.agent.stages.patch.reading import Patched, read_patch
from thinklonger.agent.stages.patch.showing import shown_places
from thinklonger.agent.types import Candidate, Stage

PATTERN = "model"
"""What candidates of a model carry as their pattern."""

PRIOR = 0.5
"""The weight of a model's patch before anything ran."""

_MOST_CODE = 24_000  # tokens of code, however large the window: what has less to do with the issue only distracts
_LEAST_SHARE = 0.4  # of the room is for the code, however long the thread is


async def ask_patches(
    asking: Asking, task: Task, parent: Branch, *, tree: SourceTree
) -> AsyncGenerator[Asked | Heard | Rejected | Branch]:
    """Ask for patches of the places that `parent` has settled on, in its thread; each is a branch once it is there.

    Edits apply to `tree`. An answer that is no patch (prose, a block that fits nowhere or in several places, a missing
    file, a path outside, Python that no longer parses, nothing changed) gets one repair turn that says so, then it is
    rejected. Edits of tests are taken as they are: what looks like cheating is told apart later. Patches that mean the
    same have the same `decided`. A prompt that is too long for the window is tried again shorter. Raises ModelError for
    trouble with the server.
    """
    asking, room = window(await asking.model.facts(), asking)
    question = patch_question("patch", lambda answer: read_patch(answer, tree, repository=task.repository))
    shown = shown_places(parent, tree=tree, repository=task.repository)

    async def attempt(factor: float) -> AsyncGenerator[Step[Patched]]:
        thread = await _prompt(asking, parent, shown, room=int(room * factor))
        async with aclosing(ask(asking, thread, question, parent=parent.id)) as steps:
            async for step in steps:
                yield step

    async with aclosing(
        branches(shrinking(attempt, model=asking.model, room=room), parent, proposer=asking.model.name)
    ) as found:
        async for step in found:
            yield step


def patch_question(purpose: str, read: Callable[[str], Patched]) -> Question[Patched]:
    """What is asked for a patch: blocks between the answer tags, else anywhere where there are no tags."""
    return Question(
        stage=Stage.PATCH,
        purpose=purpose,
        read=lambda text: read(_inside(text)),
        repair=lambda failure: render("patch-repair", failure=in_words(failure)),
        lenient=lambda text: read(_loosely(text)),
        remember=history,
    )


def in_words(failure: ThinkLongerError) -> str:
    """What is wrong, and what to do about it, in English."""
    remedy = failure.remedy
    return f"{failure}\n{messages.render(remedy)}" if remedy is not None else str(failure)


async def branches(
    steps: AsyncGenerator[Step[Patched]], parent: Branch, *, proposer: str
) -> AsyncGenerator[Asked | Heard | Rejected | Branch]:
    """The steps of asking for a patch, with each answer as a branch below `parent`."""
    thoughts: dict[str, str] = {}
    async with aclosing(steps):
        async for step in steps:
            match step:
                case Answered():
                    yield _branch(step, parent, proposer=proposer, think=thoughts.pop(step.reply, ""))
                case Heard(reply, Reply(think=think)):
                    thoughts[reply] = think
                    yield step
                case _:
                    yield step


def _branch(answered: Answered[Patched], parent: Branch, *, proposer: str, think: str) -> Branch:
    """An answer as a branch with its candidate."""
    patched = answered.value
    candidate = Candidate(
        id=answered.branch,
        proposer=proposer,
        pattern=PATTERN,
        think=think,
        answer=_loosely(answered.answer),
        changes=patched.changes,
        location=patched.location,
        prior=PRIOR,
        normalized=patched.normalized,
    )
    return Branch(
        id=answered.branch,
        stage=Stage.PATCH,
        parent=parent.id,
        decided=patched.normalized,
        thread=answered.thread,
        answer=answered.answer,
        reply=answered.reply,
        files=parent.files,
        locations=parent.locations,
        candidate=candidate,
    )


async def _prompt(asking: Asking, parent: Branch, shown: Sequence[str], *, room: int) -> tuple[ChatMessage, ...]:
    """The parent's thread with the turn that asks for a patch, and as much of the code as there is room for."""
    count = counter(asking.model)
    taken = sum(estimate(message.content) for message in parent.thread) + estimate(render("patch", code=""))
    section = Section("code", tuple(shown), share=1.0)
    left = min(_MOST_CODE, max(room - taken, int(_LEAST_SHARE * room)))
    code = (await fit([section], room=left, count=count))["code"]
    thread = said(parent.thread, render("patch", code="\n\n".join(code.items)))
    return await shorten(thread, room=room, count=count)


def _inside(text: str) -> str:
    """What stands between the answer tags; all of it where there are none. Raises ModelError."""
    return read_answer(text) if OPEN in text else text


def _loosely(text: str) -> str:
    """The last answer, whether or not it ends; all of the text where there are no tags."""
    return text.rpartition(OPEN)[2].partition(CLOSE)[0].strip("\n")
