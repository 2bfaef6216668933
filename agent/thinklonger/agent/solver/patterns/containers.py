"""Containers: slices, ranges, subscripts, missing keys, tuples, aliases, comprehensions."""

import ast
from collections.abc import Iterator

from thinklonger.agent.solver.kinds import NUMBERS
from thinklonger.agent.solver.pattern import Pattern
from thinklonger.agent.solver.patterns.booleans import known_conditions
from thinklonger.agent.solver.place import Edit, Place, short

_PAIR = 2
_FEW = 3
_MUTABLE = frozenset({"list", "dict", "set", "deque"})


def slices(place: Place) -> Iterator[Edit]:
    """Slice bounds added, dropped, moved and turned round."""
    counters = [v.name for v in place.scope.variables.values() if "int" in v.kinds and v.origin != "module"][:4]
    for node in place.all(ast.Subscript):
        if isinstance(node.slice, ast.Slice):
            yield from _slice_bounds(place, node, node.slice, counters)
        elif isinstance(node.ctx, ast.Load) and not isinstance(node.slice, ast.Tuple):
            text, bound = place.segment(node.value), place.segment(node.slice)
            for new, weight in ((f"{bound}:", 0.5), (f":{bound}", 0.5), (f"{bound}:{bound} + 1", 0.2)):
                yield place.swap(node, f"{text}[{new}]", weight=weight)


def _slice_bounds(place: Place, node: ast.Subscript, part: ast.Slice, counters: list[str]) -> Iterator[Edit]:
    value = place.segment(node.value)
    low = place.segment(part.lower) if part.lower else ""
    high = place.segment(part.upper) if part.upper else ""
    step = f":{place.segment(part.step)}" if part.step else ""
    options: dict[str, float] = {}
    if low:
        options[f":{high}{step}"] = 0.6
        options[f"{low}:{step}"] = 0.6 if high else 0.0
        options[f":{low}{step}"] = 0.9 if not high else 0.2
    else:
        options[f"1:{high}{step}"] = 0.8
    if high:
        options[f"{low}:{step}"] = 0.6
        options[f"{high}:{low}{step}"] = 0.3
        options[f"{high}:{step}"] = 0.9 if not low else 0.2
        options[f"{low}:-1{step}"] = 0.3
        options[f"{low}:-{high}{step}"] = 0.3
    else:
        options[f"{low}:-1{step}"] = 0.7
        for name in counters:
            options[f"{low}:{name}{step}"] = 0.3
            options[f"{low}:{name} + 1{step}"] = 0.2
    for name in counters:
        if not low:
            options[f"{name}:{high}{step}"] = 0.3
            options[f"{name} + 1:{high}{step}"] = 0.25
    if not step:
        options[f"{low}:{high}:-1"] = 0.35
        options[f"{low}:{high}:2"] = 0.1
    else:
        options[f"{low}:{high}"] = 0.6
    for new, weight in options.items():
        if weight and new != f"{low}:{high}{step}":
            yield place.swap(node, f"{value}[{new}]", weight=weight)


def ranges(place: Place) -> Iterator[Edit]:
    """`range(n)` → `range(1, n)`, `range(n + 1)`, backwards, another start or step."""
    for node in place.all(ast.Call):
        if not (isinstance(node.func, ast.Name) and node.func.id == "range" and node.args) or node.keywords:
            continue
        parts = [place.segment(argument) for argument in node.args]
        counters = [v.name for v in place.scope.variables.values() if "int" in v.kinds and v.origin != "module"][:5]
        options: dict[str, float] = {}
        if len(parts) == 1:
            (stop,) = parts
            options |= {
                f"1, {stop}": 0.9,
                f"1, {stop} + 1": 0.9,
                f"{stop} - 1, -1, -1": 0.5,
                f"2, {stop}": 0.3,
                f"0, {stop}, 2": 0.15,
                f"len({stop})": 0.4,
            }
            for name in counters:
                if name != stop:
                    options |= {f"{name}, {stop}": 0.5, f"{name} + 1, {stop}": 0.5}
        elif len(parts) == _PAIR:
            first, stop = parts
            options |= {
                stop: 0.6,
                f"{first}, {stop} + 1": 0.9,
                f"{first} + 1, {stop}": 0.8,
                f"{first}, {stop}, -1": 0.5,
                f"{stop}, {first}": 0.4,
                f"{stop}, {first}, -1": 0.4,
                f"{stop} - 1, {first} - 1, -1": 0.4,
                f"{first} + 1, {stop} + 1": 0.5,
                f"{first}, {stop}, 2": 0.2,
                f"0, {stop}": 0.3,
                f"1, {stop}": 0.3,
            }
            for name in counters:
                if name not in parts:
                    options |= {f"{name}, {stop}": 0.4, f"{name} + 1, {stop}": 0.4, f"{first}, {stop}, {name}": 0.3}
        else:
            first, stop, step = parts
            options |= {
                f"{first}, {stop}": 0.5,
                f"{first}, {stop}, -({step})": 0.3,
                f"{stop}, {first}, {step}": 0.3,
                f"{first}, {stop} - 1, {step}": 0.6,
                f"{first}, {stop} + 1, {step}": 0.6,
                f"{first} - 1, {stop}, {step}": 0.6,
                f"{first} + 1, {stop}, {step}": 0.4,
            }
        for new, weight in options.items():
            yield place.swap(node, f"range({new})", weight=weight)


def subscripts(place: Place) -> Iterator[Edit]:
    """`a[i][j]` → `a[j][i]`, `a[i]` with another index, negative and opposite ends."""
    for node in place.all(ast.Subscript):
        inner = node.value
        if (
            isinstance(inner, ast.Subscript)
            and not isinstance(node.slice, ast.Slice)
            and not isinstance(inner.slice, ast.Slice)
        ):
            first, second = place.segment(inner.slice), place.segment(node.slice)
            yield place.swap(node, f"{place.segment(inner.value)}[{second}][{first}]", weight=1.0)
        if isinstance(node.slice, ast.Constant) and node.slice.value in (0, 1):
            for other in ("0", "1", "-1", "2"):
                if other != repr(node.slice.value):
                    yield place.swap(node.slice, other, weight=0.8 if other != "2" else 0.3)
        elif isinstance(node.slice, ast.UnaryOp):
            for other in ("0", "1", "-1", "-2"):
                if other != place.segment(node.slice):
                    yield place.swap(node.slice, other, weight=0.7)
        elif (
            not isinstance(node.slice, ast.Slice | ast.Constant | ast.Tuple)
            and place.scope.kinds_of(node.slice) & NUMBERS
        ):
            text, bound = place.segment(node.value), place.segment(node.slice)
            yield place.swap(node.slice, f"-{bound}" if isinstance(node.slice, ast.Name) else f"-({bound})", weight=0.3)
            yield place.swap(node.slice, f"len({text}) - 1 - {bound}", weight=0.2)
            yield place.swap(node.slice, "0", weight=0.2)
            yield place.swap(node.slice, "-1", weight=0.3)


def missing_key(place: Place) -> Iterator[Edit]:
    """`d[k]` → `d.get(k)`, `d.get(k, 0)`, `d.setdefault(k, [])`, and `d.get(k)` → `d[k]`."""
    for node in place.all(ast.Subscript):
        if isinstance(node.slice, ast.Slice | ast.Tuple):
            continue
        found = place.scope.kinds_of(node.value)
        if (found and "dict" not in found) or (not found and "KeyError" not in place.module.clues.raised):
            continue
        target, key = place.segment(node.value), place.segment(node.slice)
        if isinstance(node.ctx, ast.Load):
            for default in ("0", "None", "[]", "''", key, "set()", "{}", "False"):
                new = f"{target}.get({key})" if default == "None" else f"{target}.get({key}, {default})"
                yield place.swap(node, new, weight=0.8 if default in {"0", "None", "[]"} else 0.4)
            for default in ("[]", "set()", "{}"):
                yield place.swap(node, f"{target}.setdefault({key}, {default})", weight=0.5)
    for node in place.all(ast.Call):
        if isinstance(node.func, ast.Attribute) and node.func.attr in {"get", "setdefault"} and node.args:
            yield place.swap(node, f"{place.segment(node.func.value)}[{place.segment(node.args[0])}]", weight=0.5)
    node = place.node
    if isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Subscript) and isinstance(node.op, ast.Add):
        target, key, value = (
            place.segment(node.target.value),
            place.segment(node.target.slice),
            place.segment(node.value),
        )
        new = f"{target}[{key}] = {target}.get({key}, 0) + {value}"
        yield place.splice(
            place.start, place.end, new, weight=1.0, note=f"`{short(place.text)}` starts from zero for a new key"
        )


def tuple_order(place: Place) -> Iterator[Edit]:
    """Two parts of a tuple, a list display, an unpacking or a dict entry exchanged."""
    text = place.source.text
    for node in place.all((ast.Tuple, ast.List)):
        parts = node.elts
        if len(parts) > 5:  # noqa: PLR2004 - long displays are data
            continue
        for first in range(len(parts)):
            for second in range(first + 1, len(parts)):
                (start, stop), (begin, end) = place.span(parts[first]), place.span(parts[second])
                new = text[begin:end] + text[stop:begin] + text[start:stop]
                weight = (1.0 if second == first + 1 else 0.6) * (1.0 if isinstance(node, ast.Tuple) else 0.5)
                note = f"`{short(text[start:stop])}` and `{short(text[begin:end])}` change places"
                yield place.splice(start, end, new, weight=weight, note=note)
    for node in place.all(ast.DictComp):
        key, value = place.segment(node.key), place.segment(node.value)
        start, end = place.span(node.key)[0], place.span(node.value)[1]
        yield place.splice(
            start,
            end,
            f"{value}: {key}",
            weight=0.8,
            note=f"key `{short(key)}` and value `{short(value)}` change places",
        )


def tuple_parts(place: Place) -> Iterator[Edit]:
    """A tuple reduced to one part, a value put into a list or tuple, an element taken out."""
    for node in place.all((ast.Tuple, ast.List)):
        if isinstance(node.ctx, ast.Load) and 1 <= len(node.elts) <= _FEW and not isinstance(node.elts[0], ast.Starred):
            for element in node.elts:
                yield place.swap(node, place.segment(element), weight=0.6 if len(node.elts) == 1 else 0.3)
    for node in place.all((ast.Name, ast.Call, ast.Subscript, ast.Attribute, ast.BinOp, ast.List, ast.Constant)):
        if isinstance(getattr(node, "ctx", ast.Load()), ast.Load):
            yield from _nested(place, node)
    for node in place.all(ast.Starred):
        if isinstance(node.ctx, ast.Load):
            yield place.swap(node, place.segment(node.value), weight=0.7)


def _nested(place: Place, node: ast.expr) -> Iterator[Edit]:
    parent, text = place.module.parent(node), place.segment(node)
    if isinstance(node, ast.List | ast.Constant):
        if isinstance(parent, ast.Return | ast.Assign | ast.List):
            yield place.swap(node, f"[{text}]", weight=0.6 if isinstance(node, ast.List) else 0.2)
    elif isinstance(parent, ast.Call) and node in parent.args:
        yield place.swap(node, f"[{text}]", weight=0.4)
        yield place.swap(node, f"*{text}", weight=0.4)
        yield place.swap(node, f"({text},)", weight=0.25)
    elif isinstance(parent, ast.BinOp | ast.Return | ast.Assign | ast.AugAssign | ast.List):
        yield place.swap(node, f"[{text}]", weight=0.5)


def aliases(place: Place) -> Iterator[Edit]:
    """A mutable value shared where copies are meant: `[[0] * n] * m`, `append(path)`, `fromkeys(keys, [])`."""
    yield from _repeated(place)
    yield from _stored(place)
    for node in place.all((ast.ListComp, ast.GeneratorExp)):
        if isinstance(node.elt, ast.Name):
            yield place.swap(node.elt, f"{node.elt.id}[:]", weight=0.7)
            yield place.swap(node.elt, f"{node.elt.id}.copy()", weight=0.4)
    value = place.node.value if isinstance(place.node, ast.Assign | ast.Return) else None
    if isinstance(value, ast.Name | ast.Attribute):
        found = place.scope.kinds_of(value)
        if found & _MUTABLE or (not found and isinstance(place.node, ast.Assign)):
            share = 0.7 if found else 0.25
            text = place.segment(value)
            yield place.swap(value, f"{text}.copy()", weight=share)
            if not found & {"dict", "set"}:
                yield place.swap(value, f"list({text})", weight=share)


def _repeated(place: Place) -> Iterator[Edit]:
    for node in place.all(ast.BinOp):
        match node:
            case ast.BinOp(left=ast.List(elts=[element]), op=ast.Mult()) if not isinstance(element, ast.Constant):
                new = f"[{place.segment(element)} for _ in range({place.segment(node.right)})]"
                yield place.swap(node, new, weight=1.0)
            case _:
                pass


def _stored(place: Place) -> Iterator[Edit]:
    for node in place.all(ast.Call):
        match node:
            case ast.Call(func=ast.Attribute(attr="fromkeys"), args=[keys, value]):
                new = f"{{key: {place.segment(value)} for key in {place.segment(keys)}}}"
                yield place.swap(node, new, weight=0.8)
            case ast.Call(
                func=ast.Attribute(attr="append" | "add" | "insert" | "appendleft" | "put"),
                args=[*_, ast.Name() as name],
            ):
                if place.scope.lookup(name.id) & _MUTABLE:
                    yield place.swap(name, f"{name.id}.copy()", weight=1.0)
            case _:
                pass


def filters(place: Place) -> Iterator[Edit]:
    """A comprehension's filter added, dropped; its brackets changed; its loops exchanged."""
    text = place.source.text
    for node in place.all((ast.ListComp, ast.SetComp, ast.GeneratorExp, ast.DictComp)):
        for part in node.generators:
            for test in part.ifs:
                begin = text.rfind("if", place.span(part.iter)[1], place.span(test)[0])
                yield place.splice(
                    _trimmed(text, begin),
                    place.span(test)[1],
                    "",
                    weight=0.6,
                    note=f"the filter `{short(place.segment(test))}` is dropped",
                )
        last = node.generators[-1]
        at = place.span(last.ifs[-1] if last.ifs else last.iter)[1]
        names = [inner.id for inner in ast.walk(last.target) if isinstance(inner, ast.Name)]
        join = " and" if last.ifs else " if"
        options = [(name, 0.7) for name in names] + [(f"{name} is not None", 0.5) for name in names]
        options += [(condition, near * 0.5) for condition, near in known_conditions(place, 10)]
        for one in names:
            for other in place.scope.variables.values():
                if other.origin in {"parameter", "local", "closure"} and other.name != one:
                    share = 0.4 if other.kinds & {"set", "list", "dict"} else 0.15
                    options += [
                        (f"{one} not in {other.name}", share),
                        (f"{one} in {other.name}", share),
                        (f"{one} != {other.name}", 0.3),
                    ]
        for condition, weight in options[:20]:
            yield place.splice(
                at,
                at,
                f"{join} {condition}",
                weight=weight,
                note=f"the comprehension keeps only items for which `{short(condition)}`",
            )
        if len(node.generators) == _PAIR:
            one, two = node.generators
            yield _swap_loops(place, one, two)
        yield from _brackets(place, node)


def _trimmed(text: str, at: int) -> int:
    while text[at - 1] in " \n\r\t":
        at -= 1
    return at


def _swap_loops(place: Place, one: ast.comprehension, two: ast.comprehension) -> Edit:
    text = place.source.text
    start = place.span(one.target)[0]
    stop = place.span(one.ifs[-1] if one.ifs else one.iter)[1]
    begin = place.span(two.target)[0]
    end = place.span(two.ifs[-1] if two.ifs else two.iter)[1]
    new = text[begin:end] + text[stop:begin] + text[start:stop]
    return place.splice(start, end, new, weight=0.6, note="the comprehension's loops change places")


def _brackets(place: Place, node: ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp) -> Iterator[Edit]:
    if isinstance(node, ast.DictComp):
        return
    text = place.segment(node)
    inside = text[1:-1]
    if isinstance(node, ast.ListComp):
        yield place.swap(node, f"{{{inside}}}", weight=0.35)
    elif isinstance(node, ast.SetComp) or text.startswith("("):
        yield place.swap(node, f"[{inside}]", weight=0.5)


def choice(place: Place) -> Iterator[Edit]:
    """`a if c else b` → `a`, `b`, `b if c else a`."""
    for node in place.all(ast.IfExp):
        body, test, orelse = place.segment(node.body), place.segment(node.test), place.segment(node.orelse)
        yield place.swap(node, f"{orelse} if {test} else {body}", weight=1.0)
        yield place.swap(node, body, weight=0.4)
        yield place.swap(node, orelse, weight=0.4)


def fallback(place: Place) -> Iterator[Edit]:
    """`x` → `x or y`, `x or default`: a missing fallback."""
    node = place.node
    if (
        not isinstance(node, ast.Return | ast.Assign)
        or node.value is None
        or isinstance(node.value, ast.Constant | ast.BoolOp | ast.Compare)
    ):
        return
    text = place.segment(node.value)
    for default in ("None", "[]", "''", "0", "{}"):
        yield place.swap(node.value, f"{text} or {default}", weight=0.5)
    for variable in place.scope.variables.values():
        if variable.origin in {"parameter", "local"} and variable.name != text:
            yield place.swap(node.value, f"{text} or {variable.name}", weight=0.4)


def mark(place: Place) -> Iterator[Edit]:
    """After a test for membership, the step that makes it come out otherwise next time: put in, or taken out.

    A walk over a graph or a worklist that never marks what it has seen comes by it again and again.
    """
    node = place.node
    if not isinstance(node, ast.If) or place.function is None or "\n" in place.segment(node.test):
        return
    share = 1.0 if place.loop is not None else 0.3
    for test in (node.test, *(node.test.values if isinstance(node.test, ast.BoolOp) else ())):
        if not isinstance(test, ast.Compare) or not isinstance(test.ops[0], ast.In | ast.NotIn) or len(test.ops) > 1:
            continue
        item, holder = test.left, test.comparators[0]
        if not isinstance(holder, ast.Name | ast.Attribute) or isinstance(item, ast.Constant):
            continue
        known = place.scope.kinds_of(holder)
        steps = _TAKE if isinstance(test.ops[0], ast.In) else _PUT
        for kind, step, weight in steps:
            if not known or kind in known:
                text = step.format(holder=place.segment(holder), item=place.segment(item))
                if text not in place.function.text:
                    yield from _marked(place, text, share * weight * (1.0 if known else 0.7))


_TAKE = (
    ("set", "{holder}.remove({item})", 1.0),
    ("set", "{holder}.discard({item})", 0.5),
    ("list", "{holder}.remove({item})", 0.8),
    ("dict", "del {holder}[{item}]", 0.8),
)
_PUT = (
    ("set", "{holder}.add({item})", 1.0),
    ("list", "{holder}.append({item})", 1.0),
    ("deque", "{holder}.append({item})", 0.8),
    ("dict", "{holder}[{item}] = True", 0.4),
)
"""What changes the answer of a test for membership, by the kind of the container."""


def _marked(place: Place, text: str, weight: float) -> Iterator[Edit]:
    """The statement first and last in what the test guards; behind a test that only leaves, after it."""
    body = place.blocks["body"].places
    note = f"`{short(text)}` is added: what was tested for is never recorded"
    leaves = isinstance(body[-1].node, ast.Continue | ast.Break | ast.Return | ast.Raise)
    made = [body[0].before(text, weight=weight, note=note)]
    if not leaves:
        made.append(body[-1].after(text, weight=0.8 * weight, note=note))
    for edit in made:
        if edit is not None:
            yield edit


PATTERNS = (
    Pattern("slice", "container", "a slice takes in too much or too little", 0.5, slices, slices),
    Pattern("range", "container", "a range begins, ends or steps wrongly", 0.5, ranges, ranges),
    Pattern("subscript", "container", "the wrong item is taken", 0.4, subscripts, subscripts),
    Pattern("missing-key", "container", "a key may be missing", 0.3, missing_key, missing_key),
    Pattern("tuple-order", "container", "the parts of a tuple are exchanged", 0.4, tuple_order, tuple_order),
    Pattern("nesting", "container", "a value is nested too deep or not deep enough", 0.12, tuple_parts, ceiling=0.7),
    Pattern("alias", "container", "one mutable value is shared where copies are meant", 0.5, aliases),
    Pattern("missing-mark", "container", "what was tested for is never recorded", 0.5, mark, structural=True),
    Pattern("comprehension", "container", "a comprehension keeps too much or too little", 0.3, filters, ceiling=0.7),
    Pattern("choice", "container", "a conditional expression chooses wrongly", 0.45, choice, choice),
    Pattern("missing-fallback", "container", "a value may be empty and lacks a fallback", 0.08, fallback, ceiling=0.5),
)  # fmt: skip
