"""How candidates behave: record calls of the edited code, vary their arguments, run every candidate, compare."""

from thinklonger.agent.execution.behaviour.anomalies import Anomalies, anomalies_of, extends, untested_order
from thinklonger.agent.execution.behaviour.comparison import compare
from thinklonger.agent.execution.behaviour.grouping import difference_between
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
    "Anomalies",
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
    "anomalies_of",
    "compare",
    "difference_between",
    "extends",
    "untested_order",
]
