"""Canonical values as a person would write them in Python, cut to a line."""

from collections.abc import Mapping, Sequence
from typing import cast

from thinklonger.agent.execution.behaviour.nouns import Plain

WIDTH = 120


def shown(plain: Plain, width: int = WIDTH) -> str:
    """The value in Python's notation, at most `width` characters."""
    text = _written(plain)
    return text if len(text) <= width else f"{text[: width - 1]}…"


def call(function: str, names: Sequence[str], arguments: Sequence[Plain]) -> str:
    """A call in Python's notation; a method's receiver is shown as the first argument."""
    name = function.rpartition("<locals>.")[2]
    if names and names[0] in ("self", "cls") and "." in name:
        receiver = shown(arguments[0], 60)
        return f"{receiver}.{name.rpartition('.')[2]}({', '.join(shown(item, 60) for item in arguments[1:])})"
    return f"{name}({', '.join(shown(item, 60) for item in arguments)})"


def _written(plain: Plain) -> str:
    if plain is None or isinstance(plain, bool | int | float | str):
        return repr(plain)
    if isinstance(plain, Mapping):
        return _tagged(plain)
    return _listed("[", plain, "]")


def _listed(left: str, items: Sequence[Plain], right: str) -> str:
    return left + ", ".join(_written(item) for item in items) + right


def _tagged(plain: Mapping[str, Plain]) -> str:
    kind, inner = next(((kind, plain[kind]) for kind in _KINDS if kind in plain), ("cut", "…"))
    items: Sequence[Plain] = inner if isinstance(inner, list) else ()
    match kind:
        case "float" | "name":
            return str(inner)
        case "tuple":
            return _listed("(", items, ",)" if len(items) == 1 else ")")
        case "set":
            return _listed("{", items, "}") if items else "set()"
        case "dict" | "ordered":
            pairs = cast("Sequence[Sequence[Plain]]", items)
            return "{" + ", ".join(f"{_written(key)}: {_written(item)}" for key, item in pairs) + "}"
        case "iterator" | "sequence":
            return _listed("iter([" if kind == "iterator" else f"{plain['type']}([", items, "])")
        case "bytes":
            return repr(bytes.fromhex(str(inner)))
        case "object":
            return _instance(str(inner), plain.get("state"))
        case _:
            return "…"


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


_KINDS = ("float", "tuple", "set", "dict", "ordered", "iterator", "sequence", "bytes", "object", "name", "ref", "cut")
