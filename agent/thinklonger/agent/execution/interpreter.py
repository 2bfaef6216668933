"""Finds the Python that can run a repository's tests, without running anything."""

from pathlib import Path

from thinklonger.agent.types import Interpreter


def find_interpreter(root: Path) -> Interpreter:
    """The Python of a virtual environment in `root` (`.venv`, `venv`, `env`, any folder with pyvenv.cfg), else ours.

    Reads files only: a repository's executable never runs outside a sandbox. Never fails: a broken environment is
    passed over.
    """
    raise NotImplementedError
