"""Reads a test command: which runner it means, and what it selects."""

import re
import shlex
from dataclasses import dataclass
from pathlib import PurePosixPath

from thinklonger.agent.errors import UsageError
from thinklonger.agent.execution.outcomes import Runner

SHELL_WORDS = frozenset({"&&", "||", "|", ";", "&", ">", ">>", "<", "2>", "2>&1"})
SHELL_SIGNS = re.compile(r"[`*?]|\$[({A-Za-z_]|;$|^[<>]|[|&;]\S|\S[|&;]")
ASSIGNMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=")
PYTHON = re.compile(r"(?:python|pypy)(?:\d+(?:\.\d+)*)?$")
NOSE = frozenset({"nosetests", "nosetests3", "nose", "nose2"})
"""Runners that are gone; pytest runs what they ran."""
NOSE_PLACE = re.compile(r"^(.*\.py):([\w.]+)$")
WRAPPERS = frozenset({"uv", "poetry", "pipenv", "pdm", "rye", "hatch"})
"""Tools whose `run` starts the rest of the line in the project's environment, which is found without them."""
PYTHON_FLAGS_WITH_VALUE = frozenset({"-W", "-X"})
SELECTING = ("-k", "-m", "--deselect")
LEFT_OUT = frozenset(
    {"--lf", "--last-failed", "--ff", "--failed-first", "--nf", "--new-first", "--sw", "--stepwise", "--sw-skip"}
    | {"--stepwise-skip", "--cache-clear", "--cache-show", "--pdb", "--trace"}
)
"""pytest's options that ask for an earlier run's state or for a person at the keyboard."""


@dataclass(frozen=True, slots=True)
class TestCommand:
    """A test command understood: its runner and the words after it; `argv` is what runs when the runner is COMMAND."""

    __test__ = False

    runner: Runner
    arguments: tuple[str, ...]
    environment: tuple[tuple[str, str], ...]
    argv: tuple[str, ...]


def split_command(command: str) -> tuple[str, ...]:
    """The command's words; one that needs a shell becomes `sh -c …`. Raises UsageError on nonsense."""
    if "\0" in command:
        raise UsageError("execution.command-unreadable", command=command.replace("\0", "\\0"), reason="NUL")
    try:
        words = shlex.split(command)
    except ValueError as cause:
        raise UsageError("execution.command-unreadable", command=command, reason=str(cause)) from cause
    if not words:
        raise UsageError("execution.command-empty")
    return ("sh", "-c", command) if needs_shell(command) else tuple(words)


def needs_shell(command: str) -> bool:
    """Whether an unquoted word of the command means something to a shell only."""
    lexer = shlex.shlex(command, posix=False)
    lexer.whitespace_split = True
    lexer.commenters = ""
    unquoted = [word for word in lexer if not word.startswith(("'", '"'))]
    return any(word in SHELL_WORDS or has_sign(word) for word in unquoted)


def has_sign(word: str) -> bool:
    """Whether a word has a sign for the shell; a test's id may have brackets and stars in its parameters."""
    return "::" not in word and "'" not in word and '"' not in word and SHELL_SIGNS.search(word) is not None


def read_command(command: str) -> TestCommand:
    """Which runner the command means. Raises UsageError on nonsense."""
    argv = split_command(command)
    words = list(argv)
    environment: list[tuple[str, str]] = []
    if words[0] == "env":
        words.pop(0)
    while words and ASSIGNMENT.match(words[0]):
        name, _, value = words.pop(0).partition("=")
        environment.append((name, value))
    if not words:
        raise UsageError("execution.command-empty")
    plain = tuple(words)
    match words:
        case [tool, "run", program, *_] if tool in WRAPPERS and not program.startswith("-"):
            del words[:2]
        case _:
            pass
    runner, arguments = recognise(words)
    if runner is Runner.PYTEST:
        arguments = [word for word in arguments if word not in LEFT_OUT]
    return TestCommand(runner, tuple(arguments), tuple(environment), plain)


def unselective(options: tuple[str, ...]) -> tuple[str, ...]:
    """Pytest's options without those that select among the tests: later runs name theirs."""
    kept: list[str] = []
    words = iter(options)
    for word in words:
        if word in SELECTING:
            next(words, None)
        elif not word.startswith(("-k", "-m", "--deselect=")):
            kept.append(word)
    return tuple(kept)


def recognise(words: list[str]) -> tuple[Runner, list[str]]:
    """The runner, and the words that are for it."""
    program = PurePosixPath(words[0]).name
    rest = words[1:]
    if program == "coverage" and rest[:1] == ["run"]:
        program, rest = "python", rest[1:]
    if program in ("pytest", "py.test"):
        return Runner.PYTEST, rest
    if program in NOSE:
        return Runner.PYTEST, of_nose(rest)
    if PYTHON.match(program):
        match module_of(rest):
            case ["pytest" | "py.test", *arguments]:
                return Runner.PYTEST, arguments
            case ["unittest", *arguments]:
                return Runner.UNITTEST, arguments
            case [name, *arguments] if name in NOSE:
                return Runner.PYTEST, of_nose(arguments)
            case _:
                pass
    return Runner.COMMAND, []


def of_nose(words: list[str]) -> list[str]:
    """What nose was to run, as pytest takes it: its places, `file:Class.test` among them; its options mean nothing."""
    places = [word for word in words if not word.startswith("-")]
    return [NOSE_PLACE.sub(lambda match: f"{match[1]}::{match[2].replace('.', '::')}", place) for place in places]


def module_of(words: list[str]) -> list[str]:
    """What follows `-m` in a Python command line; empty where it starts something else."""
    rest = list(words)
    while rest and rest[0].startswith("-") and rest[0] != "-m":
        flag = rest.pop(0)
        if flag in PYTHON_FLAGS_WITH_VALUE and rest:
            rest.pop(0)
        if flag == "-c":
            return []
    return rest[1:] if rest and rest[0] == "-m" else []
