"""Writing a reproduction down: a test around the issue's own example, or around a script that the user hands in."""

import ast
import builtins
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath

from thinklonger.agent.issue import Sketch
from thinklonger.agent.stages.verify.sources import parsed
from thinklonger.agent.types import FileState, Layer, TestResult

EXAMPLE_PATH = PurePosixPath("test_thinklonger_reproduction.py")
_CLASS, _METHOD = "TestReproduction", "test_example_of_the_issue"
_SCRIPT_PATH = PurePosixPath("test_thinklonger_script.py")
SCRIPT_NAME = "thinklonger_reproduction.py"
"""What a model's reproduction is called, in frames and where it is kept."""

WRITTEN_NAMES = frozenset({EXAMPLE_PATH.name, _SCRIPT_PATH.name, SCRIPT_NAME})
"""Names that only reproductions have that were written."""

_SHARED_WORDS = 0.5  # of the words of an exception's message, so many must be seen again: values in it may differ
_HEAD = '''\
"""The issue's own example, as a test. Edit it, and run it again with --reproduction and this file's name."""

import ast
import unittest

PROGRAM = {program}
'''
_RAISES = '''
class {owner}(unittest.TestCase):
    def {method}(self):
        """Must run through: the issue says that it raises {exception}."""
        exec(compile(PROGRAM, "<example of the issue>", "exec"), {{"__name__": "__main__"}})
'''
_GIVES = '''\
EXPRESSION = {expression!r}
EXPECTED = {expected!r}


def same(value, shown):
    """Whether a value is the one that a text shows."""
    for text in (repr(value), str(value)):
        if " ".join(text.split()) == " ".join(shown.split()):
            return True
    try:
        return bool(ast.literal_eval(shown) == value)
    except (SyntaxError, ValueError, TypeError):
        return False


class {owner}(unittest.TestCase):
    def {method}(self):
        """The issue says what the expression should give."""
        scope = {{"__name__": "__main__"}}
        exec(compile(PROGRAM, "<example of the issue>", "exec"), scope)
        value = eval(compile(EXPRESSION, "<example of the issue>", "eval"), scope)
        if not same(value, EXPECTED):
            self.fail(f"it gives {{value!r}}; the issue expects {{EXPECTED}}")
'''
_SCRIPT = '''\
"""A script as a test: red where it raises or ends with an exit code other than 0."""

import unittest

SCRIPT = {script}


class {owner}(unittest.TestCase):
    def {method}(self):
        """Must run through."""
        try:
            exec(compile(SCRIPT, {name!r}, "exec"), {{"__name__": "__main__", "__file__": {name!r}}})
        except SystemExit as end:
            if end.code not in (None, 0):
                self.fail(f"it ends with exit code {{end.code}}")
'''


@dataclass(frozen=True, slots=True)
class Written:
    """A test that had to be written: its file, its tests' ids, and the sketch that it is made of, if any."""

    path: PurePosixPath
    text: str
    tests: tuple[str, ...]
    sketch: Sketch | None = None

    @property
    def layer(self) -> Layer:
        """The file, to be laid over a tree."""
        return {self.path: FileState(self.text.encode("utf-8", "surrogateescape"))}


def write_sketch(sketch: Sketch, *, module_of: Callable[[str], str | None]) -> Written:
    """The test of a sketch; names that it does not bind are imported from where `module_of` says they are."""
    program = "\n".join([*_imports(sketch, module_of), sketch.program]).strip("\n") + "\n"
    if sketch.expected:
        text = _HEAD + _GIVES
    else:
        program += f"{sketch.expression}\n" if sketch.expression else ""
        text = _HEAD + _RAISES
    written = text.format(
        program=_quoted(program),
        expression=sketch.expression,
        expected=sketch.expected,
        exception=sketch.exception,
        owner=_CLASS,
        method=_METHOD,
    )
    return Written(EXAMPLE_PATH, written, (f"{EXAMPLE_PATH}::{_CLASS}::{_METHOD}",), sketch)


def write_given(name: str, content: bytes) -> Written:
    """The user's own reproduction: a test file as it is, a script as the one test of a file."""
    text = content.decode("utf-8", "surrogateescape")
    if is_test_file(text):
        stem = re.sub(r"\W", "_", PurePosixPath(name).stem)
        path = PurePosixPath(f"{stem}.py" if stem.startswith("test_") else f"test_{stem}.py")
        return Written(path, text, (str(path),))
    written = _SCRIPT.format(script=_quoted(text), name=name, owner=_CLASS, method=_METHOD)
    return Written(_SCRIPT_PATH, written, (f"{_SCRIPT_PATH}::{_CLASS}::{_METHOD}",))


def unwrapped(tree: ast.Module) -> str:
    """The program inside a test that was written around one, with what it asserts; empty for any other test file."""
    if not any(isinstance(node, ast.ClassDef) and node.name == _CLASS for node in tree.body):
        return ""
    values = {
        target.id: node.value.value
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    program = values.get("PROGRAM", values.get("SCRIPT", ""))
    expression, expected = values.get("EXPRESSION", ""), values.get("EXPECTED", "")
    asserted = f"assert ({expression}) == ({expected})" if expression and _is_expression(expected) else expression
    return f"{program}\n{asserted}\n" if program or asserted else ""


def _is_expression(text: str) -> bool:
    tree = parsed(f"({text})")
    return tree is not None and len(tree.body) == 1 and isinstance(tree.body[0], ast.Expr)


def is_test_file(text: str) -> bool:
    """Whether Python text holds tests, by the names of its functions and classes."""
    tree = parsed(text)
    body = tree.body if tree is not None else []
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    inside = [part for node in body if isinstance(node, ast.ClassDef) for part in node.body]
    return any(isinstance(node, functions) and node.name.startswith("test") for node in (*body, *inside))


def red_for_the_reason(result: TestResult, sketch: Sketch) -> bool:
    """Whether a test is red because of what the issue shows: the exception with its message, or the value."""
    kind = result.exception.rpartition(".")[2]
    if not result.outcome.red:
        return False
    if sketch.expected:
        seen = _seen_value(result)
        return seen is not None and (not sketch.actual or _alike(seen, sketch.actual))
    return kind == sketch.exception.rpartition(".")[2] and same_message(result.text, sketch.message)


def reason_of(sketch: Sketch) -> str:
    """The reason that the issue gives, in short."""
    if not sketch.expected:
        return f"{sketch.exception}: {sketch.message}" if sketch.message else sketch.exception
    return f"{sketch.expression} → {sketch.actual or '≠ ' + sketch.expected}"


def reason_seen(result: TestResult) -> str:
    """What was seen instead, in short."""
    value = _seen_value(result)
    first = next((line.strip() for line in result.text.splitlines() if line.strip()), "")
    return value if value is not None else f"{result.exception}: {first}" if first else result.exception


def _seen_value(result: TestResult) -> str | None:
    found = re.search(r"it gives (.*); the issue expects ", result.text, re.DOTALL)
    return found[1] if found is not None and result.exception.rpartition(".")[2] == "AssertionError" else None


def _alike(seen: str, shown: str) -> bool:
    if " ".join(seen.split()) == " ".join(shown.split()):
        return True
    try:
        value, other = ast.literal_eval(seen), ast.literal_eval(shown)
    except (SyntaxError, ValueError, TypeError):
        return seen.strip("'\"") == shown.strip("'\"")
    return bool(value == other) or str(value) == shown


def same_message(seen: str, shown: str) -> bool:
    """Whether a message is the one that the issue shows; values in it, and its length, may differ."""
    wanted = set(re.findall(r"[A-Za-z_]{2,}|\d+", shown.split("\n", maxsplit=1)[0].lower()))
    if not wanted:
        return True
    found = set(re.findall(r"[A-Za-z_]{2,}|\d+", seen.lower()))
    return len(wanted & found) >= _SHARED_WORDS * len(wanted)


def _imports(sketch: Sketch, module_of: Callable[[str], str | None]) -> Iterable[str]:
    tree = ast.parse(f"{sketch.program}\n{sketch.expression}\n")
    nodes = list(ast.walk(tree))
    bound = {node.id for node in nodes if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load)}
    bound |= {(a.asname or a.name).partition(".")[0] for n in nodes if isinstance(n, ast.Import | ast.ImportFrom)
              for a in n.names}  # fmt: skip
    bound |= {n.name for n in nodes if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)}
    bound |= {node.arg for node in nodes if isinstance(node, ast.arg)}
    used = [node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)]
    for name in dict.fromkeys(used):
        if name not in bound and not hasattr(builtins, name) and (module := module_of(name)):
            yield f"from {module} import {name}" if module != name else f"import {name}"


def _quoted(text: str) -> str:
    """A Python literal that a person can edit: in triple quotes where that says the same."""
    plain = f'r"""\n{text}"""'
    return (
        f'"""\\\n{text}"""'
        if '"""' not in text and "\\" not in text and not text.endswith('"')
        else (plain if '"""' not in text and not text.endswith(("\\", '"')) else repr(text))
    )
