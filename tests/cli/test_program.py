"""The command as a real process: signals, pipes, terminals, locales, and what it imports."""

import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from typing import IO, TYPE_CHECKING

import pytest

from thinklonger.agent.trace import list_runs
from thinklonger.agent.trace.runs import RunStatus

if TYPE_CHECKING:
    from conftest import Terminal

ISSUE = ("--issue-text", "# Last page is empty")
DEADLINE = 20.0
CONTROL = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")


def start(terminal: "Terminal", *argv: str, script: str, **environ: str) -> "subprocess.Popen[bytes]":
    """Start a command with its standard error at hand."""
    return subprocess.Popen(
        terminal.program(*argv),
        env={**terminal.environ, "SCRIPT": script, **environ},
        cwd=terminal.repository,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def read_until(stream: IO[bytes] | None, words: bytes) -> bytes:
    """Read lines up to one with these words; fails if the stream ends before."""
    assert stream is not None
    seen = b""
    for content in stream:
        seen += content
        if words in content:
            return seen
    pytest.fail(f"{words!r} never came: {seen!r}")


@pytest.mark.parametrize(
    ("script", "number"),
    [("hang", signal.SIGINT), ("hang", signal.SIGTERM), ("hang", signal.SIGHUP), ("busy", signal.SIGINT)],
)
def test_the_first_signal_stops_everything(terminal: "Terminal", script: str, number: signal.Signals) -> None:
    """Exit code 130 within moments, also when code keeps the loop busy; the record says cancelled."""
    with start(terminal, "resolve", *ISSUE, script=script) as process:
        read_until(process.stderr, b"proposing")
        began = time.monotonic()
        process.send_signal(number)
        _, err = process.communicate(timeout=DEADLINE)
        took = time.monotonic() - began
    assert process.returncode == 130
    assert b"Stopped by you." in err
    assert b"Traceback" not in err
    assert [run.status for run in list_runs(terminal.state).runs] == [RunStatus.CANCELLED]
    assert took < 5  # a second on an idle machine


def test_the_second_signal_ends_it_at_once(terminal: "Terminal") -> None:
    """What will not stop in order is left; the record shows it as interrupted."""
    with start(terminal, "resolve", *ISSUE, script="stubborn") as process:
        read_until(process.stderr, b"proposing")
        process.send_signal(signal.SIGINT)
        read_until(process.stderr, b"not yet")
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=DEADLINE)
    assert process.returncode == 130
    assert [run.status for run in list_runs(terminal.state).runs] == [RunStatus.INTERRUPTED]


def test_a_cancelled_run_is_json_too(terminal: "Terminal") -> None:
    """Standard output is one JSON object, whatever happens."""
    with start(terminal, "resolve", *ISSUE, "--json", script="hang") as process:
        read_until(process.stderr, b"proposing")
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=DEADLINE)
    assert json.loads(out)["error"]["exit_code"] == process.returncode == 130


@pytest.mark.parametrize("argv", [("resolve", *ISSUE), ("resolve", *ISSUE, "--json"), ("--help",)])
def test_a_reader_that_leaves_is_no_error(terminal: "Terminal", argv: tuple[str, ...]) -> None:
    """`thinklonger … | head -0`: no traceback, and the exit code is the run's."""
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        terminal.program(*argv),
        env={**terminal.environ, "SCRIPT": "verified"},
        stdout=writing,
        stderr=subprocess.PIPE,
        check=False,
        timeout=DEADLINE,
    )
    os.close(writing)
    assert done.returncode == 0
    assert b"Traceback" not in done.stderr
    assert b"BrokenPipe" not in done.stderr


def test_a_watcher_that_leaves_does_not_stop_the_run(terminal: "Terminal") -> None:
    """Standard error closed: the result still comes."""
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        terminal.program("resolve", *ISSUE, "--json"),
        env={**terminal.environ, "SCRIPT": "verified"},
        stdout=subprocess.PIPE,
        stderr=writing,
        check=False,
        timeout=DEADLINE,
    )
    os.close(writing)
    assert done.returncode == 0
    assert json.loads(done.stdout)["label"] == "verified"


def test_output_is_utf8_in_any_locale(terminal: "Terminal") -> None:
    """LANG=C: the words of others come through as UTF-8, our own marks in ASCII, arguments as they were."""
    environ = {**terminal.environ, "SCRIPT": "verified", "LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    done = subprocess.run(
        terminal.program("resolve", "--issue-text", "最后一页是空的"),
        env=environ,
        capture_output=True,
        check=False,
        timeout=DEADLINE,
    )
    assert done.returncode == 0
    assert "issue         最后一页是空的" in done.stderr.decode()
    assert done.stdout.decode().startswith("\n[ok] verified: ")
    assert done.stdout.isascii()


def test_standard_input_is_an_issue(terminal: "Terminal") -> None:
    """`… | thinklonger resolve --issue -`."""
    done = subprocess.run(
        terminal.program("resolve", "--issue", "-"),
        env={**terminal.environ, "SCRIPT": "verified"},
        input="# 从管道来".encode(),
        capture_output=True,
        check=False,
        timeout=DEADLINE,
    )
    assert done.returncode == 0
    assert "从管道来" in done.stderr.decode()


class Screen:
    """A command on a terminal of its own."""

    def __init__(self, command: list[str], environ: Mapping[str, str]) -> None:
        """Start it."""
        self.process_id, self.descriptor = pty.fork()
        if self.process_id == 0:
            os.execve(command[0], command, dict(environ))  # noqa: S606 (the program under test)
        self.seen = ""

    def read(self, until: Callable[[str], bool] | None = None) -> str:
        """What it shows, until it ends or the words are there."""
        deadline = time.monotonic() + DEADLINE
        while time.monotonic() < deadline and not (until and until(self.seen)):
            if not select.select([self.descriptor], [], [], 0.1)[0]:
                continue
            try:
                content = os.read(self.descriptor, 65536)
            except OSError:  # the other side has closed
                break
            if not content:
                break
            self.seen += content.decode("utf-8", "replace")
        return self.seen

    def end(self) -> int:
        """Its exit code."""
        self.read()
        _, status = os.waitpid(self.process_id, 0)
        os.close(self.descriptor)
        return os.waitstatus_to_exitcode(status)


def screen(terminal: "Terminal", *argv: str, script: str, **environ: str) -> Screen:
    """The command on a terminal."""
    settings = {"TERM": "xterm-256color", "COLUMNS": "100", "LINES": "40", "SCRIPT": script, **environ}
    return Screen(terminal.program(*argv), {**terminal.environ, **settings})


def test_a_terminal_sees_colours_and_gets_its_cursor_back(terminal: "Terminal") -> None:
    """The live view hides the cursor while it draws and leaves the screen as a report."""
    shown = screen(terminal, "resolve", *ISSUE, script="verified")
    assert shown.end() == 0
    assert shown.seen.rfind("\x1b[?25h") > shown.seen.rfind("\x1b[?25l") >= 0
    assert "\x1b[32m" in shown.seen
    text = CONTROL.sub("", shown.seen)
    assert "✓ verified: the reproduction was red before" in text


def test_a_terminal_gets_its_cursor_back_after_a_signal(terminal: "Terminal") -> None:
    """Stopped in the middle of drawing, in order or at once."""
    for script, signals, code in (("hang", 1, 130), ("stubborn", 2, 130)):
        shown = screen(terminal, "resolve", *ISSUE, script=script)
        shown.read(lambda seen: "proposing" in seen)
        os.kill(shown.process_id, signal.SIGINT)
        if signals > 1:
            shown.read(lambda seen: "not yet" in seen)
            os.kill(shown.process_id, signal.SIGINT)
        assert shown.end() == code
        assert shown.seen.rfind("\x1b[?25h") > shown.seen.rfind("\x1b[?25l") >= 0


def test_no_color_means_none(terminal: "Terminal") -> None:
    """NO_COLOR: every state still has its word and its mark."""
    shown = screen(terminal, "resolve", *ISSUE, script="verified", NO_COLOR="1")
    assert shown.end() == 0
    colours = [code for code in re.findall(r"\x1b\[([0-9;]*)m", shown.seen) if re.search(r"\b[349]\d\b", code)]
    assert colours == []
    assert "✓ verified" in CONTROL.sub("", shown.seen)


def test_a_dumb_terminal_gets_plain_lines(terminal: "Terminal") -> None:
    """TERM=dumb: no control codes at all."""
    shown = screen(terminal, "resolve", *ISSUE, script="verified", TERM="dumb")
    assert shown.end() == 0
    assert "\x1b" not in shown.seen
    assert "✓ verified" in shown.seen


@pytest.mark.parametrize(("argv", "absent"), [
    (["--version"], {"rich", "asyncio", "msgspec", "tree_sitter", "platformdirs", "thinklonger.agent.pipeline"}),
    (["resolve", "--help"], {"rich", "asyncio", "msgspec", "tree_sitter", "platformdirs"}),
    (["runs", "list"], {"rich", "tree_sitter", "thinklonger.agent.pipeline", "urllib.request"}),
])  # fmt: skip
def test_a_command_imports_only_what_it_needs(terminal: "Terminal", argv: list[str], absent: set[str]) -> None:
    """The cheap commands start fast: nothing heavy is imported for them."""
    code = (
        f"import sys; from thinklonger.cli import main; main({argv!r}); "
        f"print(sorted({absent!r} & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=dict(terminal.environ), capture_output=True, check=True, text=True
    )
    assert done.stderr.splitlines()[-1] == "[]"


def test_the_package_runs_as_a_module(terminal: "Terminal") -> None:
    """`python -m thinklonger.cli`."""
    done = subprocess.run(
        [sys.executable, "-m", "thinklonger.cli", "--version"],
        env=dict(terminal.environ),
        capture_output=True,
        check=True,
        text=True,
    )
    assert done.stdout.startswith("thinklonger ")
