"""All of a repository's tests: which files hold them, and which tests each holds, as far as is known by now."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from thinklonger.agent.execution.harness import Harness
from thinklonger.agent.execution.memory import Digests, SuiteMemory
from thinklonger.agent.execution.outcomes import Runner, test_path
from thinklonger.agent.protocols import RepositoryView

CHUNK = 24
"""Test files that one process collects: its start is then a small part of its work, and little is lost with it."""
CHUNK_SECONDS = 120.0
COLLECTS_FILES = b"pytest_collect_file"
"""What a conftest.py defines that makes tests of other files than Python's."""


@dataclass(frozen=True, slots=True)
class SuiteFacts:
    """How much of a suite is known: of `files` test files `collected` were collected and hold `tests` tests.

    `counted` further tests were counted in the other files by reading them (each once, whatever its parameters).
    """

    files: int
    collected: int
    tests: int
    counted: int


@dataclass(slots=True)
class Suite:
    """The test files of a repository, and the tests in those that were collected, in this run or an earlier one.

    `files` are known by reading: test files that define something to run, and what `known` has beside them.
    """

    harness: Harness
    memory: SuiteMemory
    digests: Digests
    counts: Mapping[PurePosixPath, int]
    whole: bool = False
    known: dict[PurePosixPath, tuple[str, ...]] = field(default_factory=dict[PurePosixPath, tuple[str, ...]])

    @property
    def files(self) -> tuple[PurePosixPath, ...]:
        """All test files, sorted."""
        return tuple(sorted({*self.counts, *(path for path, tests in self.known.items() if tests)}))

    @property
    def facts(self) -> SuiteFacts:
        """How much is known."""
        files = self.files
        collected = [path for path in files if path in self.known]
        return SuiteFacts(
            files=len(files),
            collected=len(collected),
            tests=sum(len(self.known[path]) for path in collected),
            counted=sum(self.counts[path] for path in files if path not in self.known),
        )

    def recall(self) -> None:
        """Take over what earlier runs collected, and what this run's proof did."""
        self.known.update(self.memory.tests(self.digests))
        if self.harness.all_tests is not None:
            self.learn(self.harness.all_tests, self.counts)

    def learn(self, tests: Sequence[str], collected: Mapping[PurePosixPath, int] | Sequence[PurePosixPath]) -> None:
        """These files were collected and have these tests."""
        found: dict[PurePosixPath, list[str]] = {path: [] for path in collected}
        for test in tests:
            found.setdefault(test_path(test), []).append(test)
        told = {path: tuple(ids) for path, ids in found.items()}
        self.known.update(told)
        self.memory.keep_tests(told, self.digests)

    def targets(self, path: PurePosixPath) -> tuple[str, ...]:
        """What to name to run all tests of a file: the tests where they are known, else the file."""
        return self.known.get(path, (str(path),))

    def costs(self, timings: Mapping[str, float], seconds: float) -> dict[str, float]:
        """How long targets take: as they did before, a file that was never collected so many `seconds` a test."""
        guessed = {str(path): seconds * max(count, 1) for path, count in self.counts.items() if path not in self.known}
        return guessed | dict(timings)

    async def collect(self, *, workers: int = 1, seconds: float = CHUNK_SECONDS, idle: bool = False) -> None:
        """Collect the files that are not known, in parallel, and remember what they hold.

        Files that bring a collection down are left uncollected. Raises SandboxError only.
        """
        if self.harness.runner is Runner.COMMAND:
            return
        left = [path for path in self.counts if path not in self.known]
        if self.whole and 2 * len(left) > len(self.counts):
            found = await self.harness.discover(None, seconds=seconds, idle=idle)
            if found is not None:
                self.learn([test for tests in found.values() for test in tests], self.counts)
                return
        chunks = [left[start : start + CHUNK] for start in range(0, len(left), CHUNK)]
        tasks = [asyncio.create_task(self._work(chunks, seconds, idle=idle)) for _ in range(max(1, workers))]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _work(self, chunks: list[list[PurePosixPath]], seconds: float, *, idle: bool) -> None:
        """Collect chunk after chunk; one that fails is cut in half until the culprit is alone."""
        while chunks:
            chunk = chunks.pop(0)
            found = await self.harness.discover(chunk, seconds=seconds, idle=idle)
            if found is not None:
                self.learn([test for tests in found.values() for test in tests], chunk)
            elif len(chunk) > 1:
                middle = len(chunk) // 2
                chunks += [chunk[:middle], chunk[middle:]]


def count_tests(repository: RepositoryView) -> dict[PurePosixPath, int]:
    """How many tests each test file defines, by the names of its functions; files without any are left out."""
    counts: dict[PurePosixPath, int] = {}
    for path in repository.paths():
        if repository.is_test(path) and is_test_file(path):
            names = (symbol.name.rpartition(".")[2] for symbol in repository.symbols(path))
            count = sum(name.startswith("test") for name in names)
            if count:
                counts[path] = count
    return counts


def is_test_file(path: PurePosixPath) -> bool:
    """Whether runners take a file for one with tests, by its name."""
    return path.suffix == ".py" and (path.name.startswith("test") or path.stem.endswith(("_test", "_tests")))


def collects_files(read: Callable[[PurePosixPath], bytes | None], files: Sequence[PurePosixPath]) -> bool:
    """Whether a conftest.py makes tests of other files than Python's: then only the whole suite knows them."""
    return any(COLLECTS_FILES in (read(path) or b"") for path in files if path.name == "conftest.py")
