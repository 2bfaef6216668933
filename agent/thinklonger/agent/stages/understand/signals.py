"""What a signal says: a share of suspicion for some files, with the reason in words."""

from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import NamedTuple, TypeAlias

from thinklonger.agent.types import EvidenceKind, Message


class Hint(NamedTuple):
    """One reason: what it adds to a file's score, on the scale where the best words of any file are 1."""

    kind: EvidenceKind
    weight: float
    message: Message


Signal: TypeAlias = Mapping[PurePosixPath, Hint]


def quote_list(items: list[str], most: int = 4) -> str:
    """Up to `most` items as a list for a sentence, each in backticks."""
    shown = ", ".join(f"`{item}`" for item in items[:most])
    return f"{shown}, …" if len(items) > most else shown
