"""Changes that mean the same code have one digest, others have not."""

from pathlib import PurePosixPath

import pytest

from thinklonger.agent.edits import normalized
from thinklonger.agent.types import FileChange, FileState

BASE = '"""Doc."""\n\nimport os\n\n\ndef f(x):\n    """Give x."""\n    return x + 1\n\n\ndef g(x):\n    return x\n'


def digest(after: str | bytes, before: str = BASE, path: str = "a.py") -> str:
    """The digest of one change."""
    content = after.encode() if isinstance(after, str) else after
    return normalized((FileChange(PurePosixPath(path), FileState(before.encode()), FileState(content)),))


FIXED = digest(BASE.replace("x + 1", "x + 2"))


@pytest.mark.parametrize(
    "after",
    [
        BASE.replace("x + 1", "(x+2)"),
        BASE.replace("x + 1", "x + 2  # two"),
        BASE.replace("x + 1", "x + 2").replace("Give x.", "Give x and two."),
        BASE.replace("x + 1", "x + 2").replace('    """Give x."""\n', ""),
        BASE.replace("x + 1", "x + 2").replace('"""Doc."""', '"""Another."""'),
        BASE.replace("x + 1", "x + 2").replace("def g(x):\n    return x", "def g( x ):\n    # same\n    return (x)"),
        BASE.replace("x + 1", "x + 2").replace("\n", "\r\n"),
        BASE.replace("x + 1", "x + 0x2"),
    ],
)
def test_form_does_not_count(after: str) -> None:
    """Comments, formatting, docstrings and line ends make no second candidate."""
    assert digest(after) == FIXED


@pytest.mark.parametrize(
    "after",
    [
        BASE,
        BASE.replace("x + 1", "x - 1"),
        BASE.replace("x + 1", "2 + x"),
        BASE.replace("x + 1", "x + 2").replace("return x\n", "return -x\n"),
        BASE.replace("x + 1", "x + 2").replace("def f(x)", "def f(x: int)"),
        BASE.replace("x + 1", "x + 2").partition("def g")[0],
    ],
)
def test_meaning_counts(after: str) -> None:
    """Anything that runs differently is another candidate."""
    assert digest(after) != FIXED


def test_lone_carriage_returns_end_lines_as_python_counts_them() -> None:
    """A change behind a lone carriage return is seen."""
    assert digest("x = 1\ry = 2\nz = 3\n", "x = 1\ry = 2\nz = 4\n") != normalized(())


def test_no_meaning_is_no_change() -> None:
    """A change of comments only has the digest of no change at all."""
    assert digest(BASE.replace("return x\n", "return x  # x\n")) == normalized(())
    assert digest("a  b\n", "a b\n", "notes.txt") == normalized(())
    assert digest("a c\n", "a b\n", "notes.txt") != normalized(())


def test_the_order_of_files_does_not_count() -> None:
    """Changes are compared as sets; names, modes and renames are part of them."""
    state = FileState(b"x = 1\n")
    one, two = (FileChange(PurePosixPath(name), None, state) for name in ("a.py", "b.py"))
    assert normalized((one, two)) == normalized((two, one)) != normalized((one,))
    executable = FileChange(one.path, state, FileState(state.content, executable=True))
    renamed = FileChange(one.path, state, state, two.path)
    deleted = FileChange(one.path, state, None)
    assert len({normalized((change,)) for change in (one, executable, renamed, deleted)}) == 4


def test_what_does_not_parse_is_compared_as_text() -> None:
    """Broken Python and undecodable files still have digests."""
    assert digest("def f(:\n  x\n") == digest("def f(:\n    x\n") != digest("def f(:\n    y\n")
    assert digest(b"\xff x\n", path="b.bin") != digest(b"\xfe x\n", path="b.bin")
