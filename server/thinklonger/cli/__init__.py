"""The terminal front door."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from thinklonger.cli.services import Services

__all__ = ["main"]

_ALLOCATIONS = 100_000
"""New objects before the garbage collector looks for circles: at its own 700 it takes a tenth of a short run."""


def main(argv: Sequence[str] | None = None, *, services: "Services | None" = None) -> int:
    """Run the command line (by default the process's own) and return its exit code.

    0 done, 1 nothing verified or found, 2 usage, 3 environment, 130 cancelled. `services` replace the real ones.
    """
    import gc  # noqa: PLC0415 (importing this package does nothing and costs nothing)
    import os  # noqa: PLC0415
    import sys  # noqa: PLC0415

    gc.set_threshold(_ALLOCATIONS, 20, 20)
    words = sys.argv[1:] if argv is None else list(argv)
    if words == ["--version"]:  # asked by scripts and editors at every start: nothing but the answer is imported
        from thinklonger.agent import __version__  # noqa: PLC0415 - loaded only where it is asked for

        sys.stdout.write(f"thinklonger {__version__}\n")
        return 0
    from thinklonger.cli.leaving import leave_on_signals  # noqa: PLC0415 - before anything that takes its time

    with leave_on_signals():
        from thinklonger.cli.front import run  # noqa: PLC0415
        from thinklonger.cli.services import Services  # noqa: PLC0415

        return run(words, environ=os.environ, services=services or Services())
