"""Measuring programs by the CPU seconds of all their processes, which other work on the machine hardly changes."""

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True, slots=True)
class Measured:
    """One run: CPU seconds (user and system, children that were waited for included), wall seconds, output.

    `peak_mb` is the largest resident size of the program itself or of any one child, not their sum.
    """

    cpu: float
    wall: float
    peak_mb: float
    output: str


def measure(argv: Sequence[str]) -> Measured:
    """Run a program to its end; raises CalledProcessError where it fails."""
    started = time.perf_counter()
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
    output = process.stdout.read() if process.stdout else ""
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise subprocess.CalledProcessError(process.returncode, list(argv), output)
    cpu = usage.ru_utime + usage.ru_stime
    return Measured(cpu, time.perf_counter() - started, usage.ru_maxrss / 1024, output)


def interpreter_seconds(runs: int = 5) -> float:
    """The CPU seconds of a Python that does nothing, as the median of some runs."""
    return median(measure([sys.executable, "-c", "pass"]).cpu for _ in range(runs))
