"""Resolves cancelled or killed at random moments: what do they leave behind, and how fast do they go?

    python benchmarks/interrupt.py [--runs 50] [--seed 0] [--load 0] [--sandbox none bubblewrap bubblewrap-on-disk]
                                   [--repo DIR --test-command CMD]

Each run resolves a private copy of the bundled example (or of DIR) and is stopped at a random moment: by Ctrl-C (SIGINT
to its whole process group, as a terminal does), by a terminal that closes (SIGHUP, likewise), by SIGTERM, or by
SIGKILL. `--load N` keeps N processes busy meanwhile. `bubblewrap-on-disk` is bubblewrap on a machine with too little
memory for the frozen tree. After each run this script counts

- processes: it makes itself the reaper of every orphan, so none can hide;
- mounts, temporary folders, shared memory, half-written files in the cache;
- any difference in the user's tree: contents, modes, modification times and git's index;
- records that do not load, exit codes and tracebacks that no user should see, and runs that took over a second to go.

It prints one line a run and the totals of each sandbox; the exit code is 0 only if every total is zero.
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
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path

from thinklonger.agent.errors import RecordError
from thinklonger.agent.trace import load_run

EXAMPLE = Path(__file__).resolve().parent.parent / "examples" / "invoices"
PR_SET_CHILD_SUBREAPER = 36
GRACE_SECONDS = 10.0
"""How long is waited for everything to be gone before it counts as left behind; how long it took is printed."""
HUNG_SECONDS = 60.0
PROMISED_SECONDS = 1.0
"""In which everything has to be gone."""
START_SECONDS = 1.0
"""Earlier than this the interpreter may not have come to our code yet, and the signal ends it by itself."""
SIGNALS = (signal.SIGINT, signal.SIGHUP, signal.SIGTERM, signal.SIGKILL)
TO_GROUP = frozenset({signal.SIGINT, signal.SIGHUP})
ON_DISK = "bubblewrap-on-disk"
CLI = ("-m", "thinklonger.cli")
CLI_ON_DISK = (
    "-c",
    """
import sys
from thinklonger.agent.sandbox import storage
storage.SHARE = 1 << 60
from thinklonger.cli import main
sys.exit(main())
""",
)


@dataclass(frozen=True)
class Leftovers:
    """What one stopped run left behind."""

    processes: int
    mounts: int
    folders: int
    trees_changed: int
    records_broken: int
    odd_exits: int
    slow_stops: int


@dataclass(frozen=True)
class Stopped:
    """How a run went: its exit code, and seconds from the signal to its end and until all it had started was gone."""

    code: int
    asked: bool
    seconds: float
    gone_seconds: float
    complaint: str


@dataclass(frozen=True)
class Ground:
    """The private folders that the runs get, and the state of the world before them."""

    home: Path
    repository: Path
    tree: str
    mounts: frozenset[str]
    shared: frozenset[str]

    @property
    def scratch(self) -> Path:
        """The temporary folder of the runs."""
        return self.home / "tmp"

    def environment(self) -> dict[str, str]:
        """What the runs see."""
        own = {"TMPDIR": "tmp", "XDG_STATE_HOME": "state", "XDG_CACHE_HOME": "cache", "XDG_CONFIG_HOME": "config"}
        return {**os.environ, **{name: str(self.home / folder) for name, folder in own.items()}}

    def left(self, stopped: Stopped, how: signal.Signals) -> Leftovers:
        """Look at everything that a run could have left."""
        allowed = {130, -how} if stopped.asked else {0, 1}
        early = stopped.asked and stopped.code in (0, 1)  # it had just ended
        halves = list((self.home / "cache").rglob(".new-*")) if how is not signal.SIGKILL else []
        folders = [*self.scratch.iterdir(), *halves, *(set(shared_memory()) - self.shared)]
        return Leftovers(
            processes=len(children()),
            mounts=len(mounts() - self.mounts),
            folders=len(folders),
            trees_changed=int(tree_digest(self.repository) != self.tree),
            records_broken=sum(not loads(path) for path in self.records()),
            odd_exits=int(not early and stopped.code not in allowed) + int("Traceback" in stopped.complaint),
            slow_stops=int(stopped.gone_seconds > PROMISED_SECONDS),
        )

    def records(self) -> list[Path]:
        """The runs' record folders."""
        return sorted((self.home / "state").glob("*/runs/*"))


def tree_digest(root: Path) -> str:
    """A digest of every path, mode, modification time and content below a folder, git's own files included."""
    digest = hashlib.sha256()
    for path in sorted([root, *root.rglob("*")]):
        state = path.lstat()
        digest.update(f"{path} {state.st_mode} {state.st_mtime_ns} {state.st_ino}\0".encode())
        if path.is_file() and not path.is_symlink():
            digest.update(path.read_bytes())
    return digest.hexdigest()


def loads(folder: Path) -> bool:
    """Whether a record can be read, from its first event on."""
    try:
        load_run(folder)
    except RecordError as error:
        print(f"    {error}")
        return False
    return True


def shared_memory() -> frozenset[str]:
    """What lies in shared memory under our name."""
    place = Path("/dev/shm")  # noqa: S108 - looked at, not written
    return (
        frozenset(str(path) for path in place.iterdir() if "thinklonger" in path.name)
        if place.is_dir()
        else frozenset()
    )


def children() -> set[int]:
    """The living processes below this one, without the load (zombies are reaped on the way)."""
    found: set[int] = set()
    frontier = [os.getpid()]
    while frontier:
        pid = frontier.pop()
        try:
            tasks = list(Path(f"/proc/{pid}/task").iterdir())
            below = {int(word) for task in tasks for word in (task / "children").read_text().split()}
        except OSError:
            continue
        below = {child for child in below if child not in LOAD and not reaped(child)}
        found.update(below)
        frontier.extend(below)
    return found


def reap(*, but: int) -> None:
    """Do an init's duty for orphans that have ended, while `but` still runs: a namespace ends only after that."""
    for task in Path("/proc/self/task").iterdir():
        for word in (task / "children").read_text().split():
            if int(word) != but and int(word) not in LOAD:
                reaped(int(word))


def reaped(pid: int) -> bool:
    """Whether a child of ours had ended and is now gone for good."""
    try:
        return os.waitpid(pid, os.WNOHANG)[0] == pid
    except ChildProcessError:
        return False  # a grandchild: its own parent reaps it


def mounts() -> frozenset[str]:
    """The mount points of this namespace."""
    return frozenset(line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines())


LOAD: set[int] = set()


@contextmanager
def load(processes: int) -> Iterator[None]:
    """Keep the machine busy."""
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(processes)]
    LOAD.update(process.pid for process in busy)
    try:
        yield
    finally:
        for process in busy:
            process.kill()
            process.wait()
        LOAD.clear()


def stop_at_random(command: list[str], ground: Ground, moment: float, how: signal.Signals) -> Stopped:
    """Start a resolve, stop it after `moment` seconds, and wait until all that it had started is gone."""
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(
            command, env=ground.environment(), stdout=subprocess.DEVNULL, stderr=said, start_new_session=True
        )
        started = time.monotonic()
        while process.poll() is None and time.monotonic() - started < moment:
            reap(but=process.pid)
            time.sleep(0.005)
        asked = process.returncode is None
        began = time.monotonic()
        if asked and how in TO_GROUP:
            os.killpg(process.pid, how)
        elif asked:
            process.send_signal(how)
        while process.poll() is None and time.monotonic() - began < HUNG_SECONDS:
            reap(but=process.pid)
            time.sleep(0.005)
        code = process.wait(timeout=1)
        seconds = time.monotonic() - began
        while (children() or list(ground.scratch.iterdir())) and time.monotonic() - began < GRACE_SECONDS:
            time.sleep(0.01)
        said.seek(0)
        complaint = said.read().decode(errors="replace") if moment > START_SECONDS else ""
        return Stopped(code, asked, seconds, time.monotonic() - began, complaint)


def prepare(home: Path, source: Path) -> Ground:
    """Copy the repository and make the folders."""
    for name in ("tmp", "state", "cache", "config"):
        (home / name).mkdir()
    repository = home / "repository"
    shutil.copytree(source, repository, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    if not (repository / ".git").exists():
        who = ["-c", "user.name=x", "-c", "user.email=x@localhost"]
        for words in (["init", "-q"], ["add", "-A"], [*who, "commit", "-qm", "x"]):
            subprocess.run(["git", *words], cwd=repository, check=True)
    return Ground(home, repository, tree_digest(repository), mounts(), shared_memory())


def measure(ground: Ground, sandbox: str, options: argparse.Namespace) -> int:
    """All runs of one sandbox; the number of things left behind."""
    program = CLI_ON_DISK if sandbox == ON_DISK else CLI
    command = [
        *(sys.executable, *program, "resolve", "--repo", str(ground.repository), "--json"),
        *("--test-command", options.test_command, "--sandbox", "bubblewrap" if sandbox == ON_DISK else sandbox),
    ]
    started = time.monotonic()
    subprocess.run(command, env=ground.environment(), check=False, capture_output=True)
    whole = time.monotonic() - started
    print(f"{sandbox}: one undisturbed run takes {whole:.1f} s")
    chance = random.Random(options.seed)  # noqa: S311 - moments to stop at, not secrets
    found: list[Leftovers] = []
    times: dict[signal.Signals, list[Stopped]] = {how: [] for how in SIGNALS}
    number = 0
    while number < options.runs:  # a run that ended before it was stopped does not count
        how = chance.choice(SIGNALS)
        moment = chance.uniform(0.02, whole)
        stopped = stop_at_random(command, ground, moment, how)
        left = ground.left(stopped, how)
        found.append(left)
        number += stopped.asked
        if stopped.asked:
            times[how].append(stopped)
        about = ", ".join(
            f"{item.name} {getattr(left, item.name)}" for item in fields(left) if getattr(left, item.name)
        )
        print(
            f"{number:4d} {how.name:8s} after {moment:5.2f} s: exit {stopped.code:4d}, ended in "
            f"{stopped.seconds:.2f} s, all gone in {stopped.gone_seconds:.2f} s, left: {about or 'nothing'}"
        )
        if about and stopped.complaint:
            print("    " + "\n    ".join(stopped.complaint.splitlines()[-8:]))
    return summarize(sandbox, found, times, len(ground.records()))


def summarize(sandbox: str, found: list[Leftovers], times: dict[signal.Signals, list[Stopped]], records: int) -> int:
    """Print the figures of one sandbox; the number of things left behind."""
    for how, stops in times.items():
        if stops:
            ends, gone = [stop.seconds for stop in stops], [stop.gone_seconds for stop in stops]
            print(
                f"  {how.name:8s} {len(stops):3d} runs: ended in {statistics.median(ends):.2f} s (median), "
                f"{max(ends):.2f} s (longest); all gone in {statistics.median(gone):.2f} s, {max(gone):.2f} s"
            )
    totals = {item.name: sum(getattr(left, item.name) for left in found) for item in fields(Leftovers)}
    stopped = sum(map(len, times.values()))
    print(f"  {sandbox}: {stopped} runs stopped of {len(found)}, {records} records in all; left behind: {totals}")
    return sum(totals.values())


def main() -> int:
    """Run, stop, look, count."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--load", type=int, default=0)
    parser.add_argument("--repo", type=Path, default=EXAMPLE)
    parser.add_argument("--test-command", default="pytest tests/test_invoice.py")
    parser.add_argument("--sandbox", nargs="+", default=["none", "bubblewrap", ON_DISK])
    options = parser.parse_args()
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    home = Path(tempfile.mkdtemp(prefix="interrupt-")).resolve()
    try:
        ground = prepare(home, options.repo)
        with load(options.load):
            return 1 if sum(measure(ground, sandbox, options) for sandbox in options.sandbox) else 0
    finally:
        shutil.rmtree(home, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
