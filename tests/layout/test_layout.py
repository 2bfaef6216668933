"""The shape of the package: a namespace, typed, light to import, with a way in."""

import importlib
import json
import re
import subprocess
import sys
from importlib.metadata import entry_points, requires
from pathlib import Path

import pytest

PORTIONS = ("thinklonger.agent", "thinklonger.cli")


def test_thinklonger_is_a_namespace() -> None:
    """No portion may bring a `thinklonger/__init__.py`: it would hide the others."""
    package = importlib.import_module("thinklonger")
    assert package.__file__ is None
    assert not any((Path(folder) / "__init__.py").exists() for folder in package.__path__)


@pytest.mark.parametrize("portion", PORTIONS)
def test_every_portion_is_typed(portion: str) -> None:
    """Type checkers use our annotations only where a `py.typed` says so."""
    package = importlib.import_module(portion)
    assert package.__file__ is not None
    assert (Path(package.__file__).parent / "py.typed").exists()


def test_every_portion_is_under_the_import_gate() -> None:
    """A portion that the floors' gate does not know would import what it likes."""
    package = importlib.import_module("thinklonger")
    found = {
        f"thinklonger.{folder.name}"
        for root in package.__path__
        for folder in Path(root).iterdir()
        if (folder / "__init__.py").exists()
    }
    assert found == set(PORTIONS)


def test_importing_does_nothing() -> None:
    """No print, folder, heavy library or event loop comes from importing the front door and the pipeline."""
    heavy = ("rich", "tree_sitter", "pytest", "numpy", "torch", "sqlite3", "_pytest")
    program = (
        "import json, sys; before = set(sys.modules); import thinklonger.cli;"
        f"print(json.dumps(sorted(set(sys.modules) & set({heavy!r}))))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == []
    assert done.stderr == ""


def test_the_command_is_installed() -> None:
    """`thinklonger` is a console script of the distribution."""
    (script,) = entry_points(group="console_scripts", name="thinklonger")
    assert script.load() is importlib.import_module("thinklonger.cli").main


def test_the_core_is_light() -> None:
    """The plain install brings what the main job needs and no more: heavy things live in extras."""
    names = {re.split("[<>=; \\[]", line)[0] for line in requires("thinklonger") or () if "extra" not in line}
    trees = {"tree-sitter", "tree-sitter-python"}
    assert names == {"docker", "httpx", "msgspec", "platformdirs", "pytest", "rich", "uv"} | trees
