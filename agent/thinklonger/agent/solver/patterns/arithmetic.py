"""Arithmetic: operators, off-by-one, missing and needless operands, grouping, signs."""

import ast
import re
from collections.abc import Iterator

from thinklonger.agent.solver.kinds import NUMBERS, STR, Kinds
from thinklonger.agent.solver.pattern import Pattern
from thinklonger.agent.solver.place import Edit, Place, short
from thinklonger.agent.solver.scope import Variable

SYMBOLS: dict[type[ast.operator], str] = {
    ast.Add: "+",
    ast.Sub: "-",
    ast.Mult: "*",
    ast.Div: "/",
    ast.FloorDiv: "//",
    ast.Mod: "%",
    ast.Pow: "**",
    ast.BitAnd: "&",
    ast.BitOr: "|",
    ast.BitXor: "^",
    ast.LShift: "<<",
    ast.RShift: ">>",
    ast.MatMult: "@",
}
_OPERATOR = re.compile(r"\*\*|//|<<|>>|[-+*/%&|^@]")
_OTHERS: dict[str, dict[str, float]] = {
    "+": {"-": 1.0, "*": 0.5, "%": 0.15, "|": 0.15, "//": 0.1, "/": 0.1, "**": 0.1},
    "-": {"+": 1.0, "%": 0.25, "*": 0.2, "//": 0.15, "/": 0.15, "^": 0.1},
    "*": {"+": 0.6, "//": 0.4, "/": 0.5, "**": 0.5, "-": 0.2, "%": 0.2},
    "/": {"//": 1.0, "*": 0.7, "%": 0.2, "-": 0.2},
    "//": {"/": 1.0, "%": 0.9, "*": 0.4, ">>": 0.2, "-": 0.15},
    "%": {"//": 1.0, "-": 0.2, "/": 0.3, "*": 0.15, "+": 0.1},
    "**": {"*": 1.0, "^": 0.2, "<<": 0.1},
    "&": {"|": 1.0, "^": 0.7, "-": 0.3, "<<": 0.1, ">>": 0.2},
    "|": {"&": 1.0, "^": 0.7, "+": 0.3, "-": 0.2},
    "^": {"&": 0.9, "|": 0.9, "**": 0.8},
    "<<": {">>": 1.0, "*": 0.1},
    ">>": {"<<": 1.0, "//": 0.1},
    "@": {"*": 1.0},
}
_AUGMENTED: dict[str, dict[str, float]] = {**_OTHERS, "+": {**_OTHERS["+"], "": 0.6}, "-": {**_OTHERS["-"], "": 0.4}}


def token(place: Place, node: ast.BinOp) -> tuple[int, int] | None:
    """Where a binary operator begins and ends."""
    found = _OPERATOR.search(place.source.text, place.span(node.left)[1], place.span(node.right)[0])
    return found.span() if found else None


def operator(place: Place) -> Iterator[Edit]:
    """One binary operator for another."""
    for node in place.all(ast.BinOp):
        span = token(place, node)
        if span is None or _formats(place, node):
            continue
        symbol = SYMBOLS[type(node.op)]
        for other, weight in _others(place, node, symbol).items():
            yield place.splice(*span, other, weight=weight, note=f"`{symbol}` becomes `{other}`")


_OF_SETS: dict[str, dict[str, float]] = {
    "&": {"|": 1.0, "-": 1.0, "^": 0.5},
    "|": {"&": 1.0, "-": 0.9, "^": 0.5},
    "-": {"&": 1.0, "|": 0.9, "^": 0.5},
    "^": {"&": 0.9, "|": 0.9, "-": 0.9},
}


def _others(place: Place, node: ast.BinOp, symbol: str) -> dict[str, float]:
    """The operators that may be meant, by weight; sets have their own."""
    found = place.scope.kinds_of(node.left) | place.scope.kinds_of(node.right)
    if symbol in _OF_SETS and ("set" in found or (not found and symbol in "&|^")):
        return {**_OTHERS[symbol], **_OF_SETS[symbol]} if "set" not in found else _OF_SETS[symbol]
    return _OTHERS[symbol]


def _formats(place: Place, node: ast.BinOp) -> bool:
    return isinstance(node.op, ast.Mod) and place.scope.kinds_of(node.left) == STR


def augmented(place: Place) -> Iterator[Edit]:
    """`+=` ↔ `-=` ↔ `=` and relatives."""
    node = place.node
    text = place.source.text
    if isinstance(node, ast.AugAssign):
        begin, stop = place.span(node.target)[1], place.span(node.value)[0]
        found = re.search(r"(\S+?)=", text[begin:stop])
        if not found:
            return
        start, end = begin + found.start(), begin + found.end()
        symbol = SYMBOLS[type(node.op)]
        for other, weight in {"": 0.6, **_AUGMENTED[symbol]}.items():
            yield place.splice(start, end, f"{other}=", weight=weight, note=f"`{symbol}=` becomes `{other}=`")
    elif (
        isinstance(node, ast.Assign)
        and len(node.targets) == 1
        and isinstance(node.targets[0], ast.Name | ast.Attribute | ast.Subscript)
    ):
        begin, stop = place.span(node.targets[0])[1], place.span(node.value)[0]
        at = text.find("=", begin, stop)
        if at >= 0:
            for other, weight in _accumulations(place, node.targets[0], node.value).items():
                yield place.splice(at, at + 1, f"{other}=", weight=weight, note=f"`=` becomes `{other}=`")


_UPDATES = {"+": 1.0, "-": 0.6, "*": 0.3, "|": 0.25, "//": 0.15, "^": 0.1, "&": 0.1, "%": 0.1}


def _accumulations(place: Place, target: ast.expr, value: ast.expr) -> dict[str, float]:
    """The operations that an assignment may lack, by weight; none where the name has no value yet, or can't take one.

    What is added to is set before and, mostly, in a loop or kept in an object.
    """
    if isinstance(value, ast.List | ast.Dict | ast.Tuple | ast.Lambda | ast.Compare | ast.BoolOp):
        return {}
    if isinstance(target, ast.Name) and not place.scope.is_bound(target.id, place):
        return {}
    found = place.scope.kinds_of(value) | place.scope.kinds_of(target)
    if found & {"bool", "none", "callable", "iterator", "view", "dict"} and not found & NUMBERS:
        return {}
    share = 1.0 if place.loop is not None or isinstance(target, ast.Attribute) else 0.45
    numbers = 1.0 if found & NUMBERS else 0.3 if not found else 0.0
    sets = 1.0 if found & {"set", "int"} else 0.3 if not found else 0.0
    fitting = {"+": 1.0 if found else 0.6, "|": sets, "&": sets, "^": sets}
    weights = {other: weight * share * fitting.get(other, numbers) for other, weight in _UPDATES.items()}
    return {other: weight for other, weight in weights.items() if weight > _WORTH}


_WORTH = 0.02


_NO_NUMBERS = (
    ast.Constant, ast.Slice, ast.Starred, ast.JoinedStr, ast.Lambda, ast.Compare, ast.BoolOp, ast.Tuple, ast.List,
    ast.Dict, ast.Set,
)  # fmt: skip
_NO_SLOTS = (ast.Attribute, ast.keyword, ast.Starred, ast.Expr, ast.comprehension, ast.For)


def countable(place: Place, node: ast.expr) -> float:
    """How plausible it is that ±1 belongs at an expression, 0 where it is no number."""
    parent = place.module.parent(node)
    if isinstance(getattr(node, "ctx", None), ast.Store | ast.Del) or isinstance(node, _NO_NUMBERS):
        return 0.0
    inside_sum = (
        isinstance(parent, ast.BinOp) and isinstance(parent.op, ast.Add | ast.Sub) and isinstance(node, ast.BinOp)
    )
    called = isinstance(parent, ast.Call) and node is parent.func
    indexed = isinstance(parent, ast.Subscript) and node is parent.value
    if inside_sum or called or indexed or isinstance(parent, _NO_SLOTS):
        return 0.0
    found = place.scope.kinds_of(node)
    return _slot(parent, found) if not found or found & NUMBERS else 0.0


def _slot(parent: ast.AST | None, found: Kinds) -> float:  # noqa: PLR0911 - one case for each kind of node
    sure = 1.0 if "int" in found else 0.75
    match parent:
        case ast.Slice():
            return 1.0
        case ast.Subscript():
            return 0.9 if "int" in found else 0.6
        case ast.Call(func=ast.Name(id="range")):
            return 1.0
        case ast.Compare():
            return 0.7 * sure
        case ast.Return():
            return 0.8 * sure if found else 0.5
        case ast.Call():
            return 0.6 * sure if found else 0.4
        case ast.BinOp():
            return 0.5 * sure
        case ast.Assign() | ast.AugAssign():
            return 0.55 * sure if found else 0.35
        case _:
            return 0.4 * sure if found else 0.2


def off_by_one(place: Place) -> Iterator[Edit]:
    """`x` → `x + 1`, `x - 1`."""
    for node in place.all(ast.expr):
        weight = countable(place, node)
        if weight <= 0:
            continue
        text = place.segment(node)
        if isinstance(node, ast.IfExp | ast.NamedExpr | ast.Yield | ast.Await):
            text = f"({text})"
        for sign in ("+", "-"):
            yield place.swap(node, f"{text} {sign} 1", weight=weight)


def needless_one(place: Place) -> Iterator[Edit]:
    """`x + 1` → `x`, `x - 1` → `x`, and the opposite sign."""
    for node in place.all(ast.BinOp):
        if isinstance(node.op, ast.Add | ast.Sub) and isinstance(node.right, ast.Constant) and node.right.value == 1:
            yield place.swap(node, place.segment(node.left), weight=1.0)
            span = token(place, node)
            other = "-" if isinstance(node.op, ast.Add) else "+"
            if span:
                yield place.splice(*span, other, weight=0.8, note=f"the step of one is taken `{other}`wards")


def drop_operand(place: Place) -> Iterator[Edit]:
    """`a + b` → `a` or `b`."""
    for node in place.all(ast.BinOp):
        if _formats(place, node):
            continue
        for kept in (node.left, node.right):
            if isinstance(kept, ast.Constant) and isinstance(kept.value, int | float):
                continue
            yield place.swap(node, place.segment(kept), weight=1.0 if kept is node.left else 0.8)


def add_operand(place: Place) -> Iterator[Edit]:
    """`x` → `x + y`, `x - y`, `x * y`, `x + [y]` and relatives, with what is in scope."""
    near = [v for v in place.scope.variables.values() if v.origin != "module"][:10]
    for node in place.all(ast.expr):
        if isinstance(node, ast.IfExp | ast.NamedExpr | ast.Yield | ast.Await):
            continue
        text = place.segment(node)
        others = [variable for variable in near if variable.name != text]
        weight = countable(place, node)
        for variable in others if weight > 0 else ():
            if variable.kinds & NUMBERS or not variable.kinds:
                share = weight if variable.kinds else weight * 0.4
                for symbol, part in (("+", 1.0), ("-", 0.8), ("*", 0.4), ("//", 0.15), ("%", 0.2)):
                    tight = symbol not in "+-" and isinstance(node, ast.BinOp)
                    new = f"{f'({text})' if tight else text} {symbol} {variable.name}"
                    yield place.swap(node, new, weight=share * part)
        yield from _longer(place, node, others)


def _longer(place: Place, node: ast.expr, others: list[Variable]) -> Iterator[Edit]:
    """Operands of a list or a string, where a result is returned, stored or handed on."""
    parent = place.module.parent(node)
    called = isinstance(parent, ast.Call) and node is parent.func
    if not isinstance(parent, ast.Return | ast.Assign | ast.AugAssign | ast.Call) or called:
        return
    if not isinstance(getattr(node, "ctx", ast.Load()), ast.Load) or isinstance(node, ast.Starred | ast.Constant):
        return
    found, text = place.scope.kinds_of(node), place.segment(node)
    share = 1.0 if found else 0.3
    for variable in others:
        if not found or "list" in found:
            yield place.swap(node, f"{text} + [{variable.name}]", weight=share)
            yield place.swap(node, f"[{variable.name}] + {text}", weight=share)
        if found & variable.kinds & {"list", "str", "tuple"}:
            yield place.swap(node, f"{text} + {variable.name}", weight=share)
            yield place.swap(node, f"{variable.name} + {text}", weight=share * 0.8)


def regroup(place: Place) -> Iterator[Edit]:
    """`a + b * c` → `(a + b) * c`, `(a + b) * c` → `a + b * c`, `a - b - c` → `a - (b - c)`."""
    for node in place.all(ast.BinOp):
        symbol = SYMBOLS[type(node.op)]
        for side, inner in (("right", node.right), ("left", node.left)):
            if not isinstance(inner, ast.BinOp):
                continue
            within = SYMBOLS[type(inner.op)]
            first, second = _operand(place, inner.left), _operand(place, inner.right)
            outer = _operand(place, node.left if side == "right" else node.right)
            if side == "right":
                new = f"({outer} {symbol} {first}) {within} {second}"
            else:
                new = f"{first} {within} ({second} {symbol} {outer})"
            yield place.swap(node, new, weight=1.0)


def _operand(place: Place, node: ast.expr) -> str:
    text = place.segment(node)
    return f"({text})" if isinstance(node, ast.BinOp | ast.IfExp | ast.BoolOp | ast.Compare | ast.Lambda) else text


def order(place: Place) -> Iterator[Edit]:
    """`a - b` → `b - a`, for operators that do not commute, and `+` of sequences."""
    for node in place.all(ast.BinOp):
        if _formats(place, node):
            continue
        symbol = SYMBOLS[type(node.op)]
        found = place.scope.kinds_of(node)
        if symbol in {"*", "&", "|", "^"} or (symbol == "+" and found and found <= NUMBERS):
            continue
        new = f"{_operand(place, node.right)} {symbol} {_operand(place, node.left)}"
        yield place.swap(node, new, weight=1.0 if symbol != "+" or found else 0.4)


def sign(place: Place) -> Iterator[Edit]:
    """`-x` → `x` and `x` → `-x`."""
    for node in place.all(ast.expr):
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd):
            yield place.swap(node, place.segment(node.operand), weight=1.0)
        elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Invert):
            yield place.swap(node, place.segment(node.operand), weight=0.6)
        else:
            weight = countable(place, node)
            if weight > 0 and not isinstance(node, ast.IfExp):
                text = place.segment(node)
                text = f"({text})" if isinstance(node, ast.BinOp) else text
                yield place.swap(node, f"-{text}", weight=weight * 0.7)


def remainder(place: Place) -> Iterator[Edit]:
    """`x` → `x % n` with a modulus that the file uses, a length, or a size of the object."""
    cache = place.module.modulus_cache
    if place.function not in cache:
        cache[place.function] = _moduli(place)
    moduli = cache[place.function]
    for node in place.all(ast.expr) if moduli else ():
        weight = countable(place, node)
        if weight <= 0 or (isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mod)):
            continue
        text = place.segment(node)
        left = f"({text})" if isinstance(node, ast.BinOp | ast.IfExp) else text
        share = 1.0 if isinstance(node, ast.BinOp) else 0.6
        for modulus, near in moduli.items():
            if modulus != text:
                yield place.swap(node, f"{left} % {modulus}", weight=weight * share * near)


def _moduli(place: Place) -> dict[str, float]:
    """What a number here may wrap around at, with how near that is, in (0, 1]."""
    found: dict[str, float] = {}
    for other in place.module.places:
        near = 1.0 if other.function is place.function else 0.8 if other.klass and other.klass is place.klass else 0.4
        for node in other.all((ast.BinOp, ast.Call)):
            if isinstance(node, ast.Call):
                if isinstance(node.func, ast.Name) and node.func.id == "len" and other.function is place.function:
                    found.setdefault(other.segment(node), 0.35)
            elif isinstance(node.op, ast.Mod) and isinstance(node.right, ast.Name | ast.Constant | ast.Attribute):
                number = not isinstance(node.right, ast.Constant) or isinstance(node.right.value, int)
                if number and all(name in place.scope.visible for name in _read(node.right)):
                    text = other.segment(node.right)
                    found[text] = max(found.get(text, 0.0), near)
    for name in place.module.facts.attribute_kinds(place.klass):
        if name.strip("_") in {"capacity", "size", "modulus", "maxlen", "limit"}:
            found.setdefault(f"self.{name}", 0.4)
    return dict(sorted(found.items(), key=lambda item: -item[1])[:4])


def _read(node: ast.AST) -> Iterator[str]:
    return (inner.id for inner in ast.walk(node) if isinstance(inner, ast.Name))


def clamp(place: Place) -> Iterator[Edit]:
    """`x` → `max(x, 0)`, `min(x, y)`, `abs(x)` for numbers."""
    numbers = [v.name for v in place.scope.variables.values() if v.kinds & NUMBERS and v.origin != "module"][:5]
    for node in place.all(ast.expr):
        weight = countable(place, node)
        if weight <= 0 or isinstance(node, ast.Call):
            continue
        text = place.segment(node)
        yield place.swap(node, f"max({text}, 0)", weight=weight * 0.8)
        yield place.swap(node, f"abs({text})", weight=weight * 0.8)
        for other in numbers:
            if other != text:
                yield place.swap(node, f"max({text}, {other})", weight=weight * 0.5)
                yield place.swap(node, f"min({text}, {other})", weight=weight * 0.5)


def accumulate(place: Place) -> Iterator[Edit]:
    """`best = x` → `best = max(best, x)`, `min(best, x)`, `best + x`."""
    node = place.node
    if not isinstance(node, ast.Assign) or len(node.targets) != 1 or place.loop is None:
        return
    target = node.targets[0]
    if not isinstance(target, ast.Name | ast.Attribute | ast.Subscript):
        return
    name, value = place.segment(target), place.segment(node.value)
    found = place.scope.kinds_of(node.value)
    if isinstance(node.value, ast.List | ast.Dict | ast.Tuple) or (found and not found & NUMBERS):
        return
    for new in (f"max({name}, {value})", f"min({name}, {value})"):
        yield place.swap(
            node.value, new, weight=1.0 if value != name else 0.1, note=f"`{short(value)}` becomes `{short(new)}`"
        )


PATTERNS = (
    Pattern("operator", "arithmetic", "the wrong arithmetic or bit operator is used", 0.55, operator, operator),
    Pattern(
        "augmented-operator", "arithmetic", "a variable is updated by the wrong operation", 0.55, augmented, augmented
    ),
    Pattern("off-by-one", "arithmetic", "a number is one too small or too large", 0.6, off_by_one, needless_one),
    Pattern(
        "needless-one", "arithmetic", "one is added or taken away where it should not be", 0.7, needless_one, off_by_one
    ),
    Pattern(
        "needless-operand",
        "arithmetic",
        "an operand does not belong into the expression",
        0.25,
        drop_operand,
        add_operand,
    ),
    Pattern(
        "missing-operand", "arithmetic", "an operand is missing from the expression", 0.16, add_operand, drop_operand
    ),
    Pattern("grouping", "arithmetic", "operators apply in the wrong order", 0.4, regroup, regroup),
    Pattern("operand-order", "arithmetic", "the operands are exchanged", 0.35, order, order),
    Pattern("sign", "arithmetic", "the sign is wrong", 0.25, sign, sign),
    Pattern("missing-modulo", "arithmetic", "a number does not wrap around", 0.25, remainder),
    Pattern("missing-clamp", "arithmetic", "a number is not kept within its bounds", 0.07, clamp, ceiling=0.8),
    Pattern("missing-extreme", "arithmetic", "an extreme or total is overwritten, not accumulated", 0.25, accumulate),
)
