"""What the index knows of one file's content, whatever its path: definitions and imports."""

from typing import Literal, NamedTuple, TypeAlias, cast

Kind: TypeAlias = Literal["c", "f", "m"]
"""Class, function or method; `types.SymbolKind` is for the view (the indexing processes start faster without it)."""

_KINDS = frozenset("cfm")


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


class Outline(NamedTuple):
    """The same as columns, as a parser collects it: names, kinds, first and last lines of definitions; imports."""

    names: list[str]
    kinds: list[Kind]
    starts: list[int]
    ends: list[int]
    imports: list[Import]


NOTHING = Outline([], [], [], [], [])
EMPTY = FileRecord((), ())


def encode(outline: Outline) -> str:
    """An outline as text for the store, four lines and one for each import: no name has a space or a line break.

    Twice as fast as JSON, and there is one for each file.
    """
    imports = [
        f"{level} {module} {' '.join([f'{name}={here}' for name, here in names])}"
        for level, module, names in outline.imports
    ]
    starts, ends = " ".join(map(str, outline.starts)), " ".join(map(str, outline.ends))
    return "\n".join([" ".join(outline.names), "".join(outline.kinds), starts, ends, *imports])


def decode(text: str) -> FileRecord:
    """The record back from `encode`; raises ValueError for anything else."""
    try:
        names, kinds, starts, ends, *imports = text.split("\n")
    except ValueError:
        raise ValueError(text[:80]) from None
    firsts, lasts = list(map(int, starts.split())), list(map(int, ends.split()))
    called = names.split(" ") if names else []
    if not _KINDS.issuperset(kinds) or not len(called) == len(kinds) == len(firsts) == len(lasts):
        raise ValueError(text[:80])
    definitions = map(Definition, called, cast("tuple[Kind, ...]", tuple(kinds)), firsts, lasts)
    return FileRecord(tuple(definitions), tuple(map(_import, imports)))


def _import(line: str) -> Import:
    """One line of an encoded record."""
    level, module, *names = line.split(" ")
    pairs = [name.partition("=") for name in names if name]
    return Import(int(level), module, tuple([(name, here) for name, _, here in pairs]))
