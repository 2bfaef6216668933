"""The hooks into imports: the server is told before a source file is loaded; what will be needed is loaded ahead."""

from __future__ import annotations

import importlib
import importlib.machinery
import os
import sys
from typing import TYPE_CHECKING, Any, Callable, Container

if TYPE_CHECKING:
    from types import CodeType, ModuleType

    from .serve import Server


def watch_imports(server: Server) -> None:
    """Have the server told before a source file is loaded; bytecode of a patched file is neither read nor written."""
    forget(server.watched)
    loader = importlib.machinery.SourceFileLoader
    original = loader.get_code

    def get_code(self: importlib.machinery.SourceFileLoader, fullname: str) -> CodeType | None:
        server.touch(self.path)
        if server.role == "scout" and self.path in server.watched:
            code = server.functions.load(self.path, self.get_data(self.path))
            if code is not None:
                return code
        if self.path in server.patched_now:
            return self.source_to_code(self.get_data(self.path), self.path)  # type: ignore[no-any-return] # stubs vary
        return original(self, fullname)

    loader.get_code = get_code  # type: ignore[method-assign] # the one place through which all source imports go


def forget(paths: Container[str]) -> None:
    """Forget the packages of these files where the runner itself has imported them: the tests load them anew.

    Else a candidate for a package that the runner uses, too (pytest imports pygments), would never be seen. What the
    runner is made of can't be loaded twice.
    """
    found: set[str] = set()
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if file and os.path.abspath(file) in paths:
            found.add(name.partition(".")[0])
    found -= {"pytest", "_pytest", "unittest", "thinklonger_payload", __name__.partition(".")[0]}
    for name in list(sys.modules):
        if name.partition(".")[0] in found:
            del sys.modules[name]


def watch_rewriting(server: Server, hook: type) -> None:
    """The same for files that pytest loads itself, because it rewrites their assertions."""
    original: Callable[[Any, ModuleType], None] = hook.exec_module  # type: ignore[attr-defined] # pytest's loader

    def exec_module(self: object, module: ModuleType) -> None:
        spec = module.__spec__
        if spec is not None and spec.origin is not None:
            server.touch(spec.origin)
        original(self, module)

    hook.exec_module = exec_module  # type: ignore[attr-defined] # see above


def preload(modules: list[str]) -> None:
    """Import what the tests will need anyway; what can't be imported here is left to them."""
    for name in modules:
        if name not in sys.modules:
            try:
                importlib.import_module(name)
            except BaseException:  # noqa: BLE001, S112 - whatever a foreign module raises, the tests will meet it too
                continue
