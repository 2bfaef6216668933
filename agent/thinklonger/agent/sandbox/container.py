"""One container: made hardened, started with our first process, emptied on a word, removed whatever happens."""

import asyncio
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from pathlib import PurePosixPath

from thinklonger.agent.errors import SandboxError
from thinklonger.agent.sandbox.calls import profile
from thinklonger.agent.sandbox.client import Client, Settings
from thinklonger.agent.sandbox.confinement import SHARED_MEMORY, SHARED_MEMORY_BYTES
from thinklonger.agent.sandbox.engine import STDOUT, Engine, Stream
from thinklonger.agent.sandbox.tools import script
from thinklonger.agent.types import Limits

FROZEN = "/run/thinklonger"
"""Where a session's frozen tree lies in each of its containers, read-only."""
TTL_SECONDS = 6 * 3600
"""When the engine itself ends a container whose launcher is gone without its having noticed."""
CPUS = 2.0
OPEN_FILES = 4096
REMOVAL_SECONDS = 20.0
SECOND = 10**9


@dataclass(frozen=True, slots=True)
class Plan:
    """What all containers of a session have in common: image, user (uid and gid), labels, read-only host folders."""

    image: str
    user: tuple[int, int]
    labels: Mapping[str, str]
    shown: Mapping[PurePosixPath, str]
    scratch: tuple[str, ...] = ()
    """Further folders that the image wants to be written."""


@dataclass(frozen=True, slots=True)
class Room:
    """What one container may use, and where: `tmpfs` are sizes in bytes and numbers of files, by path."""

    limits: Limits
    extra_bytes: int
    tmpfs: Mapping[str, tuple[int, int]]


class Container:
    """A running container, and the stream that its first process listens to."""

    def __init__(self, engine: Engine, name: str, stream: Stream) -> None:
        """Take over a container that was started."""
        self.engine = engine
        self.name = name
        self._stream = stream
        self._frames = stream.frames()
        self._open = 0

    def kill_all(self) -> None:
        """Have every process but the first one killed, at once; a container that is gone needs nothing."""
        self._open += 1
        with suppress(OSError):
            self._stream.send(b"kill\n")

    async def empty(self, seconds: float) -> bool:
        """The same, and wait until it is done; False where the container does not do it in time, or is gone."""
        self.kill_all()
        try:
            async with asyncio.timeout(seconds):
                return await asyncio.wrap_future(self.engine.submit(lambda _: self._answered()))
        except TimeoutError:
            return False

    def _answered(self) -> bool:
        """Read until every kill was answered; blocks."""
        with suppress(OSError):
            for _, data in self._frames:
                self._open -= data.count(b"killed")
                if self._open <= 0:
                    return True
        return False

    def remove(self) -> "Future[None]":
        """Kill and remove it; the answer is there when nothing is left of it."""
        self._stream.end()
        return self.engine.submit(lambda client: remove(client, self.name))


def hardened(plan: Plan, room: Room, *, volumes: Sequence[Settings] = (), sharing: Sequence[str] = ()) -> Settings:
    """The host's side of a container's settings: nothing of the host, no rights, everything bounded.

    `read_only` and sized memory folders bound the disk: there is none. Memory is bounded in total, what is written
    included. `sharing`: containers whose volumes are shown too.
    """
    memory = room.limits.memory_bytes + room.extra_bytes
    uid, gid = plan.user
    folders = {
        path: f"rw,exec,nosuid,nodev,size={size},nr_inodes={files},uid={uid},gid={gid},"
        f"mode={'1777' if path == '/tmp' else '0755'}"  # noqa: S108 - inside the container
        for path, (size, files) in room.tmpfs.items()
    }
    folders |= dict.fromkeys(plan.scratch, "rw,exec,nosuid,nodev,size=16m,mode=1777")
    binds = [
        {
            "Type": "bind",
            "Source": source,
            "Target": str(path),
            "ReadOnly": True,
            "BindOptions": {"Propagation": "rprivate", "NonRecursive": True},
        }
        for path, source in plan.shown.items()
    ]
    return {
        "NetworkMode": "none",
        "IpcMode": "private",
        "Memory": memory,
        "MemorySwap": memory,
        "PidsLimit": room.limits.processes,
        "NanoCpus": int(CPUS * SECOND),
        "ReadonlyRootfs": True,
        "CapDrop": ["ALL"],
        "SecurityOpt": ["no-new-privileges:true", f"seccomp={profile()}"],
        "AutoRemove": True,
        "LogConfig": {"Type": "none", "Config": {}},
        "Tmpfs": {
            **folders,
            SHARED_MEMORY: f"rw,noexec,nosuid,nodev,size={SHARED_MEMORY_BYTES},nr_inodes={OPEN_FILES},mode=1777",
            "/sys": "ro,size=4k,mode=0555",
        },
        "Ulimits": [_ulimit("core", 0), _ulimit("nofile", OPEN_FILES)],
        "OomScoreAdj": 1000,
        "Mounts": [*binds, *volumes],
        "VolumesFrom": list(sharing),
    }


def _ulimit(name: str, value: int) -> Mapping[str, object]:
    return {"Name": name, "Soft": value, "Hard": value}


@dataclass(frozen=True, slots=True)
class Start:
    """A container to start: its name, the host's side of its settings, and the arguments of `container.sh`."""

    name: str
    host: Settings
    arguments: tuple[str, str] = ("", "")


def begin(client: Client, engine: Engine, plan: Plan, start: Start) -> Container:
    """Make and start a container, and wait until its first process is ready; blocks. A failure leaves nothing."""
    uid, gid = plan.user
    name = start.name
    try:
        client.create_container(
            plan.image,
            entrypoint=["/bin/sh", "-c", script("container"), "thinklonger"],
            command=list(start.arguments),
            name=name,
            user=f"{uid}:{gid}",
            hostname="sandbox",
            stdin_open=True,
            network_disabled=True,
            working_dir="/",
            labels=dict(plan.labels),
            host_config=dict(start.host),
            healthcheck={"test": ["CMD-SHELL", "kill -TERM 1"], "interval": TTL_SECONDS * SECOND, "retries": 1},
        )
        stream = Stream(client.attach_socket(name, {"stdin": 1, "stream": 1, "stdout": 1, "stderr": 1}))
        try:
            client.start(name)
            _settle(stream, name)
        except BaseException:
            stream.end()
            raise
    except BaseException:
        remove(client, name)
        raise
    return Container(engine, name, stream)


def _settle(stream: Stream, name: str) -> None:
    """Wait for the first process's word; raises SandboxError where it says another one."""
    said = b""
    for which, data in stream.frames():
        said += data
        if which == STDOUT and said.endswith(b"ready\n"):
            return
    reason = said.decode(errors="replace").strip() or f"{name} ended at once"
    raise SandboxError("sandbox.docker-failed", reason=reason)


def remove(client: Client, name: str) -> None:
    """Remove a container with its volumes, and wait until it is gone; one that is going or gone already is fine."""
    from docker.errors import APIError, NotFound  # noqa: PLC0415 - loaded with the client
    from requests.exceptions import RequestException  # noqa: PLC0415 - see above

    with suppress(RequestException):
        try:
            client.remove_container(name, v=True, force=True)
        except NotFound:
            return
        except APIError:  # its removal is in progress
            with suppress(APIError):
                client.wait(name, timeout=REMOVAL_SECONDS, condition="removed")
