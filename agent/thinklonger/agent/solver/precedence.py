"""When a replaced expression needs parentheses: how tightly expressions bind, and how tightly each slot asks for."""

import ast
from functools import lru_cache

_BINARY: dict[type[ast.operator], int] = {
    ast.BitOr: 7,
    ast.BitXor: 8,
    ast.BitAnd: 9,
    ast.LShift: 10,
    ast.RShift: 10,
    ast.Add: 11,
    ast.Sub: 11,
    ast.Mult: 12,
    ast.MatMult: 12,
    ast.Div: 12,
    ast.Mod: 12,
    ast.FloorDiv: 12,
    ast.Pow: 14,
}
ATOM = 18
_LOOSE = 0


def binding(node: ast.expr) -> int:  # noqa: PLR0911 - one case for each kind of node
    """How tightly an expression binds; atoms most (Python reference, 6.17)."""
    match node:
        case ast.NamedExpr() | ast.Yield() | ast.YieldFrom() | ast.Tuple():
            return -1
        case ast.Starred() | ast.Lambda():
            return 1
        case ast.IfExp():
            return 2
        case ast.BoolOp():
            return 3 if isinstance(node.op, ast.Or) else 4
        case ast.UnaryOp():
            return 5 if isinstance(node.op, ast.Not) else 13
        case ast.Compare():
            return 6
        case ast.BinOp():
            return _BINARY[type(node.op)]
        case ast.Await():
            return 15
        case _:
            return ATOM


@lru_cache(maxsize=20_000)
def text_binding(text: str) -> int:
    """How tightly an expression given as text binds; the loosest where it is not one (a parse will tell)."""
    try:
        node = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return -1
    if isinstance(node, ast.Tuple) and text.strip().startswith("(") and text.strip().endswith(")"):
        return ATOM
    if node.col_offset > 0 and text.strip().startswith("("):
        return ATOM
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float | complex):
        return ATOM - 1
    return binding(node)


def wanted(parent: ast.AST, child: ast.expr) -> int:  # noqa: C901, PLR0911, PLR0912 - one case for each kind of node
    """How tightly an expression must bind to stand where `child` stands without parentheses."""
    match parent:
        case ast.BinOp():
            own = _BINARY[type(parent.op)]
            if isinstance(parent.op, ast.Pow):
                return own + 1 if child is parent.left else 13
            return own if child is parent.left else own + 1
        case ast.BoolOp():
            return 4 if isinstance(parent.op, ast.Or) else 5
        case ast.UnaryOp():
            return 5 if isinstance(parent.op, ast.Not) else 13
        case ast.Compare():
            return 7
        case ast.IfExp():
            return 2 if child is parent.orelse else 3
        case ast.Await() | ast.Attribute():
            return ATOM
        case ast.Call():
            return ATOM if child is parent.func else 1
        case ast.Subscript():
            return ATOM if child is parent.value else -1
        case ast.Starred():
            return 7
        case ast.comprehension():
            return 3
        case ast.Assign() | ast.AugAssign() | ast.Return() | ast.Expr() | ast.For() | ast.AnnAssign():
            return -1
        case ast.FormattedValue():
            return 3
        case _:
            return 1
