"""Makes a pytest that another environment lent importable, and nothing else of that environment."""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.abc import Loader
from importlib.machinery import ModuleSpec, PathFinder
from importlib.metadata import DistributionFinder, MetadataPathFinder
from typing import TYPE_CHECKING, Iterable, Sequence

if TYPE_CHECKING:
    from importlib.metadata import Distribution
    from types import ModuleType

LENT = ("pytest", "_pytest", "pluggy", "iniconfig", "packaging", "pygments")
SHIM = "py"
"""A single file among many in the lender's folder, which the sandbox does not show; pytest has what is behind it."""


class Lender:
    """Finds the lent packages in the lender's folder, after everything that the interpreter has of its own."""

    def __init__(self, folder: str) -> None:
        """Lend from this folder."""
        self._folder = folder

    def find_spec(self, name: str, path: Sequence[str] | None = None, _target: object = None) -> ModuleSpec | None:
        """The lent module, or None; inner modules are found through their package's own path."""
        if path is None and name in LENT:
            return PathFinder.find_spec(name, [self._folder])
        return ModuleSpec(name, ShimLoader()) if name == SHIM else None

    def find_distributions(self, context: DistributionFinder.Context) -> Iterable[Distribution]:
        """The lent packages' metadata, asked for by name: their versions are looked up, their plugins are not."""
        if context.name not in LENT:
            return ()
        inner = DistributionFinder.Context(name=context.name, path=[self._folder])
        return MetadataPathFinder.find_distributions(inner)


class ShimLoader(Loader):
    """Loads the shim: two modules of pytest under an old name."""

    def create_module(self, spec: ModuleSpec) -> None:
        """An ordinary module will do."""

    def exec_module(self, module: ModuleType) -> None:
        """Fill it."""
        for name in ("error", "path"):
            inner = import_module("_pytest._py." + name)
            setattr(module, name, inner)
            sys.modules["py." + name] = inner


def lend(folder: str) -> None:
    """Make the lent packages importable."""
    sys.meta_path.append(Lender(folder))  # type: ignore[arg-type] # the protocol's other methods are optional
