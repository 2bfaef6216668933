"""The nouns of the room: what one edit can be."""

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Replace:
    r"""Replace the one place where `search` stands by `replace`; both are whole lines of text ending in `\n`.

    A last line without `\n` stands for the end of a file that has no newline there.
    """

    path: PurePosixPath
    search: str
    replace: str


@dataclass(frozen=True, slots=True)
class Create:
    """Make a file, or fill an empty one; it is encoded as its own coding line says (else UTF-8)."""

    path: PurePosixPath
    content: str


@dataclass(frozen=True, slots=True)
class Delete:
    """Remove a file."""

    path: PurePosixPath


@dataclass(frozen=True, slots=True)
class Rename:
    """Move a file to a path where none is."""

    path: PurePosixPath
    to: PurePosixPath


@dataclass(frozen=True, slots=True)
class SetMode:
    """Make a file executable, or not."""

    path: PurePosixPath
    executable: bool


Edit: TypeAlias = Replace | Create | Delete | Rename | SetMode
