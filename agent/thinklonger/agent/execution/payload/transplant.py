"""Gives functions that are imported already another body, so that most candidates need no fresh import.

The scout loads the files that candidates patch so that each function and method tells when it first runs. When all is
collected, the live function objects of these files are looked up once. A candidate that changes one function's body,
and neither its signature nor what it closes over, is then tried by a fork in which the function, wherever it is held,
has the new code. Everything else is imported as ever. What ran before the tests (while modules were imported or tests
collected) may have left something behind that a new body does not change: `Plan.early` says so.
"""

from __future__ import annotations

import ast
import builtins
import gc
import io
import tokenize
from types import CodeType, FunctionType
from typing import TYPE_CHECKING, Any, Iterator

if TYPE_CHECKING:
    from typing import Union

    Function = Union[ast.FunctionDef, ast.AsyncFunctionDef]

_MARK = "_thinklonger_ran"
_OPTIMIZED = 1
"""The flag of code that is a function's, not a class's or module's."""


class Known:
    """One function or method as it was loaded; `first` and `last` are its lines, decorators included."""

    def __init__(self, node: Function, classes: tuple[str, ...], number: int) -> None:
        """Remember all that must not change."""
        self.name: str = node.name
        self.classes = classes
        self.number = number
        self.first: int = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
        self.last: int = node.end_lineno or node.lineno
        self.signature = signature(node)
        self.code: CodeType | None = None


class File:
    """A file as it was loaded: its lines, its `from __future__` imports and its functions."""

    def __init__(self, data: bytes, futures: list[ast.stmt]) -> None:
        """Begin with no functions."""
        self.lines = data.splitlines()
        self.futures = futures
        self.known: list[Known] = []


class Plan:
    """Which functions get which code; `early`: whether the changed function ran before the tests; `place`: which."""

    def __init__(self, swaps: list[tuple[FunctionType, CodeType]], *, early: bool, place: str) -> None:
        """Change nothing yet."""
        self.swaps = swaps
        self.early = early
        self.place = place

    def apply(self) -> None:
        """Give the functions their new code."""
        for function, code in self.swaps:
            function.__code__ = code


class Functions:
    """The functions of the files that candidates patch."""

    def __init__(self) -> None:
        """Know none yet."""
        self.files: dict[str, File] = {}
        self.ran: set[int] = set()
        self._count = 0
        self._live: dict[int, list[FunctionType]] = {}

    def load(self, path: str, data: bytes) -> CodeType | None:
        """A file's code, whose functions tell when they run; None where it is not to be read like that."""
        try:
            if tokenize.detect_encoding(io.BytesIO(data).readline)[0] != "utf-8":
                return None
            tree = ast.parse(data)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return None
        file = File(
            data, [node for node in tree.body if isinstance(node, ast.ImportFrom) and node.module == "__future__"]
        )
        for node, classes in list(outermost(tree, ())):
            known = Known(node, classes, self._count)
            self._count += 1
            file.known.append(known)
            mark(node, known.number)
        try:
            code = compile(tree, path, "exec", dont_inherit=True)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return None
        found = {(one.co_name, one.co_firstlineno): one for one in functions_of(code)}
        for known in file.known:
            known.code = found.get((known.name, known.first))
        setattr(builtins, _MARK, self.ran.add)
        self.files[path] = file
        return code

    def look(self) -> None:
        """Find the live functions, once; called when all is collected."""
        wanted = {
            id(code)
            for file in self.files.values()
            for known in file.known
            if known.code is not None
            for _, code in nested(known.code)
        }
        for item in gc.get_objects() if wanted else ():
            if type(item) is FunctionType and id(item.__code__) in wanted:
                self._live.setdefault(id(item.__code__), []).append(item)

    def plan(self, contents: dict[str, bytes | None]) -> Plan | None:
        """How to apply changed files (contents by full path); None where only a fresh import can tell."""
        swaps: list[tuple[FunctionType, CodeType]] = []
        early = False
        places: list[str] = []
        for path, data in contents.items():
            file = self.files.get(path)
            if file is None or data is None:
                return None
            known, code = changed(file, data, path)
            found = self._swaps(known, code) if known is not None and code is not None else None
            if known is None or found is None:
                return None
            swaps += found
            early = early or known.number in self.ran
            places.append(f"{path}:{known.first}")
        return Plan(swaps, early=early, place=" ".join(places))

    def _swaps(self, known: Known, code: CodeType) -> list[tuple[FunctionType, CodeType]] | None:
        """Each live function made of the old code, or of code inside it, with what takes its place."""
        if known.code is None or id(known.code) not in self._live:
            return None
        new = dict(nested(code))
        found: list[tuple[FunctionType, CodeType]] = []
        for path, old in nested(known.code):
            for function in self._live.get(id(old), ()):
                if path not in new or new[path].co_freevars != old.co_freevars:
                    return None
                found.append((function, new[path]))
        return found


def signature(node: Function) -> str:
    """All of a function that is not its body."""
    parts = [node.args, node.returns, *node.decorator_list, *getattr(node, "type_params", ())]
    return " ".join([type(node).__name__, node.name, *(ast.dump(part) for part in parts if part is not None)])


def outermost(node: ast.AST, classes: tuple[str, ...]) -> Iterator[tuple[Function, tuple[str, ...]]]:
    """The functions that stand in no other function, with the classes around them."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield child, classes
        elif isinstance(child, ast.ClassDef):
            yield from outermost(child, (*classes, child.name))
        elif not isinstance(child, ast.expr):
            yield from outermost(child, classes)


def mark(node: Function, number: int) -> None:
    """Have a function tell that it runs, first of all but its docstring."""
    first = node.body[0]
    documented = (
        isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str)
    )
    call = ast.Call(ast.Name(_MARK, ast.Load()), [ast.Constant(number)], [])
    at = 1 if documented else 0
    statement = ast.copy_location(ast.Expr(call), node.body[min(at, len(node.body) - 1)])
    node.body.insert(at, ast.fix_missing_locations(statement))


def functions_of(code: CodeType) -> Iterator[CodeType]:
    """The code of the functions that stand in a module's or class's code, and in no other function."""
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            if inner.co_flags & _OPTIMIZED:
                yield inner
            else:
                yield from functions_of(inner)


def nested(
    code: CodeType, path: tuple[tuple[str, int], ...] = ()
) -> Iterator[tuple[tuple[tuple[str, int], ...], CodeType]]:
    """A function's code and all code inside it, by names and numbers among those of the same name."""
    yield path, code
    count: dict[str, int] = {}
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            number = count[inner.co_name] = count.get(inner.co_name, -1) + 1
            yield from nested(inner, (*path, (inner.co_name, number)))


def changed(file: File, data: bytes, path: str) -> tuple[Known | None, CodeType | None]:
    """The one function whose body differs in new contents, and its new code; None, None if there is more to it."""
    lines = data.splitlines()
    least = min(len(lines), len(file.lines))
    start = next((at for at in range(least) if lines[at] != file.lines[at]), least)
    end = next((at for at in range(least - start) if lines[-1 - at] != file.lines[-1 - at]), least - start)
    for known in file.known:
        if known.first - 1 <= start and len(file.lines) - known.last <= end:
            last = len(lines) - (len(file.lines) - known.last)
            return known, compiled(file, known, lines[known.first - 1 : last], path)
    return None, None


def compiled(file: File, known: Known, lines: list[bytes], path: str) -> CodeType | None:
    """The code of a function's new lines; None where they are no function of the same name and signature."""
    inside = lines[0][:1] in (b" ", b"\t")
    try:
        body: list[Any] = ast.parse(b"\n".join([b"if 1:", *lines, b""] if inside else [*lines, b""])).body
        node: Any = body[0].body[0] if inside else body[0]
        if len(body) != 1 or (inside and len(body[0].body) != 1) or signature(node) != known.signature:
            return None
        ast.increment_lineno(node, known.first - 1 - inside)
        around: Any = node
        for name in reversed(known.classes):
            around = ast.parse(f"class {name}: pass").body[0]
            around.body = [node]
            node = around
        module = ast.Module([*file.futures, around], [])
        code = compile(ast.fix_missing_locations(module), path, "exec", dont_inherit=True)
    except (SyntaxError, ValueError, AttributeError, RecursionError, MemoryError):
        return None
    return next((one for one in functions_of(code) if one.co_name == known.name), None)
