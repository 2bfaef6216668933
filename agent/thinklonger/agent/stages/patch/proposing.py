"""Candidates from every proposer, each once, never touching a test, shown as search/replace blocks."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace

from thinklonger.agent.edits import edits_of, normalized, render_blocks, render_diff
from thinklonger.agent.protocols import Proposer, Task
from thinklonger.agent.types import Candidate


@dataclass(frozen=True, slots=True)
class Proposal:
    """A candidate with its diff, as views show it."""

    candidate: Candidate
    diff: str


async def propose(proposers: Sequence[Proposer], task: Task) -> AsyncIterator[Proposal]:
    """Each proposer's candidates in its own order, one proposer after the other; what means the same code comes once.

    A candidate without an answer of its own gets one, its changes as search/replace blocks; one that does not say what
    it means in normal form gets that.
    """
    seen: set[str] = set()
    for proposer in proposers:
        async for candidate in proposer.patches(task):
            meaning = candidate.normalized or normalized(candidate.changes)
            if meaning in seen:
                continue
            seen.add(meaning)
            answer = candidate.answer or render_blocks(edits_of(candidate.changes))
            yield Proposal(replace(candidate, answer=answer, normalized=meaning), render_diff(candidate.changes))
