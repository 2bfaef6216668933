"""The sandbox `docker`: a frozen tree in a volume in memory, and for each layer a container with a copy of it."""

import asyncio
import os
import secrets
import sys
from collections.abc import AsyncGenerator, Callable, Collection, Mapping, Sequence
from concurrent.futures import Future, wait
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from threading import Thread
from typing import IO, Any, TypeAlias, TypeVar, cast

from thinklonger.agent.errors import SandboxError
from thinklonger.agent.sandbox import launcher
from thinklonger.agent.sandbox.bytecode import belongs
from thinklonger.agent.sandbox.client import Client
from thinklonger.agent.sandbox.confinement import UID, look
from thinklonger.agent.sandbox.container import FROZEN, Container, Plan, Room, Start, begin, hardened, remove
from thinklonger.agent.sandbox.dockerlayer import BYTES_PER_FILE, LEAST_FILES, DockerLayer
from thinklonger.agent.sandbox.engine import Engine, attributed
from thinklonger.agent.sandbox.image import git_skeleton, skeleton, system, with_nested
from thinklonger.agent.sandbox.inventory import Inventory, take_inventory
from thinklonger.agent.sandbox.layering import Tape, check
from thinklonger.agent.sandbox.packing import pack
from thinklonger.agent.sandbox.readable import to_show
from thinklonger.agent.sandbox.storage import MARGIN_BYTES, fits_in_memory
from thinklonger.agent.sandbox.tools import NOBODY
from thinklonger.agent.types import Command, CommandResult, FileState, Layer, Limits

Answer = TypeVar("Answer")

PROBE = PurePosixPath("holder.sh")
PROBE_SECONDS = 20.0
KEEPER = Limits(memory_bytes=64 * 1024**2, processes=16)
GIT_BYTES = 1 << 16
Key: TypeAlias = tuple[int, int, int, int]
"""What makes two containers alike: their limits, and how often bytecode was added to the frozen tree."""
HURRY_SECONDS = 0.5
"""How long a cancelled task waits for the engine to remove things; threads finish it."""


class DockerSandbox:
    """Containers without network, rights or host files but the system's, through whatever engine answers.

    Without an image of the user's, containers show this machine's own /usr, and the session's `readable` folders, so
    the same interpreter runs as under bubblewrap; that needs Linux and an engine on this machine.
    """

    name = "docker"

    def __init__(self, image: str = "") -> None:
        """Use an image that the engine has; empty: this machine's own system."""
        self._image = image

    async def probe(self) -> None:
        """Run something in a layer over a tiny tree; raises SandboxError with what to install, start or allow."""
        here = Path(__file__).parent
        command = Command(("sh", "-c", f"cat {PROBE} && : >{PROBE}"), limits=Limits(wall_seconds=PROBE_SECONDS))
        async with (
            self.open(here, [PROBE], readable=()) as session,
            session.layer({PROBE: FileState(b"works")}) as layer,
        ):
            result = await layer.run(command)
        if result.exit_code != 0 or result.output != b"works":
            raise SandboxError("sandbox.docker-failed", reason=result.output.decode(errors="replace").strip())

    @asynccontextmanager
    async def open(
        self, root: Path, files: Collection[PurePosixPath], *, readable: Sequence[Path]
    ) -> AsyncGenerator["DockerSession"]:
        """Freeze `files` into a volume that ends with the session (in the engine's memory where they fit).

        Raises SandboxError where no engine answers, it refuses something, or `readable` shows too much.
        """
        if not self._image and sys.platform != "linux":
            raise SandboxError("sandbox.docker-needs-image", platform=sys.platform)
        top, has_git = look(root)
        shown = {path: str(path) for path in to_show(readable)}
        async with AsyncExitStack() as stack:
            inventory = await asyncio.to_thread(take_inventory, root, files)
            engine = await Engine.connect()
            stack.callback(engine.close)
            setting = Setting(top, inventory, has_git=has_git)
            session = DockerSession(engine, setting)
            stack.push_async_callback(session.leave)
            await session.prepare(self._image, shown)
            await session.freeze(root)
            yield session


@dataclass(frozen=True, slots=True)
class Setting:
    """What a session is about: where its tree is seen, what was frozen, whether it has a `.git`."""

    root: PurePosixPath
    inventory: Inventory
    has_git: bool


class DockerSession:
    """A volume with the frozen tree, kept by a container that runs nothing else; each layer is one more container."""

    def __init__(self, engine: Engine, setting: Setting) -> None:
        """Take over a connection."""
        self.root = setting.root
        self.skipped = setting.inventory.skipped
        self.times = setting.inventory.files
        self.engine = engine
        self._setting = setting
        self._run = secrets.token_hex(6)
        self._plan: Plan | None = None
        self._own_image = ""
        self._keeper: Container | None = None
        self._layers = 0
        self._pending: list[Future[Any]] = []
        self._asked: Key | None = None
        self._spare: tuple[Key, Future[Container]] | None = None
        self._kept = 0

    # ── for the layers ───────────────────────────────────────────────────────────────────────────────────────────

    @asynccontextmanager
    async def layer(self, files: Layer | None = None) -> AsyncGenerator[DockerLayer]:
        """A fresh layer. One that never runs anything costs nothing."""
        check(files or {})
        layer = DockerLayer(self, files or {})
        try:
            yield layer
        finally:
            layer.drop()

    async def warm(self, command: Command, *, on_output: Callable[[bytes], None] | None = None) -> CommandResult:
        """Run it in a layer of its own, and add the bytecode that it leaves to the frozen tree."""
        async with self.layer() as layer:
            result = await layer.run(command, on_output=on_output)
            found = await layer.gather(str(self.root), ("-path", "*/__pycache__/*.pyc"))
            kept = {
                name: content for name, content in found.items() if belongs(PurePosixPath(name), content, self.times)
            }
            if kept:
                tape = Tape()
                for name, content in kept.items():
                    tape.file(name, content, mode=0o644, owner=self.plan.user)
                self._kept += 1
                self._discard()
                await self._put(FROZEN, tape.bytes())
                self._kept += 1
        return result

    @property
    def plan(self) -> Plan:
        """What all containers have in common; known once the session is prepared."""
        if self._plan is None:
            raise SandboxError("sandbox.docker-failed", reason="the session is over")
        return self._plan

    @property
    def spares(self) -> int:
        """How many containers are made ahead."""
        return int(self._spare is not None)

    async def container(self, limits: Limits) -> Container:
        """A new container with a copy of the frozen tree; `scratch_bytes` may be written there, and in /tmp.

        From the second one of a kind on, the next is made ahead, while the command in this one runs.
        """
        key = (limits.memory_bytes, limits.processes, limits.scratch_bytes, self._kept)
        is_usual, self._asked = key == self._asked, key
        made = await self._ready(key) or await self._call(self._making(limits))
        if is_usual and self._spare is None:
            self._spare = key, self._submit(self._making(limits))
        return made

    async def _ready(self, key: "Key") -> Container | None:
        """The spare container, if it is of that kind and came to be."""
        if self._spare is None:
            return None
        kind, future = self._spare
        if kind != key:
            self._discard()
            return None
        self._spare = None
        await asyncio.wait([asyncio.wrap_future(future)])
        return None if future.exception() else future.result()

    def _discard(self) -> None:
        """Have the spare removed, once it is there."""
        if self._spare is not None:
            _, future = self._spare
            self._spare = None
            future.add_done_callback(self._forget_spare)

    def _forget_spare(self, made: "Future[Container]") -> None:
        """Have it removed; where the session is over meanwhile, its end does that."""
        if made.exception() is None:
            with suppress(RuntimeError):
                self.forget(made.result())

    def _making(self, limits: Limits) -> Callable[[Client], Container]:
        """The work of making a container."""
        self._layers += 1
        size = self._setting.inventory.bytes
        files = max(LEAST_FILES, limits.scratch_bytes // BYTES_PER_FILE)
        tmpfs = {
            str(self.root): (limits.scratch_bytes + size, files + 2 * len(self.times)),
            "/tmp": (limits.scratch_bytes, files),  # noqa: S108 - inside the container
        }
        room = Room(limits, size, tmpfs)
        name = f"thinklonger-{self._run}-{self._layers}"
        keeper = f"thinklonger-{self._run}-0"
        plan = self.plan

        def work(client: Client) -> Container:
            host = hardened(plan, room, sharing=[f"{keeper}:ro"])
            return begin(client, self.engine, plan, Start(name, host, (FROZEN, str(self.root))))

        return work

    def forget(self, container: Container) -> None:
        """Have a container removed; the session's end waits for it."""
        self._pending.append(container.remove())

    async def is_kept(self) -> bool:
        """Whether the keeper still runs: it ends only with the session, or with the engine. Raises SandboxError."""
        if self._keeper is None:
            return False
        name = self._keeper.name
        found = await self._call(lambda client: client.containers(filters={"name": name}))
        return bool(found)

    # ── beginning and end ────────────────────────────────────────────────────────────────────────────────────────

    async def prepare(self, image: str, shown: Mapping[PurePosixPath, str]) -> None:
        """Sweep, make or find the image, and start the keeper with the volumes."""
        labels = launcher.labels(self._run)
        user = _user()
        self._own_image = "" if image else f"thinklonger-sandbox:{self._run}"

        def work(client: Client) -> Plan:
            launcher.sweep(client)
            if image:
                return Plan(image, user, labels, with_nested(shown), _written(client, image))
            changes = [f'LABEL {name}="{value}"' for name, value in labels.items()]
            client.import_image(src=skeleton(*user), repository="thinklonger-sandbox", tag=self._run, changes=changes)
            return Plan(self._own_image, user, labels, with_nested({**system(), **shown}))

        self._plan = await self._call(work)
        self._keeper = await self._keep(self._plan)

    async def _keep(self, plan: Plan) -> Container:
        """Start the keeper: as confined as all others, and it runs nothing of the repository's."""
        size = self._setting.inventory.bytes + MARGIN_BYTES
        volumes = [_volume(FROZEN, plan, size if fits_in_memory(size) else None)]
        if self._setting.has_git:
            volumes.append(_volume(str(self.root / ".git"), plan, GIT_BYTES))

        def work(client: Client) -> Container:
            host = hardened(plan, Room(KEEPER, 0, {}), volumes=volumes)
            return begin(client, self.engine, plan, Start(f"thinklonger-{self._run}-0", host))

        return await self._call(work)

    async def freeze(self, root: Path) -> None:
        """Copy the tree, and an empty repository, into the volumes."""
        if self._setting.has_git:
            tape = Tape()
            git_skeleton(tape)
            await self._put(str(self.root / ".git"), tape.bytes())
        reading, writing = os.pipe()
        packing = Thread(target=pack, args=(root, self._setting.inventory, self.plan.user, writing), daemon=True)
        packing.start()
        with os.fdopen(reading, "rb") as source:
            await self._put(FROZEN, source)

    async def _put(self, folder: str, tar: bytes | IO[bytes]) -> None:
        name = f"thinklonger-{self._run}-0"
        await self._call(lambda client: client.put_archive(name, folder, tar))

    async def leave(self) -> None:
        """Remove everything, and wait for that; not for long where the task is being cancelled."""
        pending, run, own = [*self._pending], self._run, self._own_image

        def work(client: Client) -> None:
            wait(pending)
            with suppress(SandboxError), attributed():  # an engine that is gone took its containers along
                for each in client.containers(all=True, filters={"label": [f"{launcher.RUN}={run}"]}):
                    remove(client, each["Id"])
                if own:
                    client.remove_image(own, force=True)

        done = asyncio.wrap_future(self.engine.submit(work))
        task = asyncio.current_task()
        hurry = task is not None and task.cancelling() > 0
        await asyncio.wait([done], timeout=HURRY_SECONDS if hurry else None)

    async def _call(self, work: Callable[[Client], Answer]) -> Answer:
        """A call that the session's end waits for, also where nobody else does any more."""
        with attributed():
            return await asyncio.shield(asyncio.wrap_future(self._submit(work)))

    def _submit(self, work: Callable[[Client], Answer]) -> "Future[Answer]":
        """The same, for later."""
        future = self.engine.submit(work)
        self._pending.append(future)
        return future


def _user() -> tuple[int, int]:
    """Who commands run as, also outside: the launcher, who can read what is shown; nobody where that is root."""
    if sys.platform == "win32":
        return (UID, UID)
    return (os.getuid(), os.getgid()) if os.getuid() else (NOBODY, NOBODY)


def _volume(folder: str, plan: Plan, size: int | None) -> dict[str, object]:
    """A volume that is removed with the last container that has it: in memory, or on the engine's disk (None)."""
    uid, gid = plan.user
    options = {"type": "tmpfs", "device": "tmpfs", "o": f"size={size},mode=0755,uid={uid},gid={gid}"}
    driver = {"Name": "local", "Options": {} if size is None else options}
    return {
        "Type": "volume",
        "Target": folder,
        "VolumeOptions": {"NoCopy": True, "Labels": dict(plan.labels), "DriverConfig": driver},
    }


def _written(client: Client, image: str) -> tuple[str, ...]:
    """The folders that a user's image wants as volumes; raises SandboxError where the engine has no such image."""
    from docker.errors import NotFound  # noqa: PLC0415 - loaded with the client

    try:
        found = client.inspect_image(image)
    except NotFound as cause:
        raise SandboxError("sandbox.no-image", image=image) from cause
    volumes = (found.get("Config") or {}).get("Volumes")
    return tuple(cast("dict[str, object]", volumes or {}))
