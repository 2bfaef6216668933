"""Ways out of the bubblewrap sandbox that were tried, and must stay closed; run like `sandbox_contract`."""

import asyncio
import json
import os
import shutil
import socket
import sys
from pathlib import Path, PurePosixPath

from sandbox_contract import READABLE, appears, gone, named, once, plant, python, run_all, shell, snapshot

from thinklonger.agent.protocols import Sandbox
from thinklonger.agent.sandbox.seccomp import CALLS
from thinklonger.agent.types import Ending, Limits

MINE = {str(group) for group in os.getgroups()} if os.geteuid() else {"65534"}
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
    assert seen <= allowed, seen - allowed


async def escape_sockets_of_the_host(sandbox: Sandbox, ground: Path) -> None:
    """TCP, UDP, Unix sockets on disk and abstract ones of the host can't be reached; there is no network at all."""
    name = f"\0thinklonger-test-{os.getpid()}"
    with (
        socket.create_server(("127.0.0.1", 0)) as tcp,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp,
        socket.socket(socket.AF_UNIX) as abstract,
        socket.socket(socket.AF_UNIX) as file,
    ):
        udp.bind(("127.0.0.1", 0))
        abstract.bind(name)
        here = Path.cwd()
        root, _ = plant(ground, {})
        os.chdir(root)
        file.bind("sock")
        os.chdir(here)
        for server in (abstract, file):
            server.listen()
        for each in (tcp, udp, abstract, file):
            each.settimeout(0)
        code = f"""
import socket
def attempt(label, work):
    try: work(); print("REACHED", label)
    except OSError as error: print("blocked", label, type(error).__name__)
def dial(family, address):
    s = socket.socket(family, socket.SOCK_STREAM); s.settimeout(2); s.connect(address)
attempt("tcp", lambda: dial(socket.AF_INET, ("127.0.0.1", {tcp.getsockname()[1]})))
attempt("abstract", lambda: dial(socket.AF_UNIX, {name!r}))
attempt("file", lambda: dial(socket.AF_UNIX, "sock"))
attempt("world", lambda: dial(socket.AF_INET, ("192.0.2.1", 80)))
attempt("world6", lambda: dial(socket.AF_INET6, ("2001:db8::1", 80)))
attempt("name", lambda: socket.getaddrinfo("example.org", 80))
attempt("vsock", lambda: socket.socket(40, socket.SOCK_STREAM))
attempt("packet", lambda: socket.socket(17, socket.SOCK_RAW))
socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("127.0.0.1", {udp.getsockname()[1]}))
with socket.create_server(("127.0.0.1", 0)) as own: socket.create_connection(own.getsockname()).close()
print("loopback works")
"""
        said = await inside(sandbox, ground, code)
        assert "REACHED" not in said
        assert said.count("blocked") == 8, said
        assert said.endswith("loopback works\n")
        for each in (tcp, abstract, file):
            try:
                each.accept()
            except BlockingIOError:
                continue
            raise AssertionError(each)
        try:
            raise AssertionError(udp.recv(10))
        except BlockingIOError:
            pass


async def escape_processes_of_the_host(sandbox: Sandbox, ground: Path) -> None:
    """Only the sandbox's own processes are visible or can be signalled; no terminal, no stray descriptor."""
    code = f"""
import os
print(len([n for n in os.listdir("/proc") if n.isdecimal()]))
try: os.kill({os.getpid()}, 0); print("SIGNALLED")
except ProcessLookupError: pass
try: open("/dev/tty"); print("TERMINAL")
except OSError: pass
print(sorted(os.listdir("/proc/self/fd")))
"""
    said = (await inside(sandbox, ground, code)).splitlines()
    assert int(said[0]) <= 4, said
    assert said[1:] == ["['0', '1', '2', '3']"], said


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
        assert f"{pid} Uid: 1000 1000 1000 1000" in said
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


async def escape_kernel_settings(sandbox: Sandbox, ground: Path) -> None:
    """Nothing of /proc/sys can be written, nor sysrq."""
    code = """
import os
for path in ("sys/kernel/core_pattern", "sys/kernel/hostname", "sys/vm/drop_caches", "sysrq-trigger"):
    try:
        with open("/proc/" + path, "w") as file: file.write("0")
        print("WROTE", path)
    except OSError as error: print("blocked", path, error.strerror)
"""
    said = await inside(sandbox, ground, code)
    assert said.count("blocked") == 4, said


async def escape_system_calls(sandbox: Sandbox, ground: Path) -> None:
    """Each call of the filter's table fails with EPERM; namespaces can't be made through clone or clone3 either."""
    code = f"""
import ctypes, errno, platform, sys
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
if column == 0 and call(0x40000000 + 39) != (-1, errno.ENOSYS): print("ALLOWED x32")
import threading, subprocess
t = threading.Thread(target=print, args=("thread",)); t.start(); t.join()
print(subprocess.run(["echo", "child"], capture_output=True, text=True).stdout, end="")
"""
    assert await inside(sandbox, ground, code) == "thread\nchild\n"


async def escape_namespaces_by_tools(sandbox: Sandbox, ground: Path) -> None:
    """`unshare`, `mount` and `bwrap` itself get nowhere."""
    text = "unshare -Ur true || echo no; mount -t tmpfs x /tmp || echo no; bwrap --bind / / true || echo no"
    result = await once(sandbox, ground, shell(f"({text}) 2>/dev/null"))
    assert result.output == b"no\nno\nno\n", result


async def escape_fork_bomb(sandbox: Sandbox, ground: Path) -> None:
    """A fork bomb stops at the limit and dies with the run."""
    mark = f"7{os.getpid()}.25"
    code = f"""
import os
made = 0
while made < 1000:
    try: pid = os.fork()
    except OSError: break
    if pid == 0: os.execvp("sleep", ["sleep", "{mark}"])
    made += 1
print(made)
"""
    made = int(await inside(sandbox, ground, code, limits=Limits(wall_seconds=60, processes=64)))
    assert 20 <= made < 64
    assert await gone(mark)


async def escape_disk_fill(sandbox: Sandbox, ground: Path) -> None:
    """All that can be written anywhere fits into `scratch_bytes` and /dev/shm, in bytes and in number of files."""
    limits = Limits(wall_seconds=60, scratch_bytes=16 << 20)
    code = """
import os
total = 0
for top in ("/", "/dev", "/etc", "/usr", "/run", "/proc", "/root", os.environ["THINKLONGER_PAYLOAD"],
            os.environ["THINKLONGER_ROOT"], os.environ["THINKLONGER_OUT"], "/tmp", "/dev/shm", "/tmp/home", "/dev/pts"):
    for number in range(40):
        try:
            with open(f"{top}/fill{number}", "wb", 0) as file:
                while True: total += file.write(bytes(1 << 20))
        except OSError: pass
count = 0
try:
    for count in range(200000): os.mkdir(f"/tmp/n{count}")
except OSError: pass
print(total, count)
"""
    total, count = map(int, (await inside(sandbox, ground, code, limits=limits)).split())
    assert 15 << 20 <= total <= (16 + 64 + 1) << 20
    assert count < 30_000


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


async def escape_a_daemon(sandbox: Sandbox, ground: Path) -> None:
    """A daemon that forked twice, left its session and ignores every signal is gone with the run."""
    mark = f"8{os.getpid()}.25"
    code = f"""
import os, signal, sys
for number in range(1, 32):
    try: signal.signal(number, signal.SIG_IGN)
    except (OSError, ValueError): pass
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.closerange(0, 100)
        os.execvp("sleep", ["sleep", "{mark}"])
    os._exit(0)
"""
    await inside(sandbox, ground, code)
    assert await gone(mark)


ESCAPES = named("escape_", globals())

if __name__ == "__main__":
    print(json.dumps(asyncio.run(run_all(ESCAPES, sys.argv[1], Path(sys.argv[2])))))  # noqa: T201 - the answer
