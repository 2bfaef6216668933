"""Runs that are stopped or killed are gone at once; what a crash left goes at the next start."""

import signal
import time
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Person

TESTS = ("--test-command", "pytest tests/test_totals.py")


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
