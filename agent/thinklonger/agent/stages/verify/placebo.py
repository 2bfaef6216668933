"""A change that means nothing, in the very place that a candidate changes.

Tests that turn green by it look at something else than behaviour: a file's digest, times or text, how often they ran,
luck. What they say of any candidate is then worth nothing.
"""

import ast
import difflib

from thinklonger.agent.types import Changes, FileState, Layer


def placebo_of(changes: Changes) -> Layer:
    """The changed Python files as they were, each with a `pass` more where it is changed; empty where there is none."""
    return {
        change.path: FileState(with_pass(change.before.content, change.after.content), change.before.executable)
        for change in changes
        if change.path.suffix == ".py" and change.before is not None and change.after is not None
    }


def with_pass(before: bytes, after: bytes) -> bytes:
    """The source with a `pass` at the start of the function in which it is changed, else at the end of the module."""
    old = before.splitlines(keepends=True)
    end = b"\r\n" if old and old[0].endswith(b"\r\n") else b"\n"
    first = _first_difference(old, after.splitlines(keepends=True))
    place = _start_of_function(before, first)
    if place is not None:
        line = old[place - 1]
        indent = line[: len(line) - len(line.lstrip(b" \t"))]
        inside = b"".join((*old[: place - 1], indent + b"pass" + end, *old[place - 1 :]))
        if _parses(inside):
            return inside
    return before + (b"" if before.endswith((b"\n", b"\r")) or not before else end) + b"pass" + end


def _first_difference(old: list[bytes], new: list[bytes]) -> int:
    """The first line, 1-based, that differs."""
    matcher = difflib.SequenceMatcher(None, old, new, autojunk=False)
    return next((start + 1 for tag, start, *_ in matcher.get_opcodes() if tag != "equal"), 1)


def _start_of_function(source: bytes, line: int) -> int | None:
    """The line of the first statement, its docstring aside, of the innermost function around a line."""
    try:
        module = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError):
        return None
    around = [
        node
        for node in ast.walk(module)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.lineno <= line <= (node.end_lineno or 0)
    ]
    if not around:
        return None
    node = max(around, key=lambda found: found.lineno)
    body = node.body[1:] if ast.get_docstring(node, clean=False) is not None else node.body
    if not body:
        return None
    decorators = getattr(body[0], "decorator_list", [])
    first = min([body[0].lineno, *(decorator.lineno for decorator in decorators)])
    return first if first > node.lineno else None


def _parses(source: bytes) -> bool:
    try:
        compile(source, "<placebo>", "exec", dont_inherit=True)
    except (SyntaxError, ValueError, RecursionError):
        return False
    return True
