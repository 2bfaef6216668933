"""Exceptions: the wrong type raised or caught, a raise forgotten, a failure not handled."""

import ast
from collections.abc import Iterator

from thinklonger.agent.solver.pattern import Pattern
from thinklonger.agent.solver.place import Edit, Function, Place, short

_KIN: dict[str, tuple[str, ...]] = {
    "KeyError": ("IndexError", "LookupError", "ValueError", "AttributeError", "TypeError"),
    "IndexError": ("KeyError", "LookupError", "ValueError", "StopIteration"),
    "ValueError": ("TypeError", "KeyError", "IndexError", "LookupError", "ArithmeticError", "RuntimeError"),
    "TypeError": ("ValueError", "AttributeError", "KeyError"),
    "AttributeError": ("TypeError", "KeyError", "NameError"),
    "ZeroDivisionError": ("ArithmeticError", "ValueError", "OverflowError"),
    "ArithmeticError": ("ZeroDivisionError", "ValueError"),
    "StopIteration": ("IndexError", "StopAsyncIteration", "GeneratorExit"),
    "StopAsyncIteration": ("StopIteration",),
    "OSError": ("FileNotFoundError", "PermissionError", "ValueError"),
    "FileNotFoundError": ("OSError", "IsADirectoryError"),
    "RuntimeError": ("ValueError", "NotImplementedError", "TypeError"),
    "NotImplementedError": ("TypeError", "ValueError", "RuntimeError"),
    "Exception": ("ValueError", "TypeError", "RuntimeError", "KeyError"),
    "AssertionError": ("ValueError", "TypeError"),
    "UnicodeDecodeError": ("ValueError", "UnicodeError"),
    "ImportError": ("ModuleNotFoundError",),
    "TimeoutError": ("OSError",),
}


def _others(place: Place, name: str) -> dict[str, float]:
    """Exception types that may be meant instead: what tests expect or saw, kin, and the file's own."""
    found: dict[str, float] = {}
    for other in place.module.clues.wanted:
        found[other] = 1.0
    for other in sorted(place.module.clues.raised - {"AssertionError", "Failed"}):
        found.setdefault(other, 0.9)
    for klass in place.module.classes:
        if isinstance(klass.node, ast.ClassDef) and any(
            "Error" in ast.unparse(base) or "Exception" in ast.unparse(base) for base in klass.node.bases
        ):
            found.setdefault(klass.node.name, 0.5)
    for other in _KIN.get(name, ()):
        found.setdefault(other, 0.4)
    found.pop(name, None)
    return found


def raised(place: Place) -> Iterator[Edit]:
    """`raise A` → `raise B`."""
    node = place.node
    if not isinstance(node, ast.Raise) or node.exc is None:
        return
    target = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
    if isinstance(target, ast.Name | ast.Attribute):
        for other, weight in _others(place, place.segment(target)).items():
            yield place.swap(target, other, weight=weight)


def caught(place: Place) -> Iterator[Edit]:
    """`except A` → `except B`, `except (A, B)`, and a type taken out of a tuple."""
    node = place.node
    if not isinstance(node, ast.ExceptHandler) or node.type is None:
        return
    if isinstance(node.type, ast.Tuple):
        inner = [place.segment(element) for element in node.type.elts]
        for other, weight in _others(place, "").items():
            if other not in inner:
                yield place.swap(node.type, f"({', '.join([*inner, other])})", weight=weight)
        for element in inner:
            rest = [other for other in inner if other != element]
            yield place.swap(node.type, f"({', '.join(rest)})" if len(rest) > 1 else rest[0], weight=0.4)
        return
    name = place.segment(node.type)
    for other, weight in _others(place, name).items():
        yield place.swap(node.type, other, weight=weight * 0.9)
        yield place.swap(node.type, f"({name}, {other})", weight=weight)
    yield place.swap(node.type, "Exception", weight=0.15)


def missing_raise(place: Place) -> Iterator[Edit]:
    """`pass`, `return None` or the end of a branch → `raise`."""
    node = place.node
    if place.function is None or not isinstance(place.function.node, Function):
        return
    wanted = place.module.clues.wanted
    handler = place.parent is not None and isinstance(place.parent.node, ast.ExceptHandler)
    if isinstance(node, ast.Pass | ast.Return | ast.Continue):
        for name in wanted:
            new = f"raise {name}"
            yield place.splice(place.start, place.end, new, weight=0.9, note=f"`{short(place.text)}` becomes `{new}`")
        if handler:
            yield place.splice(
                place.start, place.end, "raise", weight=0.8, note=f"`{short(place.text)}` becomes `raise`"
            )
    if place.index == len(place.block.places) - 1 and not isinstance(
        node, ast.Return | ast.Raise | ast.Break | ast.Continue
    ):
        for name in wanted:
            made = place.after(f"raise {name}", weight=0.7, note=f"`raise {name}` is added")
            if made:
                yield made


def attempt(place: Place) -> Iterator[Edit]:
    """A statement that fails → the same with the failure handled: skipped, defaulted, translated."""
    clues = place.module.clues
    names = sorted(
        clues.raised - {"AssertionError", "Failed", "RecursionError", "SyntaxError", "NameError", "TimeoutError"}
    )
    if (
        not names
        or place.function is None
        or not place.movable
        or place.indent is None
        or place.blocks
        or not isinstance(place.node, ast.stmt)
    ):
        return
    step = place.module.indent_step
    start, end = place.rows
    body = "".join(
        step + line if line.strip() else line for line in place.source.text[start:end].splitlines(keepends=True)
    )
    actions: list[tuple[str, float]] = [
        ("return None", 0.6),
        ("return False", 0.5),
        ("return []", 0.3),
        ("return 0", 0.3),
    ]
    actions += [(f"raise {name}", 1.0) for name in clues.wanted]
    if place.loop is not None:
        actions += [("continue", 0.9), ("break", 0.5)]
    node = place.node
    if isinstance(node, ast.Assign):
        target = place.segment(node.targets[0])
        actions += [(f"{target} = {value}", 0.4) for value in ("None", "0", "[]", "''")]
    for name in names[:2]:
        for action, weight in actions:
            new = f"{place.indent}try:\n{body.rstrip()}\n{place.indent}except {name}:\n{place.indent}{step}{action}\n"
            made = place.restructure(new, weight=weight, note=f"where `{short(place.text)}` raises {name}, `{action}`")
            if made:
                yield made


PATTERNS = (
    Pattern("raised-type", "exception", "the wrong exception is raised", 0.5, raised, raised),
    Pattern("caught-type", "exception", "the wrong exception is caught", 0.5, caught, caught),
    Pattern("missing-raise", "exception", "a failure goes unreported", 0.4, missing_raise, structural=True),
    Pattern("unhandled", "exception", "an expected failure is not handled", 0.08, attempt, structural=True),
)
