"""Whole statements: in the wrong order, needless, missing; donors from near by and statements made of what is in scope."""

import ast
import re
from collections.abc import Iterator

from thinklonger.agent.solver.pattern import Pattern
from thinklonger.agent.solver.patterns.booleans import known_conditions, synthesized
from thinklonger.agent.solver.place import Edit, Function, Loop, Place, short
from thinklonger.agent.solver.scope import Variable, alike, arguments

_MOST_STATEMENTS = 40
_FAR = 3


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
        if not used <= names:
            continue
        dump = ast.dump(other.node)
        weight = 1.0 if same else 0.7 if kin else 0.35
        if isinstance(other.node, ast.Return):
            weight *= 0.6
        if dump not in found:
            found[dump] = (other.text, weight, dump)
    cache[key] = sorted(found.values(), key=lambda item: -item[1])[:_MOST_STATEMENTS]
    return cache[key]


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
    """A statement made of what is in scope: a counter's step, an item remembered, a link followed, a result returned."""
    if not _insertable(place):
        return
    last = place.index == len(place.block.places) - 1
    for text, weight in made(place):
        yield from _spots(place, text, weight, f"`{short(text)}` is added")
    at_end = place.parent is place.function
    if last and not isinstance(place.node, ast.Return | ast.Raise):
        for variable in place.scope.variables.values():
            if variable.origin in {"local", "parameter"}:
                weight = (1.0 if variable.origin == "local" else 0.4) * (1.0 if at_end else 0.5)
                text = f"return {variable.name}"
                made_edit = place.after(text, weight=weight, note=f"`{text}` is added")
                if made_edit:
                    yield made_edit
        for text, weight in (
            ("return False", 0.6),
            ("return True", 0.6),
            ("return None", 0.2),
            ("return", 0.5),
            ("return 0", 0.3),
            ("return -1", 0.3),
            ("return []", 0.3),
            ("return self", 0.4),
        ):
            made_edit = place.after(text, weight=weight, note=f"`{text}` is added")
            if made_edit and not (text == "return None" and at_end):
                yield made_edit
        if place.loop is not None and place.parent is not place.loop:
            for text, weight in (("break", 0.9), ("continue", 0.9)):
                made_edit = place.after(text, weight=weight, note=f"`{text}` is added")
                if made_edit:
                    yield made_edit
        elif place.loop is not None:
            made_edit = place.after("break", weight=0.2, note="`break` is added")
            if made_edit:
                yield made_edit
        if place.parent is not None and isinstance(place.parent.node, ast.ExceptHandler):
            made_edit = place.after("raise", weight=0.7, note="the exception is raised again")
            if made_edit:
                yield made_edit


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


def _collections(found: dict[str, float], variables: list[Variable]) -> None:
    for container in variables:
        for item in variables:
            if item.name == container.name:
                continue
            if "set" in container.kinds:
                found[f"{container.name}.add({item.name})"] = 0.9
                found[f"{container.name}.discard({item.name})"] = 0.3
            if container.kinds & {"list", "deque"} and not item.kinds & {"none"}:
                found[f"{container.name}.append({item.name})"] = 0.6
            if "dict" in container.kinds:
                for value in variables:
                    if value.name not in {item.name, container.name}:
                        found[f"{container.name}[{item.name}] = {value.name}"] = 0.4
                found[f"{container.name}[{item.name}] = True"] = 0.15
                found[f"{container.name}[{item.name}] += 1"] = 0.3
                found[f"del {container.name}[{item.name}]"] = 0.2
        if container.kinds & {"list", "deque"}:
            found[f"{container.name}.pop()"] = 0.5
            found[f"{container.name}.reverse()"] = 0.25
            found[f"{container.name}.sort()"] = 0.35
            found[f"{container.name} = []"] = 0.4
            found[f"{container.name} = {container.name}[:]"] = 0.2
            found[f"{container.name} = list({container.name})"] = 0.3
        if "str" in container.kinds:
            found[f"{container.name} = {container.name}.strip()"] = 0.4
            found[f"{container.name} = {container.name}.lower()"] = 0.4
            found[f"{container.name} = ''"] = 0.3
        if "dict" in container.kinds:
            found[f"{container.name} = dict({container.name})"] = 0.3


def _links(found: dict[str, float], place: Place, variables: list[Variable]) -> None:
    attributes = place.module.facts.attributes
    links = [
        name
        for name in attributes
        if name in {"next", "prev", "parent", "left", "right", "child", "following", "previous"}
    ]
    for variable in variables:
        if variable.kinds and not variable.kinds & {"object", "none"}:
            continue
        for name in links:
            found[f"{variable.name} = {variable.name}.{name}"] = 0.7 if variable.origin == "local" else 0.3
            for other in variables:
                if other.name != variable.name and (not other.kinds or other.kinds & {"object", "none"}):
                    found[f"{variable.name}.{name} = {other.name}"] = 0.4
            found[f"{variable.name}.{name} = None"] = 0.25


def _attributes(found: dict[str, float], place: Place) -> None:
    """Statements about `self`: parameters kept, counts stepped, methods without arguments called."""
    if place.klass is None or place.function is None:
        return
    own = place.module.facts.attribute_kinds(place.klass)
    used = {node.id for node in ast.walk(place.function.node) if isinstance(node, ast.Name)}
    for name in [argument.arg for argument in arguments(place.function.node)]:
        if name in {"self", "cls"}:
            continue
        share = 1.0 if name not in used else 0.35
        found[f"self.{name} = {name}"] = share
        found[f"self._{name} = {name}"] = share * 0.8 if f"_{name}" in own else share * 0.2
        for attribute, found_kinds in own.items():
            if found_kinds & {"list", "deque"}:
                found[f"self.{attribute}.append({name})"] = 0.4
            if found_kinds & {"set"}:
                found[f"self.{attribute}.add({name})"] = 0.5
            if found_kinds & {"dict"}:
                found[f"self.{attribute}.pop({name}, None)"] = 0.3
                found[f"del self.{attribute}[{name}]"] = 0.2
            if attribute != name:
                found.setdefault(f"self.{attribute} = {name}", 0.25)
    for attribute, found_kinds in own.items():
        if "int" in found_kinds or any(
            word in attribute for word in ("size", "count", "length", "len", "index", "pos")
        ):
            found[f"self.{attribute} += 1"] = 0.8
            found[f"self.{attribute} -= 1"] = 0.8
            found[f"self.{attribute} = 0"] = 0.5
        if "bool" in found_kinds:
            found[f"self.{attribute} = True"] = 0.5
            found[f"self.{attribute} = False"] = 0.5
        if found_kinds & {"list", "dict", "set", "deque"}:
            found[f"self.{attribute}.clear()"] = 0.4
        if not found_kinds or "none" in found_kinds:
            found[f"self.{attribute} = None"] = 0.4
    for callee in place.module.facts.callees:
        if (
            callee.method
            and callee.required == 0
            and not callee.name.startswith("__")
            and callee.name != getattr(place.function.node, "name", "")
        ):
            found[f"self.{callee.name}()"] = 0.6 if callee.name.startswith("_") else 0.4
    if isinstance(place.klass.node, ast.ClassDef) and place.klass.node.bases:
        _parents(found, place)


def _parents(found: dict[str, float], place: Place) -> None:
    """A call of the overridden method, where there is none."""
    function = place.function
    if function is not None and isinstance(function.node, Function) and "super()" not in function.text:
        node = function.node
        names = ", ".join(argument.arg for argument in arguments(node)[1:])
        found[f"super().{node.name}({names})"] = 0.9
        if names:
            found[f"super().{node.name}()"] = 0.9 if node.name == "__init__" else 0.4


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
    new = f"{place.indent}{place.segment(target)}, {following.segment(other.targets[0])} = {place.segment(value)}, {following.segment(other.value)}\n"
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


def reset(place: Place) -> Iterator[Edit]:
    """A variable's first value assigned again at the beginning of a loop's body, or before a loop."""
    if not isinstance(place.node, Loop) or place.function is None:
        return
    first = place.blocks["body"].places[0]
    for other in place.module.places:
        if (
            other.function is not place.function
            or not isinstance(other.node, ast.Assign)
            or other.line >= place.line
            or "\n" in other.text
        ):
            continue
        made_edit = first.before(other.text, weight=1.0, note=f"`{short(other.text)}` runs again in every round")
        if made_edit:
            yield made_edit
        made_edit = place.before(other.text, weight=0.5, note=f"`{short(other.text)}` runs again before the loop")
        if made_edit:
            yield made_edit


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
        if name in known:
            made_edit = place.before(f"import {name}", weight=1.0, note=f"`{name}` is imported")
        else:
            made_edit = None
        if made_edit:
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
    Pattern("statement-order", "statement", "statements run in the wrong order", 0.4, reorder, reorder),
    Pattern("needless-statement", "statement", "a statement does not belong there", 0.22, delete, donor),
    Pattern("missing-statement-donor", "statement", "a statement that stands near by is missing", 0.12, donor, delete),
    Pattern("missing-counterpart", "statement", "a statement's counterpart is missing", 0.2, mapped_donor, delete),
    Pattern("missing-statement", "statement", "a usual step is missing", 0.17, synthesize, delete),
    Pattern("unconditional", "statement", "a statement should run only under a condition", 0.1, condition),
    Pattern("simultaneous", "statement", "an assignment uses a value that was just overwritten", 0.6, simultaneous, simultaneous),
    Pattern("missing-reset", "statement", "a value is carried from one round into the next", 0.25, reset),
    Pattern("missing-initialization", "statement", "a name may be used before it has a value", 0.3, initialize),
    Pattern("missing-import", "statement", "a module is used and not imported", 0.9, import_missing),
)  # fmt: skip
