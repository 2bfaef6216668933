"""Fault localization with a served model: its files and places, judged, above those of the built-in ranking."""

import time
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath

from thinklonger.agent.chat import Usage
from thinklonger.agent.errors import ModelError
from thinklonger.agent.pipeline.rewards import choose_rewards
from thinklonger.agent.pipeline.rollouts import Decisions
from thinklonger.agent.pipeline.survey import Survey
from thinklonger.agent.pipeline.telling import Teller, told_branch
from thinklonger.agent.protocols import Branch, ChatModel, Task
from thinklonger.agent.search import Draw, Noted
from thinklonger.agent.trace.events import (
    BranchScored,
    Event,
    FilesRanked,
    LocationsRanked,
    ModelProbed,
    ProblemFound,
    StageFinished,
)
from thinklonger.agent.types import FileRank, Localization, Location, Score, Stage

FADING = 0.7  # each further place of a branch counts this much less
BELOW = 0.99  # what the built-in ranking found comes below what the model named


@dataclass(slots=True)
class Asked:
    """One survey with a model's word on top; `ask` before `survey`'s own ranking is told for the last time."""

    survey: Survey
    model: ChatModel
    teller: Teller = field(default_factory=Teller)
    scores: dict[str, float] = field(default_factory=dict[str, float])

    async def ask(self) -> AsyncGenerator[Event]:
        """Ask for files and places; a server that can't be used leaves the ranking as it is, and that is said."""
        started = time.monotonic()
        try:
            facts = await self.model.facts()
            yield ModelProbed(facts, time.monotonic() - started)
            survey, settings = self.survey, self.survey.request.settings
            rewards = choose_rewards(self.model, facts, settings.served)
            for message in rewards.notes:
                yield ProblemFound(message)
            decisions = Decisions(
                survey=survey,
                model=self.model,
                process=rewards.process,
                outcome=rewards.outcome,
                task=Task(survey.request.issue, survey.repository, localization=_known(survey)),
                teller=self.teller,
                tests=(),
                seconds_per_test=0.0,
                flags=lambda _: 0,
            )
            async with aclosing(self._search(decisions, settings.search.samples, settings.search.keep)) as events:
                async for event in events:
                    yield event
        except ModelError as error:
            yield ProblemFound(error.message)
        for stage in (Stage.UNDERSTAND, Stage.LOCALIZE):
            yield StageFinished(stage, time.monotonic() - started, self.teller.usage.get(stage, Usage()))

    async def _search(self, decisions: Decisions, samples: int, keep: int) -> AsyncGenerator[Event]:
        """The best of the model's files, the places in them, and the rankings that come of it."""
        files: list[Branch] = []
        async for event in self._draw(decisions.understand(Draw(1, samples)), files):
            yield event
        for event in await self._judge(decisions, files):
            yield event
        places: list[Branch] = []
        for branch in self._best(files)[:keep]:
            async for event in self._draw(decisions.localize(branch, Draw(1, max(1, samples // keep))), places):
                yield event
        for event in await self._judge(decisions, places):
            yield event
        self.survey.files = merged_files(self._best(files), self.survey.files)
        self.survey.locations = merged_places(self._best(places), self.scores, self.survey.locations)
        yield FilesRanked(self.survey.files)
        yield LocationsRanked(self.survey.locations, executed=self.survey.reproduction is not None)

    async def _draw(self, stream: AsyncIterator[Branch | Noted[Event]], found: list[Branch]) -> AsyncGenerator[Event]:
        async for item in stream:
            if isinstance(item, Noted):
                yield item.note
            else:
                found.append(item)
                yield told_branch(item)

    async def _judge(self, decisions: Decisions, branches: Sequence[Branch]) -> Sequence[Event]:
        """Score branches, if there is anything to choose."""
        if len({branch.decided for branch in branches}) < 2:  # noqa: PLR2004 (nothing to choose)
            return []
        scores: Sequence[Score] = await decisions.score(branches[0].stage, branches)
        self.scores.update({branch.id: score.value for branch, score in zip(branches, scores, strict=True)})
        return [BranchScored(branch.id, score) for branch, score in zip(branches, scores, strict=True)]

    def _best(self, branches: Sequence[Branch]) -> list[Branch]:
        """Those that differ, the most believed first; how many decided the same counts between equals."""
        votes: dict[str, int] = {}
        first: dict[str, Branch] = {}
        for branch in branches:
            votes[branch.decided] = votes.get(branch.decided, 0) + 1
            first.setdefault(branch.decided, branch)
        return sorted(first.values(), key=lambda branch: (-self.scores.get(branch.id, 0.5), -votes[branch.decided]))


def _known(survey: Survey) -> Localization:
    return Localization(survey.files, survey.locations)


def merged_files(branches: Sequence[Branch], ranked: Sequence[FileRank]) -> tuple[FileRank, ...]:
    """The model's files first, in the order of belief, then the others; the built-in evidence stays with each."""
    named = list(dict.fromkeys(path for branch in branches for path in branch.files))
    by_path = {rank.path: rank for rank in ranked}
    order = [by_path.get(path, FileRank(path, 0.0, ())) for path in named]
    order += [rank for rank in ranked if rank.path not in set(named)]
    return tuple(replace(rank, score=round(1 - place / (len(order) + 1), 4)) for place, rank in enumerate(order))


def merged_places(
    branches: Sequence[Branch], scores: dict[str, float], ranked: Sequence[Location]
) -> tuple[Location, ...]:
    """The model's places by belief and by their place in the answer, then the others below them."""
    weights: dict[tuple[PurePosixPath, str], float] = {}
    named: dict[tuple[PurePosixPath, str], Location] = {}
    for branch in branches:
        for place, location in enumerate(branch.locations):
            key = (location.path, location.symbol)
            named.setdefault(key, location)
            weights[key] = weights.get(key, 0.0) + scores.get(branch.id, 0.5) * FADING**place
    known = {(location.path, location.symbol): location for location in ranked}
    top = max(weights.values(), default=1.0)
    first = [
        replace(
            named[key],
            score=round(weight / top, 4),
            evidence=(*named[key].evidence, *(known[key].evidence if key in known else ())),
        )
        for key, weight in sorted(weights.items(), key=lambda pair: -pair[1])
    ]
    lowest = min((location.score for location in first), default=1.0)
    rest = [
        replace(item, score=round(BELOW * lowest * item.score, 4)) for key, item in known.items() if key not in named
    ]
    return (*first, *rest)
