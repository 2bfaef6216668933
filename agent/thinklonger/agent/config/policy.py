"""What a project's file may decide: enough to make runs of it sound, never anything that protects the user."""

import os
from collections.abc import Callable, Mapping
from typing import TypeAlias, cast

from thinklonger.agent.config import SandboxChoice
from thinklonger.agent.config.values import Value

Rule: TypeAlias = Callable[[Value, Value], bool]
"""Whether a project may set this value where the user's own settings (or the defaults) have that one."""


def project_may(name: str, value: Value, users: Value) -> bool:
    """Whether a project's file may give this setting this value; a setting without a rule is the user's alone."""
    rule = RULES.get(name)
    return rule is not None and rule(value, users)


def _never(_value: Value, _users: Value) -> bool:
    return False


def _always(_value: Value, _users: Value) -> bool:
    return True


def _no_engine_but_the_users(value: Value, users: Value) -> bool:
    return value in ("builtin", users)


def _no_unprotected(value: Value, _users: Value) -> bool:
    return value is not SandboxChoice.NONE


def _not_above(value: Value, users: Value) -> bool:
    return cast("float", value) <= cast("float", users)


def _not_above_or_auto(value: Value, users: Value) -> bool:
    return users is None or (value is not None and _not_above(value, users))


def _no_more_workers(value: Value, users: Value) -> bool:
    return 0 < cast("int", value) <= (cast("int", users) or len(os.sched_getaffinity(0)))


def _only_off(value: Value, users: Value) -> bool:
    return value is False or value == users


RULES: Mapping[str, Rule] = {
    "engine": _no_engine_but_the_users,
    "model": _always,
    "language": _never,
    "state_directory": _never,
    "cache_directory": _never,
    "sandbox.kind": _no_unprotected,
    "sandbox.prefer": _never,
    "sandbox.image": _never,  # another's image is another's code, and Docker would fetch it
    "sandbox.limits.wall_seconds": _not_above,
    "sandbox.limits.memory_bytes": _not_above,
    "sandbox.limits.processes": _not_above,
    "sandbox.limits.output_bytes": _not_above,
    "sandbox.limits.scratch_bytes": _not_above,
    "search.budget": _not_above_or_auto,
    "search.seconds": _not_above,
    "search.workers": _no_more_workers,
    "search.candidates": _not_above,
    "search.strategy": _always,
    "search.samples": _not_above,
    "search.keep": _not_above,
    "search.tokens": _not_above_or_auto,
    "thinking.effort": _always,
    "thinking.tokens": _not_above_or_auto,
    "thinking.answer_tokens": _not_above,
    "served.context": _not_above_or_auto,
    "served.idle_seconds": _not_above,
    "served.retries": _not_above,
    "served.prm": _never,
    "served.orm": _never,
    "regression.seconds": _always,  # more regression tests only make a receipt stronger
    "regression.whole": _always,
    "environments.interpreter": _never,  # it would be started outside of what the repository holds
    "environments.build": _only_off,
    "environments.index": _never,
    "environments.seconds": _not_above,
    "environments.megabytes": _not_above,
    "localize.top": _always,
    "localize.execute": _always,
}
