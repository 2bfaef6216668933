"""Finds test files, and says whether they need pytest, by reading them."""

from __future__ import annotations

import contextlib
import os
import re
from typing import Iterator

from .frames import FOREIGN

NEEDS_PYTEST = re.compile(rb"^(?:import pytest|from pytest\b|\s*import pytest|(?:async )?def test)", re.MULTILINE)
READ_LIMIT = 400_000


def is_test_file(name: str) -> bool:
    """Whether a file is a test by its name."""
    return name.endswith(".py") and (name.startswith("test") or name.endswith("_test.py") or name == "tests.py")


def test_files(start: str) -> Iterator[str]:
    """The test files below a folder, sorted; environments and hidden folders are passed over."""
    for folder, inner, files in os.walk(start):
        inner[:] = sorted(
            name
            for name in inner
            if name[:1] != "." and name not in FOREIGN and not os.path.exists(os.path.join(folder, name, "pyvenv.cfg"))
        )
        for name in sorted(files):
            if is_test_file(name):
                yield os.path.join(folder, name)


def needs_pytest(root: str) -> bool:
    """Whether any test file imports pytest or has test functions outside of classes."""
    return any(NEEDS_PYTEST.search(head) for head in heads(list(test_files(root))))


def heads(paths: list[str]) -> Iterator[bytes]:
    """The beginnings of the files that can be read."""
    for path in paths:
        with contextlib.suppress(OSError), open(path, "rb") as file:
            yield file.read(READ_LIMIT)
