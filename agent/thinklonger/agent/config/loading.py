"""Settings from where people write them: project file, user file, environment, flags; later wins, with one limit.

A project's file comes with code that nobody has vouched for, so it may tighten what protects the user and never
widen it (`policy`): a setting that would is left out and reported. Everything else that is wrong is a ConfigError.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, is_dataclass
from pathlib import Path
from typing import cast, get_type_hints

import msgspec

from thinklonger.agent.config import Settings
from thinklonger.agent.config.environment import language, settings_in
from thinklonger.agent.config.files import read_project, read_user
from thinklonger.agent.config.policy import project_may
from thinklonger.agent.config.values import Given, Value, check, value_of
from thinklonger.agent.errors import ConfigError
from thinklonger.agent.types import Message


@dataclass(frozen=True, slots=True)
class Loaded:
    """The settings that hold, and what a person should know about those that don't."""

    settings: Settings
    problems: tuple[Message, ...] = ()


def load(
    repository: Path | None,
    *,
    environ: Mapping[str, str],
    flags: Mapping[str, Given] | None = None,
    user_file: Path | None = None,
) -> Loaded:
    """Load all settings.

    `repository` is the folder whose `pyproject.toml` counts; `flags` are by dotted setting name; `user_file` is by
    default the platform's own place. Raises ConfigError naming the file, flag or variable, the line where it is
    known, the setting, and what is allowed.
    """
    variables, problems = settings_in(environ, known())
    user = _values({**read_user(user_file), **variables, **(flags or {})})
    user.setdefault("language", language(environ))
    baseline = build(user)
    project: dict[str, Value] = {}
    written, broken = read_project(repository) if repository else ({}, [])
    problems += broken
    for name, value in _values(written).items():
        if project_may(name, value, current(baseline, name)):
            project[name] = value
        else:
            problems.append(Message("config.project-may-not", {"where": written[name].where, "setting": name}))
    return Loaded(build({**project, **user}), tuple(problems))


def known() -> dict[str, object]:
    """Every setting by its dotted name, with its type."""
    return dict(_flatten(Settings, ""))


def build(values: Mapping[str, Value]) -> Settings:
    """The settings with these values, defaults elsewhere."""
    tree: dict[str, object] = {}
    for name, value in values.items():
        *sections, leaf = name.split(".")
        branch = tree
        for section in sections:
            branch = cast("dict[str, object]", branch.setdefault(section, {}))
        branch[leaf] = value
    return msgspec.convert(tree, Settings)


def current(settings: Settings, name: str) -> Value:
    """The value of one setting by its dotted name."""
    found: object = settings
    for part in name.split("."):
        found = getattr(found, part)
    return cast("Value", found)


def _values(given: Mapping[str, Given]) -> dict[str, Value]:
    types = known()
    sections = {".".join(name.split(".")[:depth]) for name in types for depth in range(1, name.count(".") + 1)}
    values: dict[str, Value] = {}
    for name, entry in given.items():
        if name in types:
            values[name] = value_of(name, entry, types[name])
            check(name, values[name], entry)
        elif name not in sections:
            allowed = ", ".join(_siblings(name, types))
            raise ConfigError("config.unknown-setting", where=entry.where, setting=name, allowed=allowed)
        elif entry.value != {}:
            raise ConfigError("config.not-a-table", where=entry.where, setting=name)
    return values


def _siblings(name: str, types: Mapping[str, object]) -> list[str]:
    section = name.rpartition(".")[0]
    prefix = f"{section}." if section else ""
    inside = {entry.removeprefix(prefix).partition(".")[0] for entry in types if entry.startswith(prefix)}
    return sorted(inside) or sorted(types)


def _flatten(owner: type[object], prefix: str) -> Iterator[tuple[str, object]]:
    for name, kind in get_type_hints(owner).items():
        if is_dataclass(kind) and isinstance(kind, type):
            yield from _flatten(kind, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", kind
