"""Reads a repository's small text files, and the requirements that are written in them."""

import re
import shlex
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

READ_BYTES = 1 << 20
REQUIREMENT = re.compile(
    r"^\s*(?P<name>[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)\s*(?P<extras>\[[A-Za-z0-9._, -]*\])?\s*"
    r"(?P<pins>\(?(?:\s*,?\s*(?:===|==|!=|~=|<=|>=|<|>)\s*[A-Za-z0-9.*+!_-]+)*\s*\)?)\s*(?P<marker>;[^#]*)?$"
)
TOOLS = frozenset({
    "autoflake", "autopep8", "bandit", "black", "build", "bump2version", "bumpversion", "check-manifest", "codecov",
    "commitizen", "coveralls", "cruft", "darglint", "docformatter", "docutils", "doc8", "flake8", "furo", "hatch",
    "ipdb", "ipython", "isort", "jupyter", "keyring", "mkdocs", "mypy", "mypy-extensions", "nox", "pep8", "pip",
    "pip-tools", "pipenv", "poetry", "pre-commit", "pycodestyle", "pydocstyle", "pyflakes", "pylint", "pyright",
    "pyroma", "python-semantic-release", "pyupgrade", "pytype", "readme-renderer", "releases", "restview", "ruff",
    "semantic-release", "setuptools-scm", "sphinx", "towncrier", "tox", "twine", "ty", "uv", "vulture", "wheel",
    "xenon", "yapf", "zest.releaser",
})  # fmt: skip
"""Distributions that check, document or publish code; tests need them only where they import them."""
TOOL_FAMILIES = ("flake8-", "mkdocs-", "mypy-", "sphinx", "tox-", "types-", "pylint-", "pep8-")
OPTIONS_WITH_VALUE = frozenset({"-r", "--requirement", "-c", "--constraint", "-i", "--index-url", "-f", "--find-links"})


def read_text(root: Path, name: str | PurePosixPath) -> str:
    """The text of a file below the root; empty where it is none, is too large, or leads out of the repository."""
    place = root / name
    try:
        if not place.is_file() or place.stat().st_size > READ_BYTES or not place.resolve().is_relative_to(root):
            return ""
        return place.read_bytes().decode("utf-8", "replace")
    except (OSError, RuntimeError, ValueError):
        return ""


def normal(name: str) -> str:
    """A distribution's name as the registry compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def name_of(requirement: str) -> str:
    """The normal name of the distribution that a requirement is about; empty for what is no requirement."""
    found = REQUIREMENT.match(requirement)
    return normal(found["name"]) if found else ""


def bare(requirement: str) -> str:
    """The requirement without its pins."""
    found = REQUIREMENT.match(requirement)
    return f"{found['name']}{found['extras'] or ''}{found['marker'] or ''}" if found else requirement


def is_tool(requirement: str) -> bool:
    """Whether the requirement is about a tool that tests do not need."""
    name = name_of(requirement)
    return name in TOOLS or name.startswith(TOOL_FAMILIES)


def requirements(lines: Iterable[str]) -> Iterator[str]:
    """The plain requirements among some lines; addresses, paths and options are passed over."""
    for line in lines:
        text = re.sub(r"(^|\s)#.*$", "", line).strip().rstrip("\\").strip()
        text = re.sub(r"\s--hash=.*$", "", text).strip()
        if text and REQUIREMENT.match(text):
            yield text


def requirement_file(root: Path, name: str, seen: set[str]) -> Iterator[tuple[str, str]]:
    """The requirements of a file and of the files that it includes, each with the file that it stands in."""
    if name in seen:
        return
    seen.add(name)
    lines = read_text(root, name).replace("\\\n", " ").splitlines()
    for text in requirements(lines):
        yield text, name
    for line in lines:
        included = re.match(r"\s*(?:-r|--requirement)[\s=]+(\S+)", line)
        if included:
            yield from requirement_file(root, str(inside(PurePosixPath(name).parent / included[1])), seen)


def inside(path: PurePosixPath) -> PurePosixPath:
    """The path with its `..` taken away; one that leads out becomes one that is not there."""
    parts: list[str] = []
    for part in path.parts:
        if part == "..":
            if not parts:
                return PurePosixPath("outside of the repository")
            parts.pop()
        else:
            parts.append(part)
    return PurePosixPath(*parts)


def installed_by(line: str) -> tuple[list[str], list[str], list[str]]:
    """What a `pip install` line of a script installs: requirements, requirement files, extras of the project."""
    found = re.search(r"\bpip3?(?:\.exe)?\s+install\s+(.*)", line)
    if found is None:
        return [], [], []
    command = re.split(r"&&|\|\||[;|]", found[1].strip())[0]
    try:
        words = shlex.split(command)
    except ValueError:
        words = command.replace('"', " ").replace("'", " ").split()
    plain: list[str] = []
    files: list[str] = []
    extras: list[str] = []
    pending = iter(words)
    for word in pending:
        if word in OPTIONS_WITH_VALUE:
            value = next(pending, "")
            if word in ("-r", "--requirement"):
                files.append(value)
        elif match := re.match(r"^(?:file:)?\.?/?(?:\.)?\[([\w, .-]+)\]$", word):
            extras += [part.strip() for part in match[1].split(",")]
        elif not word.startswith(("-", ".", "/", "$", "git+", "http")) and REQUIREMENT.match(word):
            plain.append(word)
    return plain, files, extras
