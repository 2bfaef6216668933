"""The short form of the long run in `benchmarks/soak.py`: cancels, kills and full disks leave nothing behind."""

import subprocess
import sys
from pathlib import Path

import pytest

SOAK = Path(__file__).resolve().parents[2] / "benchmarks" / "soak.py"


@pytest.mark.slow
def test_twenty_unlucky_runs_leave_nothing(tmp_path: Path) -> None:
    """No process, mount, folder or half file; every record loads; the user's tree is the same to the last bit."""
    command = [sys.executable, str(SOAK), "--runs", "20", "--seconds", "90", "--seed", "7"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path, timeout=500)
    assert done.returncode == 0, done.stdout + done.stderr
    assert " runs in " in done.stdout
