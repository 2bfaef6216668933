"""Debug rounds: what failed on a patch goes back to the model that wrote it, in the patch's own thread."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from enum import StrEnum

from thinklonger.agent.errors import EditError
from thinklonger.agent.model.asking import Step, ask, shrinking
from thinklonger.agent.prompts import counter, fenced, render, said, shorten, window
from thinklonger.agent.protocols import Asked, Asking, Branch, Heard, Rejected, SourceTree, Task
from thinklonger.agent.stages.patch.asking import branches, patch_question
from thinklonger.agent.stages.patch.reading import Patched, read_patch
from thinklonger.agent.types import TestResult

TEMPERATURE = 0.9
"""Of every reply of a debug round: what was tried has failed."""

SHOWN_TESTS = 5  # that are shown with what they say, the first; of the others only the ids,
LISTED_TESTS = 30  # as many at most
SHOWN_SIGNS = 1500  # of what one test says
SHOWN_FRAMES = 8  # of a traceback, the innermost
OUTPUT_SIGNS = 3000  # of what was printed, its end


class Checked(StrEnum):
    """What a patch fails in: the tests that show the fault, or those that passed before it."""

    REPRODUCTION = "reproduction"
    REGRESSION = "regression"


@dataclass(frozen=True, slots=True)
class Failure:
    """What is red on a patch, the most telling first, and the end of what the run printed; all of it untrusted."""

    checked: Checked
    results: tuple[TestResult, ...]
    output: str = ""


async def ask_debug(
    asking: Asking, task: Task, parent: Branch, *, tree: SourceTree, failure: Failure
) -> AsyncGenerator[Asked | Heard | Rejected | Branch]:
    """Ask for better patches than the one of `parent`, which failed so; each is a branch below it (`….d1`).

    `tree` is the one without any patch. Blocks are taken for that tree, else, where they don't fit, for the tree with
    the failed patch. The same patch again is no answer. Otherwise as `asking.ask_patches`.
    """
    earlier = parent.candidate.changes if parent.candidate is not None else ()

    def read(answer: str) -> Patched:
        patched = read_patch(answer, tree, repository=task.repository, earlier=earlier)
        if patched.normalized == parent.decided:
            raise EditError("patch.same-again")
        return patched

    asking, room = window(await asking.model.facts(), asking)
    question = patch_question("debug", read)
    whole = said(parent.thread, in_words(failure))

    async def attempt(factor: float) -> AsyncGenerator[Step[Patched]]:
        thread = await shorten(whole, room=int(room * factor), count=counter(asking.model))
        hot = (TEMPERATURE, TEMPERATURE)
        async with aclosing(ask(asking, thread, question, parent=parent.id, letter="d", temperatures=hot)) as steps:
            async for step in steps:
                yield step

    async with aclosing(
        branches(shrinking(attempt, model=asking.model, room=room), parent, proposer=asking.model.name)
    ) as found:
        async for step in found:
            yield step


def in_words(failure: Failure) -> str:
    """The user's turn that says what failed, bounded, with all that tests and programs said in fences."""
    parts = [fenced(_told(result), about="test") for result in failure.results[:SHOWN_TESTS]]
    if rest := failure.results[SHOWN_TESTS:]:
        parts.append(fenced(_listed(rest), about="more failing tests"))
    if failure.output.strip():
        parts.append(fenced(_end(failure.output), about="output"))
    return render("debug", verdict=render(f"debug-{failure.checked.value}"), results="\n\n".join(parts))


def _told(result: TestResult) -> str:
    """One test: its id, how it ended, what it says and where in the repository."""
    lines = [result.id, f"{result.outcome.value}: {result.exception}" if result.exception else result.outcome.value]
    text = result.text.strip()
    if text:
        half = SHOWN_SIGNS // 2
        lines.append(text if len(text) <= SHOWN_SIGNS else f"{text[:half]}\n[…]\n{text[-half:]}")
    lines += [f"  {frame.path}, line {frame.line}, in {frame.function}" for frame in result.frames[-SHOWN_FRAMES:]]
    return "\n".join(lines)


def _listed(results: Sequence[TestResult]) -> str:
    """Ids alone, and how many more there are."""
    ids = [result.id for result in results[:LISTED_TESTS]]
    return "\n".join([*ids, *([f"[… {len(results) - len(ids)} more]"] if len(results) > len(ids) else [])])


def _end(output: str) -> str:
    """The end of what was printed."""
    text = output.strip("\n")
    return text if len(text) <= OUTPUT_SIGNS else f"[…]\n{text[-OUTPUT_SIGNS:]}"
