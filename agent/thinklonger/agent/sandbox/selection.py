"""Which sandbox: the one asked for, or the one that this machine can run; never silently a weaker one."""

import asyncio
import sys

from thinklonger.agent.config import SandboxChoice, SandboxPreference, SandboxSettings
from thinklonger.agent.errors import SandboxError
from thinklonger.agent.protocols import Sandbox
from thinklonger.agent.sandbox.folders import sweep
from thinklonger.agent.types import Message


async def select_sandbox(settings: SandboxSettings | SandboxChoice) -> Sandbox:
    """The sandbox to use, proved to work here by running something in it.

    `auto` is the preferred one of bubblewrap and Docker if it works, else the other one. Raises SandboxError, with
    what to install or do, where the choice can't be met; `none` is never chosen unless asked for by name. What a
    launcher left that was killed together with its watcher is removed first.
    """
    if isinstance(settings, SandboxChoice):
        settings = SandboxSettings(kind=settings)
    if settings.kind is SandboxChoice.AUTO:
        return await _first_that_works(settings)
    sandbox = _make(settings.kind, settings)
    await asyncio.to_thread(sweep)
    await sandbox.probe()
    return sandbox


async def _first_that_works(settings: SandboxSettings) -> Sandbox:
    """Bubblewrap or Docker, in the preferred order; where neither works, why the preferred one does not."""
    order = [SandboxChoice.BUBBLEWRAP, SandboxChoice.DOCKER] if sys.platform == "linux" else [SandboxChoice.DOCKER]
    if settings.prefer is SandboxPreference.DOCKER:
        order.reverse()
    failures: list[SandboxError] = []
    await asyncio.to_thread(sweep)
    for choice in order:
        sandbox = _make(choice, settings)
        try:
            await sandbox.probe()
        except SandboxError as failure:
            failures.append(failure)
        else:
            return sandbox
    raise failures[0]


def _make(choice: SandboxChoice, settings: SandboxSettings) -> Sandbox:
    """The engine of that name; only the chosen one is loaded."""
    match choice:
        case SandboxChoice.NONE:
            from thinklonger.agent.sandbox.direct import DirectSandbox  # noqa: PLC0415 - see above

            return DirectSandbox()
        case SandboxChoice.DOCKER:
            from thinklonger.agent.sandbox.docker import DockerSandbox  # noqa: PLC0415 - see above

            return DockerSandbox(settings.image)
        case SandboxChoice.AUTO | SandboxChoice.BUBBLEWRAP:
            if sys.platform != "linux":
                raise SandboxError("sandbox.linux-only", platform=sys.platform)
            from thinklonger.agent.sandbox.bubblewrap import BubblewrapSandbox  # noqa: PLC0415 - see above

            return BubblewrapSandbox()


def risk(sandbox: Sandbox) -> Message | None:
    """What a person should know before code runs in this sandbox; None where there is nothing to warn of."""
    if sandbox.name == SandboxChoice.NONE:
        return Message("sandbox.none-risk")
    if sandbox.name == SandboxChoice.BUBBLEWRAP:
        from thinklonger.agent.sandbox.groups import are_counted_together  # noqa: PLC0415 - Linux only

        return None if are_counted_together() else Message("sandbox.memory-risk")
    return None
