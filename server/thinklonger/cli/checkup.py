"""What `doctor` looks at on the machine itself: programs, sandboxes, disk, GPU, and where anything would be sent."""

import asyncio
import os
import platform
import shutil
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

from thinklonger.agent.config import SandboxChoice, SandboxSettings, Settings
from thinklonger.agent.config.places import state_directory
from thinklonger.agent.config.values import is_server
from thinklonger.agent.errors import ModelError, SandboxError
from thinklonger.agent.execution.environments.pythons import find_pythons
from thinklonger.agent.model import serving
from thinklonger.agent.protocols import Sandbox
from thinklonger.agent.repository.moment import moment_of
from thinklonger.agent.sandbox import risk, select_sandbox
from thinklonger.agent.types import Message
from thinklonger.cli.desk import Desk
from thinklonger.cli.diagnosis import Diagnosis, Finding

LITTLE_DISK = 1024**3
"""Bytes free below which a person should know."""
_LOCAL = ("localhost", "127.0.0.1", "::1")
_GIB = 1024**3


def look_at_programs(desk: Desk, found: Diagnosis, *, repository: Path | None) -> None:
    """Git and Python."""
    git = shutil.which("git")
    moment = moment_of(repository) if repository else None
    if git is None:
        found.lack("git", "doctor.no-git")
    elif repository is None:
        found.add("git", "doctor.git-alone", path=git)
    elif moment is None:
        found.add("git", "doctor.git-without-commit", path=git)
    else:
        found.add("git", "doctor.git", path=git, day=moment.date().isoformat())
    versions = ", ".join(".".join(map(str, python.version)) for python in find_pythons())
    found.add("python", "doctor.python", version=platform.python_version(), path=sys.executable, others=versions or "-")
    _look_at_state(state_directory(desk.settings), found)


def _look_at_state(folder: Path, found: Diagnosis) -> None:
    """Whether records can be written, tried where the folder exists, and how much room there is."""
    there = folder
    while not there.exists() and there.parent != there:
        there = there.parent
    try:
        if there == folder:
            with tempfile.TemporaryFile(dir=folder):
                pass
        elif not (there.is_dir() and os.access(there, os.W_OK | os.X_OK)):
            raise PermissionError(13, "Permission denied", str(there))
        free = shutil.disk_usage(there).free
    except OSError as cause:
        found.lack("state", "doctor.state-unwritable", path=str(folder), reason=cause.strerror or str(cause))
        return
    gib = f"{free / _GIB:,.1f}"
    if free < LITTLE_DISK:
        found.advise("state", "doctor.state-little", path=str(folder), gib=gib)
    else:
        found.add("state", "doctor.state", path=str(folder), gib=gib)


def look_at_egress(settings: Settings, found: Diagnosis) -> None:
    """What would be contacted: the endpoint that the user has named, the registry where building is allowed."""
    engine, allowed = settings.engine, settings.environments
    parts = urlsplit(engine) if is_server(engine) else None
    away = parts is not None and parts.hostname not in _LOCAL
    if parts is not None and away:
        host = f"{parts.hostname}:{parts.port}" if parts.port else parts.hostname or ""
        found.findings.append(
            Finding("egress", ok=True, said=Message("doctor.egress-engine", {"host": host}), note=True)
        )
    if allowed.build:
        found.add("egress", "doctor.egress-index", index=allowed.index)
    elif not away:
        found.add("egress", "doctor.egress-none")


def look_at_gpu(desk: Desk, found: Diagnosis) -> None:
    """The cards, and what `serve` would do with them."""
    machine = serving.find_gpus(visible=desk.surroundings.visible_gpus)
    if machine.trouble is not None:
        trouble = machine.trouble
        remedy = Message(f"{trouble.key}-remedy", trouble.params)
        found.findings.append(Finding("gpu", ok=True, said=trouble, remedy=remedy, note=True))
        return
    if not machine.gpus:
        found.add("gpu", "doctor.no-gpu")
        return
    for gpu in machine.gpus:
        size, used = f"{gpu.gib:.0f}" if gpu.memory else "?", f"{gpu.used / _GIB:.1f}"
        found.add("gpu", "doctor.gpu", name=gpu.name, gib=size, used=used, driver=gpu.driver or "-")
    try:
        plan = serving.plan(serving.usable(machine.gpus), cache_folder=desk.surroundings.model_cache)
    except ModelError as error:
        found.failed("gpu", error, needed=False)
        return
    found.add("gpu", "doctor.would-serve", model=plan.model, context=f"{plan.context:,}" if plan.context else "-")


async def look_at_sandboxes(settings: Settings, found: Diagnosis) -> Sandbox | None:
    """Try every sandbox that may be chosen by running something in it; the one that a run would take."""
    chosen = settings.sandbox
    kinds = [chosen.kind]
    if chosen.kind is SandboxChoice.AUTO:
        kinds = [SandboxChoice.BUBBLEWRAP, SandboxChoice.DOCKER]
        if chosen.prefer == SandboxChoice.DOCKER:
            kinds.reverse()
    tried = await asyncio.gather(*(_try(replace(chosen, kind=kind)) for kind in kinds))
    working = next((entry for entry in tried if not isinstance(entry, SandboxError)), None)
    for kind, entry in zip(kinds, tried, strict=True):
        if isinstance(entry, SandboxError):
            remedy = entry.remedy if working is None else None
            finding = Finding("sandbox", ok=working is not None, said=entry.message, remedy=remedy, note=True)
            found.findings.append(finding)
        elif (warning := risk(entry)) is not None:
            found.findings.append(Finding("sandbox", ok=True, said=warning, note=True))
        else:
            found.add("sandbox", "doctor.sandbox" if entry is working else "doctor.sandbox-too", name=kind.value)
    return working


async def _try(settings: SandboxSettings) -> Sandbox | SandboxError:
    try:
        return await select_sandbox(settings)
    except SandboxError as error:
        return error
