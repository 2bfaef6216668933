"""Little languages inside strings: regular expressions and format codes."""

import ast
import re
from collections.abc import Iterator
from typing import TypeAlias

from thinklonger.agent.solver.pattern import Pattern
from thinklonger.agent.solver.place import Edit, Place

Rules: TypeAlias = tuple[tuple[str, tuple[tuple[str, float], ...]], ...]
"""What to look for in a string's source, and what may stand there instead, with weights."""

_CODES = (
    "%m%M",
    "%M%m",
    "%Y%y",
    "%y%Y",
    "%H%I",
    "%I%H",
    "%d%m",
    "%m%d",
    "%D%d",
    "%d%s",
    "%s%d",
    "%s%r",
    "%s%S",
    "%S%s",
    "%f%d",
)
_FORMATS: Rules = (
    *((re.escape(pair[:2]), ((pair[2:], 0.8),)) for pair in _CODES),
    (r"(?<=:)[<>^](?=\d|\{)", (("<", 0.7), (">", 0.7), ("^", 0.7))),
    (r"(?<=:)0(?=\d+[dxbo}])", (("", 0.6),)),
    (r"(?<=:)(?=\d+[dxbo}])", (("0", 0.6),)),
    (r"(?<=[:,\d])[dxXbof](?=\})", (("d", 0.3), ("x", 0.3), ("X", 0.3), ("b", 0.3))),
)
_REGEX: Rules = (
    (r"(?<![\\(\[])\*(?!\?)", (("+", 1.0), ("*?", 0.7), ("?", 0.3), ("", 0.3))),
    (r"(?<![\\(\[])\+(?!\?)", (("*", 1.0), ("+?", 0.7), ("?", 0.3), ("", 0.3))),
    (r"(?<=[*+])\?", (("", 0.7),)),
    (r"(?<![\\*+?(])\?(?![P:=!<])", (("*", 0.6), ("", 0.4))),
    (r"(?<!\\)(?=\.(?![*+?]))", (("\\", 0.8),)),
    (r"\\(?=\.)", (("", 0.3),)),
    (r"(?<=\\[dDwWsS])(?![*+?{])", (("+", 0.8), ("*", 0.6), ("?", 0.4))),
    (r"(?<=[)\]])(?![*+?{])", (("+", 0.5), ("?", 0.5), ("*", 0.4))),
    (r"\\[dDwWsS]", ((r"\d", 0.35), (r"\w", 0.35), (r"\s", 0.35), (r"\S", 0.35))),
    (r"\A(?!\^)", (("^", 0.5), (r"\b", 0.25), ("-?", 0.3))),
    (r"\A\^", (("", 0.5),)),
    (r"(?<!\$)\Z", (("$", 0.6),)),
    (r"\$\Z", (("", 0.5),)),
    (r"\[\^", (("[", 0.4),)),
    (r"\[(?!\^)", (("[^", 0.4),)),
    (r"(?<=\[)(?!\^)|(?<=\[\^)", tuple((extra, 0.35) for extra in ("A-Z", "a-z", "0-9", "_", "\\-", ".", "+"))),
)
_REGEX_CALLS = frozenset({"match", "search", "fullmatch", "sub", "subn", "findall", "finditer", "split", "compile"})


def _apply(rules: Rules, place: Place, begin: int, text: str) -> Iterator[Edit]:
    """The edits that rules make of a text that begins at an offset of the file."""
    for looked_for, instead in rules:
        for match in re.finditer(looked_for, text):
            for new, weight in instead:
                if new != match.group():
                    yield _inside(place, begin, match.span(), new, weight)


def _inside(place: Place, begin: int, span: tuple[int, int], new: str, weight: float) -> Edit:
    start, end = begin + span[0], begin + span[1]
    old = place.source.text[start:end]
    note = f"`{old}` becomes `{new}` in the string" if old else f"`{new}` is put into the string"
    return place.splice(start, end, new, weight=weight, note=note)


def formats(place: Place) -> Iterator[Edit]:
    """Format codes: `%m` ↔ `%M`, `.2f` → `.3f`, padding and width."""
    for node in place.all((ast.Constant, ast.JoinedStr)):
        begin, end = place.span(node)
        text = place.source.text[begin:end]
        if isinstance(node, ast.Constant) and (not isinstance(node.value, str) or text[:1] not in "'\"rRbBuU"):
            continue
        yield from _apply(_FORMATS, place, begin, text)
        for match in re.finditer(r"(?<=\.)\d(?=[fge%])", text):
            digit = int(match.group())
            for other in sorted({max(digit - 1, 0), digit + 1, 2} - {digit}):
                yield _inside(place, begin, match.span(), str(other), 0.6)


def regex(place: Place) -> Iterator[Edit]:
    """Regular expressions: quantifiers, anchors, escapes, classes, greed."""
    for node in _expressions(place):
        begin, end = place.span(node)
        text = place.source.text[begin:end]
        found = re.match(r"[a-zA-Z]*('''|\"\"\"|'|\")", text)
        if not found or not text.endswith(found.group(1)):
            continue
        body = text[found.end() : len(text) - len(found.group(1))]
        first = begin + found.end()
        yield from _apply(_REGEX, place, first, body)
        for match in re.finditer(r"\{(\d+)(,?)(\d*)\}", body):
            low, comma, high = match.groups()
            fewer = max(int(low) - 1, 0)
            for new in (f"{{{low},}}", f"{{{int(low) + 1}{comma}{high}}}", f"{{{fewer}{comma}{high}}}", f"{{1,{low}}}"):
                yield _inside(place, first, match.span(), new, 0.5)


def _expressions(place: Place) -> Iterator[ast.Constant]:
    """The literals that are regular expressions, by the call that they are given to or the name that they get."""
    for node in place.all(ast.Call):
        match node:
            case ast.Call(
                func=ast.Attribute(value=ast.Name(id="re" | "regex"), attr=name),
                args=[ast.Constant(value=str()) as first, *_],
            ) if name in _REGEX_CALLS:
                yield first
            case _:
                pass
    match place.node:
        case ast.Assign(targets=[target], value=ast.Constant(value=str() as text) as value):
            named = any(word in place.segment(target).lower() for word in ("re", "pattern", "regex"))
            if named and re.search(r"[\\\[\](){}*+?^$|]", text):
                yield value
        case _:
            pass


PATTERNS = (
    Pattern("format-code", "notation", "a format code is wrong", 0.45, formats, formats),
    Pattern(
        "regular-expression", "notation", "a regular expression takes in too much or too little", 0.4, regex, regex
    ),
)
