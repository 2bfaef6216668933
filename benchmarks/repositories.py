"""Real repositories: what indexing, `localize` and `resolve` cost on them, as a user meets them.

    python benchmarks/repositories.py REPO... [--issue FILE] [--runs N]
    python benchmarks/repositories.py REPO --inject FILE:LINE:OLD:NEW --test "pytest tests/test_x.py"

The first form prints, for each repository, the CPU seconds of a whole `thinklonger localize` on an empty cache and on
a warm one (the median of N; children included, a bare interpreter subtracted and also given as the unit), and the
largest resident size of any one of its processes. The second writes a one-line bug into the file, lets `resolve` look
for it, puts the file back, and prints where the time went, from the run's record.

Byte code must be there, as an installer leaves it: where PYTHONDONTWRITEBYTECODE is set, compile the sources first.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from statistics import median

from cpu import interpreter_seconds, measure

PROGRAM = (sys.executable, "-m", "thinklonger.cli")
ISSUE = """Wrong result at a boundary

The returned value is wrong when the last element of the list equals the limit: the function stops one step too early
and the default is used instead of the value that was given. It works for all smaller values, and it worked in the
previous release. I expected that an empty list, a list of one element and a list that ends at the limit are all
handled by the same path, but the length check seems to compare with the wrong bound. No exception is raised, the
output is just wrong, and the documentation says that the end is inclusive. I looked at the code that parses the
options and at the helper that normalizes names, and both look right to me, so I suspect the iterator that walks over
the nodes. It does not depend on the platform or on the version of Python, and turning off the cache does not help.
Reading from a file and from a string gives the same result. Passing the key explicitly avoids the problem, and so
does sorting the items before, which is why nobody may have noticed. A test that fails is easy to write: build the
object from three items, ask for the last one by its index, and compare it with the item that was put in.
"""
MILESTONES = {
    "repository-indexed": "index",
    "files-ranked": "understand",
    "environment-proved": "environment",
    "reproduced": "reproduction",
    "regression-chosen": "regression tests",
    "locations-ranked": "localize",
    "stage-finished patch": "patch",
    "stage-finished verify": "verify",
}
"""The event that ends a stretch of a run, and what the stretch is called."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("repositories", nargs="+", type=Path, metavar="REPO")
    parser.add_argument("--issue", type=Path, help="the issue to localize; one without names by default")
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--inject", metavar="FILE:LINE:OLD:NEW", help="write a one-line bug and resolve it")
    parser.add_argument("--test", metavar="CMD", help="the test command that the bug makes red")
    arguments = parser.parse_args()
    if bool(arguments.inject) != bool(arguments.test):
        parser.error("--inject and --test go together")
    with tempfile.TemporaryDirectory() as scratch:
        for kind in ("cache", "state"):
            os.environ[f"THINKLONGER_{kind.upper()}_DIRECTORY"] = f"{scratch}/{kind}"
        for repository in arguments.repositories:
            if arguments.inject:
                with injected(repository, arguments.inject):
                    resolve(repository, arguments.test)
            else:
                text = arguments.issue.read_text("utf-8") if arguments.issue else ISSUE
                localize(repository, text, arguments.runs)


def localize(repository: Path, text: str, runs: int) -> None:
    """Print what `localize` costs, first on an empty cache, then on a warm one."""
    bare = interpreter_seconds()
    argv = [*PROGRAM, "localize", "--quiet", "--json", "--repo", str(repository), "--issue-text", text]
    cold = measure(argv)
    warm = [measure(argv) for _ in range(runs)]
    cpu = median(one.cpu for one in warm) - bare
    wall = median(one.wall for one in warm)
    print(f"{repository.resolve().name}")
    print(f"  cold   {cold.cpu - bare:6.2f} CPU s {cold.wall:6.2f} s, peak {cold.peak_mb:.0f} MB")
    print(f"  warm   {cpu:6.3f} CPU s {wall:6.2f} s, peak {max(one.peak_mb for one in warm):.0f} MB", end="")
    print(f"  ({cpu / bare:.0f} bare interpreters)")


def resolve(repository: Path, command: str) -> None:
    """Print how a run of `resolve` ended, what it found, and its time by stretches."""
    argv = [*PROGRAM, "resolve", "--quiet", "--json", "--repo", str(repository), "--test-command", command]
    started = time.monotonic()
    done = subprocess.run(argv, stdout=subprocess.PIPE, check=False)
    seconds = time.monotonic() - started
    answer = json.loads(done.stdout)
    record = Path(answer["record"], "events.jsonl")
    size = record.stat().st_size / 1e6
    print(f"{repository.resolve().name}: {answer.get('label')}, {seconds:.1f} s, record {size:.2f} MB")
    for name, length in stretches(record):
        print(f"  {name:17} {length:6.1f} s")
    print(answer.get("patch") or "  no patch")


def stretches(record: Path) -> Iterator[tuple[str, float]]:
    """The parts of a run in order, in seconds."""
    before: datetime | None = None
    for line in record.read_text("utf-8").splitlines():
        event = json.loads(line)
        now = datetime.fromisoformat(event["time"])
        kind = " ".join((event["type"], *([event["data"]["stage"]] if event["type"] == "stage-finished" else ())))
        before = before or now
        if name := MILESTONES.get(kind):
            yield name, (now - before).total_seconds()
            before = now


@contextmanager
def injected(repository: Path, bug: str) -> Iterator[None]:
    """The repository with OLD replaced by NEW in one line; the file is put back at the end, whatever happens."""
    name, line, old, new = bug.split(":", 3)
    path = repository / name
    whole = path.read_bytes()
    lines = whole.splitlines(keepends=True)
    at = int(line) - 1
    if old.encode() not in lines[at]:
        sys.exit(f"{name}:{line} does not say {old!r}: {lines[at].decode().strip()}")
    lines[at] = lines[at].replace(old.encode(), new.encode(), 1)
    path.write_bytes(b"".join(lines))
    try:
        yield
    finally:
        path.write_bytes(whole)


if __name__ == "__main__":
    main()
