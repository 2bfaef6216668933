"""Runs a build in a sandbox of its own: no network but the registry's, no home, nothing writable but its folders.

The sandbox that runs tests has no network and writes nowhere that lasts; a build needs both, so it has a launcher of
its own. What it starts is a stranger's code all the same: `setup.py`, build backends, compilers.
"""

import asyncio
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from pathlib import Path

from thinklonger.agent.errors import ExecutionError

SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/run/current-system/sw/bin"
NOBODY = 65534
UID = 1000
OUTPUT_BYTES = 1 << 20
SCRATCH_BYTES = 2 * 1024**3
MEMORY_BYTES = 8 * 1024**3
FILE_BYTES = 2 * 1024**3
PROCESSES = 512
LOOK_SECONDS = 1.0
"""How often the size of what a build writes is looked at."""
SYSTEM_FOLDERS = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")
ETC = ("/etc/alternatives", "/etc/ca-certificates", "/etc/ld.so.cache", "/etc/mime.types", "/etc/pki", "/etc/ssl/certs")
CERTIFICATES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem")


@dataclass(frozen=True, slots=True)
class Bind:
    """A host file or folder and where it is shown; read-only unless `writable`."""

    source: Path
    place: str
    writable: bool = False


@dataclass(frozen=True, slots=True)
class Job:
    """A command to confine. `watched`: the folders whose size is bounded by `disk_bytes`."""

    argv: Sequence[str]
    binds: Sequence[Bind]
    cwd: str
    env: Mapping[str, str]
    seconds: float
    disk_bytes: int
    watched: Sequence[Path] = field(default_factory=tuple[Path, ...])


@dataclass(frozen=True, slots=True)
class Built:
    """How it ended: the exit code (None: stopped by us, and `stopped` says by which bound), and what it printed."""

    exit_code: int | None
    output: str
    seconds: float
    stopped: str = ""


def tool(name: str) -> str:
    """A program of the system's own folders; raises ExecutionError where there is none."""
    found = shutil.which(name, path=SYSTEM_PATH)
    if found is None:
        raise ExecutionError("environments.no-tool", tool=name)
    return found


@cache
def can_disable_namespaces() -> bool:
    """Whether this bubblewrap can forbid further user namespaces inside."""
    asked = (tool("bwrap"), "--help")
    said = subprocess.run(asked, env={"PATH": SYSTEM_PATH}, capture_output=True, text=True, check=False)  # noqa: S603
    return "--disable-userns" in said.stdout + said.stderr


def drops_root() -> bool:
    """Whether the launcher is root and has to give that up for what it starts."""
    return os.geteuid() == 0


def own(folder: Path) -> None:
    """Give a folder and all in it to whom the build runs as."""
    if not drops_root():
        return
    os.lchown(folder, NOBODY, NOBODY)
    for place, folders, names in os.walk(folder):
        for name in (*folders, *names):
            os.lchown(os.path.join(place, name), NOBODY, NOBODY)  # noqa: PTH118 - plain strings from os.walk


def command_line(job: Job) -> list[str]:
    """All of the command line that confines the job."""
    sources = [str(bind.source) for bind in job.binds]
    prefix: list[str] = []
    if drops_root():
        prelude = files("thinklonger.agent.execution.environments").joinpath("prelude.sh").read_text("utf-8")
        nobody = str(NOBODY)
        prefix = [
            *(tool("unshare"), "--mount", "--propagation", "private", "--"),
            *(tool("sh"), "-c", prelude, "prelude", str(len(sources)), *sources),
            *(tool("setpriv"), "--reuid", nobody, "--regid", nobody, "--clear-groups", "--"),
        ]
        sources = [f"/sys/{number}" for number in range(len(sources))]
    shown = sorted(zip(job.binds, sources, strict=True), key=lambda pair: pair[0].place.count("/"))
    binds = [
        word for bind, source in shown for word in ("--bind" if bind.writable else "--ro-bind", source, bind.place)
    ]
    return [
        *prefix,
        *(tool("bwrap"), "--unshare-all", "--unshare-user", "--die-with-parent", "--new-session"),
        *(("--disable-userns",) if can_disable_namespaces() else ()),
        *("--cap-drop", "ALL", "--uid", str(UID), "--gid", str(UID), "--hostname", "build"),
        *_system(),
        *("--proc", "/proc", "--ro-bind", "/proc/sys", "/proc/sys", "--dev", "/dev"),
        *("--size", str(SCRATCH_BYTES), "--tmpfs", "/tmp", "--dir", "/tmp/home"),  # noqa: S108 - inside the sandbox
        *binds,
        *("--remount-ro", "/", "--chdir", job.cwd, "--clearenv"),
        *(word for name, value in environment(job.env).items() for word in ("--setenv", name, value)),
        *("--", tool("prlimit"), f"--as={MEMORY_BYTES}", f"--nproc={PROCESSES}", f"--fsize={FILE_BYTES}"),
        *("--core=0", "--", *job.argv),
    ]


def environment(given: Mapping[str, str]) -> dict[str, str]:
    """All variables that a build sees."""
    fixed = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": "/tmp/home", "LANG": "C.UTF-8", "TZ": "UTC"}  # noqa: S108
    trusted = next((path for path in CERTIFICATES if os.path.exists(path)), "")  # noqa: PTH110 - a plain question
    return {**fixed, **({"SSL_CERT_FILE": trusted} if trusted else {}), **given}


def _system() -> list[str]:
    """The host's programs and libraries, and a few files of /etc."""
    words = ["--ro-bind", "/usr", "/usr"]
    for name in SYSTEM_FOLDERS:
        place = Path("/", name)
        if place.is_symlink():
            words += ["--symlink", str(place.readlink()), str(place)]
        elif place.is_dir():
            words += ["--ro-bind", str(place), str(place)]
    for path in ETC:
        words += ["--ro-bind-try", path, path]
    return words


async def run(job: Job) -> Built:
    """Run it to its end or to one of its bounds; a cancelled build has left no process.

    Raises ExecutionError where the sandbox itself can't be started.
    """
    started = time.monotonic()
    process = await asyncio.create_subprocess_exec(
        *command_line(job),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={"PATH": SYSTEM_PATH, "LC_ALL": "C.UTF-8"},
        cwd="/",
        start_new_session=True,
    )
    reader = asyncio.ensure_future(_read(process))
    stopped = ""
    try:
        while not stopped and process.returncode is None:
            with suppress(TimeoutError):
                await asyncio.wait_for(asyncio.shield(process.wait()), LOOK_SECONDS)
            if process.returncode is None:
                stopped = await asyncio.to_thread(_bound_passed, job, started)
    finally:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        await asyncio.shield(process.wait())
    if not stopped and await asyncio.to_thread(_too_large, job):
        stopped = "disk"  # it was done before anybody looked
    output = (await reader).decode("utf-8", "replace")
    if process.returncode and output.startswith(("bwrap:", "unshare:", "setpriv:", "mount:")):
        raise ExecutionError("environments.not-confined", reason=output.strip().splitlines()[0])
    return Built(None if stopped else process.returncode, output, time.monotonic() - started, stopped)


def _bound_passed(job: Job, started: float) -> str:
    """Which bound a running build has passed; empty while it keeps them."""
    if time.monotonic() - started > job.seconds:
        return "time"
    return "disk" if _too_large(job) else ""


def _too_large(job: Job) -> bool:
    """Whether the watched folders hold more than they may."""
    return sum(map(size_of, job.watched)) > job.disk_bytes


def size_of(folder: Path) -> int:
    """The bytes below a folder, as far as they can be seen."""
    total = 0
    pending = [str(folder)]
    while pending:
        with suppress(OSError), os.scandir(pending.pop()) as entries:
            for entry in entries:
                with suppress(OSError):
                    if entry.is_dir(follow_symlinks=False):
                        pending.append(entry.path)
                    else:
                        total += entry.stat(follow_symlinks=False).st_blocks * 512
    return total


async def _read(process: asyncio.subprocess.Process) -> bytes:
    """What was printed: the beginning and the end where it is long."""
    if process.stdout is None:
        return b""
    head, tail = b"", b""
    while chunk := await process.stdout.read(1 << 16):
        room = OUTPUT_BYTES // 2 - len(head)
        head += chunk[:room]
        tail = (tail + chunk[room:])[-OUTPUT_BYTES // 2 :] if room < len(chunk) else tail
    return head + tail
