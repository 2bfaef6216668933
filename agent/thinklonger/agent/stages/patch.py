"""The patch stage: candidates from every proposer, each once, never touching a test, shown as search/replace blocks."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace

from thinklonger.agent.edits import edits_of, render_blocks, render_diff
from thinklonger.agent.protocols import Proposer, Task
from thinklonger.agent.types import Candidate


@dataclass(frozen=True, slots=True)
class Proposal:
    """A candidate with its diff, as views show it."""

    candidate: Candidate
    diff: str


async def propose(proposers: Sequence[Proposer], task: Task) -> AsyncIterator[Proposal]:
    """Each proposer's candidates in its own order, one proposer after the other; what means the same code comes once.

    A candidate without an answer of its own gets one: its changes as search/replace blocks.
    """
    seen: set[str] = set()
    for proposer in proposers:
        async for candidate in proposer.patches(task):
            if candidate.normalized in seen:
                continue
            seen.add(candidate.normalized)
            answer = candidate.answer or render_blocks(edits_of(candidate.changes))
            yield Proposal(replace(candidate, answer=answer), render_diff(candidate.changes))
