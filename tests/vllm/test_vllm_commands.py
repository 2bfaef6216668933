"""The commands against a real vLLM, as a user starts them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.vllm


def thinklonger(home: Path, *words: str) -> tuple[int, dict[str, object]]:
    """The exit code and the JSON of a command."""
    places = {f"XDG_{name}_HOME": str(home / name.lower()) for name in ("CONFIG", "STATE", "CACHE")}
    command = [sys.executable, "-m", "thinklonger.cli", *words, "--json"]
    done = subprocess.run(command, env=os.environ | places, capture_output=True, check=False, timeout=300, cwd=home)
    return done.returncode, json.loads(done.stdout)


def test_doctor_examines_it(url: str, tmp_path: Path) -> None:
    """What doctor says of a real server is what it does: frees what is cancelled, finds prefixes, names adapters."""
    _, found = thinklonger(tmp_path, "doctor", "--engine", url)
    server = found["model"]
    assert isinstance(server, dict)
    assert server["facts"]["dialect"] == "reasoning"
    assert server["facts"]["context"] == 4096
    assert server["facts"]["adapters"] == ["prm", "orm"]
    assert server["frees"] is True
    assert server["freed_seconds"] < 5
    assert server["prefix_cached_tokens"] >= 128
