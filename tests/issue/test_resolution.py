"""Written paths find the files that they mean, and no others."""

from pathlib import PurePosixPath

import pytest

from thinklonger.agent.issue import PathTable, read_clues, resolve_frames, resolve_paths

PATHS = [
    PurePosixPath(path)
    for path in (
        "setup.py",
        "src/shop/__init__.py",
        "src/shop/rates.py",
        "src/shop/utils.py",
        "src/shop/web/__init__.py",
        "src/shop/web/utils.py",
        "tests/test_rates.py",
    )
]


@pytest.mark.parametrize(
    ("written", "found"),
    [
        ("src/shop/rates.py", ["src/shop/rates.py"]),
        ("shop/rates.py", ["src/shop/rates.py"]),
        ("rates.py", ["src/shop/rates.py"]),
        ("./src/shop/rates.py", ["src/shop/rates.py"]),
        ("/home/me/clone/src/shop/rates.py", ["src/shop/rates.py"]),
        ("/venv/lib/python3.12/site-packages/shop/rates.py", ["src/shop/rates.py"]),
        ("/venv/lib/python3.12/site-packages/other/rates.py", []),
        ("/usr/lib/python3.12/utils.py", []),
        ("other/rates.py", []),
        ("utils.py", ["src/shop/utils.py", "src/shop/web/utils.py"]),
        ("web/utils.py", ["src/shop/web/utils.py"]),
        ("nowhere.py", []),
        ("", []),
        ("/", []),
        ("site-packages", []),
    ],
)
def test_written_paths(written: str, found: list[str]) -> None:
    """Absolute, relative, installed and shortened paths resolve; another project's file of that name doesn't."""
    assert [str(path) for path in PathTable(PATHS).resolve(written)] == found


@pytest.mark.parametrize(
    ("dotted", "found"),
    [("shop.rates", ["src/shop/rates.py"]), ("shop.web", ["src/shop/web/__init__.py"]), ("shop.nothing", [])],
)
def test_modules(dotted: str, found: list[str]) -> None:
    """Dotted names of modules and packages are their files, wherever the root lies."""
    assert [str(path) for path in PathTable(PATHS).modules(dotted)] == found


def test_named_paths_keep_their_lines() -> None:
    """A path with a line resolves to the file and that line; a name without suffix is a module's."""
    hits = list(resolve_paths(read_clues("see shop/rates.py:31 and src/shop/utils"), PathTable(PATHS)))
    assert [(str(hit.path), hit.line) for hit in hits] == [("src/shop/rates.py", 31), ("src/shop/utils.py", None)]


def test_frames_count_from_the_inside_of_the_repository() -> None:
    """Foreign frames don't count: the innermost frame inside the repository has depth 0."""
    text = (
        "Traceback (most recent call last):\n"
        '  File "/x/src/shop/web/utils.py", line 3, in go\n    rates()\n'
        '  File "/x/src/shop/rates.py", line 9, in rates\n    json.loads("")\n'
        '  File "/usr/lib/python3.12/json/decoder.py", line 1, in decode\n    fail\n'
        "ValueError: no\n"
    )
    hits = list(resolve_frames(read_clues(text), PathTable(PATHS)))
    assert [(str(hit.path), hit.depth) for hit in hits] == [("src/shop/rates.py", 0), ("src/shop/web/utils.py", 1)]
