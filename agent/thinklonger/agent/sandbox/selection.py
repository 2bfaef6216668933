"""Which sandbox: the one asked for, or the one that this machine can run; never silently a weaker one."""

import asyncio
import sys

from thinklonger.agent.config import SandboxChoice
from thinklonger.agent.errors import SandboxError
from thinklonger.agent.protocols import Sandbox
from thinklonger.agent.sandbox.folders import sweep
from thinklonger.agent.types import Message


async def select_sandbox(choice: SandboxChoice) -> Sandbox:
    """The sandbox to use, proved to work here by running something in it.

    `auto` is bubblewrap on Linux. Raises SandboxError, with what to install or do, where the choice can't be met;
    `none` is never chosen unless asked for by name. What a launcher left that was killed together with its watcher
    is removed first.
    """
    match choice:
        case SandboxChoice.NONE:
            from thinklonger.agent.sandbox.direct import DirectSandbox  # noqa: PLC0415 - only the chosen one is loaded

            sandbox: Sandbox = DirectSandbox()
        case SandboxChoice.DOCKER:
            raise SandboxError("sandbox.docker-not-yet")
        case SandboxChoice.AUTO | SandboxChoice.BUBBLEWRAP:
            if sys.platform != "linux":
                raise SandboxError("sandbox.linux-only", platform=sys.platform)
            from thinklonger.agent.sandbox.bubblewrap import BubblewrapSandbox  # noqa: PLC0415 - see above

            sandbox = BubblewrapSandbox()
    await asyncio.to_thread(sweep)
    await sandbox.probe()
    return sandbox


def risk(sandbox: Sandbox) -> Message | None:
    """What a person should know before code runs in this sandbox; None where there is nothing to warn of."""
    return Message("sandbox.none-risk") if sandbox.name == SandboxChoice.NONE else None
