"""What a project's packaging says: pyproject.toml, setup.cfg, setup.py and PKG-INFO, read without running them."""

import ast
import configparser
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias, cast

from thinklonger.agent.execution.environments.texts import read_text, requirements
from thinklonger.agent.types import Message

Table: TypeAlias = Mapping[str, object]
CLASSIFIER = re.compile(r"Programming Language :: Python :: (3)\.(\d+)")


@dataclass(slots=True)
class Metadata:
    """What was found; `extras` and `groups` are lists of requirements by name; later files add to earlier ones."""

    name: str = ""
    version: str = ""
    requires_python: str = ""
    pythons: set[tuple[int, int]] = field(default_factory=set[tuple[int, int]])
    installable: bool = False
    dependencies: list[str] = field(default_factory=list[str])
    extras: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    groups: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    tests: list[str] = field(default_factory=list[str])
    addopts: str = ""
    problems: list[Message] = field(default_factory=list[Message])


def read_metadata(root: Path) -> Metadata:
    """All of it; a file that is broken is reported and passed over."""
    found = Metadata()
    from_pyproject(root, found)
    from_setup_cfg(root, found)
    from_setup_py(root, found)
    from_package_info(root, found)
    return found


def table(value: object, *keys: str) -> Table:
    """The inner table of these keys; empty where there is none."""
    for key in keys:
        value = cast("Table", value).get(key) if isinstance(value, dict) else None
    return cast("Table", value) if isinstance(value, dict) else {}


def texts(value: object) -> list[str]:
    """The texts of a list; none of anything else."""
    return [entry for entry in cast("list[object]", value) if isinstance(entry, str)] if isinstance(value, list) else []


def text(value: object) -> str:
    """A text; empty for anything else."""
    return value if isinstance(value, str) else ""


def from_pyproject(root: Path, found: Metadata) -> None:
    """The standard's tables, dependency groups, and those of Poetry, PDM, uv, Hatch and Flit."""
    content = read_text(root, "pyproject.toml")
    if not content:
        return
    try:
        document: Table = tomllib.loads(content)
    except tomllib.TOMLDecodeError:  # whoever loads the settings has said so
        return
    project = table(document, "project")
    found.name = text(project.get("name"))
    found.version = text(project.get("version"))
    found.requires_python = text(project.get("requires-python"))
    found.installable = bool(project) or "build-system" in document
    found.dependencies += texts(project.get("dependencies"))
    for entry in texts(project.get("classifiers")):
        classify(entry, found)
    for name, listed in table(project, "optional-dependencies").items():
        found.extras[name] = texts(listed)
    groups = table(document, "dependency-groups")
    for name in groups:
        found.groups[name] = list(group(groups, name, set()))
    tool = table(document, "tool")
    from_poetry(table(tool, "poetry"), found)
    for name, listed in table(tool, "pdm", "dev-dependencies").items():
        found.groups[name] = texts(listed)
    if dev := texts(table(tool, "uv").get("dev-dependencies")):
        found.groups["dev"] = dev
    for name, value in table(tool, "hatch", "envs").items():
        listed = [*texts(table(value).get("dependencies")), *texts(table(value).get("extra-dependencies"))]
        found.groups[f"hatch-{name}" if name != "default" else "test"] = listed
    options = table(tool, "pytest", "ini_options").get("addopts")
    found.addopts += " ".join(texts(options)) or text(options)


def group(groups: Table, name: str, seen: set[str]) -> Iterator[str]:
    """A dependency group's requirements, those of the groups that it includes among them."""
    seen.add(name)
    listed = groups.get(name)
    for entry in cast("list[object]", listed) if isinstance(listed, list) else []:
        if isinstance(entry, str):
            yield entry
        elif (inner := text(table(entry).get("include-group"))) and inner not in seen:
            yield from group(groups, inner, seen)


def from_poetry(poetry: Table, found: Metadata) -> None:
    """Poetry's own tables."""
    if not poetry:
        return
    found.name = found.name or text(poetry.get("name"))
    found.version = found.version or text(poetry.get("version"))
    own = table(poetry, "dependencies")
    found.requires_python = found.requires_python or text(own.get("python"))
    found.dependencies += [entry for name, value in own.items() if (entry := poetry_requirement(name, value))]
    for entry in texts(poetry.get("classifiers")):
        classify(entry, found)
    for name, listed in table(poetry, "extras").items():
        found.extras.setdefault(name, texts(listed))
    listed = {"dev": table(poetry, "dev-dependencies")}
    listed |= {name: table(value, "dependencies") for name, value in table(poetry, "group").items()}
    for name, entries in listed.items():
        wanted = [entry for key, value in entries.items() if (entry := poetry_requirement(key, value))]
        if wanted:
            found.groups[name] = wanted


def poetry_requirement(name: str, value: object) -> str:
    """Poetry's way to write a requirement as the standard's; empty for Python itself, options, paths and addresses."""
    if isinstance(value, list):
        value = next(iter(cast("list[object]", value)), "")
    inner = table(value)
    if name == "python" or inner.get("optional") is True:
        return ""
    version = text(inner.get("version")) if inner else text(value)
    if not version:
        return ""
    extras = ",".join(texts(inner.get("extras")))
    marker = text(inner.get("markers"))
    pins = ",".join(filter(None, (poetry_pin(part.strip()) for part in version.split("||")[0].split(","))))
    return f"{name}{f'[{extras}]' if extras else ''}{pins}{f'; {marker}' if marker else ''}"


def poetry_pin(pin: str) -> str:
    """One of Poetry's clauses as the standard's."""
    if pin in ("", "*"):
        return ""
    match = re.match(r"^([\^~])\s*(\d+(?:\.\d+)*)(.*)$", pin)
    if match is None:
        return pin if pin[0] in "<>=!~" else f"=={pin}"
    numbers = [int(part) for part in match[2].split(".")]
    index = next((place for place, number in enumerate(numbers) if number), len(numbers) - 1) if match[1] == "^" else 0
    if match[1] == "~":
        index = min(1, len(numbers) - 1)
    upper = [*numbers[:index], numbers[index] + 1]
    return f">={match[2]}{match[3]},<{'.'.join(map(str, upper))}"


def from_setup_cfg(root: Path, found: Metadata) -> None:
    """setup.cfg's tables of metadata and options, and pytest's options in setup.cfg, tox.ini and pytest.ini."""
    for name in ("setup.cfg", "tox.ini", "pytest.ini"):
        parser = configparser.RawConfigParser(strict=False, allow_no_value=True)
        try:
            parser.read_string(read_text(root, name))
        except configparser.Error as cause:
            reason = str(cause).splitlines()[0]
            found.problems.append(Message("environments.broken-file", {"path": name, "reason": reason}))
            continue
        for section in ("tool:pytest", "pytest"):
            found.addopts += " " + (parser.get(section, "addopts", fallback="") or "")
        if name == "setup.cfg":
            from_options(parser, found)


def from_options(parser: configparser.RawConfigParser, found: Metadata) -> None:
    """setup.cfg's declarative metadata."""
    found.name = found.name or parser.get("metadata", "name", fallback="")
    found.installable |= parser.has_section("metadata")
    found.requires_python = found.requires_python or parser.get("options", "python_requires", fallback="")
    for line in (parser.get("metadata", "classifiers", fallback="") or "").splitlines():
        classify(line, found)
    found.dependencies += requirements((parser.get("options", "install_requires", fallback="") or "").splitlines())
    found.tests += requirements((parser.get("options", "tests_require", fallback="") or "").splitlines())
    if parser.has_section("options.extras_require"):
        for name, listed in parser.items("options.extras_require"):
            found.extras.setdefault(name, list(requirements(re.split(r"[\n;](?![^\n]*==)", listed or ""))))


def from_setup_py(root: Path, found: Metadata) -> None:
    """What setup.py passes to `setup()` as plain values, or as names that stand for plain values."""
    content = read_text(root, "setup.py")
    if not content:
        return
    found.installable = True
    for match in CLASSIFIER.finditer(content):
        found.pythons.add((int(match[1]), int(match[2])))
    try:
        tree = ast.parse(content)
    except (SyntaxError, ValueError, RecursionError) as cause:
        found.problems.append(Message("environments.broken-file", {"path": "setup.py", "reason": str(cause)}))
        return
    names: dict[str, ast.expr] = {}
    for node in ast.walk(tree):
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                names.setdefault(name, value)
            case _:
                pass
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Name(id="setup") | ast.Attribute(attr="setup"), keywords=keywords):
                from_setup_call({word.arg: word.value for word in keywords if word.arg}, names, found)
            case _:
                pass


def from_setup_call(words: Mapping[str, ast.expr], names: Mapping[str, ast.expr], found: Metadata) -> None:
    """The keywords of a call of `setup()`."""
    found.name = found.name or next(iter(strings(words.get("name"), names)), "")
    found.requires_python = found.requires_python or next(iter(strings(words.get("python_requires"), names)), "")
    found.version = found.version or next(iter(strings(words.get("version"), names)), "")
    found.dependencies += requirements(strings(words.get("install_requires"), names))
    found.tests += requirements(strings(words.get("tests_require"), names))
    extras = words.get("extras_require")
    if isinstance(extras, ast.Name):
        extras = names.get(extras.id)
    if isinstance(extras, ast.Dict):
        for key, value in zip(extras.keys, extras.values, strict=True):
            for name in strings(key, names):
                found.extras.setdefault(name, list(requirements(strings(value, names))))


def strings(node: ast.expr | None, names: Mapping[str, ast.expr], depth: int = 0) -> list[str]:
    """The texts that an expression stands for, as far as that can be seen."""
    if depth > 8:  # noqa: PLR2004 - names that stand for each other
        return []
    match node:
        case ast.Constant(value=str() as value):
            return value.splitlines() if "\n" in value else [value]
        case ast.List(elts=inner) | ast.Tuple(elts=inner) | ast.Set(elts=inner):
            return [value for entry in inner for value in strings(entry, names, depth + 1)]
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return [*strings(left, names, depth + 1), *strings(right, names, depth + 1)]
        case ast.Name(id=name):
            return strings(names.get(name), names, depth + 1)
        case _:
            return []


def from_package_info(root: Path, found: Metadata) -> None:
    """PKG-INFO, which a source distribution has: the version above all, which a repository often has in git only."""
    for line in read_text(root, "PKG-INFO").split("\n\n")[0].splitlines():
        key, _, value = line.partition(": ")
        match key:
            case "Name":
                found.name = found.name or value.strip()
            case "Version":
                found.version = value.strip()
            case "Requires-Python":
                found.requires_python = found.requires_python or value.strip()
            case "Classifier":
                classify(value, found)
            case _:
                pass


def classify(entry: str, found: Metadata) -> None:
    """Note the Python version that a classifier names."""
    if match := CLASSIFIER.search(entry):
        found.pythons.add((int(match[1]), int(match[2])))
