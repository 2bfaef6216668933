"""What in a patch looks like cheating: passing the failing test by another way than by repairing the code."""

import ast
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import PurePosixPath

from thinklonger.agent.stages.verify.cheating.code import Source, changed_parts, parsed
from thinklonger.agent.stages.verify.cheating.configuration import configuration_change
from thinklonger.agent.stages.verify.cheating.excuses import excused
from thinklonger.agent.stages.verify.cheating.facts import Fact, added, facts_of
from thinklonger.agent.stages.verify.cheating.failing import failing_source
from thinklonger.agent.stages.verify.cheating.literals import Reproduction, read_reproduction
from thinklonger.agent.stages.verify.cheating.special_cases import special_cases
from thinklonger.agent.stages.verify.cheating.touched_tests import new_beside_tests, touched_tests
from thinklonger.agent.stages.verify.writing import WRITTEN_NAMES
from thinklonger.agent.types import Changes, FileChange, Issue, Message

_TEST_IS_WRONG = re.compile(
    r"""(?ix)
    (?: \b(?: tests? | test\s+cases? | assertions? | asserted\s+(?:value|behaviou?r|result) | expectations?
        | expected\s+values? )\b | \b test_\w+ `? )
    (?: \s+ (?: itself | themselves | in | for | of | `[^`\n]+` | [^\s.]*[_/]\S* ) )*
    \s+
    (?: (?:is|are|was|were) \s+ (?:itself\s+|themselves\s+|simply\s+|just\s+)?
            (?:wrong|incorrect|outdated|obsolete|mistaken|stale|invalid) \b
        | should \s+ (?:instead\s+)? (?:assert|expect|be\s+(?:updated|changed|corrected|adjusted)) \b
        | (?:asserts?|expects?|checks?) \s+ (?:for\s+)? the \s+ wrong \b
        | needs? \s+ (?:to\s+be\s+)? (?:updat|chang|correct|adjust)(?:ed|ing) \b )
    | (?<!n't\ )(?<!not\ )\b (?:update|correct|adjust) \s+ the \s+ (?:assertions?|expectations?|expected\s+values?) \b
    | (?:测试(?:用例)?|断言|期望值|预期值) (?:本身)? (?:是错的|写错了?|有误|不正确|不对|已?过时|需要(?:更新|修改|修正))
    """
)
"""An issue that says that the test is what is wrong."""

_COLLECTED = re.compile(r"(?:test.*|.*_tests?)\.py")
_TEST_EDITS = {"test-edited", "test-loosened"}

__all__ = ["blames_the_test", "cheat_flags", "cheat_notes", "failing_source"]


def blames_the_test(issue: Issue) -> bool:
    """Whether the issue says that the test is what is wrong."""
    return _TEST_IS_WRONG.search(issue.text) is not None


def cheat_flags(
    changes: Changes, *, is_test: Callable[[PurePosixPath], bool], reproduction: Sequence[str], issue: Issue
) -> tuple[Message, ...]:
    """Reasons, in words, to rank the patch below all honest ones; none for an honest patch.

    `reproduction` holds the sources of the failing tests. Only what the changes add or remove counts, never what
    stood there before. What the issue asks for, and what is usual where it is done, is no flag (see `cheat_notes`).
    """
    found = _messages(changes, is_test, reproduction, issue)
    return tuple(message for message, excuse in found if not excuse)


def cheat_notes(changes: Changes, *, is_test: Callable[[PurePosixPath], bool], issue: Issue) -> tuple[Message, ...]:
    """What a reader of the receipt should know though it is no flag: what the issue asks for, what is usual there."""
    return tuple(message for message, excuse in _messages(changes, is_test, (), issue) if excuse)


def _messages(
    changes: Changes, is_test: Callable[[PurePosixPath], bool], reproduction: Sequence[str], issue: Issue
) -> Iterator[tuple[Message, bool]]:
    """What was found, each with whether it is excused."""
    tests = read_reproduction(tuple(reproduction))
    test_is_wrong = blames_the_test(issue)
    seen: set[tuple[str, str, bool]] = set()
    for change in changes:
        for fact, usual in _facts(change, is_test=is_test, tests=tests, issue=issue):
            path = str(change.path)
            asked = test_is_wrong and fact.kind in _TEST_EDITS
            excuse = usual or asked
            if (fact.kind, path, excuse) not in seen:
                seen.add((fact.kind, path, excuse))
                kind = "test-edit-asked-for" if asked else fact.kind
                yield Message(f"cheating.{kind}", {"path": path, "line": fact.line, "name": fact.name}), excuse
    yield from ((message, False) for message in _lost_functions(changes, is_test, tests))


def _facts(
    change: FileChange, *, is_test: Callable[[PurePosixPath], bool], tests: Reproduction, issue: Issue
) -> Iterator[tuple[Fact, bool]]:
    """What a changed file has, each with whether an honest repair has reason to do it."""
    old_path = change.renamed_from or change.path
    before, after = parsed(old_path, change.before), parsed(change.path, change.after)
    configured = configuration_change(change)
    if configured:
        yield Fact(configured, "", 1), change.path.name in issue.text
    elif change.path.name in WRITTEN_NAMES:
        yield Fact("reproduction-replaced", "", 1), False
    if is_test(old_path) or is_test(change.path):
        if not configured:
            yield from ((fact, False) for fact in _test_facts(change, before, after, is_test))
            yield from ((fact, False) for fact in new_beside_tests(change, after, tests))
    elif change.after is not None:
        old, new = changed_parts(before, after)
        known = frozenset({"", *old.functions}) if change.before is not None else frozenset[str]()
        for fact in added(facts_of(old), facts_of(new), known_scopes=known):
            yield fact, excused(fact, before, after, issue)
        for fact in (*special_cases(old, new, tests), *_lost_assertions(old, new)):
            yield fact, False


def _test_facts(
    change: FileChange, before: Source, after: Source, is_test: Callable[[PurePosixPath], bool]
) -> Iterator[Fact]:
    if change.before is None:
        return
    if change.after is None or not is_test(change.path) or _no_longer_collected(change):
        yield Fact("test-deleted", "", 1, (change.renamed_from or change.path).name)
    elif not before.tree.body or not after.tree.body:
        if change.before.content != change.after.content:
            yield Fact("test-edited", "", 1, change.path.name)
    else:
        yield from touched_tests(before, after)


def _no_longer_collected(change: FileChange) -> bool:
    """Whether a test file has lost the name that runners look for."""
    old = change.renamed_from
    return old is not None and _COLLECTED.fullmatch(old.name) is not None and not _COLLECTED.fullmatch(change.path.name)


def _lost_assertions(before: Source, after: Source) -> Iterator[Fact]:
    """A check of the code's own that is taken out of a function with nothing in its place."""
    for name, function in after.functions.items():
        old = before.functions.get(name)
        if old is None:
            continue
        lost = _asserts(old) - _asserts(function)
        if lost > 0 and sum(1 for _ in _statements(function)) <= sum(1 for _ in _statements(old)) - lost:
            yield Fact("assertion-removed", name, function.lineno, function.name)


def _statements(function: ast.AST) -> Iterator[ast.stmt]:
    return (node for node in ast.walk(function) if isinstance(node, ast.stmt))


def _asserts(function: ast.AST) -> int:
    return sum(isinstance(node, ast.Assert) for node in _statements(function))


def _lost_functions(
    changes: Changes, is_test: Callable[[PurePosixPath], bool], tests: Reproduction
) -> Iterator[Message]:
    """Functions that the failing tests name and that are no longer defined anywhere in the changed files."""
    sources = [
        (
            change,
            *changed_parts(
                parsed(change.renamed_from or change.path, change.before), parsed(change.path, change.after)
            ),
        )
        for change in changes
        if not is_test(change.path)
    ]
    defined = {name for _, _, after in sources for name in (*_bound(after), *after.names)}
    for change, before, _ in sources:
        broken = (
            change.after is not None
            and not parsed(change.path, change.after).tree.body
            and change.after.content.strip()
        )
        for name in () if broken else before.functions:
            scope, _, last = name.rpartition(".")
            inherits = any(
                isinstance(node, ast.ClassDef) and node.bases
                for node, around in before.scoped
                if f"{around}.{getattr(node, 'name', '')}".lstrip(".") == scope
            )
            if last in tests.names and last not in defined and not inherits and not last.startswith("__"):
                yield Message("cheating.function-removed", {"path": str(change.path), "line": 1, "name": name})


def _bound(source: Source) -> Iterator[str]:
    """Every name that a source defines, imports or assigns."""
    for node, _ in source.scoped:
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                yield name
            case ast.alias(name=name, asname=asname):
                yield asname or name
            case ast.Name(id=name, ctx=ast.Store()) | ast.Attribute(attr=name, ctx=ast.Store()):
                yield name
            case _:
                pass
