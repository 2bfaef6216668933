"""The indexing process: takes its files on stdin as JSON, reports on stdout, writes to the store itself.

py-tree-sitter holds the interpreter's lock while it parses, so threads would neither help nor leave an event loop
free; a fork of a process with threads is unsafe: hence a program of its own. When the parent dies, the next report
hits a closed pipe and ends it.

Reports are lines: a job's number (it is being looked at; every few tenths of a second, or for every job of a careful
order), or JSON: a list of outcomes, or a string (the store's failure, after which it ends).
"""

import gc
import json
import os
import sqlite3
import sys
import time
from pathlib import Path
from typing import TypedDict, cast

from thinklonger.agent.repository.indexing import Job, index
from thinklonger.agent.repository.store import DamagedError, open_store

_REPORT_SECONDS = 0.25


class Order(TypedDict):
    """What a worker is told; jobs are (number, path)."""

    root: str
    store: str
    jobs: list[tuple[int, str]]
    careful: bool


def main() -> None:
    """Do one order."""
    gc.disable()  # everything lives until the end, and nothing is cyclic
    order = cast("Order", json.loads(sys.stdin.buffer.read()))
    try:
        store = open_store(Path(order["store"]))
        jobs = [Job(number, path) for number, path in order["jobs"]]
        for outcomes in index(order["root"], jobs, store, on_start=_Starts(careful=order["careful"])):
            _report(json.dumps(outcomes))
        store.close()
    except (DamagedError, sqlite3.Error, OSError) as failure:
        _report(json.dumps(f"{type(failure).__name__}: {failure}"))


class _Starts:
    """Says now and then (or each time) which file is next, so that the parent knows it lives, or what broke it."""

    def __init__(self, *, careful: bool) -> None:
        self._seconds = 0.0 if careful else _REPORT_SECONDS
        self._next = time.monotonic()

    def __call__(self, job: Job) -> None:
        """Report, if it is time."""
        now = time.monotonic()
        if now >= self._next:
            self._next = now + self._seconds
            os.write(1, b"%d\n" % job.number)


def _report(line: str) -> None:
    """One line to the parent."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
