"""What the index knows of one file's content, whatever its path: symbols, imports, docstrings, oddities."""

import json
from dataclasses import dataclass
from typing import NamedTuple, cast

from thinklonger.agent.types import SymbolKind

_KINDS = {"c": SymbolKind.CLASS, "f": SymbolKind.FUNCTION, "m": SymbolKind.METHOD}
_LETTERS = {kind: letter for letter, kind in _KINDS.items()}


class Definition(NamedTuple):
    """A symbol without its path: qualified name, kind, 1-based lines with decorators."""

    name: str
    kind: SymbolKind
    start_line: int
    end_line: int


class Import(NamedTuple):
    """One import: `level` dots, the dotted `module` (may be empty), and (name, name here) pairs.

    `import a.b as c` has no pairs. A star import has the pair ("*", "*").
    """

    level: int
    module: str
    names: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class FileRecord:
    """A file's structure, as far as its content alone tells."""

    definitions: tuple[Definition, ...]
    imports: tuple[Import, ...]


EMPTY = FileRecord((), ())


def encode(record: FileRecord) -> str:
    """The record as JSON for the store."""
    definitions = [(item.name, _LETTERS[item.kind], item.start_line, item.end_line) for item in record.definitions]
    return json.dumps([definitions, record.imports], separators=(",", ":"))


def decode(text: str) -> FileRecord:
    """The record back from `encode`; raises ValueError for anything else."""
    try:
        definitions, imports = cast(
            "tuple[list[tuple[str, str, int, int]], list[tuple[int, str, list[tuple[str, str]]]]]", json.loads(text)
        )
        return FileRecord(
            tuple([Definition(name, _KINDS[kind], int(start), int(end)) for name, kind, start, end in definitions]),
            tuple([Import(int(level), module, tuple((a, b) for a, b in names)) for level, module, names in imports]),
        )
    except (TypeError, KeyError) as cause:
        raise ValueError(text[:80]) from cause
