"""The sandbox `bubblewrap`: a frozen tree in namespaces of its own, overlays over it, bwrap around each command."""

import asyncio
import os
from collections.abc import AsyncGenerator, Collection, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path, PurePosixPath

from thinklonger.agent.errors import SandboxError, boundary
from thinklonger.agent.sandbox.confinement import View, look
from thinklonger.agent.sandbox.groups import groups
from thinklonger.agent.sandbox.holder import freeze, hold
from thinklonger.agent.sandbox.inventory import Inventory, take_inventory
from thinklonger.agent.sandbox.overlay import OverlaySession
from thinklonger.agent.sandbox.readable import to_show
from thinklonger.agent.sandbox.storage import MARGIN_BYTES, fits_in_memory
from thinklonger.agent.sandbox.tools import NOBODY, tool, unprivileged
from thinklonger.agent.sandbox.watcher import watched_folder
from thinklonger.agent.types import Command, FileState, Limits

PROBE = PurePosixPath("holder.sh")
PROBE_SECONDS = 20.0


class BubblewrapSandbox:
    """Linux namespaces through bubblewrap: no network, no host files but the system's, no way to outlive us."""

    name = "bubblewrap"

    async def probe(self) -> None:
        """Run something in a layer over a tiny tree; raises SandboxError with what to install or to allow."""
        tool("bwrap")
        command = Command(("sh", "-c", f"cat {PROBE} && : >{PROBE}"), limits=Limits(wall_seconds=PROBE_SECONDS))
        try:
            async with (
                self.open(Path(__file__).parent, [PROBE], readable=()) as session,
                session.layer({PROBE: FileState(b"works")}) as layer,
            ):
                result = await layer.run(command)
        except SandboxError as error:
            if error.message.key not in ("sandbox.broken", "sandbox.freeze-failed"):
                raise
            raise SandboxError("sandbox.probe-failed", reason=str(error.message.params["reason"])) from error
        if result.exit_code != 0 or result.output != b"works":
            raise SandboxError("sandbox.probe-failed", reason=result.output.decode(errors="replace").strip())

    @asynccontextmanager
    async def open(
        self, root: Path, files: Collection[PurePosixPath], *, readable: Sequence[Path]
    ) -> AsyncGenerator[OverlaySession]:
        """Freeze `files` into memory that only this session can see (on disk where they are too many).

        Raises SandboxError where a tool is missing, the system denies namespaces, or `readable` shows too much.
        """
        top, has_git = look(root)
        shown = to_show(readable)
        async with AsyncExitStack() as stack:
            with boundary(SandboxError, "sandbox.freeze-failed", path=str(root)):
                inventory = await asyncio.to_thread(take_inventory, root, files)
                folder = await _ground(inventory, stack)
                memory = MARGIN_BYTES + (inventory.bytes if folder is None else 0)
                counting = await asyncio.to_thread(groups)
                stack.push_async_callback(counting.close)
                bound = [Path(path) for path in shown] if unprivileged() else []
                holder = await stack.enter_async_context(hold(memory, folder, bound))
                await freeze(holder, root, inventory)
            sources = {path: f"/sys/{number}" if bound else str(path) for number, path in enumerate(shown)}
            view = View(top, sources, git=has_git)
            yield OverlaySession(holder, view, inventory, counting)


async def _ground(inventory: Inventory, stack: AsyncExitStack) -> Path | None:
    """A folder on disk for a tree that is too large for memory; None where it is not."""
    if fits_in_memory(inventory.bytes):
        return None
    folder, _ = await stack.enter_async_context(watched_folder())
    place = folder / "tree"
    place.mkdir()
    if unprivileged():
        os.chown(place, NOBODY, NOBODY)
    return place
