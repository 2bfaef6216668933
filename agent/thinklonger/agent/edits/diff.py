"""Git's unified diff of changes, and back."""

from thinklonger.agent.protocols import SourceTree
from thinklonger.agent.types import Changes


def render_diff(changes: Changes) -> str:
    """The changes as `git diff` prints them (encode with `surrogateescape`); `git apply` accepts it."""
    raise NotImplementedError


def parse_diff(diff: str, tree: SourceTree) -> Changes:
    """The changes that a git diff makes to the tree; raises EditError where it doesn't match exactly."""
    raise NotImplementedError
