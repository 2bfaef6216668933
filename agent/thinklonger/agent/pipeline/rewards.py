"""The judges of a run: what each stage's judge is asked, and which judge there is."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from thinklonger.agent.chat import ChatMessage, ModelFacts, Role
from thinklonger.agent.config import ServedSettings
from thinklonger.agent.edits import render_diff
from thinklonger.agent.prompts import excerpt, issue_text, render
from thinklonger.agent.prompts.budget import cut_middle
from thinklonger.agent.protocols import Branch, ChatModel, Reward, Task
from thinklonger.agent.reward import about_patch, choose_reward
from thinklonger.agent.types import Candidate, Issue, Message, Stage

SHARE = 0.6  # of the window that a judge's prompt may take
PARTS = 3  # in which it is divided: the issue, what was decided, its code


@dataclass(frozen=True, slots=True)
class Rewards:
    """Who judges files and places, and who judges patches; `notes` say where that is not who was asked for."""

    process: Reward
    outcome: Reward
    notes: tuple[Message, ...]


def choose_rewards(model: ChatModel, facts: ModelFacts, served: ServedSettings) -> Rewards:
    """The trained adapters that the settings name, else the model itself with a prompt."""
    room = SHARE * facts.context / PARTS

    def process(task: Task, branch: Branch) -> Sequence[ChatMessage]:
        return decision_prompt(task, branch, room=room)

    def outcome(issue: Issue, candidate: Candidate) -> Sequence[ChatMessage]:
        return outcome_prompt(issue, candidate, room=room)

    prm = choose_reward(process, model=model, facts=facts, adapter=served.prm)
    orm = choose_reward(about_patch(outcome), model=model, facts=facts, adapter=served.orm)
    notes = tuple(chosen.message for chosen in (prm, orm) if chosen.message is not None)
    return Rewards(prm.reward, orm.reward, notes)


def decision_prompt(task: Task, branch: Branch, *, room: float) -> tuple[ChatMessage, ...]:
    """What the process judge is asked about a branch; each of its parts has `room` tokens."""
    issue = cut_middle(issue_text(task.issue), room)
    if branch.stage is Stage.UNDERSTAND:
        files = "\n".join(map(str, branch.files))
        return _asked(render("judge-understand", issue=issue, files=files, answer=cut_middle(branch.answer, room)))
    if branch.candidate is not None:
        return _asked(render("judge-patch", issue=issue, patch=cut_middle(_diff(branch.candidate), room)))
    places = "\n".join(f"{item.path}:{item.start_line} {item.symbol}" for item in branch.locations)
    each = room / max(1, len(branch.locations))
    code = "\n\n".join(
        excerpt(item.path, cut_middle(_code(task, item.path, item.start_line, item.end_line), each), about=item.symbol)
        for item in branch.locations
    )
    return _asked(render("judge-localize", issue=issue, places=places, code=code))


def outcome_prompt(issue: Issue, candidate: Candidate, *, room: float) -> tuple[ChatMessage, ...]:
    """What the outcome judge is asked: the issue and the patch, nothing of how it came about."""
    patch = cut_middle(_diff(candidate), 2 * room)
    return _asked(render("judge-outcome", issue=cut_middle(issue_text(issue), room), patch=patch))


def _asked(text: str) -> tuple[ChatMessage, ...]:
    return (ChatMessage(Role.SYSTEM, render("judge-system")), ChatMessage(Role.USER, text))


def _diff(candidate: Candidate) -> str:
    return render_diff(candidate.changes)


def _code(task: Task, path: PurePosixPath, first: int, last: int) -> str:
    """Lines of a file as the repository has them."""
    state = task.repository.read(path)
    lines = state.content.decode("utf-8", "replace").splitlines() if state is not None else []
    return "\n".join(lines[first - 1 : last])
