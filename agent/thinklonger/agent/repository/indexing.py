"""Indexing a set of files into a store: read, recognise by content, parse what is new, write in batches."""

import os
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from thinklonger.agent.repository.disk import LARGEST_SOURCE, read_regular
from thinklonger.agent.repository.inversion import Inversion, content_key
from thinklonger.agent.repository.store import Store

BATCH_BYTES = 24_000_000
"""Source held inverted in memory at once (about five times as many bytes)."""


class Job(NamedTuple):
    """One file to index under a reserved document number; `content` is given for text that is not on disk."""

    number: int
    path: str
    content: bytes | None = None


class Outcome(NamedTuple):
    """What became of a job: the document (0: none, then `reason` may say why) and whether it had to be parsed."""

    number: int
    document: int
    parsed: bool
    reason: str = ""


def index(root: str, jobs: Sequence[Job], store: Store, *, on_start: Callable[[Job], None]) -> Iterator[list[Outcome]]:
    """Index all jobs, a batch at a time; `on_start` hears of each file before it is looked at, and may raise."""
    known = store.documents()
    inversion = Inversion()
    found: list[Outcome] = []
    own: dict[bytes, int] = {}
    waiting: list[tuple[int, bytes]] = []
    for job in jobs:
        on_start(job)
        try:
            content = _content(root, job)
        except OSError as failure:
            found.append(Outcome(job.number, 0, parsed=False, reason=failure.strerror or str(failure)))
            continue
        if content is None:
            found.append(Outcome(job.number, 0, parsed=False))
            continue
        suffix = os.path.splitext(job.path)[1]  # noqa: PTH122 - strings, and hot
        key = content_key(content, suffix)
        if document := known.get(key):
            found.append(Outcome(job.number, document, parsed=False))
            continue
        if key not in own:
            own[key] = job.number
            inversion.add(job.number, key, content, suffix)
        waiting.append((job.number, key))
        if inversion.size > BATCH_BYTES:
            yield [*found, *_written(inversion, store, own, waiting)]
            inversion, found, own, waiting = Inversion(), [], {}, []
    yield [*found, *_written(inversion, store, own, waiting)]


def _content(root: str, job: Job) -> bytes | None:
    """A job's bytes; None where there is no regular file of a sensible size any more."""
    if job.content is not None:
        return job.content
    found = read_regular(f"{root}/{job.path}", LARGEST_SOURCE)
    return found[0] if found is not None and len(found[0]) <= LARGEST_SOURCE else None


def _written(
    inversion: Inversion, store: Store, own: dict[bytes, int], waiting: list[tuple[int, bytes]]
) -> list[Outcome]:
    """Write a batch, and say which document each of its jobs has."""
    if not waiting:
        return []
    numbers = store.write(*inversion.finish())
    return [Outcome(number, numbers[own[key]], parsed=own[key] == number) for number, key in waiting]
