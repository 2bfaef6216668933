"""Says why tests can't be run: the first error that matters, in one line, with what to do about it."""

import re
from pathlib import PurePosixPath

from thinklonger.agent.errors import ExecutionError
from thinklonger.agent.execution.reading import Report, error_in, tail
from thinklonger.agent.types import CommandResult, Ending, Interpreter, Message, Outcome, TestResult

NO_MODULE = re.compile(r"No module named '?([\w.]+)'?")
PYTEST_ERROR = re.compile(r"^.*: error: (?P<text>.+)$|^ERROR: (?!usage:)(?P<other>.+)$", re.MULTILINE)
CONFTEST = re.compile(r"^ImportError while loading conftest '(?P<path>[^']+)'", re.MULTILINE)
NO_TESTS = 5
"""What pytest exits with when it collects nothing."""
SHOWN_PROBLEMS = 5


def failure(result: CommandResult, report: Report, interpreter: Interpreter, *, seconds: float) -> ExecutionError:
    """The error that says why a collection gave no tests."""
    executable = str(interpreter.executable)
    if not report.runner:
        return ExecutionError("execution.interpreter-broken", interpreter=executable, reason=first_line(result))
    if result.ending is Ending.TIMED_OUT:
        return ExecutionError("execution.collection-timeout", seconds=round(seconds))
    broken = first_broken(report, result)
    if broken is not None:
        module = missing_module(broken, report)
        if module:
            return ExecutionError("execution.missing-module", module=module, path=broken.id, interpreter=executable)
        return ExecutionError("execution.collection-failed", path=where(broken), reason=reason(broken))
    runner = str(report.runner["runner"])
    if report.status not in (0, NO_TESTS):
        return gave_up(result, runner)
    return ExecutionError("execution.no-tests", runner=runner)


def gave_up(result: CommandResult, runner: str) -> ExecutionError:
    """The error that says that the runner ended before it ran a test."""
    if not result.output.strip() and result.exit_code is not None:
        return ExecutionError("execution.ended-silently", runner=runner, code=result.exit_code)
    return ExecutionError("execution.runner-failed", runner=runner, reason=words(result))


def first_broken(report: Report, result: CommandResult) -> TestResult | None:
    """The file whose error says most: one that misses a module, else the first; a conftest stops pytest itself."""
    broken = tuple(report.broken.values())
    for value in broken:
        if missing_module(value, report):
            return value
    if broken:
        return broken[0]
    output = tail(result.output)
    kind, text = error_in(output)
    named = CONFTEST.search(output)
    return TestResult(PurePosixPath(named["path"]).name, Outcome.ERROR, 0.0, kind, text) if named and kind else None


def words(result: CommandResult) -> str:
    """The runner's own words for why it gave up."""
    found = PYTEST_ERROR.search(tail(result.output))
    return (found["text"] or found["other"]).strip() if found else first_line(result)


def first_line(result: CommandResult) -> str:
    """The first line that was printed, or how the process ended."""
    lines = [line.strip() for line in tail(result.output).splitlines() if line.strip()]
    kind, text = error_in("\n".join(lines))
    if kind:
        return f"{kind}: {text}"
    return lines[0][:300] if lines else f"{result.ending}, {result.exit_code}"


def missing_module(value: TestResult, report: Report) -> str:
    """The module that is not installed; empty for any other error, and for a module of the repository's own."""
    found = NO_MODULE.search(value.text)
    if found is None or value.exception not in ("ModuleNotFoundError", "ImportError") or value.id in report.local:
        return ""
    return found[1]


def where(value: TestResult) -> str:
    """The innermost place in the repository that an error names, else the file that could not be collected."""
    return f"{value.frames[-1].path}:{value.frames[-1].line}" if value.frames else value.id


def reason(value: TestResult) -> str:
    """The error in one line."""
    first = value.text.strip().splitlines()[:1]
    return f"{value.exception}: {first[0]}" if first else value.exception


def problems(report: Report) -> tuple[Message, ...]:
    """What could not be collected beside what could."""
    values = tuple(report.broken.values())
    told = [
        Message("execution.file-not-collected", {"path": value.id, "place": where(value), "reason": reason(value)})
        for value in values[:SHOWN_PROBLEMS]
    ]
    if len(values) > SHOWN_PROBLEMS:
        told.append(Message("execution.more-not-collected", {"count": len(values) - SHOWN_PROBLEMS}))
    return tuple(told)


def resolve_names(names: tuple[str, ...], tests: tuple[str, ...]) -> tuple[str, ...]:
    """The tests that names mean: an id, a file, a class, a dotted name, or a bare function."""
    return tuple(test for test in tests if any(means(name, test) for name in names))


def means(name: str, test: str) -> bool:
    """Whether a name, as an issue or a person gives it, means this test."""
    bare = test.partition("[")[0]
    if name in (test, bare) or bare.startswith(f"{name}::"):
        return True
    path, *inner = bare.split("::")
    dotted = ".".join((*PurePosixPath(path).with_suffix("").parts, *inner))
    wanted = name.replace("::", ".")
    return dotted == wanted or dotted.endswith(f".{wanted}")
