"""The command line that confines a command: what bubblewrap shows it, and nothing else."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from thinklonger.agent.errors import SandboxError
from thinklonger.agent.sandbox.tools import bubblewrap_is_at_least, tool

UID = 1000
HOME = "/tmp/home"  # noqa: S108 - inside the sandbox
SCRATCH = "/tmp"  # noqa: S108 - inside the sandbox
OUT = "/run/thinklonger/out"
PAYLOAD = "/run/thinklonger/payload"
SHARED_MEMORY = "/dev/shm"  # noqa: S108 - inside the sandbox
SHARED_MEMORY_BYTES = 64 * 1024**2
SYSTEM_FOLDERS = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")
SYSTEM_FILES = (
    "/etc/alternatives",
    "/etc/ca-certificates",
    "/etc/fonts",
    "/etc/ld.so.cache",
    "/etc/mime.types",
    "/etc/ssl/certs",
    "/etc/ssl/openssl.cnf",
)
"""Of /etc only what programs need to run; users, hosts and networks are the sandbox's own."""
NEVER_BELOW = ("/proc", "/sys", "/dev")
OWN_FILES = ("passwd", "group", "hosts", "nsswitch.conf")


@dataclass(frozen=True, slots=True)
class View:
    """What a command sees beside the system: the tree at `root`, and `readable` folders (path inside: source).

    `git`: whether an empty read-only repository stands at `.git`. It is never the user's own, whose config may hold
    tokens and whose objects may hold the very fix that is sought; git works inside, and sees no history.
    """

    root: PurePosixPath
    readable: Mapping[PurePosixPath, str]
    git: bool


@dataclass(frozen=True, slots=True)
class Workplace:
    """Where things lie in the session's mount namespace: common `files`, the layer's folder, this run's folder."""

    files: str
    layer: str
    run: str


def confine(
    view: View, place: Workplace, *, cwd: PurePosixPath, env: Mapping[str, str], fds: "Descriptors"
) -> list[str]:
    """The start of the command line; the command itself follows.

    Every namespace is new, no capability is left, the root is read-only and, of the host's files, only /usr, a few
    of /etc and the readable folders can be seen; only the tree, /tmp, /dev/shm and the output folder can be written.
    """
    return [
        tool("bwrap"),
        *("--unshare-all", "--unshare-user", "--die-with-parent", "--new-session"),
        *(("--disable-userns",) if bubblewrap_is_at_least(0, 8) else ()),
        *("--cap-drop", "ALL", "--uid", str(UID), "--gid", str(UID), "--hostname", "sandbox"),
        *fds.options(),
        *_system(place.files),
        *("--proc", "/proc", "--ro-bind", "/proc/sys", "/proc/sys"),
        *("--dev", "/dev", "--size", str(SHARED_MEMORY_BYTES), "--tmpfs", SHARED_MEMORY, "--remount-ro", "/dev"),
        *("--bind", f"{place.layer}{SCRATCH}", SCRATCH),
        *_own_folders(view, place),
        *("--bind", f"{place.run}/out", OUT, "--ro-bind", f"{place.run}/payload", PAYLOAD),
        *("--remount-ro", "/", "--chdir", str(view.root / cwd), "--clearenv"),
        *(word for name, value in env.items() for word in ("--setenv", name, value)),
        "--",
    ]


@dataclass(frozen=True, slots=True)
class Descriptors:
    """Inherited descriptors: where bubblewrap says how it went, and the system call filter."""

    status: int
    filter: int | None

    def options(self) -> tuple[str, ...]:
        """As bubblewrap's options."""
        own = () if self.filter is None else ("--seccomp", str(self.filter))
        return ("--json-status-fd", str(self.status), *own)


def _system(files: str) -> list[str]:
    """The host's programs and libraries, and a few files of /etc."""
    words = ["--ro-bind", "/usr", "/usr"]
    for name in SYSTEM_FOLDERS:
        place = Path("/", name)
        if place.is_symlink():
            words += ["--symlink", str(place.readlink()), str(place)]
        elif place.is_dir():
            words += ["--ro-bind", str(place), str(place)]
    for path in SYSTEM_FILES:
        words += ["--ro-bind-try", path, path]
    for name in OWN_FILES:
        words += ["--ro-bind", f"{files}/etc/{name}", f"/etc/{name}"]
    return words


def _own_folders(view: View, place: Workplace) -> list[str]:
    """The tree and the readable folders, outer ones first, so that each can lie inside another."""
    binds = {path: ["--ro-bind", source, str(path)] for path, source in view.readable.items()}
    binds[view.root] = ["--bind", f"{place.layer}/merged", str(view.root)]
    if view.git:
        binds[view.root / ".git"] = ["--ro-bind", f"{place.files}/git", str(view.root / ".git")]
    return [word for path in sorted(binds, key=_depth) for word in binds[path]]


def _depth(path: PurePosixPath) -> int:
    return len(path.parts)


def can_show(root: PurePosixPath) -> bool:
    """Whether a tree can be shown at this path without hiding what the sandbox itself needs."""
    if any(root.is_relative_to(path) for path in NEVER_BELOW):
        return False
    needed = (*NEVER_BELOW, "/etc", "/usr", "/run/thinklonger", SCRATCH, *(f"/{name}" for name in SYSTEM_FOLDERS))
    return not any(PurePosixPath(path).is_relative_to(root) for path in needed)


def look(root: Path) -> tuple[PurePosixPath, bool]:
    """The path at which the tree is shown, the one that the user knows, links and all; and whether it has a `.git`."""
    top = os.path.abspath(root)  # noqa: PTH100 - see above
    if not can_show(PurePosixPath(top)):
        raise SandboxError("sandbox.bad-root", path=str(root))
    return PurePosixPath(top), os.path.lexists(f"{top}/.git")
