"""A Docker session's layers: a container for each, made with its first command; its commands are `exec`s there."""

import asyncio
import io
import tarfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Protocol

from thinklonger.agent.errors import SandboxError, boundary
from thinklonger.agent.sandbox.artifacts import ARTIFACT_BYTES, ARTIFACT_DEPTH, ARTIFACT_FILES
from thinklonger.agent.sandbox.client import Client
from thinklonger.agent.sandbox.confinement import HOME, SCRATCH
from thinklonger.agent.sandbox.container import Container
from thinklonger.agent.sandbox.engine import STDERR, Engine, Stream, listen
from thinklonger.agent.sandbox.layering import PAYLOAD_MODE, Tape, check, lay, obstacles
from thinklonger.agent.sandbox.surroundings import Places, variables
from thinklonger.agent.sandbox.tools import script
from thinklonger.agent.types import Command, CommandResult, Ending, Layer, Limits

RUNS = "/tmp/.thinklonger"  # noqa: S108 - inside the container
BYTES_PER_FILE = 4096
LEAST_FILES = 20_000
TAR_BYTES = ARTIFACT_BYTES + ARTIFACT_FILES * 1024 + (1 << 20)
"""What a tar of as many artifacts as we take may be long."""
STOP_SECONDS = 1.0
"""How long a container may take to kill its processes before it is killed itself."""
EXIT_SECONDS = 5.0
POLL_SECONDS = 0.02
END = bytes(1024)
"""How every whole tar ends."""
DEEPEST = ("-maxdepth", str(ARTIFACT_DEPTH + 1))


class Session(Protocol):
    """What a layer needs of its session."""

    @property
    def root(self) -> PurePosixPath:
        """Where the tree lies inside."""
        ...

    @property
    def times(self) -> Mapping[PurePosixPath, int]:
        """The frozen files' modification times."""
        ...

    @property
    def engine(self) -> Engine:
        """The connection."""
        ...

    async def container(self, limits: Limits) -> Container:
        """A new container with a copy of the tree."""
        ...

    def forget(self, container: Container) -> None:
        """Have a container removed."""
        ...

    async def is_kept(self) -> bool:
        """Whether the session itself still stands."""
        ...


@dataclass(slots=True)
class Heard:
    """What came from one command so far; `said` is our own script's, which has standard error for itself."""

    cap: int
    on_output: Callable[[bytes], None] | None
    chunks: list[bytes] = field(default_factory=list[bytes])
    size: int = 0
    said: bytearray = field(default_factory=bytearray)
    flooded: bool = False

    def take(self, which: int, data: bytes) -> bool:
        """Take a frame; False where it no longer fits."""
        if which == STDERR:
            self.said += data
            return len(self.said) <= TAR_BYTES
        fits = data[: self.cap - self.size]
        if fits:
            self.chunks.append(fits)
            self.size += len(fits)
            if self.on_output is not None:
                self.on_output(fits)
        self.flooded = len(fits) < len(data)
        return not self.flooded

    def answer(self) -> tuple[bool, int | None, bytes]:
        """Whether the command began, its exit code if it came to an end of its own, and the tar of what it left."""
        first, _, rest = bytes(self.said).partition(b"\n")
        word, _, tar = rest.partition(b"\n")
        code = word.removeprefix(b"exit ")
        ended = word.startswith(b"exit ") and code.isdigit()
        return first == b"ready", int(code) if ended else None, tar if ended else b""


@dataclass(slots=True)
class Run:
    """One command on its way: its folder inside, what was heard of it, and how it went."""

    folder: str
    heard: Heard
    id: str = ""
    seconds: float = 0.0
    timed_out: bool = False


class DockerLayer:
    """One container. Its commands run one after the other; its size is by the first command's limits."""

    def __init__(self, session: Session, files: Layer) -> None:
        """Remember what to lay over the session's tree."""
        self.root = session.root
        self._session = session
        self._files = files
        self._container: Container | None = None
        self._runs = 0
        self._is_lost = False
        self._turn = asyncio.Lock()

    def drop(self) -> None:
        """Have the container removed, if there ever was one."""
        if self._container is not None:
            self._session.forget(self._container)
            self._container = None

    async def run(self, command: Command, *, on_output: Callable[[bytes], None] | None = None) -> CommandResult:
        """Run it in the container; see the port."""
        check({PurePosixPath(name): None for name in (command.cwd / "x", *command.payload)})
        async with self._turn:
            with boundary(SandboxError, "sandbox.broken"):
                return await self._run(command, on_output)

    async def gather(self, folder: str, looking: Sequence[str]) -> Mapping[str, bytes]:
        """Files below a folder of the container, as many as artifacts may be."""
        if self._container is None:
            return {}
        heard = Heard(TAR_BYTES, None)
        argv = ("/bin/sh", "-c", script("gather"), "gather", folder, *looking)
        _, stream = await self._exec(self._container, argv)
        await self._session.engine.call(lambda _: stream.send(b"\n"))
        await listen(stream, heard.take)
        return unpack(b"".join(heard.chunks))

    async def _run(self, command: Command, on_output: Callable[[bytes], None] | None) -> CommandResult:
        names, tape = b"", Tape()
        if self._is_lost:
            raise SandboxError("sandbox.broken", reason="an earlier command took the layer's container down")
        if self._container is None:
            self._container = await self._session.container(command.limits)
            names = b"".join(f"./{path}".encode() + b"\0" for path in obstacles(self._files, self._session.times))
            laid = {path: state for path, state in self._files.items() if state is not None}
            lay(tape, str(self.root).lstrip("/"), laid, self._session.times)
            tape.folder(HOME.lstrip("/"))
        self._runs += 1
        run = Run(f"{RUNS}/{self._runs}", Heard(command.limits.output_bytes, on_output))
        fill(tape, run.folder, command)
        tar = tape.bytes()
        argv = self._argv(command, run, (len(names), len(tar)))
        started = time.monotonic()
        run.id, stream = await self._exec(self._container, argv)
        try:
            await self._follow(stream, run, names + tar, command.limits.wall_seconds)
        except BaseException:
            self._container.kill_all()
            raise
        run.seconds = time.monotonic() - started
        return await self._result(self._container, run)

    def _argv(self, command: Command, run: "Run", sizes: tuple[int, int]) -> tuple[str, ...]:
        """The command line of our own script around the command; see `command.sh`."""
        names, tar = map(str, sizes)
        limits = command.limits
        env = variables(command, Places(str(self.root), HOME, SCRATCH, f"{run.folder}/out", f"{run.folder}/payload"))
        return (
            *("/bin/sh", "-c", script("command"), "command", str(self.root), names, tar, run.folder),
            *(str(self.root / command.cwd), str(limits.memory_bytes // 1024), str(limits.scratch_bytes // 512)),
            *("env", "-i", *(f"{name}={value}" for name, value in env.items())),
            *command.argv,
        )

    async def _follow(self, stream: Stream, run: "Run", data: bytes, seconds: float) -> None:
        """Send the input, hear the output to its end, until its cap, or until the time is up."""
        sending = self._session.engine.submit(lambda _: stream.send(data))
        try:
            async with asyncio.timeout(seconds):
                await listen(stream, run.heard.take)
        except TimeoutError:
            run.timed_out = True
        finally:
            with suppress(Exception):  # what keeps the input from being sent shows in the output
                await asyncio.wait_for(asyncio.wrap_future(sending), STOP_SECONDS)

    async def _result(self, container: Container, run: "Run") -> CommandResult:
        """What the port promises, once everything that the command started is gone."""
        heard = run.heard
        begun, code, tar = heard.answer()
        ending = Ending.TIMED_OUT if run.timed_out else Ending.OUTPUT_LIMIT if heard.flooded else Ending.EXITED
        stopped = ending is not Ending.EXITED
        if (stopped or code is None) and not await container.empty(STOP_SECONDS):
            return await self._gone(run, ending)
        if not begun and not stopped:
            reason = heard.said.decode(errors="replace").strip() or "the command could not be started"
            raise SandboxError("sandbox.broken", reason=reason)
        if code is None and not stopped:
            code = await self._exit_code(run)
        try:
            artifacts = unpack(tar) if tar.endswith(END) else await self.gather(f"{run.folder}/out", DEEPEST)
        except SandboxError:
            return await self._gone(run, ending)
        return CommandResult(ending, None if stopped else code, b"".join(heard.chunks), run.seconds, artifacts)

    async def _gone(self, run: "Run", ending: Ending) -> CommandResult:
        """The container is gone: with the engine, which is an error, or by the command's doing, which is a result."""
        self.drop()
        self._is_lost = True
        if not await self._session.is_kept():
            raise SandboxError("sandbox.docker-gone", reason="the engine has stopped this session's containers")
        how = Ending.KILLED if ending is Ending.EXITED else ending
        code = 128 + 9 if how is Ending.KILLED else None
        return CommandResult(how, code, b"".join(run.heard.chunks), run.seconds)

    async def _exit_code(self, run: "Run") -> int:
        """The exit code by the engine's word, where our own script was killed with the command."""
        until = time.monotonic() + EXIT_SECONDS
        while True:
            said = await self._session.engine.call(lambda client: client.exec_inspect(run.id))
            if not said["Running"] or time.monotonic() > until:
                return int(said["ExitCode"] or 0) if not said["Running"] else 128 + 9
            await asyncio.sleep(POLL_SECONDS)

    async def _exec(self, container: Container, argv: Sequence[str]) -> tuple[str, Stream]:
        """Start a process in the container; it waits for its input before it says anything."""

        def work(client: Client) -> tuple[str, Stream]:
            made: str = client.exec_create(container.name, list(argv), stdin=True)["Id"]
            return made, Stream(client.exec_start(made, socket=True))

        return await self._session.engine.call(work)


def fill(tape: Tape, folder: str, command: Command) -> None:
    """Write a run's own folder: a place for artifacts, the payload, and the command's standard input as a file."""
    folder = folder.lstrip("/")
    tape.folder(f"{folder}/out")
    tape.folder(f"{folder}/payload")
    tape.file(f"{folder}/stdin", command.stdin, mode=PAYLOAD_MODE)
    for name, content in command.payload.items():
        tape.file(f"{folder}/payload/{name}", content, mode=PAYLOAD_MODE)


def unpack(data: bytes) -> Mapping[str, bytes]:
    """The regular files of a tar that nobody vouches for, within the limits of artifacts; as far as it can be read."""
    found: dict[str, bytes] = {}
    room = ARTIFACT_BYTES
    unreadable = (tarfile.TarError, EOFError, ValueError, OverflowError, IndexError, OSError)
    with suppress(*unreadable), tarfile.open(fileobj=io.BytesIO(data), mode="r:") as tar:
        for entry in tar:
            path = PurePosixPath(entry.name)
            if len(found) >= ARTIFACT_FILES or not _is_plain(path):
                continue
            content = _content(tar, entry, found)
            if content is not None and len(content) <= room:
                room -= len(content)
                found[str(path)] = content
    return found


def _is_plain(path: PurePosixPath) -> bool:
    """Whether it is a name below the folder, not too deep, in UTF-8."""
    with suppress(UnicodeError):
        str(path).encode()
        return not path.is_absolute() and ".." not in path.parts and 0 < len(path.parts) <= ARTIFACT_DEPTH + 1
    return False


def _content(tar: tarfile.TarFile, entry: tarfile.TarInfo, found: Mapping[str, bytes]) -> bytes | None:
    """A regular file's bytes, or those of the file that it is another name of; None for anything else."""
    if entry.islnk():
        return found.get(str(PurePosixPath(entry.linkname)))
    if not entry.isreg() or entry.issparse() or entry.size > ARTIFACT_BYTES:
        return None
    file = tar.extractfile(entry)
    return None if file is None else file.read()
