"""Repositories, caches, state folders and temporary folders that are missing, full, read-only or oddly named."""

import json
import os
import shutil
import site
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import thinklonger.agent
import thinklonger.cli

if TYPE_CHECKING:
    from conftest import Person

ISSUE = ("--issue-text", "total() is wrong: the last price is missing")
NOBODY = 65534
READ_ONLY = 'mount --bind "$1" "$1" && mount -o remount,bind,ro "$1" && shift && exec "$@"'
FULL = 'mount -t tmpfs -o size="$2" x "$1" && { shift 2; "$@"; code=$?; ls -A "$0" >&2; exit "$code"; }'


@pytest.mark.parametrize("command", ["resolve", "localize", "index"])
@pytest.mark.parametrize(
    ("repository", "key"),
    [
        ("missing", "repository.missing"),
        ("tmp", "repository.no-source"),
        ("repository/totals.py", "repository.not-a-folder"),
        ("", "cli.no-repo"),
        ("repository/.git", "repository.no-source"),
    ],
)
def test_no_repository_is_said_so(person: "Person", command: str, repository: str, key: str) -> None:
    """Wrong use, exit code 2, with what to do about it."""
    issue = () if command == "index" else ISSUE
    said = person.run(command, "--repo", repository, *issue, "--json")
    assert (said.code, said.error) == (2, key), said
    assert said.json["error"]["remedy"]["text"] in said.err


@pytest.mark.slow
def test_a_name_full_of_spaces_and_quotes(person: "Person", sandbox: str) -> None:
    """Any path that the system allows is one: tests run in it, and the patch names files inside."""
    person.repository = person.repository.rename(person.path("a 'b' \"c\" $(d) `e` \\f 词"))
    said = person.resolve("--test-command", "pytest tests/test_totals.py", "--sandbox", sandbox, "--json")
    assert said.searched, said


@pytest.mark.slow
def test_a_repository_on_a_read_only_file_system(
    person: "Person", sandbox: str, private_mounts: tuple[str, ...]
) -> None:
    """Nothing is ever written there, so nothing is missed."""
    wrapper = (*private_mounts, "sh", "-c", READ_ONLY, "sh", str(person.repository))
    said = person.resolve(
        "--test-command", "pytest tests/test_totals.py", "--sandbox", sandbox, "--json", wrapper=wrapper
    )
    assert said.searched, said


def test_an_unusable_cache_is_done_without(person: "Person") -> None:
    """A file where the cache should be: the answer is the same, and a note says so."""
    person.path("cache").touch()
    said = person.localize(*ISSUE, "--json")
    assert said.code == 0
    assert [problem["key"] for problem in said.json["problems"]] == ["repository.cache-unusable"]
    assert str(person.path("cache")) in said.err
    assert person.resolve("--test-command", "pytest", "--sandbox", "none", "--json").searched


def test_a_read_only_cache_is_done_without(person: "Person", private_mounts: tuple[str, ...]) -> None:
    """Also where it has an index already, which then can't be refreshed."""
    assert person.localize(*ISSUE).code == 0
    person.write({"more.py": "def last_price(prices):\n    return prices[0]\n"})
    wrapper = (*private_mounts, "sh", "-c", READ_ONLY, "sh", str(person.path("cache")))
    said = person.localize(*ISSUE, "--json", wrapper=wrapper)
    assert said.code == 0
    assert {file["path"] for file in said.json["files"]} >= {"totals.py", "more.py"}
    assert [problem["key"] for problem in said.json["problems"]] == ["repository.cache-unusable"]


def test_a_damaged_cache_is_built_anew(person: "Person") -> None:
    """Rubbish in place of the index costs one indexing, and is said."""
    assert person.localize(*ISSUE).code == 0
    (index,) = person.path("cache").glob("*.index")
    index.write_bytes(os.urandom(8192))
    said = person.localize(*ISSUE, "--json")
    assert said.code == 0
    assert [problem["key"] for problem in said.json["problems"]] == ["repository.cache-rebuilt"]
    assert person.localize(*ISSUE, "--json").json["problems"] == []


@pytest.mark.parametrize("command", ["resolve", "localize"])
def test_no_place_for_the_record(person: "Person", command: str) -> None:
    """A run that can't be recorded does not begin: exit code 3, naming the folder."""
    person.path("state").touch()
    said = person.run(command, "--repo", str(person.repository), *ISSUE, "--json")
    assert (said.code, said.error) == (3, "trace.no-folder"), said
    assert str(person.path("state")) in said.err


def test_a_read_only_state_folder(person: "Person", private_mounts: tuple[str, ...]) -> None:
    """The same where the folder is there, and the runs in it can still be read."""
    assert person.localize(*ISSUE).code == 0
    wrapper = (*private_mounts, "sh", "-c", READ_ONLY, "sh", str(person.path("state")))
    said = person.localize(*ISSUE, "--json", wrapper=wrapper)
    assert (said.code, said.error) == (3, "trace.no-folder"), said
    assert "Read-only file system" in said.err
    listed = person.run("runs", "list", "--json", wrapper=wrapper)
    assert (listed.code, len(listed.json["runs"])) == (0, 1)


@pytest.mark.parametrize("size", ["4k", "32k"])
def test_a_full_state_folder(person: "Person", private_mounts: tuple[str, ...], size: str) -> None:
    """A disk that is full at the start or soon after: exit code 3, and what is in the record can be read."""
    person.path("state").mkdir()
    wrapper = (*private_mounts, "sh", "-c", FULL, str(person.path("state")), str(person.path("state")), size)
    said = person.resolve("--test-command", "pytest", "--sandbox", "none", "--json", wrapper=wrapper)
    assert (said.code, said.error) == (3, "trace.write-failed"), said
    assert "No space left on device" in said.err


def test_a_full_temporary_folder(person: "Person", private_mounts: tuple[str, ...]) -> None:
    """No room for a copy of the tree: places are still ranked, and it is said why nothing ran."""
    wrapper = (*private_mounts, "sh", "-c", FULL, str(person.path("tmp")), str(person.path("tmp")), "8k")
    said = person.resolve("--test-command", "pytest", "--sandbox", "none", "--json", wrapper=wrapper)
    assert said.code == 3, said
    assert said.json["stop_reason"] == "no-execution"
    assert "No space left on device" in said.err
    assert said.err.count("thinklonger-sandbox-") <= 1  # the path that is named, and nothing that was left


@pytest.mark.slow
def test_two_runs_at_once(person: "Person", sandbox: str) -> None:
    """Two runs of one repository, one cache and one state folder: both end as one alone does."""
    argv = ("resolve", "--repo", str(person.repository), "--test-command", "pytest tests/test_totals.py", "--json")
    both = '"$@" >first.json 2>first.txt & "$@" >second.json 2>second.txt; second=$?; wait $!; echo "$? $second"'
    said = person.run(*argv, "--sandbox", sandbox, wrapper=("sh", "-c", both, "sh"))
    ends = [json.loads(person.path(f"{name}.json").read_bytes()) for name in ("first", "second")]
    assert all(end["tried"] > 0 for end in ends), said
    assert len(person.records()) == 2
    listed = person.run("runs", "list", "--json")
    assert {entry["status"] for entry in listed.json["runs"]} == {"finished"}


@pytest.fixture
def as_nobody(person: "Person") -> Callable[..., tuple[str, ...]]:
    """The CLI as a user without rights, who owns nothing but the temporary folder; skips where that can't be."""
    if os.geteuid() != 0:
        pytest.skip("not root: every other test runs without rights already")
    code = f"import sys; sys.exit(sys.version_info[:2] != {sys.version_info[:2]})"
    drop = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "sh", "-c", 'exec "$@"', "sh")
    for python in ("/usr/bin/python3", "/usr/local/bin/python3"):  # a link to a link is no environment
        if subprocess.run([*drop, python, "-c", code], capture_output=True, check=False).returncode == 0:
            break
    else:
        pytest.skip("no Python of this version that another user could start")
    source = person.path("source")
    for package in map(Path, (*thinklonger.agent.__path__, *thinklonger.cli.__path__)):
        shutil.copytree(package, source / "thinklonger" / package.name, ignore=shutil.ignore_patterns("__pycache__"))
    for place in (person.home, *person.home.parents):
        if place.stat().st_uid == 0 and place.is_relative_to("/tmp") and str(place) != "/tmp":  # noqa: S108
            place.chmod(0o755)
    os.chown(person.path("tmp"), NOBODY, NOBODY)
    environment = person.path("environment")
    packages = environment / "lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}" / "site-packages"
    packages.mkdir(parents=True)
    (packages / "here.pth").write_text("\n".join([str(source), *site.getsitepackages()]))
    (environment / "pyvenv.cfg").write_text(f"home = {Path(python).parent}\n")
    (environment / "bin").mkdir()
    (environment / "bin" / "python").symlink_to(python)
    person.environ["PYTHONDONTWRITEBYTECODE"] = "1"
    return lambda *argv: (*drop, str(environment / "bin" / "python"), "-m", "thinklonger.cli", *argv)


def test_a_user_without_rights(person: "Person", as_nobody: Callable[..., tuple[str, ...]], sandbox: str) -> None:
    """Neither the repository nor the cache can be written: it works; a state folder that can't be is said."""
    person.path("cache").mkdir(mode=0o755)
    person.path("state").mkdir(mode=0o755)
    argv = ("--repo", str(person.repository), "--test-command", "pytest tests/test_totals.py", "--sandbox", sandbox)
    refused = person.run("resolve", *argv, "--json", cli=as_nobody())
    assert (refused.code, refused.error) == (3, "trace.no-folder"), refused
    os.chown(person.path("state"), NOBODY, NOBODY)
    said = person.run("resolve", *argv, "--json", cli=as_nobody())
    assert said.searched, said
    assert [problem["key"] for problem in said.json["problems"]][:1] == ["repository.cache-unusable"]
