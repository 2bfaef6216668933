"""Runs a repository's tests inside a sandbox and says what they prove."""

from thinklonger.agent.execution.baseline import BaselineCache, measure_baseline, tree_digest
from thinklonger.agent.execution.commands import split_command
from thinklonger.agent.execution.harness import Harness, prove
from thinklonger.agent.execution.interpreter import find_interpreter
from thinklonger.agent.execution.outcomes import Baseline, Execution, Runner, Screened, ScreenResult
from thinklonger.agent.execution.regression import choose_regression, choose_test_files

__all__ = [
    "Baseline",
    "BaselineCache",
    "Execution",
    "Harness",
    "Runner",
    "ScreenResult",
    "Screened",
    "choose_regression",
    "choose_test_files",
    "find_interpreter",
    "measure_baseline",
    "prove",
    "split_command",
    "tree_digest",
]
