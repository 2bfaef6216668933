"""What a signal says about a suspect: what it adds to the score, and the reason in words."""

from typing import NamedTuple

from thinklonger.agent.types import EvidenceKind, Message


class Hint(NamedTuple):
    """One reason: what it adds, on the scale where the best words of any suspect are 1."""

    kind: EvidenceKind
    weight: float
    message: Message


def quote_list(items: list[str], most: int = 4) -> str:
    """Up to `most` items as a list for a sentence, each in backticks."""
    shown = ", ".join(f"`{item}`" for item in items[:most])
    return f"{shown}, …" if len(items) > most else shown
