"""Run a command and say what it left: `REPORT SECONDS COMMAND...`; the report is JSON, the exit code the command's.

We become the reaper of all orphans below us, so nothing that the command started can hide. What is still there after
SECONDS is reported and killed. SIGUSR1 and SIGUSR2 to us are SIGINT (to the whole group) and SIGKILL to the command.
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


def main(report: str, seconds: float, command: list[str]) -> int:
    """Run, wait, look, clean."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    mounts = Path("/proc/self/mounts").read_text()
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
        "mounts": Path("/proc/self/mounts").read_text() == mounts,
    }
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    Path(report).write_text(json.dumps(said))
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], float(sys.argv[2]), sys.argv[3:]))
