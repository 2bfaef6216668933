"""Processes of a server: their threads, limits, output and end."""

from __future__ import annotations

import contextlib
import os
import resource
import select
import signal
import threading
import time

MEMORY_HEADROOM = 1 << 30
"""What one candidate's process may take beyond what it was forked with, in bytes of address space."""


def has_threads() -> bool:
    """Whether this process has more threads than this one: a fork would lose them."""
    if threading.active_count() > 1:
        return True
    try:
        return len(os.listdir("/proc/self/task")) > 1
    except OSError:
        return False


def leave() -> None:
    """End this candidate's process at once."""
    os._exit(0)


def limit_memory() -> None:
    """Give this process some headroom and no more."""
    try:
        with open("/proc/self/statm") as file:
            size = int(file.read().split()[0]) * resource.getpagesize()
    except OSError:
        return
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    wanted = size + MEMORY_HEADROOM
    resource.setrlimit(resource.RLIMIT_AS, (wanted if hard == resource.RLIM_INFINITY else min(wanted, hard), hard))


def gather(pipe: int, pid: int, deadline: float) -> tuple[list[str], bool]:
    """The lines of a candidate's report until it has ended, died or run out of time; whether the last."""
    data = b""
    while True:
        left = deadline - time.monotonic()
        if left <= 0:
            return complete_lines(data), True
        ready, _, _ = select.select([pipe], [], [], min(left, 0.2))
        if ready:
            chunk = os.read(pipe, 1 << 16)
            data += chunk
            if not chunk:
                return complete_lines(data), False
        elif has_ended(pid):
            return complete_lines(data), False


def has_ended(pid: int) -> bool:
    """Whether a child is dead, without reaping it."""
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def complete_lines(data: bytes) -> list[str]:
    """The lines, without a last one that was cut off."""
    return data.decode("ascii", "replace").split("\n")[:-1]


def kill_tree(pid: int) -> None:
    """SIGKILL to a child and everything that descends from it."""
    for victim in (pid, *descendants(pid)):
        with contextlib.suppress(OSError):
            os.kill(victim, signal.SIGKILL)


def descendants(pid: int) -> list[int]:
    """The processes that descend from this one, where the system says so."""
    found: list[int] = []
    try:
        with open(f"/proc/{pid}/task/{pid}/children") as file:
            children = [int(word) for word in file.read().split()]
    except OSError:
        return found
    for child in children:
        found += [child, *descendants(child)]
    return found
