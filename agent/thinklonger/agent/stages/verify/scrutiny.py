"""What a script does to be red that says nothing of the code: it raises by itself, always fails, reads the source."""

import ast
from collections.abc import Iterable, Iterator, Sequence
from pathlib import PurePosixPath

from thinklonger.agent.stages.verify.reasons import by_its_own_check, kind_of
from thinklonger.agent.types import TestResult

_SOURCE = frozenset({"getsource", "getsourcelines", "getsourcefile", "findsource", "linecache", "__code__", "__file__"})
_EXITS = frozenset({"exit", "_exit", "quit", "SystemExit", "skip"})
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def raised_by_itself(result: TestResult, script: ast.Module, *, own: Sequence[PurePosixPath]) -> bool:
    """Whether a test raises the exception itself that the code should raise: no frame but those of its `own` files."""
    if by_its_own_check(result) or any(frame.path not in own for frame in result.frames):
        return False
    raised = (node.exc for node in ast.walk(script) if isinstance(node, ast.Raise) and node.exc is not None)
    return kind_of(result) in {_name(node.func if isinstance(node, ast.Call) else node) for node in raised}


def reads_source(script: ast.Module) -> bool:
    """Whether a script looks at the code's text rather than at what the code does; its own `__file__` is no matter."""
    return any(
        (isinstance(node, ast.Attribute) and node.attr in _SOURCE)
        or (isinstance(node, ast.alias) and node.name.rpartition(".")[2] in _SOURCE)
        for node in ast.walk(script)
    )


def always_fails(script: ast.Module) -> bool:
    """Whether a script, or one of its tests, fails whatever the code does: unconditionally, with no way out before."""
    return any(_fails(body) and not _leaves(body) for body in _bodies(script))


def _bodies(script: ast.Module) -> Iterator[list[ast.stmt]]:
    """What is run from its first statement to its last: the script itself, and its tests."""
    yield script.body
    for node in ast.walk(script):
        if isinstance(node, _FUNCTIONS) and node.name.startswith("test"):
            yield node.body


def _fails(body: Iterable[ast.stmt]) -> bool:
    return any(
        isinstance(node, ast.Raise)
        or (isinstance(node, ast.Assert) and isinstance(node.test, ast.Constant) and not node.test.value)
        for node in body
    )


def _leaves(body: Iterable[ast.stmt]) -> bool:
    """Whether something on the way may end it well."""
    return any(
        isinstance(part, ast.Return) or (isinstance(part, ast.Name | ast.Attribute) and _name(part) in _EXITS)
        for node in body
        if not isinstance(node, (*_FUNCTIONS, ast.ClassDef))
        for part in ast.walk(node)
    )


def _name(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
