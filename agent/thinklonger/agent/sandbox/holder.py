"""The process that a bubblewrap session lives in: its namespaces hold everything, and die with the launcher's pipe."""

import asyncio
import os
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from thinklonger.agent.errors import SandboxError
from thinklonger.agent.sandbox.inventory import Inventory
from thinklonger.agent.sandbox.process import Spawn, end, start
from thinklonger.agent.sandbox.sealed import sealed
from thinklonger.agent.sandbox.tools import ENVIRONMENT, shell, tool, unprivileged

LEAVE_SECONDS = 0.4
"""How long the holder may take to go after its pipe was closed, before it is killed.

Killed processes that entered its namespace become orphans of the machine's init; where that one does not reap (a
container without an init), the namespace can't end by itself.
"""
ERROR_BYTES = 4096
ROOT = Path("/")


@dataclass(frozen=True, slots=True)
class Holder:
    """A session's namespaces: the process that started them, the pid of their first one, and their root folder open.

    A pid that was taken by another process meanwhile does no harm: there is no user namespace of ours to enter there.
    """

    process: Process
    pid: int
    top: int

    def enter(self, argv: Sequence[str], fds: tuple[int, ...] = ()) -> Spawn:
        """A command line that runs inside, as the holder's own user: root becomes that by entering, we are it."""
        keep = () if unprivileged() else ("--preserve-credentials",)
        options = ("--target", str(self.pid), "--user", *keep, "--mount", "--pid", "--")
        return Spawn((tool("nsenter"), *options, *argv), ENVIRONMENT, cwd=ROOT, fds=fds)

    def path(self, inside: str) -> str:
        """How the launcher reaches a path inside, without entering."""
        return f"/proc/self/fd/{self.top}{inside}"

    def drop(self, layer: str) -> None:
        """Have a layer removed; nobody waits for it."""
        self._tell(f"drop {layer}")

    def kill(self, pid: int) -> None:
        """Have a process killed by its pid inside, at once: a sandbox's first process takes all others with it."""
        self._tell(f"kill {pid}")

    def _tell(self, line: str) -> None:
        if self.process.stdin is not None:
            self.process.stdin.write(f"{line}\n".encode())


@asynccontextmanager
async def hold(memory_bytes: int, folder: Path | None, readable: Sequence[Path]) -> AsyncGenerator[Holder]:
    """Start a holder and end it, with all that runs inside, when the context ends.

    It has a tmpfs of at most `memory_bytes` at /sys/work, where `base` is to hold the tree (it is `folder` on disk,
    if given). `readable` are folders that root binds, at /sys/0, /sys/1 and so on, before it gives up being root.
    Raises SandboxError with what the tools said.
    """
    process = await start(_spawn(memory_bytes, folder, readable), stdin=PIPE, stdout=PIPE, stderr=PIPE)
    try:
        pid = await _settled(process)
        top = os.open(f"/proc/{pid}/root", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            yield Holder(process, pid, top)
        finally:
            os.close(top)
    finally:
        await _leave(process)


def _spawn(memory_bytes: int, folder: Path | None, readable: Sequence[Path]) -> Spawn:
    """The holder's command line: as root, the prelude first."""
    unshare = (tool("unshare"), "--mount", "--propagation", "private")
    own = (*unshare, "--map-root-user", "--pid", "--fork", "--kill-child", "--")
    drop = unprivileged()
    if drop and folder is not None:
        readable, folder = (*readable, folder), Path("/sys", str(len(readable)))
    holder = (*own, *shell("holder"), str(memory_bytes), "" if folder is None else str(folder))
    if drop:
        prelude = (*unshare, "--", *shell("prelude"), str(len(readable)), *map(str, readable))
        holder = (*prelude, *drop, *holder)
    return Spawn(holder, ENVIRONMENT, cwd=ROOT)


async def _settled(process: Process) -> int:
    """Wait until the holder stands; its process id as we see it."""
    if process.stdout is None or process.stderr is None:
        raise SandboxError("sandbox.broken", reason="no pipe")
    line = await process.stdout.readline()
    if line.strip().isdigit():
        return int(line)
    said = (await process.stderr.read(ERROR_BYTES)).decode(errors="replace").strip()
    denied = any(word in said for word in ("not permitted", "ermission denied", "No space left", "uid_map"))
    raise SandboxError("sandbox.namespaces-denied" if denied else "sandbox.probe-failed", reason=said or "no answer")


async def _leave(process: Process) -> None:
    """Close the holder's pipe, which ends it and all that runs inside; kill it if it does not go."""
    if process.stdin is not None:
        process.stdin.close()
    try:
        with suppress(TimeoutError):
            async with asyncio.timeout(LEAVE_SECONDS):
                await process.wait()
    finally:
        await end(process)


async def freeze(holder: Holder, root: Path, inventory: Inventory) -> None:
    """Copy the files of `inventory` below `root` into the holder; raises SandboxError where that fails.

    Our side reads with our rights, the other writes with the sandbox's; what can't be read any more is left out.
    """
    names = b"".join(os.fsencode(f"./{path}") + b"\0" for path in inventory.files)
    packing = (tool("tar"), "--create", "--null", "--no-recursion", "--files-from=-", "--file=-")
    unpacking = (tool("tar"), "--extract", "-p", "--no-same-owner", "-C", "/sys/work/base", "--file=-")
    reading, writing = os.pipe()
    started: list[Process] = []
    try:
        try:
            started.append(await start(holder.enter(unpacking), stdin=reading, stdout=DEVNULL, stderr=PIPE))
            with sealed(names) as listed:
                spawn = Spawn(packing, ENVIRONMENT, cwd=root)
                started.append(await start(spawn, stdin=listed, stdout=writing, stderr=DEVNULL))
        finally:
            os.close(reading)
            os.close(writing)
        unpacker = started[0]
        said = await unpacker.stderr.read(ERROR_BYTES) if unpacker.stderr is not None else b""
        if await unpacker.wait() != 0:
            reason = said.decode(errors="replace").strip()
            raise SandboxError("sandbox.freeze-failed", path=str(root), reason=reason)
    finally:
        for process in started:
            await end(process)
