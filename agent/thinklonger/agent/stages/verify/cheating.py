"""What in a patch looks like cheating: passing the failing test by another way than by repairing the code."""

from collections.abc import Callable, Sequence
from pathlib import PurePosixPath

from thinklonger.agent.types import Changes, Issue, Message


def cheat_flags(
    changes: Changes, *, is_test: Callable[[PurePosixPath], bool], reproduction: Sequence[str], issue: Issue
) -> tuple[Message, ...]:
    """Reasons, in words, to rank the patch below all honest ones; none for an honest patch.

    `reproduction` holds the sources of the failing tests. Only what the changes add or remove counts, never what
    stood there before.
    """
    raise NotImplementedError
