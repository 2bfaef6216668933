"""What a sandboxed command can see and call, exactly; run like `sandbox_contract`, beside `sandbox_attempts`."""

import asyncio
import json
import os
import pwd
import re
import shutil
import socket
import sys
from pathlib import Path, PurePosixPath

from sandbox_contract import READABLE, appears, named, once, plant, python, run_all, shell, snapshot

from thinklonger.agent.protocols import Sandbox
from thinklonger.agent.sandbox.confinement import UID
from thinklonger.agent.sandbox.seccomp import CALLS
from thinklonger.agent.types import Ending, Limits

NAME_SERVERS = re.findall(r"^nameserver\s+(\S+)", Path("/etc/resolv.conf").read_text(), re.MULTILINE)
NEWEST = ("statmount", "listmount")
"""Calls that an older engine's library has no name for; they only look at the sandbox's own mounts."""
MINE = {str(group) for group in (os.getgid(), *os.getgroups())} if os.geteuid() else {"65534"}
"""Groups that a sandboxed process may have outside: a normal launcher's own can't be given up, root's must be."""


async def inside(sandbox: Sandbox, ground: Path, code: str, *, limits: Limits | None = None) -> str:
    """What Python code prints inside; it must end well."""
    result = await once(sandbox, ground, python(code, limits=limits))
    assert (result.ending, result.exit_code) == (Ending.EXITED, 0), result
    return result.output.decode()


async def escape_files_of_the_host(sandbox: Sandbox, ground: Path) -> None:
    """A secret beside the tree, the home, /etc/shadow, the host's root through /proc: none can be seen."""
    secret = ground / "secret"
    secret.write_text("top secret")
    places = [str(secret), str(Path.home()), "/etc/shadow", "/etc/hostname", "/var", "/home", "/sys"]
    code = f"""
import os
for place in {places!r}:
    for root in ("", "/proc/1/root", "/proc/self/root", "/proc/self/cwd/../../../../../.."):
        path = root + place
        if os.path.isfile(path): print("FILE", path)
        elif os.path.isdir(path):
            print(*("SEEN " + os.path.join(path, name) for name in os.listdir(path)), sep="\\n")
"""
    seen = {line for line in (await inside(sandbox, ground, code)).splitlines() if line}
    allowed = {f"SEEN {part}" for path in (ground / "tree", *READABLE) for part in (path, *path.parents)}
    for root in ("/proc/1/root", "/proc/self/root", "/proc/self/cwd/../../../../../.."):
        allowed |= {f"SEEN {root}{line.removeprefix('SEEN ')}" for line in set(allowed) if line.startswith("SEEN /")}
    seen = {line for line in seen if not line.endswith("/etc/hostname")}  # Docker's own: see the next check
    assert seen <= allowed, seen - allowed


async def escape_names_of_the_host(sandbox: Sandbox, ground: Path) -> None:
    """The host's name, its users and its name servers are not said inside."""
    text = "hostname; cat /etc/hostname /etc/passwd /etc/resolv.conf /etc/hosts"
    said = (await once(sandbox, ground, shell(text))).output
    words = [socket.gethostname(), *(entry.pw_name for entry in pwd.getpwall() if entry.pw_uid >= UID)]
    words += NAME_SERVERS
    own = {"nobody", "sandbox", "127.0.0.1", "localhost"}
    assert [word for word in words if word not in own and word.encode() in said.split()] == [], said


async def escape_rights(sandbox: Sandbox, ground: Path) -> None:
    """No capability, no new privileges, a filter, in the command and in the first process; not root outside."""
    code = """
for pid in ("self", "1"):
    for line in open(f"/proc/{pid}/status"):
        if line.startswith(("Cap", "NoNewPrivs", "Seccomp:", "Uid")):
            print(pid, *line.split())
"""
    said = await inside(sandbox, ground, code)
    for pid in ("self", "1"):
        for name in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
            assert f"{pid} {name}: 0000000000000000" in said, said
        assert f"{pid} NoNewPrivs: 1" in said
        assert f"{pid} Seccomp: 2" in said
        assert re.search(rf"^{pid} Uid: ([1-9]\d*) \1 \1 \1$", said, re.MULTILINE), said
    mark = f"6{os.getpid()}.25"
    root, files = plant(ground, {"a": b""})
    async with sandbox.open(root, files, readable=[]) as session, session.layer() as layer:
        task = asyncio.ensure_future(layer.run(shell(f"echo up; sleep {mark}")))
        assert await appears(mark)
        owners = _owners(mark)
        task.cancel()
        await asyncio.wait([task])
        assert all(owner != 0 and set(groups) <= MINE for owner, groups in owners), owners
        assert owners


def _owners(mark: str) -> list[tuple[int, list[str]]]:
    """The uid and the supplementary groups, as the host sees them, of the processes with `mark` as an argument."""
    found: list[tuple[int, list[str]]] = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdecimal() and mark.encode() in (entry / "cmdline").read_bytes().split(b"\0"):
                status = (entry / "status").read_text()
                groups = next(line for line in status.splitlines() if line.startswith("Groups:"))
                found.append((entry.stat().st_uid, groups.split()[1:]))
        except OSError:
            continue
    return found


async def escape_system_calls(sandbox: Sandbox, ground: Path) -> None:
    """Each call of the filter's table fails with EPERM; namespaces can't be made through clone or clone3 either."""
    code = f"""
import ctypes, errno, os, platform, signal, sys
libc = ctypes.CDLL(None, use_errno=True)
column = {{"x86_64": 0, "aarch64": 1}}.get(platform.machine())
if column is None: sys.exit("unknown machine")
def call(*args):
    ctypes.set_errno(0)
    return libc.syscall(*map(ctypes.c_long, args)), ctypes.get_errno()
for name, numbers in {CALLS!r}.items():
    if numbers[column] is not None and call(numbers[column], 0, 0, 0, 0, 0) != (-1, errno.EPERM): print("ALLOWED", name)
clone, clone3 = ((56, 435), (220, 435))[column]
for flag in (0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000):
    if call(clone, flag | 17, 0, 0, 0, 0) != (-1, errno.EPERM): print("ALLOWED clone", hex(flag))
if call(clone3, 0, 0) != (-1, errno.ENOSYS): print("ALLOWED clone3")
child = os.fork()
if child == 0: os._exit(column == 0 and call(0x40000000 + 39) != (-1, errno.ENOSYS))
if os.waitpid(child, 0)[1] not in (0, signal.SIGSYS, 128 | signal.SIGSYS): print("ALLOWED x32")
import threading, subprocess
t = threading.Thread(target=print, args=("thread",)); t.start(); t.join()
print(subprocess.run(["echo", "child"], capture_output=True, text=True).stdout, end="")
"""
    said = await inside(sandbox, ground, code)
    unknown = {f"ALLOWED {name}" for name in NEWEST} if sandbox.name == "docker" else set()
    assert [line for line in said.splitlines() if line not in unknown] == ["thread", "child"], said


async def escape_git(sandbox: Sandbox, ground: Path) -> None:
    """Inside, `.git` is an empty repository that can't be written; the user's, with its secrets, is not there."""
    root, files = plant(ground, {"a.py": b""})
    (root / ".git" / "hooks").mkdir(parents=True)
    (root / ".git" / "config").write_text("[remote] url = https://user:token-1234@example.org/x.git\n")
    (root / ".git" / "HEAD").write_text("ref: refs/heads/secret-branch\n")
    before = snapshot(root)
    text = """grep -rs token-1234 . /sys 2>/dev/null; cat .git/HEAD
for each in 'touch .git/hooks' 'rm -r .git' 'mv .git other' 'sh -c "echo >.git/config"' 'chmod 777 .git/HEAD'; do
    eval "$each" 2>/dev/null && echo "DID $each"; done; test ! -x /usr/bin/git || git status --short 2>&1"""
    async with sandbox.open(root, files, readable=[]) as session, session.layer() as layer:
        result = await layer.run(shell(text))
    has_git = shutil.which("git", path="/usr/bin") is not None
    assert result.output == b"ref: refs/heads/main\n" + (b"?? a.py\n" if has_git else b""), result
    assert snapshot(root) == before


async def escape_the_interpreter_stays_as_it_is(sandbox: Sandbox, ground: Path) -> None:
    """Readable folders can be read and run from, never written."""
    code = f"""
import os, sys
for top in {[str(path) for path in READABLE]!r}:
    for name in ("x", "lib/x"):
        try: open(os.path.join(top, name), "w"); print("WROTE", top, name)
        except OSError: pass
print(sys.version_info[0])
"""
    assert await inside(sandbox, ground, code) == "3\n"


async def escape_from_a_root_or_readable_folder_that_is_too_wide(sandbox: Sandbox, ground: Path) -> None:
    """A session that would show a home, /etc or the whole disk is refused."""
    from thinklonger.agent.errors import SandboxError  # noqa: PLC0415 - only here

    root, files = plant(ground, {"a": b""})
    wide = [Path("/"), Path("/etc"), Path.home(), Path("/proc"), ground / "nowhere"]
    for opening in (
        *(sandbox.open(root, files, readable=[path]) for path in wide),
        *(sandbox.open(Path(path), [PurePosixPath("x")], readable=[]) for path in ("/", "/usr", "/proc/self")),
    ):
        try:
            async with opening:
                pass
        except SandboxError:
            continue
        raise AssertionError(opening)


ESCAPES = named("escape_", globals())

if __name__ == "__main__":
    print(json.dumps(asyncio.run(run_all(ESCAPES, sys.argv[1], Path(sys.argv[2])))))  # noqa: T201 - the answer
