"""Rewards: how much to believe in a decision or a patch, as a probability that means the same whoever judges.

Process rewards judge the branches of one stage, outcome rewards whole patches; both are `protocols.Reward` with the
same three back-ends: a trained adapter, a prompted judge, evidence.
"""

from thinklonger.agent.reward.calibration import IDENTITY, Calibration, calibration_error, fit
from thinklonger.agent.reward.choosing import Backed, Chosen, choose_reward
from thinklonger.agent.reward.evidence import Evidence, Weights
from thinklonger.agent.reward.judging import Adapter, Judge, PatchQuestion, Question, about_patch

__all__ = [
    "IDENTITY",
    "Adapter",
    "Backed",
    "Calibration",
    "Chosen",
    "Evidence",
    "Judge",
    "PatchQuestion",
    "Question",
    "Weights",
    "about_patch",
    "calibration_error",
    "choose_reward",
    "fit",
]
