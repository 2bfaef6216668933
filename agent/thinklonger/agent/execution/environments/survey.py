"""Everything that a repository says about what its tests need, in one place, without running anything."""

import re
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path, PurePosixPath

from thinklonger.agent.execution.environments.hints import read_hints
from thinklonger.agent.execution.environments.metadata import Metadata, read_metadata
from thinklonger.agent.execution.environments.nouns import Needs, Wanted
from thinklonger.agent.execution.environments.texts import is_tool, name_of, normal
from thinklonger.agent.execution.environments.usage import plugins_of_options, read_usage

TESTS = re.compile(
    r"^(?:hatch-)?(?:unit)?(?:[-_.]?tests?|testing|ci)(?:[-_.]?(?:unit|deps|dependencies|require.*|min))?$"
)
DEVELOPMENT = re.compile(r"^(?:dev|develop|development|dev[-_]dependencies)$")
KEYED = re.compile(
    r"^(?:pyproject\.toml|setup\.(?:py|cfg)|PKG-INFO|tox\.ini|pytest\.ini|noxfile\.py|Makefile|Pipfile"
    r"|[\w.-]*\.lock|Pipfile\.lock|environment\.ya?ml|[\w./-]*requirements?[\w./-]*|\.github/workflows/[^/]+"
    r"|\.gitlab-ci\.yml|\.travis\.yml|azure-pipelines\.yml|\.circleci/config\.yml)$"
)
"""The files whose content decides about an environment: metadata, lock files, requirement files, automation."""
PACKAGE_SOURCES = (".c", ".pyx", ".cpp", ".pxd", ".rs")


def survey(root: Path, files: Collection[PurePosixPath]) -> Needs:
    """What the repository needs. Never fails: what is broken is among the `problems`."""
    root = root.resolve()
    metadata, hints = read_metadata(root), read_hints(root)
    modules, plugins, python2 = read_usage(root, files)
    plugins = tuple(dict.fromkeys((*plugins, *plugins_of_options(metadata.addopts))))
    extras = chosen(metadata.extras)
    extras += [name for name in hints.extras if name in metadata.extras and name not in extras and not is_tool(name)]
    wanted = [
        *(Wanted(text, "pyproject.toml") for name in chosen(metadata.groups) for text in metadata.groups[name]),
        *(Wanted(text, "setup.py") for text in metadata.tests),
        *hints.wanted,
        *(Wanted(name, "tests") for name in plugins),
    ]
    dependencies = dict.fromkeys(metadata.dependencies)
    return Needs(
        name=metadata.name,
        version=metadata.version,
        requires_python=metadata.requires_python,
        pythons=tuple(sorted(metadata.pythons | (hints.pythons if not metadata.pythons else set()))),
        installable=metadata.installable,
        dependencies=tuple(dependencies),
        extras=tuple(extras),
        wanted=tuple(distinct(wanted, metadata)),
        imports=modules,
        commands=tuple(dict.fromkeys(hints.commands)),
        python2=python2,
        problems=tuple(metadata.problems),
        keyed=tuple(sorted(path for path in files if keyed(path))),
    )


def keyed(path: PurePosixPath) -> bool:
    """Whether a file decides about the environment: one of those that are read, or source that has to be compiled."""
    return bool(KEYED.match(str(path))) or path.suffix in PACKAGE_SOURCES


def chosen(names: Mapping[str, object] | Iterable[str]) -> list[str]:
    """Of extras or groups those that are called after tests, else those called after development."""
    listed = list(names)
    tests = [name for name in listed if TESTS.match(normal(name))]
    return tests or [name for name in listed if DEVELOPMENT.match(normal(name))]


def distinct(wanted: Iterable[Wanted], metadata: Metadata) -> Iterable[Wanted]:
    """Each distribution once, as who says it first does; tools and the project itself are left out."""
    seen = {normal(metadata.name)}
    for entry in wanted:
        name = name_of(entry.text)
        if name and name not in seen and not is_tool(entry.text):
            seen.add(name)
            yield entry
