"""The sandbox `none`: a private copy of the tree and limits, but no isolation; only for who asks for it by name."""

import asyncio
import os
import shutil
import signal
from collections.abc import AsyncGenerator, Callable, Collection, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from functools import partial
from pathlib import Path, PurePosixPath
from threading import Event
from typing import TypeVar

from thinklonger.agent.errors import SandboxError, boundary
from thinklonger.agent.sandbox import copying
from thinklonger.agent.sandbox.artifacts import collect
from thinklonger.agent.sandbox.bytecode import valid_bytecode
from thinklonger.agent.sandbox.inventory import Inventory, take_inventory
from thinklonger.agent.sandbox.layering import check
from thinklonger.agent.sandbox.limiting import limited
from thinklonger.agent.sandbox.process import Spawn, supervise
from thinklonger.agent.sandbox.surroundings import Places, variables
from thinklonger.agent.sandbox.watcher import Watcher, watched_folder
from thinklonger.agent.types import Command, CommandResult, Layer

Answer = TypeVar("Answer")


APART = ("/bin/sh", "-c", '"$@"; exit $?', "sh")
"""A parent for the command that is not us: a test that kills its parent must not kill the launcher."""


class DirectSandbox:
    """Runs commands as the user, with the user's rights; `selection.risk` says so to the person.

    The tree is copied, so the user's own stays untouched unless a command goes there by its absolute path. The
    network is on, files elsewhere can be read and written, and the number of processes is not limited.
    """

    name = "none"

    async def probe(self) -> None:
        """Nothing to prove: what can run here at all, runs."""

    @asynccontextmanager
    async def open(
        self, root: Path, files: Collection[PurePosixPath], *, readable: Sequence[Path]
    ) -> AsyncGenerator["DirectSession"]:
        """Copy `files` into a private temporary folder; `readable` needs nothing here, all is readable.

        Raises SandboxError where the copy can't be made.
        """
        del readable
        async with AsyncExitStack() as stack:
            with boundary(SandboxError, "sandbox.copy-failed", path=str(root)):
                folder, watcher = await stack.enter_async_context(watched_folder())
                inventory = await _stoppable(lambda stop: _freeze(root, folder / "base", files, stop))
            yield DirectSession(folder, inventory, watcher)


def _freeze(root: Path, base: Path, files: Collection[PurePosixPath], stop: Event) -> Inventory:
    """Copy what can be copied of `files`, and say what that was."""
    inventory = take_inventory(root, files)
    base.mkdir()
    copying.copy_files(root, base, inventory.files, stop)
    return inventory


class DirectSession:
    """A private copy of the tree; each layer is a copy of that copy."""

    def __init__(self, folder: Path, inventory: Inventory, watcher: Watcher) -> None:
        """Take over a frozen tree at `folder`/base."""
        self.root = PurePosixPath(folder / "base")
        self.skipped = inventory.skipped
        self._folder = folder
        self._times = inventory.files
        self._watcher = watcher
        self._layers = 0

    @asynccontextmanager
    async def layer(self, files: Layer | None = None) -> AsyncGenerator["DirectLayer"]:
        """A copy of the tree with `files` laid over it, removed at the end."""
        check(files or {})
        self._layers += 1
        folder = self._folder / f"layer-{self._layers}"
        try:
            with boundary(SandboxError, "sandbox.copy-failed", path=str(folder)):
                await _stoppable(lambda stop: self._unfold(folder, files or {}, stop))
            yield DirectLayer(folder, self._watcher)
        finally:
            self._watcher.tell(f"x{folder.name}")

    async def warm(self, command: Command, *, on_output: Callable[[bytes], None] | None = None) -> CommandResult:
        """Run it in a layer of its own, and copy the bytecode that it leaves into the frozen tree."""
        async with self.layer() as layer:
            result = await layer.run(command, on_output=on_output)
            await asyncio.to_thread(self._keep_bytecode, Path(layer.root))
        return result

    def _unfold(self, folder: Path, files: Layer, stop: Event) -> None:
        for name in ("home", "tmp"):
            (folder / name).mkdir(parents=True)
        copying.copy_tree(Path(self.root), folder / "tree", stop)
        copying.lay_over(folder / "tree", files, self._times)

    def _keep_bytecode(self, tree: Path) -> None:
        base = Path(self.root)
        for path in valid_bytecode(str(tree), self._times):
            (base / path).parent.mkdir(exist_ok=True)
            with suppress(OSError):
                shutil.copy2(tree / path, base / path, follow_symlinks=False)


class DirectLayer:
    """One copy of the tree that commands may change."""

    def __init__(self, folder: Path, watcher: Watcher) -> None:
        """Take over a folder that has `tree`, `home` and `tmp`."""
        self.root = PurePosixPath(folder / "tree")
        self._folder = folder
        self._watcher = watcher
        self._runs = 0

    async def run(self, command: Command, *, on_output: Callable[[bytes], None] | None = None) -> CommandResult:
        """Run it as a child of ours; its process group, and every process marked as its own, dies with it."""
        self._runs += 1
        out, payload = (self._folder / f"{kind}-{self._runs}" for kind in ("out", "payload"))
        cwd = self._working_folder(command.cwd)
        home, scratch = self._folder / "home", self._folder / "tmp"
        env = variables(command, Places(str(self.root), str(home), str(scratch), str(out), str(payload)))
        groups: list[int] = []

        def note(group: int) -> None:
            groups.append(group)
            self._watcher.tell(f"+{group}")

        argv = (*APART, *limited(command.limits, processes=None), *command.argv)
        sweep = partial(kill_marked, f"THINKLONGER_OUT={out}")
        spawn = Spawn(argv, env, cwd=cwd, stdin=command.stdin, on_start=note, on_exit=sweep)
        with boundary(SandboxError, "sandbox.broken"):
            out.mkdir()
            _write_payload(payload, command.payload)
            try:
                finished = await supervise(spawn, command.limits, on_output)
            finally:
                sweep()
                for group in groups:
                    self._watcher.tell(f"-{group}")
            return finished.result(await asyncio.to_thread(collect, str(out)))

    def _working_folder(self, path: PurePosixPath) -> Path:
        """The folder to start in; raises SandboxError where the tree has none such."""
        if path.is_absolute() or ".." in path.parts:
            raise SandboxError("sandbox.bad-path", path=str(path))
        folder = Path(self.root / path)
        if not folder.is_dir():
            raise SandboxError("sandbox.no-folder", path=str(path))
        return folder


def _write_payload(folder: Path, payload: Mapping[str, bytes]) -> None:
    """The command's read-only files; read-only by mode, which is all that there is here."""
    check({PurePosixPath(name): None for name in payload})
    folder.mkdir()
    for name, content in payload.items():
        place = folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
        place.chmod(0o444)


def kill_marked(variable: str) -> None:
    """Kill every process of ours whose environment holds `NAME=value`: daemons that left the group (Linux only)."""
    mark = variable.encode()
    with suppress(OSError), os.scandir("/proc") as processes:
        for entry in processes:
            if not entry.name.isdecimal():
                continue
            with suppress(OSError):
                if mark in Path(entry.path, "environ").read_bytes().split(b"\0"):
                    os.kill(int(entry.name), signal.SIGKILL)


async def _stoppable(work: Callable[[Event], Answer]) -> Answer:
    """Do blocking work in a thread; when cancelled, ask it to stop and wait until it has."""
    stop = Event()
    working = asyncio.ensure_future(asyncio.to_thread(work, stop))
    try:
        return await asyncio.shield(working)
    except asyncio.CancelledError:
        stop.set()
        await asyncio.wait([working])
        with suppress(copying.Stopped):
            working.result()
        raise
