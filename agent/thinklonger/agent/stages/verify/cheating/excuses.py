"""When an honest repair does what cheats do, too: then a reader is told, and nothing is held against it."""

import ast
import re
from collections.abc import Iterator

from thinklonger.agent.stages.verify.cheating.code import Source
from thinklonger.agent.stages.verify.cheating.facts import Fact
from thinklonger.agent.types import Issue

_BLANKET = re.compile(
    r"#\s*(?:flake8:\s*noqa|ruff:\s*noqa|mypy:\s*(?:ignore-errors|disable)|pylint:\s*skip-file|pyright:\s*(?:ignore\b(?!\[)|basic))"
)
_LENGTH = re.compile(r"noqa:\s*E501\s*$")
"""The length of a line hides nothing."""
_NEXT_LINE = re.compile(r"disable-next=")
_PROGRAMS = frozenset({"cli", "commands", "command", "scripts", "bin", "__main__.py", "management"})
"""Parts of paths below which ending the process is what code is for."""
_WARNS = re.compile(r"(?i)warn|警告")


def excused(fact: Fact, before: Source, after: Source, issue: Issue) -> bool:
    """Whether an honest repair has this reason to do it: the file's habit, the issue's own words, a program's end."""
    match fact.kind:
        case "suppression":
            return _usual_comment(fact, before, after)
        case "silent-except":
            return _narrow_handler(fact, before, after, issue) or _usual_handler(fact, before, after)
        case "broad-except":
            return _usual_handler(fact, before, after) or _asks_a_stranger(fact, after)
        case "exit":
            return not _PROGRAMS.isdisjoint(after.path.parts) and not fact.name.startswith(
                ("os.", "pytest", "unittest")
            )
        case "warnings":
            return _local_filter(fact, after) and (
                _WARNS.search(issue.text) is not None or _filters(before, fact.scope)
            )
        case _:
            return False


# ── comments ─────────────────────────────────────────────────────────────────────────────────────────────────────


def _usual_comment(fact: Fact, before: Source, after: Source) -> bool:
    """A suppression on a line of new code: one honest patch in eight has one; never one for a whole file.

    It can't make a test pass. On a line that stood there before it silences what was heard until now.
    """
    line = after.text.split("\n")[fact.line - 1]
    code, _, comment = line.partition("#")
    if _BLANKET.search(f"#{comment}"):
        return False
    if _LENGTH.search(comment) or (not code.strip() and _NEXT_LINE.search(comment)):
        return True
    if not code.strip():
        return False
    return _times(code, after) > _times(code, before)


def _times(code: str, source: Source) -> int:
    return sum(text.partition("#")[0].strip() == code.strip() for text in source.text.split("\n"))


# ── errors ───────────────────────────────────────────────────────────────────────────────────────────────────────


def _narrow_handler(fact: Fact, before: Source, after: Source, issue: Issue) -> bool:
    """A handler of certain types that the issue names, or around nothing but new statements."""
    found = _try_at(after, fact.line)
    if found is None:
        return False
    statement, handler = found
    classes = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    names = [after.dotted(cls).rpartition(".")[2] for cls in classes if cls is not None]
    if names and all(re.search(rf"\b{re.escape(name)}\b", issue.text) for name in names if name):
        return True
    old = {ast.dump(node) for node, _ in before.scoped if isinstance(node, ast.stmt)}
    return not any(
        ast.dump(node) in old for part in statement.body for node in ast.walk(part) if isinstance(node, ast.stmt)
    )


def _usual_handler(fact: Fact, before: Source, after: Source) -> bool:
    """The same handler stands elsewhere in the file: the way in which its authors write it."""
    found = _try_at(after, fact.line)
    if found is None:
        return False
    same = ast.dump(found[1])
    return len(found[1].body) > 0 and any(
        ast.dump(node) == same
        for text in (ast.parse(before.text) if before.tree.body else ast.Module([], []),)
        for node in ast.walk(text)
        if isinstance(node, ast.ExceptHandler)
    )


def _asks_a_stranger(fact: Fact, after: Source) -> bool:
    """Nothing but `hasattr` of an object is guarded: a property of anybody's may raise anything."""
    found = _try_at(after, fact.line)
    if found is None or len(found[0].body) != 1 or not isinstance(found[0].body[0], ast.Return):
        return False
    value = found[0].body[0].value
    return isinstance(value, ast.Call) and after.dotted(value.func) in {"hasattr", "callable"}


def _try_at(source: Source, line: int) -> tuple[ast.Try, ast.ExceptHandler] | None:
    for node, _ in source.scoped:
        if isinstance(node, ast.Try):
            for handler in node.handlers:
                if handler.lineno == line:
                    return node, handler
    return None


# ── warnings ─────────────────────────────────────────────────────────────────────────────────────────────────────


def _local_filter(fact: Fact, after: Source) -> bool:
    """Whether a filter ends with the block that it stands in."""
    for node, _ in after.scoped:
        if isinstance(node, ast.With) and node.lineno <= fact.line <= (node.end_lineno or node.lineno):
            calls = (item.context_expr for item in node.items if isinstance(item.context_expr, ast.Call))
            if any(after.dotted(call.func) == "warnings.catch_warnings" for call in calls):
                return True
    return False


def _filters(before: Source, scope: str) -> bool:
    """Whether the function filtered warnings before."""
    return any(inside == scope for inside in _filter_scopes(before))


def _filter_scopes(source: Source) -> Iterator[str]:
    for node, scope in source.scoped:
        if isinstance(node, ast.Call) and source.dotted(node.func) in {
            "warnings.catch_warnings",
            "warnings.simplefilter",
            "warnings.filterwarnings",
        }:
            yield scope
