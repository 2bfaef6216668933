"""The pool of suspects: every symbol of the suspected files and its own text, found by line, without parsing."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from thinklonger.agent.protocols import RepositoryView
from thinklonger.agent.types import Symbol, SymbolKind

_LARGEST_TEXT = 1_000_000
"""Of a larger file, only the beginning is searched for words (characters)."""


@dataclass(slots=True)
class Source:
    """A file's text, and whose each line is."""

    path: PurePosixPath
    text: str
    lowered: str
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
    sizes: list[int] = field(default_factory=list[int])
    """For each symbol, how many characters are its own rather than a nested symbol's."""
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
        state = repository.read(path)
        if state is None or path in self.sources:
            return
        text = state.content.decode("utf-8", "replace").replace("\r\n", "\n").replace("\r", "\n")
        starts = [0, *_line_starts(text)]
        module = len(self.symbols)
        found = [
            Symbol(path, "", SymbolKind.MODULE, 1, len(starts)),
            *(symbol for symbol in repository.symbols(path) if symbol.start_line <= len(starts)),
        ]
        owners = [module] * len(starts)
        for number, symbol in enumerate(found[1:], module + 1):
            end = min(symbol.end_line, len(starts))
            owners[symbol.start_line - 1 : end] = [number] * (end - symbol.start_line + 1)
            self._numbers[(path, symbol.name, symbol.start_line)] = number
            self._by_name.setdefault(symbol.name.rpartition(".")[2], []).append(number)
        self.symbols.extend(found)
        self.file_scores.extend([score] * len(found))
        self.sizes.extend(_own_sizes(starts, len(text), owners, module, len(found)))
        searched = text[:_LARGEST_TEXT]
        self.sources[path] = Source(path, searched, searched.lower(), starts, owners)

    def numbers(self) -> range:
        """All suspects' numbers."""
        return range(len(self.symbols))

    def own_lines(self, number: int) -> Iterator[tuple[str, int]]:
        """The lines that are a symbol's own, with their numbers."""
        symbol = self.symbols[number]
        source = self.sources[symbol.path]
        for line in range(symbol.start_line, min(symbol.end_line, len(source.owners)) + 1):
            if source.owners[line - 1] == number:
                end = source.line_starts[line] if line < len(source.line_starts) else len(source.text)
                yield source.text[source.line_starts[line - 1] : end], line


def _line_starts(text: str) -> Iterator[int]:
    """Where each line but the first begins."""
    position = text.find("\n")
    while position >= 0 and position + 1 < len(text):
        yield position + 1
        position = text.find("\n", position + 1)


def _own_sizes(starts: Sequence[int], end: int, owners: Iterable[int], first: int, count: int) -> list[int]:
    """How many characters belong to each of a file's symbols."""
    sizes = [0] * count
    for place, owner in enumerate(owners):
        following = starts[place + 1] if place + 1 < len(starts) else end
        sizes[owner - first] += following - starts[place]
    return sizes
