"""What the sandbox costs: a command in a fresh layer, eight at once, opening a session; what kept bytecode saves.

Each figure is a median of wall time; CPU is what our children used, without the confined command itself (bubblewrap
does not wait for it), and is changed less by a busy machine. Run:

    python benchmarks/sandbox.py [--engine none|bubblewrap|docker] [--repository DIR MODULE] [--side-by-side]

Without an engine's name, bubblewrap and Docker are measured, whichever work here, and the escape suite's attempts are
counted: N blocked of N.
"""

import argparse
import asyncio
import importlib
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path, PurePosixPath

from thinklonger.agent.config import SandboxChoice
from thinklonger.agent.errors import SandboxError
from thinklonger.agent.protocols import Sandbox, SandboxSession
from thinklonger.agent.sandbox import select_sandbox
from thinklonger.agent.types import Command, FileState

ROUNDS = 21
PAUSE_SECONDS = 1.0
LAYERS = 8
FILES = 2_000
READABLE = sorted({Path(sys.prefix), Path(sys.base_prefix)})
SUITE = Path(__file__).resolve().parent.parent / "tests" / "sandbox"
COMMANDS = {"true": ("/bin/true",), "python -c pass": (sys.executable, "-I", "-c", "pass")}


def cpu() -> float:
    """CPU seconds of all children so far."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


async def median(work: Callable[[], Awaitable[object]], rounds: int = ROUNDS) -> tuple[float, float]:
    """Median wall and CPU milliseconds of doing it, after one round that does not count."""
    walls, cpus = [], []
    for number in range(rounds + 1):
        wall, used = time.perf_counter(), cpu()
        await work()
        if number:
            walls.append((time.perf_counter() - wall) * 1000)
            cpus.append((cpu() - used) * 1000)
    return statistics.median(walls), statistics.median(cpus)


def plant(root: Path) -> list[PurePosixPath]:
    """A tree of small Python files in folders of fifty."""
    paths = [PurePosixPath(f"package{number // 50}/module{number}.py") for number in range(FILES)]
    for path in paths:
        (root / path).parent.mkdir(exist_ok=True)
        (root / path).write_text(f"value = '{path}'\n" * 100)
    return paths


async def bare(argv: tuple[str, ...]) -> None:
    """Run it with nothing around, started the same way."""
    process = await asyncio.create_subprocess_exec(*argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    await process.wait()


async def confined(session: SandboxSession, argv: tuple[str, ...], path: PurePosixPath) -> None:
    """Run it in a fresh layer with one file laid over."""
    async with session.layer({path: FileState(b"value = 'changed'\n")}) as layer:
        result = await layer.run(Command(argv))
        if result.exit_code != 0:
            sys.exit(result.output.decode())


async def measure(sandbox: Sandbox, root: Path, files: list[PurePosixPath]) -> None:
    """Print the figures of one engine."""

    async def opening() -> None:
        async with sandbox.open(root, files, readable=READABLE):
            pass

    wall, used = await median(opening, 5)
    print(f"{sandbox.name}: open and close, {len(files)} files: {wall:.0f} ms, CPU {used:.0f} ms")
    async with sandbox.open(root, files, readable=READABLE) as session:
        for name, argv in COMMANDS.items():
            bare_wall, bare_cpu = await median(lambda argv=argv: bare(argv))
            wall, used = await median(lambda argv=argv: confined(session, argv, files[0]))
            print(
                f"{name}: bare {bare_wall:.1f} ms (CPU {bare_cpu:.1f}), in a fresh layer {wall:.1f} ms "
                f"(CPU {used:.1f}); added {wall - bare_wall:.1f} ms, ratio {wall / bare_wall:.1f}"
            )
        argv = COMMANDS["python -c pass"]

        async def together() -> None:
            await asyncio.gather(*(confined(session, argv, files[0]) for _ in range(LAYERS)))

        wall, _ = await median(together, 5)
        one, _ = await median(lambda: confined(session, argv, files[0]), 5)
        print(f"python -c pass in {LAYERS} layers at once: {wall:.0f} ms, {wall / one:.1f} times one alone")


async def measure_bytecode(sandbox: Sandbox, root: Path, files: list[PurePosixPath], module: str) -> None:
    """Print what it costs to import a module of a real repository, before and after its bytecode was kept."""
    new, argv = PurePosixPath("new.py"), (sys.executable, "-c", f"import {module}")
    async with sandbox.open(root, files, readable=READABLE) as session:
        cold, _ = await median(lambda: confined(session, argv, new), 3)
        started = time.perf_counter()
        await session.warm(Command(argv))
        warming = (time.perf_counter() - started) * 1000
        warm, _ = await median(lambda: confined(session, argv, new), 3)
    print(
        f"import {module} ({len(files)} files): {cold:.0f} ms without bytecode, {warm:.0f} ms with, "
        f"ratio {cold / warm:.1f}; kept by a warm-up of {warming:.0f} ms"
    )


async def everything(engine: SandboxChoice, root: Path, repository: tuple[str, str] | None) -> None:
    """Measure one engine: on an empty folder `root`, and on a repository's folder and the name of its module."""
    try:
        sandbox = await select_sandbox(engine)
    except SandboxError as reason:
        print(f"{engine}: not measured. {reason}")
        return
    print(f"── {engine}, load {os.getloadavg()[0]:.1f}")
    (root / "tree").mkdir()
    await measure(sandbox, root / "tree", plant(root / "tree"))
    if repository is not None:
        top = Path(repository[0])
        await measure_bytecode(sandbox, top, sources(top), repository[1])
    if engine is not SandboxChoice.NONE:
        (root / "attempts").mkdir()
        await count_escapes(sandbox, root / "attempts")


async def count_escapes(sandbox: Sandbox, root: Path) -> None:
    """Run the escape suite's attempts and print how many were blocked."""
    sys.path.insert(0, str(SUITE))
    try_all = importlib.import_module("sandbox_attempts").try_all
    results = await try_all(sandbox, root)
    print(f"escape attempts: {sum(not found for found in results.values())} blocked of {len(results)}")
    for name, found in results.items():
        for line in found:
            print(f"  {name}: {line}")


def sources(top: Path) -> list[PurePosixPath]:
    """The Python files below a folder."""
    return [PurePosixPath(path.relative_to(top)) for path in top.rglob("*.py")]


async def side_by_side(root: Path) -> None:
    """Print what a fresh layer costs in both engines and a bare process, one after the other, again and again.

    A candidate's layer comes when the one before has run for a while, so each round waits as long as a test may take:
    what an engine prepares meanwhile is not counted, as it would not be in a search.
    """
    files = plant(root)
    argv = COMMANDS["true"]
    walls: dict[str, list[float]] = {}

    async def take(name: str, work: Callable[[], Awaitable[object]]) -> None:
        started = time.perf_counter()
        await work()
        walls.setdefault(name, []).append((time.perf_counter() - started) * 1000)
        await asyncio.sleep(PAUSE_SECONDS)

    async with AsyncExitStack() as stack:
        sessions: dict[str, SandboxSession] = {}
        for engine in (SandboxChoice.BUBBLEWRAP, SandboxChoice.DOCKER):
            try:
                sandbox = await select_sandbox(engine)
            except SandboxError as reason:
                print(f"{engine}: not measured. {reason}")
                continue
            sessions[engine] = await stack.enter_async_context(sandbox.open(root, files, readable=READABLE))
        load = os.getloadavg()[0]
        for _ in range(ROUNDS):
            await take("bare", lambda: bare(argv))
            for name, session in sessions.items():
                await take(name, lambda session=session: confined(session, argv, files[0]))
    print(f"── side by side, {len(files)} files, load {load:.1f} to {os.getloadavg()[0]:.1f}")
    for name, found in walls.items():
        least, middle, most = min(found), statistics.median(found[2:]), statistics.quantiles(found, n=10)[-1]
        print(f"{name}: median {middle:.0f} ms, least {least:.0f}, nine of ten below {most:.0f}")


def main() -> None:
    """Measure the engine that was asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--engine", type=SandboxChoice, default=SandboxChoice.AUTO)
    parser.add_argument("--repository", nargs=2, metavar=("DIR", "MODULE"))
    parser.add_argument("--side-by-side", action="store_true", help="both engines and a bare process, interleaved")
    arguments = parser.parse_args()
    if arguments.side_by_side:
        with tempfile.TemporaryDirectory() as folder:
            Path(folder).chmod(0o755)
            asyncio.run(side_by_side(Path(folder).resolve()))
        return
    both = (SandboxChoice.BUBBLEWRAP, SandboxChoice.DOCKER)
    for engine in both if arguments.engine is SandboxChoice.AUTO else (arguments.engine,):
        with tempfile.TemporaryDirectory() as folder:
            Path(folder).chmod(0o755)
            asyncio.run(everything(engine, Path(folder).resolve(), arguments.repository))


main()
