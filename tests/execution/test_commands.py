"""Test commands: which runner they mean, and what is left to a shell."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thinklonger.agent.errors import UsageError
from thinklonger.agent.execution import Runner, split_command
from thinklonger.agent.execution.commands import read_command, unselective


@pytest.mark.parametrize(
    ("command", "runner", "arguments"),
    [
        ("pytest", Runner.PYTEST, ()),
        ("pytest tests/test_x.py -k foo", Runner.PYTEST, ("tests/test_x.py", "-k", "foo")),
        ("pytest 'tests/test_x.py::test_y[a b|c]'", Runner.PYTEST, ("tests/test_x.py::test_y[a b|c]",)),
        ("pytest tests/test_x.py::test_y[a*b]", Runner.PYTEST, ("tests/test_x.py::test_y[a*b]",)),
        ("py.test -q", Runner.PYTEST, ("-q",)),
        (".venv/bin/pytest --lf -x", Runner.PYTEST, ("-x",)),
        ("python -m pytest t.py", Runner.PYTEST, ("t.py",)),
        ("python3.12 -B -W error -m pytest t.py", Runner.PYTEST, ("t.py",)),
        ("uv run pytest t.py", Runner.PYTEST, ("t.py",)),
        ("poetry run python -m pytest t.py", Runner.PYTEST, ("t.py",)),
        ("coverage run -m pytest t.py", Runner.PYTEST, ("t.py",)),
        ("python -m unittest a.b -v", Runner.UNITTEST, ("a.b", "-v")),
        ("DEBUG=1 pytest t.py", Runner.PYTEST, ("t.py",)),
        ("make test", Runner.COMMAND, ()),
        ("python script.py -m pytest", Runner.COMMAND, ()),
        ("python -c 'import pytest' -m pytest", Runner.COMMAND, ()),
        ("pytest a.py && pytest b.py", Runner.COMMAND, ()),
        ("tox -e py", Runner.COMMAND, ()),
        ("nosetests --with-doctest tests", Runner.PYTEST, ("tests",)),
        ("python -m nose2 -v tests/test_x.py:TestX.test_y", Runner.PYTEST, ("tests/test_x.py::TestX::test_y",)),
        ("python manage.py test app", Runner.COMMAND, ()),
    ],
)
def test_commands_are_recognised(command: str, runner: Runner, arguments: tuple[str, ...]) -> None:
    """The usual ways of starting pytest and unittest are recognised with their arguments; the rest is a command."""
    read = read_command(command)
    assert (read.runner, read.arguments) == (runner, arguments)


def test_variables_before_a_command_are_its_environment() -> None:
    """`NAME=value command` sets the variable, as a shell would."""
    read = read_command("env A=1 B='x y' make test")
    assert read.environment == (("A", "1"), ("B", "x y"))
    assert read.argv == ("make", "test")


@pytest.mark.parametrize("command", ["a && b", "a | b", "cd x; make", "echo $HOME", "ls *.py", "a > b", "`x`"])
def test_what_needs_a_shell_gets_one(command: str) -> None:
    """Operators, variables and patterns are a shell's business."""
    assert split_command(command) == ("sh", "-c", command)


@pytest.mark.parametrize("command", ["", " \t", "'", 'a "b', "a\0b"])
def test_nonsense_is_refused(command: str) -> None:
    """What is no command is the user's mistake, not a red test."""
    with pytest.raises(UsageError):
        split_command(command)


def test_selecting_options_are_left_out_of_later_runs() -> None:
    """Later runs name their tests; `-k` and `-m` would hide some of them."""
    options = ("-k", "foo", "-x", "-mslow", "--deselect=a", "--deselect", "b", "-p", "no:logging")
    assert unselective(options) == ("-x", "-p", "no:logging")


@given(st.text())
def test_any_text_is_a_command_or_refused(text: str) -> None:
    """No text breaks the reader: it gives words or a UsageError."""
    try:
        read = read_command(text)
    except UsageError:
        return
    assert read.argv
