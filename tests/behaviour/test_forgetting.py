"""What the screening server forgets before it begins: packages of the repository that the runner imported."""

import sys
import types

import pytest

from thinklonger.agent.execution.payload.imports import forget


def test_a_package_that_the_runner_uses_is_loaded_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """A candidate's package is forgotten as a whole where one of its files is patched; others and pytest stay."""
    for name, path in (("shades", "/r/shades/__init__.py"), ("shades.ink", "/r/shades/ink.py"), ("hues", "/r/h.py")):
        module = types.ModuleType(name)
        module.__file__ = path
        monkeypatch.setitem(sys.modules, name, module)
    assert pytest.__file__ is not None
    forget({"/r/shades/ink.py", pytest.__file__})
    assert "shades" not in sys.modules
    assert "shades.ink" not in sys.modules
    assert "hues" in sys.modules
    assert sys.modules["pytest"] is pytest
