"""Who made a container: enough to tell whether that process still lives, and a sweep of what dead ones left."""

import os
import time
from collections.abc import Mapping
from functools import partial

from thinklonger.agent.sandbox.client import Client
from thinklonger.agent.sandbox.container import TTL_SECONDS, remove
from thinklonger.agent.sandbox.living import here, identity

SWEEPS, AGAIN_SECONDS = 4, 0.3
RUN, LAUNCHER, EXPIRES = "thinklonger.run", "thinklonger.launcher", "thinklonger.expires"


def labels(run: str) -> Mapping[str, str]:
    """The labels of everything that this process makes for a session."""
    return {RUN: run, LAUNCHER: identity(os.getpid()), EXPIRES: str(int(time.time()) + TTL_SECONDS)}


def is_dead(found: Mapping[str, str]) -> bool:
    """Whether these labels are of a launcher that is gone; one elsewhere counts as gone when its time is up."""
    launcher = found.get(LAUNCHER, "")
    where, pid, _ = launcher.rsplit("/", 2) if launcher.count("/") > 1 else ("", "", "")
    if where == here() and pid.isdecimal():
        return identity(int(pid)) != launcher
    expires = found.get(EXPIRES, "")
    return expires.isdecimal() and int(expires) < time.time()


def sweep(client: Client) -> None:
    """Remove containers, volumes and images of dead launchers; blocks. What another sweep takes first is fine.

    The engine may still be making a container that a launcher asked for just before it was killed: what that one keeps
    from being removed is tried again, for a moment.
    """
    for _ in range(SWEEPS):
        if _removed_all(client):
            return
        time.sleep(AGAIN_SECONDS)


def _removed_all(client: Client) -> bool:
    """Remove what can be removed now; False where something could not."""
    from docker.errors import APIError, NotFound  # noqa: PLC0415 - loaded with the client

    only = {"label": [LAUNCHER]}
    for each in client.containers(all=True, filters=only):
        if is_dead(each["Labels"] or {}):
            remove(client, each["Id"])
    volumes = [each for each in client.volumes(filters=only)["Volumes"] or [] if is_dead(each["Labels"] or {})]
    images = [each for each in client.images(filters=only) if is_dead(each["Labels"] or {})]
    work = [partial(client.remove_volume, each["Name"]) for each in volumes]
    work += [partial(client.remove_image, each["Id"], force=True) for each in images]
    gone = 0
    for remove_it in work:
        try:
            remove_it()
        except NotFound:
            gone += 1
        except APIError:
            continue
        else:
            gone += 1
    return gone == len(work)
