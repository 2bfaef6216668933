"""Which host folders a sandbox may show: those asked for, if they are no more than an interpreter needs."""

import os
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from thinklonger.agent.errors import SandboxError

SYSTEM = (PurePosixPath("/usr"), PurePosixPath("/bin"), PurePosixPath("/lib"), PurePosixPath("/lib64"))
"""Always shown, whatever is asked for."""
NEVER = tuple(
    f"/{name}"
    for name in (
        "",
        "home",
        "root",
        "etc",
        "var",
        "tmp",
        "run",
        "proc",
        "sys",
        "dev",
        "boot",
        "mnt",
        "media",
        "opt",
        "srv",
    )
)
"""Folders of which only sub-folders may be shown."""


def to_show(readable: Sequence[Path]) -> tuple[PurePosixPath, ...]:
    """The folders to show at their own paths: as named, and as they are called once links are followed.

    Raises SandboxError for a folder that is not there, or that holds more than an interpreter: a home, /etc, the root.
    """
    shown: dict[PurePosixPath, None] = {}
    for folder in readable:
        named = Path(os.path.abspath(folder))  # noqa: PTH100 - links stay as they are: that is the other path
        real = named.resolve()
        if not real.is_dir():
            raise SandboxError("sandbox.readable-missing", path=str(folder))
        home = Path(os.path.expanduser("~"))  # noqa: PTH111 - it does not raise where there is no home
        if str(real) in NEVER or any(place.is_relative_to(real) for place in (home, home.resolve())):
            raise SandboxError("sandbox.readable-too-wide", path=str(folder))
        for path in (PurePosixPath(named), PurePosixPath(real)):
            if not any(path.is_relative_to(system) for system in SYSTEM):
                shown[path] = None
    return tuple(shown)
