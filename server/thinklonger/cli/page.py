"""What is shown, as lines of styled spans: views print them with colours, plainly, or not at all."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias


class Style(StrEnum):
    """What a span means; colour only repeats what its words say. The values are rich's styles."""

    PLAIN = ""
    GOOD = "green"
    BAD = "red"
    WARN = "yellow"
    DIM = "dim"
    STRONG = "bold"
    NAME = "cyan"


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of text in one style."""

    text: str
    style: Style = Style.PLAIN


Line: TypeAlias = tuple[Span, ...]


def line(*parts: str | Span) -> Line:
    """A line of these parts; empty ones are left out."""
    spans = (part if isinstance(part, Span) else Span(part) for part in parts)
    return tuple(span for span in spans if span.text)


def plain(content: Line) -> str:
    """The line without its styles."""
    return "".join(span.text for span in content)


def join(parts: Iterable[str | Span], between: str) -> Line:
    """The parts with something between them; empty ones are left out."""
    spans: list[Span] = []
    for part in line(*parts):
        if spans:
            spans.append(Span(between, Style.DIM))
        spans.append(part)
    return tuple(spans)


def good(text: str) -> Span:
    """A span that says that something went well."""
    return Span(text, Style.GOOD)


def bad(text: str) -> Span:
    """A span that says that something went wrong."""
    return Span(text, Style.BAD)


def warn(text: str) -> Span:
    """A span that a person should notice."""
    return Span(text, Style.WARN)


def dim(text: str) -> Span:
    """A span that can be passed over."""
    return Span(text, Style.DIM)


def strong(text: str) -> Span:
    """A heading."""
    return Span(text, Style.STRONG)


def name(text: str) -> Span:
    """A path, a symbol, a command."""
    return Span(text, Style.NAME)
