"""Makes a pytest that another environment lent importable, and nothing else of that environment."""

from __future__ import annotations

import sys
from importlib.machinery import ModuleSpec, PathFinder
from typing import Sequence

LENT = ("pytest", "_pytest", "pluggy", "iniconfig", "packaging", "pygments", "py")


class Lender:
    """Finds the lent packages in the lender's folder, after everything that the interpreter has of its own."""

    def __init__(self, folder: str) -> None:
        """Lend from this folder."""
        self._folder = folder

    def find_spec(self, name: str, path: Sequence[str] | None = None, _target: object = None) -> ModuleSpec | None:
        """The lent module, or None; inner modules are found through their package's own path."""
        if path is None and name in LENT:
            return PathFinder.find_spec(name, [self._folder])
        return None


def lend(folder: str) -> None:
    """Make the lent packages importable."""
    sys.meta_path.append(Lender(folder))  # type: ignore[arg-type] # the protocol's other methods are optional
