"""A user at a terminal: a home of their own, a repository to stand in, and scripted runs behind the command line."""

import importlib.util
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import pytest

from thinklonger.cli import main

PROGRAM = Path(__file__).with_name("scripted.py")


@dataclass(frozen=True)
class Said:
    """What a command said, and its exit code."""

    code: int
    out: str
    err: str


@dataclass(frozen=True)
class Terminal:
    """Runs commands, in this process or as a program."""

    repository: Path
    state: Path
    environ: Mapping[str, str]
    scripted: ModuleType
    monkeypatch: pytest.MonkeyPatch
    capsys: pytest.CaptureFixture[str]

    def run(self, *argv: str, script: str = "verified", **environ: str) -> Said:
        """Run a command in this process."""
        self.monkeypatch.setenv("SCRIPT", script)
        for name, value in environ.items():
            self.monkeypatch.setenv(name, value)
        self.capsys.readouterr()
        code = main(argv, services=self.scripted.services())
        said = self.capsys.readouterr()
        return Said(code, said.out, said.err)

    def program(self, *argv: str) -> list[str]:
        """The same command as a program to start, with `environ`."""
        return [sys.executable, str(PROGRAM), *argv]


@pytest.fixture(scope="session")
def scripted() -> ModuleType:
    """The scripted services' module."""
    spec = importlib.util.spec_from_file_location("scripted", PROGRAM)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def terminal(
    tmp_path: Path, scripted: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Terminal:
    """A terminal in a fresh home."""
    for name in [name for name in os.environ if name.startswith(("THINKLONGER_", "LC_", "LANG", "NO_COLOR"))]:
        monkeypatch.delenv(name)
    repository, state = tmp_path / "repository", tmp_path / "state"
    repository.mkdir()
    settings = {
        "THINKLONGER_STATE_DIRECTORY": str(state),
        "THINKLONGER_CACHE_DIRECTORY": str(tmp_path / "cache"),
        "XDG_CONFIG_HOME": str(tmp_path / "config"),
        "LANG": "C.UTF-8",
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(repository)
    return Terminal(repository, state, {**os.environ, **settings}, scripted, monkeypatch, capsys)
