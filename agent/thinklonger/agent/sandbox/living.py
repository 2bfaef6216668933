"""Processes by a name that no later one will have: who made a thing, and whether that process still lives."""

import os
import platform
from pathlib import Path


def identity(pid: int) -> str:
    """A process of this machine, in words that no later process will have: where, which, since when."""
    return f"{here()}/{pid}/{since(pid)}"


def here() -> str:
    """This machine since its start, and this process's view of the others."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
        return f"{boot}/{Path('/proc/self/ns/pid').stat().st_ino}"
    except OSError:
        return platform.node()


def since(pid: int) -> str:
    """When the process started; empty where there is none, or nobody says."""
    try:
        return Path(f"/proc/{pid}/stat").read_text("ascii", "replace").rpartition(") ")[2].split()[19]
    except OSError:
        try:
            os.kill(pid, 0)
        except OSError:
            return ""
        return "-"
