"""The payload's entry: read the request, prepare the path, run what was asked for, report."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import platform
import shutil
import sys
from typing import Any

from .discovery import needs_pytest
from .integrity import replaced
from .report import Report
from .request import Request, Run, flush

REPORT = "report.jsonl"
HANG = "hang.txt"


def main() -> None:
    """Do what standard input asks for; the exit status is the runner's."""
    payload = os.environ["THINKLONGER_PAYLOAD"]
    sys.path[:] = [entry for entry in sys.path if entry not in ("", payload)]
    request = Request(json.loads(sys.stdin.buffer.read()))
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    if request.mode == "serve":
        from .serve import serve  # noqa: PLC0415 - needed in this mode only

        serve(request)
        return
    if request.idle:
        give_way()
    out = os.environ["THINKLONGER_OUT"]
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    report = Report(os.open(os.path.join(out, REPORT), flags, 0o600), request.nonce)
    with open(os.path.join(out, HANG), "wb", 0) as dump:
        run = Run(request, report, dump)
        runner = choose_runner(request)
        report.write("runner", dict(identity(), runner=runner, version="", lent=False, found=found(request)))
        status = 0
        if request.mode != "probe":
            status = execute(runner, run)
            if names := replaced(run.places):
                report.write("tampered", {"names": names})
        report.write("end", {"status": status})
    leave(status)


def leave(status: int) -> None:
    """End with the runner's status at once: threads that tests left behind must not hold the verdict up."""
    flush()
    os._exit(status)


def identity() -> dict[str, Any]:
    """Which Python this is."""
    return {"python": platform.python_version(), "implementation": sys.implementation.name}


def found(request: Request) -> bool:
    """Whether the program of a plain command is there."""
    return not request.program or shutil.which(request.program) is not None


def choose_runner(request: Request) -> str:
    """The runner asked for; left open, pytest where it is at home or its tests need it, else unittest."""
    if request.runner != "auto":
        return request.runner
    at_home = importlib.util.find_spec("pytest") is not None
    if at_home or (request.lent and needs_pytest(os.getcwd())):
        return "pytest"
    return "unittest"


def execute(runner: str, run: Run) -> int:
    """Run the tests with this runner; its exit status."""
    lent = False
    if runner == "pytest":
        if importlib.util.find_spec("pytest") is None and run.request.lent:
            from .lending import lend  # noqa: PLC0415 - rarely needed

            lend(run.request.lent)
            lent = True
        from . import pytest_runner as module  # noqa: PLC0415 - imports pytest
    else:
        from . import unittest_runner as module  # type: ignore[no-redef] # noqa: PLC0415 - the same functions
    run.report.write("runner", dict(identity(), runner=runner, version=module.version(), lent=lent, found=True))
    enter(run)
    return module.execute(run)


def enter(run: Run) -> None:
    """Make the tree importable, and go to the folder from which its tests run."""
    extend_path(run.root)
    folder = os.path.join(run.root, run.request.folder)
    if run.request.folder and os.path.isdir(folder):
        os.chdir(folder)
        sys.path.insert(0, folder)


def give_way() -> None:
    """Let everything else on the machine go first, as far as the system has means for it."""
    with contextlib.suppress(OSError):
        os.nice(10)
    with contextlib.suppress(OSError), open("/proc/self/autogroup", "w") as file:
        file.write("10")


def extend_path(root: str) -> None:
    """Make the tree importable: its root first, `src` before what is installed but after the standard library."""
    source = os.path.join(root, "src")
    if os.path.isdir(source) and not os.path.exists(os.path.join(source, "__init__.py")) and source not in sys.path:
        installed = [
            index for index, entry in enumerate(sys.path) if "site-packages" in entry or "dist-packages" in entry
        ]
        sys.path.insert(installed[0] if installed else len(sys.path), source)
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (source, os.environ.get("PYTHONPATH"))))
    if root not in sys.path:
        sys.path.insert(0, root)
