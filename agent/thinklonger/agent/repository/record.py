"""What the index knows of one file's content, whatever its path: definitions and imports."""

import json
from typing import Literal, NamedTuple, TypeAlias, cast

Kind: TypeAlias = Literal["c", "f", "m"]
"""Class, function or method; `types.SymbolKind` is for the view (the indexing processes start faster without it)."""

KINDS: frozenset[str] = frozenset({"c", "f", "m"})
_encode = json.JSONEncoder(separators=(",", ":")).encode


class Definition(NamedTuple):
    """A symbol without its path: qualified name, kind, 1-based lines with decorators."""

    name: str
    kind: Kind
    start_line: int
    end_line: int


class Import(NamedTuple):
    """One import: `level` dots, the dotted `module` (may be empty), and (name, name here) pairs.

    `import a.b as c` has no pairs. A star import has the pair ("*", "*").
    """

    level: int
    module: str
    names: tuple[tuple[str, str], ...]


class FileRecord(NamedTuple):
    """A file's structure, as far as its content alone tells."""

    definitions: tuple[Definition, ...]
    imports: tuple[Import, ...]


EMPTY = FileRecord((), ())


def encode(record: FileRecord) -> str:
    """The record as JSON for the store."""
    return _encode(record)


def decode(text: str) -> FileRecord:
    """The record back from `encode`; raises ValueError for anything else."""
    try:
        definitions, imports = cast(
            "tuple[list[tuple[str, Kind, int, int]], list[tuple[int, str, list[tuple[str, str]]]]]", json.loads(text)
        )
        found = FileRecord(
            tuple([Definition(name, kind, int(start), int(end)) for name, kind, start, end in definitions]),
            tuple([Import(int(level), module, tuple([(a, b) for a, b in names])) for level, module, names in imports]),
        )
    except TypeError as cause:
        raise ValueError(text[:80]) from cause
    if not KINDS.issuperset([definition.kind for definition in found.definitions]):
        raise ValueError(text[:80])
    return found
