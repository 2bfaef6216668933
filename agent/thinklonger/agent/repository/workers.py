"""Running the indexing processes: how many, what each gets, and what happens when one breaks."""

import asyncio
import json
import os
import sqlite3
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Sequence
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

from thinklonger.agent.repository.indexing import Job, Outcome

IN_PROCESS_BYTES = 1_500_000
"""Less source than this is parsed in this process: about as much work as starting a worker."""
_SECOND_WORKER_BYTES = 24_000_000
"""From about four seconds of work on: a second process nearly halves the wait, and costs 5 to 15 % more in all (its
start, words that both cut, and the processor's caches)."""
_MOST_WORKERS = 2
_FILE_SECONDS = 60.0
_PARTING_SECONDS = 0.1
_LINE_LIMIT = 64 * 1024 * 1024


PROGRAM = (
    "import json, sys\n"
    "sys.path += json.loads(sys.argv.pop())\n"
    "from thinklonger.agent.repository.worker import main\n"
    "main()"
)


class BrokenWorkerError(Exception):
    """A worker ended before its first file: this way doesn't work here."""


def worth_it(sizes: Sequence[int]) -> bool:
    """Whether so many bytes of source are worth a process."""
    return sum(sizes) > IN_PROCESS_BYTES and bool(sys.executable)


async def index_in_workers(root: str, jobs: Sequence[tuple[Job, int]], store: Path) -> list[Outcome]:
    """Index files (each with its size) in processes; a file that breaks its process has `parsed` and no document.

    Raises:
        BrokenWorkerError: workers can't be started.
        sqlite3.OperationalError: the store failed them.
    """
    count = 1 if sum(size for _, size in jobs) < _SECOND_WORKER_BYTES else min(_MOST_WORKERS, os.cpu_count() or 1)
    tasks = [asyncio.ensure_future(_index_share(root, share, store)) for share in _shares(jobs, count)]
    try:
        found = await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
    return [outcome for outcomes in found for outcome in outcomes]


def _shares(jobs: Sequence[tuple[Job, int]], count: int) -> list[list[Job]]:
    """Equal shares by size, each of neighbouring files: they share words, which each worker cuts only once."""
    ordered = sorted(jobs, key=lambda pair: pair[0].path)
    whole = sum(size for _, size in ordered)
    shares: list[list[Job]] = [[] for _ in range(count)]
    done = 0
    for job, size in ordered:
        shares[min(count * done // max(whole, 1), count - 1)].append(job)
        done += size
    return [share for share in shares if share]


async def _index_share(root: str, share: list[Job], store: Path) -> list[Outcome]:
    """One share; where a file breaks the process, once more with reports on each file, to get past all such files."""
    done, _ = await _run_worker(root, share, store, careful=False)
    left = _unsettled(share, done)
    while left:
        found, culprit = await _run_worker(root, left, store, careful=True)
        done += found
        left = _unsettled(left, found)
        if left and culprit is None:
            raise BrokenWorkerError("silent")
        if left and culprit is not None:
            done.append(Outcome(culprit, 0, parsed=True))
            left = [job for job in left if job.number != culprit]
    return done


def _unsettled(jobs: list[Job], outcomes: list[Outcome]) -> list[Job]:
    """The jobs that have no outcome."""
    settled = {outcome.number for outcome in outcomes}
    return [job for job in jobs if job.number not in settled]


async def _run_worker(root: str, jobs: list[Job], store: Path, *, careful: bool) -> tuple[list[Outcome], int | None]:
    """One process: its outcomes, and the last file that it reported to look at."""
    pairs = [(job.number, job.path) for job in jobs]
    order = json.dumps({"root": root, "store": str(store), "jobs": pairs, "careful": careful})
    process = await _start()
    try:
        return await _listen(process, order.encode())
    finally:
        await _end(process)


async def _end(process: Process) -> None:
    """Make sure that a worker is gone; one that is about to end may do so (to kill it then makes asyncio complain)."""
    with suppress(TimeoutError):
        await asyncio.wait_for(process.wait(), _PARTING_SECONDS)
    if process.returncode is None:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


def _places() -> list[str]:
    """Where a worker finds what it imports beside the standard library; never the current folder: it is the user's."""
    specs = [find_spec(name) for name in ("thinklonger", "tree_sitter", "tree_sitter_python")]
    packages = [Path(place) for spec in specs for place in (spec.submodule_search_locations or () if spec else ())]
    here = Path.cwd()
    return list(dict.fromkeys(str(package.parent) for package in packages if package.parent != here))


async def _start() -> Process:
    """A worker that waits for its order.

    `-I -S`: what else is installed and configured for this interpreter would only be read to be left unused, and takes
    a fifth of a worker's start.
    """
    command = (sys.executable, "-I", "-S", "-c", PROGRAM, json.dumps(_places()))
    try:
        return await asyncio.create_subprocess_exec(
            *command, stdin=PIPE, stdout=PIPE, stderr=DEVNULL, limit=_LINE_LIMIT
        )
    except OSError as failure:
        raise BrokenWorkerError(str(failure)) from failure


async def _listen(process: Process, order: bytes) -> tuple[list[Outcome], int | None]:
    """Give the order and hear reports until the worker closes its end or is silent for too long."""
    if process.stdin is None or process.stdout is None:
        raise BrokenWorkerError("pipe")
    try:
        process.stdin.write(order)
        await process.stdin.drain()
        process.stdin.close()
    except (BrokenPipeError, ConnectionResetError) as failure:
        raise BrokenWorkerError(str(failure)) from failure
    found: list[Outcome] = []
    current: int | None = None
    while True:
        try:
            line = await asyncio.wait_for(process.stdout.readline(), _FILE_SECONDS)
        except TimeoutError:
            return found, current
        if line[:1].isdigit():
            current = int(line)
        elif line.startswith(b"["):
            found += [Outcome(*outcome) for outcome in json.loads(line)]
        elif line:
            raise sqlite3.OperationalError(json.loads(line))
        else:
            await process.wait()
            return found, current
