"""What the failing tests say about the fault: exception types, and how the value got differs from the value wanted."""

import ast
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from thinklonger.agent.types import Outcome, TestResult

_RAISES = re.compile(r"DID NOT RAISE(?: any of)? (.+)")
_CLASS = re.compile(r"<class '(?:[\w.]+\.)?(\w+)'>")
_EXPECTED_TYPE = re.compile(r"(?:Expected|expected|raises?)\W+(\w+(?:Error|Exception|Warning|Iteration|Interrupt))\b")
_ASSERT = re.compile(r"^(?:E\s+)?(?:AssertionError: )?assert (.+)$", re.MULTILINE)
_OBJECT = re.compile(r"<(?P<kind>generator object|\w+(?:\.\w+)* object|map object|filter object|zip object)")
_LITERAL_LIMIT = 4_000


@dataclass(frozen=True, slots=True)
class Clues:
    """What is known about the failure.

    `raised`: types of the exceptions that ended the tests. `wanted`: exception types that the tests expect. `tags`:
    words for how got and wanted differ (`BOOSTS` in `weigh` uses them). `results`: literals that the tests expect.
    """

    raised: frozenset[str] = frozenset()
    wanted: tuple[str, ...] = ()
    tags: frozenset[str] = frozenset()
    results: tuple[object, ...] = ()
    missing: frozenset[str] = frozenset()
    texts: tuple[str, ...] = field(default=())


def read(results: Iterable[TestResult]) -> Clues:
    """The clues in failing tests' outcomes and texts."""
    raised: set[str] = set()
    wanted: dict[str, None] = {}
    tags: set[str] = set()
    values: list[object] = []
    missing: set[str] = set()
    texts: list[str] = []
    for result in results:
        if not result.outcome.red:
            continue
        texts.append(result.text)
        name = result.exception.rpartition(".")[2]
        if result.outcome is Outcome.TIMED_OUT or name in {"TimeoutError", "Timeout"}:
            tags.add("hang")
        if name:
            raised.add(name)
            tags.add(name)
        wanted.update(dict.fromkeys(expected_exceptions(result.text)))
        missing.update(missing_names(result.text))
        if name in {"AssertionError", "", "Failed"}:
            for got, expected in comparisons(result.text):
                values.append(expected)
                tags.update(differences(got, expected))
            tags.update(_objects(result.text))
    if wanted:
        tags.add("no-raise")
    return Clues(frozenset(raised), tuple(wanted), frozenset(tags), tuple(values), frozenset(missing), tuple(texts))


def expected_exceptions(text: str) -> Iterator[str]:
    """Exception types that a test says it expected and did not get."""
    for match in _RAISES.finditer(text):
        found = _CLASS.findall(match.group(1)) or re.findall(r"\w+", match.group(1))[:1]
        yield from found
    if "raises" in text:
        for match in re.finditer(r"raises\(\s*(?:\w+\.)*(\w+)", text):
            yield match.group(1)


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
