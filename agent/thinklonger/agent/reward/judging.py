"""Judges that are a model: a trained adapter, or the base model with a prompt; both are asked for the odds of yes.

What is asked comes in as a function: this room knows no prompt.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from thinklonger.agent.chat import ChatMessage
from thinklonger.agent.protocols import Branch, ChatModel, Task
from thinklonger.agent.reward.calibration import IDENTITY, Calibration
from thinklonger.agent.types import Candidate, Issue, Score

Prompt: TypeAlias = tuple[ChatMessage, ...]
Question: TypeAlias = Callable[[Task, Branch], Sequence[ChatMessage]]
"""What a judge is asked about one branch; yes must mean that the decision is right."""
PatchQuestion: TypeAlias = Callable[[Issue, Candidate], Sequence[ChatMessage]]
"""What an outcome judge is asked: it sees the issue and the patch, nothing of how the patch came about."""


@dataclass(frozen=True, slots=True)
class Judge:
    """The base model, asked with a prompt."""

    model: ChatModel
    question: Question
    calibration: Calibration = IDENTITY

    @property
    def name(self) -> str:
        """What scores carry as their judge."""
        return "judge"

    async def score(self, task: Task, branches: Sequence[Branch]) -> Sequence[Score]:
        """One score for each branch, all asked in one round trip. Raises ModelError."""
        values = await _affirmed(self.model, [tuple(self.question(task, branch)) for branch in branches])
        return [Score(self.calibration(value), self.name) for value in values]


@dataclass(frozen=True, slots=True)
class Adapter:
    """A trained adapter on the same server, by its name there."""

    model: ChatModel
    adapter: str
    question: Question
    calibration: Calibration = IDENTITY

    @property
    def name(self) -> str:
        """What scores carry as their judge."""
        return self.adapter

    async def score(self, task: Task, branches: Sequence[Branch]) -> Sequence[Score]:
        """One score for each branch, all asked in one round trip. Raises ModelError."""
        prompts = [tuple(self.question(task, branch)) for branch in branches]
        values = await _affirmed(self.model, prompts, self.adapter)
        return [Score(self.calibration(value), self.name) for value in values]


def about_patch(question: PatchQuestion) -> Question:
    """The question of an outcome judge, which is shown the issue and the patch alone; branches need a candidate."""

    def asked(task: Task, branch: Branch) -> Sequence[ChatMessage]:
        if branch.candidate is None:
            raise ValueError(branch.id)
        return question(task.issue, replace(branch.candidate, id="", proposer="", pattern="", think="", answer=""))

    return asked


async def _affirmed(model: ChatModel, prompts: Sequence[Prompt], adapter: str = "") -> Sequence[float]:
    """The probability of yes for each prompt; equal ones are asked once."""
    distinct = tuple(dict.fromkeys(prompts))
    if not distinct:
        return []
    values = dict(zip(distinct, await model.affirm(distinct, model=adapter), strict=True))
    return [values[prompt] for prompt in prompts]
