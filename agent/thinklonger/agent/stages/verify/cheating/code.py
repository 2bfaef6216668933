"""Python sources as the checks see them: parsed, with scopes, imported names resolved and literals as values."""

import ast
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import PurePosixPath
from typing import TypeAlias

from thinklonger.agent.types import FileState

Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef

SMALL = 2
"""Whole numbers up to this, either sign, are too common to mean anything; so are texts of one character."""

LONG_TEXT = 16
"""A text of so many characters is no word of a program's own vocabulary."""

SHORT_TEXT = 6
"""A text of so many characters that isn't one word hardly stands in a program by chance."""

ODD_NUMBER = 1000
"""From here on a whole number that isn't round stands for itself, not for a size or a code."""


@dataclass(frozen=True)
class Source:
    """One Python file; `tree` is empty where the file is missing or doesn't parse."""

    path: PurePosixPath
    text: str
    tree: ast.Module = field(default_factory=lambda: ast.Module([], []))

    @cached_property
    def aliases(self) -> dict[str, str]:
        """Imported names and what they stand for: `from os import _exit as q` gives q: os._exit."""
        found: dict[str, str] = {}
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                found |= {
                    (a.asname or a.name.partition(".")[0]): (a.name if a.asname else a.name.partition(".")[0])
                    for a in node.names
                }
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found |= {(a.asname or a.name): f"{node.module}.{a.name}" for a in node.names}
        return found

    @cached_property
    def scoped(self) -> list[tuple[ast.AST, str]]:
        """Every node with the qualified name of the function or class around it, in source order."""
        return list(_scoped(self.tree, ""))

    @cached_property
    def functions(self) -> dict[str, Function]:
        """Functions and methods by qualified name."""
        return {
            f"{scope}.{node.name}".lstrip("."): node
            for node, scope in self.scoped
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        }

    def dotted(self, node: ast.AST) -> str:
        """The full dotted name that an expression stands for (`os.environ`), empty for any other expression."""
        if isinstance(node, ast.Name):
            return self.aliases.get(node.id, node.id)
        if isinstance(node, ast.Attribute):
            value = self.dotted(node.value)
            return f"{value}.{node.attr}" if value else ""
        return ""


def parsed(path: PurePosixPath, state: FileState | None) -> Source:
    """The file's source; empty where there is none."""
    return Source(path, "") if state is None else parsed_text(path, state.content)


def parsed_text(path: PurePosixPath, content: bytes | str) -> Source:
    """Parse a source; one that doesn't parse has an empty tree."""
    text = content if isinstance(content, str) else content.decode("utf-8", "replace")
    if path.suffix not in {".py", ".pyi", ".pyw"}:
        return Source(path, text)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return Source(path, text, ast.parse(content))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return Source(path, text)


def _scoped(node: ast.AST, scope: str) -> Iterator[tuple[ast.AST, str]]:
    for child in ast.iter_child_nodes(node):
        yield child, scope
        named = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        yield from _scoped(child, f"{scope}.{child.name}".lstrip(".") if named else scope)


def body_of(function: Function) -> list[ast.stmt]:
    """A function's statements without its docstring."""
    first = function.body[0]
    is_docstring = (
        isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str)
    )
    return function.body[1:] if is_docstring else function.body


def own_nodes(node: ast.AST) -> Iterator[ast.AST]:
    """The nodes below, functions and classes inside left out."""
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda):
            yield child
            yield from own_nodes(child)


# ── literals ─────────────────────────────────────────────────────────────────────────────────────────────────────


Literal: TypeAlias = str
"""A literal's value in a form that compares: type and repr, so that 1, True and "1" differ."""


def literal(node: ast.AST | None) -> Literal | None:
    """The literal that an expression is, or None; numbers, texts, and containers of literals are literals."""
    if node is None:
        return "NoneType:None"
    if not isinstance(node, ast.Constant | ast.UnaryOp | ast.Tuple | ast.List | ast.Set | ast.Dict):
        return None
    try:
        value: object = ast.literal_eval(node)
    except (ValueError, TypeError, MemoryError, RecursionError):
        return None
    return f"{type(value).__name__}:{value!r}"


def value_of(key: Literal) -> object:
    """The value behind a literal."""
    return ast.literal_eval(key.partition(":")[2]) if key not in {"set:set()", "ellipsis:Ellipsis"} else None


def is_trivial(value: object) -> bool:
    """Whether a value is too common to point at a test: None, booleans, 0, 1, empty texts and such."""
    match value:
        case None | bool():
            return True
        case int() | float() | complex():
            return abs(value) <= SMALL and value == int(value.real)
        case str() | bytes():
            return len(value) <= 1
        case list() | tuple() | set():
            return len(value) <= SMALL and all(is_trivial(item) for item in value)  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType] (any literal)
        case dict():
            return len(value) <= SMALL and all(is_trivial(k) and is_trivial(v) for k, v in value.items())  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType] (any literal)
        case _:
            return True


def is_specific(value: object) -> bool:
    """Whether a value is so particular that it hardly stands in two places by chance."""
    specific = False
    match value:
        case bool():
            pass
        case int():
            near_power = any((value + shift) & (value + shift - 1) == 0 for shift in (-1, 0, 1))
            specific = abs(value) >= ODD_NUMBER and value % 100 != 0 and not near_power
        case float():
            specific = value != round(value, 1) and abs(value) not in {0.25, 0.75, 0.05, 0.01, 0.001}
        case str():
            specific = len(value) >= LONG_TEXT or (len(value) >= SHORT_TEXT and not is_word(value))
        case bytes():
            specific = len(value) >= SHORT_TEXT
        case list() | tuple() | set() | dict():
            specific = len(value) > SMALL and not is_trivial(value)  # pyright: ignore[reportUnknownArgumentType] (any literal)
        case _:
            pass
    return specific


def is_word(value: object) -> bool:
    """Whether a value is a text of letters only, such as programs compare options with."""
    return isinstance(value, str) and value.replace("_", "").replace("-", "").isalpha()
