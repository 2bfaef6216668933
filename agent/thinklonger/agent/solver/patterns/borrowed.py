"""Repairs with what the file does elsewhere: its calls, chains, members, flags and parameters; one edit in many places.

Their priors lie below those of the patterns whose edits are made of one place alone: a donor that fits is one among
several. In the counts that `catalogue` names, calls wrapped around a value (5 %), keywords and arguments added (7 %),
method calls added (1 %) and statements put under a condition (2 %) are mostly of this kind in projects with helpers of
their own.
"""

import ast
from collections.abc import Iterator

from thinklonger.agent.solver import kinds
from thinklonger.agent.solver.pattern import Pattern, Sites
from thinklonger.agent.solver.patterns.calls import drop_argument, unwrap, wrappable
from thinklonger.agent.solver.patterns.comparisons import boundary, truth
from thinklonger.agent.solver.patterns.names import attribute, own_attribute
from thinklonger.agent.solver.place import Block, Edit, Function, Place, short
from thinklonger.agent.solver.scope import BUILTINS, alike, arguments, with_defaults

_MOST = 8
_LONG = 40
"""A donor whose source is longer than this is not copied."""
_TWICE = 2
_OFTEN = 4


def borrowed_call(place: Place) -> Iterator[Edit]:
    """`x` → `escape(x)`, `bytes.fromhex(x)`, `map(str, x)`: a call that the file makes of another value."""
    donors = _calls(place)
    for node in place.all(ast.expr) if donors else ():
        parent = place.module.parent(node)
        if not wrappable(node, parent) or isinstance(parent, ast.Starred):
            continue
        text = place.segment(node)
        for lead, argument, weight in donors:
            if not text.startswith(lead) and not (
                isinstance(parent, ast.Call) and place.segment(parent) == f"{lead}{text})"
            ):
                yield place.wrap(node, f"{lead}{text})", weight=weight * alike(argument, text))
    yield from _messages(place)


def _messages(place: Place) -> Iterator[Edit]:
    """`e.args[0]`, `e.message` → `str(e)` for an exception that was caught."""
    caught = _caught(place)
    for node in place.all((ast.Subscript, ast.Attribute)) if caught else ():
        inner = node.value
        root = inner.value if isinstance(inner, ast.Attribute) and isinstance(node, ast.Subscript) else inner
        if (
            isinstance(root, ast.Name)
            and root.id == caught
            and not isinstance(place.module.parent(node), ast.Subscript)
        ):
            yield place.wrap(node, f"str({caught})", weight=0.9)


def _caught(place: Place) -> str | None:
    current: Place | None = place
    while current is not None:
        if isinstance(current.node, ast.ExceptHandler):
            return current.node.name
        current = current.parent
    return None


def _calls(place: Place) -> list[tuple[str, str, float]]:
    """Calls of one value that the file makes: what stands before the value, the value, and a weight; nearest first."""
    cache = place.module.call_cache
    if place.function not in cache:
        found: dict[str, tuple[str, str, float]] = {}
        visible = place.scope.visible
        rows, unused = _all_calls(place)
        for other, lead, argument, share in rows:
            near = (
                1.0 if other.function is place.function else 0.8 if other.klass and other.klass is place.klass else 0.6
            )
            weight = near * share
            if lead.partition("(")[0].partition(".")[0] in visible and (lead not in found or weight > found[lead][2]):
                found[lead] = (lead, argument, weight)
        for name in unused:
            found.setdefault(f"{name}(", (f"{name}(", "", 0.7))
        cache[place.function] = sorted(found.values(), key=lambda item: -item[2])[:_MOST]
    return cache[place.function]


def _all_calls(place: Place) -> tuple[list[tuple[Place, str, str, float]], list[str]]:
    """The file's calls of one value, each where it stands, and the functions that it imports and never names."""
    module = place.module
    if module.all_calls is None:
        rows = ((other, _donor(other, node)) for other in module.places for node in other.all(ast.Call))
        module.all_calls = [(other, *row) for other, row in rows if row is not None], _unused_imports(place)
    return module.all_calls


def _donor(place: Place, node: ast.Call) -> tuple[str, str, float] | None:
    """A call as a donor, if it is one of a value: a function's, or the same function's over a value's items."""
    if (
        node.keywords
        or not isinstance(node.func, ast.Name | ast.Attribute)
        or any(isinstance(argument, ast.Starred | ast.GeneratorExp) for argument in node.args)
    ):
        return None
    name = place.segment(node.func)
    plain = (
        len(name) <= _LONG
        and "\n" not in name
        and name.replace(".", "").isidentifier()
        and not name.startswith("self.")
    )
    if not plain or (isinstance(node.func, ast.Name) and name in kinds.CALLS and name != "map"):
        return None
    match node.args:
        case [ast.expr() as value] if name.partition(".")[0] in place.module.facts.globals | (
            BUILTINS if "." in name else frozenset()
        ):
            return f"{name}(", place.segment(value), 0.9 if "." in name else 1.0
        case [ast.Name(id=first), value] if name in {"map", "filter"}:
            return f"{name}({first}, ", place.segment(value), 0.9
        case _:
            return None


def _unused_imports(place: Place) -> list[str]:
    """Functions that the file imports and never names: somebody meant to call them."""
    tree = place.module.source.tree
    named = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    found = [
        alias.asname or alias.name
        for node in tree.body
        if isinstance(node, ast.ImportFrom) and node.module != "__future__"
        for alias in node.names
    ]
    return [name for name in found if name not in named and name.islower()][:_TWICE]


def chain(place: Place) -> Iterator[Edit]:
    """`x.m()` → `x.m().n(a)` and `x.n(a).m()`, with calls that the function makes of other values."""
    donors = _links(place)
    for node in place.all((ast.Call, ast.Name, ast.Attribute)) if donors else ():
        parent = place.module.parent(node)
        received = isinstance(parent, ast.Attribute) and isinstance(place.module.parent(parent), ast.Call)
        own = isinstance(node, ast.Name) and node.id in {"self", "cls"}
        if own or not (wrappable(node, parent) or received):
            continue
        method = isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
        found = place.scope.kinds_of(node)
        text = place.segment(node)
        for link, owner in donors:
            fits = kinds.fit(found, owner) if found and owner else 0.5
            if fits > 0.5 or method:  # noqa: PLR2004 - a kind that fits, or nothing known of a chain
                yield place.wrap(node, f"{text}{link}", weight=max(fits, 0.4) * (1.0 if method else 0.6))


def _links(place: Place) -> list[tuple[str, kinds.Kinds]]:
    """The method calls of the function with their arguments, and what they are called on."""
    cache = place.module.link_cache
    if place.function not in cache:
        found: dict[str, kinds.Kinds] = {}
        for other in place.module.places:
            if other.function is not place.function:
                continue
            for node in other.all(ast.Call):
                if isinstance(node.func, ast.Attribute) and isinstance(
                    other.module.parent(node), ast.expr | ast.Assign | ast.Return
                ):
                    start = other.span(node.func.value)[1]
                    end = other.span(node)[1]
                    outer = other.module.parent(node)
                    link = other.source.text[start:end]
                    if len(link) <= _LONG and "\n" not in link:
                        owner = other.scope.kinds_of(node.func.value) or kinds.OWNERS.get(node.func.attr, kinds.UNKNOWN)
                        found.setdefault(link, owner)
                        if isinstance(outer, ast.Subscript) and outer.value is node:
                            found.setdefault(other.source.text[start : other.span(outer)[1]], owner)
        cache[place.function] = list(found.items())[:_MOST]
    return cache[place.function]


def flag_guard(place: Place) -> Iterator[Edit]:
    """A statement put under `if flag:`, `if not self.flag:`, `if x is not None:`, `if isinstance(x, T):`."""
    if place.function is None or not place.movable or isinstance(place.node, Function | ast.ClassDef | ast.Return):
        return
    if not isinstance(place.node, ast.Expr | ast.Assign | ast.AugAssign | ast.Raise | ast.For | ast.Delete):
        return
    if isinstance(place.node, ast.Expr) and isinstance(place.node.value, ast.Constant):
        return
    body = place.source.text[place.rows[0] : place.rows[1]]
    step, indent = place.module.indent_step, place.indent or ""
    text = "".join(step + line if line.strip() else line for line in body.splitlines(keepends=True))
    for test, weight in _flags(place):
        made = place.restructure(
            f"{indent}if {test}:\n{text}", weight=weight, note=f"`{short(place.text)}` runs only if `{test}`"
        )
        if made:
            yield made


def _flags(place: Place) -> list[tuple[str, float]]:
    """Conditions about the flags, optional parameters and types that the function or its object has."""
    cache = place.module.flag_cache
    if place.function not in cache:
        found: dict[str, float] = {}
        owner = place.function.node if place.function is not None else place.node
        for argument, default in with_defaults(owner):
            if isinstance(default, ast.Constant) and isinstance(default.value, bool):
                found[argument.arg], found[f"not {argument.arg}"] = 0.9, 0.9
            elif isinstance(default, ast.Constant) and default.value is None:
                found[f"{argument.arg} is not None"] = 0.9
        for name, known in place.module.facts.attribute_kinds(place.klass).items():
            if "bool" in known:
                found[f"self.{name}"], found[f"not self.{name}"] = 0.7, 0.7
            elif "none" in known:
                found[f"self.{name} is not None"] = 0.6
        types = [
            node.args[1].id
            for other in place.module.places
            if other.function is place.function
            for node in other.all(ast.Call)
            if isinstance(node.func, ast.Name)
            and node.func.id == "isinstance"
            and len(node.args) == _TWICE
            and isinstance(node.args[1], ast.Name)
        ]
        for argument in arguments(owner)[:_OFTEN]:
            for name in dict.fromkeys(types):
                found.setdefault(f"isinstance({argument.arg}, {name})", 0.4)
        cache[place.function] = sorted(found.items(), key=lambda item: -item[1])[:12]
    return cache[place.function]


def affix(place: Place) -> Iterator[Edit]:
    """`a in b` ↔ `b.startswith(a)`, `b.endswith(a)`."""
    for node in place.all(ast.Compare):
        if len(node.ops) == 1 and isinstance(node.ops[0], ast.In | ast.NotIn):
            container = node.comparators[0]
            known = place.scope.kinds_of(container)
            if isinstance(container, ast.Name | ast.Attribute | ast.Call | ast.Subscript) and (
                not known or "str" in known
            ):
                word = "not " if isinstance(node.ops[0], ast.NotIn) else ""
                share = 1.0 if "str" in known or isinstance(node.left, ast.Constant) else 0.4
                for name in ("startswith", "endswith"):
                    new = f"{word}{place.segment(container)}.{name}({place.segment(node.left)})"
                    yield place.swap(node, new, weight=share)
    for node in place.all(ast.Call):
        match node:
            case ast.Call(
                func=ast.Attribute(value=value, attr="startswith" | "endswith"), args=[argument], keywords=[]
            ):
                if not isinstance(argument, ast.Tuple):
                    yield place.swap(node, f"{place.segment(argument)} in {place.segment(value)}", weight=0.8)
            case _:
                pass


def display(place: Place) -> Iterator[Edit]:
    """`[x]` ↔ `list(x)`, `(x,)` ↔ `tuple(x)`, `{x}` ↔ `set(x)`."""
    for node in place.all((ast.List, ast.Tuple, ast.Set)):
        one = node.elts[0] if len(node.elts) == 1 else None
        if (
            one is not None
            and not isinstance(one, ast.Starred | ast.Constant)
            and not isinstance(getattr(node, "ctx", None), ast.Store)
        ):
            name = {ast.List: "list", ast.Tuple: "tuple", ast.Set: "set"}[type(node)]
            yield place.wrap(node, f"{name}({place.segment(one)})", weight=0.9)
    for node in place.all(ast.Call):
        match node:
            case ast.Call(func=ast.Name(id="list" | "tuple" | "set" as name), args=[argument], keywords=[]):
                if not isinstance(argument, ast.Starred | ast.GeneratorExp):
                    text = place.segment(argument)
                    yield place.wrap(
                        node, {"list": f"[{text}]", "tuple": f"({text},)", "set": f"{{{text}}}"}[name], weight=0.7
                    )
            case _:
                pass


def member(place: Place) -> Iterator[Edit]:
    """`pairs` → `fields.pairs` with attributes that the file reads; `fields.pairs` → `pairs` where that is a name."""
    seen = place.module.facts.attributes
    objects = [
        variable.name
        for variable in place.scope.variables.values()
        if variable.origin in {"parameter", "local"} and (not variable.kinds or "object" in variable.kinds)
    ][:_MOST]
    for node in place.all(ast.Name):
        if isinstance(node.ctx, ast.Load) and node.id in seen:
            for name in objects:
                if name != node.id and place.scope.is_bound(name, place):
                    yield place.wrap(node, f"{name}.{node.id}", weight=0.9)
    for node in place.all(ast.Attribute):
        own = isinstance(node.value, ast.Name) and node.value.id not in {"self", "cls"}
        if own and isinstance(node.ctx, ast.Load) and node.attr in place.scope.variables:
            yield place.wrap(node, node.attr, weight=0.9)


def forward(place: Place) -> Iterator[Edit]:
    """`f(a)` → `f(a, key=key)` with a parameter of the function; one that is never read comes first."""
    if place.function is None:
        return
    known = {callee.name for callee in place.module.facts.callees}
    names = [name for name in place.scope.parameters if not name.startswith("_")]
    spec = getattr(place.function.node, "args", None)
    stars = {one.arg for one in (getattr(spec, "vararg", None), getattr(spec, "kwarg", None)) if one is not None}
    for node in place.all(ast.Call):
        called = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
        end = place.span(node)[1] - 1
        used = {inner.id for inner in ast.walk(node) if isinstance(inner, ast.Name)}
        generator = len(node.args) == 1 and isinstance(node.args[0], ast.GeneratorExp)
        if called in known or called in kinds.CALLS or called in kinds.METHODS or generator:
            continue
        head = place.source.text[place.span(node.func)[1] : end].rstrip()
        lead = "" if head.endswith(("(", ",")) else ", "
        for name in names[:_MOST]:
            if name not in used and name not in stars:
                weight = 0.9 if name not in place.scope.read else 0.3
                note = f"the argument `{name}` is handed on to `{called}`"
                yield place.splice(end, end, f"{lead}{name}={name}", weight=weight, note=note)


_REPEATED: tuple[Sites, ...] = (truth, boundary, attribute, own_attribute)
"""Edits that are made of every identical expression of a function at once."""


def everywhere(place: Place) -> Iterator[Edit]:
    """One edit made at all identical places of a function at once: `not x` → `x is None`, twice."""
    function = place.function
    if function is None or place.parent is not function or place.index:
        return
    found: dict[tuple[str, str], list[Edit]] = {}
    for other in place.module.places:
        if other.function is function:
            for sites in _REPEATED:
                for edit in sites(other):
                    if edit.reach is None:
                        key = (other.source.text[edit.start : edit.end], edit.text)
                        found.setdefault(key, []).append(edit)
    for edits in found.values():
        if _TWICE <= len(edits) <= _OFTEN:
            made = _merged(sorted(edits, key=lambda edit: edit.start), function)
            if made is not None:
                yield made


def _merged(edits: list[Edit], function: Place) -> Edit | None:
    """Several edits of one function as one; None where they overlap."""
    text = function.source.text
    parts: list[str] = []
    at = edits[0].start
    for edit in edits:
        if edit.start < at:
            return None
        parts += [text[at : edit.start], edit.text]
        at = edit.end
    start, end = edits[0].start, edits[-1].end
    block: Block = function.blocks["body"]
    inside = [place.index for place in block.places if place.start < end and start < place.end]
    if not inside or not all(place.alone for place in (block.places[inside[0]], block.places[inside[-1]])):
        return None
    weight = max(edit.weight for edit in edits)
    note = f"{edits[0].words}, at {len(edits)} places"
    anchor = block.places[inside[0]]
    return Edit(anchor, start, end, "".join(parts), weight, note, (block, inside[0], inside[-1] + 1))


PATTERNS = (
    Pattern("borrowed-call", "borrowed", "a value lacks a call that others of its kind get", 0.18,
            borrowed_call, unwrap),
    Pattern("missing-link", "borrowed", "a chain of calls lacks one that the function makes elsewhere", 0.12,
            chain, unwrap),
    Pattern("flag-guard", "borrowed", "a statement should run only for a flag, an option or a type", 0.12,
            flag_guard, structural=True, ceiling=0.9),
    Pattern("affix", "borrowed", "a text is searched where its beginning or end is meant, or the reverse", 0.2,
            affix, affix),
    Pattern("display", "borrowed", "a value is put into a container where its items are meant, or the reverse", 0.25,
            display, display, ceiling=0.9),
    Pattern("member", "borrowed", "a name is used where the member of an object is meant, or the reverse", 0.25,
            member, member, ceiling=0.9),
    Pattern("forwarded-argument", "borrowed", "a parameter is not handed on", 0.2, forward, drop_argument,
            ceiling=0.9),
    Pattern("everywhere", "borrowed", "the same mistake is made at several places", 0.15, everywhere, everywhere),
)  # fmt: skip
