"""Memory and processes of a sandboxed command counted together: control groups, where somebody lets us make them.

Three ways, the first that works is taken, and works means that a command ran in it: hierarchies of version 1 that we
may write (root), a part of the unified hierarchy that we may write (root, or delegated to the user), and scopes from
the user's systemd. Where none works each process has its own limit only, and `selection.risk` says so.
"""

import asyncio
import os
import secrets
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Protocol

from thinklonger.agent.errors import SandboxError
from thinklonger.agent.sandbox.living import here, since
from thinklonger.agent.sandbox.tools import ENVIRONMENT, shell, tool
from thinklonger.agent.types import Limits

PREFIX = "thinklonger-"
OWN_PROCESSES = 16
"""What may run beside the command's own processes: those that start it and confine it."""
UNIFIED = Path("/sys/fs/cgroup")
NEEDED = frozenset({"memory", "pids"})
TRIAL = Limits(memory_bytes=64 * 1024**2)
TRIAL_SECONDS = 5.0
LEAVE_SECONDS = 0.5
"""How long the end of a session waits for killed processes to be out of its groups; the next start finds the rest."""
RETRY_SECONDS = 0.005
LOOK = """
test -e "/proc/self/fd/$1"
while IFS=: read -r _ which place; do test -n "$which" || break; done </proc/self/cgroup
read -r limit <"/sys/fs/cgroup$place/memory.max"
test "$limit" = "$2"
"""


class Groups(Protocol):
    """The control groups of one session."""

    def enter(self, name: str, limits: Limits) -> tuple[str, ...]:
        """The start of a command line that has a group of that name, with these limits; raises OSError."""
        ...

    def leave(self, name: str) -> None:
        """The command has ended."""
        ...

    async def close(self) -> None:
        """The session has ended."""
        ...


class NoGroups:
    """Where none can be made."""

    def enter(self, name: str, limits: Limits) -> tuple[str, ...]:
        """Nothing around it."""
        del name, limits
        return ()

    def leave(self, name: str) -> None:
        """Nothing to do."""

    async def close(self) -> None:
        """Nothing to do."""


class Scopes(NoGroups):
    """The user's systemd makes a group for a command and removes it with the last process."""

    def enter(self, name: str, limits: Limits) -> tuple[str, ...]:
        """A transient scope around the command, which stays our child."""
        del name
        bounds = (f"MemoryMax={limits.memory_bytes}", "MemorySwapMax=0", f"TasksMax={limits.processes + OWN_PROCESSES}")
        options = ("--user", "--scope", "--quiet", "--collect", *(f"--property={bound}" for bound in bounds))
        return (tool("systemd-run"), *options, "--")


@dataclass(frozen=True, slots=True)
class Hierarchies:
    """Where groups are made: a folder for memory and one for processes, which is the same in version 2."""

    memory: Path
    processes: Path
    unified: bool

    @property
    def folders(self) -> tuple[Path, ...]:
        """Each once."""
        return (self.memory,) if self.unified else (self.memory, self.processes)

    def bounds(self, limits: Limits) -> Mapping[tuple[Path, str], int]:
        """What to write where; of version 1 the sum with swap must be no lower than memory, at any moment."""
        most = limits.processes + OWN_PROCESSES
        if self.unified:
            return {
                (self.memory, "memory.max"): limits.memory_bytes,
                (self.memory, "memory.swap.max"): 0,
                (self.memory, "pids.max"): most,
            }
        return {
            (self.memory, "memory.limit_in_bytes"): limits.memory_bytes,
            (self.memory, "memory.memsw.limit_in_bytes"): limits.memory_bytes,
            (self.processes, "pids.max"): most,
        }


class OwnGroups:
    """A folder of ours in each hierarchy, one group below it for each command."""

    def __init__(self, where: Hierarchies) -> None:
        """Nothing is made before the first command."""
        self._where = where
        self._name = f"{PREFIX}{_space()}-{os.getpid()}-{since(os.getpid())}-{secrets.token_hex(4)}"
        self._left: set[str] = set()
        self._is_made = False

    def enter(self, name: str, limits: Limits) -> tuple[str, ...]:
        """Make the group; who starts there goes in by itself, before anything else."""
        if not self._is_made:
            self._make()
        for folder in self._where.folders:
            (folder / self._name / name).mkdir()
        self._left.add(name)
        for (folder, file), value in self._where.bounds(limits).items():
            with suppress(FileNotFoundError):  # a kernel that does not count swap
                (folder / self._name / name / file).write_text(str(value), "ascii")
        doors = [str(folder / self._name / name / "cgroup.procs") for folder in self._where.folders]
        return (*shell("join"), str(len(doors)), *doors)

    def leave(self, name: str) -> None:
        """Remove the group, unless a killed process is still on its way out; then later."""
        if self._try_to_remove(name):
            self._left.discard(name)

    async def close(self) -> None:
        """Remove what is left, for which all that ran must have been killed."""
        until = time.monotonic() + LEAVE_SECONDS
        while not self.are_gone():
            if time.monotonic() > until:
                return
            await asyncio.sleep(RETRY_SECONDS)

    def _make(self) -> None:
        for folder in self._where.folders:
            (folder / self._name).mkdir()
            self._is_made = True
        if self._where.unified:
            (self._where.memory / self._name / "cgroup.subtree_control").write_text("+memory +pids", "ascii")

    def are_gone(self) -> bool:
        """Remove what can be removed now; whether that was all."""
        if not self._is_made:
            return True
        self._left = {name for name in self._left if not self._try_to_remove(name)}
        return not self._left and all(_remove(folder / self._name) for folder in self._where.folders)

    def _try_to_remove(self, name: str) -> bool:
        return sum(_remove(folder / self._name / name) for folder in self._where.folders) == len(self._where.folders)


def groups() -> Groups:
    """The groups for a new session, by the way that works here; what dead launchers left is removed first."""
    way = _way()
    if isinstance(way, Hierarchies):
        sweep(way)
        return OwnGroups(way)
    return Scopes() if way else NoGroups()


def are_counted_together() -> bool:
    """Whether memory has a limit for all processes of a command together."""
    return _way() is not None


def sweep(where: Hierarchies) -> None:
    """Remove the groups of launchers that are dead; those of other process namespaces can't be told."""
    for folder in where.folders:
        with suppress(OSError):
            for entry in list(folder.glob(f"{PREFIX}*-*-*-*")):
                space, pid, began, _ = entry.name.removeprefix(PREFIX).split("-", 3)
                if space == _space() and pid.isdecimal() and since(int(pid)) != began:
                    for group in [*filter(Path.is_dir, entry.iterdir()), entry]:
                        _remove(group)


@cache
def _way() -> "Hierarchies | bool | None":
    """The hierarchies to use, True for scopes, None where nothing works; each is tried."""
    for where in _hierarchies():
        sweep(where)
        own = OwnGroups(where)
        try:
            if _runs(own.enter("trial", TRIAL), ("true",)):
                return where
        except (OSError, SandboxError, subprocess.SubprocessError):
            continue
        finally:
            own.are_gone()
    return True if _systemd_answers() else None


def _runs(prefix: tuple[str, ...], argv: tuple[str, ...], fds: tuple[int, ...] = ()) -> bool:
    """Whether a command runs behind these words."""
    done = subprocess.run(  # noqa: S603 - our own words
        (*prefix, *argv),
        env=environment(),
        pass_fds=fds,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=TRIAL_SECONDS,
        check=False,
    )
    return done.returncode == 0


def environment() -> Mapping[str, str]:
    """What a command line that begins with `enter` needs to see: systemd's client looks for the user's own."""
    asked = ("XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS")
    return {**ENVIRONMENT, **{name: os.environ[name] for name in asked if name in os.environ}}


def _hierarchies() -> Iterator[Hierarchies]:
    """Where we could make groups: version 1 at its root, version 2 as near to our own group as may be."""
    memory, processes = (_mounted("cgroup", name) for name in ("memory", "pids"))
    if memory and processes and os.access(memory, os.W_OK) and os.access(processes, os.W_OK):
        yield Hierarchies(memory, processes, unified=False)
    unified = _mounted("cgroup2", "")
    with suppress(OSError, StopIteration):
        if unified:
            own = next(
                line[3:]
                for line in Path("/proc/self/cgroup").read_text("utf-8", "surrogateescape").splitlines()
                if line.startswith("0::")
            )
            for folder in (place := unified / own.lstrip("/"), *place.parents):
                if not folder.is_relative_to(unified):
                    break
                if os.access(folder, os.W_OK) and _controllers(folder) >= NEEDED:
                    yield Hierarchies(folder, folder, unified=True)


def _controllers(folder: Path) -> frozenset[str]:
    """What groups made in this folder will be able to count."""
    try:
        return frozenset((folder / "cgroup.subtree_control").read_text("ascii").split())
    except OSError:
        return frozenset()


def _mounted(kind: str, option: str) -> Path | None:
    """Where such a hierarchy is mounted."""
    with suppress(OSError):
        for line in Path("/proc/self/mounts").read_text("utf-8", "surrogateescape").splitlines():
            _, place, found, options, *_ = line.split()
            if found == kind and (not option or option in options.split(",")):
                return Path(place)
    return None


def _systemd_answers() -> bool:
    """Whether the user's systemd makes scopes whose limits hold, and hands on what a command inherits."""
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    if not runtime or not Path(runtime, "systemd", "private").exists():
        return False
    reading, writing = os.pipe()
    try:
        argv = (*shell_text(LOOK), str(writing), str(TRIAL.memory_bytes))
        return _runs(Scopes().enter("trial", TRIAL), argv, (writing,))
    except (OSError, SandboxError, subprocess.SubprocessError):
        return False
    finally:
        os.close(reading)
        os.close(writing)


def shell_text(text: str) -> tuple[str, ...]:
    """The start of a command line that runs a few lines of shell, up to the first that fails."""
    return (tool("sh"), "-e", "-c", text, "sh")


def _remove(group: Path) -> bool:
    """Remove a group; False where processes are still in it."""
    try:
        group.rmdir()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True


@cache
def _space() -> str:
    """Our process namespace, by its number."""
    return here().rpartition("/")[2].replace("-", "")
