"""Run a command and say what it left: `REPORT SECONDS COMMAND...`; the report is JSON, the exit code the command's.

We become the reaper of all orphans below us, so nothing that the command started can hide. What is still there after
SECONDS is reported and killed. SIGUSR1 and SIGUSR2 to us are SIGINT (to the whole group) and SIGKILL to the command.

Other things happen on the machine meanwhile: a new mount is the command's if it lies below the report's folder, which
is all that the command may write, or is one of the sandbox's by its source or its place. (A mount in a namespace of
its own goes with the last process there, and no process is left.)
"""

import ctypes
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

PR_SET_CHILD_SUBREAPER = 36
SOURCE, WORK = "thinklonger", "/sys/work"
"""What the sandbox's own mounts show as their source, and where they are."""


def below(pid: int, *, but: int = 0) -> list[int]:
    """The processes below one, zombies of ours reaped on the way (`but` is left to who started it)."""
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            words = task.read_text().split()
        except OSError:
            continue
        for child in map(int, words):
            if child == but:
                continue
            try:
                if os.waitpid(child, os.WNOHANG)[0]:
                    continue
            except ChildProcessError:
                pass  # a grandchild
            found += [child, *below(child)]
    return found


def words_of(pid: int) -> str:
    """A process's command line."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return str(pid)


def mounts(ground: Path) -> set[str]:
    """The mounts that could be the command's: what they are called, where they are and what they show."""
    found: set[str] = set()
    for line in Path("/proc/self/mountinfo").read_text(errors="surrogateescape").splitlines():
        fields, _, rest = line.partition(" - ")
        root, place = (Path(word.encode().decode("unicode_escape")) for word in fields.split()[3:5])
        below = root.is_relative_to(ground) or place.is_relative_to(ground)
        if below or rest.split()[1] == SOURCE or place.is_relative_to(WORK):
            found.add(line)
    return found


def main(report: str, seconds: float, command: list[str]) -> int:
    """Run, wait, look, clean."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    ground = Path(report).resolve().parent
    before = mounts(ground)
    process = subprocess.Popen(command, start_new_session=True, close_fds=False)
    signal.signal(signal.SIGUSR1, lambda *_: os.killpg(process.pid, signal.SIGINT))
    signal.signal(signal.SIGUSR2, lambda *_: process.kill())
    while process.poll() is None:
        below(os.getpid(), but=process.pid)
        time.sleep(0.005)
    code = process.returncode
    ended = time.monotonic()
    while (left := below(os.getpid())) and time.monotonic() - ended < seconds:
        time.sleep(0.01)
    said = {
        "left": [words_of(pid) for pid in left],
        "seconds": time.monotonic() - ended,
        "mounts": sorted(mounts(ground) - before),
    }
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    Path(report).write_text(json.dumps(said))
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], float(sys.argv[2]), sys.argv[3:]))
