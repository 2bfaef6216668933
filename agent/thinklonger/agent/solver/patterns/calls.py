"""Calls: their target, the order, number and values of their arguments, wrappers, and calls forgotten."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from thinklonger.agent.solver import kinds
from thinklonger.agent.solver.pattern import Pattern
from thinklonger.agent.solver.place import Edit, Place
from thinklonger.agent.solver.scope import Function, alike, arguments

_FUNCTIONS: tuple[tuple[str, ...], ...] = (
    ("min", "max"), ("any", "all"), ("sorted", "list", "reversed", "set"), ("int", "float", "str", "round", "bool"),
    ("set", "list", "tuple", "frozenset", "sorted", "dict"), ("sum", "len", "max", "min"), ("str", "repr"),
    ("abs", "int", "round"), ("map", "filter"), ("isinstance", "issubclass"), ("zip", "zip_longest", "enumerate"),
    ("ord", "chr", "int"), ("deque", "list"), ("defaultdict", "dict"), ("iter", "list"), ("getattr", "hasattr"),
    ("divmod", "pow"), ("range", "list", "len"),
)  # fmt: skip
_METHODS: tuple[tuple[str, ...], ...] = (
    ("append", "extend", "add", "insert", "appendleft"), ("add", "update", "append", "discard", "remove"),
    ("startswith", "endswith"), ("find", "index", "rfind", "rindex", "count"), ("pop", "popleft", "popitem"),
    ("append", "appendleft"), ("lstrip", "rstrip", "strip"),
    ("lower", "upper", "title", "capitalize", "casefold", "swapcase"),
    ("split", "rsplit", "splitlines", "partition", "rpartition"), ("keys", "values", "items"),
    ("get", "pop", "setdefault"), ("union", "intersection", "difference", "symmetric_difference"),
    ("issubset", "issuperset"), ("remove", "discard", "pop"), ("sort", "reverse"),
    ("isdigit", "isalpha", "isalnum", "isnumeric", "isdecimal", "isspace"), ("isupper", "islower"),
    ("ljust", "rjust", "center", "zfill"), ("match", "search", "fullmatch", "findall"), ("sub", "subn"),
    ("copy", "deepcopy"), ("floor", "ceil", "trunc", "round"), ("read", "readline", "readlines"),
    ("write", "writelines"), ("heappush", "heappushpop"), ("heappop", "heappush"), ("removeprefix", "lstrip"),
    ("removesuffix", "rstrip"), ("bisect_left", "bisect_right"), ("insort_left", "insort_right"),
    ("put", "get"), ("encode", "decode"), ("acquire", "release"), ("total_seconds", "seconds"),
    ("date", "datetime"), ("loads", "load"), ("dumps", "dump"), ("group", "groups"), ("start", "end"),
    ("clear", "copy"), ("update", "setdefault"), ("strftime", "strptime"), ("fromkeys", "update"),
    ("islice", "takewhile"), ("takewhile", "dropwhile"), ("permutations", "combinations", "product"),
    ("sin", "cos"), ("log", "log2", "log10"),
)  # fmt: skip


def _kin(groups: tuple[tuple[str, ...], ...], name: str) -> dict[str, float]:
    found: dict[str, float] = {}
    for group in groups:
        if name in group:
            for other in group:
                if other != name:
                    found.setdefault(other, 1.0 if len(group) == 2 else 0.75)  # noqa: PLR2004 - a pair
    return found


def target(place: Place) -> Iterator[Edit]:
    """`min` → `max`, `append` → `extend`, and sibling functions that take as many arguments."""
    for node in place.all(ast.Call):
        if isinstance(node.func, ast.Name):
            yield from _other_functions(place, node, node.func)
        elif isinstance(node.func, ast.Attribute):
            yield from _other_methods(place, node, node.func)


def _other_functions(place: Place, node: ast.Call, func: ast.Name) -> Iterator[Edit]:
    count = len(node.args) + len(node.keywords)
    for other, weight in _kin(_FUNCTIONS, func.id).items():
        if other in place.scope.visible:
            yield place.swap(func, other, weight=weight * _fits(func.id, other))
    for callee in place.module.facts.callees:
        if not callee.method and callee.name != func.id and callee.required <= count <= callee.most:
            yield place.swap(func, callee.name, weight=0.5 * alike(func.id, callee.name))
    for variable in place.scope.variables.values():
        if "callable" in variable.kinds and variable.name != func.id:
            yield place.swap(func, variable.name, weight=0.5)


_RARE = frozenset({"put", "acquire", "release", "load", "dump", "fromkeys", "subn", "writelines", "insort_left"})
"""Methods that are only taken for another where the file uses them, too."""
_UNLIKE = 0.15


def _fits(name: str, other: str) -> float:
    """How well one built-in's result stands in for another's."""
    if "issubclass" in (name, other):
        return _UNLIKE
    have, want = kinds.CALLS.get(other, kinds.UNKNOWN), kinds.CALLS.get(name, kinds.UNKNOWN)
    return max(kinds.fit(have, want), _UNLIKE) if have and want else 1.0


def _other_methods(place: Place, node: ast.Call, func: ast.Attribute) -> Iterator[Edit]:
    count = len(node.args) + len(node.keywords)
    end = place.span(func)[1]
    start = end - len(func.attr)
    used = place.module.facts.attributes
    options = {name: weight for name, weight in _kin(_METHODS, func.attr).items() if name in used or name not in _RARE}
    mine = isinstance(func.value, ast.Name) and func.value.id in {"self", "cls", "super"}
    for callee in place.module.facts.callees:
        fits = callee.method and callee.required <= count <= callee.most and not callee.name.startswith("__")
        if fits and callee.name != func.attr:
            options.setdefault(callee.name, (0.7 if mine else 0.4) * alike(func.attr, callee.name))
    options.update(dict.fromkeys(sorted(place.module.clues.missing - {func.attr}), 1.0))
    for other, weight in options.items():
        yield place.splice(start, end, other, weight=weight, note=f"`.{func.attr}` becomes `.{other}`")


def argument_order(place: Place) -> Iterator[Edit]:
    """Two arguments exchanged."""
    for node in place.all(ast.Call):
        plain = [item for item in node.args if not isinstance(item, ast.Starred)]
        if _called(node) in _TYPED:
            continue
        share = _UNLIKE if _called(node) in _COMMUTING else 1.0
        for first in range(len(plain)):
            for second in range(first + 1, min(len(plain), first + 4)):
                weight = share * (1.0 if second == first + 1 else 0.6)
                yield _exchange(place, plain[first], plain[second], weight)


_TYPED = frozenset({"isinstance", "issubclass", "hasattr", "getattr", "setattr", "delattr"})
"""Calls that fail with their arguments exchanged."""
_COMMUTING = frozenset(
    {"max", "min", "gcd", "lcm", "hypot", "isclose", "union", "intersection", "symmetric_difference"}
)
"""Calls that hardly care for the order of their arguments."""


def _exchange(place: Place, one: ast.expr, other: ast.expr, weight: float) -> Edit:
    (start, stop), (begin, end) = place.span(one), place.span(other)
    text = place.source.text
    new = text[begin:end] + text[stop:begin] + text[start:stop]
    return place.splice(
        start, end, new, weight=weight, note=f"`{text[start:stop]}` and `{text[begin:end]}` change places"
    )


def drop_argument(place: Place) -> Iterator[Edit]:
    """An argument left out."""
    for node in place.all(ast.Call):
        items: list[ast.expr | ast.keyword] = [*node.args, *node.keywords]
        if not items:
            continue
        spans = sorted(place.span(item) for item in items)
        for number, (start, end) in enumerate(spans):
            if number + 1 < len(spans):
                cut = (start, spans[number + 1][0])
            elif number:
                cut = (spans[number - 1][1], end)
            else:
                cut = (start, end)
            text = place.source.text[start:end]
            weight = 1.0 if "=" in text or len(spans) > 1 else 0.5
            yield place.splice(*cut, "", weight=weight, note=f"the argument `{text}` is left out")


_KEYWORDS: dict[str, tuple[tuple[str, float], ...]] = {
    "sorted": (("reverse=True", 1.0), ("key=len", 0.5), ("key=str.lower", 0.2), ("key=lambda item: item[1]", 0.3),
               ("key=lambda item: item[0]", 0.3)),
    "sort": (("reverse=True", 1.0), ("key=len", 0.5), ("key=lambda item: item[1]", 0.3),
             ("key=lambda item: item[0]", 0.3)),
    "max": (("default=0", 0.8), ("default=None", 0.6), ("key=len", 0.5), ("0", 0.2)),
    "min": (("default=0", 0.8), ("default=None", 0.6), ("key=len", 0.5)),
    "enumerate": (("1", 1.0), ("start=1", 0.2)),
    "round": (("2", 0.9), ("1", 0.3), ("3", 0.2)),
    "get": (("0", 0.8), ("[]", 0.6), ("''", 0.5), ("None", 0.3), ("{}", 0.4), ("False", 0.4)),
    "pop": (("0", 0.9), ("None", 0.6), ("-1", 0.2)),
    "next": (("None", 0.9),),
    "split": (("','", 0.3), ("' '", 0.4), ("1", 0.2)),
    "splitlines": (("keepends=True", 0.6),),
    "rstrip": (("'\\n'", 0.4),),
    "int": (("10", 0.2), ("2", 0.3), ("16", 0.3)),
    "sum": (("[]", 0.2),),
    "getattr": (("None", 0.7),),
    "zip": (("strict=True", 0.2),),
    "range": (("-1", 0.2),),
    "dumps": (("sort_keys=True", 0.5), ("ensure_ascii=False", 0.5)),
    "open": (("encoding='utf-8'", 0.6), ("newline=''", 0.3)),
    "sub": (("flags=re.IGNORECASE", 0.2),),
    "makedirs": (("exist_ok=True", 0.8),),
    "mkdir": (("parents=True, exist_ok=True", 0.6), ("exist_ok=True", 0.6)),
    "replace": (("1", 0.3),),
    "search": (("re.IGNORECASE", 0.3),),
    "match": (("re.IGNORECASE", 0.3),),
    "findall": (("re.IGNORECASE", 0.3),),
    "compile": (("re.IGNORECASE", 0.4), ("re.MULTILINE", 0.3), ("re.DOTALL", 0.3)),
    "gather": (("return_exceptions=True", 0.5),),
    "print": (("end=''", 0.4), ("sep=''", 0.3)),
}  # fmt: skip
"""Arguments that well-known calls often lack."""

_COMPLETE = 2
"""A call of an unknown function with so many arguments is taken to be complete."""


@dataclass(frozen=True, slots=True)
class _Slot:
    """Where a call can take one more argument: before its closing parenthesis, after a comma if there are others."""

    node: ast.Call
    name: str
    end: int
    lead: str
    given: frozenset[str | None]

    def put(self, place: Place, text: str, weight: float) -> Edit:
        """The argument added."""
        return place.splice(
            self.end, self.end, self.lead + text, weight=weight, note=f"the argument `{text}` is added to `{self.name}`"
        )


def _slots(place: Place) -> Iterator[_Slot]:
    for node in place.all(ast.Call):
        end = place.span(node)[1] - 1
        if place.source.text[end : end + 1] != ")":
            continue
        have = place.source.text[place.span(node.func)[1] : end].strip()
        lead = ", " if (node.args or node.keywords) and not have.endswith(",") else ""
        if not (len(node.args) == 1 and isinstance(node.args[0], ast.GeneratorExp)):
            given = frozenset(keyword.arg for keyword in node.keywords)
            yield _Slot(node, _called(node), end, lead, given)


def _called(node: ast.Call) -> str:
    match node.func:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case _:
            return ""


def add_argument(place: Place) -> Iterator[Edit]:
    """An argument added: to the function's own recursion first, to the file's functions, to well-known calls."""
    callees = {callee.name: callee for callee in place.module.facts.callees}
    for slot in _slots(place):
        for text, weight in _KEYWORDS.get(slot.name, ()):
            keyword = text.partition("=")[0] if "=" in text and not text.startswith("'") else ""
            if keyword not in slot.given and (keyword or not slot.given):
                yield slot.put(place, text, weight)
        callee = callees.get(slot.name)
        if callee is not None:
            if len(slot.node.args) + len(slot.node.keywords) < callee.most:
                yield from _own_arguments(place, slot)
        elif slot.name not in kinds.CALLS | kinds.METHODS and (
            slot.name[:1].isupper() or len(slot.node.args) < _COMPLETE
        ):
            yield from _variables(place, slot, "", 0.2)


def _own_arguments(place: Place, slot: _Slot) -> Iterator[Edit]:
    """Arguments for a function of the file: what is in scope, and parameters handed on by name."""
    function = place.function
    recursive = function is not None and isinstance(function.node, Function) and function.node.name == slot.name
    share = 1.0 if recursive else 0.8
    parameter = _parameter(place, slot.name, len(slot.node.args)) or ""
    yield from _variables(place, slot, parameter, share)
    attributes = place.module.facts.attribute_kinds(place.klass)
    for text, known in ((parameter, place.scope.variables), (f"self.{parameter}", {f"self.{n}" for n in attributes})):
        if parameter and text in known:
            yield slot.put(place, f"{parameter}={text}", share * 0.8)
    for other in place.module.functions:
        if isinstance(other.node, Function) and other.node.name == slot.name:
            for argument in arguments(other.node):
                if argument.arg in place.scope.variables and argument.arg not in slot.given:
                    yield slot.put(place, f"{argument.arg}={argument.arg}", 0.8)


def _variables(place: Place, slot: _Slot, parameter: str, share: float) -> Iterator[Edit]:
    for variable in place.scope.variables.values():
        if variable.origin != "module" and variable.name not in slot.given:
            weight = share * (1.0 if variable.name == parameter else alike(variable.name, parameter))
            yield slot.put(place, variable.name, weight)


def _parameter(place: Place, name: str, position: int) -> str | None:
    """The name of a file's function's parameter at a position of a call."""
    for function in place.module.functions:
        if isinstance(function.node, Function) and function.node.name == name:
            names = [argument.arg for argument in arguments(function.node)]
            if names[:1] in (["self"], ["cls"]):
                names = names[1:]
            return names[position] if position < len(names) else None
    return None


_WRAPPERS: tuple[tuple[str, frozenset[str], float], ...] = (
    ("list", frozenset({"iterator", "view", "tuple", "set", "str", "dict", "list"}), 0.9),
    ("sorted", frozenset({"list", "set", "iterator", "view", "dict", "tuple", "str"}), 0.8),
    ("set", frozenset({"list", "tuple", "str", "iterator"}), 0.6),
    ("tuple", frozenset({"list", "iterator", "set"}), 0.6),
    ("reversed", frozenset({"list", "iterator", "tuple"}), 0.5),
    ("len", frozenset({"list", "str", "dict", "set", "tuple", "deque"}), 0.7),
    ("str", frozenset({"int", "float", "list", "bool", "none"}), 0.7),
    ("int", frozenset({"str", "float", "bool", "int"}), 0.8),
    ("float", frozenset({"str", "int"}), 0.5),
    ("abs", frozenset({"int", "float"}), 0.7),
    ("sum", frozenset({"list", "iterator"}), 0.4),
    ("dict", frozenset({"dict", "list"}), 0.4),
    ("enumerate", frozenset({"list", "str", "iterator"}), 0.3),
    ("round", frozenset({"float"}), 0.6),
    ("bool", frozenset({"int", "str", "list", "object", "none"}), 0.5),
    ("max", frozenset({"list"}), 0.2),
    ("min", frozenset({"list"}), 0.2),
    ("repr", frozenset({"str", "object"}), 0.2),
    ("range", frozenset({"int"}), 0.4),
)  # fmt: skip
_STRING_CALLS = ("strip()", "lower()", "upper()", "split()", "rstrip()", "lstrip()", "title()", "capitalize()")


def wrap(place: Place) -> Iterator[Edit]:
    """`x` → `list(x)`, `sorted(x)`, `len(x)`, `int(x)`, `abs(x)` and relatives."""
    own = _own_wrappers(place)
    for node in place.all(ast.expr):
        parent = place.module.parent(node)
        if not wrappable(node, parent):
            continue
        found = place.scope.kinds_of(node)
        text = place.segment(node)
        if isinstance(node, ast.GeneratorExp) and text.startswith("("):
            text = text[1:-1]
        slot = (
            1.0
            if isinstance(
                parent, ast.Return | ast.For | ast.comprehension | ast.ListComp | ast.GeneratorExp | ast.SetComp
            )
            else 0.75
            if isinstance(parent, ast.Assign | ast.Call)
            else 0.55
        )
        wrapped = parent.func.id if isinstance(parent, ast.Call) and isinstance(parent.func, ast.Name) else ""
        for name, takes, weight in _WRAPPERS:
            fitting = 1.0 if found & takes else 0.35 if not found else 0.0
            if fitting and name != wrapped:
                share = 0.9 if f"wanted-{name}" in place.module.clues.tags else weight
                yield place.wrap(node, f"{name}({text})", weight=share * fitting * slot)
        if "float" in found:
            yield place.wrap(node, f"round({text}, 2)", weight=0.6 * slot)
        for name, weight in own:
            yield place.wrap(node, f"{name}({text})", weight=weight)


def _own_wrappers(place: Place) -> list[tuple[str, float]]:
    """The file's own functions that a value can be given to, with weights; in source order."""
    found: list[tuple[str, float]] = []
    function = getattr(place.function.node, "name", "") if place.function is not None else ""
    for callee in place.module.facts.callees:
        if not callee.required <= 1 <= callee.most:
            continue
        if not callee.method and place.function is not None:
            found.append((callee.name, 0.4 if callee.name == function else 0.25))
        elif callee.method and place.klass is not None and not callee.name.startswith("__"):
            found.append((f"self.{callee.name}", 0.15))
    return found


def wrappable(node: ast.expr, parent: ast.AST | None) -> bool:
    """Whether an expression's value can be given to a call where it stands."""
    if isinstance(
        node,
        ast.Constant
        | ast.Starred
        | ast.Slice
        | ast.Lambda
        | ast.Yield
        | ast.YieldFrom
        | ast.Await
        | ast.JoinedStr
        | ast.NamedExpr,
    ):
        return False
    if not isinstance(getattr(node, "ctx", ast.Load()), ast.Load) or isinstance(parent, ast.Expr | ast.Attribute):
        return False
    if isinstance(node, ast.Name) and node.id in {"self", "cls"}:
        return False
    return not (isinstance(parent, ast.Call) and node is parent.func) and not (
        isinstance(parent, ast.Subscript) and node is parent.value
    )


def unwrap(place: Place) -> Iterator[Edit]:
    """`f(x)` → `x`, `x.m()` → `x`."""
    for node in place.all(ast.Call):
        if isinstance(place.module.parent(node), ast.Expr):
            continue
        if isinstance(node.func, ast.Name) and len(node.args) >= 1:
            for position, argument in enumerate(node.args[:3]):
                if not isinstance(argument, ast.Starred):
                    weight = (
                        (1.0 if node.func.id in kinds.CALLS else 0.5)
                        * (1.0 if len(node.args) == 1 else 0.5)
                        / (1 + position)
                    )
                    yield place.swap(node, place.segment(argument), weight=weight)
        elif isinstance(node.func, ast.Attribute):
            weight = 0.8 if node.func.attr in kinds.METHODS else 0.3
            yield place.swap(node, place.segment(node.func.value), weight=weight)
            if len(node.args) == 1 and not isinstance(node.args[0], ast.Starred):
                yield place.swap(node, place.segment(node.args[0]), weight=0.4)


def method(place: Place) -> Iterator[Edit]:
    """`x` → `x.strip()`, `x.lower()`, `x.items()`, `x.copy()`, `x[:]` and relatives."""
    for node in place.all((ast.Name, ast.Attribute, ast.Subscript, ast.Call)):
        parent = place.module.parent(node)
        if not wrappable(node, parent):
            continue
        found = place.scope.kinds_of(node)
        text = place.segment(node)
        if found & {"str"} or not found:
            share = 0.8 if "str" in found else 0.3
            for call in _STRING_CALLS:
                yield place.swap(
                    node, f"{text}.{call}", weight=share * (1.0 if call[:5] in {"strip", "lower"} else 0.5)
                )
        if found & {"dict"} or not found:
            share = 0.8 if "dict" in found else 0.2
            iterated = isinstance(parent, ast.For | ast.comprehension)
            for call in ("items()", "values()", "keys()", "copy()"):
                yield place.swap(node, f"{text}.{call}", weight=share * (1.0 if iterated or call == "copy()" else 0.4))
        if found & {"list", "deque", "str", "tuple"} or not found:
            share = 0.7 if found & {"list", "deque"} else 0.5 if found else 0.25
            for suffix in ("[:]", ".copy()", "[::-1]", "[1:]", "[:-1]"):
                yield place.swap(node, f"{text}{suffix}", weight=share * (1.0 if suffix == "[:]" else 0.5))
        if not isinstance(node, ast.Call) and (not found or found & {"callable", "object"}):
            yield place.swap(node, f"{text}()", weight=0.5)


def call_parentheses(place: Place) -> Iterator[Edit]:
    """`f()` → `f`, `x.m` → `x.m()`."""
    methods = {callee.name: callee for callee in place.module.facts.callees}
    for node in place.all(ast.Call):
        if not node.args and not node.keywords:
            yield place.swap(node, place.segment(node.func), weight=0.6)
    for node in place.all((ast.Attribute, ast.Name)):
        parent = place.module.parent(node)
        name = node.attr if isinstance(node, ast.Attribute) else node.id
        callee = methods.get(name)
        known = (callee is not None and callee.required == 0) or (
            isinstance(node, ast.Attribute) and name in kinds.METHODS
        )
        if known and isinstance(node.ctx, ast.Load) and not (isinstance(parent, ast.Call) and parent.func is node):
            yield place.swap(node, f"{place.segment(node)}()", weight=1.0)


def key_function(place: Place) -> Iterator[Edit]:
    """Sort keys: the other part of a pair, the negative, a tie-break."""
    for node in place.all(ast.Lambda):
        names = [argument.arg for argument in arguments(node)]
        if len(names) != 1:
            continue
        name, body = names[0], place.segment(node.body)
        loose = f"({body})" if isinstance(node.body, ast.Tuple) and not body.startswith("(") else body
        for new, weight in (
            (f"-{loose}", 0.7), (f"({loose}, {name})", 0.7), (f"({loose}, {name}[0])", 0.5),
            (f"({loose}, {name}[1])", 0.4), (f"(-{loose}, {name})", 0.5), (f"({name}, {loose})", 0.2), (name, 0.4),
            (f"len({loose})", 0.4), (f"{loose}.lower()", 0.3),
            (f"(-{loose}, {name}[0])", 0.5), (f"str({loose})", 0.1), (f"int({loose})", 0.3), (f"abs({loose})", 0.2),
        ):  # fmt: skip
            if new != body:
                yield place.swap(node.body, new, weight=weight)
        if isinstance(node.body, ast.Tuple):
            for number, element in enumerate(node.body.elts):
                rest = ", ".join(place.segment(other) for other in node.body.elts if other is not element)
                text = place.segment(element)
                new = text[1:] if text.startswith("-") else f"-{text}"
                start, end = place.span(element)
                yield place.splice(
                    start, end, new, weight=0.8, note=f"the sort key's part {number + 1} becomes `{new}`"
                )
                if len(node.body.elts) == 2:  # noqa: PLR2004 - a pair
                    yield place.swap(node.body, rest, weight=0.4)


_TYPES = ("int", "str", "float", "list", "dict", "set", "tuple", "bool", "bytes", "frozenset")


def type_name(place: Place) -> Iterator[Edit]:
    """A built-in type or function handed on: `defaultdict(list)` → `defaultdict(int)`, `isinstance(x, (A, B))`."""
    for node in place.all(ast.Name):
        parent = place.module.parent(node)
        called = isinstance(parent, ast.Call) and node is parent.func
        if (
            called
            or node.id not in kinds.CALLS
            or not isinstance(node.ctx, ast.Load)
            or node.id in place.scope.variables
        ):
            continue
        options = dict.fromkeys(_TYPES, 0.5) if node.id in _TYPES else {}
        options |= {name: weight for name, weight in _kin(_FUNCTIONS, node.id).items() if name in place.scope.visible}
        for other, weight in options.items():
            if other != node.id:
                yield place.swap(node, other, weight=weight)
        if isinstance(parent, ast.Call) and _called(parent) == "isinstance":
            for other in _TYPES:
                if other != node.id:
                    yield place.swap(node, f"({node.id}, {other})", weight=0.4)


_UNITS = ("days", "hours", "minutes", "seconds", "weeks", "milliseconds", "microseconds")


def keyword_name(place: Place) -> Iterator[Edit]:
    """A keyword of a call renamed: to another parameter of the function, another unit, a name that was missing."""
    for node in place.all(ast.Call):
        name = _called(node)
        known = [
            argument.arg
            for function in place.module.functions
            if isinstance(function.node, Function) and function.node.name == name
            for argument in arguments(function.node)
            if argument.arg not in {"self", "cls"}
        ]
        given = {keyword.arg for keyword in node.keywords}
        for keyword in node.keywords:
            if keyword.arg is None:
                continue
            start = place.span(keyword)[0]
            options = [*known, *(_UNITS if keyword.arg in _UNITS else ()), *sorted(place.module.clues.missing)]
            for other in dict.fromkeys(options):
                if other not in given:
                    end = start + len(keyword.arg)
                    note = f"the keyword `{keyword.arg}` becomes `{other}`"
                    yield place.splice(start, end, other, weight=alike(keyword.arg, other), note=note)


_IN_PLACE = frozenset({"append", "extend", "insert", "add", "update", "sort", "reverse", "remove", "clear", "discard"})


def in_place(place: Place) -> Iterator[Edit]:
    """A method that returns None used for its result: `x.sort()` → `sorted(x)`, `x = x.append(y)` → `x.append(y)`."""
    for node in place.all(ast.Call):
        if not isinstance(node.func, ast.Attribute) or node.func.attr not in _IN_PLACE:
            continue
        owner = place.segment(node.func.value)
        if isinstance(place.module.parent(node), ast.Expr):
            if node.func.attr == "append" and node.args:
                yield place.swap(node, f"{owner} = {owner} + [{place.segment(node.args[0])}]", weight=0.2)
            continue
        if node.func.attr == "sort":
            given = place.source.text[place.span(node.func)[1] + 1 : place.span(node)[1] - 1].strip()
            yield place.swap(node, f"sorted({owner}, {given})" if given else f"sorted({owner})", weight=1.0)
        elif node.func.attr == "reverse":
            yield place.swap(node, f"{owner}[::-1]", weight=1.0)
            yield place.swap(node, f"list(reversed({owner}))", weight=0.6)
        elif node.func.attr in {"append", "add"} and node.args:
            item = place.segment(node.args[0])
            joined = f"{owner} + [{item}]" if node.func.attr == "append" else f"{owner} | {{{item}}}"
            yield place.swap(node, joined, weight=0.9)
        if isinstance(place.node, ast.Assign | ast.Return) and place.node.value is node:
            text = place.segment(node)
            yield place.splice(
                place.start, place.end, text, weight=1.0, note=f"only `{text}` stays: it returns nothing"
            )


PATTERNS = (
    Pattern("call-target", "call", "another function or method was meant", 0.5, target, target),
    Pattern("argument-order", "call", "arguments are exchanged", 0.5, argument_order, argument_order),
    Pattern("needless-argument", "call", "an argument does not belong into the call", 0.2, drop_argument, add_argument),
    Pattern("missing-argument", "call", "an argument is missing from the call", 0.35, add_argument, drop_argument),
    Pattern("missing-wrapper", "call", "a value is not converted", 0.25, wrap, unwrap, ceiling=0.9),
    Pattern("needless-wrapper", "call", "a value is converted that should stay as it is", 0.3, unwrap, wrap),
    Pattern("missing-method", "call", "a value is not cleaned up, copied or opened up", 0.2, method, unwrap,
            ceiling=0.8),
    Pattern("call-parentheses", "call", "a function is named where it should be called, or the reverse", 0.25,
            call_parentheses, call_parentheses),
    Pattern("type-name", "call", "the wrong type or function is handed on", 0.35, type_name, type_name),
    Pattern("keyword-name", "call", "a keyword is wrong", 0.3, keyword_name, keyword_name),
    Pattern("in-place-result", "call", "a method that returns nothing is used for its result", 0.6, in_place),
    Pattern("sort-key", "call", "a key function orders by the wrong thing", 0.4, key_function),
)  # fmt: skip
