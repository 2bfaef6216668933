"""Measures how far environments are reached for source distributions, as of their release: rules only, registry only.

    python benchmarks/environments.py [--set first|second] [NAME==VERSION ...]

Each distribution is fetched as its source archive, unpacked without running anything of it, committed with the date of
its release, and given to `open_environment` with building allowed. The whole suite then runs once in the sandbox;
tests that four minutes did not reach count neither way, and are told.
"""

import argparse
import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import urllib.request
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath

from thinklonger.agent.config import SandboxChoice
from thinklonger.agent.errors import ThinkLongerError
from thinklonger.agent.execution import Harness, prove
from thinklonger.agent.execution.environments import Permission, open_environment
from thinklonger.agent.protocols import SandboxSession
from thinklonger.agent.sandbox import select_sandbox
from thinklonger.agent.types import Interpreter, Limits, Outcome, TestRun

FIRST = (
    "attrs==22.2.0",
    "babel==2.11.0",
    "cachetools==4.2.4",
    "click==8.1.3",
    "docutils==0.19",
    "flask==2.2.5",
    "anyio==3.6.2",
    "itsdangerous==2.1.2",
    "jinja2==3.0.3",
    "jsonschema==4.17.3",
    "markdown==3.4.1",
    "marshmallow==3.13.0",
    "more-itertools==8.12.0",
    "networkx==2.6.3",
    "packaging==23.2",
    "parso==0.8.3",
    "pyparsing==3.0.9",
    "requests==2.28.2",
    "tinydb==4.7.1",
    "werkzeug==2.0.3",
)
SECOND = (
    "arrow==1.2.3",
    "bottle==0.12.25",
    "cerberus==1.3.4",
    "mistune==2.0.5",
    "pluggy==1.2.0",
    "pyflakes==3.0.1",
    "python-dateutil==2.8.2",
    "tomlkit==0.11.8",
    "voluptuous==0.13.1",
    "xmltodict==0.13.0",
)
HTML = "application/vnd.pypi.simple.v1+html"
LINK = re.compile(r'<a href="(?P<url>[^"#]+)[^"]*"(?P<rest>[^<]*?)>(?P<file>[^<>]+)</a>')
UPLOADED = re.compile(r'data-upload-time="([^"]+)"')
SUITE_SECONDS = 240.0
SHARE = 0.8


@dataclass(frozen=True)
class Measured:
    """One distribution: was an environment reached, from where, and what share of the tests passes in it."""

    distribution: str
    date: str
    reached: bool
    share: float
    passed: int
    red: int
    skipped: int
    unreached: int
    python: str
    runner: str
    seconds: float
    suite_seconds: float
    megabytes: float
    note: str

    @property
    def good(self) -> bool:
        """Whether the goal is reached."""
        return self.reached and self.share >= SHARE


def fetch(requirement: str, index: str, folder: Path) -> tuple[Path, datetime]:
    """The unpacked source archive of a `name==version`, and when it was uploaded."""
    name, _, version = requirement.partition("==")
    plain = re.sub(r"[-_.]+", "-", name).lower()
    asked = urllib.request.Request(f"{index}/{plain}/", headers={"Accept": HTML})  # noqa: S310 - a registry
    with urllib.request.urlopen(asked) as answer:  # noqa: S310 - see above
        page = answer.read().decode()
    wanted = re.compile(
        rf"^{'[-_.]'.join(map(re.escape, plain.split('-')))}-{re.escape(version)}\.tar\.gz$", re.IGNORECASE
    )
    link = next(match for match in LINK.finditer(page) if wanted.match(match["file"]))
    uploaded = UPLOADED.search(link["rest"])
    if uploaded is None:
        sys.exit(f"{index} does not say when {requirement} was uploaded")
    archive = folder / link["file"]
    with urllib.request.urlopen(link["url"]) as answer, archive.open("wb") as file:  # noqa: S310 - see above
        shutil.copyfileobj(answer, file)
    place = folder / "sources"
    with tarfile.open(archive) as packed:
        packed.extractall(place, filter="data")
    return next(path for path in place.iterdir() if path.is_dir()), datetime.fromisoformat(uploaded[1])


def commit(root: Path, moment: datetime) -> None:
    """Make the folder a repository with one commit of that moment."""
    when = moment.isoformat()
    variables = dict(os.environ, GIT_AUTHOR_DATE=when, GIT_COMMITTER_DATE=when, GIT_CONFIG_GLOBAL=os.devnull)
    git = ("git", "-c", "user.name=Benchmark", "-c", "user.email=benchmark@example.com", "-C", str(root))
    for words in (("init", "--quiet"), ("add", "--all", "--force"), ("commit", "--quiet", "-m", "A release")):
        subprocess.run([*git, *words], check=True, env=variables, capture_output=True)


async def measure(requirement: str, index: str, cache: Path) -> Measured:
    """One distribution from the archive to the share."""
    with tempfile.TemporaryDirectory(prefix="thinklonger-benchmark-", ignore_cleanup_errors=True) as scratch:
        root, moment = await asyncio.to_thread(fetch, requirement, index, Path(scratch))
        await asyncio.to_thread(commit, root, moment)
        listed = subprocess.run(["git", "-C", str(root), "ls-files", "-z"], capture_output=True, check=True).stdout  # noqa: ASYNC221 - a moment
        files = [PurePosixPath(os.fsdecode(path)) for path in listed.split(b"\0") if path]
        started = time.monotonic()
        day = moment.date().isoformat()

        async def proved(session: SandboxSession, interpreter: Interpreter, command: str | None) -> Harness:
            return await prove(
                session, interpreter, test_command=command, limits=Limits(wall_seconds=300.0, scratch_bytes=1024**3)
            )

        permission = Permission(cache, build=True, index=index, moment=moment)
        try:
            sandbox = await select_sandbox(SandboxChoice.BUBBLEWRAP)
            async with open_environment(sandbox, root, files, permission=permission, prove=proved) as provided:
                seconds = time.monotonic() - started
                harness = provided.harness
                tests = await harness.collect()
                run = (await harness.run(tests, seconds=SUITE_SECONDS, seconds_per_test=30.0)).run
                recipe = provided.environment.recipe
                outcomes = [result.outcome for result in run.results]
                broken = sum(problem.key == "execution.file-not-collected" for problem in harness.problems)
                passed, skipped = outcomes.count(Outcome.PASSED), outcomes.count(Outcome.SKIPPED)
                unreached = outcomes.count(Outcome.MISSING) if run.seconds >= SUITE_SECONDS else 0
                red = len(outcomes) - passed - skipped - unreached + broken
                show_red(requirement, run, harness)
                for note in provided.notes:
                    print(requirement, note, file=sys.stderr)
                return Measured(
                    distribution=requirement,
                    date=day,
                    reached=True,
                    share=round(passed / max(1, passed + red), 4),
                    passed=passed,
                    red=red,
                    skipped=skipped,
                    unreached=unreached,
                    python=harness.environment.python_version,
                    runner=f"{harness.environment.runner} {harness.environment.runner_version}",
                    seconds=round(seconds, 1),
                    suite_seconds=round(run.seconds, 1),
                    megabytes=round(recipe.bytes / 1e6, 1) if recipe else 0.0,
                    note=f"{provided.environment.origin}; dropped {len(recipe.dropped) if recipe else 0}",
                )
        except ThinkLongerError as error:
            seconds = round(time.monotonic() - started, 1)
            return Measured(requirement, day, False, 0.0, 0, 0, 0, 0, "", "", seconds, 0.0, 0.0, str(error)[:300])  # noqa: FBT003 - by its place


def show_red(requirement: str, run: TestRun, harness: Harness) -> None:
    """Say on standard error what is red, for who works on the rules."""
    if not os.environ.get("SHOW_RED"):
        return
    for problem in harness.problems:
        print(requirement, problem, file=sys.stderr)
    shown = [result for result in run.results if result.outcome.red][:12]
    print(requirement, run.ending, run.exit_code, f"{run.seconds:.1f} s", run.output[-1500:], file=sys.stderr)
    for result in shown:
        print(requirement, result.id, result.outcome, result.exception, result.text[:200], file=sys.stderr)


async def main() -> int:
    """Measure all that are asked for, one after the other."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("distributions", nargs="*")
    parser.add_argument("--set", choices=("first", "second"), default="first")
    parser.add_argument("--index", default="https://pypi.org/simple")
    parser.add_argument("--cache", type=Path, help="keep what is built here (default: a folder of the moment)")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    wanted = options.distributions or (FIRST if options.set == "first" else SECOND)
    measured: list[Measured] = []
    with tempfile.TemporaryDirectory(prefix="thinklonger-benchmark-", ignore_cleanup_errors=True) as scratch:
        for requirement in wanted:
            found = await measure(requirement, options.index, options.cache or Path(scratch))
            measured.append(found)
            print(json.dumps(asdict(found)), file=sys.stderr, flush=True)
    good = sum(found.good for found in measured)
    if options.json:
        print(json.dumps({"good": good, "of": len(measured), "measured": [asdict(found) for found in measured]}))
        return 0
    for found in measured:
        sign = "yes" if found.good else "no "
        print(
            f"{sign} {found.distribution:26} {found.date} {found.share:7.1%} of {found.passed + found.red:5} "
            f"py {found.python:8} {found.seconds:6.1f} s {found.megabytes:6.1f} MB  {found.note}"
            + (f"; {found.unreached} not reached in time" if found.unreached else "")
        )
    print(f"{good} of {len(measured)} reach {SHARE:.0%}")
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
