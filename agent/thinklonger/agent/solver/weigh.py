"""The weight of an edit: the pattern's prior, what the failure's clues say for it, and how plausible a repair it is."""

import re

from thinklonger.agent.solver.clues import Clues
from thinklonger.agent.solver.pattern import Pattern
from thinklonger.agent.solver.place import Edit

BOOSTS: dict[str, dict[str, float]] = {
    "off-by-one": {"off-by-one": 1.6, "needless-one": 1.6, "comparison-boundary": 1.6, "range": 1.5, "number": 1.4,
        "starting-value": 1.2},
    "edge": {"comparison-boundary": 1.5, "off-by-one": 1.5, "needless-one": 1.5, "slice": 1.6, "range": 1.6,
        "missing-statement": 1.2, "number": 1.3, "missing-statement-donor": 1.2, "base-case": 1.2},
    "size": {"membership": 1.3, "skip": 1.2, "comparison-boundary": 1.2, "comprehension": 1.3,
        "missing-statement": 1.2, "slice": 1.2},
    "order": {"forwarded-argument": 1.3, "sort-key": 1.8, "missing-wrapper": 1.3, "needless-wrapper": 1.2,
        "tuple-order": 1.4,
        "statement-order": 1.4, "operand-order": 1.5, "call-target": 1.3, "argument-order": 1.4,
        "missing-argument": 1.2, "subscript": 1.2},
    "reversed": {"missing-argument": 1.6, "operand-order": 1.5, "call-target": 1.3, "slice": 1.5,
        "statement-order": 1.4, "sort-key": 1.6, "truth-value": 1.6},
    "duplicates": {"skip": 1.5, "missing-statement": 1.4, "missing-wrapper": 1.3, "membership": 1.4},
    "sign": {"sign": 2.5, "operand-order": 2.0, "operator": 1.4, "missing-wrapper": 1.3},
    "rounding": {"operator": 1.5, "missing-wrapper": 1.6, "needless-wrapper": 1.6, "call-target": 1.4,
        "number": 1.2, "missing-argument": 1.4},
    "infinite": {"starting-value": 1.8, "call-target": 1.3, "base-case": 1.5},
    "flipped": {"affix": 1.5, "negation": 1.5, "negated-value": 1.6, "truth-value": 1.6, "connective": 1.4,
        "comparison-boundary": 1.2, "quantifier": 1.4, "membership": 1.4, "comparison-direction": 1.2,
        "base-case": 1.2, "depth": 1.3, "result": 1.2},
    "none": {"missing-return": 2.5, "missing-statement": 1.6, "result": 1.5, "depth": 1.5, "base-case": 1.5,
        "starting-value": 1.2, "call-target": 1.2},
    "wanted-none": {"base-case": 1.4, "return-kind": 1.2, "missing-key": 1.4},
    "type": {"display": 1.8, "borrowed-call": 1.5, "missing-wrapper": 2.0, "needless-wrapper": 2.0,
        "starting-value": 1.5, "operator": 1.2,
        "return-kind": 1.3, "nesting": 1.6, "call-target": 1.3},
    "wanted-list": {"missing-wrapper": 2.4, "starting-value": 1.5, "display": 2.0, "comprehension": 1.3},
    "wanted-tuple": {"missing-wrapper": 2.4, "starting-value": 1.4, "display": 2.0},
    "wanted-set": {"missing-wrapper": 2.4, "starting-value": 1.4, "display": 2.0},
    "wanted-bool": {"missing-wrapper": 2.4, "negated-value": 1.3, "return-kind": 1.3, "connective": 1.2},
    "wanted-str": {"missing-wrapper": 2.4, "borrowed-call": 1.6, "missing-method": 1.3, "starting-value": 1.3},
    "wanted-int": {"missing-wrapper": 2.4, "borrowed-call": 1.3, "operator": 1.3, "starting-value": 1.3},
    "wanted-bytes": {"borrowed-call": 1.6, "missing-link": 1.5, "call-target": 1.3},
    "lazy": {"missing-wrapper": 2.0, "return-kind": 2.0, "comprehension": 1.4, "missing-return": 1.5},
    "whitespace": {"missing-link": 1.8, "string": 1.8, "missing-method": 2.0, "call-target": 1.6,
        "missing-argument": 1.3},
    "case": {"missing-link": 1.5, "string": 1.5, "missing-method": 2.2, "call-target": 1.8},
    "no-raise": {"base-case": 1.6, "missing-raise": 2.2, "sibling-guard": 1.5, "return-kind": 1.5,
        "raised-type": 1.2, "caught-type": 1.3, "skip": 1.3},
    "hang": {"loop-kind": 1.5, "comparison-boundary": 1.2, "missing-statement": 2.0, "augmented-operator": 1.8,
        "off-by-one": 1.4, "skip": 1.4, "missing-statement-donor": 1.6, "comparison-equality": 1.4, "jump": 1.4,
        "variable": 1.2, "depth": 1.4, "negation": 1.3, "statement-order": 1.3},
    "IndexError": {"comparison-boundary": 1.7, "off-by-one": 1.6, "needless-one": 1.8, "range": 1.8,
        "subscript": 1.5, "number": 1.4, "missing-condition": 1.3, "base-case": 1.5, "skip": 1.2,
        "missing-modulo": 1.6, "slice": 1.5, "connective": 1.3, "loop-kind": 1.2},
    "KeyError": {"missing-key": 3.0, "membership": 1.6, "skip": 1.4, "caught-type": 1.8, "string": 1.4,
        "variable": 1.2, "base-case": 1.2, "missing-method": 1.2},
    "RecursionError": {"base-case": 2.0, "comparison-boundary": 1.3, "missing-argument": 1.2, "off-by-one": 1.8,
        "variable": 1.5, "call-target": 1.5, "comparison-equality": 1.5, "expression": 1.3, "number": 1.3},
    "TypeError": {"borrowed-call": 1.6, "forwarded-argument": 1.6, "member": 1.3, "flag-guard": 1.2,
        "missing-wrapper": 2.0, "needless-wrapper": 1.5, "argument-order": 1.5, "missing-argument": 1.6,
        "needless-argument": 1.8, "base-case": 1.5, "starting-value": 1.6, "missing-return": 1.5,
        "index-presence": 1.5, "parameters": 2.0, "await": 1.4, "call-parentheses": 1.8, "caught-type": 1.4,
        "nesting": 1.5, "missing-condition": 1.3, "truth-or-none": 1.4, "sort-key": 1.3, "call-target": 1.3,
        "decorator": 1.5},
    "AttributeError": {"borrowed-call": 1.3, "member": 1.5, "flag-guard": 1.5, "attribute": 2.2,
        "own-attribute": 1.6, "call-target": 1.6, "base-case": 1.5,
        "missing-statement": 1.6, "missing-condition": 1.5, "truth-or-none": 1.5, "call-parentheses": 1.8,
        "receiver": 1.5, "starting-value": 1.4, "decorator": 1.6, "skip": 1.3, "variable": 1.2, "connective": 1.4,
        "needless-wrapper": 1.2, "missing-wrapper": 1.2, "await": 1.5},
    "NameError": {"member": 2.5, "variable": 2.0, "own-attribute": 2.5, "missing-import": 3.0,
        "missing-initialization": 2.0,
        "expression": 1.2, "string": 1.2},
    "UnboundLocalError": {"declaration": 3.0, "missing-initialization": 2.5, "variable": 1.3, "depth": 1.5,
        "hoist": 1.5, "statement-order": 1.6},
    "ZeroDivisionError": {"base-case": 2.0, "missing-condition": 1.5, "comparison-boundary": 1.4,
        "off-by-one": 1.4, "operator": 1.3, "range": 1.3, "unconditional": 1.4, "skip": 1.4},
    "ValueError": {"caught-type": 2.0, "base-case": 1.4, "missing-condition": 1.3, "missing-argument": 1.3,
        "call-target": 1.5, "comparison-boundary": 1.2, "argument-order": 1.3, "tuple-order": 1.2,
        "unhandled": 1.3, "missing-method": 1.4, "skip": 1.2},
    "StopIteration": {"caught-type": 2.0, "missing-argument": 1.8, "base-case": 1.3},
    "RuntimeError": {"missing-wrapper": 1.8, "missing-method": 1.5, "alias": 1.4, "missing-raise": 1.2},
    "UnicodeDecodeError": {"missing-argument": 1.5, "string": 1.4, "caught-type": 1.5},
    "coroutine": {"await": 3.0, "coroutine": 1.5},
}  # fmt: skip
"""What each word of the clues says for which patterns."""


def boost(pattern: Pattern, clues: Clues) -> float:
    """How much the clues speak for a pattern; 1 where they say nothing."""
    factor = 1.0
    for tag in sorted(clues.tags):
        factor = max(factor, BOOSTS.get(tag, {}).get(pattern.name, 1.0))
    return factor


_LITERAL_RETURN = re.compile(r"return (?:-?\d+(?:\.\d+)?|True|False|None|''|\"\"|\[\]|\{\}|\(\)|set\(\))\s*$")
_LITERAL_TEST = re.compile(r"(?:==|!=) (?:-?\d{2,}|['\"].+['\"])")
_WANTED = {
    "wanted-list": ("list(", "sorted("), "wanted-tuple": ("tuple(",), "wanted-set": ("set(",), "wanted-str": ("str(",),
    "wanted-bool": ("bool(",), "wanted-int": ("int(", "len(", "sum(", "round("), "wanted-float": ("float(",),
    "wanted-dict": ("dict(",),
}  # fmt: skip
"""What makes a value of the type that the test wants."""
_PLAIN = {"needless-statement": 0.8, "unhandled": 0.6, "needless-block": 0.8}


def plausibility(pattern: Pattern, edit: Edit, clues: Clues) -> float:
    """How much an edit looks like a repair, in (0, 1]: special cases, deletions and swallowed failures look less so."""
    factor = _PLAIN.get(pattern.name, 1.0)
    if pattern.name == "missing-wrapper" and not clues.tags.isdisjoint(_WANTED):
        wanted = [lead for tag in sorted(clues.tags) for lead in _WANTED.get(tag, ())]
        return 1.0 if edit.text.lstrip("(").startswith(tuple(wanted)) else 0.6
    if pattern.family not in {"guard", "constant"}:
        return factor
    if pattern.family == "guard":
        if _LITERAL_RETURN.search(edit.text.rstrip()):
            factor *= 0.7
        if _LITERAL_TEST.search(edit.text):
            factor *= 0.3
    if pattern.family == "constant" and any(_is_large(value) and edit.text == repr(value) for value in clues.results):
        factor *= 0.3
    return factor


def _is_large(value: object) -> bool:
    """Whether a value is telling: an edit that writes it down repeats the test's expectation."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return abs(value) > 2  # noqa: PLR2004 - 0, 1 and 2 are everywhere
    return isinstance(value, str) and len(value) > 1
