"""The shape of code: what its tree says without positions and formatting, as digests that fold up by statement.

A statement's digest covers its header (everything that is not a nested block) and the digests of its blocks, so an
edit of one statement costs one small parse and a few hashes, whatever the size of the file.
"""

import ast
from collections.abc import Iterable, Sequence
from functools import cache
from hashlib import blake2b
from typing import TypeAlias, cast

Statement: TypeAlias = ast.stmt | ast.ExceptHandler | ast.match_case
"""Whatever owns a block or stands in one."""

BLOCKS = ("body", "orelse", "handlers", "finalbody", "cases")
_SIZE = 12
_SKIPPED = frozenset({"ctx", "kind", "type_comment", "type_ignores"})


def blocks(node: ast.AST) -> list[tuple[str, list[Statement]]]:
    """The non-empty blocks of a statement or module, by field name; expressions (a lambda's body) have none."""
    if not isinstance(node, ast.stmt | ast.ExceptHandler | ast.match_case | ast.Module):
        return []
    found: list[tuple[str, list[Statement]]] = []
    for name in BLOCKS:
        value = getattr(node, name, None)
        if isinstance(value, list) and value:
            found.append((name, cast("list[Statement]", value)))
    return found


@cache
def _fields(kind: type[ast.AST]) -> tuple[str, ...]:
    """The fields of a node class that belong to its shape: not contexts, and not the blocks that it owns."""
    owner = issubclass(kind, ast.stmt | ast.ExceptHandler | ast.match_case)
    return tuple(name for name in kind._fields if name not in _SKIPPED and not (owner and name in BLOCKS))


def write(value: object, out: list[str]) -> None:
    """Append the shape of an expression, a field or a constant; nested blocks of statements are left out."""
    if isinstance(value, ast.Name):
        out.append(f"Name {value.id}")
    elif isinstance(value, ast.AST):
        kind = value.__class__
        out.append(kind.__name__)
        names = _fields(kind)
        for name in names:
            write(getattr(value, name, None), out)
        if names:
            out.append(")")
    elif isinstance(value, list):
        out.append("[")
        for item in cast("list[object]", value):
            write(item, out)
        out.append("]")
    elif isinstance(value, str):
        out.append(f"s{value}")
    else:
        out.append(f"{value.__class__.__name__}:{value!r}")


def header(node: ast.AST) -> list[str]:
    """The shape of a statement without its blocks, as words; class names of nodes stand as themselves."""
    out: list[str] = []
    write(node, out)
    return out


def fold(words: Iterable[str], inner: Iterable[tuple[str, Sequence[bytes]]]) -> bytes:
    """The digest of a statement from its header's words and the digests in its blocks."""
    digest = blake2b("\x1f".join(words).encode("utf-8", "surrogatepass"), digest_size=_SIZE)
    for name, digests in inner:
        digest.update(name.encode())
        digest.update(fold_block(digests))
    return digest.digest()


def fold_block(digests: Sequence[bytes]) -> bytes:
    """The digest of a block from its statements' digests."""
    return blake2b(b"".join(digests), digest_size=_SIZE).digest()


def digest(node: Statement | ast.Module) -> bytes:
    """The digest of a statement, or of a module, with all that it holds."""
    return fold(header(node) if not isinstance(node, ast.Module) else (), inner(node))


def inner(node: ast.AST) -> list[tuple[str, list[bytes]]]:
    """The digests in each block of a statement."""
    return [(name, [digest(child) for child in children]) for name, children in blocks(node)]
