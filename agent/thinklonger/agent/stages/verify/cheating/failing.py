"""The failing tests' own source out of a test file: what they put in and expect, not what their neighbours do."""

import ast
import re
from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath

from thinklonger.agent.stages.verify.cheating.code import Function, parsed_text

_SET_UP = frozenset({"setUp", "setUpClass", "setup_method", "setup_class", "setup", "asyncSetUp"})


def failing_source(text: str, tests: Iterable[str]) -> str:
    """The failing tests of a file, with the imports, and the helpers, fixtures and constants that they use.

    `tests` are ids (`path::Class::test[parameters]`); where one names the whole file, or none is found, it is all.
    """
    source = parsed_text(PurePosixPath("test.py"), text)
    names = [re.sub(r"\[.*", "", test.partition("::")[2], flags=re.DOTALL).split("::") for test in tests]
    if not source.tree.body or not names or any(name == [""] for name in names):
        return text
    wanted = {".".join(name) for name in names}
    chosen = [node for node in source.tree.body for _ in _wanted(node, wanted)][:1]
    if not chosen:
        return text
    body = [part for node in source.tree.body for part in _kept(node, wanted)]
    defined = {name: node for node in source.tree.body for name in _defines(node)}
    used: set[str] = set()
    queue = [name for node in body for name in _uses(node)]
    while queue:
        name = queue.pop()
        if name in used or name not in defined:
            continue
        used.add(name)
        queue += _uses(defined[name])
    imports = [node for node in source.tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    helpers = [
        node
        for node in source.tree.body
        if not isinstance(node, ast.Import | ast.ImportFrom)
        and not used.isdisjoint(_defines(node))
        and not list(_wanted(node, wanted))
    ]
    return ast.unparse(ast.Module([*imports, *helpers, *body], []))


def _wanted(node: ast.stmt, wanted: set[str]) -> Iterator[ast.stmt]:
    inside = node.body if isinstance(node, ast.ClassDef) else []
    owner = node.name if isinstance(node, ast.ClassDef) else ""
    names = {f"{owner}.{part.name}" for part in inside if isinstance(part, Function)}
    if isinstance(node, Function | ast.ClassDef) and (node.name in wanted or not names.isdisjoint(wanted)):
        yield node


def _kept(node: ast.stmt, wanted: set[str]) -> Iterator[ast.stmt]:
    """The node if it is wanted; of a class, its wanted tests with their set-up and what these use."""
    for found in _wanted(node, wanted):
        if not isinstance(found, ast.ClassDef) or found.name in wanted:
            yield found
            continue
        tests = [part for part in found.body if _is_wanted_part(part, found.name, wanted)]
        used = {name for part in tests for name in _uses(part)}
        kept = [part for part in found.body if part in tests or not used.isdisjoint(_defines(part))]
        yield ast.ClassDef(found.name, found.bases, found.keywords, kept or [ast.Pass()], found.decorator_list)


def _is_wanted_part(part: ast.stmt, owner: str, wanted: set[str]) -> bool:
    return isinstance(part, Function) and (part.name in _SET_UP or f"{owner}.{part.name}" in wanted)


def _defines(node: ast.stmt) -> Iterator[str]:
    match node:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            yield name
        case ast.Assign(targets=targets):
            yield from (part.id for target in targets for part in ast.walk(target) if isinstance(part, ast.Name))
        case ast.AnnAssign(target=ast.Name(id=name)):
            yield name
        case _:
            pass


def _uses(node: ast.AST) -> Iterator[str]:
    """The names that code reads, attributes and a test's parameters (fixtures) included."""
    for part in ast.walk(node):
        if isinstance(part, ast.Name):
            yield part.id
        elif isinstance(part, ast.Attribute):
            yield part.attr
        elif isinstance(part, ast.arg):
            yield part.arg
