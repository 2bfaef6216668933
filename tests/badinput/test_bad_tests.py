"""Repositories whose tests are missing, broken, endless, loud or vicious: said or survived, in both sandboxes."""

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Person

ISSUE = ("--issue-text", "total() is wrong: the last price is missing")
COMMAND = ("--test-command", "pytest tests/test_totals.py")
CHECK = "    assert total([1, 2, 3]) == 6\n"
KILL_PARENT = (
    "import os, signal\nfrom totals import total\n\ndef test_total():\n    os.kill(os.getppid(), signal.SIGKILL)\n"
)
DAEMON = """\
import os, time
from totals import total

def test_total():
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            os.closerange(0, 100)
            time.sleep(1000)
        os._exit(0)
"""
FILL = """\
import os, tempfile
from totals import total

def test_total():
    try:
        with open(os.path.join(tempfile.gettempdir(), "big"), "wb") as file:
            for _ in range(2000):
                file.write(bytes(1 << 20))
    except OSError:
        pass
"""
KILL_GROUP = """\
import os, signal
from totals import total

def test_total():
    os.killpg(os.getpgid(os.getppid()), signal.SIGKILL)
"""
BINARY = """\
import os
from totals import total

def test_total(capfd):
    with capfd.disabled():
        os.write(1, bytes(range(256)) * 1000 + b"\\x1b]0;title\\x07\\x1b[2J")
"""
NEEDY = """\
import os, socket
from totals import total

def test_total():
    for need in (lambda: socket.create_connection(("192.0.2.1", 80), timeout=0.2), lambda: os.mknod("/dev/x", 0o666)):
        try:
            need()
        except OSError:
            pass
    assert not os.environ.get("DISPLAY")
"""
LOUD = """\
import os
from totals import total

def test_total(capfd):
    with capfd.disabled():
        for _ in range(1024):
            os.write(1, b"x" * (1 << 20))
"""
ENDLESS = """\
def count(limit):
    number = 0
    while number != limit:
        number += 2
    return number
"""
UNRUNNABLE = {
    "no tests": ({"tests/test_totals.py": ""}, "execution.no-tests", "pytest found no tests"),
    "endless import": (
        {"tests/test_totals.py": "while True:\n    pass\n"},
        "execution.collection",
        "can't be collected",
    ),
    "conftest that raises": (
        {"conftest.py": 'raise RuntimeError("broken")\n'},
        "execution.collection-failed",
        "conftest.py: RuntimeError: broken",
    ),
    "conftest that exits": ({"conftest.py": "import os\nos._exit(3)\n"}, "execution.ended-silently", "exit code 3"),
    "conftest that misses a module": (
        {"conftest.py": "import no_such_thing\n"},
        "execution.missing-module",
        "no_such_thing",
    ),
    "only syntax errors": (
        {"tests/test_totals.py": "def test_x(:\n"},
        "execution.collection-failed",
        "tests/test_totals.py: SyntaxError",
    ),
    "plugins required": (
        {"pyproject.toml": '[tool.pytest.ini_options]\nrequired_plugins = "pytest-no-such"\n'},
        "execution.runner-failed",
        "pytest-no-such",
    ),
}


@pytest.mark.parametrize("what", UNRUNNABLE)
def test_why_nothing_runs(person: "Person", sandbox: str, what: str) -> None:
    """An honest negative, exit code 1: the reason in words, and the suspicious places all the same."""
    files, _, words = UNRUNNABLE[what]
    person.environ["THINKLONGER_SANDBOX_LIMITS_WALL_SECONDS"] = "6"
    person.write(files)
    said = person.resolve(*ISSUE, "--sandbox", sandbox, "--json")
    assert (said.code, said.json["label"], said.json["stop_reason"]) == (1, "unverified", "no-execution"), said
    assert words in said.err
    assert said.json["locations"][0]["path"] == "totals.py"


@pytest.mark.slow
def test_a_test_that_hangs_is_red(person: "Person", sandbox: str) -> None:
    """A test that never ends is stopped, and what makes it end is a repair."""
    person.environ["THINKLONGER_SEARCH_CANDIDATES"] = "40"
    person.environ["THINKLONGER_SEARCH_SECONDS"] = "20"
    person.write(
        {
            "totals.py": ENDLESS,
            "tests/test_totals.py": "from totals import count\n\ndef test_count():\n    assert count(3) == 3\n",
        }
    )
    said = person.resolve(*COMMAND, "--sandbox", sandbox, "--json")
    assert said.searched, said
    assert said.seconds < 90


@pytest.mark.slow
@pytest.mark.parametrize(
    "text",
    [LOUD, KILL_PARENT, DAEMON, FILL, BINARY, NEEDY],
    ids=["loud", "kills its parent", "daemon", "fills", "binary", "needy"],
)
def test_what_a_test_does_beside_testing(person: "Person", sandbox: str, text: str) -> None:
    """A gigabyte of output, SIGKILL to its parent, a daemon, a full disk: the test still decides, nothing is left."""
    person.write({"tests/test_totals.py": text + CHECK})
    said = person.resolve(*COMMAND, "--sandbox", sandbox, "--json")
    assert said.searched, said


@pytest.mark.slow
def test_tests_that_need_root_or_a_display_stop_no_others(person: "Person") -> None:
    """They are red on the code as it is and count against no patch; what they need is told."""
    person.write({"tests/test_needy.py": NEEDING})
    said = person.resolve(*COMMAND, "--sandbox", "bubblewrap", "--regression", "whole", "--json")
    assert said.searched, said
    assert "display" in said.err + said.out


NEEDING = """\
import os, subprocess

def test_root():
    os.chown("/usr", 0, 0)

def test_display():
    raise RuntimeError("no display name and no $DISPLAY environment variable")

def test_setuid():
    subprocess.run(["mount", "-t", "tmpfs", "x", "/mnt"], check=True)
"""


@pytest.mark.slow
def test_a_test_that_kills_its_whole_group(person: "Person", sandbox: str) -> None:
    """Nothing but the test itself dies; a result is given, and no patch is called verified for it."""
    person.write({"tests/test_totals.py": KILL_GROUP + CHECK})
    said = person.resolve(*COMMAND, "--sandbox", sandbox, "--json")
    assert (said.code, said.json["label"]) == (1, "unverified"), said


@pytest.mark.parametrize("options", ["--cov=totals -n auto", "-p no_such_plugin", "--no-such-option"])
def test_options_of_plugins_that_are_not_there(person: "Person", options: str) -> None:
    """The repository's own addopts are left out where nobody knows them."""
    person.write({"pyproject.toml": f'[tool.pytest.ini_options]\naddopts = "{options}"\n'})
    said = person.resolve(*COMMAND, "--sandbox", "none", "--json")
    assert said.searched, said


def test_one_file_that_does_not_parse_stops_no_other(person: "Person") -> None:
    """It is named, and the other tests decide."""
    person.write({"tests/test_other.py": "def test_x(:\n"})
    said = person.resolve(*ISSUE, "--sandbox", "none", "--json")
    assert said.searched, said
    assert {str(problem["params"].get("path")) for problem in said.json["problems"]} >= {"tests/test_other.py"}
