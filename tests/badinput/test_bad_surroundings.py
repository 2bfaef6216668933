"""Machines and shells that lack something: no bubblewrap, readers that leave, streams that are closed."""

import shutil
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Person

ISSUE = ("--issue-text", "total() is wrong: the last price is missing")
WITHOUT = 'mount --bind /dev/null "$1" && shift && exec "$@"'


@pytest.fixture
def no_bubblewrap(private_mounts: tuple[str, ...]) -> tuple[str, ...]:
    """The start of a command line on a machine without bubblewrap."""
    program = shutil.which("bwrap", path="/usr/bin:/bin:/usr/local/bin")
    return () if program is None else (*private_mounts, "sh", "-c", WITHOUT, "sh", program)


@pytest.mark.parametrize("kind", ["auto", "bubblewrap"])
def test_no_bubblewrap(person: "Person", no_bubblewrap: tuple[str, ...], kind: str) -> None:
    """Nothing runs unprotected: places are ranked, the remedy is named, and the exit code is 3."""
    said = person.resolve(*ISSUE, "--sandbox", kind, "--json", wrapper=no_bubblewrap)
    assert (said.code, said.json["stop_reason"], said.json["label"]) == (3, "no-execution", "unverified"), said
    assert said.json["locations"][0]["path"] == "totals.py"
    assert "bubblewrap, the sandbox, is not installed" in said.err
    assert "--sandbox none" in said.err


def test_localize_without_bubblewrap(person: "Person", no_bubblewrap: tuple[str, ...]) -> None:
    """An answer from the text alone is an answer; a failing test alone says nothing without running."""
    assert person.localize(*ISSUE, wrapper=no_bubblewrap).code == 0
    assert person.localize("--test-command", "pytest -k x", wrapper=no_bubblewrap).code == 3


@pytest.mark.parametrize("command", ["localize", "runs"])
def test_a_reader_that_leaves(person: "Person", command: str) -> None:
    """`| head -1`: no complaint, and the run is recorded to its end."""
    for _ in range(2):
        person.localize(*ISSUE)
    argv = ("runs", "list") if command == "runs" else ("localize", "--repo", str(person.repository), *ISSUE)
    said = person.run(*argv, wrapper=("sh", "-c", '"$@" | head -n 1', "sh"))
    assert said.code == 0
    assert len(said.out.splitlines()) == 1
    assert "roken" not in said.err
    listed = person.run("runs", "list", "--json")
    assert {entry["status"] for entry in listed.json["runs"]} == {"finished"}


@pytest.mark.parametrize("closed", [">&-", "<&- >&- 2>&-"])
def test_closed_streams(person: "Person", sandbox: str, closed: str) -> None:
    """Whatever is closed, no file of ours takes its number: tests run, the record is whole, the exit code is right."""
    argv = ("--test-command", "pytest tests/test_totals.py", "--sandbox", sandbox, "--json")
    said = person.resolve(*argv, wrapper=("sh", "-c", f'exec "$@" {closed}', "sh"))
    assert said.code in (0, 1), said
    (record,) = person.records()
    listed = person.run("runs", "show", record.name, "--json")
    assert listed.json["status"] == "finished"
    assert any(candidate["tested"] for candidate in listed.json["candidates"]), listed
