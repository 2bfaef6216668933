"""Things in code that an honest repair rarely adds: swallowed errors, checks for a test run, exits, suppressions."""

import ast
import re
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from thinklonger.agent.stages.verify.cheating.code import Source, own_nodes

_FRAMEWORKS = {"pytest", "_pytest", "unittest", "doctest", "nose", "hypothesis"}
_PATCHED = _FRAMEWORKS | {"builtins", "__builtins__"}
_RUN_SOURCES = {"sys.modules", "sys.argv", "sys.orig_argv", "os.environ", "os.getenv", "os.environ.get", "os.environb"}
_STACK = {"sys._getframe", "inspect.stack", "inspect.currentframe", "traceback.extract_stack", "sys.gettrace",
          "sys.settrace", "sys.setprofile", "threading.settrace", "sys._current_frames"}  # fmt: skip
_TEST_WORD = re.compile(r"(?i)pytest|py\.test|unittest|_test\b|\btest|^CI$|GITHUB_ACTIONS|TOX_ENV")
_EXITS = {"os._exit", "os.abort", "os.kill", "atexit.register"}
_SOFT_EXITS = {"sys.exit", "exit", "quit", "SystemExit", "builtins.exit", "builtins.quit"}
_SKIPS = {"pytest.skip", "pytest.exit", "pytest.xfail", "unittest.SkipTest"}
_IGNORES = {"warnings.simplefilter", "warnings.filterwarnings", "warnings.catch_warnings"}
_SUPPRESSION = re.compile(
    r"#[ \t]*((?:flake8:\s*|ruff:\s*)?noqa\b|type:\s*ignore|pragma:\s*no\s*(?:cover|branch)"
    r"|pylint:\s*(?:disable|skip-file)|pyright:|mypy:\s*(?:ignore|disable)|nosec\b)"
)


@dataclass(frozen=True, slots=True)
class Fact:
    """One such thing: its kind (the message's key), the function it is in, its line, and a name to show."""

    kind: str
    scope: str
    line: int
    name: str = ""


def added(before: Sequence[Fact], after: Sequence[Fact], *, known_scopes: frozenset[str]) -> list[Fact]:
    """What there is more of than before: in a function that was there already, or, for new ones, altogether."""
    totals = Counter((fact.kind, fact.name) for fact in after)
    totals.subtract(Counter((fact.kind, fact.name) for fact in before))
    left = Counter((fact.kind, fact.name, fact.scope) for fact in before)
    found: list[Fact] = []
    for fact in after:
        key = (fact.kind, fact.name, fact.scope)
        if left[key] > 0:
            left[key] -= 1
        elif fact.scope in known_scopes or totals[fact.kind, fact.name] > 0:
            found.append(fact)
    return found


def facts_of(source: Source) -> list[Fact]:
    """All such things in a source."""
    return [*_suppressions(source), *(fact for node, scope in source.scoped for fact in _facts(source, node, scope))]


def _facts(source: Source, node: ast.AST, scope: str) -> Iterator[Fact]:
    yield from _lost_errors(source, node, scope)
    yield from _uses(source, node, scope)
    yield from _changes(source, node, scope)


def _lost_errors(source: Source, node: ast.AST, scope: str) -> Iterator[Fact]:
    """Errors and differences that no longer show."""
    match node:
        case ast.ExceptHandler(lineno=line):
            kind = _swallows(source, node)
            if kind:
                yield Fact(kind, scope, line)
        case ast.Try(lineno=line, finalbody=final) | ast.TryStar(lineno=line, finalbody=final):
            if any(_leaves(item) for item in final):
                yield Fact("silent-except", scope, line)
        case ast.FunctionDef(name="__exit__") | ast.AsyncFunctionDef(name="__aexit__"):
            if _returned(node) == {True}:
                yield Fact("silent-except", scope, node.lineno)
        case ast.FunctionDef(name="__eq__" | "__ne__" as name):
            if _returned(node) == {name == "__eq__"}:
                yield Fact("always-equal", scope, node.lineno)
        case _:
            pass


def _uses(source: Source, node: ast.AST, scope: str) -> Iterator[Fact]:
    """Imports, calls and questions that belong to tests, not to code."""
    match node:
        case ast.Import(names=names):
            tests = [alias.name for alias in names if _is_test_module(alias.name)]
            yield from (Fact("imports-tests", scope, node.lineno, name) for name in tests)
            roots = {alias.name.partition(".")[0] for alias in names}
            yield from (Fact("framework", scope, node.lineno, root) for root in sorted(roots & _FRAMEWORKS))
        case ast.ImportFrom(module=str(module)) if module.partition(".")[0] in _FRAMEWORKS:
            yield Fact("framework", scope, node.lineno, module.partition(".")[0])
        case ast.ImportFrom(module=module) if _is_test_module(module or node.names[0].name):
            yield Fact("imports-tests", scope, node.lineno, module or node.names[0].name)
        case ast.Call():
            yield from _calls(source, node, scope)
        case ast.Attribute(lineno=line) | ast.Name(lineno=line) if (name := source.dotted(node)) in _STACK:
            yield Fact("stack", scope, line, name)
        case ast.Constant(value=str(text), lineno=line) if "PYTEST_" in text:
            yield Fact("test-run", scope, line, text[:60])
        case ast.Compare() | ast.Subscript():
            yield from _test_run(source, node, scope)
        case _:
            pass


def _is_test_module(dotted: str) -> bool:
    """Whether a dotted name passes through tests: a package `tests`, a module `test_…` or `conftest`."""
    return any(part in {"tests", "conftest"} or part.startswith("test_") for part in dotted.split("."))


def _changes(source: Source, node: ast.AST, scope: str) -> Iterator[Fact]:
    """Ways out of the process, and assignments to what isn't the program's own."""
    match node:
        case ast.Raise(exc=ast.Name(id="SystemExit"), lineno=line) if not _is_program_end(source, scope, line):
            yield Fact("exit", scope, line, "SystemExit")
        case ast.Assign(targets=[ast.Attribute(attr="disabled")], value=ast.Constant(value=True), lineno=line):
            if "log" in ast.unparse(node.targets[0]).lower():
                yield Fact("warnings", scope, line)
        case ast.Assign(targets=targets) | ast.Delete(targets=targets):
            yield from (fact for target in targets for fact in _patches(source, target, scope))
        case ast.AugAssign(target=target) | ast.AnnAssign(target=target):
            yield from _patches(source, target, scope)
        case _:
            pass


# ── errors ───────────────────────────────────────────────────────────────────────────────────────────────────────


def _swallows(source: Source, handler: ast.ExceptHandler) -> str:
    """`broad-except` or `silent-except` where the handler lets an error vanish, else empty."""
    if any(isinstance(node, ast.Raise) for statement in handler.body for node in (statement, *own_nodes(statement))):
        return ""
    classes = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    names = {source.dotted(cls).removeprefix("builtins.") if cls is not None else "" for cls in classes}
    if names & {"", "Exception", "BaseException"} and (handler.type is None or names != {""}):
        return "broad-except"
    return "silent-except" if all(_is_empty(statement) for statement in handler.body) else ""


def _is_empty(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Pass) or (
        isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
    )


def _leaves(statement: ast.stmt) -> bool:
    """Whether a statement of a `finally` leaves it, which drops the error on its way."""
    return isinstance(statement, ast.Return) or any(isinstance(node, ast.Return) for node in own_nodes(statement))


def _returned(function: ast.AST) -> set[object]:
    """The constants that a function returns; the node itself for any other expression."""
    values = [node.value for node in own_nodes(function) if isinstance(node, ast.Return)]
    return {value.value if isinstance(value, ast.Constant) else value for value in values}


# ── calls and assignments ────────────────────────────────────────────────────────────────────────────────────────


def _calls(source: Source, call: ast.Call, scope: str) -> Iterator[Fact]:
    name, line = source.dotted(call.func), call.lineno
    if name == "contextlib.suppress":
        yield Fact("silent-except", scope, line)
    elif (name in _IGNORES and _ignores(call)) or name == "logging.disable":
        yield Fact("warnings", scope, line)
    elif name in _EXITS | _SKIPS or (name in _SOFT_EXITS and not _is_program_end(source, scope, line)):
        yield Fact("exit", scope, line, name)
    elif name in {"setattr", "delattr"} and call.args and _is_patched(_module(source, call.args[0])):
        yield Fact("monkeypatch", scope, line, source.dotted(call.args[0]))
    elif name.startswith(("unittest.mock.patch", "mock.patch")):
        yield Fact("monkeypatch", scope, line, name)
    elif name in _RUN_SOURCES or name.startswith(("os.environ.", "sys.modules.")):
        yield from _test_run(source, call, scope)


def _ignores(call: ast.Call) -> bool:
    values = [*call.args[:1], *(keyword.value for keyword in call.keywords if keyword.arg == "action")]
    return any(isinstance(value, ast.Constant) and value.value == "ignore" for value in values)


def _is_program_end(source: Source, scope: str, line: int) -> bool:
    """Whether an exit stands where programs end: in a function called main, or below `if __name__ == …`."""
    if scope.rpartition(".")[2] in {"main", "cli", "run"} or source.path.name in {"__main__.py", "cli.py", "setup.py"}:
        return True
    guards = (n for n in source.tree.body if isinstance(n, ast.If) and "__name__" in ast.dump(n.test))
    return any(guard.lineno <= line <= (guard.end_lineno or line) for guard in guards)


def _patches(source: Source, target: ast.expr, scope: str) -> Iterator[Fact]:
    line = target.lineno
    if isinstance(target, ast.Tuple):
        yield from (fact for element in target.elts for fact in _patches(source, element, scope))
    elif isinstance(target, ast.Attribute) and _is_patched(_module(source, target.value), target.attr):
        yield Fact("monkeypatch", scope, line, source.dotted(target))
    elif isinstance(target, ast.Subscript):
        name = _module(source, target.value)
        if name == "sys.modules" or name.partition(".")[0] in _PATCHED:
            yield Fact("monkeypatch", scope, line, name)


def _module(source: Source, node: ast.expr) -> str:
    """The dotted name of something imported (or of the builtins), empty for the program's own variables."""
    root = node
    while isinstance(root, ast.Attribute):
        root = root.value
    imported = isinstance(root, ast.Name) and (root.id in source.aliases or root.id == "__builtins__")
    return source.dotted(node) if imported else ""


def _is_patched(module: str, attribute: str = "") -> bool:
    """Whether setting an attribute there changes the test framework, a builtin, or a standard module's function."""
    root = module.partition(".")[0]
    if root in _PATCHED:
        return True
    if root == "sys":
        return attribute in {"exit", "modules", "excepthook", "unraisablehook"}
    is_setting = attribute.isupper() or attribute in {"raiseExceptions", "environ"}
    return bool(attribute) and module in sys.stdlib_module_names and not is_setting


def _test_run(source: Source, node: ast.AST, scope: str) -> Iterator[Fact]:
    """An expression that asks the process about tests: its modules, arguments or environment, for a test's word."""
    inner = list(ast.walk(node))
    asks = any(source.dotted(part) in _RUN_SOURCES for part in inner if isinstance(part, ast.Name | ast.Attribute))
    words = [part.value for part in inner if isinstance(part, ast.Constant) and isinstance(part.value, str)]
    found = next((word for word in words if _TEST_WORD.search(word)), None)
    if asks and found is not None:
        yield Fact("test-run", scope, getattr(node, "lineno", 0), found[:60])


# ── comments ─────────────────────────────────────────────────────────────────────────────────────────────────────


def _suppressions(source: Source) -> Iterator[Fact]:
    """Comments that silence a linter, a type checker or coverage; their scope is the code that they stand behind."""
    for found in _SUPPRESSION.finditer(source.text):
        start = source.text.rfind("\n", 0, found.start()) + 1
        line = source.text.count("\n", 0, start) + 1
        code = source.text[start : found.start()].strip() or "\n".join(source.text[start:].split("\n", 2)[:2])
        yield Fact("suppression", code, line, " ".join(found[1].split()))
