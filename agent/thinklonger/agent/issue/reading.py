"""Read an issue once, line by line, into clues; linear in its length, whatever it is made of."""

import re
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from typing import TypeVar

from thinklonger.agent.issue import examples, naming, tracebacks
from thinklonger.agent.issue.clues import Clues, CodeBlock, PathClue
from thinklonger.agent.issue.markdown import read_document

MAX_CHARACTERS = 2_000_000
"""An issue's end beyond this is not read."""
MAX_EACH = 400
"""No issue names more different things of one kind that matter; bounds what later stages look up."""
_MAX_LINE = 4000
_T = TypeVar("_T")
_ESCAPE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b\n]{0,999}(?:\x07|\x1b\\)?|[@-Z\\^_])")
"""A terminal's control sequences (ECMA-48, 5.4 and 8.3.89), as in output that was pasted with its colours."""
_CONTROL = dict.fromkeys((*range(9), 11, 12, *range(14, 32), 127, 0xFFFD), " ")


def read_clues(text: str) -> Clues:
    """All that an issue's text names; any text is an issue, binary rubbish has few clues."""
    document = read_document(_clean(text[:MAX_CHARACTERS]))
    prose = [piece for line in document.prose for piece in _pieces(line)]
    bare = [naming.without_links(line) for line in prose]
    title = next((line.strip() for line in bare if line.strip()), "")
    code = [piece for block in document.blocks for line in block.text.split("\n") for piece in _pieces(line)]
    inline = [span for line in bare for span in naming.spans(line)]
    return Clues(
        title=title[:500],
        prose="\n".join(bare),
        paths=_distinct(_paths(prose, bare, code)),
        dotted=_distinct(name for name, _ in _names(bare) if naming.is_dotted_name(name) and not name.endswith(".py")),
        identifiers=_distinct(_identifiers(bare, inline)),
        code_names=_distinct(name for block in document.blocks for name in naming.read_code(block)),
        quotes=_distinct(chain(inline, chain.from_iterable(map(naming.quoted, bare)))),
        blocks=tuple(document.blocks[:MAX_EACH]),
        tracebacks=tracebacks.read_tracebacks(document.lines),
        tests=_distinct(name for line in chain(bare, code) for name in naming.read_tests(line)),
        examples=tuple(islice(examples.read_examples(_example_lines(document.blocks, bare)), MAX_EACH)),
    )


def _clean(text: str) -> str:
    """The text without terminal escapes, with control characters as spaces, and with one kind of line end."""
    return _ESCAPE.sub("", text.replace("\r\n", "\n").replace("\r", "\n")).translate(_CONTROL)


def _pieces(line: str) -> Iterator[str]:
    """The line in parts that no expression below needs long for."""
    for start in range(0, max(1, len(line)), _MAX_LINE):
        yield line[start : start + _MAX_LINE]


def _paths(prose: list[str], bare: list[str], code: list[str]) -> Iterator[PathClue]:
    """Paths that links point to, then those that the text names."""
    for line in prose:
        if "://" in line:
            yield from naming.read_links(line)
    for line in chain(bare, code):
        yield from naming.read_paths(line)


def _names(lines: Iterable[str]) -> Iterator[tuple[str, bool]]:
    for line in lines:
        yield from naming.read_names(line)


def _identifiers(bare: list[str], inline: list[str]) -> Iterator[str]:
    """Bare names: whatever stands in inline code, and the words of prose that can only be names."""
    for span in inline:
        for name, _ in naming.read_names(span):
            if len(span) <= 60 and len(name) > 1:  # noqa: PLR2004 - longer spans are sentences, single letters no names
                yield name.rpartition(".")[2]
    for name, called in _names(bare):
        last = name.rpartition(".")[2]
        if ("." in name and naming.is_dotted_name(name)) or naming.looks_like_code(last, called=called):
            yield last


def _example_lines(blocks: list[CodeBlock], bare: list[str]) -> list[str]:
    """Where examples may stand: in blocks of code, else in prose; blocks end with a blank line."""
    inside = [
        line
        for block in blocks
        if ">>>" in block.text or "In [" in block.text
        for line in (*block.text.split("\n"), "")
    ]
    return inside or [line for line in bare if line.strip()]


def _distinct(items: Iterable[_T]) -> tuple[_T, ...]:
    """The first `MAX_EACH` different items, in order."""
    seen: dict[_T, None] = {}
    for item in items:
        seen[item] = None
        if len(seen) >= MAX_EACH:
            break
    return tuple(seen)
