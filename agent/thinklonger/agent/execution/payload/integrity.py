"""Notices when code of the repository takes the place of a part of the runner, or of ours."""

from __future__ import annotations

import sys
import types
from typing import TYPE_CHECKING, Any, Iterator

if TYPE_CHECKING:
    from .frames import Places

WATCHED = (
    "_pytest.main",
    "_pytest.outcomes",
    "_pytest.python",
    "_pytest.reports",
    "_pytest.runner",
    "_pytest.skipping",
    "_pytest.unittest",
    "pluggy._callers",
    "pluggy._hooks",
    "pluggy._manager",
    "unittest.case",
    "unittest.loader",
    "unittest.result",
    "unittest.suite",
    "json",
    "json.encoder",
    "hashlib",
    "os",
)
"""Where outcomes are made, passed on and written down."""


INSIDE = {
    "staticmethod": "__func__",
    "classmethod": "__func__",
    "method": "__func__",
    "partial": "func",
    "property": "fget",
}
"""Where a wrapper holds the function, by the wrapper's type."""


def replaced(places: Places) -> list[str]:
    """The names in watched modules, and in our own, that now lead to the repository's code."""
    own = [name for name in list(sys.modules) if name.startswith(__name__.rpartition(".")[0])]
    found = [name for module in (*WATCHED, *own) for name, value in members(module) if is_foreign(value, places)]
    return sorted(found)[:20]


def members(name: str) -> Iterator[tuple[str, Any]]:
    """A module's functions and classes, and the functions of its own classes, by their full names."""
    module = sys.modules.get(name)
    if module is None:
        return
    for key, value in list(vars(module).items()):
        yield f"{name}.{key}", value
        if isinstance(value, type) and value.__module__ == name:
            for inner, function in list(vars(value).items()):
                yield f"{name}.{key}.{inner}", function


def is_foreign(value: Any, places: Places) -> bool:  # noqa: ANN401 - whatever stands there
    """Whether a function, a method or a callable object is the repository's own code."""
    for _ in range(5):
        attribute = INSIDE.get(type(value).__name__)
        if attribute is None:
            break
        value = getattr(value, attribute, None)
    code = getattr(value, "__code__", None)
    if isinstance(code, types.CodeType):
        return places.relative(code.co_filename) is not None
    if isinstance(value, (type, types.ModuleType)) or not callable(value):
        return False
    module = sys.modules.get(type(value).__module__)
    file = getattr(module, "__file__", None)
    return isinstance(file, str) and places.relative(file) is not None
