"""Which judge there is: a trained adapter, else the base model with a prompt, else evidence."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from thinklonger.agent.chat import ModelFacts, Trouble
from thinklonger.agent.errors import ModelError
from thinklonger.agent.protocols import Branch, ChatModel, Reward, Task
from thinklonger.agent.reward.calibration import IDENTITY, Calibration, known
from thinklonger.agent.reward.evidence import Evidence
from thinklonger.agent.reward.judging import Adapter, Judge, Question
from thinklonger.agent.types import Message, Score

UNANSWERABLE = frozenset(
    f"model.{trouble}" for trouble in (Trouble.CONTEXT_OVERFLOW, Trouble.BAD_PARAMETER, Trouble.EMPTY)
)
"""Troubles that lie in what was asked: a model that can't answer one question may still answer the next."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """A judge, and what the record should say where it is not the one that was asked for."""

    reward: Reward
    message: Message | None = None


@dataclass(frozen=True, slots=True)
class Backed:
    """A model's judgement, or evidence for a group of branches that the model could not be asked about."""

    judge: Judge | Adapter
    evidence: Evidence

    @property
    def name(self) -> str:
        """What scores carry as their judge, as a rule."""
        return self.judge.name

    async def score(self, task: Task, branches: Sequence[Branch]) -> Sequence[Score]:
        """One score for each branch, all by the same judge. Raises ModelError where the server is at fault."""
        try:
            return await self.judge.score(task, branches)
        except ModelError as error:
            if error.message.key not in UNANSWERABLE:
                raise
        return await self.evidence.score(task, branches)


def choose_reward(  # noqa: PLR0913 (what there is, piece by piece)
    question: Question,
    *,
    model: ChatModel | None,
    facts: ModelFacts | None,
    adapter: str = "",
    evidence: Evidence | None = None,
    calibrations: Mapping[str, Calibration] | None = None,
) -> Chosen:
    """The best judge there is for one kind of question.

    `adapter` is the name of the trained one, empty for none; if the server does not have it, the base model judges, and
    the record says so. `evidence` judges without a model, and what a model can't be asked. `calibrations` are by
    judge's name; by default what is known.
    """
    table = known() if calibrations is None else calibrations
    found = evidence or Evidence()
    found = replace(found, calibration=table.get(found.name, found.calibration))
    if model is None:
        return Chosen(found)
    if adapter and facts is not None and adapter in facts.adapters:
        return Chosen(Backed(Adapter(model, adapter, question, table.get(adapter, IDENTITY)), found))
    judge = Judge(model, question)
    chosen = Backed(replace(judge, calibration=table.get(judge.name, IDENTITY)), found)
    if not adapter:
        return Chosen(chosen)
    there = ", ".join(facts.adapters) if facts else ""
    missing = Message("reward.no-adapter", {"adapter": adapter, "there": there})
    return Chosen(chosen, missing if there else Message("reward.no-adapters", {"adapter": adapter}))
