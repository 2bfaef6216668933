"""Whole statements: in the wrong order, needless, missing; copied from near by or made of what is in scope."""

import ast
import re
from collections.abc import Iterator, Mapping

from thinklonger.agent.solver.kinds import Kinds
from thinklonger.agent.solver.pattern import Pattern
from thinklonger.agent.solver.patterns.booleans import known_conditions, synthesized
from thinklonger.agent.solver.place import Edit, Function, Loop, Place, reindented, short
from thinklonger.agent.solver.scope import Variable, alike, arguments

_MOST_STATEMENTS = 40
_FAR = 3
_SHORT = 2
"""Statements in a block that is copied whole."""
_LINKS = frozenset(
    {"next", "prev", "parent", "left", "right", "child", "following", "previous", "link", "after", "before"}
)
"""Attributes that lead from one object to the next."""


def _movable(place: Place) -> bool:
    return (
        place.alone
        and isinstance(place.node, ast.stmt)
        and not isinstance(
            place.node, Function | ast.ClassDef | ast.Import | ast.ImportFrom | ast.Global | ast.Nonlocal
        )
    )


def reorder(place: Place) -> Iterator[Edit]:
    """A statement and one of the next change places; a statement moves down past several."""
    if not _movable(place) or _is_documentation(place):
        return
    text = place.source.text
    start, stop = place.rows
    for step in range(1, _FAR + 1):
        if place.index + step >= len(place.block.places):
            break
        other = place.block.places[place.index + step]
        if not _movable(other):
            break
        begin, end = other.rows
        reach = (place.block, place.index, place.index + step + 1)
        if not text[:end].endswith(("\n", "\r")):
            break
        weight = 1.0 if step == 1 else 0.5
        if _related(place, other):
            new = text[begin:end] + text[stop:begin] + text[start:stop]
            note = f"`{short(place.text)}` and `{short(other.text)}` change places"
            yield Edit(place, start, end, new, weight, note, reach)
        if step > 1:
            yield Edit(
                place, start, end, text[stop:end] + text[start:stop], 0.5, f"`{short(place.text)}` moves down", reach
            )
            yield Edit(
                place, start, end, text[begin:end] + text[start:begin], 0.5, f"`{short(other.text)}` moves up", reach
            )


def _related(one: Place, other: Place) -> bool:
    """Whether two statements share a name, or jump: else their order is without effect."""
    if isinstance(other.node, ast.Return | ast.Break | ast.Continue | ast.Raise) or isinstance(
        one.node, ast.Return | ast.Raise
    ):
        return True
    if one.blocks or other.blocks:
        return True
    names = {node.id for node in ast.walk(one.node) if isinstance(node, ast.Name)}
    return any(isinstance(node, ast.Name) and node.id in names for node in ast.walk(other.node))


def _is_documentation(place: Place) -> bool:
    return isinstance(place.node, ast.Expr) and isinstance(place.node.value, ast.Constant)


def delete(place: Place) -> Iterator[Edit]:
    """A statement dropped."""
    if not _movable(place) or _is_documentation(place) or isinstance(place.node, ast.Pass):
        return
    node = place.node
    weight = 1.0
    if isinstance(node, ast.Assign | ast.AnnAssign):
        weight = 0.5
    elif place.blocks:
        weight = 0.6
    elif isinstance(node, ast.Return):
        weight = 0.5
    if place.loop is not None and isinstance(place.loop.node, ast.While) and "hang" not in place.module.clues.tags:
        steps = _names(place.loop.node.test, ast.Load) & _names(node, ast.Store)
        weight *= 0.1 if steps else 1.0
    note = f"`{short(place.text.partition(chr(10))[0])}` is dropped"
    if len(place.block.places) == 1:
        yield (
            place.splice(place.start, place.end, "pass", weight=weight * 0.5, note=note)
            if not place.blocks
            else Edit(
                place, place.start, place.end, "pass", weight * 0.4, note, (place.block, place.index, place.index + 1)
            )
        )
        return
    made = place.restructure("", weight=weight, note=note)
    if made:
        yield made


def _spots(place: Place, text: str, weight: float, note: str) -> Iterator[Edit]:
    """A statement inserted before a place, and after it where it is its block's last."""
    made = place.before(text, weight=weight, note=note)
    if made:
        yield made
    if place.index == len(place.block.places) - 1 and not isinstance(
        place.node, ast.Return | ast.Raise | ast.Break | ast.Continue
    ):
        made = place.after(text, weight=weight, note=note)
        if made:
            yield made


def _insertable(place: Place) -> bool:
    if place.function is None or not isinstance(place.node, ast.stmt) or place.indent is None:
        return False
    return not _is_documentation(place) and not isinstance(place.node, ast.Global | ast.Nonlocal)


def donor(place: Place) -> Iterator[Edit]:
    """A simple statement of the same function or class, copied here."""
    if not _insertable(place):
        return
    around = {place.index - 1, place.index}
    near = {ast.dump(other.node) for other in place.block.places if other.index in around}
    for text, weight, dump in _donors(place):
        if dump not in near:
            yield from _spots(place, text, weight, f"`{short(text)}` is added")


def _donors(place: Place) -> list[tuple[str, float, str]]:
    key = place.function
    cache = place.module.donor_cache
    if key in cache:
        return cache[key]
    found: dict[str, tuple[str, float, str]] = {}
    names = place.scope.visible
    for other in place.module.places:
        same = other.function is place.function
        kin = other.klass is not None and other.klass is place.klass
        if (
            not isinstance(other.node, ast.stmt)
            or other.blocks
            or not _movable(other)
            or _is_documentation(other)
            or other.function is None
        ):
            continue
        if isinstance(other.node, ast.Pass | ast.Break | ast.Continue) or "\n" in other.text:
            continue
        used = {node.id for node in ast.walk(other.node) if isinstance(node, ast.Name)}
        if not same and not used <= names:
            continue
        dump = ast.dump(other.node)
        weight = 1.0 if same else 0.7 if kin else 0.35
        if isinstance(other.node, ast.Return):
            weight *= 0.6
        if dump not in found:
            found[dump] = (other.text, weight, dump)
    cache[key] = sorted(found.values(), key=lambda item: -item[1])[:_MOST_STATEMENTS]
    return cache[key]


def block_donor(place: Place) -> Iterator[Edit]:
    """A short `if` of the same function or class, copied here with its body."""
    if not _insertable(place):
        return
    names = place.scope.visible
    for other in place.module.places:
        kin = other.function is place.function or (other.klass is not None and other.klass is place.klass)
        if not isinstance(other.node, ast.If) or not kin or other is place or other.node.orelse or not other.movable:
            continue
        body = other.blocks["body"].places
        used = _names(other.node, ast.Load)
        if len(body) > _SHORT or any(inner.blocks for inner in body) or other.function is None:
            continue
        text = reindented(other.source.text[other.rows[0] : other.rows[1]], other.indent or "", "")
        if text is not None and (other.function is place.function or used <= names):
            weight = 1.0 if other.function is place.function else 0.6
            yield from _spots(place, text.rstrip("\r\n"), weight, f"`{short(text)}` is added")


def flush(place: Place) -> Iterator[Edit]:
    """What a loop does with what it gathered, done once more after it, if anything is left."""
    if not isinstance(place.node, Loop) or place.function is None or not place.alone:
        return
    for other in place.inside:
        inside = not other.blocks and place.line < other.line and "\n" not in other.text
        node = other.node
        gathers = isinstance(node, ast.AugAssign) or (
            isinstance(node, ast.Expr) and isinstance(node.value, ast.Call | ast.Yield)
        )
        if not inside or not gathers or other.function is not place.function:
            continue
        made_edit = place.after(other.text, weight=0.8, note=f"`{short(other.text)}` once more after the loop")
        if made_edit:
            yield made_edit
        for name in sorted(_names(node, ast.Load))[:4]:
            text = f"if {name}:\n{place.module.indent_step}{other.text}"
            note = f"`{short(other.text)}` once more after the loop, if `{name}`"
            made_edit = place.after(text, weight=0.9, note=note)
            if made_edit:
                yield made_edit


def mapped_donor(place: Place) -> Iterator[Edit]:
    """A statement near by, copied with one name replaced by its counterpart."""
    if not _insertable(place) or place.blocks:
        return
    node = place.node
    if isinstance(node, ast.Return | ast.Break | ast.Continue | ast.Pass | ast.Raise) or "\n" in place.text:
        return
    variables = [v for v in place.scope.variables.values() if v.origin != "module"]
    attributes = list(place.module.facts.attribute_kinds(place.klass))
    for name in dict.fromkeys(inner.id for inner in ast.walk(node) if isinstance(inner, ast.Name)):
        for other in variables:
            share = alike(name, other.name)
            if other.name != name and share > 0.7:  # noqa: PLR2004 - counterparts only
                text = re.sub(rf"\b{re.escape(name)}\b", other.name, place.text)
                yield from _after(place, text, share * 0.8)
    for name in dict.fromkeys(inner.attr for inner in ast.walk(node) if isinstance(inner, ast.Attribute)):
        for other_name in attributes:
            share = alike(name, other_name)
            if other_name != name and share > 0.7:  # noqa: PLR2004 - counterparts only
                text = re.sub(rf"\.{re.escape(name)}\b", f".{other_name}", place.text)
                yield from _after(place, text, share * 0.8)


def _after(place: Place, text: str, weight: float) -> Iterator[Edit]:
    made = place.after(text, weight=weight, note=f"`{short(text)}` is added, after its counterpart")
    if made:
        yield made


def synthesize(place: Place) -> Iterator[Edit]:
    """A statement made of what is in scope: a counter's step, an item remembered, a link followed, a return."""
    if not _insertable(place):
        return
    for text, weight in made(place):
        yield from _spots(place, text, weight, f"`{short(text)}` is added")
    last = place.index == len(place.block.places) - 1
    if last and not isinstance(place.node, ast.Return | ast.Raise):
        for text, weight in _endings(place):
            found = place.after(text, weight=weight, note=f"`{text}` is added")
            if found:
                yield found


_RETURNS = (
    ("return False", 0.6), ("return True", 0.6), ("return", 0.5), ("return 0", 0.3), ("return -1", 0.3),
    ("return []", 0.3), ("return self", 0.4),
)  # fmt: skip


def _endings(place: Place) -> Iterator[tuple[str, float]]:
    """Statements that may end a block after a place."""
    share = 1.0 if place.parent is place.function else 0.5
    for variable in place.scope.variables.values():
        if variable.origin in {"local", "parameter"}:
            yield f"return {variable.name}", (1.0 if variable.origin == "local" else 0.4) * share
    yield from _RETURNS
    if place.loop is not None:
        yield "break", 0.9 if place.parent is not place.loop else 0.2
        if place.parent is not place.loop:
            yield "continue", 0.9
    if place.parent is not None and isinstance(place.parent.node, ast.ExceptHandler):
        yield "raise", 0.7


def made(place: Place) -> list[tuple[str, float]]:
    """Statements that often are forgotten, with names from the function."""
    key = place.function
    cache = place.module.statement_cache
    if key not in cache:
        found: dict[str, float] = {}
        variables = [v for v in place.scope.variables.values() if v.origin in {"local", "parameter", "closure"}][:12]
        _counters(found, variables)
        _collections(found, variables)
        _links(found, place, variables)
        _attributes(found, place)
        cache[key] = sorted(found.items(), key=lambda item: -item[1])[:_MOST_STATEMENTS]
    return cache[key]


def _counters(found: dict[str, float], variables: list[Variable]) -> None:
    numbers = [v for v in variables if "int" in v.kinds]
    for variable in numbers:
        share = 1.0 if variable.origin == "local" else 0.5
        found[f"{variable.name} += 1"] = share
        found[f"{variable.name} -= 1"] = share * 0.6
        found[f"{variable.name} = 0"] = share * 0.5
        for other in numbers:
            if other.name != variable.name:
                found[f"{variable.name} = {other.name}"] = share * 0.5
                found[f"{variable.name} += {other.name}"] = share * 0.4
    for variable in variables:
        for other in variables:
            if (
                variable.name != other.name
                and variable.origin == "local"
                and not (variable.kinds and other.kinds and not variable.kinds & other.kinds)
            ):
                found.setdefault(f"{variable.name} = {other.name}", 0.35 * alike(variable.name, other.name))
    for one, other in ((a, b) for a in variables for b in variables if a.name < b.name):
        if one.kinds & other.kinds:
            found[f"{one.name}, {other.name} = {other.name}, {one.name}"] = 0.3


_OF_CONTAINER: dict[str, tuple[tuple[str, float], ...]] = {
    "list": (("{c}.pop()", 0.5), ("{c}.reverse()", 0.25), ("{c}.sort()", 0.35), ("{c} = []", 0.4),
             ("{c} = {c}[:]", 0.2), ("{c} = list({c})", 0.3)),
    "deque": (("{c}.pop()", 0.5), ("{c}.popleft()", 0.5), ("{c}.clear()", 0.2)),
    "str": (("{c} = {c}.strip()", 0.4), ("{c} = {c}.lower()", 0.4), ("{c} = ''", 0.3)),
    "dict": (("{c} = dict({c})", 0.3),),
}  # fmt: skip
"""Statements about one container `c`, by its kind."""
_OF_ITEM: dict[str, tuple[tuple[str, float], ...]] = {
    "set": (("{c}.add({i})", 0.9), ("{c}.discard({i})", 0.3)),
    "list": (("{c}.append({i})", 0.6), ("{c}.extend({i})", 0.2)),
    "deque": (("{c}.append({i})", 0.6),),
    "dict": (("{c}[{i}] = True", 0.15), ("{c}[{i}] += 1", 0.3), ("del {c}[{i}]", 0.2)),
}
"""Statements about a container `c` and a variable `i`, by the container's kind."""


def _collections(found: dict[str, float], variables: list[Variable]) -> None:
    for container in variables:
        name = container.name
        others = [other.name for other in variables if other.name != name]
        for kind in sorted(container.kinds):
            for template, weight in _OF_CONTAINER.get(kind, ()):
                found[template.format(c=name)] = weight
            for item in others:
                for template, weight in _OF_ITEM.get(kind, ()):
                    found[template.format(c=name, i=item)] = weight
        if "dict" in container.kinds:
            found.update({f"{name}[{one}] = {two}": 0.4 for one in others for two in others if one != two})


def _links(found: dict[str, float], place: Place, variables: list[Variable]) -> None:
    attributes = place.module.facts.attributes
    links = [name for name in attributes if name in _LINKS]
    for variable in variables:
        if variable.kinds and not variable.kinds & {"object", "none"}:
            continue
        for name in links:
            found[f"{variable.name} = {variable.name}.{name}"] = 0.7 if variable.origin == "local" else 0.3
            for other in variables:
                if other.name != variable.name and (not other.kinds or other.kinds & {"object", "none"}):
                    found[f"{variable.name}.{name} = {other.name}"] = 0.4
            found[f"{variable.name}.{name} = None"] = 0.25


_OF_ATTRIBUTE: dict[str, tuple[tuple[str, float], ...]] = {
    "int": (("self.{a} += 1", 0.8), ("self.{a} -= 1", 0.8), ("self.{a} = 0", 0.5)),
    "bool": (("self.{a} = True", 0.5), ("self.{a} = False", 0.5)),
    "list": (("self.{a}.clear()", 0.4),),
    "dict": (("self.{a}.clear()", 0.4),),
    "set": (("self.{a}.clear()", 0.4),),
    "none": (("self.{a} = None", 0.4),),
}
"""Statements about an attribute `a` of the object, by its kind."""
_OF_ARGUMENT: dict[str, tuple[tuple[str, float], ...]] = {
    "list": (("self.{a}.append({p})", 0.4),),
    "deque": (("self.{a}.append({p})", 0.4),),
    "set": (("self.{a}.add({p})", 0.5),),
    "dict": (("self.{a}.pop({p}, None)", 0.3), ("del self.{a}[{p}]", 0.2)),
}
"""Statements about an attribute `a` and a parameter `p`, by the attribute's kind."""
_COUNTS = ("size", "count", "length", "len", "index", "pos")


def _attributes(found: dict[str, float], place: Place) -> None:
    """Statements about `self`: parameters kept, counts stepped, methods without arguments called."""
    if place.klass is None or place.function is None:
        return
    own = place.module.facts.attribute_kinds(place.klass)
    _kept_parameters(found, place.function, own)
    for attribute, known in own.items():
        likely = known or frozenset({"int" if any(word in attribute for word in _COUNTS) else "none"})
        for kind in sorted(likely):
            for template, weight in _OF_ATTRIBUTE.get(kind, ()):
                found[template.format(a=attribute)] = weight
    name = getattr(place.function.node, "name", "")
    for callee in place.module.facts.callees:
        if callee.method and callee.required == 0 and callee.name != name and not callee.name.startswith("__"):
            found[f"self.{callee.name}()"] = 0.6 if callee.name.startswith("_") else 0.4
    if isinstance(place.klass.node, ast.ClassDef) and place.klass.node.bases:
        _parents(found, place)


def _kept_parameters(found: dict[str, float], function: Place, own: Mapping[str, Kinds]) -> None:
    used = {node.id for node in ast.walk(function.node) if isinstance(node, ast.Name)}
    for name in [argument.arg for argument in arguments(function.node) if argument.arg not in {"self", "cls"}]:
        share = 1.0 if name not in used else 0.35
        found[f"self.{name} = {name}"] = share
        found[f"self._{name} = {name}"] = share * (0.8 if f"_{name}" in own else 0.2)
        for attribute, known in own.items():
            for kind in sorted(known):
                for template, weight in _OF_ARGUMENT.get(kind, ()):
                    found[template.format(a=attribute, p=name)] = weight
            if attribute != name:
                found.setdefault(f"self.{attribute} = {name}", 0.25)


def _parents(found: dict[str, float], place: Place) -> None:
    """A call of the overridden method, where there is none."""
    function = place.function
    if function is not None and isinstance(function.node, Function) and "super()" not in function.text:
        node = function.node
        names = [argument.arg for argument in arguments(node)[1:]]
        wanted = {
            tuple(argument.arg for argument in arguments(other.node)[1:])
            for other in place.module.functions
            if isinstance(other.node, Function) and other.node.name == node.name and other.klass is not place.klass
        }
        for count in range(len(names) + 1):
            likely = tuple(names[:count]) in wanted or (not wanted and count in {0, len(names)})
            found[f"super().{node.name}({', '.join(names[:count])})"] = 1.0 if likely else 0.2


def condition(place: Place) -> Iterator[Edit]:
    """`statement` → `if c: statement`, with conditions from near by and made of what is in scope."""
    if (
        not place.movable
        or place.indent is None
        or not _insertable(place)
        or isinstance(place.node, Function | ast.ClassDef)
    ):
        return
    options = known_conditions(place, 12) + [(text, near * 0.7) for text, near in synthesized(place, 25)]
    step = place.module.indent_step
    for text, near in options:
        new = f"{place.indent}if {text}:\n{_deeper(place, step)}"
        weight = near * (0.6 if isinstance(place.node, ast.Assign) else 1.0)
        made_edit = place.restructure(new, weight=weight, note=f"`{short(place.text)}` runs only if `{short(text)}`")
        if made_edit:
            yield made_edit


def _deeper(place: Place, step: str) -> str:
    start, end = place.rows
    return "".join(
        step + line if line.strip() else line for line in place.source.text[start:end].splitlines(keepends=True)
    )


def simultaneous(place: Place) -> Iterator[Edit]:
    """`a = x` and `b = y` → `a, b = x, y`, and the reverse in either order."""
    node = place.node
    if not isinstance(node, ast.Assign) or len(node.targets) != 1 or not place.alone or place.indent is None:
        return
    target, value = node.targets[0], node.value
    if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple) and len(target.elts) == len(value.elts) == 2:  # noqa: PLR2004 - a pair
        pairs = [
            f"{place.indent}{place.segment(t)} = {place.segment(v)}\n"
            for t, v in zip(target.elts, value.elts, strict=True)
        ]
        for lines in (pairs, pairs[::-1]):
            made_edit = place.restructure("".join(lines), weight=0.5, note="the assignments happen one after the other")
            if made_edit:
                yield made_edit
        return
    if place.index + 1 >= len(place.block.places):
        return
    following = place.block.places[place.index + 1]
    other = following.node
    if not isinstance(other, ast.Assign) or len(other.targets) != 1 or not following.alone:
        return
    read = {inner.id for inner in ast.walk(other.value) if isinstance(inner, ast.Name)} | {
        inner.attr for inner in ast.walk(other.value) if isinstance(inner, ast.Attribute)
    }
    written = target.id if isinstance(target, ast.Name) else target.attr if isinstance(target, ast.Attribute) else None
    if written is None or written not in read:
        return
    targets = f"{place.segment(target)}, {following.segment(other.targets[0])}"
    new = f"{place.indent}{targets} = {place.segment(value)}, {following.segment(other.value)}\n"
    start, end = place.rows[0], following.rows[1]
    yield Edit(
        place,
        start,
        end,
        new,
        1.0,
        "both assignments use the values from before",
        (place.block, place.index, place.index + 2),
    )


def _names(node: ast.AST, context: type[ast.expr_context]) -> set[str]:
    return {inner.id for inner in ast.walk(node) if isinstance(inner, ast.Name) and isinstance(inner.ctx, context)}


def _ends(place: Place, text: str, weight: float, note: str) -> Iterator[Edit]:
    """A statement at the end of a place's block: after it, or before it where it jumps."""
    if place.index != len(place.block.places) - 1:
        return
    jumps = isinstance(place.node, ast.Continue | ast.Break | ast.Return | ast.Raise)
    made_edit = place.before(text, weight=weight, note=note) if jumps else place.after(text, weight=weight, note=note)
    if made_edit:
        yield made_edit


def _earlier(place: Place, loop: Place) -> Iterator[tuple[str, Place]]:
    """Plain assignments of one name that the function makes before a loop."""
    for other in place.module.places:
        node = other.node
        if (
            other.function is place.function
            and isinstance(node, ast.Assign)
            and other.line < loop.line
            and "\n" not in other.text
        ):
            for target in node.targets:
                if isinstance(target, ast.Name):
                    yield target.id, other


def reset(place: Place) -> Iterator[Edit]:
    """A variable's first value assigned again: at the beginning of a loop's body, or where the loop has used it up."""
    loop = place.loop
    if loop is None or place.function is None or not isinstance(place.node, ast.stmt):
        return
    first = loop.blocks["body"].places[0] is place
    read = {name for other in place.block.places for name in _names(other.node, ast.Load)}
    plain = {
        target.id
        for node in ast.walk(loop.node)
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for name, other in _earlier(place, loop):
        note = f"`{short(other.text)}` runs again in the loop"
        if first:
            made_edit = place.before(other.text, weight=0.8, note=note)
            if made_edit:
                yield made_edit
        yield from _ends(place, other.text, (1.0 if name in read and name not in plain else 0.4), note)


def update(place: Place) -> Iterator[Edit]:
    """A step for a variable that a loop reads, that was set before the loop, and that the loop never changes."""
    loop = place.loop
    if loop is None or place.function is None or not isinstance(place.node, ast.stmt):
        return
    written = _names(loop.node, ast.Store)
    read = _names(loop.node, ast.Load)
    tested = _names(loop.node.test, ast.Load) if isinstance(loop.node, ast.While) else set[str]()
    share = 1.0 if place.parent is loop else 0.7
    stale = [name for name, _ in _earlier(place, loop)] + [name for name in place.scope.parameters if name in tested]
    for name in dict.fromkeys(stale):
        if name in written or name not in read:
            continue
        known = place.scope.lookup(name)
        options = [(f"{name} = {other}", 1.0) for other in sorted(written)]
        if not known or known & {"int", "float"}:
            options += [(f"{name} += 1", 1.0), (f"{name} -= 1", 0.8), (f"{name} //= 2", 0.2), (f"{name} *= 2", 0.1)]
        if not known or known & {"object", "none"}:
            links = [link for link in place.module.facts.attributes if link in _LINKS]
            options += [(f"{name} = {name}.{link}", 1.0) for link in links]
        for text, weight in options:
            yield from _ends(place, text, weight * share, f"`{short(text)}` is added: the loop never changes `{name}`")


def initialize(place: Place) -> Iterator[Edit]:
    """A first value for a name that may be unbound, before the statement or loop that uses it."""
    if not _insertable(place) or place.parent is not place.function:
        return
    missing = place.module.clues.missing
    names = [v.name for v in place.scope.variables.values() if v.origin == "local"]
    for name in names:
        share = 1.0 if name in missing else 0.12
        for value, weight in (
            ("0", 0.9),
            ("None", 0.9),
            ("[]", 0.8),
            ("''", 0.7),
            ("{}", 0.6),
            ("False", 0.6),
            ("1", 0.4),
            ("set()", 0.4),
            ("True", 0.3),
        ):
            made_edit = place.before(f"{name} = {value}", weight=share * weight, note=f"`{name}` starts as `{value}`")
            if made_edit and (name in missing or isinstance(place.node, Loop)):
                yield made_edit


def import_missing(place: Place) -> Iterator[Edit]:
    """A standard module imported that is used and unknown."""
    if place.parent is not None or place.index > 2:  # noqa: PLR2004 - at the top only
        return
    known = {
        "math",
        "re",
        "os",
        "sys",
        "json",
        "itertools",
        "functools",
        "collections",
        "heapq",
        "bisect",
        "copy",
        "random",
        "time",
        "datetime",
        "string",
        "operator",
        "decimal",
    }
    for name in sorted(place.module.clues.missing):
        made_edit = place.before(f"import {name}", weight=1.0, note=f"`{name}` is imported")
        if name in known and made_edit:
            yield made_edit
        for home, members in _MEMBERS.items():
            if name in members:
                made_edit = place.before(
                    f"from {home} import {name}", weight=1.0, note=f"`{name}` is imported from `{home}`"
                )
                if made_edit:
                    yield made_edit


_MEMBERS: dict[str, frozenset[str]] = {
    "collections": frozenset({"defaultdict", "deque", "Counter", "OrderedDict", "namedtuple"}),
    "itertools": frozenset(
        {"chain", "product", "permutations", "combinations", "zip_longest", "islice", "groupby", "accumulate"}
    ),
    "functools": frozenset({"reduce", "lru_cache", "partial", "wraps", "cmp_to_key"}),
    "math": frozenset({"sqrt", "floor", "ceil", "gcd", "pi", "inf", "log"}),
    "datetime": frozenset({"timedelta", "timezone"}),
    "decimal": frozenset({"Decimal"}),
    "fractions": frozenset({"Fraction"}),
    "copy": frozenset({"deepcopy"}),
}


PATTERNS = (
    Pattern(
        "statement-order", "statement", "statements run in the wrong order", 0.4, reorder, reorder, structural=True
    ),
    Pattern("needless-statement", "statement", "a statement does not belong there", 0.22, delete, donor),
    Pattern(
        "missing-statement-donor",
        "statement",
        "a statement that stands near by is missing",
        0.12,
        donor,
        delete,
        structural=True,
    ),
    Pattern(
        "missing-block",
        "statement",
        "a check that stands near by is missing",
        0.15,
        block_donor,
        delete,
        structural=True,
    ),
    Pattern(
        "missing-flush", "statement", "what is left after a loop is forgotten", 0.35, flush, delete, structural=True
    ),
    Pattern(
        "missing-counterpart",
        "statement",
        "a statement's counterpart is missing",
        0.2,
        mapped_donor,
        delete,
        structural=True,
    ),
    Pattern("missing-statement", "statement", "a usual step is missing", 0.17, synthesize, delete, structural=True),
    Pattern(
        "unconditional", "statement", "a statement should run only under a condition", 0.1, condition, structural=True
    ),
    Pattern(
        "simultaneous",
        "statement",
        "an assignment uses a value that was just overwritten",
        0.6,
        simultaneous,
        simultaneous,
        structural=True,
    ),
    Pattern(
        "missing-reset", "statement", "a value is carried from one round into the next", 0.3, reset, structural=True
    ),
    Pattern(
        "missing-update",
        "statement",
        "a loop never changes a variable that it depends on",
        0.4,
        update,
        structural=True,
    ),
    Pattern(
        "missing-initialization",
        "statement",
        "a name may be used before it has a value",
        0.3,
        initialize,
        structural=True,
        ceiling=0.11,
    ),
    Pattern("missing-import", "statement", "a module is used and not imported", 0.9, import_missing, structural=True),
)
