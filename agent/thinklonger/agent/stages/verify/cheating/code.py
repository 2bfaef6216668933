"""Python sources as the checks see them: parsed, with scopes, imported names resolved and literals as values."""

import ast
import re
import warnings
from collections.abc import Iterator, Sequence
from copy import copy
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import PurePosixPath
from typing import TypeAlias

from thinklonger.agent.types import FileState

Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef

SMALL = 2
"""Whole numbers up to this, either sign, are too common to mean anything; so are texts of one character."""

SHORT_TEXT = 6
"""A text of so many characters that isn't one word hardly stands in a program by chance."""

ODD_NUMBER = 1000
"""From here on a whole number that isn't round stands for itself, not for a size or a code."""


@dataclass(frozen=True)
class Source:
    """One Python file; `tree` is empty where the file is missing or doesn't parse.

    Where only its changed parts are kept, `settled` are the literals and `names` the definitions of the others.
    """

    path: PurePosixPath
    text: str
    tree: ast.Module = field(default_factory=lambda: ast.Module([], []))
    settled: frozenset[str] = frozenset()
    names: frozenset[str] = frozenset()

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


@lru_cache(maxsize=16)
def changed_parts(before: Source, after: Source) -> tuple[Source, Source]:
    """Both sources without the definitions and statements that stand in both, letter for letter.

    Imports stay, so that names resolve; the rest of what was left out is `settled`.
    """
    old, new = before.text.split("\n"), after.text.split("\n")
    common = _parts(before.tree.body, old) & _parts(after.tree.body, new)
    return _without(before, common, old), _without(after, common, new)


def _parts(body: Sequence[ast.stmt], lines: Sequence[str]) -> set[str]:
    """The texts of the statements, of those inside classes, too."""
    found = {_text(node, lines) for node in body}
    inner = (_parts(node.body, lines) for node in body if isinstance(node, ast.ClassDef))
    return found.union(*inner)


def _text(node: ast.stmt, lines: Sequence[str]) -> str:
    decorators: list[ast.expr] = getattr(node, "decorator_list", [])
    start = min((node.lineno, *(item.lineno for item in decorators)))
    return "\n".join(lines[start - 1 : node.end_lineno])


def _without(source: Source, common: set[str], lines: Sequence[str]) -> Source:
    settled: set[Literal] = set()
    names: set[str] = set()

    def kept(body: Sequence[ast.stmt]) -> list[ast.stmt]:
        found: list[ast.stmt] = []
        for node in body:
            if isinstance(node, ast.Import | ast.ImportFrom) or _text(node, lines) not in common:
                part = node
                if isinstance(node, ast.ClassDef):
                    part = copy(node)
                    part.body = kept(node.body)
                found.append(part)
            else:
                settled.update(key for part in ast.walk(node) if (key := literal(part)) is not None)
                names.update(
                    part.name
                    for part in ast.walk(node)
                    if isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
                )
        return found

    tree = ast.Module(kept(source.tree.body), [])
    return Source(source.path, source.text, tree, frozenset(settled), frozenset(names))


@lru_cache(maxsize=16)
def parsed_text(path: PurePosixPath, content: bytes | str) -> Source:
    """Parse a source; one that doesn't parse has an empty tree."""
    text = content if isinstance(content, str) else content.decode("utf-8", "replace")
    text = text.replace("\r\n", "\n").replace("\r", "\n")  # as Python counts lines
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
            specific = len(value) >= SHORT_TEXT and not is_word(value)
        case bytes():
            specific = len(value) >= SHORT_TEXT
        case list() | tuple() | set() | dict():
            specific = len(value) > SMALL and not is_trivial(value)  # pyright: ignore[reportUnknownArgumentType] (any literal)
        case _:
            pass
    return specific


def is_word(value: object) -> bool:
    """Whether a value is a text such as programs name options and fields with."""
    return isinstance(value, str) and re.fullmatch(r"[^\W\d][\w.-]{0,60}", value) is not None
