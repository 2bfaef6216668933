"""The patch stage: every proposer's candidates, each meaning once, each with an answer to show."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import cast

from thinklonger.agent.edits import parse_blocks
from thinklonger.agent.protocols import RepositoryView, Task
from thinklonger.agent.stages.patch import propose
from thinklonger.agent.types import (
    Candidate,
    FileChange,
    FileState,
    Issue,
    IssueSource,
    Location,
    SymbolKind,
)

BEFORE = b"def half(n):\n    return n / 2\n"
PATH = PurePosixPath("halves.py")


def candidate(name: str, after: bytes, *, normalized: str = "", answer: str = "") -> Candidate:
    """A candidate that changes the one file."""
    return Candidate(
        id=name,
        proposer="scripted",
        pattern="operator",
        think="The operator is suspicious.",
        answer=answer,
        changes=(FileChange(PATH, FileState(BEFORE), FileState(after)),),
        location=Location(PATH, "half", SymbolKind.FUNCTION, 1, 2, 1.0, ()),
        prior=0.5,
        normalized=normalized,
    )


@dataclass(frozen=True)
class Scripted:
    """A proposer that offers what it was given."""

    offers: tuple[Candidate, ...]
    name: str = "scripted"

    async def patches(self, task: Task) -> AsyncIterator[Candidate]:
        """The offers, in order."""
        del task
        for offer in self.offers:
            yield offer


TASK = Task(Issue("halves are wrong", IssueSource.TEXT), cast("RepositoryView", None))
FLOOR = b"def half(n):\n    return n // 2\n"
SPACED = b"def half(n):\n    return n//2  # whole\n"


async def test_what_means_the_same_comes_once() -> None:
    """Formatting and comments make no second candidate, also across proposers."""
    proposers = (
        Scripted((candidate("a", FLOOR),)),
        Scripted((candidate("b", SPACED), candidate("c", BEFORE + b"\n1\n"))),
    )
    found = [proposal.candidate.id async for proposal in propose(proposers, TASK)]
    assert found == ["a", "c"]


async def test_a_candidate_says_what_it_means() -> None:
    """The proposer's own normal form counts where it gives one."""
    offers = (candidate("a", FLOOR, normalized="x"), candidate("b", BEFORE + b"\n1\n", normalized="x"))
    assert [proposal.candidate.id async for proposal in propose((Scripted(offers),), TASK)] == ["a"]


async def test_every_candidate_has_an_answer_and_a_diff() -> None:
    """Where the proposer gave no answer, it is the change as search/replace blocks; its own words stay."""
    offers = (candidate("a", FLOOR), candidate("b", BEFORE + b"\n1\n", answer="my words"))
    first, second = [proposal async for proposal in propose((Scripted(offers),), TASK)]
    assert parse_blocks(first.candidate.answer)
    assert "+    return n // 2" in first.diff
    assert second.candidate.answer == "my words"
