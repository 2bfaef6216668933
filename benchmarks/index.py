"""Indexing a repository, cold and warm, as ratios to a bare tree-sitter parse of the same files in the same run.

    python benchmarks/index.py PATH [--runs N]

`cold` and `warm` are whole processes (imports, git, workers and all) less a bare interpreter, in CPU seconds; `parse`
is the loop over `Parser.parse` alone, on one thread, without reading the files; which files those are is asked outside
of what is measured. Runs are interleaved and medians printed. `warm` verifies every file against the disk. The targets
are cold ≤ 2.0 and warm ≤ 0.15.
"""

import argparse
import asyncio
import json
import resource
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from cpu import Measured, interpreter_seconds, measure


def main() -> None:
    """Measure and print; or be one of the measured programs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("path", type=Path)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--program", choices=("parse", "open", "list"), help=argparse.SUPPRESS)
    parser.add_argument("--cache", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    match arguments.program:
        case "parse":
            _parse(arguments.path, arguments.cache)
        case "open":
            asyncio.run(_open(arguments.path, arguments.cache))
        case "list":
            asyncio.run(_list(arguments.path, arguments.cache))
        case _:
            _compare(arguments.path.resolve(), arguments.runs)


def _compare(path: Path, runs: int) -> None:
    """Interleaved runs of all three, and what they come to."""
    bare = interpreter_seconds()
    cold: list[Measured] = []
    warm: list[Measured] = []
    parsed: list[float] = []
    figures: dict[str, float] = {}
    parse: dict[str, float] = {}
    for _ in range(runs):
        with tempfile.TemporaryDirectory() as folder:
            cold.append(_run("open", path, folder))
            warm.append(_run("open", path, folder))
            figures = json.loads(warm[-1].output)
            _run("list", path, folder)
            parse = json.loads(_run("parse", path, folder).output)
            parsed.append(parse["seconds"])
    floor = median(parsed)
    print(f"{path}: {figures['files']:.0f} files, {figures['symbols']:.0f} symbols, {parse['bytes'] / 1e6:.1f} MB")
    print(f"parse  {floor:6.3f} CPU s")
    for name, measured in (("cold", cold), ("warm", warm)):
        cpu = median(one.cpu for one in measured) - bare
        peaks = [json.loads(one.output) for one in measured]
        peak = max(one["own_mb"] + 2 * one["worker_mb"] for one in peaks) if name == "cold" else peaks[0]["own_mb"]
        wall = median(one.wall for one in measured)
        ratios = sorted((one.cpu - bare) / seconds for one, seconds in zip(measured, parsed, strict=True))
        print(
            f"{name}   {cpu:6.3f} CPU s = {median(ratios):.3f} x parse ({ratios[0]:.3f} to {ratios[-1]:.3f}), "
            f"{wall:.2f} s wall, at most {peak:.0f} MB in all processes"
        )


def _run(program: str, path: Path, cache: str) -> Measured:
    """One measured run of this file as another program."""
    return measure([sys.executable, __file__, str(path), "--program", program, "--cache", cache])


async def _open(path: Path, cache: Path) -> None:
    """Open the repository and say what it is."""
    from thinklonger.agent.repository import open_repository

    repository = await open_repository(path, cache=cache)
    await repository.close()
    own, workers = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    figures = {
        "files": repository.statistics.files,
        "symbols": repository.statistics.symbols,
        "own_mb": own.ru_maxrss / 1024,
        "worker_mb": workers.ru_maxrss / 1024,
    }
    print(json.dumps(figures))


async def _list(path: Path, cache: Path) -> None:
    """Note which files the index has."""
    from thinklonger.agent.repository import open_repository

    repository = await open_repository(path, cache=cache)
    await repository.close()
    (cache / "paths").write_text(json.dumps([str(path / source) for source in repository.paths()]))


def _parse(path: Path, cache: Path) -> None:
    """Parse the files that the index has, and nothing else."""
    import tree_sitter
    import tree_sitter_python

    del path
    contents = [Path(name).read_bytes() for name in json.loads((cache / "paths").read_text())]
    parser = tree_sitter.Parser(tree_sitter.Language(tree_sitter_python.language()))
    started = time.process_time()
    for content in contents:
        parser.parse(content)
    print(json.dumps({"seconds": time.process_time() - started, "bytes": sum(map(len, contents))}))


if __name__ == "__main__":
    main()
