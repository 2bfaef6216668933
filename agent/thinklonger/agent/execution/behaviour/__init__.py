"""How candidates behave: record calls of the edited code, vary their arguments, run every candidate on them, compare."""

from thinklonger.agent.execution.behaviour.comparison import compare
from thinklonger.agent.execution.behaviour.nouns import (
    Behaviour,
    CallInput,
    CallOutcome,
    Comparison,
    Difference,
    Observation,
    Origin,
    OutcomeKind,
    Plain,
    Runner,
    Survivor,
)

__all__ = [
    "Behaviour",
    "CallInput",
    "CallOutcome",
    "Comparison",
    "Difference",
    "Observation",
    "Origin",
    "OutcomeKind",
    "Plain",
    "Runner",
    "Survivor",
    "compare",
]
