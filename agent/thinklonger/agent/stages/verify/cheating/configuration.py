"""Changes to what decides how tests, linters and checks run: their configuration, CI, and code that they load."""

import configparser
import sys
import tomllib
from pathlib import PurePosixPath

from thinklonger.agent.types import FileChange, FileState

_WHOLE = frozenset(
    [
        "pytest.ini",
        ".pytest.ini",
        "pytest.toml",
        "tox.toml",
        ".coveragerc",
        ".flake8",
        "mypy.ini",
        ".mypy.ini",
        "ruff.toml",
        ".ruff.toml",
        ".pylintrc",
        "pylintrc",
        "pyrightconfig.json",
        ".pre-commit-config.yaml",
        ".gitlab-ci.yml",
        "azure-pipelines.yml",
        ".travis.yml",
        "noxfile.py",
        "Jenkinsfile",
    ]
)
_LOADED = {"sitecustomize.py", "usercustomize.py", "conftest.py"}
_INSTALLED = (".dist-info", ".egg-info", ".egg-link", ".pth")
"""What Python and the test runner find plugins and folders by."""
_TOOLS = {
    "pytest",
    "ruff",
    "mypy",
    "pyright",
    "basedpyright",
    "coverage",
    "pylint",
    "flake8",
    "tox",
    "nox",
    "hatch",
    "bandit",
}
_SECTIONS = ("tool:pytest", "pytest", "flake8", "mypy", "coverage", "pylint", "tox", "testenv")
_SHADOWED = frozenset(
    sys.stdlib_module_names
    | {"pytest", "_pytest", "pluggy", "iniconfig", "exceptiongroup", "packaging", "pygments", "hypothesis", "nose"}
) - {
    "this",
    "antigravity",
}


def configuration_change(change: FileChange) -> str | None:
    """`configuration`, `loaded` or `shadows` where the change touches such a file in a part that counts, else None."""
    path = change.path
    if path.name in _LOADED or any(part.endswith(_INSTALLED) for part in path.parts):
        return "loaded"
    if path.name in _WHOLE or path.parts[:2] in {(".github", "workflows"), (".circleci", "config.yml")}:
        return "configuration"
    if path.name == "pyproject.toml":
        return "configuration" if _tools(change.before) != _tools(change.after) else None
    if path.name in {"setup.cfg", "tox.ini"}:
        return "configuration" if _sections(change.before) != _sections(change.after) else None
    if (change.before is None or change.renamed_from is not None) and _shadows(path):
        return "shadows"
    return None


def _shadows(path: PurePosixPath) -> bool:
    """Whether a new file at the root would be imported in place of a standard module or of the test framework."""
    top = path.parts[0].removesuffix(".py")
    is_module = len(path.parts) == 1 or (len(path.parts) == 2 and path.name == "__init__.py")  # noqa: PLR2004 (package/__init__.py)
    return path.suffix == ".py" and is_module and top in _SHADOWED


def _tools(state: FileState | None) -> dict[str, object]:
    try:
        tools = tomllib.loads(state.content.decode() if state else "").get("tool", {})
    except (tomllib.TOMLDecodeError, UnicodeDecodeError):
        return {"unreadable": state.content if state else b""}
    return {name: value for name, value in tools.items() if name in _TOOLS}


def _sections(state: FileState | None) -> dict[str, dict[str, str]]:
    parser = configparser.RawConfigParser(strict=False)
    try:
        parser.read_string(state.content.decode("utf-8", "replace") if state else "")
    except configparser.Error:
        return {"unreadable": {"": repr(state)}}
    return {name: dict(parser.items(name)) for name in parser.sections() if name.startswith(_SECTIONS)}
