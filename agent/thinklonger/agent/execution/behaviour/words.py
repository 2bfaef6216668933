"""Canonical values as a person would write them in Python, cut to a line."""

from collections.abc import Mapping, Sequence
from typing import cast

from thinklonger.agent.execution.behaviour.nouns import Plain

WIDTH = 120
PART = 60  # characters of one argument


def shown(plain: Plain, width: int = WIDTH) -> str:
    """The value in Python's notation, at most `width` characters."""
    text = _written(plain)
    return text if len(text) <= width else f"{text[: width - 1]}…"


def call(function: str, names: Sequence[str], arguments: Sequence[Plain]) -> str:
    """A call in Python's notation; a method's receiver is shown before the dot, arguments left out are left out."""
    name = function.rpartition("<locals>.")[2]
    method = bool(names) and names[0] in ("self", "cls") and "." in name
    shift = 1 if method else 0
    parts: list[str] = []
    by_name = False
    for parameter, item in zip(names[shift:], arguments[shift:], strict=True):
        if isinstance(item, Mapping) and "omitted" in item:
            by_name = True
        else:
            parts.append(f"{parameter}={shown(item, PART)}" if by_name else shown(item, PART))
    if method:
        name = f"{shown(arguments[0], PART)}.{name.rpartition('.')[2]}"
    return f"{name}({', '.join(parts)})"


def history(kind: str, steps: Sequence[tuple[str, Sequence[str], Sequence[Plain]]]) -> str:
    """What is done with one object, one call after the other, the constructor first."""
    (_, names, arguments), *rest = steps
    return "; ".join([call(kind, names, arguments), *(f".{call(name, of, items)}" for name, of, items in rest)])


def _written(plain: Plain) -> str:
    if plain is None or isinstance(plain, bool | int | float | str):
        return repr(plain)
    if isinstance(plain, Mapping):
        return _answers(plain) if "history" in plain else _tagged(plain)
    return _listed("[", plain, "]")


def _listed(left: str, items: Sequence[Plain], right: str) -> str:
    return left + ", ".join(_written(item) for item in items) + right


def _tagged(plain: Mapping[str, Plain]) -> str:
    kind, inner = next(((kind, plain[kind]) for kind in _KINDS if kind in plain), ("cut", "…"))
    items: Sequence[Plain] = inner if isinstance(inner, list) else ()
    match kind:
        case "float" | "name":
            text = str(inner)
        case "tuple":
            text = _listed("(", items, ",)" if len(items) == 1 else ")")
        case "set":
            text = _listed("{", items, "}") if items else "set()"
        case "dict" | "ordered":
            pairs = cast("Sequence[Sequence[Plain]]", items)
            text = "{" + ", ".join(f"{_written(key)}: {_written(item)}" for key, item in pairs) + "}"
        case "iterator" | "sequence":
            text = _listed("iter([" if kind == "iterator" else f"{plain['type']}([", items, "])")
        case "bytes":
            text = repr(bytes.fromhex(str(inner)))
        case "callable":
            cells = cast("Sequence[Sequence[Plain]]", plain.get("cells") or ())
            text = f"{inner}({', '.join(f'{name}={_written(item)}' for name, item in cells)})"
        case "stream":
            written = cast("Sequence[Plain]", plain.get("written") or ())
            text = f"{inner}({_written(written[0]) if written else ''})"
        case "object":
            text = _instance(str(inner), plain.get("state"))
        case _:
            text = "…"
    return text


def _answers(plain: Mapping[str, Plain]) -> str:
    """What the calls of a history gave, and the public attributes at the end."""
    told = [_answer(item) for item in cast("Sequence[Mapping[str, Plain]]", plain["history"])]
    public = cast("Sequence[Sequence[Plain]]", plain.get("public") or [])
    return "; ".join([*told, *(f"{item[0]}={_written(item[1])}" for item in public)])


def _answer(answer: Mapping[str, Plain]) -> str:
    if "raised" in answer:
        return f"raise {answer['raised']}"
    return "itself" if "itself" in answer else _written(answer["returned"])


def _instance(name: str, state: Plain) -> str:
    if not isinstance(state, list):
        return f"{name}({state or ''})"
    parts: list[str] = []
    for item in cast("Sequence[Plain]", state):
        if isinstance(item, list) and len(item) == 2:  # noqa: PLR2004 (a name and a value)
            parts.append(f"{item[0]}={_written(item[1])}")
        else:
            parts.append(_written(item))
    return f"{name}({', '.join(parts)})"


_KINDS = (
    *("float", "tuple", "set", "dict", "ordered", "iterator", "sequence", "bytes", "callable", "stream", "object"),
    *("name", "ref", "cut"),
)
