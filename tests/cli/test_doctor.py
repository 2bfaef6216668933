"""`doctor`: what is found, what is proved, what is wrong and what to do about it, for a person and for a machine."""

import json
import shutil
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Terminal

TEST = "def test_a():\n    pass\n"


NO_SANDBOX = shutil.which("bwrap") is None


@pytest.mark.skipif(NO_SANDBOX, reason="bubblewrap is not installed")
def test_a_repository_that_can_be_run(terminal: "Terminal") -> None:
    """Exit code 0, with the interpreter, the tests that were collected, and that nothing leaves the machine."""
    (terminal.repository / "test_a.py").write_text(TEST, "utf-8")
    said = terminal.run("doctor", "--repo", ".")
    assert said.code == 0, said
    assert "1 test collected by pytest" in said.out
    assert "nothing leaves this machine" in said.out
    assert sys.executable in said.out


@pytest.mark.skipif(NO_SANDBOX, reason="bubblewrap is not installed")
def test_a_repository_that_can_not_be_run(terminal: "Terminal") -> None:
    """Exit code 3, with the module that is missing, the remedy, and how to allow building, as JSON."""
    (terminal.repository / "test_a.py").write_text("import nowhere_to_be_found\n" + TEST, "utf-8")
    said = terminal.run("doctor", "--repo", ".", "--json")
    found = json.loads(said.out)
    assert (said.code, found["ready"], found["recipe"]) == (3, False, None)
    wrong = {finding["topic"]: finding for finding in found["findings"] if not finding["ok"]}
    assert wrong["environment"]["message"]["key"] == "execution.missing-module"
    assert "nowhere_to_be_found" in wrong["environment"]["message"]["text"]
    assert "--build-environment" in wrong["environment"]["remedy"]["text"]
    assert "build" in {finding["topic"] for finding in found["findings"]}


def test_a_broken_project_file_is_told(terminal: "Terminal") -> None:
    """The repository's own broken file is told with its path; what pytest makes of it is the environment's finding."""
    (terminal.repository / "pyproject.toml").write_text("[project\n", "utf-8")
    (terminal.repository / "test_a.py").write_text(TEST, "utf-8")
    said = terminal.run("doctor", "--repo", ".", "--json", "--sandbox", "none")
    found = json.loads(said.out)
    assert [problem["key"] for problem in found["problems"]] == ["config.broken-toml"]
    wrong = [finding for finding in found["findings"] if not finding["ok"]]
    assert [finding["message"]["key"] for finding in wrong] == ["execution.runner-failed"]
    assert said.code == 3


def test_a_named_interpreter(terminal: "Terminal") -> None:
    """What the user names is taken; what is no Python is refused by its name."""
    (terminal.repository / "test_a.py").write_text(TEST, "utf-8")
    good = terminal.run("doctor", "--repo", ".", "--json", "--sandbox", "none", "--interpreter", sys.executable)
    assert json.loads(good.out)["proof"]["origin"] == "given"
    bad = terminal.run("doctor", "--repo", ".", "--sandbox", "none", "--interpreter", "/nowhere/python")
    assert bad.code == 3
    assert "/nowhere/python" in bad.out


def test_a_project_can_not_allow_building(terminal: "Terminal") -> None:
    """A repository that allows itself the network is told no."""
    text = "[tool.thinklonger.environments]\nbuild = true\nindex = 'https://evil.example/simple'\n"
    (terminal.repository / "pyproject.toml").write_text(text, "utf-8")
    (terminal.repository / "test_a.py").write_text(TEST, "utf-8")
    said = terminal.run("doctor", "--repo", ".", "--json", "--sandbox", "none")
    found = json.loads(said.out)
    assert [problem["params"]["setting"] for problem in found["problems"]] == [
        "environments.build",
        "environments.index",
    ]
    egress = next(finding for finding in found["findings"] if finding["topic"] == "egress")
    assert egress["message"]["key"] == "doctor.egress-none"
