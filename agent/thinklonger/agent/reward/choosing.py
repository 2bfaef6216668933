"""Which judge there is: a trained adapter, else the base model with a prompt, else evidence."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from thinklonger.agent.chat import ModelFacts
from thinklonger.agent.protocols import ChatModel, Reward
from thinklonger.agent.reward.calibration import IDENTITY, Calibration, known
from thinklonger.agent.reward.evidence import Evidence
from thinklonger.agent.reward.judging import Adapter, Judge, Question
from thinklonger.agent.types import Message


@dataclass(frozen=True, slots=True)
class Chosen:
    """A judge, and what the record should say where it is not the one that was asked for."""

    reward: Reward
    message: Message | None = None


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
    the record says so. Without a model `evidence` judges. `calibrations` by judge's name; by default what is known.
    """
    table = known() if calibrations is None else calibrations
    if model is None:
        found = evidence or Evidence()
        return Chosen(replace(found, calibration=table.get(found.name, found.calibration)))
    if adapter and facts is not None and adapter in facts.adapters:
        return Chosen(Adapter(model, adapter, question, table.get(adapter, IDENTITY)))
    judge = Judge(model, question)
    judge = replace(judge, calibration=table.get(judge.name, IDENTITY))
    if not adapter:
        return Chosen(judge)
    there = ", ".join(facts.adapters) if facts else ""
    missing = Message("reward.no-adapter", {"adapter": adapter, "there": there})
    return Chosen(judge, missing if there else Message("reward.no-adapters", {"adapter": adapter}))
