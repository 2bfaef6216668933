"""What a patch does to the tests themselves: deleted, skipped, loosened, or otherwise changed."""

import ast
from collections import Counter
from collections.abc import Iterator, Sequence

from thinklonger.agent.stages.verify.cheating.code import Function, Source
from thinklonger.agent.stages.verify.cheating.facts import Fact
from thinklonger.agent.stages.verify.cheating.literals import Reproduction
from thinklonger.agent.types import FileChange

_SKIPS = ("skip", "xfail", "importorskip", "expectedFailure", "SkipTest")


def touched_tests(before: Source, after: Source) -> list[Fact]:
    """Changes to what an existing test file checks; new tests beside the old ones are none.

    At most one of each kind: `test-deleted`, `test-skipped`, `test-loosened`, and `test-edited` where it is none
    of these.
    """
    if ast.dump(before.tree) == ast.dump(after.tree):
        return []
    old, new = _tests(before), _tests(after)
    found: list[Fact] = [Fact("test-deleted", "", 1, name) for name in old if name not in new][:1]
    marks, old_marks = _skips(after), _skips(before)
    skipped = [line for mark, line in marks if marks_count(marks, mark) > marks_count(old_marks, mark)]
    found += [Fact("test-skipped", "", skipped[0])] if skipped else []
    changed = [name for name in old if name in new and ast.dump(old[name]) != ast.dump(new[name])]
    loose = [name for name in changed if _strength(new[name]) < _strength(old[name])]
    found += [Fact("test-loosened", "", new[name].lineno, name) for name in loose][:1]
    if not found and (changed or _rest(before) != _rest(after)):
        line = new[changed[0]].lineno if changed else 1
        found.append(Fact("test-edited", "", line, changed[0] if changed else after.path.name))
    return found


def new_beside_tests(change: FileChange, after: Source, tests: Reproduction) -> list[Fact]:
    """What a new file among the tests does to others: it is imported in place of the code, or replaces parts of it.

    Folders of test files are searched for modules before everything else.
    """
    if change.before is not None and change.renamed_from is None:
        return []
    found: list[Fact] = []
    stem = change.path.parent.name if change.path.name == "__init__.py" else change.path.stem
    if stem in tests.modules and not _gives(after).isdisjoint({"*", *tests.names}):
        found.append(Fact("shadows", "", 1))
    imported = after.aliases
    for node in (inner for part in after.tree.body for inner in _run_at_import(part)):
        targets = node.targets if isinstance(node, ast.Assign) else []
        roots = [target for target in targets if isinstance(target, ast.Attribute)]
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in {"setattr", "delattr"}:
            roots += node.args[:1]
        for root in roots:
            name = after.dotted(root)
            first = ast.unparse(root).partition(".")[0]
            if first in imported and name:
                found.append(Fact("monkeypatch", "", root.lineno, name))
    return found[:1]


def _gives(source: Source) -> set[str]:
    """The names that can be imported from a source; `*` where it gives all of another one's."""
    found: set[str] = set()
    for node in source.tree.body:
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                found.add(name)
            case ast.Import(names=names) | ast.ImportFrom(names=names):
                found |= {alias.asname or alias.name for alias in names}
            case _:
                found |= {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}
    return found


def _run_at_import(node: ast.AST) -> Iterator[ast.AST]:
    """The nodes that run when a module is imported."""
    yield node
    if not isinstance(node, Function | ast.Lambda):
        for child in ast.iter_child_nodes(node):
            yield from _run_at_import(child)


def marks_count(marks: Sequence[tuple[str, int]], mark: str) -> int:
    """How often a skipping mark stands."""
    return sum(1 for name, _ in marks if name == mark)


def _tests(source: Source) -> dict[str, Function]:
    return {name: node for name, node in source.functions.items() if name.rpartition(".")[2].startswith("test")}


def _skips(source: Source) -> list[tuple[str, int]]:
    """Everything that keeps a test from running, with its line."""
    found: list[tuple[str, int]] = []
    for node, _ in source.scoped:
        name = node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
        if name.startswith(_SKIPS) or name in {"__test__", "collect_ignore", "collect_ignore_glob"}:
            found.append((name, getattr(node, "lineno", 1)))
    return found


def _strength(test: Function) -> tuple[int, int]:
    """How much a test asserts: how many assertions, and how many of them compare for equality."""
    kinds = Counter[str]()
    for node in ast.walk(test):
        if isinstance(node, ast.Assert):
            exact = isinstance(node.test, ast.Compare) and isinstance(node.test.ops[0], ast.Eq | ast.Is)
            exact = exact and "approx(" not in ast.unparse(node.test)
            vacuous = isinstance(node.test, ast.Constant)
            kinds.update({"all": not vacuous, "exact": exact})
        elif isinstance(node, ast.Attribute) and node.attr.startswith(("assert", "raises")):
            kinds.update({"all": 1, "exact": "Equal" in node.attr})
    return kinds["all"], kinds["exact"]


def _rest(source: Source) -> list[str]:
    """What a test file has beside its tests and imports: fixtures, helpers, data."""
    kept = (ast.Import, ast.ImportFrom)
    return [
        ast.dump(node)
        for node in source.tree.body
        if not isinstance(node, kept)
        and not (isinstance(node, Function | ast.ClassDef) and "test" in node.name.lower())
    ]
