"""What the failing tests say about the fault: exception types, and how the value got differs from the value wanted."""

import ast
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, cast

from thinklonger.agent.types import Outcome, TestResult

_RAISES = re.compile(r"DID NOT RAISE(?: any of)? (.+)")
_CLASS = re.compile(r"<class '(?:[\w.]+\.)?(\w+)'>")
_ASSERT = re.compile(r"^(?:E\s+)?(?:AssertionError: )?assert (.+)$", re.MULTILINE)
_OBJECT = re.compile(r"<(?P<kind>generator object|\w+(?:\.\w+)* object|map object|filter object|zip object)")
_LITERAL_LIMIT = 4_000


@dataclass(frozen=True, slots=True)
class Clues:
    """What is known about the failure.

    `raised`: types of the exceptions that ended the tests. `wanted`: exception types that the tests expect. `tags`:
    words for how got and wanted differ (`BOOSTS` in `weigh` uses them). `results`: literals that the tests
    expect. `missing`: names that were not found, or that the interpreter suggests.
    """

    raised: frozenset[str] = frozenset()
    wanted: tuple[str, ...] = ()
    tags: frozenset[str] = frozenset()
    results: tuple[object, ...] = ()
    missing: frozenset[str] = frozenset()


def read(results: Iterable[TestResult], tests: Callable[[PurePosixPath], bytes | None] = lambda _: None) -> Clues:
    """The clues in failing tests' outcomes and texts, and in the lines of the tests (whose files `tests` reads)."""
    red = [result for result in results if result.outcome.red]
    wanted: dict[str, None] = {}
    tags: set[str] = set()
    values: list[object] = []
    for result in red:
        name = result.exception.rpartition(".")[2]
        wanted.update(dict.fromkeys(expected_exceptions(result.text)))
        if result.outcome is Outcome.TIMED_OUT or name in {"TimeoutError", "Timeout"}:
            tags.add("hang")
        if name in {"AssertionError", "", "Failed"}:
            for got, expected in comparisons(result.text):
                values.append(expected)
                tags.update(differences(got, expected))
            tags.update(_objects(result.text))
    for tree, line in _test_lines(red, tests):
        wanted.update(dict.fromkeys(exceptions_around(tree, line)))
        values += expected_literals(tree, line)
    if wanted:
        tags.add("no-raise")
    wanted.pop("Exception", None)
    raised = frozenset(result.exception.rpartition(".")[2] for result in red) - {""}
    missing = frozenset(name for result in red for name in missing_names(result.text))
    return Clues(raised, tuple(wanted), frozenset(tags) | raised, tuple(values), missing)


def _test_lines(
    red: Iterable[TestResult], tests: Callable[[PurePosixPath], bytes | None]
) -> Iterator[tuple[ast.Module, int]]:
    """The lines of test files on the tracebacks, with the files' trees."""
    trees: dict[PurePosixPath, ast.Module | None] = {}
    for result in red:
        for frame in result.frames:
            if frame.path not in trees:
                trees[frame.path] = _tree(tests(frame.path))
            tree = trees[frame.path]
            if tree is not None:
                yield tree, frame.line


def expected_exceptions(text: str) -> Iterator[str]:
    """Exception types that a test says it expected and did not get."""
    for match in _RAISES.finditer(text):
        found = _CLASS.findall(match.group(1)) or re.findall(r"\w+", match.group(1))[:1]
        yield from found
    if "raises" in text:
        for match in re.finditer(r"raises\(\s*(?:\w+\.)*(\w+)", text):
            yield match.group(1)


def _tree(content: bytes | None) -> ast.Module | None:
    try:
        return ast.parse(content) if content is not None else None
    except (SyntaxError, ValueError):
        return None


def exceptions_around(tree: ast.Module, line: int) -> Iterator[str]:
    """Exception types that a test expects at a line: `with pytest.raises(X)`, `self.assertRaises(X, …)`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.With | ast.Expr) and node.lineno <= line <= (node.end_lineno or node.lineno):
            calls = [item.context_expr for item in node.items] if isinstance(node, ast.With) else [node.value]
            for call in calls:
                if (
                    isinstance(call, ast.Call)
                    and call.args
                    and _name(call.func) in {"raises", "assertRaises", "assertRaisesRegex"}
                ):
                    named = call.args[0].elts if isinstance(call.args[0], ast.Tuple) else [call.args[0]]
                    yield from (name for name in map(_name, named) if name)


def _name(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


def expected_literals(tree: ast.Module, line: int) -> list[object]:
    """The literals that assertions at a line compare with."""
    found: list[object] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Assert) and node.lineno <= line <= (node.end_lineno or node.lineno):
            for compare in ast.walk(node.test):
                if isinstance(compare, ast.Compare):
                    for side in compare.comparators:
                        try:
                            found.append(ast.literal_eval(side))
                        except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
                            continue
    return found


def missing_names(text: str) -> Iterator[str]:
    """Names that the interpreter did not find, and those that it suggests."""
    for pattern in (r"name '(\w+)' is not defined", r"has no attribute '(\w+)'", r"Did you mean: '(?:self\.)?(\w+)'",
                    r"unexpected keyword argument '(\w+)'", r"variable '(\w+)'"):  # fmt: skip
        for match in re.finditer(pattern, text):
            yield match.group(1)


def _objects(text: str) -> Iterator[str]:
    """Tags for values that are lazy objects where a plain value was wanted."""
    for match in _OBJECT.finditer(text):
        yield "lazy" if match.group("kind").split()[0] in {"generator", "map", "filter", "zip"} else "object"
    if "coroutine" in text:
        yield "coroutine"


def comparisons(text: str) -> Iterator[tuple[object, object]]:
    """Pairs of literals that failing assertions compared for equality: got, wanted (as written, left and right)."""
    for match in _ASSERT.finditer(text):
        line = match.group(1)
        if len(line) > _LITERAL_LIMIT:
            continue
        for operator in (" == ", " is "):
            pair = _literals(line, operator)
            if pair is not None:
                yield pair
                break


def _literals(line: str, operator: str) -> tuple[object, object] | None:
    at = line.find(operator)
    while at >= 0:
        try:
            return ast.literal_eval(line[:at].strip()), ast.literal_eval(line[at + len(operator) :].strip())
        except (SyntaxError, ValueError, TypeError, MemoryError, RecursionError):
            at = line.find(operator, at + 1)
    return None


def differences(got: object, wanted: object) -> Iterator[str]:
    """Words for how two values differ."""
    if isinstance(got, bool) and isinstance(wanted, bool):
        yield "flipped"
    elif isinstance(got, int | float) and isinstance(wanted, int | float):
        yield from _numbers(float(got), float(wanted))
        if type(got) is not type(wanted):
            yield "type"
            yield f"wanted-{type(wanted).__name__}"
    elif got is None:
        yield "none"
    elif wanted is None:
        yield "wanted-none"
    elif type(got) is not type(wanted):
        yield "type"
        yield f"wanted-{type(wanted).__name__}"
    elif isinstance(got, str) and isinstance(wanted, str):
        yield from _strings(got, wanted)
    elif isinstance(got, list | tuple) and isinstance(wanted, list | tuple):
        yield from _sequences(cast("Sequence[Any]", got), cast("Sequence[Any]", wanted))
    elif isinstance(got, dict | set | frozenset):
        yield "size" if len(cast("set[object]", got)) != len(cast("set[object]", wanted)) else "content"


def _numbers(got: float, wanted: float) -> Iterator[str]:
    if abs(got - wanted) == 1:
        yield "off-by-one"
    if got == -wanted:
        yield "sign"
    if got and wanted and (int(got) == int(wanted) or round(got) == round(wanted)):
        yield "rounding"
    if got in {float("inf"), float("-inf")}:
        yield "infinite"


def _strings(got: str, wanted: str) -> Iterator[str]:
    if got.strip() == wanted.strip() or got.split() == wanted.split():
        yield "whitespace"
    if got.lower() == wanted.lower():
        yield "case"
    if abs(len(got) - len(wanted)) == 1:
        yield "edge"
    if got == wanted[::-1] or sorted(got) == sorted(wanted):
        yield "order"


def _sequences(got: Sequence[Any], wanted: Sequence[Any]) -> Iterator[str]:
    if len(got) == len(wanted):
        if got == wanted[::-1]:
            yield "reversed"
        if _same_members(got, wanted):
            yield "order"
        for one, other in zip(got, wanted, strict=True):
            if one != other:
                yield from differences(one, other)
                break
        return
    yield "size"
    shorter, longer = sorted((list(got), list(wanted)), key=len)
    if longer[: len(shorter)] == shorter or longer[len(longer) - len(shorter) :] == shorter:
        yield "edge"
    if len(got) > len(wanted) and {repr(item) for item in got} == {repr(item) for item in wanted}:
        yield "duplicates"


def _same_members(got: Sequence[Any], wanted: Sequence[Any]) -> bool:
    return Counter(map(repr, got)) == Counter(map(repr, wanted))
