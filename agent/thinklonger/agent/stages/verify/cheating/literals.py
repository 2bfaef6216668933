"""What the failing tests put in and expect: the literals that an honest repair has no reason to know."""

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import PurePosixPath

from thinklonger.agent.stages.verify.cheating.code import Function, Literal, Source, body_of, literal, parsed_text
from thinklonger.agent.stages.verify.writing import unwrapped

TRUE, FALSE, NONE = "bool:True", "bool:False", "NoneType:None"
_EQUAL = frozenset(
    [
        "assertEqual",
        "assertEquals",
        "assertIs",
        "assertListEqual",
        "assertDictEqual",
        "assertTupleEqual",
        "assertSetEqual",
        "assertSequenceEqual",
        "assertMultiLineEqual",
        "assertAlmostEqual",
        "assertCountEqual",
    ]
)
_FIXED = {"assertTrue": TRUE, "assertFalse": FALSE, "assertIsNone": NONE}


@dataclass(frozen=True, slots=True)
class Scenario:
    """One test: all its literals, those that it expects as results, and the exceptions that it expects."""

    inputs: frozenset[Literal]
    expected: frozenset[Literal]
    raises: frozenset[str]


@dataclass(frozen=True, slots=True)
class Reproduction:
    """The failing tests' scenarios, the names of the tests, every name that they use, and top modules they import."""

    scenarios: tuple[Scenario, ...]
    tests: frozenset[str]
    names: frozenset[str]
    modules: frozenset[str] = frozenset()

    @property
    def expected(self) -> frozenset[Literal]:
        """All expected results."""
        return frozenset(key for scenario in self.scenarios for key in scenario.expected)


@lru_cache(maxsize=4)
def read_reproduction(sources: Sequence[str]) -> Reproduction:
    """Read the sources of failing tests, the programs inside of written ones, too; the sequence must be hashable."""
    scenarios: list[Scenario] = []
    tests: set[str] = set()
    names: set[str] = set()
    modules: set[str] = set()
    for text in sources:
        source = parsed_text(PurePosixPath("test.py"), text)
        functions = [node for name, node in source.functions.items() if name.rpartition(".")[2].startswith("test")]
        tests |= {function.name for function in functions}
        names |= _names(source)
        modules |= _modules(source)
        scenarios += [_scenario([*function.decorator_list, *body_of(function)]) for function in functions]
        scenarios.append(_scenario([node for node in source.tree.body if not _is_definition(node)]))
        if program := unwrapped(source.tree):
            inner = parsed_text(PurePosixPath("test.py"), program)
            names |= _names(inner)
            modules |= _modules(inner)
            scenarios.append(_scenario(inner.tree.body))
    telling = tuple(s for s in scenarios if s.inputs or s.expected or s.raises)
    return Reproduction(telling, frozenset(tests), frozenset(names), frozenset(modules))


def _names(source: Source) -> set[str]:
    """Every name that a test uses."""
    found = {node.id for node, _ in source.scoped if isinstance(node, ast.Name)}
    found |= {node.attr for node, _ in source.scoped if isinstance(node, ast.Attribute)}
    return found | {a.name for node, _ in source.scoped if isinstance(node, ast.ImportFrom) for a in node.names}


def _modules(source: Source) -> set[str]:
    """The top of every module that a test imports, its neighbours left out."""
    imports = [node for node, _ in source.scoped if isinstance(node, ast.Import | ast.ImportFrom)]
    named = [alias.name for node in imports if isinstance(node, ast.Import) for alias in node.names]
    named += [node.module for node in imports if isinstance(node, ast.ImportFrom) and node.module and not node.level]
    return {name.partition(".")[0] for name in named}


def _is_definition(node: ast.stmt) -> bool:
    return isinstance(node, Function | ast.ClassDef | ast.Import | ast.ImportFrom)


def _scenario(nodes: Sequence[ast.AST]) -> Scenario:
    everything = [inner for node in nodes for inner in ast.walk(node)]
    assigned = {
        target.id: key
        for node in everything
        if isinstance(node, ast.Assign) and (key := literal(node.value)) is not None
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    inputs = {key for node in everything if (key := literal(node)) is not None}
    expected = {key for node in everything for key in _expected(node, assigned)}
    return Scenario(frozenset(inputs), frozenset(expected), frozenset(_raises(everything)))


def _expected(node: ast.AST, assigned: dict[str, Literal]) -> Iterator[Literal]:
    """Results that this assertion or parametrization expects."""
    match node:
        case ast.Assert(test=test):
            yield from _asserted(test, assigned)
        case ast.Call(func=ast.Attribute(attr=name), args=args) if name in _FIXED and args:
            yield _FIXED[name]
        case ast.Call(func=ast.Attribute(attr=name), args=args) if name in _EQUAL:
            yield from _results(args, assigned)
        case ast.Call(func=ast.Attribute(attr="parametrize"), args=[_, ast.List(elts=rows) | ast.Tuple(elts=rows), *_]):
            for row in rows:
                values = row.elts if isinstance(row, ast.Tuple) else row.args if isinstance(row, ast.Call) else []
                yield from _results(values, assigned)
        case _:
            pass


def _asserted(test: ast.expr, assigned: dict[str, Literal]) -> Iterator[Literal]:
    match test:
        case ast.Compare(left=left, comparators=others):
            yield from _results([left, *others], assigned)
        case ast.UnaryOp(op=ast.Not()):
            yield FALSE
        case ast.BoolOp(values=values):
            for value in values:
                yield from _asserted(value, assigned)
        case ast.Call():
            yield TRUE
        case _:
            pass


def _results(sides: Sequence[ast.AST], assigned: dict[str, Literal]) -> Iterator[Literal]:
    for side in sides:
        inner = side.args[0] if isinstance(side, ast.Call) and _name(side.func) == "approx" and side.args else side
        key = assigned.get(inner.id) if isinstance(inner, ast.Name) else literal(inner)
        if key is not None:
            yield key


def _raises(nodes: Sequence[ast.AST]) -> Iterator[str]:
    for node in nodes:
        if (
            isinstance(node, ast.Call)
            and _name(node.func) in {"raises", "assertRaises", "assertRaisesRegex"}
            and node.args
        ):
            classes = node.args[0].elts if isinstance(node.args[0], ast.Tuple) else [node.args[0]]
            yield from (_name(cls) for cls in classes)


def _name(node: ast.AST) -> str:
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""
