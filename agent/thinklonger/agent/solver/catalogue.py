"""The catalogue: every fix pattern, with how often developers make that fix."""

from thinklonger.agent.solver.pattern import Pattern
from thinklonger.agent.solver.patterns import (
    arithmetic,
    booleans,
    calls,
    comparisons,
    constants,
    containers,
    definitions,
    exceptions,
    flow,
    guards,
    names,
    statements,
)

PATTERNS: tuple[Pattern, ...] = (
    *comparisons.PATTERNS,
    *arithmetic.PATTERNS,
    *booleans.PATTERNS,
    *constants.PATTERNS,
    *names.PATTERNS,
    *calls.PATTERNS,
    *containers.PATTERNS,
    *flow.PATTERNS,
    *statements.PATTERNS,
    *guards.PATTERNS,
    *exceptions.PATTERNS,
    *definitions.PATTERNS,
)
"""All patterns; each name once."""


def pattern(name: str) -> Pattern:
    """The pattern of that name; raises KeyError for a name that the catalogue does not have."""
    return _BY_NAME[name]


_BY_NAME = {row.name: row for row in PATTERNS}
