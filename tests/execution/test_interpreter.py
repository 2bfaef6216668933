"""Finding an interpreter by reading, and showing a sandbox no more than it needs."""

import subprocess
import sys
from pathlib import Path

import pytest

from thinklonger.agent.execution import find_interpreter
from thinklonger.agent.execution.interpreter import from_executable, from_prefix


def make(root: Path, name: str) -> Path:
    """A virtual environment in the repository."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(root / name)], check=True)
    return root / name


def test_a_repository_without_an_environment_uses_ours(root: Path) -> None:
    """Without an environment of its own, the repository's tests run with the current interpreter."""
    found = find_interpreter(root)
    assert found.executable == Path(sys.executable)
    assert found.origin == "current"
    assert all(folder.exists() for folder in found.readable)


@pytest.mark.parametrize("name", [".venv", "venv", "env", "my environment"])
def test_an_environment_in_the_repository_is_found(root: Path, name: str) -> None:
    """An environment right below the root is used, whatever it is called, and shown with its base."""
    folder = make(root, name)
    found = find_interpreter(root)
    assert found.executable == folder / "bin" / "python"
    assert found.prefix == folder
    assert folder in found.readable
    base = Path(sys.base_prefix).resolve()
    assert base.is_relative_to("/usr") or any(base.is_relative_to(shown) for shown in found.readable)


def test_the_usual_name_comes_first(root: Path) -> None:
    """Of several environments, `.venv` is taken."""
    for name in ("another", ".venv"):
        make(root, name)
    assert find_interpreter(root).prefix == root / ".venv"


def test_a_broken_environment_is_passed_over(root: Path) -> None:
    """An environment whose base is gone is not used."""
    folder = make(root, ".venv")
    for name in (folder / "bin").glob("python*"):
        name.unlink()
        name.symlink_to("/nowhere/python")
    assert find_interpreter(root).origin == "current"


def test_an_environment_can_not_open_up_other_folders(root: Path, tmp_path: Path) -> None:
    """A repository can't have a person's folders shown by calling them its interpreter's home."""
    secret = tmp_path / "secret"
    (secret / "bin").mkdir(parents=True)
    (secret / "bin" / "python").write_text("#!/bin/sh\n")
    folder = root / ".venv"
    (folder / "bin").mkdir(parents=True)
    (folder / "pyvenv.cfg").write_text(f"home = {secret / 'bin'}\n")
    (folder / "bin" / "python").symlink_to(secret / "bin" / "python")
    found = find_interpreter(root)
    assert found.origin == "current"
    assert not any(secret.is_relative_to(shown) for shown in found.readable)


def test_an_environment_that_is_a_link_is_not_followed(root: Path, tmp_path: Path) -> None:
    """An environment elsewhere, linked into the repository, is not the repository's."""
    (root / ".venv").symlink_to(make(tmp_path, "elsewhere"))
    assert find_interpreter(root).origin == "current"


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    """A repository that does not exist is somebody else's error."""
    assert find_interpreter(tmp_path / "nowhere").origin == "current"


def test_a_person_may_name_an_interpreter(root: Path, tmp_path: Path) -> None:
    """By its executable or its environment's folder; an installation serves as well; what is none is none."""
    folder = make(tmp_path, "elsewhere")
    for named in (folder, folder / "bin" / "python"):
        found = from_executable(named, root)
        assert found is not None
        assert (found.executable, found.prefix) == (folder / "bin" / "python", folder)
    plain = from_executable(Path(sys.base_prefix) / "bin" / f"python{sys.version_info[0]}", root)
    assert plain is not None
    assert from_executable(tmp_path / "nothing", root) is None
    assert from_executable(root, root) is None


def test_an_installation_without_its_library_is_none(tmp_path: Path) -> None:
    """A folder with a `bin/python` alone, as a repository can make one, is no installation."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").write_text("#!/bin/sh\n")
    assert from_prefix(tmp_path, tmp_path) is None
