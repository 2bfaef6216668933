"""Comparisons: boundaries, directions, identity, membership, and truth against emptiness."""

import ast
import re
from collections.abc import Iterator

from thinklonger.agent.solver.kinds import BOOL, SIZED
from thinklonger.agent.solver.pattern import Pattern
from thinklonger.agent.solver.place import Edit, Place

SYMBOLS: dict[type[ast.cmpop], str] = {
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
    ast.Eq: "==",
    ast.NotEq: "!=",
    ast.Is: "is",
    ast.IsNot: "is not",
    ast.In: "in",
    ast.NotIn: "not in",
}
_BOUNDARY = {"<": "<=", "<=": "<", ">": ">=", ">=": ">"}
_DIRECTION = {
    "<": {">": 1.0, ">=": 0.7},
    "<=": {">=": 1.0, ">": 0.7},
    ">": {"<": 1.0, "<=": 0.7},
    ">=": {"<=": 1.0, "<": 0.7},
}
_EQUALITY = {
    "==": {"!=": 1.0, "<=": 0.6, ">=": 0.6, "<": 0.45, ">": 0.45},
    "!=": {"==": 1.0, "<": 0.55, ">": 0.55, "<=": 0.3, ">=": 0.3},
    "<": {"!=": 0.5, "==": 0.3},
    ">": {"!=": 0.5, "==": 0.3},
    "<=": {"==": 0.5, "!=": 0.3},
    ">=": {"==": 0.5, "!=": 0.3},
}
_IDENTITY = {"is": "==", "is not": "!=", "==": "is", "!=": "is not"}
_MEMBERSHIP = {
    "in": {"not in": 1.0, "==": 0.5},
    "not in": {"in": 1.0, "!=": 0.5},
    "==": {"in": 0.8},
    "!=": {"not in": 0.8},
}
_OPERATOR = re.compile(r"not\s+in\b|is\s+not\b|in\b|is\b|<=|>=|==|!=|<|>")


def operators(place: Place) -> Iterator[tuple[ast.Compare, int, str, int, int]]:
    """Every comparison operator of a header: its expression, index, symbol, and where it begins and ends."""
    for node in place.all(ast.Compare):
        left: ast.expr = node.left
        for index, (operator, right) in enumerate(zip(node.ops, node.comparators, strict=True)):
            begin, stop = place.span(left)[1], place.span(right)[0]
            found = _OPERATOR.search(place.source.text, begin, stop)
            if found:
                yield node, index, SYMBOLS[type(operator)], found.start(), found.end()
            left = right


def _change(place: Place, table: dict[str, dict[str, float]]) -> Iterator[Edit]:
    for _, _, symbol, start, end in operators(place):
        for other, weight in table.get(symbol, {}).items():
            yield place.splice(start, end, other, weight=weight, note=f"`{symbol}` becomes `{other}`")


def boundary(place: Place) -> Iterator[Edit]:
    """`<` ↔ `<=`, `>` ↔ `>=`."""
    for _, _, symbol, start, end in operators(place):
        other = _BOUNDARY.get(symbol)
        if other:
            yield place.splice(start, end, other, weight=1.0, note=f"`{symbol}` becomes `{other}`")


def direction(place: Place) -> Iterator[Edit]:
    """`<` ↔ `>` and their relatives."""
    yield from _change(place, _DIRECTION)


def equality(place: Place) -> Iterator[Edit]:
    """`==` ↔ `!=`, and equality against order."""
    yield from _change(place, _EQUALITY)


def identity(place: Place) -> Iterator[Edit]:
    """`is` ↔ `==`."""
    for node, _, symbol, start, end in operators(place):
        other = _IDENTITY.get(symbol)
        literal = any(
            isinstance(side, ast.Constant) and side.value is not None for side in (node.left, *node.comparators)
        )
        if other and (symbol.startswith("is") or not literal):
            weight = 1.0 if symbol.startswith("is") else 0.25
            yield place.splice(start, end, other, weight=weight, note=f"`{symbol}` becomes `{other}`")


def identity_negation(place: Place) -> Iterator[Edit]:
    """`is` ↔ `is not`."""
    yield from _change(place, {"is": {"is not": 1.0}, "is not": {"is": 1.0}})


def membership(place: Place) -> Iterator[Edit]:
    """`in` ↔ `not in`, and equality against membership."""
    for node, index, symbol, start, end in operators(place):
        for other, weight in _MEMBERSHIP.get(symbol, {}).items():
            right = node.comparators[index]
            if other in {"in", "not in"} and symbol in {"==", "!="} and not _can_hold(place, right):
                continue
            yield place.splice(start, end, other, weight=weight, note=f"`{symbol}` becomes `{other}`")


def _can_hold(place: Place, node: ast.expr) -> bool:
    found = place.scope.kinds_of(node)
    return not found or bool(found & (SIZED | {"iterator", "view"}))


def truth(place: Place) -> Iterator[Edit]:
    """A test for truth where a test for None was meant, and the other way round."""
    for node in conditions(place):
        text = place.segment(node)
        match node:
            case ast.UnaryOp(op=ast.Not(), operand=operand) if simple(operand) and not _is_bool(place, operand):
                yield place.swap(node, f"{place.segment(operand)} is None", weight=1.0)
            case ast.Compare(left=left, ops=[ast.Is()], comparators=[ast.Constant(value=None)]):
                yield place.swap(node, f"not {place.segment(left)}", weight=0.9)
            case ast.Compare(left=left, ops=[ast.IsNot()], comparators=[ast.Constant(value=None)]):
                yield place.swap(node, place.segment(left), weight=0.8)
            case ast.Name() | ast.Attribute() | ast.Call() | ast.Subscript() if not _is_bool(place, node):
                yield place.swap(node, f"{text} is not None", weight=1.0)
                if not isinstance(node, ast.Call):
                    yield place.swap(node, f"{text} > 0", weight=0.3)
            case _:
                pass


def _is_bool(place: Place, node: ast.expr) -> bool:
    """Whether a value is known to be a truth value, which is never None."""
    return place.scope.kinds_of(node) == BOOL


def simple(node: ast.AST) -> bool:
    """Whether an expression is a name, attribute, call or subscript."""
    return isinstance(node, ast.Name | ast.Attribute | ast.Call | ast.Subscript)


def conditions(place: Place) -> Iterator[ast.expr]:
    """The expressions of a header whose truth is asked for, whole conditions before their operands."""
    node = place.node
    roots: list[ast.expr] = []
    if isinstance(node, ast.If | ast.While | ast.Assert):
        roots.append(node.test)
    for inner in place.nodes:
        if isinstance(inner, ast.IfExp):
            roots.append(inner.test)
        elif isinstance(inner, ast.comprehension):
            roots.extend(inner.ifs)
        elif isinstance(inner, ast.BoolOp):
            roots.append(inner)
        elif isinstance(inner, ast.UnaryOp) and isinstance(inner.op, ast.Not):
            roots.append(inner.operand)
    seen: set[ast.expr] = set()
    known = set(place.nodes)
    while roots:
        root = roots.pop(0)
        if root in seen or root not in known:
            continue
        seen.add(root)
        yield root
        if isinstance(root, ast.BoolOp):
            roots[:0] = root.values


def exchange(place: Place) -> Iterator[Edit]:
    """`a in b` → `b in a`."""
    for node in place.all(ast.Compare):
        if len(node.ops) == 1 and isinstance(node.ops[0], ast.In | ast.NotIn):
            left, right = place.segment(node.left), place.segment(node.comparators[0])
            symbol = SYMBOLS[type(node.ops[0])]
            yield place.swap(node, f"{right} {symbol} {left}", weight=1.0)


def close_enough(place: Place) -> Iterator[Edit]:
    """Equality of floating-point numbers → equality within a tolerance."""
    for node in place.all(ast.Compare):
        if len(node.ops) != 1 or not isinstance(node.ops[0], ast.Eq | ast.NotEq):
            continue
        found = place.scope.kinds_of(node.left) | place.scope.kinds_of(node.comparators[0])
        if "float" in found:
            symbol = "<" if isinstance(node.ops[0], ast.Eq) else ">="
            left, right = place.segment(node.left), place.segment(node.comparators[0])
            yield place.swap(node, f"abs({left} - ({right})) {symbol} 1e-9", weight=1.0)


def length(place: Place) -> Iterator[Edit]:
    """A value compared where its length was meant, and the other way round."""
    for node in place.all(ast.Compare):
        for side in (node.left, *node.comparators):
            if isinstance(side, ast.Call) and isinstance(side.func, ast.Name) and side.func.id == "len" and side.args:
                yield place.swap(side, place.segment(side.args[0]), weight=0.4)
            elif simple(side) and not isinstance(side, ast.Call):
                found = place.scope.kinds_of(side)
                if found & SIZED:
                    yield place.swap(side, f"len({place.segment(side)})", weight=0.8)


PATTERNS = (
    Pattern("comparison-boundary", "comparison", "a comparison takes in or leaves out its boundary wrongly", 0.9,
            boundary, boundary),
    Pattern("comparison-direction", "comparison", "a comparison points the wrong way", 0.6, direction, direction),
    Pattern("comparison-equality", "comparison", "the wrong relation is tested", 0.55, equality, equality),
    Pattern("identity", "comparison", "identity is tested where equality is meant", 0.3, identity, identity),
    Pattern("identity-negation", "comparison", "an identity test is the wrong way round", 0.4,
            identity_negation, identity_negation),
    Pattern("membership", "comparison", "membership is tested the wrong way", 0.45, membership, membership),
    Pattern("membership-exchange", "comparison", "container and member are exchanged", 0.12, exchange, exchange),
    Pattern("truth-or-none", "comparison", "truth is tested where None is meant, or the reverse", 0.4, truth, truth),
    Pattern("float-equality", "comparison", "floating-point numbers are compared exactly", 0.25, close_enough),
    Pattern("length-comparison", "comparison", "a value is compared instead of its length, or the reverse", 0.15,
            length, length),
)  # fmt: skip
