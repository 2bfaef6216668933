"""Search/replace blocks: the form in which a model writes edits and a candidate's edits are shown."""

from collections.abc import Sequence

from thinklonger.agent.edits.edit import Edit


def parse_blocks(answer: str) -> tuple[Edit, ...]:
    """The edits that an answer holds; raises EditError that names the answer's line where a block is malformed."""
    raise NotImplementedError


def render_blocks(edits: Sequence[Edit]) -> str:
    """The edits as blocks; `parse_blocks` gives them back."""
    raise NotImplementedError
