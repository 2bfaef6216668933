"""The environment variables that every engine gives a command: nothing of the launcher's own."""

from collections.abc import Mapping
from dataclasses import dataclass

from thinklonger.agent.types import Command

SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/run/current-system/sw/bin"
"""Where the launcher's own tools come from; the user's PATH may point into the repository."""


@dataclass(frozen=True, slots=True)
class Places:
    """Where a command finds things, as it sees them: the tree, a home, a temporary folder, its output, its payload."""

    root: str
    home: str
    scratch: str
    out: str
    payload: str


def variables(command: Command, places: Places) -> dict[str, str]:
    """All that the command sees: fixed values, then the command's own, then where things lie."""
    fixed: Mapping[str, str] = {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "LANG": "C.UTF-8",
        "TZ": "UTC",
        "HOME": places.home,
        "TMPDIR": places.scratch,
        "PYTHONHASHSEED": "0",
    }
    own = {
        "THINKLONGER_ROOT": places.root,
        "THINKLONGER_OUT": places.out,
        "THINKLONGER_PAYLOAD": places.payload,
    }
    return {**fixed, **command.env, **own}
