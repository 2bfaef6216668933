"""A launcher killed with SIGKILL leaves no process, no mount, and no folder that the next start does not remove."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("sandbox_killed.py")
MOMENTS = [0.0, 0.15, 0.25, 0.4, 0.7]
"""While a session opens, its holder starts, its first layers are made; 0 while commands run."""
SECONDS = {"none": 4.0, "bubblewrap": 1.5}
"""Until all is gone: a second, and some for a busy machine; `none` has folders to remove from a disk."""


def assert_nothing_left(engine: str, said: dict[str, object]) -> None:
    """All that the launcher had started is gone in time."""
    assert said["left"] == [], said
    assert said["folders"] == [], said
    assert said["groups"] == [], said
    assert said["mounts"] == [], said
    assert isinstance(said["seconds"], float)
    assert said["seconds"] < SECONDS[engine], said


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("engine", ["none", "bubblewrap"])
def test_nothing_is_left(engine: str, moment: float, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """At the given moment (0: while commands run) the launcher is killed; soon nothing of it is there."""
    if engine == "bubblewrap":
        request.getfixturevalue("bubblewrap")
    command = [sys.executable, str(SCRIPT), engine, str(moment), str(tmp_path)]
    said = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    assert_nothing_left(engine, said)
    assert moment or said["orphans"] >= 1, said


@pytest.mark.usefixtures("bubblewrap")
def test_nothing_is_left_by_a_user_without_rights(as_nobody: Callable[[list[str]], str]) -> None:
    """The same when the launcher is not root."""
    assert_nothing_left("bubblewrap", json.loads(as_nobody(["sandbox_killed.py", "bubblewrap", "0"])))
