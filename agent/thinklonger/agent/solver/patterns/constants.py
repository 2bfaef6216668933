"""Literals: numbers, truth values, None, strings, starting values."""

import ast
import re
from collections.abc import Iterator

from thinklonger.agent.solver.pattern import Pattern
from thinklonger.agent.solver.place import Edit, Place

_STARTS: dict[str, tuple[tuple[str, float], ...]] = {
    "0": (("float('inf')", 0.5), ("float('-inf')", 0.7), ("None", 0.5), ("[]", 0.2), ("0.0", 0.2), ("''", 0.15)),
    "1": (("None", 0.15),),
    "-1": (("float('-inf')", 0.6), ("None", 0.3)),
    "None": (
        ("[]", 0.6),
        ("0", 0.6),
        ("''", 0.5),
        ("{}", 0.5),
        ("False", 0.5),
        ("True", 0.3),
        ("set()", 0.25),
        ("()", 0.2),
    ),
    "''": (("None", 0.6), ("[]", 0.2), ("' '", 0.6)),
    "True": (("None", 0.2),),
    "False": (("None", 0.3),),
}
_EMPTY = {
    "[]": ("{}", "set()", "()", "None"),
    "{}": ("[]", "set()", "None"),
    "()": ("[]", "None", "set()"),
    "set()": ("[]", "{}", "None"),
    "dict()": ("[]", "set()"),
    "list()": ("{}", "set()"),
}
_DONOR = 40
"""Longer strings are messages, not values."""


def numbers(place: Place) -> Iterator[Edit]:
    """Numbers: one more, one less, zero, one, two, the other sign, and those that the file uses."""
    others = _file_numbers(place)
    for node in place.all(ast.Constant):
        value = node.value
        if isinstance(value, bool) or not isinstance(value, int | float):
            continue
        weights = _near_integers(value) if isinstance(value, int) else _near_floats(value)
        for other in others:
            weights[other] = max(weights.get(other, 0.0), 0.35)
        start = place.span(node)[0]
        negative = place.source.text[start - 1 : start] == "-" and isinstance(place.module.parent(node), ast.UnaryOp)
        for other, weight in weights.items():
            if other != value and not (negative and other < 0):
                yield place.swap(node, repr(other), weight=weight if abs(value) <= _SMALL else 0.8 * weight)


_SMALL = 2
"""Integers up to this one are the usual suspects."""
_DECIMAL = 10
_UNITS: dict[int, float] = {60: 0.5, 24: 0.4, 12: 0.4, 7: 0.3, 1000: 0.4, 1024: 0.4, 100: 0.4, 3600: 0.4, 366: 0.2}
"""Numbers that convert between units, and are taken for each other."""


def _near_integers(value: int) -> dict[int | float, float]:
    near = [
        *((value + 1, 1.0), (value - 1, 1.0), (0, 0.7), (1, 0.7), (2, 0.3), (-value, 0.45), (-1, 0.25)),
        *((value * 2, 0.2), (value * 10, 0.25)),
    ]
    if value == _DECIMAL:
        near += [(2, 0.4), (100, 0.3)]
    if value and value % 10 == 0:
        near.append((value // 10, 0.3))
    if value and value % 2 == 0:
        near.append((value // 2, 0.3))
    if value in _UNITS or value in {360, 365}:
        near += _UNITS.items()
    weights: dict[int | float, float] = {}
    for other, weight in near:  # some of them are the same number: its best reason counts
        weights[other] = max(weights.get(other, 0.0), weight)
    return weights


def _near_floats(value: float) -> dict[int | float, float]:
    return {-value: 0.4, value / 10: 0.25, value * 10: 0.25, 0: 0.2, 1: 0.2, value + 1: 0.15}


def _file_numbers(place: Place) -> list[int | float]:
    found = [node.value for node in place.module.facts.literals]
    return [value for value in found if isinstance(value, int | float) and not isinstance(value, bool)][:12]


def truth(place: Place) -> Iterator[Edit]:
    """`True` ↔ `False`."""
    for node in place.all(ast.Constant):
        if isinstance(node.value, bool):
            yield place.swap(node, repr(not node.value), weight=1.0)


def start(place: Place) -> Iterator[Edit]:
    """A starting or default value of another kind: `0` → `None`, `float('-inf')`, `[]` → `{}` and relatives."""
    first = _first_items(place)
    for node in place.all(ast.expr):
        text = place.segment(node)
        parent = place.module.parent(node)
        slot = 1.0 if isinstance(parent, ast.Assign | ast.Return | ast.arguments | ast.AnnAssign) else 0.4
        if isinstance(node, ast.Constant | ast.UnaryOp):
            key = "''" if text == '""' else text
            for other, weight in _STARTS.get(key, ()):
                yield place.swap(node, other, weight=weight * slot)
        for other in _EMPTY.get(text.replace(" ", ""), ()):
            yield place.swap(node, other, weight=0.7 * slot)
        infinite = re.fullmatch(r"float\(['\"](-?)inf['\"]\)", text)
        if infinite:
            sign = "" if infinite.group(1) else "-"
            yield place.swap(node, f"float('{sign}inf')", weight=1.0)
            yield place.swap(node, "0", weight=0.4)
        if isinstance(parent, ast.Assign) and isinstance(node, ast.Constant) and node.value in (0, None, -1, ""):
            for item in first:
                yield place.swap(node, item, weight=0.45)


def _first_items(place: Place) -> list[str]:
    names = [
        v.name for v in place.scope.variables.values() if v.kinds & {"list", "str", "tuple"} and v.origin == "parameter"
    ]
    return [f"{name}[0]" for name in names[:3]]


def strings(place: Place) -> Iterator[Edit]:
    """Strings: empty, blank, those of the file, and small repairs at their edges."""
    donors = [
        node.value for node in place.module.facts.literals if isinstance(node.value, str) and len(node.value) <= _DONOR
    ]
    for node in place.all(ast.Constant):
        value = node.value
        start, end = place.span(node)
        text = place.source.text[start:end]
        if not isinstance(value, str) or text[:1] not in "'\"rRbB" or _is_documentation(place, node):
            continue
        weights = _near_strings(value)
        for other in donors[:40]:
            alike = 0.5 if len(other) == len(value) or other[:2] == value[:2] else 0.25
            weights[other] = max(weights.get(other, 0.0), alike)
        for other, weight in sorted(weights.items(), key=lambda item: -item[1]):
            if other != value:
                yield place.swap(node, _quoted(other, text), weight=weight)


def _near_strings(value: str) -> dict[str, float]:
    weights: dict[str, float] = {"": 0.35, " ": 0.3 if len(value) <= 1 else 0.05}
    if len(value) <= 2:  # noqa: PLR2004 - separators
        weights |= {",": 0.1, "\n": 0.15, ", ": 0.12, "-": 0.1, "_": 0.1, ".": 0.1, ":": 0.1, "0": 0.1, "/": 0.08}
    for other, weight in (
        (value.strip(), 0.6), (value + " ", 0.25), (" " + value, 0.2), (value + "\n", 0.25), (value.lower(), 0.5),
        (value.upper(), 0.4), (value.title(), 0.3), (value[:-1], 0.3), (value[1:], 0.3), (value[::-1], 0.2),
    ):  # fmt: skip
        weights[other] = max(weights.get(other, 0.0), weight)
    if value in {"r", "w", "a", "rb", "wb", "ab"}:
        weights |= {"r": 0.5, "w": 0.5, "a": 0.5, "rb": 0.6, "wb": 0.6}
    if value.lower() in {"utf-8", "utf8", "ascii", "latin-1"}:
        weights |= {"utf-8": 0.6, "latin-1": 0.4, "utf-8-sig": 0.4}
    if value.lower() in {"strict", "ignore", "replace"}:
        weights |= {"strict": 0.5, "ignore": 0.5, "replace": 0.5}
    return weights


def _is_documentation(place: Place, node: ast.Constant) -> bool:
    return isinstance(place.node, ast.Expr) and place.node.value is node


def _quoted(value: str, old: str) -> str:
    """A literal for a string, with the old one's quotes."""
    plain = repr(value)
    wanted = old.lstrip("rRbBuU")[:1]
    if wanted == '"' and '"' not in value and plain[0] == "'":
        plain = '"' + plain[1:-1].replace("\\'", "'") + '"'
    return plain


def none(place: Place) -> Iterator[Edit]:
    """A literal → None, and None → a name in scope."""
    for node in place.all(ast.Constant):
        parent = place.module.parent(node)
        if node.value is None and isinstance(parent, ast.Return | ast.keyword | ast.Call | ast.Assign):
            for variable in place.scope.variables.values():
                if variable.origin in {"parameter", "local"}:
                    yield place.swap(node, variable.name, weight=0.6)
        elif (
            isinstance(parent, ast.Return | ast.Call | ast.keyword)
            and isinstance(node.value, int | str)
            and not isinstance(node.value, bool)
        ):
            for variable in place.scope.variables.values():
                if variable.origin in {"parameter", "local", "closure"}:
                    fitting = 0.8 if place.scope.kinds_of(node) & variable.kinds else 0.4
                    yield place.swap(node, variable.name, weight=fitting)


def named(place: Place) -> Iterator[Edit]:
    """A number → a variable in scope, a length of one."""
    numbers_in_scope = [v for v in place.scope.variables.values() if v.kinds & {"int", "float"}][:8]
    sized = [v for v in place.scope.variables.values() if v.kinds & {"list", "str"} and v.origin != "module"][:3]
    attributes = [
        name for name, kinds in place.module.facts.attribute_kinds(place.klass).items() if kinds & {"int", "float"}
    ][:5]
    for node in place.all(ast.Constant):
        if isinstance(node.value, bool) or not isinstance(node.value, int):
            continue
        for variable in numbers_in_scope:
            yield place.swap(node, variable.name, weight=1.0 if variable.origin != "module" else 0.5)
        for variable in sized:
            yield place.swap(node, f"len({variable.name})", weight=0.4)
        for name in attributes:
            yield place.swap(node, f"self.{name}", weight=0.5)


PATTERNS = (
    Pattern("number", "constant", "a number is wrong", 0.5, numbers, numbers),
    Pattern("truth-value", "constant", "`True` and `False` are confused", 0.55, truth, truth),
    Pattern("starting-value", "constant", "a starting or default value is of the wrong kind", 0.35, start, start),
    Pattern("string", "constant", "a string literal is wrong", 0.3, strings, strings, ceiling=0.6),
    Pattern("literal-for-name", "constant", "a literal stands where a variable was meant", 0.18, none, ceiling=0.8),
    Pattern("number-for-name", "constant", "a number stands where a variable was meant", 0.15, named),
)  # fmt: skip
