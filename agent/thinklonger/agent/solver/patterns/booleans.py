"""Boolean expressions: connectives, negation, missing and needless conditions."""

import ast
import re
from collections.abc import Iterator

from thinklonger.agent.solver.kinds import BOOL, NUMBERS, SIZED
from thinklonger.agent.solver.pattern import Pattern
from thinklonger.agent.solver.patterns.comparisons import SYMBOLS, conditions, simple
from thinklonger.agent.solver.place import Edit, Place, short
from thinklonger.agent.solver.scope import Variable

_NEGATED: dict[type[ast.cmpop], str] = {
    ast.Lt: ">=", ast.LtE: ">", ast.Gt: "<=", ast.GtE: "<", ast.Eq: "!=", ast.NotEq: "==", ast.Is: "is not",
    ast.IsNot: "is", ast.In: "not in", ast.NotIn: "in",
}  # fmt: skip


def connective(place: Place) -> Iterator[Edit]:
    """`and` ↔ `or`."""
    for node in place.all(ast.BoolOp):
        word = "and" if isinstance(node.op, ast.And) else "or"
        other = "or" if word == "and" else "and"
        for left, right in zip(node.values, node.values[1:], strict=False):
            found = re.compile(rf"\b{word}\b").search(place.source.text, place.span(left)[1], place.span(right)[0])
            if found:
                yield place.splice(*found.span(), other, weight=1.0, note=f"`{word}` becomes `{other}`")


def negate(place: Place) -> Iterator[Edit]:
    """A condition, or an operand of one, is negated."""
    for node in conditions(place):
        parent = place.module.parent(node)
        weight = 1.0 if not isinstance(parent, ast.BoolOp) else 0.8
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            yield place.swap(node, place.segment(node.operand), weight=weight)
        elif isinstance(node, ast.Compare) and len(node.ops) == 1:
            continue
        elif not (isinstance(parent, ast.UnaryOp) and isinstance(parent.op, ast.Not)):
            text = place.segment(node)
            inner = f"({text})" if isinstance(node, ast.BoolOp | ast.IfExp | ast.NamedExpr) else text
            yield place.swap(node, f"not {inner}", weight=weight)


def negate_value(place: Place) -> Iterator[Edit]:
    """A truth value that is returned or stored is negated."""
    node = place.node
    value = node.value if isinstance(node, ast.Return | ast.Assign) else None
    for root in (value, *(call.args[0] for call in place.all(ast.Call) if len(call.args) == 1)):
        if root is None or root not in place.nodes:
            continue
        match root:
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                yield place.swap(root, place.segment(operand), weight=1.0)
            case ast.Compare(left=left, ops=[op], comparators=[right]):
                new = f"{place.segment(left)} {_NEGATED[type(op)]} {place.segment(right)}"
                yield place.swap(root, new, weight=0.8)
            case ast.BoolOp() if root is value:
                yield place.swap(root, f"not ({place.segment(root)})", weight=0.7)
            case _ if place.scope.kinds_of(root) == BOOL and not isinstance(root, ast.Constant):
                yield place.swap(root, f"not {place.segment(root)}", weight=0.8)
            case ast.Name() | ast.Call() if root is value and not place.scope.kinds_of(root):
                yield place.swap(root, f"not {place.segment(root)}", weight=0.4)
            case _:
                pass


def drop_condition(place: Place) -> Iterator[Edit]:
    """`a and b` → `a` or `b`."""
    for node in place.all(ast.BoolOp):
        word = "and" if isinstance(node.op, ast.And) else "or"
        for index in range(len(node.values)):
            kept = [
                place.module.enclose(place.segment(value), value) for i, value in enumerate(node.values) if i != index
            ]
            new = f" {word} ".join(kept)
            dropped = short(place.segment(node.values[index]))
            yield place.swap(node, new, weight=1.0, note=f"the operand `{dropped}` is dropped")


def known_conditions(place: Place, limit: int = 30) -> list[tuple[str, float]]:
    """Conditions that the same function (then the same class and file) tests, with how near each is, in (0, 1]."""
    key = place.function
    cache = place.module.condition_cache
    if key not in cache:
        cache[key] = _gather(place)
    own = {ast.dump(node) for node in conditions(place)}
    return [(text, near) for text, near, dump in cache[key] if dump not in own][:limit]


def _gather(place: Place) -> list[tuple[str, float, str]]:
    found: dict[str, tuple[str, float, str]] = {}
    names = place.scope.visible
    known = _all_conditions(place)
    own = [row for row in known if row[0].function is place.function]
    for other, text, dump, read in own + [row for row in known if row[0].function is not place.function]:
        near = 1.0 if other.function is place.function else 0.6 if other.klass and other.klass is place.klass else 0.4
        if dump not in found and read is not None and read <= names:
            found[dump] = (text, near, dump)
    return list(found.values())


def _all_conditions(place: Place) -> list[tuple[Place, str, str, frozenset[str] | None]]:
    """All conditions of the file: where, source, dump, and the names that each reads (None: it can't be copied)."""
    rows = place.module.all_conditions
    if rows is None:
        rows = place.module.all_conditions = [
            (other, other.segment(node), ast.dump(node), _read(node))
            for other in place.module.places
            for node in conditions(other)
        ]
    return rows


def mapped(place: Place, limit: int = 12) -> list[tuple[str, float]]:
    """Comparisons that the function makes with a literal, made with the other literals of the function."""
    around = place.function
    literals = {
        other.segment(node): None
        for other in place.module.places
        if other.function is around
        for node in other.all(ast.Constant)
        if isinstance(node.value, int | str | None)
        and "\n" not in other.segment(node)
        and len(other.segment(node)) < 24  # noqa: PLR2004 - short literals
    }
    found: dict[str, float] = {}
    for other in place.module.places:
        if other.function is not around:
            continue
        for node in other.all(ast.Compare):
            right = node.comparators[0]
            if len(node.ops) == 1 and isinstance(right, ast.Constant):
                start, text = other.span(node)[0], other.segment(node)
                at = other.span(right)[0] - start
                for literal in literals:
                    if literal != text[at:] and type(ast.literal_eval(literal)) is type(right.value):
                        found.setdefault(text[:at] + literal, 0.7)
    return list(found.items())[:limit]


def _read(node: ast.expr) -> frozenset[str] | None:
    """The names of a condition; None for one that binds a name or suspends its function."""
    inside = list(ast.walk(node))
    if any(isinstance(inner, ast.NamedExpr | ast.Yield | ast.Await) for inner in inside):
        return None
    return frozenset(inner.id for inner in inside if isinstance(inner, ast.Name))


def synthesized(place: Place, limit: int = 40) -> list[tuple[str, float]]:
    """Conditions made of the variables in scope: emptiness, None, sign, membership, order of two."""
    variables = [v for v in place.scope.variables.values() if v.origin in {"parameter", "local", "closure"}][:10]
    found = [made for one in variables for made in _of_one(one)]
    found += [made for one in variables for other in variables if one is not other for made in _of_two(one, other)]
    found.sort(key=lambda item: -item[1])
    return found[:limit]


def _of_one(one: Variable) -> Iterator[tuple[str, float]]:
    known, name = one.kinds, one.name
    if not known or known & (SIZED | {"deque", "object", "bool", "none"}):
        yield from ((name, 0.6), (f"not {name}", 0.6))
    if not known or known & {"object", "none"}:
        yield from ((f"{name} is not None", 0.6), (f"{name} is None", 0.5))
    if known & NUMBERS:
        yield from ((f"{name} > 0", 0.5), (f"{name} >= 0", 0.4), (f"{name} != 0", 0.4), (f"{name} < 0", 0.3))


def _of_two(one: Variable, other: Variable) -> Iterator[tuple[str, float]]:
    if one.kinds & other.kinds & NUMBERS:
        yield from ((f"{one.name} < {other.name}", 0.4), (f"{one.name} <= {other.name}", 0.3))
        yield f"{one.name} != {other.name}", 0.35
    if other.kinds & {"set", "dict", "list"} and not one.kinds & {"list", "set", "dict"}:
        share = 0.7 if other.kinds & {"set", "dict"} else 0.4
        yield from ((f"{one.name} not in {other.name}", share), (f"{one.name} in {other.name}", share * 0.7))
    if other.kinds & {"list", "str", "tuple"} and "int" in one.kinds:
        yield f"{one.name} < len({other.name})", 0.7


def add_condition(place: Place) -> Iterator[Edit]:
    """`a` → `a and b`, `a or b` with conditions from near by and made of what is in scope."""
    extra = [(text, near) for text, near in known_conditions(place)] + synthesized(place)
    for node in conditions(place):
        parent = place.module.parent(node)
        if isinstance(parent, ast.BoolOp) or (isinstance(parent, ast.UnaryOp) and not isinstance(node, ast.BoolOp)):
            continue
        text = place.segment(node)
        for other, near in extra:
            if other == text:
                continue
            for word, share in (("and", 1.0), ("or", 0.8)):
                new = f"{_operand(text, node, word)} {word} {_loose(other, word)}"
                yield place.swap(
                    node, new, weight=near * share, note=f"the condition also asks `{short(other)}` (`{word}`)"
                )
                guard = isinstance(node, ast.Compare | ast.Subscript | ast.Attribute | ast.BoolOp)
                if guard and word == "and":
                    new = f"{_loose(other, word)} {word} {_operand(text, node, word)}"
                    yield place.swap(node, new, weight=near * 0.9, note=f"the condition first asks `{short(other)}`")


def _operand(text: str, node: ast.expr, word: str) -> str:
    if isinstance(node, ast.IfExp | ast.NamedExpr | ast.Lambda):
        return f"({text})"
    if isinstance(node, ast.BoolOp) and isinstance(node.op, ast.Or) and word == "and":
        return f"({text})"
    return text


def _loose(text: str, word: str) -> str:
    return f"({text})" if word == "and" and re.search(r"\bor\b|\bif\b", text) else text


def replace_condition(place: Place) -> Iterator[Edit]:
    """A condition → one that is tested near by."""
    extra = known_conditions(place, 16)
    made = synthesized(place, 16)
    for node in conditions(place):
        if isinstance(node, ast.BoolOp):
            continue
        text = place.segment(node)
        for other, near in extra:
            yield place.swap(node, other, weight=near, note=f"`{short(text)}` becomes `{short(other)}`")
        for other, near in made:
            if other != text:
                yield place.swap(node, other, weight=near * 0.7, note=f"`{short(text)}` becomes `{short(other)}`")


def regroup(place: Place) -> Iterator[Edit]:
    """`a and b or c` → `a and (b or c)`, `not a and b` → `not (a and b)`."""
    for node in place.all(ast.BoolOp):
        word = "and" if isinstance(node.op, ast.And) else "or"
        for index, value in enumerate(node.values):
            if isinstance(value, ast.BoolOp) and len(node.values) == 2:  # noqa: PLR2004 - both sides
                inner = "and" if isinstance(value.op, ast.And) else "or"
                parts = [place.segment(item) for item in value.values]
                other = place.segment(node.values[1 - index])
                if index == 0:
                    new = f"{f' {inner} '.join(parts[:-1])} {inner} ({parts[-1]} {word} {other})"
                else:
                    new = f"({other} {word} {parts[0]}) {inner} {f' {inner} '.join(parts[1:])}"
                yield place.swap(node, new, weight=1.0)
            if isinstance(value, ast.UnaryOp) and isinstance(value.op, ast.Not) and index == 0:
                rest = [place.segment(item) for item in node.values[1:]]
                new = f"not ({f' {word} '.join([place.segment(value.operand), *rest])})"
                yield place.swap(node, new, weight=0.9)
    for node in place.all(ast.UnaryOp):
        if isinstance(node.op, ast.Not) and isinstance(node.operand, ast.BoolOp):
            word = "and" if isinstance(node.operand.op, ast.And) else "or"
            parts = [place.segment(item) for item in node.operand.values]
            yield place.swap(node, f"not {parts[0]} {word} {f' {word} '.join(parts[1:])}", weight=0.9)
            yield place.swap(node, f" {word} ".join(f"not {part}" for part in parts), weight=0.9)


def quantifier(place: Place) -> Iterator[Edit]:
    """`any(…)` ↔ `all(…)`, `not any(…)` and relatives."""
    for node in place.all(ast.Call):
        if isinstance(node.func, ast.Name) and node.func.id in {"any", "all"}:
            other = "all" if node.func.id == "any" else "any"
            yield place.swap(node.func, other, weight=1.0)
            yield place.swap(node, f"not {place.segment(node)}", weight=0.6)


def chain(place: Place) -> Iterator[Edit]:
    """`0 <= i` → `0 <= i < n`: a missing second bound."""
    sized = [v.name for v in place.scope.variables.values() if v.kinds & {"list", "str", "tuple"}][:4]
    numbers = [v.name for v in place.scope.variables.values() if "int" in v.kinds and v.origin != "module"][:5]
    for node in place.all(ast.Compare):
        if len(node.ops) != 1 or not isinstance(node.ops[0], ast.Lt | ast.LtE | ast.Gt | ast.GtE):
            continue
        symbol = SYMBOLS[type(node.ops[0])]
        text = place.segment(node)
        right = node.comparators[0]
        if simple(right) and "<" in symbol:
            for bound in [f"len({name})" for name in sized] + numbers:
                if bound != place.segment(right) and bound != place.segment(node.left):
                    yield place.swap(node, f"{text} < {bound}", weight=0.6)
                    yield place.swap(node, f"{text} <= {bound}", weight=0.4)
        if simple(node.left) and "<" in symbol:
            yield place.swap(node, f"0 <= {text}", weight=1.0)
            yield place.swap(node, f"0 < {text}", weight=0.7)


PATTERNS = (
    Pattern("connective", "boolean", "`and` and `or` are confused", 0.55, connective, connective),
    Pattern("negation", "boolean", "a condition is the wrong way round", 0.5, negate, negate),
    Pattern("negated-value", "boolean", "a truth value is the wrong way round", 0.35, negate_value, negate_value),
    Pattern("needless-condition", "boolean", "a condition asks for too much or too little", 0.4,
            drop_condition, add_condition),
    Pattern("missing-condition", "boolean", "a condition lacks a part", 0.22, add_condition, drop_condition),
    Pattern("wrong-condition", "boolean", "another condition was meant", 0.12, replace_condition, replace_condition),
    Pattern("boolean-grouping", "boolean", "`and`, `or` and `not` apply in the wrong order", 0.4, regroup, regroup),
    Pattern("quantifier", "boolean", "`any` and `all` are confused", 0.5, quantifier, quantifier),
    Pattern("missing-bound", "boolean", "a comparison lacks its other bound", 0.25, chain),
)  # fmt: skip
