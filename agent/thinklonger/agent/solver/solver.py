"""The proposer that needs no model: suspicious places × fix patterns, best first."""

from collections.abc import AsyncIterator

from thinklonger.agent.protocols import Task
from thinklonger.agent.types import Candidate


class Solver:
    """Proposes single-edit patches from the catalogue; reads source text and the task's evidence, runs nothing.

    Candidates come most promising first, in an order that depends on the task alone. Each changes one contiguous
    region of one file that is not a test; the changed file parses. No two have the same `normalized`.
    """

    name = "builtin"

    async def patches(self, task: Task) -> AsyncIterator[Candidate]:
        """Candidates for the task, most promising first, until the catalogue is exhausted."""
        for candidate in _candidates(task):
            yield candidate


def _candidates(task: Task) -> list[Candidate]:
    del task
    return []
