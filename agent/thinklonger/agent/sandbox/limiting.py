"""Resource limits that a process takes on before it becomes the command."""

import resource
import shutil
from functools import cache

from thinklonger.agent.sandbox.surroundings import SYSTEM_PATH
from thinklonger.agent.types import Limits

OPEN_FILES = 4096

_WITHOUT_PRLIMIT = ("/bin/sh", "-c", f'ulimit -c 0; ulimit -n {OPEN_FILES} 2>/dev/null; exec "$@"', "sh")


def limited(limits: Limits, *, processes: int | None) -> tuple[str, ...]:
    """The start of a command line that sets the limits and then runs the rest of it (127: there is no such program).

    A limit that is already lower stays. `processes` is left alone where it is None: the kernel counts the user's
    other processes too, unless in a user namespace of its own.
    """
    prlimit = _prlimit()
    if prlimit is None:
        return _WITHOUT_PRLIMIT
    wanted = {
        "as": (limits.memory_bytes, resource.RLIMIT_AS),
        "fsize": (limits.scratch_bytes, resource.RLIMIT_FSIZE),
        "nofile": (OPEN_FILES, resource.RLIMIT_NOFILE),
        "core": (0, resource.RLIMIT_CORE),
    }
    if processes is not None:
        wanted["nproc"] = (processes, resource.RLIMIT_NPROC)
    options = [f"--{name}={_lower(value, kind)}" for name, (value, kind) in wanted.items()]
    return (prlimit, *options, "--")


@cache
def _prlimit() -> str | None:
    return shutil.which("prlimit", path=SYSTEM_PATH)


def _lower(value: int, kind: int) -> str:
    """The value as soft and hard limit, or the hard limit that holds already if that is lower."""
    hard = resource.getrlimit(kind)[1]
    least = value if hard == resource.RLIM_INFINITY else min(value, hard)
    return f"{least}:{least}"
