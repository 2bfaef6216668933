"""What a search stands on: the steps that propose, judge and run, which whoever composes the stages provides."""

from collections.abc import AsyncIterator, Sequence
from typing import Protocol, TypeVar

from thinklonger.agent.protocols import Branch
from thinklonger.agent.search.nouns import Draw, Noted, Trial
from thinklonger.agent.types import Score, Stage

Note = TypeVar("Note")


class Steps(Protocol[Note]):
    """The steps of a search.

    Streams give branches as they are found, numbered as `Draw` says, and notes for the record. A stream that raises
    ModelError ends its branch only, unless the server can't be used at all (unreachable, auth, model-not-found). A
    stream that is no longer wanted is closed. Any number of streams run at once.

    A step that remembers what an earlier run drew may give that again instead of drawing: the search makes the same
    choices from the same answers.
    """

    def understand(self, draw: Draw, /) -> AsyncIterator[Branch | Noted[Note]]:
        """Which files: branches of stage UNDERSTAND."""
        ...

    def localize(self, parent: Branch, draw: Draw, /) -> AsyncIterator[Branch | Noted[Note]]:
        """Which places, given a branch's files: branches of stage LOCALIZE."""
        ...

    def patch(self, parent: Branch, draw: Draw, /) -> AsyncIterator[Branch | Noted[Note]]:
        """Which patch, given a branch's places: branches of stage PATCH."""
        ...

    def debug(self, failed: Branch, trial: Trial, turn: int, /) -> AsyncIterator[Branch | Noted[Note]]:
        """A better patch after one that failed: one branch of stage PATCH at most. `turn` counts from 1."""
        ...

    def verify(self, patch: Branch, /) -> AsyncIterator[Trial | Noted[Note]]:
        """Run a patch: one trial, last."""
        ...

    async def score(self, stage: Stage, branches: Sequence[Branch], /) -> Sequence[Score]:
        """Judge the branches of one stage, all at once: one score for each."""
        ...
