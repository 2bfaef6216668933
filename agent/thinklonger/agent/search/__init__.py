"""Search as functions of functions: what proposes, what judges, what checks and what is enough are arguments.

It knows no model, no solver, no test and no flag. `explore` tries a stream of proposals; `dev_search` drives decisions
from files to places to patches.
"""

from thinklonger.agent.search.driver import dev_search
from thinklonger.agent.search.exploring import Checked, Progress, explore, within
from thinklonger.agent.search.nouns import (
    Draw,
    Entrant,
    Failed,
    Halt,
    Happening,
    Kept,
    Noted,
    Proposed,
    Pruned,
    Scored,
    Stopped,
    Trial,
    Verified,
    WaveBegan,
)
from thinklonger.agent.search.plans import Criterion, Plan, plan_for
from thinklonger.agent.search.selection import ranked
from thinklonger.agent.search.steering import Place, Steering
from thinklonger.agent.search.steps import Steps

__all__ = [
    "Checked",
    "Criterion",
    "Draw",
    "Entrant",
    "Failed",
    "Halt",
    "Happening",
    "Kept",
    "Noted",
    "Place",
    "Plan",
    "Progress",
    "Proposed",
    "Pruned",
    "Scored",
    "Steering",
    "Steps",
    "Stopped",
    "Trial",
    "Verified",
    "WaveBegan",
    "dev_search",
    "explore",
    "plan_for",
    "ranked",
    "within",
]
