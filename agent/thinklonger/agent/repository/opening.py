"""Opening a repository: list its files, bring the cache up to date with them, or do without the cache."""

import asyncio
import os
import sqlite3
import threading
import time
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

from thinklonger.agent.errors import RepositoryError
from thinklonger.agent.repository.languages import BY_SUFFIX
from thinklonger.agent.repository.listing import Listing, Problem, list_files, problem
from thinklonger.agent.repository.locking import Lock
from thinklonger.agent.repository.store import DamagedError, Store, open_store, remove_store, store_in_memory
from thinklonger.agent.repository.updating import Update, Updated
from thinklonger.agent.repository.view import IndexStatistics, Repository
from thinklonger.agent.types import Layer

_LOCK_SECONDS = 30.0
_UNUSED_SECONDS = 90 * 86400.0
_FAILURES = (DamagedError, sqlite3.Error, OSError, ValueError)
_SQLITE_ERROR, _SQLITE_CORRUPT, _SQLITE_NOTADB = 1, 11, 26


async def open_repository(root: Path, *, cache: Path, overlay: Layer | None = None) -> Repository:
    """Index the repository below `root` and hand out its view; close it when done.

    `cache` is the folder for indexes (shared by all repositories; made if missing; unusable is a problem, not an
    error). `overlay` is text that editors hold and the disk does not. Cancelling stops the indexing at once.

    Raises:
        RepositoryError: no such folder, not a folder, not readable, or no source file in it.
    """
    started = time.perf_counter()
    layer = overlay or {}
    listing = await asyncio.to_thread(_list, root)
    if not listing.sources and not any(state and path.suffix in BY_SUFFIX for path, state in layer.items()):
        raise RepositoryError("repository.no-source", path=str(root))
    store, updated, problems = await _update(listing, layer, cache)
    statistics = IndexStatistics(
        files=len(updated.table),
        symbols=sum(facts.definitions for facts in updated.table.values()),
        reused=sum(facts.document > 0 for facts in updated.table.values()) - updated.parsed,
        parsed=updated.parsed,
        seconds=time.perf_counter() - started,
    )
    found = (*problems, *listing.problems, *updated.problems)
    return Repository(
        listing=listing, store=store, updated=updated, overlay=layer, statistics=statistics, problems=found
    )


def _list(root: Path) -> Listing:
    """List a folder, or say why that can't be done."""
    real = Path(os.path.realpath(root))
    try:
        with os.scandir(real):
            pass
    except FileNotFoundError:
        raise RepositoryError("repository.missing", path=str(root)) from None
    except NotADirectoryError:
        raise RepositoryError("repository.not-a-folder", path=str(root)) from None
    except (OSError, ValueError) as failure:
        reason = str(getattr(failure, "strerror", None) or failure)
        raise RepositoryError("repository.unreadable-folder", path=str(root), reason=reason) from failure
    return list_files(real)


async def _update(listing: Listing, overlay: Layer, cache: Path) -> tuple[Store, Updated, list[Problem]]:
    """An up-to-date store: the cache's, the cache's built anew if it was damaged, or one in memory."""
    file = cache / f"{sha256(listing.identity).hexdigest()[:32]}.index"
    try:
        store = await asyncio.to_thread(_open_store, file)
        return store, await _run(store, listing, overlay), []
    except _FAILURES as failure:
        cause = failure
    if _is_damage(cause):
        try:
            await asyncio.to_thread(_remove_store, file)
            store = await asyncio.to_thread(_open_store, file)
            return store, await _run(store, listing, overlay), [problem(None, "cache-rebuilt")]
        except _FAILURES as failure:
            cause = failure
    store = store_in_memory()
    return store, await _run(store, listing, overlay), [_unusable(cache, cause)]


async def _run(store: Store, listing: Listing, overlay: Layer) -> Updated:
    """Update a store; it is closed if that fails."""
    try:
        return await Update(store, listing, overlay, threading.Event()).run()
    except BaseException:
        store.close()
        raise


def _is_damage(failure: Exception) -> bool:
    """Whether building the index anew may help: its content is at fault, not the place it lies in."""
    if isinstance(failure, sqlite3.Error):
        code = getattr(failure, "sqlite_errorcode", _SQLITE_CORRUPT) & 0xFF
        return code in (_SQLITE_ERROR, _SQLITE_CORRUPT, _SQLITE_NOTADB)
    return not isinstance(failure, OSError)


def _unusable(cache: Path, failure: Exception) -> Problem:
    """The cache is not used, and why."""
    reason = (failure.strerror if isinstance(failure, OSError) else None) or str(failure)
    return problem(None, "cache-unusable", folder=str(cache), reason=reason)


def _open_store(file: Path) -> Store:
    """Open the cache's file; nobody else opens or removes it meanwhile."""
    file.parent.mkdir(parents=True, exist_ok=True)
    is_new = not file.exists()
    lock = file.with_suffix(".lock")
    with Lock(lock, seconds=_LOCK_SECONDS, stop=threading.Event()):
        store = open_store(file)
        os.utime(lock)
    if is_new:
        _forget_unused(file.parent)
    return store


def _forget_unused(cache: Path) -> None:
    """Remove the indexes of repositories that nobody opened for a quarter of a year."""
    for lock in cache.glob("*.lock"):
        with suppress(OSError):
            if lock.stat().st_mtime < time.time() - _UNUSED_SECONDS:
                _remove_store(lock.with_suffix(".index"))
                lock.with_suffix(".busy").unlink(missing_ok=True)
                lock.unlink()


def _remove_store(file: Path) -> None:
    """Remove the cache's file."""
    with Lock(file.with_suffix(".lock"), seconds=_LOCK_SECONDS, stop=threading.Event()):
        remove_store(file)
