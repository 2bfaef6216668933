"""What a repository's automation says about its tests: tox, nox, Makefile, CI workflows and requirement files."""

import ast
import configparser
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from thinklonger.agent.execution.environments.nouns import Wanted
from thinklonger.agent.execution.environments.texts import installed_by, read_text, requirement_file, requirements

WORKFLOWS = (".gitlab-ci.yml", ".travis.yml", "azure-pipelines.yml", ".circleci/config.yml", "appveyor.yml")
REQUIREMENT_FILE = re.compile(
    r"^(?:(?:requirements?|reqs?|deps)[-_./])?(?:requirements?[-_.])?"
    r"(?:(?:unit)?tests?|testing|dev|develop|development|ci)(?:[-_.](?:requirements?|reqs?|deps|py3))?\.(?:txt|in|pip)$"
)
FOLDERS = ("", "requirements", "reqs", "requires", "deps", "tests", "test", "ci", ".ci", "requirements/pip")
PYTHON_VERSION = re.compile(r"(?:python[-_]?version|python|PYTHON|matrix)\b")
MINOR = re.compile(r"(?<![\d.])3\.(\d{1,2})(?![\d.]*\d*\.\d)(?!\d)")
TOX_FACTORS = re.compile(r"\bpy3(\d{1,2})\b")
TEST_COMMAND = re.compile(
    r"(?:^|\s)((?:python\S*\s+(?:-\S+\s+)*)?(?:\S*manage\.py\s+test|\S*runtests\.py|\S*run_tests\.py)\b[^&|;]*"
    r"|(?:python\S*\s+-m\s+)?(?:pytest|py\.test|unittest|nose2?|nosetests)\b[^&|;]*)"
)


@dataclass(slots=True)
class Hints:
    """Requirements with the file that says so, extras that are installed for tests, Pythons, test commands."""

    wanted: list[Wanted] = field(default_factory=list[Wanted])
    extras: list[str] = field(default_factory=list[str])
    pythons: set[tuple[int, int]] = field(default_factory=set[tuple[int, int]])
    commands: list[str] = field(default_factory=list[str])
    files: list[str] = field(default_factory=list[str])


def read_hints(root: Path) -> Hints:
    """All of them, those that people keep most carefully first."""
    found = Hints()
    from_requirement_files(root, found)
    from_tox(root, found)
    from_noxfile(root, found)
    for name in ("Makefile", *WORKFLOWS, *workflow_files(root)):
        from_script(root, name, found)
    return found


def workflow_files(root: Path) -> list[str]:
    """GitHub's workflows, those that are called after tests first."""
    folder = root / ".github" / "workflows"
    try:
        names = sorted(path.name for path in folder.iterdir() if path.suffix in (".yml", ".yaml"))
    except OSError:
        return []
    return [f".github/workflows/{name}" for name in sorted(names, key=lambda name: "test" not in name)]


def from_requirement_files(root: Path, found: Hints) -> None:
    """Requirement files that are called after tests or development, where projects usually keep them."""
    seen: set[str] = set()
    for_tests: list[str] = []
    for_all: list[str] = []
    for folder in FOLDERS:
        try:
            names = sorted(path.name for path in (root / folder).iterdir() if path.is_file())
        except OSError:
            continue
        for name in names:
            path = f"{folder}/{name}" if folder else name
            plain = folder in ("tests", "test") and re.match(r"^requirements?\S*\.(?:txt|in)$", name)
            if plain or REQUIREMENT_FILE.match(path) or REQUIREMENT_FILE.match(name):
                (for_tests if plain or re.search(r"test|ci\b", name) else for_all).append(path)
    for path in for_tests or for_all:
        add_file(root, path, seen, found)


def add_file(root: Path, path: str, seen: set[str], found: Hints) -> None:
    """Add the requirements of a file."""
    found.files.append(path)
    found.wanted += [Wanted(text, source) for text, source in requirement_file(root, path, seen)]


def from_tox(root: Path, found: Hints) -> None:
    """tox.ini: what the test environments install and run, and for which Pythons."""
    content = read_text(root, "tox.ini")
    parser = configparser.RawConfigParser(strict=False, allow_no_value=True)
    try:
        parser.read_string(content)
    except configparser.Error:
        return
    for section in parser.sections():
        names = section.partition(":")[2].lower()
        if section != "testenv" and not (section.startswith("testenv:") and re.search(r"test|py3|unit", names)):
            continue
        add_lines(root, (parser.get(section, "deps", fallback="") or "").splitlines(), "tox.ini", found)
        found.extras += re.findall(r"[\w.-]+", parser.get(section, "extras", fallback="") or "")
        add_commands(parser.get(section, "commands", fallback="") or "", found)
    listed = [
        *TOX_FACTORS.findall(content),
        *re.findall(r"\d{1,2}", " ".join(re.findall(r"py3\{([\d, ]+)\}", content))),
    ]
    found.pythons |= {(3, int(minor)) for minor in listed}


def add_lines(root: Path, lines: list[str], source: str, found: Hints) -> None:
    """Add requirements as tox writes them: perhaps behind a factor, perhaps a file's name."""
    for line in lines:
        plain = re.sub(r"^\s*[\w{},!.-]+\s*:\s+", "", line).replace("{toxinidir}/", "").strip()
        included = re.match(r"^-r\s*(\S+)", plain)
        if included:
            add_file(root, included[1], set(), found)
        found.wanted += [Wanted(text, source) for text in requirements([plain])]


def from_noxfile(root: Path, found: Hints) -> None:
    """noxfile.py: what sessions that are called after tests install."""
    try:
        tree = ast.parse(read_text(root, "noxfile.py"))
    except (SyntaxError, ValueError, RecursionError):
        return
    for function in ast.walk(tree):
        if not isinstance(function, ast.FunctionDef) or not re.search(r"test|unit", function.name):
            continue
        for words in installs(function):
            plain = [word for word, before in zip(words, ["", *words], strict=False) if before != "-r"]
            found.wanted += [Wanted(text, "noxfile.py") for text in requirements(plain)]
            for word in words:
                if match := re.match(r"^\.\[([\w, .-]+)\]$", word):
                    found.extras += [part.strip() for part in match[1].split(",")]
            for flag, name in pairwise(words):
                if flag == "-r":
                    add_file(root, name, set(), found)


def installs(function: ast.FunctionDef) -> Iterator[list[str]]:
    """The words of each `session.install(...)`."""
    for node in ast.walk(function):
        match node:
            case ast.Call(func=ast.Attribute(attr="install"), args=arguments):
                yield [
                    word.value for word in arguments if isinstance(word, ast.Constant) and isinstance(word.value, str)
                ]
            case _:
                pass


def from_script(root: Path, name: str, found: Hints) -> None:
    """A workflow or Makefile, read line by line: what it installs with pip, and which Pythons it names."""
    content = read_text(root, name).replace("\\\n", " ")
    for line in content.splitlines():
        plain, files, extras = installed_by(line)
        found.wanted += [Wanted(text, name) for text in plain]
        found.extras += extras
        for path in files:
            add_file(root, path.removeprefix("./"), set(), found)
    add_commands("\n".join(line for line in content.splitlines() if "install" not in line), found)
    if name != "Makefile":
        versions = {(3, int(minor)) for line in content.splitlines() for minor in MINOR.findall(versioned(line))}
        found.pythons |= {version for version in versions if version[1] < 40}  # noqa: PLR2004 - no Python is that new


def versioned(line: str) -> str:
    """The line, if it may list Python versions; empty where it speaks of something else."""
    listed = re.match(r"^\s*-\s*[\"']?3\.\d{1,2}[\"']?\s*(?:#.*)?$", line)
    return line if listed or PYTHON_VERSION.search(line) else ""


def add_commands(text: str, found: Hints) -> None:
    """Add the test commands that stand in a text."""
    for line in text.splitlines():
        match = TEST_COMMAND.search(line.strip().removeprefix("- ").removeprefix("run:").strip())
        if match and "{" not in match[1] and "$" not in match[1]:
            found.commands.append(match[1].strip())
