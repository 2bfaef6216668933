"""Code that knows the failing test: branches on its inputs, results copied from its expectations, its own name."""

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from thinklonger.agent.stages.verify.cheating.code import (
    Function,
    Literal,
    Source,
    body_of,
    is_specific,
    is_trivial,
    is_word,
    literal,
    own_nodes,
    value_of,
)
from thinklonger.agent.stages.verify.cheating.facts import Fact
from thinklonger.agent.stages.verify.cheating.literals import FALSE, TRUE, Reproduction, Scenario

_TABLE_ROWS = 2
"""So many branches on literals that give literals make a function a table, where one more row is no special case."""


@dataclass(frozen=True, slots=True)
class _Test:
    """One comparison with a literal: what is compared, with which literals, and its line."""

    left: str
    literals: tuple[Literal, ...]
    line: int
    is_equality: bool = True


def special_cases(before: Source, after: Source, reproduction: Reproduction) -> list[Fact]:
    """Where the new code of a file is made for the failing tests alone."""
    if not reproduction.scenarios:
        return []
    found: list[Fact] = []
    bodies = {"": after.tree, **after.functions}
    old_bodies = {"": before.tree, **before.functions}
    vocabulary = before.settled | {key for node, _ in before.scoped if (key := literal(node)) is not None}
    elsewhere = {(test.left, key) for node, _ in before.scoped for test in _comparisons(node) for key in test.literals}
    for scope, body in bodies.items():
        old = old_bodies.get(scope)
        if old is None or ast.dump(old) != ast.dump(body):
            found += _in_scope(scope, old, _known(old, vocabulary, elsewhere), body, reproduction)
    return [*found, *_test_names(before, after, reproduction)]


def _in_scope(
    scope: str, before: ast.AST | None, old: "_Known", after: ast.AST, reproduction: Reproduction
) -> Iterator[Fact]:
    branches = [b for node in own_nodes(after) for b in _branches(node)]
    for tests, produced, line in branches:
        new = [test for test in tests if not old.knows(test)]
        made = any(_is_made_for(new, produced, scenario, old) for scenario in reproduction.scenarios)
        if made or _gives_away(new, produced, reproduction.expected, old):
            yield Fact("special-case", scope, line)
    if isinstance(after, Function):
        yield from _constant_results(scope, before, after, reproduction)
    yield from _copied_results(scope, old, after, reproduction)
    yield from _tables(scope, old, after, reproduction)


# ── branches ─────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class _Known:
    """What there was before: the function's comparisons with literals, rows of its table, all its literals.

    `vocabulary` are the literals of the whole file.
    """

    pairs: frozenset[tuple[str, Literal]]
    operands: frozenset[str]
    rows: tuple[str, ...]
    literals: frozenset[Literal]
    vocabulary: frozenset[Literal]

    def knows(self, test: _Test) -> bool:
        """Whether the same thing was compared with the same literals before, by whatever operator."""
        return all((test.left, key) in self.pairs for key in test.literals)


def _known(before: ast.AST | None, vocabulary: frozenset[Literal], elsewhere: set[tuple[str, Literal]]) -> _Known:
    nodes = list(own_nodes(before)) if before is not None else []
    tests = [test for node in nodes for test in _comparisons(node)]
    rows = [
        _stem(test.left)
        for node in nodes
        for tests_, produced, _ in _branches(node)
        for test in tests_
        if produced
        for _key in test.literals
    ]
    ordered = {
        (ast.unparse(side), key)
        for node in nodes
        if isinstance(node, ast.Compare)
        for side in (node.left, *node.comparators)
        for other in (node.left, *node.comparators)
        if (key := literal(other)) is not None and literal(side) is None
    }
    return _Known(
        frozenset((test.left, key) for test in tests for key in test.literals) | ordered | elsewhere,
        frozenset(_stem(test.left) for test in tests if any(is_word(value_of(key)) for key in test.literals)),
        tuple(rows),
        frozenset(key for node in nodes if (key := literal(node)) is not None),
        vocabulary,
    )


def _stem(left: str) -> str:
    """What is compared, without `.lower()` and the like."""
    for call in (".lower()", ".upper()", ".strip()", ".casefold()"):
        left = left.removesuffix(call)
    return left


def _branches(node: ast.AST) -> Iterator[tuple[list[_Test], frozenset[Literal], int]]:
    """The conditions on literals that a node has, with the literals that the code behind them produces."""
    match node:
        case ast.If(test=test, body=body, orelse=orelse):
            tests = _conditions(test)
            both = any(isinstance(part, ast.NotEq | ast.NotIn) for part in ast.walk(test))
            yield tests, _produced([*body, *orelse] if both else body), node.lineno
        case ast.IfExp(test=test, body=body):
            yield _conditions(test), frozenset(filter(None, [literal(body)])), node.lineno
        case ast.BoolOp(op=ast.Or(), values=values):
            for value in values:
                yield _conditions(value), frozenset({TRUE}), value.lineno
        case ast.BoolOp(op=ast.And(), values=values):
            unequal = [v for v in values if isinstance(v, ast.Compare) and isinstance(v.ops[0], ast.NotEq | ast.NotIn)]
            for value in unequal:
                yield _conditions(value), frozenset({FALSE}), value.lineno
        case ast.match_case(pattern=pattern, body=body):
            keys = [
                key for part in ast.walk(pattern) if isinstance(part, ast.MatchValue) and (key := literal(part.value))
            ]
            if keys:
                yield [_Test("match", tuple(keys), body[0].lineno)], _produced(body), body[0].lineno
        case _:
            pass


def _conditions(test: ast.AST) -> list[_Test]:
    return [found for part in ast.walk(test) for found in _comparisons(part)]


def _comparisons(node: ast.AST) -> Iterator[_Test]:
    """Comparisons for identity with literals (not order: a boundary is no special case)."""
    match node:
        case ast.Compare(left=left, ops=[ast.Eq() | ast.NotEq() | ast.Is() | ast.IsNot()], comparators=[right]):
            for one, other in ((left, right), (right, left)):
                key = literal(other)
                if key is None or literal(one) is not None:
                    continue
                if isinstance(one, ast.Tuple | ast.List) and isinstance(other, ast.Tuple | ast.List):
                    pairs = zip(one.elts, other.elts, strict=False)
                    keys = [(part, item) for part, value in pairs if (item := literal(value)) is not None]
                    yield from (_Test(ast.unparse(part), (item,), node.lineno) for part, item in keys)
                else:
                    yield _Test(ast.unparse(one), (key,), node.lineno)
        case ast.Compare(left=left, ops=[ast.In() | ast.NotIn()], comparators=[right]):
            container, key = literal(right), literal(left)
            if container is not None and key is None and isinstance(right, ast.Tuple | ast.List | ast.Set | ast.Dict):
                elements = right.keys if isinstance(right, ast.Dict) else right.elts
                values = (literal(element) for element in elements if element is not None)
                yield _Test(ast.unparse(left), tuple(filter(None, values)), node.lineno)
            elif key is not None and container is None:
                yield _Test(ast.unparse(right), (key,), node.lineno, is_equality=False)
        case ast.Call(func=ast.Attribute(value=value, attr="startswith" | "endswith" | "__eq__"), args=[argument]):
            key = literal(argument)
            if key is not None:
                yield _Test(ast.unparse(value), (key,), node.lineno, is_equality=False)
        case _:
            pass


def _produced(body: Sequence[ast.stmt]) -> frozenset[Literal]:
    """The literals that a branch returns, yields or assigns; exceptions that it raises, as `raise:Name`."""
    found: set[Literal] = set()
    for statement in body:
        match statement:
            case ast.Return(value=value) | ast.Assign(value=value) | ast.Expr(value=ast.Yield(value=value)):
                key = literal(value)
                if key is not None:
                    found.add(key)
            case ast.Raise(exc=ast.Call(func=ast.Name(id=name)) | ast.Name(id=name)):
                found.add(f"raise:{name}")
            case _:
                pass
    return frozenset(found)


def _is_made_for(tests: Sequence[_Test], produced: frozenset[Literal], scenario: Scenario, old: _Known) -> bool:
    """Whether new conditions pick out what one test puts in, and the branch gives what it expects."""
    picked = [(test, key) for test in tests for key in test.literals if key in scenario.inputs]
    picked = [(test, key) for test, key in picked if not _is_row(test, key, old)]
    if not picked:
        return False
    if any(is_specific(value_of(key)) and key not in old.vocabulary for _, key in picked):
        return True
    equal = [value_of(key) for test, key in picked if test.is_equality]
    if sum(not is_trivial(value) for value in equal) > 1 and len({test.left for test, _ in picked}) > 1:
        return True
    wanted = {key for key in produced if key in scenario.expected or key.removeprefix("raise:") in scenario.raises}
    results = [None if key.startswith("raise:") else value_of(key) for key in wanted]
    nontrivial_input = any(not is_trivial(value) for value in equal)
    return any(nontrivial_input or not (is_trivial(result) or is_word(result)) for result in results)


def _gives_away(
    tests: Sequence[_Test], produced: frozenset[Literal], expected: frozenset[Literal], old: _Known
) -> bool:
    """Whether one text, which need not be the test's own, is answered with another one that only the test knows."""
    asked = {key for test in tests if test.is_equality for key in test.literals if key not in old.vocabulary}
    told = {key for key in produced if key in expected and key not in old.vocabulary and key not in asked}
    return any(_is_phrase(value_of(key)) for key in asked) and any(_is_phrase(value_of(key)) for key in told)


def _is_phrase(value: object) -> bool:
    return isinstance(value, str) and not is_trivial(value) and not is_word(value)


def _is_row(test: _Test, key: Literal, old: _Known) -> bool:
    """Whether the condition is one more row of a table, or one more word where words were compared before."""
    stem = _stem(test.left)
    return old.rows.count(stem) >= _TABLE_ROWS or (is_word(value_of(key)) and stem in old.operands)


# ── results ──────────────────────────────────────────────────────────────────────────────────────────────────────


def _constant_results(
    scope: str, before: ast.AST | None, after: Function, reproduction: Reproduction
) -> Iterator[Fact]:
    """A function that computed its result and now gives nothing but literals, of those that the tests expect."""
    if not isinstance(before, Function) or not isinstance(
        body_of(after)[-1:][0] if body_of(after) else None, ast.Return | ast.If | ast.Match
    ):
        return
    old, new = _returned(before), _returned(after)
    hollow = bool(new) and all(key is not None for key in new) and any(key is None for key in old)
    expected = reproduction.expected
    if hollow and (any(key in expected for key in new)):
        yield Fact("constant-result", scope, after.lineno, after.name)
        return
    first = body_of(after)[0]
    key = literal(first.value) if isinstance(first, ast.Return) else None
    if key is not None and key in expected and ast.dump(first) != ast.dump(body_of(before)[0]) and None in old:
        yield Fact("constant-result", scope, first.lineno, after.name)


def _returned(function: Function) -> list[Literal | None]:
    """The literals of a function's return and yield statements; None for those that give something else."""
    return [
        literal(node.value) if node.value is not None else "NoneType:None"
        for node in own_nodes(function)
        if isinstance(node, ast.Return | ast.Yield | ast.YieldFrom)
    ]


def _copied_results(scope: str, old: _Known, after: ast.AST, reproduction: Reproduction) -> Iterator[Fact]:
    """New returns of a result so particular that it can only come from the test."""
    for node in own_nodes(after):
        key = literal(node.value) if isinstance(node, ast.Return) and node.value is not None else None
        if key is None or key in old.literals or key not in reproduction.expected:
            continue
        value = value_of(key)
        if is_specific(value) and not isinstance(value, str | bytes):
            yield Fact("copied-result", scope, getattr(node, "lineno", 1))


def _tables(scope: str, old: _Known, after: ast.AST, reproduction: Reproduction) -> Iterator[Fact]:
    """A new dictionary that holds nothing but the tests' inputs with their results."""
    for node in own_nodes(after):
        key = literal(node) if isinstance(node, ast.Dict) else None
        if not isinstance(node, ast.Dict) or key is None or key in old.literals or not node.keys:
            continue
        rows = [(literal(k), literal(v)) for k, v in zip(node.keys, node.values, strict=True)]
        known = any(k in old.literals for k, _ in rows)
        from_tests = all(
            any(k in s.inputs and v in s.expected and k != v for s in reproduction.scenarios) for k, v in rows
        )
        particular = any(not is_trivial(value_of(part)) for row in rows for part in row if part)
        whole = any(key in s.inputs for s in reproduction.scenarios)
        if from_tests and particular and not known and not whole:
            yield Fact("special-case", scope, node.lineno)


def _test_names(before: Source, after: Source, reproduction: Reproduction) -> Iterator[Fact]:
    """Texts that hold the name of a failing test."""
    old = {node.value for node, _ in before.scoped if isinstance(node, ast.Constant)}
    for node, scope in after.scoped:
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value not in old:
            named = next((name for name in reproduction.tests if name in node.value and name != "test"), None)
            if named is not None:
                yield Fact("test-name", scope, node.lineno, named)
