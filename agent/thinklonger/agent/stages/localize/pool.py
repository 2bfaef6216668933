"""The pool of suspects: every symbol of the suspected files and its own text, found by line, without parsing."""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import PurePosixPath

from thinklonger.agent.protocols import RepositoryView
from thinklonger.agent.types import Symbol, SymbolKind


@dataclass(slots=True)
class Source:
    """A file's text, and whose each line is."""

    path: PurePosixPath
    text: str
    lines: list[str]
    line_starts: list[int]
    owners: list[int]
    """For each line (the first at place 0), the number of the innermost symbol around it."""

    def line_at(self, position: int) -> int:
        """The 1-based line of a character."""
        return bisect_right(self.line_starts, position)

    def owner_of(self, line: int) -> int:
        """The symbol that a line belongs to; a line past the end is the last one's."""
        return self.owners[min(max(line, 1), len(self.owners)) - 1]


@dataclass(slots=True)
class Pool:
    """All suspects; a symbol's number is its place in `symbols`. Each file's module-level code is one, too."""

    symbols: list[Symbol] = field(default_factory=list[Symbol])
    texts: list[str] = field(default_factory=list[str])
    """For each symbol, the lines that are its own rather than a nested symbol's."""
    sources: dict[PurePosixPath, Source] = field(default_factory=dict[PurePosixPath, Source])
    file_scores: list[float] = field(default_factory=list[float])
    _numbers: dict[tuple[PurePosixPath, str, int], int] = field(
        default_factory=dict[tuple[PurePosixPath, str, int], int]
    )
    _by_name: dict[str, list[int]] = field(default_factory=dict[str, list[int]])

    def number_of(self, symbol: Symbol) -> int | None:
        """The number of a symbol that the index knows."""
        return self._numbers.get((symbol.path, symbol.name, symbol.start_line))

    def named(self, bare: str) -> Sequence[int]:
        """The suspects of that bare name."""
        return self._by_name.get(bare, ())

    def add(self, path: PurePosixPath, score: float, repository: RepositoryView) -> None:
        """Take in a file with its symbols; one that can't be read has none."""
        state = None if path in self.sources else repository.read(path)
        if state is None:
            return
        text = state.content.decode("utf-8", "replace").replace("\r\n", "\n").replace("\r", "\n")
        lines = text.removesuffix("\n").split("\n")
        module = len(self.symbols)
        found = [
            Symbol(path, "", SymbolKind.MODULE, 1, len(lines)),
            *(symbol for symbol in repository.symbols(path) if symbol.start_line <= len(lines)),
        ]
        owners = [module] * len(lines)
        for number, symbol in enumerate(found[1:], module + 1):
            end = min(symbol.end_line, len(lines))
            owners[symbol.start_line - 1 : end] = [number] * (end - symbol.start_line + 1)
            self._numbers[(path, symbol.name, symbol.start_line)] = number
            self._by_name.setdefault(symbol.name.rpartition(".")[2], []).append(number)
        self.symbols.extend(found)
        self.file_scores.extend([score] * len(found))
        self.texts.extend(_own_texts(lines, owners, module, len(found)))
        starts = [0, *accumulate(len(line) + 1 for line in lines[:-1])]
        self.sources[path] = Source(path, text, lines, starts, owners)

    def containing(self, wanted: str) -> Iterator[int]:
        """The suspects whose own text contains a text, as often as they do."""
        for source in self.sources.values():
            position = source.text.find(wanted)
            while position >= 0:
                yield source.owner_of(source.line_at(position))
                position = source.text.find(wanted, position + len(wanted))


def _own_texts(lines: Sequence[str], owners: Sequence[int], first: int, count: int) -> list[str]:
    """Each symbol's own lines as one text."""
    own: list[list[str]] = [[] for _ in range(count)]
    for line, owner in zip(lines, owners, strict=True):
        own[owner - first].append(line)
    return ["\n".join(part) for part in own]
