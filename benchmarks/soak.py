"""Many runs under bad luck: cancelled, killed, out of disk, the container engine restarted. What do they leave behind?

    python benchmarks/soak.py [--runs 1000] [--seconds N] [--seed 0] [--workers 2] [--sandbox NAME …]
                              [--restart-engine COMMAND]

Each run is a `resolve`, a `verify` of a given patch or a `runs verify` of an earlier receipt, on a private copy of a
small repository with a bug, as a process of its own. It is left alone, or stopped at a random moment (SIGINT and
SIGHUP to its group, SIGTERM, SIGKILL), or gets a disk that fills up: a tmpfs of random size, or with few inodes, as
its state, cache or temporary folder. With `--sandbox docker` (an engine has to answer; one worker) `--restart-engine`
is a command that restarts the engine, run at a random moment of some runs (`.ci/docker restart` is one).

Workers are processes with a mount namespace of their own, so that nothing that they mount is seen elsewhere; where
that is not allowed the disks stay as they are, and it is said. Each worker is the reaper of every orphan below it, so
no process can hide. After each run it counts what must be zero: processes, mounts, folders, shared memory, half-written
cache files, containers, volumes and images, records that do not load, changes of the user's tree (contents, modes,
times, inodes, git's index), exit codes and tracebacks that no user should see.

It prints its progress and every run that left something, and ends with the totals; the exit code is 0 only if all are
zero. A run is told by its worker's seed and number: `--seed S --workers 1 --runs N` plays it again.
"""

import argparse
import ctypes
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from interrupt import PR_SET_CHILD_SUBREAPER, children, mounts, reap, shared_memory, tree_digest

from thinklonger.agent.errors import RecordError
from thinklonger.agent.trace import load_run

GRACE_SECONDS = 15.0
"""How long is waited for everything to be gone before it counts as left behind; how long it took is printed."""
HUNG_SECONDS = 120.0
START_SECONDS = 1.0
"""Earlier than this the interpreter may not have come to our code yet, and a signal ends it by itself."""
PLACES = ("state", "cache", "tmp")
RESTART = "restart"
"""What a worker says to have the engine restarted."""
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
QUICK = {
    "THINKLONGER_SEARCH_SECONDS": "3",
    "THINKLONGER_SEARCH_CANDIDATES": "6",
    "THINKLONGER_SEARCH_BUDGET": "1",
    "THINKLONGER_SEARCH_WORKERS": "1",
    "THINKLONGER_REGRESSION_SECONDS": "3",
    "LANG": "C.UTF-8",
}
TOTALS = '''\
def total(prices):
    """The sum of all prices."""
    result = 0
    for index in range(len(prices) - 1):
        result += prices[index]
    return result
'''
FIX = """\
diff --git a/{path} b/{path}
--- a/{path}
+++ b/{path}
@@ -1,6 +1,6 @@
 def total(prices):
     \"\"\"The sum of all prices.\"\"\"
     result = 0
-    for index in range(len(prices) - 1):
+    for index in range(len(prices)):
         result += prices[index]
     return result
"""
REPOSITORIES: dict[str, dict[str, str]] = {
    "plain": {
        "totals.py": TOTALS,
        "test_totals.py": "from totals import total\n\ndef test_total():\n    assert total([1, 2, 3]) == 6\n\n"
        "def test_nothing():\n    assert total([]) == 0\n",
    },
    "spaces und 中文": {
        "pkg/__init__.py": "",
        "pkg/totals.py": TOTALS,
        "tests/test_合计 und mehr.py": "from pkg.totals import total\n\ndef test_total():\n"
        "    assert total([1, 2, 3]) == 6\n",
        "conftest.py": "# Finds pkg.\n",
    },
    "unittest": {
        "totals.py": TOTALS,
        "test_totals.py": "import unittest\nfrom totals import total\n\nclass Totals(unittest.TestCase):\n"
        "    def test_total(self):\n        self.assertEqual(total([1, 2, 3]), 6)\n",
    },
    "unruly": {
        "totals.py": TOTALS,
        "test_totals.py": "import os, sys, tempfile, time\nfrom totals import total\n\ndef test_total():\n"
        "    if os.fork() == 0:\n        os.setsid()\n        time.sleep(600)\n        os._exit(0)\n"
        "    open(os.path.join(tempfile.gettempdir(), 'left'), 'w').write('x' * 100000)\n"
        "    print('\\x1b[2J' * 1000)\n    assert total([1, 2, 3]) == 6\n",
    },
}
COMMANDS = {"unittest": "python -m unittest test_totals"}


@dataclass(frozen=True)
class Fate:
    """What happens to a run: `kind` is whole, a signal's name, full or engine; the rest depends on it."""

    kind: str
    moment: float = 0.0
    place: str = ""
    size: str = ""


@dataclass
class Result:
    """One run: what it was, how it ended, what it left."""

    number: int
    repository: str
    job: str
    sandbox: str
    fate: str
    code: int
    seconds: float
    gone: float
    left: dict[str, int]
    words: str = ""


@dataclass
class Home:
    """A worker's private folders and its repositories, and the state of the world before it began."""

    path: Path
    repositories: dict[str, Path] = field(default_factory=dict[str, Path])
    trees: dict[str, str] = field(default_factory=dict[str, str])
    mounts: frozenset[str] = frozenset()
    shared: frozenset[str] = frozenset()

    def folder(self, name: str, full: str) -> Path:
        """The folder of that name, or the small disk in its place."""
        return self.path / (f"full-{name}" if name == full else name)

    def environment(self, full: str) -> dict[str, str]:
        """What a run sees."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("THINKLONGER_")}
        return {
            **kept,
            **QUICK,
            "TMPDIR": str(self.folder("tmp", full)),
            "XDG_CONFIG_HOME": str(self.path / "config"),
            "THINKLONGER_STATE_DIRECTORY": str(self.folder("state", full)),
            "THINKLONGER_CACHE_DIRECTORY": str(self.folder("cache", full)),
        }


def prepare(path: Path) -> Home:
    """Make the folders and the repositories."""
    home = Home(path)
    for name in PLACES:
        (path / name).mkdir()
        (path / f"full-{name}").mkdir()
    (path / "config").mkdir()
    who = ["-c", "user.name=x", "-c", "user.email=x@localhost"]
    for name, files in REPOSITORIES.items():
        repository = path / "repositories" / name
        for file, text in files.items():
            place = repository / file
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(text)
        for words in (["init", "-q"], ["add", "-A"], [*who, "commit", "-qm", "x"]):
            subprocess.run(["git", *words], cwd=repository, check=True)
        home.repositories[name] = repository
        home.trees[name] = tree_digest(repository)
        code = next(file for file in files if file.endswith("totals.py") and "test" not in file)
        (path / f"{name}.diff").write_text(FIX.format(path=code))
    home.mounts, home.shared = mounts(), shared_memory()
    return home


# ── a run ────────────────────────────────────────────────────────────────────────────────────────────────────────


@contextmanager
def small_disk(home: Home, fate: Fate) -> Iterator[None]:
    """A tmpfs in place of one of the folders, where the fate says so."""
    if fate.kind != "full":
        yield
        return
    place = home.folder(fate.place, fate.place)
    subprocess.run(["mount", "-t", "tmpfs", "-o", fate.size, "soak", place], check=True)
    try:
        yield
    finally:
        deadline = time.monotonic() + GRACE_SECONDS
        while subprocess.run(["umount", place], check=False, capture_output=True).returncode:
            if time.monotonic() > deadline:
                break  # counted: the mount is still there
            time.sleep(0.1)


def command_of(home: Home, repository: str, job: str, sandbox: str) -> list[str]:
    """The command line of a run."""
    program = CLI_ON_DISK if sandbox == ON_DISK else CLI
    words = [sys.executable, *program]
    kind = ("--sandbox", "bubblewrap" if sandbox == ON_DISK else sandbox)
    if job == "runs verify":
        return [*words, "runs", "verify", "last", *kind, "--json"]
    asked = ["--test-command", COMMANDS.get(repository, "pytest")]
    given = ["--patch", str(home.path / f"{repository}.diff")] if job == "verify" else []
    return [*words, job, "--repo", str(home.repositories[repository]), *asked, *given, *kind, "--json", "--quiet"]


@dataclass
class Ended:
    """How a process ended."""

    code: int
    seconds: float
    gone: float
    asked: bool
    pid: int
    out: str
    err: str


def ask_for_restart() -> None:
    """Have the leader restart the engine: what a worker starts is below it, and would count as left behind."""
    print(RESTART, flush=True)
    sys.stdin.readline()


def run_one(command: list[str], home: Home, fate: Fate) -> Ended:
    """Start a run, let its fate happen, and wait until all that it had started is gone."""
    full = fate.place if fate.kind == "full" else ""
    with tempfile.TemporaryFile(dir=home.path) as out, tempfile.TemporaryFile(dir=home.path) as err:
        process = subprocess.Popen(
            command, env=home.environment(full), stdout=out, stderr=err, start_new_session=True, cwd=home.path
        )
        started = time.monotonic()
        while fate.moment and process.poll() is None and time.monotonic() - started < fate.moment:
            reap(but=process.pid)
            time.sleep(0.005)
        asked = process.poll() is None and bool(fate.moment)
        began = time.monotonic()
        if asked and fate.kind == "engine":
            ask_for_restart()
        elif asked and fate.kind in ("SIGINT", "SIGHUP"):
            os.killpg(process.pid, signal.Signals[fate.kind])
        elif asked:
            process.send_signal(signal.Signals[fate.kind])
        while process.poll() is None and time.monotonic() - began < HUNG_SECONDS:
            reap(but=process.pid)
            time.sleep(0.01)
        hung = process.poll() is None
        if hung:
            os.killpg(process.pid, signal.SIGKILL)
        code = process.wait()
        ended = time.monotonic()
        scratch = home.folder("tmp", full)
        while (children() or any(scratch.iterdir())) and time.monotonic() - ended < GRACE_SECONDS:
            time.sleep(0.02)
        texts: list[str] = []
        for file in (out, err):
            file.seek(0)
            texts.append(file.read().decode(errors="replace"))
        gone = time.monotonic() - (began if asked else ended)
        return Ended(999 if hung else code, ended - started, gone, asked, process.pid, *texts)


def left_by(ended: Ended, home: Home, fate: Fate, repository: str, containers: Callable[[str], int]) -> dict[str, int]:
    """Everything that must be zero, counted."""
    full = fate.place if fate.kind == "full" else ""
    records = [*(home.path / "state").glob("runs/*"), *home.folder("state", full).glob("runs/*")]
    halves = [] if fate.kind == "SIGKILL" else list(home.folder("cache", full).rglob(".new-*"))
    allowed_mounts = home.mounts | ({str(home.folder(full, full))} if full else frozenset())
    trouble = "Traceback" in ended.err and (not ended.asked or fate.moment > START_SECONDS)
    return {
        "processes": len(children()),
        "mounts": len(mounts() - allowed_mounts),
        "control groups": 0 if fate.kind == "SIGKILL" else len(control_groups(ended.pid)),
        "folders": len(list(home.folder("tmp", full).iterdir())) + len(halves),
        "shared memory": len(shared_memory() - home.shared),
        "containers, volumes, images": containers(fate.kind),
        "changed trees": int(tree_digest(home.repositories[repository]) != home.trees[repository]),
        "broken records": sum(not loads(path) for path in records),
        "odd exits": int(ended.code not in expected(ended, fate)) + int(trouble) + int(not told(ended)),
    }


def control_groups(pid: int) -> list[Path]:
    """The groups that a run made for its commands; those of a killed one go when the next starts."""
    return list(Path("/sys/fs/cgroup").glob(f"*/thinklonger-*-{pid}-*"))


def expected(ended: Ended, fate: Fate) -> set[int]:
    """The exit codes that a user may see after this."""
    usual = {0, 1, 3}
    if not ended.asked or not fate.kind.startswith("SIG"):
        return usual
    early = fate.moment <= START_SECONDS or fate.kind == "SIGKILL"
    return usual | {130} | ({-signal.Signals[fate.kind]} if early else set())


def told(ended: Ended) -> bool:
    """Whether a run that came to an end of its own said so in JSON."""
    if ended.code not in (0, 1, 3):
        return True
    try:
        json.loads(ended.out)
    except ValueError:
        return False
    return True


def loads(folder: Path) -> bool:
    """Whether a record can be read, and is what the run wrote."""
    if not (folder / "events.jsonl").exists():
        return not any(folder.iterdir())  # killed between making the folder and the file
    try:
        return load_run(folder).record.altered is None
    except RecordError:
        return False


# ── containers ───────────────────────────────────────────────────────────────────────────────────────────────────


def engine_counter() -> Callable[[str], int]:
    """Counts the engine's containers, volumes and images beyond those of now; raises OSError where none answers.

    After a run that could not clean up itself, killed or left by the engine, what the next session's sweep removes is
    not counted: the session's image can't remove itself.
    """
    import docker
    from docker.errors import DockerException

    from thinklonger.agent.sandbox import launcher

    client = docker.from_env()
    api: Any = client.api  # its own annotations are narrower than what it takes

    def names() -> set[str]:
        found = {str(each.id) for each in client.containers.list(all=True)}
        found |= {str(each.name) for each in client.volumes.list()}
        return found | {str(each.id) for each in client.images.list(all=True)}

    before = names()

    def count(fate: str) -> int:
        deadline = time.monotonic() + GRACE_SECONDS
        while True:
            try:
                if fate in ("SIGKILL", "engine"):
                    launcher.sweep(api)
                more = len(names() - before)
            except (OSError, DockerException):
                more = -1  # the engine is starting
            if more == 0 or time.monotonic() > deadline:
                return abs(more)
            time.sleep(0.2)

    return count


# ── a worker ─────────────────────────────────────────────────────────────────────────────────────────────────────


def fate_of(chance: random.Random, whole: float, *, can_mount: bool, restart: str) -> Fate:
    """What happens to the next run."""
    kinds = ["whole"] * 3 + ["SIGINT"] * 5 + ["SIGTERM", "SIGHUP"] + ["SIGKILL"] * 5
    kinds += ["full"] * 5 if can_mount else []
    kinds += ["engine"] * 3 if restart else []
    kind = chance.choice(kinds)
    if kind == "whole":
        return Fate(kind)
    if kind == "full":
        size = f"size={int(2 ** chance.uniform(12, 22))}" + chance.choice(["", "", ",nr_inodes=12"])
        return Fate(kind, 0.0, chance.choice(PLACES), f"{size},mode=0700")
    return Fate(kind, chance.uniform(0.02, whole))


def work(options: argparse.Namespace) -> int:
    """One worker: run after run, a line of JSON for each."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    chance = random.Random(options.seed)  # noqa: S311 - moments to stop at, not secrets
    deadline = time.monotonic() + options.seconds
    with ExitStack() as stack:
        path = Path(tempfile.mkdtemp(prefix="soak-")).resolve()
        stack.callback(shutil.rmtree, path, ignore_errors=True)
        home = prepare(path)
        containers = engine_counter() if "docker" in options.sandbox else (lambda _: 0)
        whole = dict.fromkeys(options.sandbox, 4.0)
        for number in range(options.runs):
            if time.monotonic() > deadline:
                break
            repository = chance.choice(list(REPOSITORIES))
            sandbox = chance.choice(options.sandbox)
            job = chance.choice(["resolve", "resolve", "verify", "runs verify"])
            fate = fate_of(chance, whole[sandbox], can_mount=options.can_mount, restart=options.restart_engine)
            ended, left = one(home, (repository, job, sandbox), fate, containers)
            if fate.kind == "whole" and job != "runs verify":
                whole[sandbox] = 0.7 * whole[sandbox] + 0.3 * ended.seconds
            bad = any(left.values())
            words = (ended.err[-1500:] + ended.out[-300:]) if bad else ""
            about = f"{fate.kind} {fate.place} {fate.size} {fate.moment:.2f}".replace(" 0.00", "")
            line = Result(number, repository, job, sandbox, about, ended.code, ended.seconds, ended.gone, left, words)
            print(json.dumps(line.__dict__), flush=True)
            shorten(home)
    return 0


def one(
    home: Home, what: tuple[str, str, str], fate: Fate, containers: Callable[[str], int]
) -> tuple[Ended, dict[str, int]]:
    """One run and what it left; what is left is then removed, so that it does not count twice."""
    repository, job, sandbox = what
    with small_disk(home, fate):
        ended = run_one(command_of(home, repository, job, sandbox), home, fate)
        left = left_by(ended, home, fate, repository, containers)
        for pid in children():
            os.kill(pid, signal.SIGKILL)
        scratch = home.folder("tmp", fate.place if fate.kind == "full" else "")
        for rest in scratch.iterdir():
            shutil.rmtree(rest, ignore_errors=True)
    left["mounts"] = max(left["mounts"], len(mounts() - home.mounts))
    return ended, left


def shorten(home: Home) -> None:
    """Keep the last few records only: all were loaded once, and the disk is not ours."""
    records = sorted((home.path / "state").glob("runs/*"))
    for folder in records[:-5]:
        shutil.rmtree(folder, ignore_errors=True)


# ── the whole ────────────────────────────────────────────────────────────────────────────────────────────────────


def private_mounts() -> list[str]:
    """The start of a command line that may mount what nobody else sees; empty where that is not allowed."""
    words = ["unshare", "--mount", "--propagation", "private"]
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        return []
    tried = subprocess.run([*words, "mount", "-t", "tmpfs", "x", "/mnt"], capture_output=True, check=False)
    return [] if tried.returncode else words


def usable(names: list[str]) -> list[str]:
    """The sandboxes of those asked for that work here."""
    import asyncio

    from thinklonger.agent.config import SandboxChoice, SandboxSettings
    from thinklonger.agent.errors import ThinkLongerError
    from thinklonger.agent.sandbox import select_sandbox

    found: list[str] = []
    for name in names:
        kind = SandboxChoice("bubblewrap" if name == ON_DISK else name)
        try:
            asyncio.run(select_sandbox(SandboxSettings(kind=kind)))
        except ThinkLongerError as error:
            print(f"{name}: can't be used here: {error}")
            continue
        found.append(name)
    return found


@dataclass
class Totals:
    """What came of all runs so far."""

    runs: int
    began: float = field(default_factory=time.monotonic)
    results: list[Result] = field(default_factory=list[Result])
    lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, line: str, worker: int) -> None:
        """One more run."""
        result = Result(**json.loads(line))
        with self.lock:
            self.results.append(result)
            bad = {name: count for name, count in result.left.items() if count}
            if bad:
                print(f"worker {worker}, run {result.number}: {result.job} of {result.repository!r} in "
                      f"{result.sandbox}, {result.fate}: exit {result.code}, left: {bad}")  # fmt: skip
                print("    " + "\n    ".join(result.words.splitlines()[-12:]), flush=True)
            if len(self.results) % 20 == 0:
                spent = time.monotonic() - self.began
                print(f"{len(self.results):5d} of {self.runs} runs, {spent:.0f} s, "
                      f"left behind so far: {sum(self.left().values())}", flush=True)  # fmt: skip

    def left(self) -> Counter[str]:
        """What was left behind, by kind."""
        found: Counter[str] = Counter()
        for result in self.results:
            found.update(result.left)
        return found

    def summary(self) -> int:
        """Print the figures; the number of things left behind."""
        spent = time.monotonic() - self.began
        by: dict[str, Callable[[Result], str]] = {
            "job": lambda result: result.job,
            "sandbox": lambda result: result.sandbox,
            "fate": lambda result: " ".join(result.fate.split()[: 2 if result.fate.startswith("full") else 1]),
            "exit": lambda result: str(result.code),
        }
        count = len(self.results)
        print(f"\n{count} runs in {spent:.0f} s ({spent / max(1, count):.2f} s each)")
        for name, key in by.items():
            print(f"  by {name}: {dict(sorted(Counter(map(key, self.results)).items()))}")
        stopped = sorted((result for result in self.results if result.fate.startswith("SIG")), key=lambda r: r.gone)
        if stopped:
            middle, last = stopped[len(stopped) // 2], stopped[-1]
            print(f"  all gone after a signal: {middle.gone:.2f} s (median), {last.gone:.2f} s (longest: {last.job} of "
                  f"{last.repository!r} in {last.sandbox}, {last.fate})")  # fmt: skip
        left = self.left()
        print(f"  left behind: {dict(left)}")
        return sum(left.values())


def follow(process: "subprocess.Popen[str]", totals: Totals, worker: int, restart: str) -> None:
    """Read a worker's lines to their end, and restart the engine when it asks."""
    for line in process.stdout or ():
        if line.strip() == RESTART and process.stdin is not None:
            subprocess.run(["sh", "-c", restart], check=False, capture_output=True)
            process.stdin.write("done\n")
            process.stdin.flush()
        elif line.startswith("{"):
            totals.take(line, worker)
        else:
            print(line, end="")


def lead(options: argparse.Namespace) -> int:
    """Start the workers, gather what they say, sum up."""
    wrapper = private_mounts()
    if not wrapper:
        print("nothing can be mounted privately here: no full disks")
    sandboxes = usable(options.sandbox)
    if not sandboxes:
        return 3
    if "docker" in sandboxes:
        options.workers = 1
    totals = Totals(options.runs)
    share = -(-options.runs // options.workers)
    workers: list[subprocess.Popen[str]] = []
    try:
        for number in range(options.workers):
            runs = min(share, options.runs - share * number)
            words = ["--runs", str(runs), "--seconds", str(options.seconds), "--seed", str(options.seed + number)]
            words += ["--restart-engine", options.restart_engine, *(["--can-mount"] if wrapper else [])]
            command = [*wrapper, sys.executable, __file__, "--worker", *words, "--sandbox", *sandboxes]
            workers.append(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
        readers = [
            threading.Thread(target=follow, args=(process, totals, number, options.restart_engine))
            for number, process in enumerate(workers)
        ]
        for reader in readers:
            reader.start()
        for reader in readers:
            reader.join()
        codes = [process.wait() for process in workers]
    finally:
        for process in workers:
            if process.poll() is None:
                process.terminate()
                process.wait()
    left = totals.summary()
    return 1 if left or any(codes) else 0


def main() -> int:
    """Lead, or work for the leader."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=float("inf"), help="begin no further run after so long")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--sandbox", nargs="+", default=["bubblewrap", "none", ON_DISK])
    parser.add_argument("--restart-engine", default="")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--can-mount", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if not options.worker:
        return lead(options)

    def leave(_number: int, _frame: Any) -> None:  # noqa: ANN401 - a frame
        raise SystemExit(1)

    signal.signal(signal.SIGTERM, leave)
    return work(options)


if __name__ == "__main__":
    sys.exit(main())
