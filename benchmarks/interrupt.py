"""Resolves cancelled or killed at random moments: what do they leave behind?

    python benchmarks/interrupt.py [--runs 50] [--seed 0] [--repo DIR --test-command CMD]

Each run resolves a private copy of the bundled example (or of DIR) and is stopped at a random moment by SIGINT,
SIGTERM or SIGKILL. Afterwards this script counts processes that the run left (it makes itself the reaper of every
orphan, so none can hide), mounts, temporary folders, records that do not load, and any difference in the user's
tree: contents, modes, modification times and git's index. It prints one line a run and the totals; the exit code is
0 only if every total is zero.
"""

import argparse
import ctypes
import hashlib
import os
import random
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

EXAMPLE = Path(__file__).resolve().parent.parent / "examples" / "invoices"
PR_SET_CHILD_SUBREAPER = 36
GRACE_SECONDS = 1.0


@dataclass(frozen=True)
class Leftovers:
    """What one stopped run left behind."""

    processes: int
    mounts: int
    folders: int
    changed: bool


def tree_digest(root: Path) -> str:
    """A digest of every path, mode, modification time and content below a folder, git's own files included."""
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*")):
        state = path.lstat()
        digest.update(f"{path.relative_to(root)} {state.st_mode} {state.st_mtime_ns}\0".encode())
        if path.is_file() and not path.is_symlink():
            digest.update(path.read_bytes())
    return digest.hexdigest()


def children() -> set[int]:
    """The living processes below this one (zombies are reaped on the way)."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return set()
    found: set[int] = set()
    frontier = [os.getpid()]
    while frontier:
        pid = frontier.pop()
        try:
            tasks = list(Path(f"/proc/{pid}/task").iterdir())
            below = [int(word) for task in tasks for word in (task / "children").read_text().split()]
        except OSError:
            continue
        found.update(below)
        frontier.extend(below)
    return found


def mounts() -> set[str]:
    """The mount points of this namespace."""
    return {line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()}


def folders(scratch: Path) -> set[str]:
    """What lies in the temporary folder that the runs were given."""
    return {str(path) for path in scratch.iterdir()}


def stop_at_random(command: list[str], env: dict[str, str], moment: float, how: signal.Signals) -> tuple[int, float]:
    """Start a resolve, stop it after `moment` seconds; its exit code and how long it took to stop."""
    process = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        code = process.wait(timeout=moment)
    except subprocess.TimeoutExpired:
        asked = time.monotonic()
        process.send_signal(how)
        code = process.wait(timeout=30)
        return code, time.monotonic() - asked
    return code, 0.0


def main() -> int:
    """Run, stop, look, count."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--repo", type=Path, default=EXAMPLE)
    parser.add_argument("--test-command", default="pytest tests/test_invoice.py")
    parser.add_argument("--sandbox", default="auto")
    options = parser.parse_args()
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    chance = random.Random(options.seed)  # noqa: S311 - moments to stop at, not secrets
    home = Path(tempfile.mkdtemp(prefix="interrupt-")).resolve()
    scratch = home / "tmp"
    scratch.mkdir()
    repository = home / "repository"
    shutil.copytree(options.repo, repository, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    if not (repository / ".git").exists():
        who = ["-c", "user.name=x", "-c", "user.email=x@localhost"]
        for words in (["init", "-q"], ["add", "-A"], [*who, "commit", "-qm", "x"]):
            subprocess.run(["git", *words], cwd=repository, check=True)
    env = {**os.environ, "TMPDIR": str(scratch), "XDG_STATE_HOME": str(home / "state"), "XDG_CACHE_HOME": str(home)}
    command = [
        *(sys.executable, "-m", "thinklonger.cli", "resolve", "--repo", str(repository)),
        *("--test-command", options.test_command, "--sandbox", options.sandbox, "--json"),
    ]
    started = time.monotonic()
    subprocess.run(command, env=env, check=False, stdout=subprocess.DEVNULL)
    whole = time.monotonic() - started
    print(f"one undisturbed run: {whole:.1f} s")
    before = tree_digest(repository)
    mounts_before, folders_before = mounts(), folders(scratch)
    found: list[Leftovers] = []
    stopping: list[float] = []
    for number in range(options.runs):
        how = chance.choice((signal.SIGINT, signal.SIGTERM, signal.SIGKILL))
        moment = chance.uniform(0.02, whole)
        code, took = stop_at_random(command, env, moment, how)
        stopping.append(took)
        deadline = time.monotonic() + GRACE_SECONDS
        while children() and time.monotonic() < deadline:
            time.sleep(0.02)
        left = Leftovers(
            processes=len(children()),
            mounts=len(mounts() - mounts_before),
            folders=len(folders(scratch) - folders_before),
            changed=tree_digest(repository) != before,
        )
        found.append(left)
        print(f"{number + 1:3d} {how.name:8s} after {moment:5.2f} s: exit {code:4d}, stopped in {took:.2f} s, {left}")
    listed = subprocess.run(
        [sys.executable, "-m", "thinklonger.cli", "runs", "list", "--json"], env=env, capture_output=True, check=False
    )
    records = list((home / "state").rglob("events.jsonl"))
    totals = {
        "processes": sum(left.processes for left in found),
        "mounts": sum(left.mounts for left in found),
        "folders": sum(left.folders for left in found),
        "trees changed": sum(left.changed for left in found),
        "records that do not load": 0 if listed.returncode == 0 else len(records),
    }
    print(
        f"{options.runs} runs, {len(records)} records; stopped in {statistics.median(stopping):.2f} s (median), "
        f"{max(stopping):.2f} s (longest)"
    )
    print(", ".join(f"{name}: {count}" for name, count in totals.items()))
    shutil.rmtree(home)
    return 1 if any(totals.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
