"""What verifying eight candidates costs beside running the same tests bare, in CPU seconds.

    python benchmarks/verify.py REPOSITORY --file SOURCE.py --test-command "pytest tests/test_x.py …"
                                [--candidates 8] [--workers 2] [--rounds 3] [--sandbox bubblewrap]

The repository's tests have to run (a virtual environment in it is found). Each candidate is SOURCE.py with one more
statement that means nothing; each runs all of the command's tests in a layer of its own, `--workers` at a time, judged
as in any run. Bare: the same command, as often, `--workers` at a time, on a private copy of the tree, with nothing
around it. CPU is that of a control group with everything that was started (as root only), bytecode is warm on both
sides, and the rounds alternate. Printed: medians and their ratio, once for the candidates alone and once with opening
the sandbox and proving the environment, which a run does once however many candidates it has.
"""

import argparse
import asyncio
import os
import shlex
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from thinklonger.agent.config import SandboxChoice, SandboxSettings
from thinklonger.agent.execution import find_interpreter, prove
from thinklonger.agent.execution.commands import read_command
from thinklonger.agent.repository import open_repository
from thinklonger.agent.sandbox import select_sandbox
from thinklonger.agent.types import FileState, Interpreter

GROUPS = (
    ("/sys/fs/cgroup/cpuacct", "cpuacct.usage", 1e9),
    ("/sys/fs/cgroup/cpu,cpuacct", "cpuacct.usage", 1e9),
)
PROMISED = 1.25


@dataclass(frozen=True)
class Figures:
    """CPU seconds of the candidates, and of all that came before them."""

    candidates: float
    before: float


class Meter:
    """The CPU seconds of this process and of everything that it starts, by a control group of their own."""

    def __init__(self) -> None:
        """Make the group and enter it; exits where there is none."""
        for place, file, unit in GROUPS:
            if Path(place, file).exists():
                self._unit, self._old = unit, Path(place)
                self._folder = Path(place, f"verify-{os.getpid()}")
                self._folder.mkdir()
                self._usage = self._folder / file
                (self._folder / "cgroup.procs").write_text(str(os.getpid()))
                return
        sys.exit("this machine has no control group that counts CPU time (cpuacct)")

    def seconds(self) -> float:
        """CPU seconds so far."""
        return int(self._usage.read_text()) / self._unit

    def close(self) -> None:
        """Leave the group and remove it, once all in it have ended."""
        (self._old / "cgroup.procs").write_text(str(os.getpid()))
        for _ in range(50):
            try:
                self._folder.rmdir()
            except OSError:
                time.sleep(0.1)
                continue
            return


@contextmanager
def metering() -> Iterator[Meter]:
    """A meter for as long as it is needed."""
    meter = Meter()
    try:
        yield meter
    finally:
        meter.close()


async def ours(options: argparse.Namespace, meter: Meter) -> Figures:
    """The candidates as a run verifies them."""
    root = options.repository
    source = PurePosixPath(options.file)
    text = (root / source).read_bytes()
    with tempfile.TemporaryDirectory() as cache:
        repository = await open_repository(root, cache=Path(cache))
        files = list(repository.snapshot_files())
        await repository.close()
    opened = meter.seconds()  # indexing is no part of verifying
    interpreter = find_interpreter(root)
    sandbox = await select_sandbox(SandboxSettings(kind=SandboxChoice(options.sandbox)))
    async with sandbox.open(root, files, readable=interpreter.readable) as session:
        harness = await prove(session, interpreter, test_command=options.test_command)
        await harness.run(None, seconds=600)  # the baseline of a run
        proved = meter.seconds()
        turn = asyncio.Semaphore(options.workers)

        async def verify(number: int) -> None:
            layer = {source: FileState(text + f"\n_candidate = {number}\n".encode())}
            async with turn:
                run = (await harness.run(None, layer=layer, seconds=600)).run
            if not run.complete:
                sys.exit(f"candidate {number} did not come to its end:\n{run.output[-2000:]}")

        await asyncio.gather(*(verify(number) for number in range(options.candidates)))
        ended = meter.seconds()
    return Figures(ended - proved, proved - opened)


def bare(options: argparse.Namespace, meter: Meter, tree: Path, interpreter: Interpreter) -> float:
    """The same command as often, with nothing around it."""
    asked = read_command(options.test_command)
    words = [str(interpreter.executable), "-m", asked.runner.value, *asked.arguments, "-p", "no:cacheprovider", "-q"]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}

    def run(_number: int) -> None:
        subprocess.run(words, cwd=tree, env=environment, check=False, stdout=subprocess.DEVNULL)

    run(0)
    began = meter.seconds()
    with ThreadPoolExecutor(options.workers) as pool:
        list(pool.map(run, range(options.candidates)))
    return meter.seconds() - began


def main() -> int:
    """Measure in turns, print the ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("repository", type=Path)
    parser.add_argument("--file", required=True, help="the source file that the candidates change")
    parser.add_argument("--test-command", required=True)
    parser.add_argument("--candidates", type=int, default=8)
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--sandbox", default="bubblewrap")
    options = parser.parse_args()
    options.repository = options.repository.resolve()
    print(f"{options.candidates} candidates of {options.file}, {options.workers} at a time, in {options.sandbox}: "
          f"{shlex.join(shlex.split(options.test_command))}")  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="verify-") as folder:
        tree = Path(folder) / "tree"
        shutil.copytree(options.repository, tree, symlinks=True, ignore=shutil.ignore_patterns(".git", ".venv", "venv"))
        interpreter = find_interpreter(options.repository)
        mine: list[Figures] = []
        plain: list[float] = []
        with metering() as meter:
            for number in range(options.rounds):
                plain.append(bare(options, meter, tree, interpreter))
                mine.append(asyncio.run(ours(options, meter)))
                print(f"  round {number + 1}: bare {plain[-1]:.2f} s, candidates {mine[-1].candidates:.2f} s, "
                      f"before them {mine[-1].before:.2f} s", flush=True)  # fmt: skip
    base = statistics.median(plain)
    alone = statistics.median(figures.candidates for figures in mine)
    whole = statistics.median(figures.candidates + figures.before for figures in mine)
    print(
        f"CPU, medians: bare {base:.2f} s; candidates {alone:.2f} s, ratio {alone / base:.2f} (promised ≤ {PROMISED})"
    )
    print(f"with opening, proving and the baseline: {whole:.2f} s, ratio {whole / base:.2f}")
    return 0 if alone <= PROMISED * base else 1


if __name__ == "__main__":
    sys.exit(main())
