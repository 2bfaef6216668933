"""A bubblewrap session's layers: an overlay in memory for each, made with its first command, dropped at its end."""

import asyncio
import json
import os
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import ExitStack, asynccontextmanager, suppress
from dataclasses import replace
from pathlib import PurePosixPath

from thinklonger.agent.errors import SandboxError, boundary
from thinklonger.agent.sandbox import seccomp
from thinklonger.agent.sandbox.artifacts import collect
from thinklonger.agent.sandbox.bytecode import valid_bytecode
from thinklonger.agent.sandbox.confinement import HOME, OUT, PAYLOAD, SCRATCH, Descriptors, View, Workplace, confine
from thinklonger.agent.sandbox.groups import Groups, environment
from thinklonger.agent.sandbox.holder import Holder
from thinklonger.agent.sandbox.inventory import Inventory
from thinklonger.agent.sandbox.layering import PAYLOAD_MODE, SCRATCH_MODE, Tape, check, lay
from thinklonger.agent.sandbox.limiting import limited
from thinklonger.agent.sandbox.process import Finished, supervise
from thinklonger.agent.sandbox.sealed import sealed
from thinklonger.agent.sandbox.surroundings import Places, variables
from thinklonger.agent.sandbox.tools import shell
from thinklonger.agent.types import Command, CommandResult, Ending, Layer, Limits

WORK = "/sys/work"
"""Where a session keeps its things, in its own mount namespace only (/sys is always there and never a user's)."""
BYTES_PER_FILE = 4096
LEAST_FILES = 20_000
STATUS_BYTES = 1 << 16
KEEPING = Limits(wall_seconds=60.0)


class OverlaySession:
    """A frozen tree inside a holder, and what lies over it for all layers: the bytecode that was kept."""

    def __init__(self, holder: Holder, view: View, inventory: Inventory, groups: Groups) -> None:
        """Take over a holder that the tree is frozen into, and where commands are counted together."""
        self.root = view.root
        self.skipped = inventory.skipped
        self.holder = holder
        self.view = view
        self.times = inventory.files
        self.groups = groups
        self._below = [f"{WORK}/base"]
        self._layers = 0

    @asynccontextmanager
    async def layer(self, files: Layer | None = None) -> AsyncGenerator["OverlayLayer"]:
        """A fresh layer. One that never runs anything costs nothing."""
        check(files or {})
        layer = OverlayLayer(self, files or {})
        try:
            yield layer
        finally:
            layer.drop()

    async def warm(self, command: Command, *, on_output: Callable[[bytes], None] | None = None) -> CommandResult:
        """Run it in a layer of its own, and put the bytecode that it leaves below all layers made later."""
        async with self.layer() as layer:
            result = await layer.run(command, on_output=on_output)
            with boundary(SandboxError, "sandbox.broken"):
                await self._keep_bytecode(layer.name)
        return result

    def new_name(self) -> str:
        """A layer's name that no layer had yet."""
        self._layers += 1
        return str(self._layers)

    def below(self) -> str:
        """The folders below a new layer, as the overlay wants them: uppermost first."""
        return ":".join(self._below)

    async def _keep_bytecode(self, layer: str) -> None:
        """Copy a layer's valid bytecode; where there is no room for it, nothing is kept."""
        upper = self.holder.path(f"{WORK}/layers/{layer}/upper")
        paths = await asyncio.to_thread(lambda: list(valid_bytecode(upper, self.times)))
        if not paths:
            return
        number = str(len(self._below))
        names = b"".join(os.fsencode(path) + b"\0" for path in paths)
        spawn = replace(self.holder.enter((*shell("keep"), layer, number)), stdin=names)
        finished = await supervise(spawn, KEEPING)
        if finished.ending is Ending.EXITED and finished.returncode == 0:
            self._below.insert(0, f"{WORK}/bytecode/{number}")


class OverlayLayer:
    """One overlay. Its commands run one after the other; its size is the first command's `scratch_bytes`."""

    def __init__(self, session: OverlaySession, files: Layer) -> None:
        """Remember what to lay over the session's tree."""
        self.root = session.root
        self.name = ""
        self._session = session
        self._files = files
        self._runs = 0
        self._turn = asyncio.Lock()

    def drop(self) -> None:
        """Have it removed, if it was ever made."""
        if self.name:
            self._session.holder.drop(self.name)
            self.name = ""

    async def run(self, command: Command, *, on_output: Callable[[bytes], None] | None = None) -> CommandResult:
        """Run it confined; see the port. A cancelled or stopped run has killed all its processes."""
        if command.cwd.is_absolute() or ".." in command.cwd.parts:
            raise SandboxError("sandbox.bad-path", path=str(command.cwd))
        with boundary(SandboxError, "sandbox.broken"):
            async with self._turn:
                return await self._run(command, on_output)

    async def _run(self, command: Command, on_output: Callable[[bytes], None] | None) -> CommandResult:
        is_new = not self.name
        self.name = self.name or self._session.new_name()
        self._runs += 1
        said: Mapping[str, int] = {}
        holder = self._session.holder
        place = Workplace(WORK, f"{WORK}/layers/{self.name}", f"{WORK}/layers/{self.name}/run-{self._runs}")
        with ExitStack() as stack:
            program = seccomp.program()
            filtering = None if program is None else stack.enter_context(sealed(program))
            reading, status = os.pipe()
            answers = stack.enter_context(os.fdopen(reading, "rb", 0))
            with os.fdopen(status, "wb", 0):
                env = variables(command, Places(str(self.root), HOME, SCRATCH, OUT, PAYLOAD))
                fds = Descriptors(status, filtering)
                confined = confine(self._session.view, place, cwd=command.cwd, env=env, fds=fds)
                limits = limited(command.limits, processes=command.limits.processes)
                argv = (*self._making(command.limits, is_new=is_new), *confined, *limits, *command.argv)
                spawn = holder.enter(argv, (status,) if filtering is None else (status, filtering))
                tape = self._tape(command, is_new=is_new)
                group, groups = f"{self.name}.{self._runs}", self._session.groups
                counted = groups.enter(group, command.limits)
                spawn = replace(spawn, argv=(*counted, *spawn.argv), env=environment(), stdin=tape)
                try:
                    finished = await supervise(spawn, command.limits, on_output)
                finally:
                    groups.leave(group)
                    os.set_blocking(reading, False)
                    said = _said(answers.read(STATUS_BYTES) or b"")
                    if "child-pid" in said and "exit-code" not in said:
                        holder.kill(said["child-pid"])
                    if is_new and "child-pid" not in said:
                        self.drop()
        return _result(finished, said, await asyncio.to_thread(collect, holder.path(f"{place.run}/out")))

    def _making(self, limits: Limits, *, is_new: bool) -> tuple[str, ...]:
        """The start of the command line that makes the layer, if it is new, and lays the tape into it."""
        files = max(LEAST_FILES, limits.scratch_bytes // BYTES_PER_FILE)
        below = self._session.below() if is_new else ""
        return (*shell("layer"), self.name, str(limits.scratch_bytes), str(files), below, f"run-{self._runs}")

    def _tape(self, command: Command, *, is_new: bool) -> bytes:
        """What to lay into the layer for this run: its folders, payload, input, and at first the layer itself."""
        tape = Tape()
        if is_new:
            for name in ("upper", "work", "merged", "tmp/home"):
                tape.folder(name)
            tape.folder("tmp", SCRATCH_MODE)
            lay(tape, "upper", self._files, self._session.times)
        run = f"run-{self._runs}"
        tape.folder(f"{run}/out")
        tape.folder(f"{run}/payload")
        tape.file(f"{run}/stdin", command.stdin, mode=PAYLOAD_MODE)
        check({PurePosixPath(name): None for name in command.payload})
        for name, content in command.payload.items():
            tape.file(f"{run}/payload/{name}", content, mode=PAYLOAD_MODE)
        return tape.bytes()


def _said(status: bytes) -> dict[str, int]:
    """What bubblewrap said on its own descriptor, a JSON object a line: the first process's pid, the exit code.

    The pid is said before that process goes on. bubblewrap asks for that process to die with its own only later, so
    one that we stop in between would live on: we must kill it ourselves (seen in 3 of 100 runs stopped at the start).
    """
    said: dict[str, int] = {}
    for line in status.splitlines():
        with suppress(ValueError):  # a line that was cut off
            said.update(json.loads(line))
    return said


def _result(finished: Finished, said: Mapping[str, int], artifacts: Mapping[str, bytes]) -> CommandResult:
    """The result, by what bubblewrap itself said, never by a guess from its exit code."""
    if finished.ending is not Ending.EXITED:
        return finished.result(artifacts)
    if "exit-code" in said:
        return replace(finished, returncode=said["exit-code"]).result(artifacts)
    if finished.returncode < 0:
        return replace(finished, ending=Ending.KILLED).result(artifacts)
    raise SandboxError("sandbox.broken", reason=finished.output.decode(errors="replace").strip())
