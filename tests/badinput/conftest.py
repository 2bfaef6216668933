"""A person at a shell with a tiny repository; after every command it is checked that nothing was lost or left."""

import asyncio
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from thinklonger.agent.errors import SandboxError
from thinklonger.agent.trace import load_run

WATCHED = Path(__file__).with_name("watched.py")
CLI = (sys.executable, "-m", "thinklonger.cli")
GONE_SECONDS = 8.0
"""How long a busy machine may take to let go of what a command had started."""
SHORT = {
    "THINKLONGER_SEARCH_SECONDS": "6",
    "THINKLONGER_SEARCH_CANDIDATES": "4",
    "THINKLONGER_SEARCH_BUDGET": "1",
    "THINKLONGER_REGRESSION_SECONDS": "5",
    "THINKLONGER_SANDBOX_LIMITS_WALL_SECONDS": "30",
}
TOTALS = '''\
"""Totals."""


def total(prices):
    """The sum of all prices."""
    result = 0
    for index in range(len(prices) - 1):
        result += prices[index]
    return result
'''
TESTS = """\
from totals import total


def test_total():
    assert total([1, 2, 3]) == 6


def test_nothing():
    assert total([]) == 0
"""
ISSUE = "total() is wrong: the last price is missing"


@dataclass(frozen=True)
class Said:
    """What a command said, its exit code, and seconds until it had ended."""

    code: int
    out: str
    err: str
    seconds: float

    @property
    def json(self) -> Any:  # noqa: ANN401 - any JSON
        """Standard output, which is one JSON object and nothing else."""
        return json.loads(self.out)

    @property
    def searched(self) -> bool:
        """Whether the tests ran, were red, and candidates were tried."""
        return (
            self.code in (0, 1)
            and self.json["stop_reason"] in ("verified", "exhausted", "budget")
            and self.json["tried"] > 0
        )

    @property
    def error(self) -> str:
        """The key of the error that stands in the JSON."""
        return self.json["error"]["message"]["key"]


@dataclass
class Person:
    """Runs commands in a home of their own."""

    home: Path
    repository: Path
    environ: dict[str, str] = field(default_factory=dict[str, str])

    def path(self, name: str) -> Path:
        """A file or folder in the home."""
        return self.home / name

    def write(self, files: Mapping[str, str | bytes]) -> None:
        """Write files of the repository (an empty text removes one) and commit them."""
        for name, content in files.items():
            place = self.repository / name
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(content.encode() if isinstance(content, str) else content)
            if not content:
                place.unlink()
        self.commit()

    def commit(self) -> None:
        """Commit everything."""
        who = ["-c", "user.name=x", "-c", "user.email=x@localhost"]
        for words in (["init", "-q"], ["add", "-A"], [*who, "commit", "-qm", "x"]):
            subprocess.run(["git", *words], cwd=self.repository, check=True)

    def start(
        self, *argv: str, wrapper: Sequence[str] = (), cli: Sequence[str] = CLI, stdin: int = subprocess.DEVNULL
    ) -> "subprocess.Popen[bytes]":
        """Start a command, perhaps behind other words, under the eyes of `watched.py`."""
        watched = (sys.executable, str(WATCHED), str(self.path("report.json")), str(GONE_SECONDS))
        command = [*watched, *wrapper, *cli, *argv]
        pipe = subprocess.PIPE
        return subprocess.Popen(command, env=self.environ, cwd=self.home, stdin=stdin, stdout=pipe, stderr=pipe)

    def end(self, process: "subprocess.Popen[bytes]", *, stdin: bytes | None = None) -> Said:
        """Wait for its end, and check what must be true after any end."""
        began = time.monotonic()
        out, err = process.communicate(stdin, timeout=300)
        said = Said(process.returncode, (out or b"").decode(), (err or b"").decode(), time.monotonic() - began)
        report = json.loads(self.path("report.json").read_bytes())
        assert report["left"] == [], said
        assert report["mounts"] == [], said
        assert list(self.path("tmp").iterdir()) == [], said
        assert "Traceback" not in said.out + said.err, said
        assert "\x1b" not in said.out + said.err, said
        for folder in self.records():
            assert load_run(folder).record.problems == (), said
        self.path("said.txt").write_text(f"{said.code}\n{said.out}\n{said.err}")
        return said

    def run(
        self, *argv: str, stdin: bytes | None = None, wrapper: Sequence[str] = (), cli: Sequence[str] = CLI
    ) -> Said:
        """Run a command to its end; the repository is the same to the last bit."""
        before = digest(self.repository)
        source = subprocess.DEVNULL if stdin is None else subprocess.PIPE
        said = self.end(self.start(*argv, wrapper=wrapper, cli=cli, stdin=source), stdin=stdin)
        assert digest(self.repository) == before, said
        return said

    def resolve(self, *argv: str, wrapper: Sequence[str] = ()) -> Said:
        """`thinklonger resolve` of the repository."""
        return self.run("resolve", "--repo", str(self.repository), *argv, wrapper=wrapper)

    def localize(self, *argv: str, wrapper: Sequence[str] = ()) -> Said:
        """`thinklonger localize` of the repository."""
        return self.run("localize", "--repo", str(self.repository), *argv, wrapper=wrapper)

    def records(self) -> list[Path]:
        """The folders of all runs."""
        return sorted(self.path("state").glob("runs/*")) if self.path("state").is_dir() else []


def digest(root: Path) -> str:
    """Every path, inode, mode, modification time and content below a folder, git's own files included."""
    parts = hashlib.sha256()
    for path in sorted([root, *root.rglob("*")]) if root.exists() else []:
        state = path.lstat()
        parts.update(f"{path} {state.st_ino} {state.st_mode} {state.st_mtime_ns}\0".encode("utf-8", "surrogateescape"))
        if path.is_file():
            parts.update(path.read_bytes())
    return parts.hexdigest()


@pytest.fixture
def person(tmp_path: Path) -> Person:
    """A person with a tiny repository that has one bug and two tests."""
    someone = Person(tmp_path, tmp_path / "repository")
    for name in ("tmp", "config", "repository"):
        (tmp_path / name).mkdir()
    someone.environ = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "TMPDIR": str(tmp_path / "tmp"),
        "XDG_CONFIG_HOME": str(tmp_path / "config"),
        "THINKLONGER_STATE_DIRECTORY": str(tmp_path / "state"),
        "THINKLONGER_CACHE_DIRECTORY": str(tmp_path / "cache"),
        "LANG": "C.UTF-8",
        **SHORT,
    }
    someone.write({"totals.py": TOTALS, "tests/test_totals.py": TESTS, "conftest.py": "# Finds totals.py.\n"})
    return someone


@pytest.fixture(scope="session")
def has_bubblewrap() -> bool:
    """Whether bubblewrap can run here."""
    from thinklonger.agent.sandbox.bubblewrap import BubblewrapSandbox  # noqa: PLC0415 - Linux only

    try:
        asyncio.run(BubblewrapSandbox().probe())
    except SandboxError:
        return False
    return True


@pytest.fixture(params=["none", "bubblewrap"])
def sandbox(request: pytest.FixtureRequest, has_bubblewrap: bool) -> str:  # noqa: FBT001 - a fixture
    """Each of the two sandboxes."""
    if request.param == "bubblewrap" and not has_bubblewrap:
        pytest.skip("bubblewrap can't run here")
    return request.param


@pytest.fixture(scope="session")
def private_mounts() -> tuple[str, ...]:
    """The start of a command line that may mount what nobody else sees; skips where that is not allowed."""
    words = ("unshare", "--mount", "--propagation", "private")
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        pytest.skip("only root can mount")
    if subprocess.run([*words, "mount", "-t", "tmpfs", "x", "/mnt"], capture_output=True, check=False).returncode:
        pytest.skip("mounting is denied here")
    return words
