"""The catalogue: every fix pattern, with how often developers make that fix.

How the priors were set. A pattern's `prior` weighs its best edit at one place against other patterns' best edits, so
that about a thousand runs reach what is likely first. It follows from

- own counts: 7,098 commits of seven public Python projects (a linter, a serialiser, a code model, a medical file
  reader, a solar model, a graph library, a highlighter) whose message speaks of a fix or bug, of those with one or two
  hunks outside tests and docs, the about 1,050 changes of up to three lines that parse as code: string 12 %, several
  tokens of one line 12 %, statement deleted 10 %, assignment inserted 8 %, branch 6 %, guard with a jump 6 %, call 2 %;
  another name 5 %, call target 2.5 %, attribute 1.6 %; argument or element added 5 %, dropped 1.5 %, keyword added
  2 %; a call wrapped around a value 5 %, taken away 0.6 %; an operand of a condition added 3.5 %, dropped 0.4 %;
  a statement put under a condition 2 %, method call added 1 %, number 1 %, filter 0.7 %; comparison or arithmetic
  operator, truth value, return: below 0.5 % each (mature projects catch those before they commit);
- published studies of simple fixes, for mistakes that younger programs have: ManySStuBs4J (Karampatsis and Sutton,
  MSR 2020) and PySStuBs (Kamienski et al., MSR 2021), whose kinds are wrong identifier, wrong function name, changed
  literal, operator or operand, more or less specific condition, swapped, missing or needless argument, missing self;
  Pan, Kim and Whitehead (Empirical Software Engineering 2009): call with other arguments 15 to 26 %, changed condition
  6 to 19 %, changed assignment 6 to 14 % of fix hunks; Martinez and Monperrus (Empirical Software Engineering 2015):
  inserted statements lead. Operators and off-by-one stand higher than in these counts, by judgement: they are what
  small programs without a long review get wrong;
- the number of edits that a pattern makes at a place: one with few and certain edits (a boundary, a missing await)
  ranks above one that spreads its share over many (a condition made of names in scope).

Plausibility is part of the weight (`weigh.plausibility`): deleting, swallowing a failure, returning a literal early or
writing down the test's expected value rank below repairs that generalise.

The catalogue runs backwards too: `Pattern.injections` makes the mistake that `Pattern.repairs` undoes.
"""

from thinklonger.agent.solver.pattern import Pattern
from thinklonger.agent.solver.patterns import (
    arithmetic,
    booleans,
    borrowed,
    calls,
    comparisons,
    constants,
    containers,
    definitions,
    exceptions,
    flow,
    guards,
    names,
    notations,
    statements,
)

PATTERNS: tuple[Pattern, ...] = (
    *comparisons.PATTERNS,
    *arithmetic.PATTERNS,
    *booleans.PATTERNS,
    *constants.PATTERNS,
    *notations.PATTERNS,
    *names.PATTERNS,
    *calls.PATTERNS,
    *containers.PATTERNS,
    *flow.PATTERNS,
    *statements.PATTERNS,
    *guards.PATTERNS,
    *exceptions.PATTERNS,
    *definitions.PATTERNS,
    *borrowed.PATTERNS,
)
"""All patterns; each name once."""


def pattern(name: str) -> Pattern:
    """The pattern of that name; raises KeyError for a name that the catalogue does not have."""
    return _BY_NAME[name]


_BY_NAME = {row.name: row for row in PATTERNS}
