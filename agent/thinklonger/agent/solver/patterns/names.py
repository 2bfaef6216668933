"""Names: the wrong variable, the wrong attribute, a missing `self.`, an index or attribute too many or too few."""

import ast
from collections.abc import Iterator

from thinklonger.agent.solver import kinds
from thinklonger.agent.solver.pattern import Pattern
from thinklonger.agent.solver.place import Edit, Place
from thinklonger.agent.solver.scope import BUILTINS, Variable, alike

_MODULE_SHARE = 0.3
_UNUSED = 1.6
"""A variable that is never read was meant to be read somewhere."""
_FLOOR = 0.6
"""What the best of several poorly fitting names is still worth: some name must be the right one."""


def _value_names(place: Place) -> Iterator[tuple[ast.Name, bool]]:
    """The names that a header reads as values, and those that it binds (True)."""
    for node in place.all(ast.Name):
        parent = place.module.parent(node)
        if isinstance(node.ctx, ast.Del) or (isinstance(parent, ast.Call) and node is parent.func):
            continue
        yield node, isinstance(node.ctx, ast.Store)


def variable(place: Place) -> Iterator[Edit]:
    """A variable → another of a fitting kind, alike names and near uses first."""
    scope = place.scope
    bound_in_comprehension = {
        n.id for c in place.all(ast.comprehension) for n in ast.walk(c.target) if isinstance(n, ast.Name)
    }
    for node, stored in _value_names(place):
        if node.id in {"self", "cls"} or (stored and _is_loop_target(place, node)) or _is_type(place, node.id):
            continue
        options: dict[str, float] = {}
        for other in scope.variables.values():
            if other.name != node.id and (
                other.origin not in {"module", "closure"} if stored else _is_set(place, other)
            ):
                weight = _suits(place, node, other)
                if weight > 0.02:  # noqa: PLR2004 - not worth a run
                    options[other.name] = weight
        best = max(options.values(), default=1.0)
        for name, weight in options.items():
            share = weight / best * min(_FLOOR + (1 - _FLOOR) * best, 1.0) * (0.5 if stored else 1.0)
            yield place.swap(node, name, weight=share)
        for name in sorted(bound_in_comprehension - {node.id} - set(scope.variables)):
            yield place.swap(node, name, weight=0.6)


def _suits(place: Place, node: ast.Name, other: Variable) -> float:
    """How well a variable stands in for a name at a place, in [0, 1]."""
    weight = kinds.fit(other.kinds, place.scope.lookup(node.id)) * alike(node.id, other.name)
    if other.origin == "module":
        weight *= _MODULE_SHARE
    elif other.name not in place.scope.read:
        weight *= _UNUSED
    return weight


def _is_set(place: Place, other: Variable) -> bool:
    """Whether a variable can have a value here; one that can't is no repair."""
    return other.origin != "local" or place.scope.is_bound(other.name, place)


def _is_type(place: Place, name: str) -> bool:
    """Whether a name stands for a built-in type or constant: `type-name` and others know what to put there."""
    return name in BUILTINS and name not in place.scope.variables


def _is_loop_target(place: Place, node: ast.Name) -> bool:
    return isinstance(place.module.parent(node), ast.comprehension | ast.For)


_KIN = (
    ("ascii_lowercase", "ascii_uppercase", "ascii_letters", "digits"), ("days", "seconds", "total_seconds()"),
    ("year", "month", "day"), ("hour", "minute", "second"), ("inf", "nan"), ("pi", "tau", "e"),
    ("stdout", "stderr", "stdin"), ("parent", "name", "stem", "suffix"),
)  # fmt: skip
"""Attributes of the standard library that are taken for each other."""


def attribute(place: Place) -> Iterator[Edit]:
    """`x.a` → `x.b`, with attributes of the same class first."""
    facts = place.module.facts
    own = facts.attribute_kinds(place.klass)
    for node in place.all(ast.Attribute):
        parent = place.module.parent(node)
        called = isinstance(parent, ast.Call) and parent.func is node
        mine = isinstance(node.value, ast.Name) and node.value.id in {"self", "cls"}
        if called:
            continue
        end = place.span(node)[1]
        start = end - len(node.attr)
        options: dict[str, float] = {}
        if mine:
            want = own.get(node.attr, kinds.UNKNOWN)
            for name, found in own.items():
                options[name] = kinds.fit(found, want)
        options |= {name: 0.9 for group in _KIN if node.attr in group for name in group}
        for name, count in facts.attributes.items():
            options.setdefault(name, 0.25 if mine else min(0.5 + 0.1 * count, 0.9))
        for name in sorted(place.module.clues.missing):
            if name.isidentifier():
                options[name] = 1.0
        methods = {callee.name for callee in facts.callees if callee.method}
        for name, weight in options.items():
            if name != node.attr and (name not in methods or name in place.module.clues.missing):
                share = weight * alike(node.attr, name)
                yield place.splice(start, end, name, weight=share, note=f"`.{node.attr}` becomes `.{name}`")


def own_attribute(place: Place) -> Iterator[Edit]:
    """`x` ↔ `self.x`: a forgotten or needless `self.`, and a local taken for an attribute."""
    if place.klass is not None and place.function is not None:
        yield from _to_attribute(place)
        yield from _to_local(place)


def _to_attribute(place: Place) -> Iterator[Edit]:
    own = place.module.facts.attribute_kinds(place.klass)
    methods = {callee.name for callee in place.module.facts.callees if callee.method}
    for node in place.all(ast.Name):
        parent = place.module.parent(node)
        if node.id in {"self", "cls"}:
            continue
        known = [name for name in (node.id, f"_{node.id}") if name in own or name in methods]
        if known:
            yield place.swap(node, f"self.{known[0]}", weight=1.0)
        elif not (isinstance(parent, ast.Call) and node is parent.func) and isinstance(node.ctx, ast.Load):
            want = place.scope.lookup(node.id)
            for name, found in own.items():
                if name not in methods:
                    weight = kinds.fit(found, want) * alike(node.id, name)
                    yield place.swap(node, f"self.{name}", weight=weight * 0.5)


def _to_local(place: Place) -> Iterator[Edit]:
    own = place.module.facts.attribute_kinds(place.klass)
    names = place.scope.variables
    for node in place.all(ast.Attribute):
        if not (isinstance(node.value, ast.Name) and node.value.id == "self"):
            continue
        if node.attr.lstrip("_") in names:
            yield place.swap(node, node.attr.lstrip("_"), weight=0.6)
            continue
        want = own.get(node.attr, kinds.UNKNOWN)
        for other in names.values():
            if other.origin in {"parameter", "local"}:
                weight = kinds.fit(other.kinds, want) * alike(node.attr, other.name)
                yield place.swap(node, other.name, weight=weight * 0.35)


def receiver(place: Place) -> Iterator[Edit]:
    """`x` → `x.a`, `x.a` → `x`, `x.a` → `x.a.a`: a step along a link too few or too many."""
    attributes = place.module.facts.attributes
    common = sorted(attributes, key=lambda name: -attributes[name])[:8]
    for node in place.all(ast.Attribute):
        parent = place.module.parent(node)
        if isinstance(parent, ast.Call) and parent.func is node:
            continue
        text = place.segment(node)
        if isinstance(node.ctx, ast.Load) and not (
            isinstance(node.value, ast.Name) and node.value.id in {"self", "cls"}
        ):
            yield place.swap(node, place.segment(node.value), weight=0.8)
        if isinstance(node.ctx, ast.Load):
            for name in common:
                weight = 0.7 if name == node.attr else 0.4
                yield place.swap(node, f"{text}.{name}", weight=weight)
    for node, stored in _value_names(place):
        if stored or node.id in {"self", "cls"} or isinstance(place.module.parent(node), ast.Attribute):
            continue
        found = place.scope.lookup(node.id)
        if found and not found & {"object", "none"}:
            continue
        for name in common:
            yield place.swap(node, f"{node.id}.{name}", weight=0.8 if found else 0.45)


def index(place: Place) -> Iterator[Edit]:
    """`x` → `x[0]`, `x[-1]`, `x[i]`; `x[i]` → `x`; `x[i]` → `i`; `i` → `x[i]`."""
    for node in place.all(ast.Subscript):
        if isinstance(node.ctx, ast.Load) and not isinstance(node.slice, ast.Slice):
            yield place.swap(node, place.segment(node.value), weight=0.6)
            yield place.swap(node, place.segment(node.slice), weight=0.5)
    for node in place.all((ast.Name, ast.Attribute)):
        parent = place.module.parent(node)
        called = isinstance(parent, ast.Call) and parent.func is node
        own = isinstance(node, ast.Name) and node.id in {"self", "cls"}
        if isinstance(node.ctx, ast.Load) and not (called or own or isinstance(parent, ast.Attribute)):
            found = place.scope.kinds_of(node)
            if not found or found & _CONTAINERS:
                yield from _items_of(place, node, found)
            elif "int" in found:
                yield from _item_at(place, node)


_CONTAINERS = frozenset({"list", "tuple", "str", "dict", "deque"})


def _items_of(place: Place, node: ast.expr, found: kinds.Kinds) -> Iterator[Edit]:
    text = place.segment(node)
    near = [v for v in place.scope.variables.values() if v.origin in {"local", "parameter"} and v.name != text]
    share = 0.6 if found else 0.2
    for key in ("0", "-1", "1", *[v.name for v in near if "int" in v.kinds][:4]):
        yield place.swap(node, f"{text}[{key}]", weight=share * (1.0 if key in {"0", "-1"} else 0.6))
    for variable in near[:6] if "dict" in found else ():
        yield place.swap(node, f"{text}[{variable.name}]", weight=share * 0.8)


def _item_at(place: Place, node: ast.expr) -> Iterator[Edit]:
    text = place.segment(node)
    for sequence in place.scope.variables.values():
        if sequence.kinds & _CONTAINERS and sequence.name != text:
            yield place.swap(node, f"{sequence.name}[{text}]", weight=0.35)


def expression(place: Place) -> Iterator[Edit]:
    """An expression → another one of a fitting kind from the same function."""
    donors = _donors(place)
    for node in place.all(ast.expr):
        parent = place.module.parent(node)
        if isinstance(node, ast.Constant | ast.JoinedStr | ast.Starred | ast.Slice | ast.Lambda) or not isinstance(
            getattr(node, "ctx", ast.Load()), ast.Load
        ):
            continue
        if isinstance(parent, ast.Expr | ast.Attribute) or (isinstance(parent, ast.Call) and node is parent.func):
            continue
        want = place.scope.kinds_of(node)
        own = ast.dump(node)
        size = _size(node)
        for text, found, dump, other in donors:
            if dump == own or (isinstance(node, ast.Name) and isinstance(other, ast.Name)):
                continue
            weight = (
                kinds.fit(found, want)
                * (0.8 if type(other) is type(node) else 0.5)
                / (1 + 0.3 * abs(_size(other) - size))
            )
            if weight > 0.1:  # noqa: PLR2004 - not worth a run
                yield place.swap(node, text, weight=weight)


def _size(node: ast.AST) -> int:
    return sum(1 for _ in ast.walk(node)) // 2


def _donors(place: Place) -> list[tuple[str, kinds.Kinds, str, ast.expr]]:
    key = place.function
    cache = place.module.expression_cache
    if key not in cache:
        found: dict[str, tuple[str, kinds.Kinds, str, ast.expr]] = {}
        for other in place.module.places:
            if other.function is not place.function and other is not place.function:
                continue
            for node in other.all(ast.expr):
                if isinstance(
                    node, ast.Name | ast.Attribute | ast.Subscript | ast.BinOp | ast.Call | ast.UnaryOp
                ) and isinstance(getattr(node, "ctx", ast.Load()), ast.Load):
                    dump = ast.dump(node)
                    if dump not in found and len(dump) < 400:  # noqa: PLR2004 - small expressions only
                        found[dump] = (other.segment(node), other.scope.kinds_of(node), dump, node)
        cache[key] = list(found.values())[:60]
    return cache[key]


PATTERNS = (
    Pattern("variable", "name", "the wrong variable is used", 0.5, variable, variable),
    Pattern("attribute", "name", "the wrong attribute is used", 0.35, attribute, attribute),
    Pattern("own-attribute", "name", "a local and an attribute of the object are confused", 0.3, own_attribute),
    Pattern("receiver", "name", "a step along a link is missing or too much", 0.2, receiver, ceiling=0.8),
    Pattern(
        "index-presence", "name", "a container is used where its item is meant, or the reverse", 0.2, index, ceiling=0.6
    ),
    Pattern("expression", "name", "another expression of the function was meant", 0.14, expression, ceiling=0.8),
)
