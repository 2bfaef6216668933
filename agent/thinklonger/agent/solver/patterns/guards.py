"""Guards and base cases: a condition tested first, with a return, a jump or an exception."""

import ast
from collections.abc import Iterator

from thinklonger.agent.solver.pattern import Pattern
from thinklonger.agent.solver.patterns.booleans import known_conditions, mapped, synthesized
from thinklonger.agent.solver.place import Edit, Function, Loop, Place
from thinklonger.agent.solver.scope import Variable

_LITERALS = ("None", "[]", "0", "False", "True", "''", "1", "-1", "{}", "set()", "()", "0.0")
_SMALL = 4


def first_statement(place: Place) -> bool:
    """Whether a place is where a function's work begins, after its docstring and declarations."""
    function = place.function
    if function is None or place.parent is not function:
        return False
    for other in place.block.places:
        node = other.node
        declared = isinstance(node, ast.Global | ast.Nonlocal)
        documented = (
            isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        )
        if not declared and not documented:
            return other is place
    return False


def base_case(place: Place) -> Iterator[Edit]:
    """`if not x: return …` and relatives at the beginning of a function, for each parameter."""
    if not first_statement(place) or place.function is None:
        return
    returns = results(place)
    recursive = _calls_itself(place.function)
    parameters = [v for v in place.scope.variables.values() if v.origin == "parameter"][:_SMALL]
    for number, variable in enumerate(parameters):
        for test, weight in _tests(variable, parameters, recursive=recursive):
            for value, share in returns:
                yield from _guard(place, test, f"return {value}", weight * share / (1 + 0.3 * number))
            for name in place.module.clues.wanted:
                yield from _guard(place, test, f"raise {name}", weight)
    for test in _own_tests(place):
        for value, share in returns[:6]:
            yield from _guard(place, test, f"return {value}", 0.4 * share)
        for wanted in place.module.clues.wanted:
            yield from _guard(place, test, f"raise {wanted}", 0.6)


def _own_tests(place: Place) -> Iterator[str]:
    """Conditions about the attributes of the object."""
    for name, found in list(place.module.facts.attribute_kinds(place.klass).items())[:6]:
        if not found or found & {"list", "dict", "set", "deque", "none", "object"}:
            yield from (f"not self.{name}", f"self.{name} is None")
        elif "int" in found:
            yield from (f"self.{name} == 0", f"self.{name} <= 0")
        else:
            yield f"self.{name}"


def _calls_itself(function: Place) -> bool:
    name = getattr(function.node, "name", "")
    return any(
        isinstance(node, ast.Call)
        and (
            (isinstance(node.func, ast.Name) and node.func.id == name)
            or (isinstance(node.func, ast.Attribute) and node.func.attr == name)
        )
        for node in ast.walk(function.node)
    )


def _tests(variable: Variable, others: list[Variable], *, recursive: bool) -> list[tuple[str, float]]:
    name, known = variable.name, variable.kinds
    found: list[tuple[str, float]] = []
    if not known or known & {"list", "str", "dict", "set", "tuple", "object", "none", "deque", "iterator"}:
        found += [(f"not {name}", 1.0), (f"{name} is None", 0.7)]
    if not known or known & {"list", "str", "tuple", "deque"}:
        found += [
            (f"len({name}) <= 1", 0.6 if recursive else 0.35),
            (f"len({name}) < 2", 0.1),
            (f"len({name}) == 1", 0.3),
        ]
    if not known or known & {"int", "float"}:
        found += [
            (f"{name} == 0", 0.8),
            (f"{name} <= 0", 0.7),
            (f"{name} < 0", 0.7),
            (f"{name} == 1", 0.4),
            (f"{name} <= 1", 0.5),
            (f"{name} < 1", 0.2),
            (f"{name} < 2", 0.3),
        ]
    for other in others:
        if other.name != name and (other.kinds & known & {"int", "float"} or not (known and other.kinds)):
            found += [
                (f"{name} == {other.name}", 0.3),
                (f"{name} > {other.name}", 0.3),
                (f"{name} >= {other.name}", 0.25),
            ]
        elif other.name != name and "int" in known and other.kinds & {"list", "str"}:
            found += [
                (f"{name} >= len({other.name})", 0.5),
                (f"{name} > len({other.name})", 0.4),
                (f"{name} == len({other.name})", 0.4),
            ]
        elif other.name != name and other.kinds & {"set", "dict", "list"}:
            found += [(f"{name} in {other.name}", 0.4), (f"{name} not in {other.name}", 0.4)]
    return found


def results(place: Place) -> list[tuple[str, float]]:
    """What a guard may return: what the function's other returns return, its parameters, empty values that fit."""
    found: dict[str, float] = {}
    fitting: set[str] = set()
    for other in place.module.places:
        if other.function is place.function and isinstance(other.node, ast.Return) and other.node.value is not None:
            value = other.node.value
            fitting |= other.scope.kinds_of(value)
            if isinstance(value, ast.Constant | ast.Name | ast.List | ast.Dict | ast.Tuple | ast.UnaryOp) and _early(
                place, value
            ):
                found[other.segment(value)] = 0.8
    for variable in place.scope.variables.values():
        if variable.origin == "parameter" and (not fitting or not variable.kinds or fitting & variable.kinds):
            found.setdefault(variable.name, 0.7)
    kinds = {
        "None": "none",
        "[]": "list",
        "0": "int",
        "False": "bool",
        "True": "bool",
        "''": "str",
        "1": "int",
        "-1": "int",
        "{}": "dict",
        "set()": "set",
        "()": "tuple",
        "0.0": "float",
    }
    wanted = {
        repr(value)
        for value in place.module.clues.results
        if value in (None, 0, 1, -1, "", True, False) or value in ([], {}, ())
    }
    for literal in _LITERALS:
        weight = 0.7 if kinds[literal] in fitting else 0.45 if not fitting else 0.25
        if literal in wanted:
            weight = max(weight, 0.9)
        found.setdefault(literal, weight)
    return sorted(found.items(), key=lambda item: -item[1])[:12]


def _early(place: Place, value: ast.expr) -> bool:
    """Whether a returned value exists at the beginning: it reads parameters only."""
    parameters = set(place.scope.parameters) | {"self"}
    return all(node.id in parameters for node in ast.walk(value) if isinstance(node, ast.Name))


def _guard(place: Place, test: str, action: str, weight: float) -> Iterator[Edit]:
    if place.slot is None:
        return
    if "\n" in action:
        made = place.before(f"if {test}:\n{place.module.indent_step}{action}", weight=min(weight, 1.0), note="")
        yield from (made,) if made else ()
    else:
        at, indent, reach = place.slot
        text = f"{indent}if {test}:\n{indent}{place.module.indent_step}{action}\n"
        yield Edit(place, at, at, text, min(weight, 1.0), "", reach)


def skip(place: Place) -> Iterator[Edit]:
    """`if c: continue`, `break` or `return …` before a statement, under a condition from near by or made up."""
    if place.function is None or not isinstance(place.node, ast.stmt) or first_statement(place) or place.indent is None:
        return
    in_loop = place.loop is not None
    at_start = in_loop and place.parent is place.loop and place.index == 0
    share = 1.0 if at_start else 0.5
    tests = [(text, near * 0.8) for text, near in known_conditions(place, 10)] + mapped(place) + synthesized(place, 24)
    if in_loop:
        seen = _membership(place)
        tests = seen + tests
        for test, weight in tests:
            yield from _guard(place, test, "continue", weight * share)
            yield from _guard(place, test, "break", weight * share * 0.6)
    for test, weight in tests[:20]:
        for value, part in results(place)[:6]:
            yield from _guard(place, test, f"return {value}", weight * part * 0.4)
        for name in place.module.clues.wanted:
            yield from _guard(place, test, f"raise {name}", weight)


def _membership(place: Place) -> list[tuple[str, float]]:
    """`x in seen` for sets and dicts, with the names that the loop binds first."""
    loop = place.loop
    if loop is None or not isinstance(loop.node, Loop):
        return []
    bound = {node.id for node in ast.walk(loop.node) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    found: list[tuple[str, float]] = []
    for container in place.scope.variables.values():
        if container.kinds & {"set", "dict", "list"}:
            weight = 1.0 if container.kinds & {"set", "dict"} else 0.5
            found += [(f"{name} in {container.name}", weight) for name in sorted(bound - {container.name})[:5]]
    return found


def own_guard(place: Place) -> Iterator[Edit]:
    """`if self.x …: return` and the usual exceptions at the beginning of a method, from guards of its siblings."""
    if not first_statement(place) or place.function is None:
        return
    names = place.scope.visible
    for other in place.module.places:
        if (
            not isinstance(other.node, ast.If)
            or other.function is None
            or other.function is place.function
            or other.node.orelse
        ):
            continue
        body = other.node.body
        if (
            len(body) != 1
            or not isinstance(body[0], ast.Return | ast.Raise)
            or not isinstance(other.function.node, Function)
        ):
            continue
        used = {node.id for node in ast.walk(other.node) if isinstance(node, ast.Name)}
        if used <= names and other.alone and "\n" not in other.segment(other.node.test):
            inner = other.blocks["body"].places[0]
            near = 1.0 if other.klass is place.klass and place.klass is not None else 0.5
            yield from _guard(place, other.segment(other.node.test), inner.text, near)


PATTERNS = (
    Pattern("base-case", "guard", "a special case is not handled first", 0.2, base_case, structural=True, ceiling=0.9),
    Pattern("sibling-guard", "guard", "a check that siblings make is missing", 0.3, own_guard, structural=True),
    Pattern("skip", "guard", "a case should be skipped", 0.12, skip, structural=True),
)
