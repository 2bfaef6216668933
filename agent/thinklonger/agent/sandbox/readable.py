"""Which host folders a sandbox may show: those asked for, if they are no more than an interpreter needs."""

import os
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from thinklonger.agent.errors import SandboxError

SYSTEM = (PurePosixPath("/usr"), PurePosixPath("/bin"), PurePosixPath("/lib"), PurePosixPath("/lib64"))
"""Always shown, whatever is asked for."""
NEVER = ("/", "/home", "/root", "/etc", "/var", "/tmp", "/run", "/proc", "/sys", "/dev", "/boot", "/mnt", "/media")  # noqa: S108
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
        homes = {Path.home(), Path.home().resolve()}
        if str(real) in NEVER or any(home.is_relative_to(real) for home in homes):
            raise SandboxError("sandbox.readable-too-wide", path=str(folder))
        for path in (PurePosixPath(named), PurePosixPath(real)):
            if not any(path.is_relative_to(system) for system in SYSTEM):
                shown[path] = None
    return tuple(shown)
