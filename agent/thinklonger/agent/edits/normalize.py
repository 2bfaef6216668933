"""Changes reduced to what they mean, so that candidates that differ in form only count as one."""

import ast
import warnings
from collections.abc import Iterator, Sequence
from hashlib import sha256

from thinklonger.agent.types import Changes, FileChange, FileState


def normalized(changes: Changes) -> str:
    """A digest that is equal for changes of the same files that mean the same code.

    In Python, comments, formatting and docstrings don't count (annotations do); elsewhere, white space doesn't.
    Changes that mean nothing have the digest of no changes.
    """
    digest = sha256()
    for change in sorted(changes, key=lambda change: change.path.as_posix()):
        parts = tuple(_meaning(change))
        if parts:
            name = str(change.path).encode("utf-8", "surrogateescape")
            for part in (name, *parts):
                digest.update(b"%d:" % len(part) + part)
    return digest.hexdigest()


def _meaning(change: FileChange) -> Iterator[bytes]:
    """What the change does to the file, as byte strings; nothing where it does nothing."""
    before, after = change.before, change.after
    if after is None:
        yield b"deleted"
        return
    if change.renamed_from is not None:
        yield b"from " + str(change.renamed_from).encode("utf-8", "surrogateescape")
    if after.executable != (before is not None and before.executable):
        yield b"executable" if after.executable else b"regular"
    old, new = (_python(state) if change.path.suffix == ".py" else None for state in (before, after))
    if new is not None:
        tokens = _statements(old, new)
        if before is None or old is None or tokens != _statements(old, old):
            yield from (token.encode("utf-8", "surrogatepass") for token in ("python", *tokens))
    elif before is None or before.content.split() != after.content.split():
        yield b"".join(after.content.split())


class _Python:
    """A module's statements with the texts that they have."""

    def __init__(self, content: bytes) -> None:
        """Parse the file; raises SyntaxError, ValueError, RecursionError or MemoryError."""
        content = content.replace(b"\r\n", b"\n").replace(b"\r", b"\n")  # as Python counts lines
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(content)
        lines = content.split(b"\n")
        self.body = tree.body[1:] if ast.get_docstring(tree, clean=False) is not None else tree.body
        self.texts = [_text(node, lines) for node in self.body]


def _python(state: FileState | None) -> _Python | None:
    try:
        return None if state is None else _Python(state.content)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _text(node: ast.stmt, lines: Sequence[bytes]) -> str:
    decorators: list[ast.expr] = getattr(node, "decorator_list", [])
    start = min((node.lineno, *(item.lineno for item in decorators)))
    return b"\n".join(lines[start - 1 : node.end_lineno]).decode("latin-1")


def _statements(old: _Python | None, new: _Python) -> list[str]:
    """A token for each statement: its old text where it means what one of the old ones means, else its dump.

    Only statements whose text has changed are dumped, which keeps a large file as cheap as a parse.
    """
    kept = set(old.texts) if old else set[str]()
    gone = set(new.texts)
    dumps = (
        {_dump(node): text for node, text in zip(old.body, old.texts, strict=True) if text not in gone} if old else {}
    )
    tokens: list[str] = []
    for node, text in zip(new.body, new.texts, strict=True):
        dump = "" if text in kept else _dump(node)
        tokens.append(text if text in kept else dumps.get(dump, dump))
    return tokens


def _dump(statement: ast.stmt) -> str:
    """The statement's tree without positions, docstrings and `u` prefixes."""
    for node in ast.walk(statement):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            if ast.get_docstring(node, clean=False) is not None:
                node.body = node.body[1:] or [ast.Pass()]
        elif isinstance(node, ast.Constant):
            node.kind = None
    return ast.dump(statement)
