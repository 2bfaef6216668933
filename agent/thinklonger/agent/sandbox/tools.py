"""The programs and scripts that the engines start: found in the system's own folders, never through the user's PATH."""

import os
import shutil
import subprocess
from functools import cache
from importlib.resources import files
from pathlib import Path

from thinklonger.agent.errors import SandboxError
from thinklonger.agent.sandbox.surroundings import SYSTEM_PATH

NOBODY = 65534
"""Who the sandbox runs as where the launcher is root."""
ENVIRONMENT = {"PATH": SYSTEM_PATH, "LC_ALL": "C.UTF-8"}


@cache
def script(name: str) -> str:
    """The text of one of our shell scripts; everything variable reaches it as an argument."""
    return files("thinklonger.agent.sandbox").joinpath(f"{name}.sh").read_text("utf-8")


def shell(name: str) -> tuple[str, ...]:
    """The start of a command line that runs one of our scripts with the arguments that follow."""
    return (tool("sh"), "-c", script(name), name)


@cache
def tool(name: str) -> str:
    """The absolute path of a program; raises SandboxError where the system has none."""
    found = shutil.which(name, path=SYSTEM_PATH)
    if found is None:
        key = "sandbox.no-bubblewrap" if name == "bwrap" else "sandbox.no-tool"
        raise SandboxError(key, tool=name)
    return found


def unprivileged() -> tuple[str, ...]:
    """The start of a command line that gives up root, for good; nothing where the launcher is not really root.

    A user namespace that knows no `NOBODY` has a root that is somebody without rights outside.
    """
    if os.geteuid() != 0 or not _is_mapped(NOBODY):
        return ()
    return (tool("setpriv"), "--reuid", str(NOBODY), "--regid", str(NOBODY), "--clear-groups", "--")


@cache
def bubblewrap_is_at_least(major: int, minor: int) -> bool:
    """Whether the bubblewrap here is of this version or a later one."""
    command = (tool("bwrap"), "--version")
    said = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=False)  # noqa: S603 - ours
    numbers = said.stdout.rpartition(" ")[2].strip().split(".")
    return [int(number) for number in numbers[:2] if number.isdecimal()] >= [major, minor]


@cache
def _is_mapped(uid: int) -> bool:
    """Whether our user namespace knows this user and group."""
    return all(
        any(
            int(first) <= uid < int(first) + int(count)
            for first, _, count in map(str.split, Path(table).read_text("ascii").splitlines())
        )
        for table in ("/proc/self/uid_map", "/proc/self/gid_map")
    )
