"""Literals: numbers, truth values, None, strings, starting values, regular expressions and format codes."""

import ast
import re
from collections.abc import Iterator

from thinklonger.agent.solver.pattern import Pattern
from thinklonger.agent.solver.place import Edit, Place

_FORMAT_SWAPS = (("%m", "%M"), ("%M", "%m"), ("%Y", "%y"), ("%y", "%Y"), ("%H", "%I"), ("%I", "%H"), ("%d", "%m"),
                 ("%m", "%d"), ("%D", "%d"), ("%d", "%s"), ("%s", "%d"), ("%s", "%r"), ("%s", "%S"), ("%S", "%s"), ("%f", "%d"))  # fmt: skip
_STARTS: dict[str, tuple[tuple[str, float], ...]] = {
    "0": (("float('inf')", 0.5), ("float('-inf')", 0.7), ("None", 0.5), ("[]", 0.2), ("0.0", 0.2), ("''", 0.15)),
    "1": (("None", 0.15),),
    "-1": (("float('-inf')", 0.6), ("None", 0.3)),
    "None": (
        ("[]", 0.6),
        ("0", 0.6),
        ("''", 0.5),
        ("{}", 0.5),
        ("False", 0.5),
        ("True", 0.3),
        ("set()", 0.25),
        ("()", 0.2),
    ),
    "''": (("None", 0.6), ("[]", 0.2), ("' '", 0.6)),
    "True": (("None", 0.2),),
    "False": (("None", 0.3),),
}
_EMPTY = {"[]": ("{}", "set()", "()", "None"), "{}": ("[]", "set()", "None"), "()": ("[]", "None", "set()"), "set()": ("[]", "{}", "None"),
          "dict()": ("[]", "set()"), "list()": ("{}", "set()")}  # fmt: skip


def numbers(place: Place) -> Iterator[Edit]:
    """Integers: one more, one less, zero, one, two, the other sign, and numbers that the file uses."""
    others = _file_numbers(place)
    for node in place.all(ast.Constant):
        value = node.value
        if isinstance(value, bool) or not isinstance(value, int | float):
            continue
        weights: dict[int | float, float] = {}
        if isinstance(value, int):
            weights = {
                value + 1: 1.0,
                value - 1: 1.0,
                0: 0.7,
                1: 0.7,
                2: 0.3,
                -value: 0.45,
                -1: 0.25,
                value * 2: 0.2,
                value * 10: 0.25,
            }
            if value == 10:  # noqa: PLR2004 - the decimal base
                weights |= {2: 0.4, 100: 0.3}
            if value and value % 10 == 0:
                weights[value // 10] = 0.3
            if value and value % 2 == 0:
                weights[value // 2] = 0.3
            if value in {60, 24, 12, 7, 365, 100, 1000, 1024, 360, 3600}:
                weights |= {60: 0.5, 24: 0.4, 12: 0.4, 7: 0.3, 1000: 0.4, 1024: 0.4, 100: 0.4, 3600: 0.4, 366: 0.2}
        else:
            weights = {-value: 0.4, value / 10: 0.25, value * 10: 0.25, 0: 0.2, 1: 0.2, value + 1: 0.15}
        for other in others:
            weights[other] = max(weights.get(other, 0.0), 0.35)
        start = place.span(node)[0]
        negative = place.source.text[start - 1 : start] == "-" and isinstance(place.module.parent(node), ast.UnaryOp)
        for other, weight in sorted(weights.items(), key=lambda item: -item[1]):
            if other == value or (negative and other < 0):
                continue
            share = 0.8 * weight if abs(value) > 2 else weight  # noqa: PLR2004 - small literals are the usual suspects
            yield place.swap(node, repr(other), weight=share)


def _file_numbers(place: Place) -> list[int | float]:
    found = [node.value for node in place.module.facts.literals]
    return [value for value in found if isinstance(value, int | float) and not isinstance(value, bool)][:12]


def truth(place: Place) -> Iterator[Edit]:
    """`True` ↔ `False`."""
    for node in place.all(ast.Constant):
        if isinstance(node.value, bool):
            yield place.swap(node, repr(not node.value), weight=1.0)


def start(place: Place) -> Iterator[Edit]:
    """A starting or default value of another kind: `0` → `None`, `float('-inf')`, `[]` → `{}` …"""
    first = _first_items(place)
    for node in place.all(ast.expr):
        text = place.segment(node)
        parent = place.module.parent(node)
        slot = 1.0 if isinstance(parent, ast.Assign | ast.Return | ast.arguments | ast.AnnAssign) else 0.4
        if isinstance(node, ast.Constant | ast.UnaryOp):
            key = "''" if text == '""' else text
            for other, weight in _STARTS.get(key, ()):
                yield place.swap(node, other, weight=weight * slot)
        for other in _EMPTY.get(text.replace(" ", ""), ()):
            yield place.swap(node, other, weight=0.7 * slot)
        infinite = re.fullmatch(r"float\(['\"](-?)inf['\"]\)", text)
        if infinite:
            sign = "" if infinite.group(1) else "-"
            yield place.swap(node, f"float('{sign}inf')", weight=1.0)
            yield place.swap(node, "0", weight=0.4)
        if isinstance(parent, ast.Assign) and isinstance(node, ast.Constant) and node.value in (0, None, -1, ""):
            for item in first:
                yield place.swap(node, item, weight=0.45)


def _first_items(place: Place) -> list[str]:
    names = [
        v.name for v in place.scope.variables.values() if v.kinds & {"list", "str", "tuple"} and v.origin == "parameter"
    ]
    return [f"{name}[0]" for name in names[:3]]


def strings(place: Place) -> Iterator[Edit]:
    """Strings: empty, blank, those of the file, and small repairs at their edges."""
    donors = [
        node.value for node in place.module.facts.literals if isinstance(node.value, str) and len(node.value) <= 40
    ]
    for node in place.all(ast.Constant):
        value = node.value
        start, end = place.span(node)
        text = place.source.text[start:end]
        if not isinstance(value, str) or text[:1] not in "'\"rRbB" or _is_documentation(place, node):
            continue
        weights = _near_strings(value)
        for other in donors[:40]:
            alike = 0.5 if len(other) == len(value) or other[:2] == value[:2] else 0.25
            weights[other] = max(weights.get(other, 0.0), alike)
        for other, weight in sorted(weights.items(), key=lambda item: -item[1]):
            if other != value:
                yield place.swap(node, _quoted(other, text), weight=weight)


def _near_strings(value: str) -> dict[str, float]:
    weights: dict[str, float] = {"": 0.35, " ": 0.3 if len(value) <= 1 else 0.05}
    if len(value) <= 2:  # noqa: PLR2004 - separators
        weights |= {",": 0.1, "\n": 0.15, ", ": 0.12, "-": 0.1, "_": 0.1, ".": 0.1, ":": 0.1, "0": 0.1, "/": 0.08}
    for other, weight in (
        (value.strip(), 0.6), (value + " ", 0.25), (" " + value, 0.2), (value + "\n", 0.25), (value.lower(), 0.5),
        (value.upper(), 0.4), (value.title(), 0.3), (value[:-1], 0.3), (value[1:], 0.3), (value[::-1], 0.2),
    ):  # fmt: skip
        weights[other] = max(weights.get(other, 0.0), weight)
    if value in {"r", "w", "a", "rb", "wb", "ab"}:
        weights |= {"r": 0.5, "w": 0.5, "a": 0.5, "rb": 0.6, "wb": 0.6}
    if value.lower() in {"utf-8", "utf8", "ascii", "latin-1"}:
        weights |= {"utf-8": 0.6, "latin-1": 0.4, "utf-8-sig": 0.4}
    if value.lower() in {"strict", "ignore", "replace"}:
        weights |= {"strict": 0.5, "ignore": 0.5, "replace": 0.5}
    return weights


def _is_documentation(place: Place, node: ast.Constant) -> bool:
    return isinstance(place.node, ast.Expr) and place.node.value is node


def _quoted(value: str, old: str) -> str:
    """A literal for a string, with the old one's quotes."""
    plain = repr(value)
    wanted = old.lstrip("rRbBuU")[:1]
    if wanted == '"' and '"' not in value and plain[0] == "'":
        plain = '"' + plain[1:-1].replace("\\'", "'") + '"'
    return plain


def formats(place: Place) -> Iterator[Edit]:
    """Format codes: `%m` ↔ `%M`, `.2f` → `.3f`, padding and width."""
    for node in place.all((ast.Constant, ast.JoinedStr)):
        begin, end = place.span(node)
        text = place.source.text[begin:end]
        if isinstance(node, ast.Constant) and (not isinstance(node.value, str) or text[:1] not in "'\"rRbBuU"):
            continue
        for old, new in _FORMAT_SWAPS:
            for match in re.finditer(re.escape(old), text):
                yield _inside(place, begin, match.span(), new, 0.8)
        for match in re.finditer(r"(?<=\.)(\d)(?=[fge%])", text):
            for digit in {max(int(match.group()) - 1, 0), int(match.group()) + 1, 2}:
                if str(digit) != match.group():
                    yield _inside(place, begin, match.span(), str(digit), 0.6)
        for match in re.finditer(r"(?<=:)[<>^](?=\d|\{)", text):
            for other in "<>^":
                if other != match.group():
                    yield _inside(place, begin, match.span(), other, 0.7)
        for match in re.finditer(r"(?<=:)(0?)(?=\d+(d|x|b|o|\}))", text):
            yield _inside(place, begin, match.span(), "" if match.group() else "0", 0.6)
        for match in re.finditer(r"(?<=[:,\d])([dxXbof])(?=\})", text):
            for other in "dxXb":
                if other != match.group():
                    yield _inside(place, begin, match.span(), other, 0.3)


def _inside(place: Place, begin: int, span: tuple[int, int], new: str, weight: float) -> Edit:
    start, end = begin + span[0], begin + span[1]
    old = place.source.text[start:end]
    return place.splice(
        start,
        end,
        new,
        weight=weight,
        note=f"`{old}` becomes `{new}` in the string" if old else f"`{new}` is put into the string",
    )


_REGEX_CALLS = frozenset({"match", "search", "fullmatch", "sub", "subn", "findall", "finditer", "split", "compile"})


def regex(place: Place) -> Iterator[Edit]:
    """Regular expressions: quantifiers, anchors, escapes, classes, greed."""
    for node in place.all(ast.Call):
        if not (isinstance(node.func, ast.Attribute) and node.func.attr in _REGEX_CALLS and node.args):
            continue
        if not (isinstance(node.func.value, ast.Name) and node.func.value.id in {"re", "regex"}):
            continue
        first = node.args[0]
        if isinstance(first, ast.Constant) and isinstance(first.value, str):
            yield from _regex_edits(place, first)
    node = place.node
    if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
        name = place.segment(node.targets[0]).lower()
        if any(word in name for word in ("re", "pattern", "regex")) and re.search(
            r"[\\\[\](){}*+?^$|]", node.value.value
        ):
            yield from _regex_edits(place, node.value)


def _regex_edits(place: Place, node: ast.Constant) -> Iterator[Edit]:
    begin, end = place.span(node)
    text = place.source.text[begin:end]
    found = re.match(r"[a-zA-Z]*('''|\"\"\"|'|\")", text)
    if not found or not text.endswith(found.group(1)):
        return
    first, last = found.end(), len(text) - len(found.group(1))
    body = text[first:last]

    def at(start: int, stop: int, new: str, weight: float) -> Edit:
        return _inside(place, begin, (first + start, first + stop), new, weight)

    for match in re.finditer(r"(?<![\\(\[])[*+](?!\?)", body):
        other = "+" if match.group() == "*" else "*"
        yield at(*match.span(), other, 1.0)
        yield at(*match.span(), match.group() + "?", 0.7)
        yield at(*match.span(), "?", 0.3)
        yield at(*match.span(), "", 0.3)
    for match in re.finditer(r"(?<=[*+])\?", body):
        yield at(*match.span(), "", 0.7)
    for match in re.finditer(r"(?<![\\*+?(])\?(?!P|:|=|!|<)", body):
        yield at(*match.span(), "*", 0.6)
        yield at(*match.span(), "", 0.4)
    for match in re.finditer(r"(?<!\\)\.(?![*+?])", body):
        yield at(match.start(), match.start(), "\\", 0.8)
    for match in re.finditer(r"\\(?=\.)", body):
        yield at(*match.span(), "", 0.3)
    for match in re.finditer(r"\\([dDwWsSbB])(?![*+?{])", body):
        yield at(match.end(), match.end(), "+", 0.8)
        yield at(match.end(), match.end(), "*", 0.6)
        yield at(match.end(), match.end(), "?", 0.4)
    for match in re.finditer(r"[)\]](?![*+?{])", body):
        yield at(match.end(), match.end(), "+", 0.5)
        yield at(match.end(), match.end(), "?", 0.5)
        yield at(match.end(), match.end(), "*", 0.4)
    for match in re.finditer(r"\\[dDwWsS]", body):
        for other in (r"\d", r"\w", r"\s", r"\S"):
            if other != match.group():
                yield at(*match.span(), other, 0.35)
    if not body.startswith("^"):
        yield at(0, 0, "^", 0.5)
    else:
        yield at(0, 1, "", 0.5)
    if not body.endswith("$"):
        yield at(len(body), len(body), "$", 0.6)
    else:
        yield at(len(body) - 1, len(body), "", 0.5)
    for match in re.finditer(r"\[\^?", body):
        new = "[" if match.group() == "[^" else "[^"
        yield at(*match.span(), new, 0.4)
        for extra in ("A-Z", "a-z", "0-9", "_", "-", ".", "+"):
            yield at(match.end(), match.end(), extra if extra not in "-" else "\\-", 0.35)
    for match in re.finditer(r"\{(\d+)(,?)(\d*)\}", body):
        low, comma, high = match.groups()
        for new in (
            f"{{{low},}}",
            f"{{{int(low) + 1}{comma}{high}}}",
            f"{{{max(int(low) - 1, 0)}{comma}{high}}}",
            f"{{1,{low}}}",
        ):
            yield at(*match.span(), new, 0.5)
    yield at(0, 0, r"\b", 0.25)
    yield at(0, 0, "-?", 0.3)


def none(place: Place) -> Iterator[Edit]:
    """A literal → None, and None → a name in scope."""
    for node in place.all(ast.Constant):
        parent = place.module.parent(node)
        if node.value is None and isinstance(parent, ast.Return | ast.keyword | ast.Call | ast.Assign):
            for variable in place.scope.variables.values():
                if variable.origin in {"parameter", "local"}:
                    yield place.swap(node, variable.name, weight=0.6)
        elif (
            isinstance(parent, ast.Return | ast.Call | ast.keyword)
            and isinstance(node.value, int | str)
            and not isinstance(node.value, bool)
        ):
            for variable in place.scope.variables.values():
                if variable.origin in {"parameter", "local", "closure"}:
                    fitting = 0.8 if place.scope.kinds_of(node) & variable.kinds else 0.4
                    yield place.swap(node, variable.name, weight=fitting)


def named(place: Place) -> Iterator[Edit]:
    """A number → a variable in scope, a length of one."""
    numbers_in_scope = [v for v in place.scope.variables.values() if v.kinds & {"int", "float"}][:8]
    sized = [v for v in place.scope.variables.values() if v.kinds & {"list", "str"} and v.origin != "module"][:3]
    attributes = [
        name for name, kinds in place.module.facts.attribute_kinds(place.klass).items() if kinds & {"int", "float"}
    ][:5]
    for node in place.all(ast.Constant):
        if isinstance(node.value, bool) or not isinstance(node.value, int):
            continue
        for variable in numbers_in_scope:
            yield place.swap(node, variable.name, weight=1.0 if variable.origin != "module" else 0.5)
        for variable in sized:
            yield place.swap(node, f"len({variable.name})", weight=0.4)
        for name in attributes:
            yield place.swap(node, f"self.{name}", weight=0.5)


PATTERNS = (
    Pattern("number", "constant", "a number is wrong", 0.5, numbers, numbers),
    Pattern("truth-value", "constant", "`True` and `False` are confused", 0.55, truth, truth),
    Pattern("starting-value", "constant", "a starting or default value is of the wrong kind", 0.35, start, start),
    Pattern("string", "constant", "a string literal is wrong", 0.3, strings, strings),
    Pattern("format-code", "constant", "a format code is wrong", 0.45, formats, formats),
    Pattern("regular-expression", "constant", "a regular expression takes in too much or too little", 0.4, regex, regex),
    Pattern("literal-for-name", "constant", "a literal stands where a variable was meant", 0.18, none),
    Pattern("number-for-name", "constant", "a number stands where a variable was meant", 0.15, named),
)  # fmt: skip
