"""What both jobs find out by reading: the code, what the issue says of it, and where to look."""

import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from thinklonger.agent.config.places import cache_directory
from thinklonger.agent.issue import Clues
from thinklonger.agent.pipeline.pointers import missing_contents
from thinklonger.agent.pipeline.request import Request
from thinklonger.agent.repository import Repository, open_repository
from thinklonger.agent.stages.localize import rank_locations
from thinklonger.agent.stages.understand import rank_files
from thinklonger.agent.stages.verify.reproduction import Reproduction
from thinklonger.agent.trace.events import (
    Event,
    FilesRanked,
    LocationsRanked,
    ProblemFound,
    RepositoryIndexed,
    StageFinished,
    StageStarted,
)
from thinklonger.agent.types import FileRank, LineCoverage, Location, Stage


@dataclass(slots=True)
class Survey:
    """The findings, filled step by step; each step is a stream of events."""

    request: Request
    stack: AsyncExitStack
    clues: Clues
    started: float = field(default_factory=time.monotonic)
    repository: Repository = field(init=False)
    reproduction: Reproduction | None = None
    coverage: LineCoverage = field(default_factory=dict[str, Mapping[PurePosixPath, frozenset[int]]])
    files: tuple[FileRank, ...] = ()
    locations: tuple[Location, ...] = ()

    def steps(self) -> tuple[AsyncGenerator[Event], ...]:
        """All that this survey does, in order."""
        return self.read(), self.rank()

    async def read(self) -> AsyncGenerator[Event]:
        """Index the repository, and rank its files by what the issue says."""
        request = self.request
        yield StageStarted(Stage.UNDERSTAND)
        started = time.monotonic()
        self.repository = await open_repository(
            request.repository, cache=cache_directory(request.settings), overlay=request.overlay
        )
        self.stack.push_async_callback(self.repository.close)
        for problem in self.repository.problems:
            yield ProblemFound(problem.message, problem.path)
        for missing in missing_contents(self.repository.root, self.repository.snapshot_files()):
            yield ProblemFound(missing)
        statistics = self.repository.statistics
        yield RepositoryIndexed(
            files=statistics.files,
            symbols=statistics.symbols,
            reused=statistics.reused,
            seconds=statistics.seconds,
            commit=self.repository.commit,
        )
        self.rank_files()
        yield FilesRanked(self.files)
        yield StageFinished(Stage.UNDERSTAND, time.monotonic() - started)

    async def rank(self) -> AsyncGenerator[Event]:
        """Rank files and code with all that is known by now."""
        yield StageStarted(Stage.LOCALIZE)
        started = time.monotonic()
        if self.reproduction is not None:
            self.rank_files()
            yield FilesRanked(self.files)
        self.locations = rank_locations(
            self.request.issue,
            self.clues,
            self.repository,
            self.files,
            reproduction=self.reproduction.run if self.reproduction else None,
            coverage=self.coverage,
            red=frozenset(self.reproduction.tests if self.reproduction else ()),
            top=self.request.settings.localize.top,
        )
        yield LocationsRanked(self.locations, executed=self.reproduction is not None)
        yield StageFinished(Stage.LOCALIZE, time.monotonic() - started)

    def rank_files(self) -> None:
        """Rank files with all that is known by now."""
        self.files = rank_files(
            self.request.issue,
            self.clues,
            self.repository,
            reproduction=self.reproduction.run if self.reproduction else None,
            coverage=self.coverage,
            red=frozenset(self.reproduction.tests if self.reproduction else ()),
        )
