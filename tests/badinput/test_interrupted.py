"""Runs that are stopped or killed are gone at once; what a crash left goes at the next start."""

import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Person

TESTS = ("--test-command", "pytest tests/test_totals.py")


SWALLOWED = """
import os, signal, sys, weakref
from thinklonger.cli.leaving import leave_on_signals

class Thing: ...

with leave_on_signals():
    thing = Thing()
    watching = weakref.ref(thing, lambda _: os.kill(os.getpid(), signal.{name}))
    del thing
    sys.exit("lost")
"""


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_signal_during_the_start_is_never_lost(name: str) -> None:
    """Where an exception would vanish, in a callback of the interpreter's own, the process ends all the same."""
    done = subprocess.run(
        [sys.executable, "-c", SWALLOWED.format(name=name)], capture_output=True, check=False, text=True
    )
    assert (done.returncode, done.stderr) == (130, "")


@pytest.mark.slow
@pytest.mark.parametrize("moment", [1.0, 2.0, 4.0])
@pytest.mark.parametrize("how", [signal.SIGUSR1, signal.SIGUSR2], ids=["Ctrl-C", "SIGKILL"])
def test_nothing_is_left(person: "Person", sandbox: str, how: signal.Signals, moment: float) -> None:
    """At any moment: no process, mount or folder, and the tree is the same to the last bit (`Person.end` looks)."""
    process = person.start("resolve", "--repo", str(person.repository), *TESTS, "--sandbox", sandbox)
    time.sleep(moment)  # what is tested; the first is late enough for the interpreter to have come to our code
    process.send_signal(how)
    said = person.end(process)
    assert said.code in (0, 1, 130, 137), said
    assert said.seconds < 5  # a second on an idle machine


def test_what_a_crash_left_goes_at_the_next_start(person: "Person", sandbox: str) -> None:
    """A folder that nobody holds any more is removed, however young, whichever sandbox is used then."""
    left = person.path("tmp") / "thinklonger-sandbox-crashed"
    (left / "base").mkdir(parents=True)
    (left / ".lock").touch()
    (left / "base" / "file").touch(0o400)
    (left / "base").chmod(0o500)
    person.resolve("--test-command", "pytest -k no_such_test", "--sandbox", sandbox)
    assert not left.exists()
