"""Which tests run the very lines that a candidate changes: evidence that a green test is about the patch."""

import ast
from collections.abc import Sequence
from pathlib import PurePosixPath

from thinklonger.agent.execution.regression import changed_lines
from thinklonger.agent.types import Changes, LineCoverage


def exercising(changes: Changes, coverage: LineCoverage) -> frozenset[str]:
    """The tests whose run on the base went through a changed line, or, for an insertion, through a line beside it."""
    lines: dict[PurePosixPath, frozenset[int]] = {}
    for change in changes:
        if change.before is not None and change.after is not None:
            found = changed_statements(change.before.content, change.after.content)
            lines[change.path] = lines.get(change.path, frozenset()) | found
    return frozenset(
        test
        for test, ran in coverage.items()
        if any(not lines[path].isdisjoint(ran[path]) for path in lines if path in ran)
    )


def changed_statements(before: bytes, after: bytes) -> frozenset[int]:
    """The lines of the old text that the new one changes, whole statements; around an insertion, its two neighbours."""
    found = changed_lines(before, after)
    return found.union(*(rows for rows in _statements(before) if not found.isdisjoint(rows)))


def _statements(source: bytes) -> Sequence[range]:
    """The lines of each statement, of a compound one its header's; a tracer sees but the first of them."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return ()
    return [_rows(node) for node in ast.walk(tree) if isinstance(node, ast.stmt)]


def _rows(node: ast.stmt) -> range:
    body = getattr(node, "body", None)
    if isinstance(body, list) and body and isinstance(body[0], ast.stmt):
        return range(node.lineno, max(body[0].lineno, node.lineno + 1))
    return range(node.lineno, (node.end_lineno or node.lineno) + 1)
