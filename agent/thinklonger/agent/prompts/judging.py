"""What judges are asked: about a decision of one stage, or about a whole patch; yes means that it is right.

Of one issue, all questions of a stage begin alike, up to what was decided.
"""

from collections.abc import Callable

from thinklonger.agent.chat import ChatMessage, Role
from thinklonger.agent.errors import RepositoryError
from thinklonger.agent.prompts.budget import cut_middle
from thinklonger.agent.prompts.fences import excerpt, legible_path
from thinklonger.agent.prompts.issues import issue_text
from thinklonger.agent.prompts.rendering import render
from thinklonger.agent.protocols import Branch, RepositoryView, Task
from thinklonger.agent.types import Candidate, Changes, Issue, Location, Stage

_ISSUE, _DIFF, _CODE, _ANSWER = 4096, 4096, 1024, 512
"""Estimated tokens, at most, of the issue, a patch, one place's code and an answer's words."""
_MOST_PLACES = 6


def judge_decision(task: Task, branch: Branch, *, diff: Callable[[Changes], str]) -> tuple[ChatMessage, ...]:
    """The question whether a branch's decision is right; `diff` shows the changes of a patch."""
    issue = cut_middle(issue_text(task.issue), _ISSUE)
    if branch.stage is Stage.UNDERSTAND:
        files = "\n".join(map(legible_path, branch.files))
        return _asked(render("judge-understand", issue=issue, files=files, answer=cut_middle(branch.answer, _ANSWER)))
    if branch.stage is Stage.LOCALIZE:
        shown = branch.locations[:_MOST_PLACES]
        places = "\n".join(_named(location) for location in shown)
        code = "\n\n".join(_code(location, task.repository) for location in shown)
        return _asked(render("judge-localize", issue=issue, places=places, code=code))
    changes = branch.candidate.changes if branch.candidate is not None else ()
    return _asked(render("judge-patch", issue=issue, patch=cut_middle(diff(changes), _DIFF)))


def judge_outcome(issue: Issue, candidate: Candidate, *, diff: Callable[[Changes], str]) -> tuple[ChatMessage, ...]:
    """The question whether a patch resolves the issue: nothing of how it came about is shown."""
    patch = cut_middle(diff(candidate.changes), _DIFF)
    return _asked(render("judge-outcome", issue=cut_middle(issue_text(issue), _ISSUE), patch=patch))


def _asked(text: str) -> tuple[ChatMessage, ...]:
    """A judge's prompt."""
    return (ChatMessage(Role.SYSTEM, render("judge-system")), ChatMessage(Role.USER, text))


def _named(location: Location) -> str:
    """A place in one line."""
    lines = f"lines {location.start_line}-{location.end_line}"
    return f"{legible_path(location.path)} :: {f'{location.symbol}, ' if location.symbol else ''}{lines}"


def _code(location: Location, repository: RepositoryView) -> str:
    """A place's lines."""
    try:
        state = repository.read(location.path)
    except RepositoryError:
        state = None
    lines = state.content.decode("utf-8", "replace").splitlines() if state is not None else []
    text = "\n".join(lines[location.start_line - 1 : location.end_line])
    return excerpt(location.path, cut_middle(text, _CODE), about=f"lines {location.start_line}-{location.end_line}")
