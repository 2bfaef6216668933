"""Who made a container: enough to tell whether that process still lives, and a sweep of what dead ones left."""

import os
import platform
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from thinklonger.agent.sandbox.client import Client
from thinklonger.agent.sandbox.container import TTL_SECONDS, remove

RUN, LAUNCHER, EXPIRES = "thinklonger.run", "thinklonger.launcher", "thinklonger.expires"


def labels(run: str) -> Mapping[str, str]:
    """The labels of everything that this process makes for a session."""
    return {RUN: run, LAUNCHER: identity(os.getpid()), EXPIRES: str(int(time.time()) + TTL_SECONDS)}


def identity(pid: int) -> str:
    """A process of this machine, in words that no later process will have: where, which, since when."""
    return f"{_here()}/{pid}/{_since(pid)}"


def is_dead(found: Mapping[str, str]) -> bool:
    """Whether these labels are of a launcher that is gone; one elsewhere counts as gone when its time is up."""
    launcher = found.get(LAUNCHER, "")
    where, pid, _ = launcher.rsplit("/", 2) if launcher.count("/") > 1 else ("", "", "")
    if where == _here() and pid.isdecimal():
        return identity(int(pid)) != launcher
    expires = found.get(EXPIRES, "")
    return expires.isdecimal() and int(expires) < time.time()


def sweep(client: Client) -> None:
    """Remove containers, volumes and images of dead launchers; blocks. What another sweep takes first is fine."""
    from docker.errors import APIError  # noqa: PLC0415 - loaded with the client

    only = {"label": [LAUNCHER]}
    for each in client.containers(all=True, filters=only):
        if is_dead(each["Labels"] or {}):
            remove(client, each["Id"])
    for each in client.volumes(filters=only)["Volumes"] or []:
        if is_dead(each["Labels"] or {}):
            with suppress(APIError):
                client.remove_volume(each["Name"])
    for each in client.images(filters=only):
        if is_dead(each["Labels"] or {}):
            with suppress(APIError):
                client.remove_image(each["Id"], force=True)


def _here() -> str:
    """This machine since its start, and this process's view of the others."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
        return f"{boot}/{Path('/proc/self/ns/pid').stat().st_ino}"
    except OSError:
        return platform.node()


def _since(pid: int) -> str:
    """When the process started; empty where there is none, or nobody says."""
    try:
        return Path(f"/proc/{pid}/stat").read_text("ascii", "replace").rpartition(") ")[2].split()[19]
    except OSError:
        try:
            os.kill(pid, 0)
        except OSError:
            return ""
        return "-"
