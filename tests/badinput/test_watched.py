"""The eyes of these tests: they find what a command left, and nothing that somebody else did meanwhile."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

WATCHED = Path(__file__).with_name("watched.py")
MOUNTS = {
    "below our folder": ('mkdir "$1/m" && mount -t tmpfs x "$1/m"', True),
    "of our folder": ('mkdir "$1/shown" && mount --bind "$1/shown" /mnt', True),
    "the sandbox's": ("mount -t tmpfs thinklonger /mnt", True),
    "somebody else's": ("mount -t tmpfs x /mnt", False),
}


@pytest.mark.parametrize("what", MOUNTS)
def test_mounts(private_mounts: tuple[str, ...], tmp_path: Path, what: str) -> None:
    """A mount that a command left is found by its place or its source; any other is not the command's."""
    script, ours = MOUNTS[what]
    report = tmp_path / "report.json"
    watched = (sys.executable, str(WATCHED), str(report), "1", "sh", "-c", script, "sh", str(tmp_path))
    subprocess.run([*private_mounts, *watched], check=True)
    assert bool(json.loads(report.read_bytes())["mounts"]) is ours


def test_processes(tmp_path: Path) -> None:
    """A daemon that left its session is found, and ended; the test's own processes are not."""
    report = tmp_path / "report.json"
    with subprocess.Popen(["sleep", "60"]) as other:
        script = "setsid sh -c 'sleep 61 & sleep 62' >/dev/null 2>&1 &"
        subprocess.run([sys.executable, str(WATCHED), str(report), "0.3", "sh", "-c", script], check=True)
        assert other.poll() is None
        other.kill()
    left = json.loads(report.read_bytes())["left"]
    assert {"sleep 61 ", "sleep 62 "} <= set(left), left
    assert "sleep 60 " not in left
