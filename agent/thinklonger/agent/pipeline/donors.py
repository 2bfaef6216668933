"""Values of a function put where another one of its values stands: the edits that the solver's catalogue leaves out."""

import ast
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet

MOST = 16


def exchanged(text: str, lines: AbstractSet[int]) -> Iterator[tuple[int, str]]:
    """The source with one value on these lines exchanged for another of its function's, each with the line.

    Or passed through one of the function's calls first, or made by the function itself of the same operands: does the
    code stop at the first level of nested data? Nothing where the source doesn't parse.
    """
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    number = 0
    for function in functions:
        values = list(_values(function))
        calls = {ast.unparse(call.func): call for value in values for call in _single_calls(value)}
        for value in values:
            if value.lineno not in lines or value.lineno != value.end_lineno:
                continue
            shown = ast.unparse(value)
            others = [f"{name}({shown})" for name in calls if not shown.startswith(f"{name}(")]
            others += _recursive(function, value)
            others += [ast.unparse(other) for other in values if isinstance(other, ast.Call)]
            for other in dict.fromkeys(others):
                if other != shown and number < MOST:
                    number += 1
                    yield value.lineno, _spliced(text, value, other)


def _values(function: ast.AST) -> Iterator[ast.expr]:
    """What is assigned, added, returned or yielded."""
    for node in ast.walk(function):
        match node:
            case ast.Assign(value=value) | ast.AugAssign(value=value) | ast.Return(value=ast.expr() as value):
                yield value
            case ast.Yield(value=ast.expr() as value) | ast.YieldFrom(value=value):
                yield value
            case _:
                pass


def numbered(text: str, lines: AbstractSet[int], numbers: Sequence[int]) -> Iterator[tuple[int, str]]:
    """The source with one comparison on these lines joined by the same or its contrary with another number.

    `numbers` come from the issue: a rule that it states and that neither patch nor tests know. Nothing where the
    source doesn't parse.
    """
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return
    found = [node for node in ast.walk(tree) if isinstance(node, ast.Compare) and node.lineno in lines]
    for node in [node for node in found if len(node.ops) == 1 and node.lineno == node.end_lineno]:
        shown = ast.unparse(node)
        for constant in [part for part in ast.walk(node) if isinstance(part, ast.Constant)]:
            if not isinstance(constant.value, int) or constant.value in (0, True):
                continue
            for number in numbers:
                other = shown.replace(str(constant.value), str(number), 1)
                for contrary in (f"not {other}", other):
                    for joint in ("or", "and"):
                        yield node.lineno, _spliced(text, node, f"({shown} {joint} {contrary})")


def _recursive(function: ast.FunctionDef | ast.AsyncFunctionDef, value: ast.expr) -> list[str]:
    """The function's call of itself with the operands of a value, where these are as many as it takes."""
    parameters = [item.arg for item in (*function.args.posonlyargs, *function.args.args)]
    method = parameters[:1] == ["self"]
    operands = list(dict.fromkeys(ast.unparse(item) for item in _operands(value)))
    needed = len(parameters) - method - len(function.args.defaults)
    if not needed <= len(operands) <= len(parameters) - method or not operands:
        return []
    return [f"{'self.' * method}{function.name}({', '.join(operands)})"]


def _operands(value: ast.AST) -> Iterator[ast.expr]:
    """The outermost names, attributes and items in an expression, what it calls not counted."""
    if isinstance(value, ast.Name | ast.Attribute | ast.Subscript):
        yield value
        return
    for child in ast.iter_child_nodes(value):
        if not (isinstance(value, ast.Call) and child is value.func):
            yield from _operands(child)


def _single_calls(value: ast.expr) -> Iterator[ast.Call]:
    for node in ast.walk(value):
        if isinstance(node, ast.Call) and len(node.args) == 1 and not node.keywords:
            yield node


def _spliced(text: str, value: ast.expr, other: str) -> str:
    lines = text.split("\n")
    line = lines[value.lineno - 1].encode()
    end = value.end_col_offset if value.end_col_offset is not None else len(line)
    lines[value.lineno - 1] = (line[: value.col_offset] + other.encode() + line[end:]).decode("utf-8", "replace")
    return "\n".join(lines)
