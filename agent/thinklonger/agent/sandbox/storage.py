"""How much memory a frozen tree may take; a larger one goes to a private folder on disk."""

from pathlib import Path

SHARE = 4
"""A tree may take one part in so many of the memory that is free now."""
MARGIN_BYTES = 256 * 1024**2
"""Room beside the tree, for bytecode; only what is used is taken."""


def fits_in_memory(size: int) -> bool:
    """Whether a tree of so many bytes is a sane share of the memory that we may still take."""
    return size <= _available() // SHARE


def _available() -> int:
    """Free memory in bytes, as the machine and our own control group see it."""
    known = [_meminfo(Path("/proc/meminfo"))]
    for limit, used in (
        ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
        ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"),
    ):
        try:
            known.append(int(Path(limit).read_text("ascii")) - int(Path(used).read_text("ascii")))
        except (OSError, ValueError):
            continue
    return max(0, min(known))


def _meminfo(path: Path) -> int:
    """MemAvailable in bytes."""
    for line in path.read_text("ascii").splitlines():
        name, _, value = line.partition(":")
        if name == "MemAvailable":
            return int(value.split()[0]) * 1024
    return 0
