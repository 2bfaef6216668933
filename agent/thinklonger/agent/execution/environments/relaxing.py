"""The rules by which a build goes on after a failure: what is loosened or left out next, from what uv said.

One step at a time: pins before distributions, distributions before extras, the date before the project. Each step is
remembered with its reason, so that the recipe shows what the environment lacks.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from thinklonger.agent.execution.environments.nouns import Dropped
from thinklonger.agent.execution.environments.texts import bare, name_of, normal
from thinklonger.agent.execution.environments.usage import distribution_of

FAILED_BUILD = re.compile(
    r"Failed to (?:download and )?build `?(?P<name>[A-Za-z0-9][\w.-]*?)(?:==(?P<version>[^`\s]+))?(?: @ [^`]+)?`"
)
NO_MODULE = re.compile(r"No module named '?\"?([\w.]+)")
UNREACHABLE = re.compile(
    r"error sending request|dns error|tunnel error|Could not connect|operation timed out", re.IGNORECASE
)
UNVERSIONED = ("unable to detect version", "Versioning for this project requires", "get_version", "LookupError")
OLD_SETUPTOOLS = ("use_2to3", "pkg_resources", "setuptools.command.test", "'dash-separated'", "Invalid dash-separated")
DRAWN = " \t\u2570\u2500\u25b6\u2502\u251c\u00d7"
"""What uv draws its trees with."""
BUILD_TOOLS = ("setuptools", "wheel")


@dataclass(slots=True)
class Plan:
    """What to install next: the project with its extras, and the requirements beside it.

    `only_binary`: distributions whose wheels alone are taken; `undated`: those that may be newer than the date;
    `constraints`: for build tools; `helpers`: what the project's build imports without saying so; `versioned`:
    whether build tools are told the project's version; `project`: whether it is installed at all.
    """

    project: bool
    extras: list[str]
    requirements: list[str]
    dependencies: list[str]
    dated: bool = True
    versioned: bool = False
    only_binary: list[str] = field(default_factory=list[str])
    undated: list[str] = field(default_factory=list[str])
    constraints: list[str] = field(default_factory=list[str])
    helpers: list[str] = field(default_factory=list[str])
    dropped: list[Dropped] = field(default_factory=list[Dropped])

    def leave(self, requirement: str, reason: str) -> None:
        """Remember what was left out or loosened."""
        self.dropped.append(Dropped(requirement, reason))


def relax(plan: Plan, said: str, *, name: str) -> bool:
    """Change the plan after a failure, by the first rule that applies; False where none is left."""
    failed = FAILED_BUILD.search(said)
    rules: tuple[Callable[[], bool], ...]
    if failed is not None and normal(failed["name"]) == normal(name or failed["name"]) and not failed["version"]:
        rules = (lambda: _help_project(plan, said), lambda: _without_project(plan, said))
    elif failed is not None:
        culprit = normal(failed["name"])
        rules = (lambda: _help_dependency(plan, culprit, said), lambda: _without_project(plan, said))
    else:
        rules = (
            lambda: _loosen(plan, said),
            lambda: _drop_extra(plan, said),
            lambda: _undate(plan, said),
            lambda: _without_project(plan, said),
        )
    return any(rule() for rule in rules)


def reason_in(said: str) -> str:
    """The line of uv's words that says most."""
    lines = [line.strip(DRAWN) for line in said.splitlines()]
    lines = [line for line in lines if line]
    for word in ("Error:", "error:", "Because", "Failed to"):
        for line in reversed(lines) if word.endswith("rror:") else lines:
            if word in line:
                return line[:300]
    return lines[-1][:300] if lines else "?"


def _help_project(plan: Plan, said: str) -> bool:
    """The project does not build: tell its version, an older setuptools, what its setup.py imports."""
    if not plan.versioned and any(sign in said for sign in UNVERSIONED):
        plan.versioned = True
        return True
    if "setuptools<58" not in plan.constraints and any(sign in said for sign in OLD_SETUPTOOLS):
        plan.constraints = ["setuptools<58"] if "setuptools<80" in plan.constraints else ["setuptools<80"]
        return True
    missing = NO_MODULE.search(said)
    if missing is not None:
        if missing[1].partition(".")[0] in ("distutils", "imp") and "setuptools" not in plan.undated:
            plan.undated += BUILD_TOOLS
            return True
        helper = distribution_of(missing[1])
        if helper not in plan.helpers and len(plan.helpers) < 4:  # noqa: PLR2004 - a project that asks for ever more
            plan.helpers.append(helper)
            return True
    return False


def _help_dependency(plan: Plan, culprit: str, said: str) -> bool:
    """A dependency does not build: take a wheel of another version, a newer one, or go without."""
    if culprit not in plan.only_binary:
        plan.only_binary.append(culprit)
        plan.leave(culprit, reason_in(said))
        return True
    named = [entry for entry in plan.requirements if name_of(entry) == culprit]
    if named:
        plan.requirements.remove(named[0])
        plan.leave(named[0], reason_in(said))
        return True
    return False


def _loosen(plan: Plan, said: str) -> bool:
    """A conflict: of the requirements that it names, the first with pins loses them, else the last one goes."""
    flat = normal_words(said)
    named = [entry for entry in plan.requirements if name_of(entry) in flat and name_of(entry) != "pytest"]
    stuck = [entry for entry in plan.only_binary if entry in flat and entry not in plan.undated]
    if stuck:
        plan.undated += stuck
        return True
    pinned = [entry for entry in named if bare(entry) != entry]
    if pinned:
        place = plan.requirements.index(pinned[0])
        plan.requirements[place] = bare(pinned[0])
        plan.leave(pinned[0], reason_in(said))
        return True
    if named:
        plan.requirements.remove(named[-1])
        plan.leave(named[-1], reason_in(said))
        return True
    return False


def normal_words(said: str) -> frozenset[str]:
    """The words of a text that may be distributions' names, in their normal form."""
    return frozenset(normal(word) for word in re.findall(r"[A-Za-z0-9][A-Za-z0-9._-]*[A-Za-z0-9]|[A-Za-z0-9]", said))


def _drop_extra(plan: Plan, said: str) -> bool:
    """A conflict that no requirement of ours is part of: the last extra goes."""
    if not plan.extras or not plan.project:
        return False
    plan.leave(f"[{plan.extras.pop()}]", reason_in(said))
    return True


def _undate(plan: Plan, said: str) -> bool:
    """Nothing fits at the date: resolve as of today."""
    if not plan.dated:
        return False
    plan.dated = False
    plan.leave("the date", reason_in(said))
    return True


def _without_project(plan: Plan, said: str) -> bool:
    """The project can't be installed: its code is used where it lies, beside what it says that it depends on."""
    if not plan.project:
        return False
    plan.project = False
    plan.leave("the project", reason_in(said))
    known = {name_of(entry) for entry in plan.requirements}
    plan.requirements += [entry for entry in plan.dependencies if name_of(entry) not in known]
    return True
