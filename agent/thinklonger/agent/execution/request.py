"""Builds the sandbox commands that start the payload."""

import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from pathlib import Path

from thinklonger.agent.types import Command, Interpreter, Limits

PACKAGE = "thinklonger_payload"
START = (
    "import os,sys\n"
    "if sys.version_info<(3,8):sys.exit('Python 3.8 or newer is needed, this is '+sys.version.split()[0])\n"
    "sys.path[:]=[entry for entry in sys.path if entry]\n"
    "sys.path.append(os.environ['THINKLONGER_PAYLOAD'])\n"
    f"from {PACKAGE}.main import main\n"
    "main()"
)
GRACE_SECONDS = 10.0
"""How much longer than its own clock a run may take before the sandbox ends it."""


@dataclass(frozen=True, slots=True)
class Request:
    """What the payload is asked for.

    `mode`: probe, collect, run or serve. `runner`: auto, pytest, unittest or command. `arguments`: the words of the
    user's command after the runner. `tests`: ids to run, or None for whatever the arguments select. `program`: whose
    presence a probe is to check. `candidates`: what serve is to try (id, contents in base64 by path).
    `coverage_seconds`: how long lines are recorded in all (CPU; None: without end). `last`: tests that run after all
    others. `start_seconds`: what importing and collecting may take on top of `seconds`. `cpu_seconds`: how much CPU
    the tests may take. `patience`: how many times `seconds_per_test` a test may take that got little of the processor.
    `candidate_seconds`: what a candidate's process may take in all; None: as long as one test.
    `folder`: where the tests run, below the root. `plain`: assertions are not rewritten, which
    makes collecting cheap and red tests tell less. `idle`: everything else on the machine goes first.
    """

    mode: str
    runner: str
    arguments: tuple[str, ...] = ()
    tests: tuple[str, ...] | None = None
    program: str = ""
    drop_addopts: bool = False
    fail_fast: bool = False
    coverage: bool = False
    seconds_per_test: float = 10.0
    seconds: float = 60.0
    candidates: tuple[Mapping[str, object], ...] = ()
    coverage_seconds: float | None = None
    last: tuple[str, ...] = ()
    start_seconds: float = 0.0
    cpu_seconds: float | None = None
    patience: float = 1.0
    candidate_seconds: float | None = None
    folder: str = ""
    plain: bool = False
    idle: bool = False


@dataclass(frozen=True, slots=True)
class Place:
    """Where the payload runs: the interpreter, what is lent to it, the user's own variables, and the limits."""

    interpreter: Interpreter
    lent: Path | None
    variables: tuple[tuple[str, str], ...] = ()
    limits: Limits = field(default_factory=Limits)


@cache
def payload() -> Mapping[str, bytes]:
    """The payload's files, by their names inside the sandbox."""
    folder = files("thinklonger.agent.execution").joinpath("payload")
    return {f"{PACKAGE}/{item.name}": item.read_bytes() for item in folder.iterdir() if item.name.endswith(".py")}


def environment(place: Place) -> dict[str, str]:
    """The variables for the repository's code: its interpreter first on the path, nothing random, one thread a core."""
    own = place.interpreter.executable.parent
    variables = {
        "PATH": f"{own}:/usr/local/bin:/usr/bin:/bin",
        "PYTHONHASHSEED": "0",
        "LC_ALL": "C.UTF-8",
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
    }
    if (place.interpreter.prefix / "pyvenv.cfg").is_file():
        variables["VIRTUAL_ENV"] = str(place.interpreter.prefix)
    return variables | dict(place.variables)


def make_nonce() -> str:
    """A number used once, which the repository's code can't know."""
    return secrets.token_hex(16)


def command_for(request: Request, place: Place, *, nonce: str) -> Command:
    """The sandbox command; it is stopped somewhat later than the request's own clock."""
    fields = {
        name: getattr(request, name) for name in Request.__dataclass_fields__ if name not in ("tests", "candidates")
    }
    fields |= {
        "nonce": nonce,
        "tests": request.tests,
        "candidates": request.candidates,
        "lent": None if place.lent is None else str(place.lent),
        "memory_bytes": place.limits.memory_bytes,
    }
    return Command(
        argv=(str(place.interpreter.executable), "-c", START),
        env=environment(place),
        stdin=json.dumps(fields).encode("ascii"),
        payload=payload(),
        limits=bounded(place.limits, request.seconds + request.start_seconds + GRACE_SECONDS),
    )


def bounded(limits: Limits, seconds: float) -> Limits:
    """The same limits with at most so much time."""
    return Limits(
        wall_seconds=min(limits.wall_seconds, seconds),
        memory_bytes=limits.memory_bytes,
        processes=limits.processes,
        output_bytes=limits.output_bytes,
        scratch_bytes=limits.scratch_bytes,
    )


def shown(interpreter: Interpreter, words: Sequence[str]) -> tuple[str, ...]:
    """A command as a person would type it."""
    return (interpreter.executable.name, "-m", *words)
