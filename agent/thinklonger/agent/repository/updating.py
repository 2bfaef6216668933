"""Bringing a store up to date with a listing: verify each file, index what is new or different, note the rest."""

import asyncio
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import NamedTuple, TypeVar

from thinklonger.agent.repository.disk import LARGEST_SOURCE, UNVERIFIED, read_regular, settled
from thinklonger.agent.repository.indexing import Job, Outcome, index
from thinklonger.agent.repository.inversion import PARSER_FAILED, Inversion, content_key
from thinklonger.agent.repository.languages import BY_SUFFIX
from thinklonger.agent.repository.listing import Listing, Problem, problem
from thinklonger.agent.repository.locking import Lock
from thinklonger.agent.repository.store import Facts, Store
from thinklonger.agent.types import Layer

T = TypeVar("T")

_LOCK_SECONDS = 120.0
UNKNOWN = Facts(0, 0, 0, 0, 0, sound=True, definitions=0)
"""A file that is listed, not analysed."""


class StoppedError(Exception):
    """The opening was cancelled."""


class Updated(NamedTuple):
    """The state of a tree: what is known of each source file, how many were parsed for that, and what was odd."""

    tree: int
    table: dict[str, Facts]
    parsed: int
    problems: list[Problem]


@dataclass(slots=True)
class _Plan:
    """What a look at the store says: verified paths, and jobs for those that are new or look different."""

    tree: int
    table: dict[str, Facts]
    jobs: dict[int, Job] = field(default_factory=dict[int, Job])
    gone: list[str] = field(default_factory=list[str])


class Update:
    """One update of one store."""

    def __init__(self, store: Store, listing: Listing, overlay: Layer, stop: threading.Event) -> None:
        """Nothing happens yet; setting `stop` ends it early with StoppedError."""
        self.store = store
        self.listing = listing
        self.stop = stop
        self.overlay = {
            str(path): state.content if state else None for path, state in overlay.items() if path.suffix in BY_SUFFIX
        }

    async def run(self) -> Updated:
        """Do it; cancelling waits for the step at hand (a fraction of a second)."""
        plan = await self._in_thread(self._plan)
        outcomes: list[Outcome] = []
        if plan.jobs or plan.gone:
            lock = Lock(self._lock_file(), seconds=_LOCK_SECONDS, stop=self.stop) if self.store.path else None
            try:
                if lock is not None:
                    await self._in_thread(lock.acquire)
                    if lock.waited:
                        plan = await self._in_thread(self._plan)
                outcomes = await self._index(plan)
                await self._in_thread(lambda: self._keep(plan, outcomes))
            finally:
                if lock is not None:
                    lock.release()
        if self.overlay:
            outcomes += await self._in_thread(lambda: self._lay_over(plan))
        problems = _unreadable(self.listing, plan, outcomes) + _oddities(plan.table)
        return Updated(plan.tree, plan.table, sum(item.parsed and item.document > 0 for item in outcomes), problems)

    def _lock_file(self) -> Path:
        """Held while a store is written to."""
        return (self.store.path or Path()).with_suffix(".busy")

    async def _in_thread(self, step: Callable[[], T]) -> T:
        """Run a step off the event loop; when cancelled, wait until it has noticed."""
        task = asyncio.ensure_future(asyncio.to_thread(step))
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            self.stop.set()
            await asyncio.wait([task])
            raise

    # ── steps ──

    def _plan(self) -> _Plan:
        """Compare what the disk says with what the store knows."""
        store, listing = self.store, self.listing
        tree = store.tree(listing.root)
        rows = store.rows(tree)
        plan = _Plan(tree, {})
        changed: list[str] = []
        for path, stamp in listing.sources.items():
            row = rows.pop(path, None)
            if stamp.size > LARGEST_SOURCE:
                plan.table[path] = UNKNOWN
            elif row is not None and row.stamp == stamp:
                plan.table[path] = row.facts
            else:
                changed.append(path)
        plan.gone = list(rows)
        if changed:
            first = store.reserve(len(changed))
            plan.jobs = {number: Job(number, path) for number, path in enumerate(changed, first)}
        return plan

    async def _index(self, plan: _Plan) -> list[Outcome]:
        """Do a plan's jobs, in processes if there is much to parse."""
        jobs = list(plan.jobs.values())
        if self.store.path is not None:
            from thinklonger.agent.repository import workers  # noqa: PLC0415 - rarely needed, and not cheap

            sizes = [self.listing.sources[job.path].size for job in jobs]
            if workers.worth_it(sizes):
                try:
                    found = await workers.index_in_workers(
                        str(self.listing.root), list(zip(jobs, sizes, strict=True)), self.store.path
                    )
                except workers.BrokenWorkerError:
                    pass
                else:
                    return await self._in_thread(lambda: self._without_culprits(plan, found))
        return await self._in_thread(lambda: self._index_here(jobs))

    def _index_here(self, jobs: list[Job]) -> list[Outcome]:
        """Do jobs in this process."""

        def check(_: Job) -> None:
            if self.stop.is_set():
                raise StoppedError

        batches = index(str(self.listing.root), jobs, self.store, on_start=check)
        return [outcome for batch in batches for outcome in batch]

    def _without_culprits(self, plan: _Plan, outcomes: list[Outcome]) -> list[Outcome]:
        """Note contents that break the parser as such, so that nobody tries them again."""
        settled_ones: list[Outcome] = []
        for outcome in outcomes:
            if outcome.document or not outcome.parsed:
                settled_ones.append(outcome)
                continue
            path = plan.jobs[outcome.number].path
            content = read_regular(f"{self.listing.root}/{path}", LARGEST_SOURCE)
            if content is None:
                continue
            inversion = Inversion()
            suffix = PurePosixPath(path).suffix
            inversion.add_broken(outcome.number, content_key(content[0], suffix), suffix)
            numbers = self.store.write(*inversion.finish())
            settled_ones.append(Outcome(outcome.number, numbers[outcome.number], parsed=True))
        return settled_ones

    def _keep(self, plan: _Plan, outcomes: list[Outcome]) -> None:
        """Note the outcomes in the store and in the plan's table."""
        facts = self.store.facts({outcome.document for outcome in outcomes})
        changed: list[tuple[str, Facts]] = [
            (plan.jobs[outcome.number].path, facts[outcome.document])
            for outcome in outcomes
            if outcome.document in facts
        ]
        plan.table.update(changed)
        sources, looked = self.listing.sources, self.listing.looked_at
        self.store.update_tree(
            plan.tree,
            [
                (path, known.document, sources[path] if settled(sources[path], looked) else UNVERIFIED)
                for path, known in changed
            ],
            plan.gone,
        )
        self.store.merge_segments()

    def _lay_over(self, plan: _Plan) -> list[Outcome]:
        """Put the overlay's files into the table, not into the tree: they are not on disk."""
        contents = {path: content for path, content in self.overlay.items() if content is not None}
        small = [path for path, content in contents.items() if len(content) <= LARGEST_SOURCE]
        first = self.store.reserve(len(small))
        jobs = [Job(number, path, contents[path]) for number, path in enumerate(small, first)]
        outcomes = self._index_here(jobs)
        facts = self.store.facts({outcome.document for outcome in outcomes})
        for path in self.overlay:
            plan.table.pop(path, None)
            if path in contents:
                plan.table[path] = UNKNOWN
        for outcome in outcomes:
            plan.table[jobs[outcome.number - first].path] = facts[outcome.document]
        return outcomes


def _unreadable(listing: Listing, plan: _Plan, outcomes: Iterable[Outcome]) -> list[Problem]:
    """Files that could not be read."""
    return [
        problem(plan.jobs[outcome.number].path, "unreadable", reason=outcome.reason)
        for outcome in outcomes
        if outcome.reason and plan.jobs[outcome.number].path in listing.sources
    ]


def _oddities(table: dict[str, Facts]) -> list[Problem]:
    """What the index knows to be odd about contents."""
    found: list[Problem] = []
    for path, facts in table.items():
        if facts.error_line == PARSER_FAILED:
            found.append(problem(path, "parser-failed"))
        elif not facts.sound:
            found.append(problem(path, "not-text"))
        elif facts.error_line:
            found.append(problem(path, "syntax-error", line=facts.error_line))
    return found
