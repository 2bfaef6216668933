"""Definitions: parameters, defaults, decorators, scopes of names, attributes shared between objects."""

import ast
import re
from collections.abc import Iterator
from itertools import pairwise

from thinklonger.agent.solver.pattern import Pattern
from thinklonger.agent.solver.place import Edit, Function, Place, indented
from thinklonger.agent.solver.scope import BUILTINS, arguments, with_defaults


def mutable_default(place: Place) -> Iterator[Edit]:
    """`def f(x=[])` → `def f(x=None)` and a fresh value in the body."""
    node = place.node
    if not isinstance(node, Function):
        return
    for argument, default in with_defaults(node):
        if default is None or not _mutable(default):
            continue
        first = place.blocks["body"].places[0]
        at = first
        if (
            isinstance(first.node, ast.Expr)
            and isinstance(first.node.value, ast.Constant)
            and len(place.blocks["body"].places) > 1
        ):
            at = place.blocks["body"].places[1]
        if at.indent is None:
            continue
        value = place.segment(default)
        start, stop = place.span(default)
        end = place.source.line_start(place.source.line_at(at.start))
        guard = (
            indented(f"if {argument.arg} is None:\n{place.module.indent_step}{argument.arg} = {value}", at.indent)
            + "\n"
        )
        new = "None" + place.source.text[stop:end] + guard
        note = f"`{argument.arg}` gets a fresh `{value}` at each call"
        yield Edit(place, start, end, new, 1.0, note, (place.block, place.index, place.index + 1))


def _mutable(node: ast.expr) -> bool:
    if isinstance(node, ast.List | ast.Dict | ast.Set):
        return True
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in {"list", "dict", "set", "deque", "defaultdict"}
    )


def parameters(place: Place) -> Iterator[Edit]:
    """`self` missing, a default missing, two parameters exchanged."""
    node = place.node
    if not isinstance(node, Function):
        return
    open_at = place.source.text.find(
        "(", place.source.text.find(node.name, place.source.offset(node.lineno, node.col_offset) + 3)
    )
    method = place.parent is not None and place.parent is place.klass
    names = [argument.arg for argument in arguments(node)]
    static = any(
        isinstance(decorator, ast.Name) and decorator.id in {"staticmethod", "classmethod"}
        for decorator in node.decorator_list
    )
    if method and "self" not in names and "cls" not in names and not static:
        lead = "self, " if names else "self"
        yield place.splice(open_at + 1, open_at + 1, lead, weight=1.0, note="`self` becomes the first parameter")
        at = place.start
        new = f"@staticmethod\n{place.indent or ''}"
        yield place.splice(at, at, new, weight=0.8, note="the function becomes a static method")
    plain = [argument for argument in [*node.args.posonlyargs, *node.args.args] if argument.arg not in {"self", "cls"}]
    text = place.source.text
    for first, second in pairwise(plain):
        if node.args.defaults:
            break
        (start, stop), (begin, end) = place.span(first), place.span(second)
        new = text[begin:end] + text[stop:begin] + text[start:stop]
        yield place.splice(
            start, end, new, weight=0.3, note=f"parameters `{first.arg}` and `{second.arg}` change places"
        )
    if plain and len(node.args.defaults) < len(plain) and "TypeError" in place.module.clues.raised:
        last = plain[len(plain) - len(node.args.defaults) - 1]
        end = place.span(last)[1]
        for default, weight in (
            ("None", 1.0),
            ("0", 0.7),
            ("''", 0.4),
            ("()", 0.3),
            ("1", 0.3),
            ("False", 0.5),
            ("True", 0.4),
        ):
            yield place.splice(
                end, end, f"={default}", weight=weight, note=f"`{last.arg}` may be left out (`{default}`)"
            )


def decorators(place: Place) -> Iterator[Edit]:
    """`@property`, `@classmethod`, `@staticmethod` missing or too much."""
    node = place.node
    if not isinstance(node, Function):
        return
    have = {ast.unparse(decorator) for decorator in node.decorator_list}
    method = place.parent is not None and place.parent is place.klass
    names = [argument.arg for argument in arguments(node)]
    options: list[tuple[str, float]] = []
    if method and names == ["self"]:
        options.append(("property", 0.8))
    if method and names[:1] == ["cls"]:
        options.append(("classmethod", 1.0))
    if method and names[:1] not in (["self"], ["cls"]):
        options.append(("staticmethod", 0.8))
    if any(isinstance(inner, ast.Yield) for inner in ast.walk(node)) and "contextmanager" in place.scope.visible:
        options.append(("contextmanager", 0.8))
    for name, weight in options:
        if name not in have and not have & {"property", "classmethod", "staticmethod"} and place.indent is not None:
            yield place.splice(
                place.start, place.start, f"@{name}\n{place.indent}", weight=weight, note=f"`@{name}` is added"
            )
    for decorator in node.decorator_list:
        start = place.source.text.rindex("@", 0, place.span(decorator)[0])
        found = re.compile(r"\s*\n[ \t]*").match(place.source.text, place.span(decorator)[1])
        if found:
            yield place.splice(start, found.end(), "", weight=0.4, note=f"`@{ast.unparse(decorator)}` is dropped")


def coroutine(place: Place) -> Iterator[Edit]:
    """`def` ↔ `async def`."""
    node = place.node
    if isinstance(node, ast.FunctionDef):
        at = place.source.offset(node.lineno, node.col_offset)
        delegates = any(isinstance(inner, ast.YieldFrom) for inner in ast.walk(node))
        if place.source.text.startswith("def", at) and "asyncio" in place.source.text and not delegates:
            yield place.splice(at, at, "async ", weight=0.6, note=f"`{node.name}` becomes a coroutine")
    elif isinstance(node, ast.AsyncFunctionDef):
        at = place.source.offset(node.lineno, node.col_offset)
        found = re.compile(r"async\s+").match(place.source.text, at)
        if found and not any(isinstance(inner, ast.Await | ast.AsyncFor | ast.AsyncWith) for inner in ast.walk(node)):
            yield place.splice(at, found.end(), "", weight=0.6, note=f"`{node.name}` becomes a plain function")


def declaration(place: Place) -> Iterator[Edit]:
    """`nonlocal x` or `global x` missing."""
    node = place.node
    if not isinstance(node, Function):
        return
    declared = {
        name for inner in ast.walk(node) if isinstance(inner, ast.Global | ast.Nonlocal) for name in inner.names
    }
    own = {argument.arg for argument in arguments(node)}
    stored = [inner.id for inner in ast.walk(node) if isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Store)]
    outer = place.module.scope(place.parent) if place.parent is not None else None
    first = place.blocks["body"].places[0]
    if (
        isinstance(first.node, ast.Expr)
        and isinstance(first.node.value, ast.Constant)
        and len(place.blocks["body"].places) > 1
    ):
        first = place.blocks["body"].places[1]
    for name in dict.fromkeys(stored):
        if name in own | declared | BUILTINS:
            continue
        weight = 1.0 if name in place.module.clues.missing else 0.5
        closure = (
            outer is not None and outer.variables.get(name) is not None and outer.variables[name].origin != "module"
        )
        if closure and place.function is not None:
            made = first.before(f"nonlocal {name}", weight=weight, note=f"`{name}` means the enclosing function's")
        elif name in place.module.facts.globals:
            made = first.before(f"global {name}", weight=weight, note=f"`{name}` means the module's")
        else:
            made = None
        if made:
            yield made


def late_binding(place: Place) -> Iterator[Edit]:
    """`lambda: i` in a loop → `lambda i=i: i`."""
    bound: set[str] = set()
    loop = place.loop
    while loop is not None:
        target = getattr(loop.node, "target", None)
        bound |= (
            {inner.id for inner in ast.walk(target) if isinstance(inner, ast.Name)} if target is not None else set()
        )
        loop = loop.parent.loop if loop.parent is not None else None
    for part in place.all(ast.comprehension):
        bound |= {inner.id for inner in ast.walk(part.target) if isinstance(inner, ast.Name)}
    for node in place.all(ast.Lambda):
        own = {argument.arg for argument in arguments(node)}
        used = [inner.id for inner in ast.walk(node.body) if isinstance(inner, ast.Name) and inner.id in bound - own]
        for name in dict.fromkeys(used):
            body = place.segment(node.body)
            head = place.source.text[place.span(node)[0] : place.span(node.body)[0]]
            given = head.removeprefix("lambda").rstrip().removesuffix(":").strip()
            lead = f"{given}, " if given else ""
            yield place.swap(node, f"lambda {lead}{name}={name}: {body}", weight=1.0)


def shared_attribute(place: Place) -> Iterator[Edit]:
    """A mutable class attribute that each object should have of its own: set in `__init__`."""
    if place.function is None or place.klass is None or getattr(place.function.node, "name", "") != "__init__":
        return
    if place.parent is not place.function or place.index:
        return
    for node in getattr(place.klass.node, "body", ()):
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=value) if _mutable(value):
                text = ast.unparse(value)
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value) if _mutable(value):
                text = ast.unparse(value)
            case _:
                continue
        made = place.before(f"self.{name} = {text}", weight=1.0, note=f"each object gets its own `{name}`")
        if made:
            yield made


PATTERNS = (
    Pattern(
        "mutable-default",
        "definition",
        "a default value is shared between calls",
        0.8,
        mutable_default,
        structural=True,
    ),
    Pattern("parameters", "definition", "the parameters are not as they are used", 0.4, parameters),
    Pattern("decorator", "definition", "a decorator is missing or too much", 0.25, decorators, decorators),
    Pattern("coroutine", "definition", "a function should be a coroutine, or should not", 0.2, coroutine),
    Pattern(
        "declaration", "definition", "an assignment makes a local of an outer name", 0.6, declaration, structural=True
    ),
    Pattern("late-binding", "definition", "a function made in a loop sees the loop's last value", 0.7, late_binding),
    Pattern(
        "shared-attribute", "definition", "objects share one mutable attribute", 0.7, shared_attribute, structural=True
    ),
)
