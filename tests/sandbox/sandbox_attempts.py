"""Attempts to get out of a sandbox, as payloads that say what they managed, and the host's state before and after.

Run like `sandbox_contract`, by pytest and by a user without rights; `benchmarks/sandbox.py` counts with it too. An
attempt that managed something prints lines that begin with ESCAPED.
"""

import asyncio
import hashlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from sandbox_contract import ENGINES, READABLE, gone, plant

from thinklonger.agent.protocols import Sandbox, SandboxLayer, SandboxSession
from thinklonger.agent.types import Command, Ending, FileState, Limits

START = """
import ctypes, errno, json, os, socket, stat, struct, subprocess, sys, time
facts = json.loads(os.environ["FACTS"])
libc = ctypes.CDLL(None, use_errno=True)
def escaped(*what): print("ESCAPED", *what, flush=True)
def attempt(label, work):
    try: answer = work()
    except (OSError, ValueError, subprocess.SubprocessError): return None
    if answer is not False: escaped(label, repr(answer)[:200])
def call(*args):
    ctypes.set_errno(0)
    return libc.syscall(*(ctypes.c_long(a) if isinstance(a, int) else a for a in args))
def number(x86, arm): return x86 if os.uname().machine == "x86_64" else arm
def read(path):
    with open(path, "rb") as file: return file.read(1 << 20)
def write(path, data=b"0", flags=os.O_WRONLY):
    fd = os.open(path, flags)
    try: return os.write(fd, data)
    finally: os.close(fd)
"""


@dataclass(frozen=True, slots=True)
class Attempt:
    """A payload; `harmless` ones may run with no sandbox at all, to show that success is noticed."""

    code: str
    harmless: bool = False
    limits: Limits = field(default_factory=lambda: Limits(wall_seconds=30.0))
    endings: tuple[Ending, ...] = (Ending.EXITED,)


QUICK = Limits(wall_seconds=2.0)
SMALL = Limits(wall_seconds=20.0, memory_bytes=256 << 20, processes=48, scratch_bytes=16 << 20)
SPEAKING = Limits(wall_seconds=20.0, output_bytes=200_000)

ATTEMPTS: Mapping[str, Attempt] = {
    "read a secret beside the tree": Attempt(
        """
for path in (facts["secret"], "/proc/1/root" + facts["secret"], "/proc/self/root" + facts["secret"],
             os.path.relpath(facts["secret"]), "/proc/self/cwd/../secret/key"):
    attempt(path, lambda: facts["word"].encode() in read(path))
""",
        harmless=True,
    ),
    "read secrets of the home and the system": Attempt(
        """
for path in (facts["home"] + "/.ssh", facts["home"] + "/.config", facts["home"] + "/.netrc", "/root/.ssh",
             "/var/lib", "/var/run/secrets", "/run/secrets", "/home"):
    if not facts["tree"].startswith(path): attempt(path, lambda: [n for n in os.listdir(path)] or False)
for path in ("/etc/shadow", "/etc/ssh/ssh_host_rsa_key", "/etc/machine-id", "/proc/kcore", "/dev/mem", "/boot/vmlinuz"):
    attempt(path, lambda: len(read(path)) or False)
"""
    ),
    "read the launcher's environment": Attempt(
        """
word = facts["word"].encode()
if word in repr(sorted((k, v) for k, v in os.environ.items() if k != "FACTS")).encode(): escaped("own environment")
for pid in [n for n in os.listdir("/proc") if n.isdigit()]:
    if int(pid) != os.getpid():
        attempt(pid, lambda: b"THINKLONGER_TEST_TOKEN" in read(f"/proc/{pid}/environ"))
        attempt(pid, lambda: facts["mark"].encode() in read(f"/proc/{pid}/cmdline").split(b"\\0"))
"""
    ),
    "read another candidate's tree": Attempt(
        """
for top in ("/run/thinklonger", "/sys/work", "/tmp", "/proc/1/root/sys/work/layers", "/mnt", "/var/lib/docker"):
    for place, folders, names in os.walk(top):
        for name in names:
            path = os.path.join(place, name)
            attempt(path, lambda: os.path.isfile(path) and b"candidate's own words" in read(path))
"""
    ),
    "write beside the tree": Attempt(
        """
for path in (facts["secret"], facts["folder"] + "/new", "/proc/self/root" + facts["secret"]):
    attempt(path, lambda: write(path, b"overwritten", os.O_WRONLY | os.O_CREAT))
""",
        harmless=True,
    ),
    "write to the system": Attempt(
        """
for path in ("/usr/bin/thinklonger-test", "/usr/local/bin/python3", "/usr/lib/x", "/etc/passwd", "/etc/hosts", "/bin/x",
             "/etc/ld.so.preload", "/x", "/run/x", "/var/x", "/root/x", "/etc/resolv.conf", "/etc/hostname", "/dev/x",
             os.path.dirname(os.__file__) + "/sitecustomize.py", sys.prefix + "/x", sys.executable):
    attempt(path, lambda: write(path, b"x", os.O_WRONLY | os.O_CREAT))
"""
    ),
    "change modes, owners, times and names outside": Attempt(
        """
for path in ("/usr/bin/env", "/etc/passwd", sys.executable, facts["secret"]):
    attempt(path, lambda: os.chmod(path, 0o777)); attempt(path, lambda: os.chown(path, os.getuid(), os.getgid()))
    attempt(path, lambda: os.utime(path)); attempt(path, lambda: os.rename(path, path + "x"))
    attempt(path, lambda: os.truncate(path, 0)); attempt(path, lambda: os.unlink(path))
    attempt(path, lambda: os.setxattr(path, "user.x", b"x"))
"""
    ),
    "links to the host": Attempt(
        """
os.symlink(facts["secret"], "to-secret"); os.symlink(facts["folder"], "to-folder"); os.symlink("/", "to-root")
attempt("soft", lambda: facts["word"].encode() in read("to-secret"))
attempt("through", lambda: write("to-folder/new", b"x", os.O_WRONLY | os.O_CREAT))
attempt("hard", lambda: os.link(facts["secret"], "hard"))
attempt("hard to system", lambda: os.link("/usr/bin/env", "hard2"))
attempt("hard to read-only", lambda: os.link(sys.executable, os.environ["THINKLONGER_OUT"] + "/hard3"))
out = os.environ["THINKLONGER_OUT"]
os.symlink(facts["secret"], out + "/report.json"); os.symlink(facts["folder"], out + "/deep")
try: os.rename(out, out + "-old"); os.symlink(facts["folder"], out)
except OSError: pass
""",
        harmless=True,
    ),
    "unix sockets of the host": Attempt(
        """
for path in (*facts["sockets"], "/var/run/docker.sock", "/run/docker.sock", "/run/dbus/system_bus_socket",
             "/run/containerd/containerd.sock", "/run/systemd/private"):
    s = socket.socket(socket.AF_UNIX); attempt(path, lambda: s.connect(path))
    d = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); attempt(path, lambda: d.connect(path))
attempt("abstract", lambda: socket.socket(socket.AF_UNIX).connect("\\0" + facts["abstract"]))
for name in ("SSH_AUTH_SOCK", "DOCKER_HOST", "DBUS_SESSION_BUS_ADDRESS", "XDG_RUNTIME_DIR"):
    if name in os.environ: escaped(name)
""",
        harmless=True,
    ),
    "network by TCP, UDP and DNS": Attempt(
        """
def dial(family, address, kind=socket.SOCK_STREAM):
    s = socket.socket(family, kind); s.settimeout(1); s.connect(address)
    if kind == socket.SOCK_DGRAM: s.send(b"x"); return False
for host in ("127.0.0.1", facts["address"], "169.254.169.254", "192.0.2.1", "172.17.0.1"):
    attempt(host, lambda: dial(socket.AF_INET, (host, facts["tcp"])))
    attempt(host, lambda: dial(socket.AF_INET, (host, facts["udp"]), socket.SOCK_DGRAM))
attempt("tcp6", lambda: dial(socket.AF_INET6, ("::1", facts["tcp"])))
attempt("dns", lambda: socket.getaddrinfo("example.org", 80))
attempt("dns by hand", lambda: dial(socket.AF_INET, ("192.0.2.53", 53)))
attempt("raw", lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1))
attempt("packet", lambda: socket.socket(17, socket.SOCK_RAW)); attempt("vsock", lambda: socket.socket(40, 1))
names = [n for _, n in socket.if_nameindex() if n not in ("lo", "sit0", "tunl0", "ip6tnl0", "gre0", "gretap0",
         "erspan0", "ip_vti0", "ip6_vti0", "ip6gre0", "dummy0", "bond0", "teql0", "ifb0", "ifb1")]
if names: escaped("interfaces", names)
""",
        harmless=True,
    ),
    "kernel settings": Attempt(
        """
for path in ("sys/kernel/core_pattern", "sys/kernel/hostname", "sys/kernel/modprobe", "sys/vm/drop_caches",
             "sys/kernel/sysrq", "sysrq-trigger", "sys/fs/binfmt_misc/register", "sys/net/ipv4/ip_forward",
             "sys/kernel/ns_last_pid", "sys/user/max_user_namespaces", "irq/default_smp_affinity"):
    attempt(path, lambda: write("/proc/" + path, b"1"))
for path in ("/sys/kernel/uevent_helper", "/sys/fs/cgroup/release_agent", "/sys/fs/cgroup/memory/release_agent",
             "/sys/fs/cgroup/cgroup.procs", "/sys/power/state", "/sys/kernel/mm/transparent_hugepage/enabled"):
    attempt(path, lambda: write(path, b"x"))
attempt("cgroup", lambda: os.mkdir("/sys/fs/cgroup/x")); attempt("cgroup1", lambda: os.mkdir("/sys/fs/cgroup/memory/x"))
"""
    ),
    "processes of the host": Attempt(
        """
import signal
attempt("kill", lambda: os.kill(facts["victim"], 0)); attempt("group", lambda: os.killpg(facts["victim"], 0))
attempt("proc", lambda: facts["mark"].encode() in read(f"/proc/{facts['victim']}/cmdline"))
attempt("memory", lambda: open(f"/proc/{facts['victim']}/mem", "r+b"))
attempt("maps", lambda: facts["mark"].encode() in read(f"/proc/{facts['victim']}/environ"))
attempt("root", lambda: os.listdir(f"/proc/{facts['victim']}/root"))
attempt("priority", lambda: os.setpriority(os.PRIO_PROCESS, 0, -10))
attempt("pidfd", lambda: os.pidfd_open(facts["victim"]))
if len([n for n in os.listdir("/proc") if n.isdigit()]) > 5: escaped("sees others")
""",
        harmless=True,
    ),
    "ptrace and foreign memory": Attempt(
        """
child = subprocess.Popen(["sleep", "5"])
for pid in (child.pid, 1):
    if call(number(101, 117), 16, pid, 0, 0) == 0: escaped("ptrace attach", pid)
    if call(number(101, 117), 0x4206, pid, 0, 0) == 0: escaped("ptrace seize", pid)
    buffer = ctypes.create_string_buffer(16)
    vector = struct.pack("QQ", ctypes.addressof(buffer), 16)
    if call(number(310, 270), pid, vector, 1, vector, 1, 0) > 0: escaped("process_vm_readv", pid)
child.kill(); child.wait()
"""
    ),
    "mounts": Attempt(
        """
os.makedirs("/tmp/m", exist_ok=True)
def mount(source, target, kind, flags, data=None):
    return libc.mount(source, target, kind, flags, data) == 0
for arguments in ((b"x", b"/tmp/m", b"tmpfs", 0), (b"proc", b"/tmp/m", b"proc", 0), (b"/", b"/tmp/m", None, 4096),
                  (b"/dev/vda", b"/tmp/m", b"ext4", 0), (b"none", b"/", None, 32 | 4096),
                  (b"x", b"/usr", None, 32 | 4096),
                  (b"o", b"/tmp/m", b"overlay", 0, b"lowerdir=/usr:/etc")):
    if mount(*arguments): escaped("mount", arguments)
for place in (b"/proc/sys", b"/proc/keys", b"/usr", b"/sys", b"/etc/hosts"):
    if libc.umount2(place, 2) == 0: escaped("umount", place)
for tool in (["unshare", "-Urm", "true"], ["mount", "-t", "tmpfs", "x", "/tmp/m"], ["nsenter", "-t", "1", "-m", "true"],
             ["bwrap", "--bind", "/", "/", "true"], ["fusermount", "-u", "/tmp"], ["sudo", "-n", "true"]):
    attempt(tool, lambda: subprocess.run(tool, capture_output=True).returncode == 0)
"""
    ),
    "namespaces": Attempt(
        """
for flag in (0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000, 0x80):
    pid = os.fork()
    if pid == 0: os._exit(0 if libc.unshare(flag) == 0 else 1)
    if os.waitpid(pid, 0)[1] == 0: escaped("unshare", hex(flag))
for name in os.listdir("/proc/1/ns"):
    def enter():
        fd = os.open("/proc/1/ns/" + name, os.O_RDONLY)
        return libc.setns(fd, 0) == 0
    attempt(name, enter)
if libc.chroot(b"/tmp") == 0: escaped("chroot")
"""
    ),
    "io_uring, bpf, perf, userfaultfd and keyrings": Attempt(
        """
for name, x86, arm, arguments in (
    ("io_uring_setup", 425, 425, (1, ctypes.create_string_buffer(120))),
    ("bpf", 321, 280, (0, ctypes.create_string_buffer(128), 128)),
    ("perf_event_open", 298, 241, (ctypes.create_string_buffer(struct.pack("II", 1, 112) + bytes(104)), 0, -1, -1, 0)),
    ("userfaultfd", 323, 282, (1,)), ("keyctl", 250, 219, (0, -3, 1)),
    ("add_key", 248, 217, (b"user", b"thinklonger", b"x", 1, -3)),
    ("request_key", 249, 218, (b"user", b"thinklonger", None, -3)),
    ("open_by_handle_at", 304, 265, (-100, ctypes.create_string_buffer(32), 0)), ("fsopen", 430, 430, (b"tmpfs", 0)),
    ("open_tree", 428, 428, (-100, b"/", 1)), ("kexec_load", 246, 104, (0, 0, None, 0)),
    ("init_module", 175, 105, (b"x", 1, b"")),
    ("syslog", 103, 116, (3, ctypes.create_string_buffer(100), 100)), ("acct", 163, 89, (b"/tmp/acct",)),
    ("swapon", 167, 224, (b"/tmp/swap", 0)), ("fanotify_init", 300, 262, (0, 0)),
    ("quotactl", 179, 60, (0, b"/dev/vda", 0, None))):
    if call(number(x86, arm), *arguments) >= 0: escaped(name)
"""
    ),
    "device nodes": Attempt(
        """
for name, kind, device in (("disk", stat.S_IFBLK, os.makedev(254, 0)), ("memory", stat.S_IFCHR, os.makedev(1, 1)),
                           ("kmsg", stat.S_IFCHR, os.makedev(1, 11))):
    attempt(name, lambda: os.mknod("/tmp/" + name, 0o666 | kind, device))
for path in ("/dev/mem", "/dev/kmsg", "/dev/vda", "/dev/sda", "/dev/kvm", "/dev/fuse", "/dev/net/tun", "/dev/tty",
             "/dev/console", "/dev/loop-control", "/dev/vsock", "/dev/dri/card0", "/dev/nvidia0"):
    attempt(path, lambda: os.open(path, os.O_RDWR))
known = {"null", "zero", "full", "random", "urandom", "tty", "fd", "stdin", "stdout", "stderr", "pts",
         "ptmx", "shm", "mqueue", "core", "console"}
if set(os.listdir("/dev")) - known: escaped("devices", set(os.listdir("/dev")) - known)
"""
    ),
    "setuid and capabilities": Attempt(
        """
import shutil
attempt("setuid", lambda: os.setuid(0)); attempt("setgid", lambda: os.setgid(0))
attempt("groups", lambda: os.setgroups([0]))
if 0 in (os.getuid(), os.geteuid(), os.getgid(), *os.getgroups()): escaped("root", os.getuid(), os.getgroups())
for program in ("/usr/bin/su", "/usr/bin/sudo", "/usr/bin/mount", "/usr/bin/newuidmap", "/usr/bin/passwd"):
    attempt(program, lambda: b"uid=0" in subprocess.run([program, "-c", "id"], capture_output=True,
                                                        stdin=subprocess.DEVNULL).stdout)
shutil.copy(shutil.which("id"), "/tmp/id"); os.chmod("/tmp/id", 0o6755)
attempt("own setuid", lambda: b"uid=0" in subprocess.run(["/tmp/id"], capture_output=True).stdout)
for line in open("/proc/self/status"):
    name, _, value = line.partition(":")
    if name in ("CapInh", "CapPrm", "CapEff", "CapAmb") and int(value, 16): escaped(name, value.strip())
    if name == "NoNewPrivs" and value.strip() != "1": escaped("may gain rights")
    if name == "Seccomp" and value.strip() != "2": escaped("no filter")
"""
    ),
    "git's configuration and hooks": Attempt(
        """
evil = f"touch {facts['folder']}/ran-by-git"
def both():
    os.makedirs(".git/hooks", exist_ok=True)
    with open(".git/config", "w") as file: file.write(f"[core]\\n\\tfsmonitor = {evil}\\n\\thooksPath = .git/hooks\\n")
    with open(".git/hooks/post-checkout", "w") as file: file.write(f"#!/bin/sh\\n{evil}\\n")
    os.chmod(".git/hooks/post-checkout", 0o755)
attempt(".git", both)
for work in (lambda: os.rename(".git", "other"), lambda: os.rmdir(".git"), lambda: os.symlink("/tmp", ".git/x"),
             lambda: os.unlink(".git/HEAD"), lambda: os.chmod(".git", 0o777)): attempt(".git", work)
for path in (".gitattributes", ".gitmodules"):
    with open(path, "w") as file: file.write("* diff=evil filter=evil\\n")
""",
        harmless=True,
    ),
    "a daemon that ignores every signal": Attempt(
        """
import signal
for number in range(1, 65):
    try: signal.signal(number, signal.SIG_IGN)
    except (OSError, ValueError): pass
for way in range(3):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            os.closerange(0, 200)
            if way == 2: os.chdir("/")
            os.execvp("sleep", ["sleep", facts["stay"]])
        os._exit(0)
"""
    ),
    "the time is up, and it goes on": Attempt(
        """
import signal, threading
for number in (1, 2, 3, 13, 14, 15, 20, 21, 22): signal.signal(number, signal.SIG_IGN)
for each in range(4):
    if os.fork() == 0:
        os.setsid(); os.execvp("sleep", ["sleep", facts["stay"]])
threading.Thread(target=time.sleep, args=(600,)).start()
subprocess.run(["sh", "-c", "trap '' TERM; kill -STOP $$; sleep 600"])
time.sleep(600)
""",
        limits=QUICK,
        endings=(Ending.TIMED_OUT,),
    ),
    "kill whoever watches": Attempt(
        """
import signal
for pid in (1, os.getppid(), -1):
    for number in (signal.SIGTERM, signal.SIGKILL, signal.SIGSTOP):
        if pid == -1 and number == signal.SIGSTOP: continue
        try: os.kill(pid, number)
        except OSError: pass
subprocess.Popen(["sleep", facts["stay"]], start_new_session=True)
""",
        limits=Limits(wall_seconds=6.0),
        endings=(Ending.EXITED, Ending.KILLED, Ending.TIMED_OUT),
    ),
    "a fork bomb": Attempt(
        """
made = 0
while made < 2000:
    try: pid = os.fork()
    except OSError: break
    if pid == 0: os.execvp("sleep", ["sleep", facts["stay"]])
    made += 1
if made >= 48: escaped("forks", made)
""",
        limits=SMALL,
    ),
    "all of the memory": Attempt(
        """
held = []
try:
    while len(held) < 64: held.append(b"x" * (16 << 20))
except MemoryError: pass
if len(held) * 16 > 256: escaped("memory", len(held) * 16)
""",
        limits=SMALL,
        endings=(Ending.EXITED, Ending.KILLED),
    ),
    "all of the disk, in bytes and in files": Attempt(
        """
total, count = 0, 0
for top in ("/", "/dev", "/etc", "/usr", "/run", "/proc", "/root", "/var", "/home", os.environ["THINKLONGER_PAYLOAD"],
            os.environ["THINKLONGER_ROOT"], os.environ["THINKLONGER_OUT"], "/tmp", "/dev/shm",
            "/tmp/home", "/dev/mqueue"):
    for number in range(40):
        try:
            with open(f"{top}/fill{number}", "wb", 0) as file:
                while True: total += file.write(bytes(1 << 20))
        except OSError: pass
    try:
        for number in range(100000): os.mkdir(f"{top}/n{number}"); count += 1
    except OSError: pass
if total > (2 * 16 + 64 + 8) << 20: escaped("bytes", total)
if count > 130_000: escaped("files", count)
""",
        limits=SMALL,
        endings=(Ending.EXITED, Ending.KILLED),
    ),
    "a flood of output": Attempt(
        "os.execvp('sh', ['sh', '-c', 'yes & yes >&2 & cat /dev/zero'])",
        limits=SPEAKING,
        endings=(Ending.OUTPUT_LIMIT,),
    ),
    "stray descriptors and the terminal": Attempt(
        """
import fcntl, termios
for fd in range(3, 256):
    try: os.fstat(fd)
    except OSError: continue
    escaped("descriptor", fd, os.readlink(f"/proc/self/fd/{fd}"))
for fd in (0, 1, 2):
    attempt("tiocsti", lambda: fcntl.ioctl(fd, termios.TIOCSTI, b"x"))
    if os.isatty(fd): escaped("terminal", fd)
    attempt("up from a descriptor", lambda: os.listdir(f"/proc/self/fd/{fd}/.."))
attempt("tty", lambda: os.open("/dev/tty", os.O_RDWR))
"""
    ),
}
"""What was tried. The limits' edges are in `sandbox_limits`, the filter's table in `sandbox_escapes`."""


TARGETS = """
/usr/bin/thinklonger-test /usr/local/bin/python3 /usr/lib/x /etc/passwd /etc/hosts /bin/x /etc/ld.so.preload /x /run/x
/var/x /root/x /etc/resolv.conf /etc/hostname /usr/bin/env /etc/shadow
"""
TOPS = ("/", "/dev/", "/etc/", "/usr/", "/run/", "/root/", "/var/", "/home/")
OWN = (f"{os.path.dirname(os.__file__)}/sitecustomize.py", f"{sys.prefix}/x", sys.executable)  # noqa: PTH120
WRITTEN = (*TARGETS.split(), *OWN, *(f"{top}{name}" for top in TOPS for name in ("fill0", "n0")))
"""What the payloads try to write or to make on the host: nothing else that changes there is theirs."""


def mounts(ground: Path) -> list[str]:
    """The mounts that could come from us, by their place or their source; other things happen on the machine."""
    lines = Path("/proc/self/mounts").read_text(errors="surrogateescape").splitlines()
    return [line for line in lines if line.startswith("thinklonger ") or str(ground) in line or " /sys/work" in line]


def _stamp(path: str) -> tuple[int, ...] | None:
    """What a write would change of a file; None where there is none."""
    try:
        status = os.lstat(path)
    except OSError:
        return None
    return (status.st_ino, status.st_size, status.st_mtime_ns, status.st_mode, status.st_uid, status.st_nlink)


@dataclass(slots=True)
class Host:
    """What is planted on the host for the payloads to find, and where it can be seen that they did."""

    ground: Path
    facts: dict[str, object]
    listeners: list[socket.socket]
    victim: subprocess.Popen[bytes]

    def state(self) -> dict[str, object]:
        """What no attempt may change: files, mounts, settings, the victim, what the listeners got."""
        files = {}
        for path in sorted(p for p in self.ground.rglob("*") if not p.is_relative_to(self.ground / "tmp")):
            status = path.lstat()
            content = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() and not path.is_symlink() else ""
            files[str(path)] = (status.st_mode, status.st_uid, status.st_nlink, status.st_size, content)
        settings = ("kernel/core_pattern", "kernel/hostname", "net/ipv4/ip_forward", "vm/swappiness")
        got = []
        for listener in self.listeners:
            with suppress(OSError):
                got.append(listener.recv(10) if listener.type == socket.SOCK_DGRAM else str(listener.accept()))
        return {
            "files": files,
            "mounts": mounts(self.ground),
            "settings": [(Path("/proc/sys") / name).read_text() for name in settings],
            "victim": self.victim.poll(),
            "received": got,
            "system": [_stamp(path) for path in WRITTEN],
        }


@contextmanager
def host(ground: Path) -> Iterator[Host]:
    """Plant a secret, listeners of every kind, a victim process and a token in the environment."""
    word = f"word-{os.getpid()}"
    (ground / "secret").mkdir()
    (ground / "secret" / "key").write_text(word)
    mark, stay = f"2{os.getpid()}.5", f"9{os.getpid()}.5"
    here = tempfile.mkdtemp(prefix="tl-")  # socket paths are short
    listeners = [socket.create_server(("0.0.0.0", 0)), socket.socket(socket.AF_INET, socket.SOCK_DGRAM)]  # noqa: S104
    listeners[1].bind(("0.0.0.0", 0))  # noqa: S104 - every address of this machine is tried
    listeners += [socket.socket(socket.AF_UNIX) for _ in range(2)]
    listeners[2].bind(f"{here}/agent.sock")
    listeners[3].bind(f"\0{word}")
    for listener in listeners:
        if listener.type != socket.SOCK_DGRAM:
            listener.listen()
        listener.settimeout(0)
    Path(here).chmod(0o755)
    Path(here, "agent.sock").chmod(0o777)
    victim = subprocess.Popen(["sleep", mark], env={"PATH": os.defpath, "WORD": mark})
    environment = {"THINKLONGER_TEST_TOKEN": word, "SSH_AUTH_SOCK": f"{here}/agent.sock"}
    usual = {name: os.environ.get(name) for name in environment}
    os.environ.update(environment)
    engine = os.environ.get("DOCKER_HOST", "").removeprefix("unix://")
    facts: dict[str, object] = {
        "secret": str(ground / "secret" / "key"),
        "folder": str(ground / "secret"),
        "tree": str(ground / "tree"),
        "home": str(Path.home()),
        "word": word,
        "mark": mark,
        "stay": stay,
        "sockets": [f"{here}/agent.sock", *([engine] if engine.startswith("/") else [])],
        "abstract": word,
        "tcp": listeners[0].getsockname()[1],
        "udp": listeners[1].getsockname()[1],
        "address": _address(),
        "victim": victim.pid,
    }
    try:
        yield Host(ground, facts, listeners, victim)
    finally:
        for listener in listeners:
            listener.close()
        victim.kill()
        victim.wait()
        shutil.rmtree(here)
        for name, value in usual.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _address() -> str:
    """This machine's own address on its network, if it has one."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe, suppress(OSError):
        probe.connect(("192.0.2.1", 9))
        return str(probe.getsockname()[0])
    return "127.0.0.1"


async def escaped(session: SandboxSession, planted: Host, attempt: Attempt) -> list[str]:
    """Run one attempt in a layer of its own: what it managed, and what changed outside."""
    before = planted.state()
    async with session.layer() as layer:
        found = await _payload(layer, planted, attempt)
    if not await gone(str(planted.facts["stay"]), 3.0):
        found.append("a process outlived its run")
    after = planted.state()
    found += [f"the host's {name} changed: {after[name]}" for name in before if before[name] != after[name]]
    return found


async def _payload(layer: SandboxLayer, planted: Host, attempt: Attempt) -> list[str]:
    """Run the payload itself; what it said it managed, or that it did not end as it should."""
    env = {"FACTS": json.dumps(planted.facts), "PYTHONDONTWRITEBYTECODE": "1"}
    command = Command((sys.executable, "-c", START + attempt.code), env=env, limits=attempt.limits)
    result = await layer.run(command)
    text = result.output.decode(errors="replace")
    found = [line for line in text.splitlines() if line.startswith("ESCAPED")]
    if result.ending not in attempt.endings:
        found.append(f"ended as {result.ending}: {text[-300:]}")
    if "Traceback" in text and "MemoryError" not in text:
        found.append(text[-600:])
    if any(str(planted.facts["word"]).encode() in content for content in result.artifacts.values()):
        found.append("an artifact holds the secret")
    return found


async def try_all(sandbox: Sandbox, ground: Path, names: Mapping[str, Attempt] = ATTEMPTS) -> dict[str, list[str]]:
    """Every attempt, each in its own layer of one session beside another candidate's; empty lists are what we want."""
    root, files = plant(ground, {"a.py": b"x = 1\n"})
    (root / ".git").mkdir()
    (root / ".git" / "config").write_text("[core]\n")
    (root / ".git" / "HEAD").write_text("ref: refs/heads/main\n")
    results: dict[str, list[str]] = {}
    with host(ground) as planted:
        own = {PurePosixPath("mine.txt"): FileState(b"another candidate's own words")}
        async with sandbox.open(root, files, readable=READABLE) as session, session.layer(own) as other:
            await other.run(Command(("sh", "-c", "cp mine.txt /tmp/mine.txt")))
            for name, attempt in names.items():
                results[name] = await escaped(session, planted, attempt)
    return results


if __name__ == "__main__":
    print(json.dumps(asyncio.run(try_all(ENGINES[sys.argv[1]](), Path(sys.argv[2])))))  # noqa: T201 - the answer
