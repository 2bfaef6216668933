"""`runs verify`: the receipt of a real run comes to the same verdict again, and what was changed is found out."""

import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from thinklonger.agent.trace import load_run
from thinklonger.cli import main

TOTALS = '''\
"""Totals."""


def total(prices):
    """The sum of all prices."""
    result = 0
    for index in range(len(prices) - 1):
        result += prices[index]
    return result


def largest(prices):
    """The largest price."""
    return max(prices)
'''
TESTS = """\
import pytest

from totals import largest, total


def test_total():
    assert total([1, 2, 3]) == 6


@pytest.mark.parametrize("price", range(30))
def test_largest(price):
    assert largest([price, price - 1]) == price
"""
SETTINGS = {
    "THINKLONGER_SEARCH_SECONDS": "6",
    "THINKLONGER_SEARCH_CANDIDATES": "30",
    "THINKLONGER_SEARCH_BUDGET": "1",
    "THINKLONGER_REGRESSION_SECONDS": "5",
    "LANG": "C.UTF-8",
}


def git(repository: Path, *words: str) -> None:
    """Call git in a repository."""
    who = ("-c", "user.name=x", "-c", "user.email=x@localhost")
    subprocess.run(["git", *who, *words], cwd=repository, check=True, capture_output=True)


@pytest.fixture(scope="module")
def resolved(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A home with a repository and the record of its resolve."""
    home = tmp_path_factory.mktemp("home")
    repository = home / "repository"
    repository.mkdir()
    for name, text in (("totals.py", TOTALS), ("test_totals.py", TESTS), ("notes.txt", "notes\n")):
        (repository / name).write_text(text)
    git(repository, "init", "-q")
    git(repository, "add", "-A")
    git(repository, "commit", "-qm", "x")
    before = dict(os.environ)
    os.environ.update(SETTINGS, THINKLONGER_STATE_DIRECTORY=str(home / "state"))
    os.environ.update(THINKLONGER_CACHE_DIRECTORY=str(home / "cache"), XDG_CONFIG_HOME=str(home / "config"))
    argv = ["resolve", "--repo", str(repository), "--sandbox", "none", "--json", "--quiet"]
    assert main([*argv, "--test-command", "pytest test_totals.py"]) in (0, 1)
    yield home
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture
def home(resolved: Path, tmp_path: Path) -> Path:
    """A copy of that home, to change."""
    shutil.copytree(resolved, tmp_path / "home", symlinks=True)
    return tmp_path / "home"


Verify = Callable[..., tuple[int, Any]]


@pytest.fixture
def verify(home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Verify:
    """Runs `runs verify` on the copy; the exit code and the JSON."""
    monkeypatch.setenv("THINKLONGER_STATE_DIRECTORY", str(home / "state"))
    monkeypatch.setenv("THINKLONGER_CACHE_DIRECTORY", str(home / "cache"))

    def call(*argv: str) -> tuple[int, Any]:
        capsys.readouterr()
        words = ["runs", "verify", "last", "--repo", str(home / "repository"), "--sandbox", "none", "--json", *argv]
        code = main(words)
        return code, json.loads(capsys.readouterr().out)

    return call


def record(home: Path) -> Path:
    """The run's folder."""
    (folder,) = (home / "state" / "runs").iterdir()
    return folder


def keys(messages: list[dict[str, Any]]) -> set[str]:
    """The keys of messages."""
    return {message["key"] for message in messages}


def state_of(repository: Path) -> dict[str, tuple[int, str]]:
    """Every file's time and content."""
    return {
        str(path): (path.lstat().st_mtime_ns, hashlib.sha256(path.read_bytes()).hexdigest())
        for path in sorted(repository.rglob("*"))
        if path.is_file()
    }


def test_a_receipt_says_what_it_stands_on(home: Path) -> None:
    """The environment with its packages, the tree, lists of many tests in a file, results and logs with digests."""
    finished = load_run(record(home)).finished
    assert finished is not None
    receipt = finished.receipt
    assert receipt is not None
    assert receipt.environment is not None
    assert any(package.startswith("pytest==") for package in receipt.environment.packages)
    assert receipt.tree is not None
    assert receipt.tree.files == 3
    assert receipt.regression is not None
    assert receipt.regression.count == 30
    assert receipt.regression.command[-1] == f"@{receipt.regression.listed}"
    listed = (record(home) / str(receipt.regression.listed)).read_text().splitlines()
    assert len(listed) == 30
    abouts = {artifact.about for artifact in receipt.artifacts}
    assert abouts >= {"tree", "patch", "before", "reproduction-before.xml", "regression-after.xml"}
    for artifact in receipt.artifacts:
        content = (record(home) / artifact.path).read_bytes()
        assert (len(content), hashlib.sha256(content).hexdigest()) == (artifact.bytes, artifact.sha256)


@pytest.mark.slow
def test_the_same_verdict(home: Path, verify: Verify) -> None:
    """Untouched, everything agrees: exit code 0, and the repository stays as it is."""
    before = state_of(home / "repository")
    code, said = verify()
    assert (code, said["same"], said["intact"], said["differs"]) == (0, True, True, []), said
    assert {"receipt.same-reproduction", "receipt.same-regression", "receipt.same-tree"} <= keys(said["agrees"])
    assert state_of(home / "repository") == before


@pytest.mark.slow
def test_the_same_verdict_after_the_patch_was_applied_and_more(home: Path, verify: Verify) -> None:
    """Files that changed since are taken as they were then, from the record or from git."""
    repository = home / "repository"
    finished = load_run(record(home)).finished
    assert finished is not None
    subprocess.run(["git", "apply", "-"], input=finished.patch.encode(), cwd=repository, check=True)
    (repository / "test_totals.py").write_text("def test_nothing():\n    pass\n")
    (repository / "conftest.py").write_text("raise SystemExit('not then')\n")
    code, said = verify()
    assert (code, said["same"]) == (0, True), said
    assert "receipt.restored" in keys(said["noted"])


@pytest.mark.slow
def test_a_tree_that_is_lost_is_told_by_its_files(home: Path, verify: Verify) -> None:
    """What the proof stands on and can't be brought back: exit code 3, naming it."""
    shutil.rmtree(home / "repository" / ".git")
    (home / "repository" / "test_totals.py").write_text("def test_total():\n    pass\n")
    (home / "repository" / "notes.txt").write_text("other notes\n")
    code, said = verify()
    assert (code, said["error"]["message"]["key"]) == (3, "receipt.tree-differs"), said
    assert "test_totals.py" in said["error"]["message"]["text"]
    (home / "repository" / "test_totals.py").write_text(TESTS)
    code, said = verify()
    assert (code, keys(said["noted"])) == (0, {"receipt.others-differ"}), said


@pytest.mark.slow
@pytest.mark.parametrize("what", ["patch", "receipt", "artifact"])
def test_tampering_is_found_out(home: Path, verify: Verify, what: str) -> None:
    """A patch, a receipt or a kept file that somebody changed: exit code 1, and it is said."""
    path = record(home) / "events.jsonl"
    text = path.read_text()
    match what:
        case "patch":
            diff = load_run(record(home)).finished
            assert diff is not None
            (added,) = (line for line in diff.patch.splitlines() if line.startswith("+") and line[:3] != "+++")
            changed = json.dumps(added)[1:-1]
            assert changed in text
            path.write_text(text.replace(changed, changed.replace("prices", "prices[1:]")))
        case "receipt":
            path.write_text(
                text.replace('"label":"partly-verified"', '"label":"verified"').replace('"tried":', '"tried":9')
            )
        case _:
            (next((record(home) / "artifacts").glob("*-reproduction-after.xml"))).write_text("<testsuite/>")
    code, said = verify()
    assert (code, said["same"], said["intact"]) == (1, False, False), said


def test_a_run_without_a_receipt_can_not_be_verified(home: Path, verify: Verify) -> None:
    """Exit code 3, with what there is to see instead."""
    path = record(home) / "events.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:-1]))
    code, said = verify()
    assert (code, said["error"]["message"]["key"]) == (3, "receipt.not-finished"), said
