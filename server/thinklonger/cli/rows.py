"""Lines that stand in columns: a mark, what it is about, and what there is to say."""

from thinklonger.cli.page import Line, Span, Style, line, name, strong
from thinklonger.cli.words import Words, clean_line, pad

LABEL_WIDTH = 14


def row(sign: str, label: str, *parts: str | Span, words: Words) -> Line:
    """A line that begins with a mark and the name of what it is about."""
    style = {"✓": Style.GOOD, "✗": Style.BAD, "!": Style.WARN}.get(sign, Style.DIM)
    title = words.say(f"event.row-{label}")
    return line(Span(pad(words.mark(sign), 2 if words.unicode else 5), style), strong(pad(title, LABEL_WIDTH)), *parts)


def more(*parts: str | Span) -> Line:
    """A line that goes on below a row."""
    return line(" " * (LABEL_WIDTH + 2), *parts)


def place(path: object, line_number: int) -> Span:
    """A clickable place."""
    return name(clean_line(f"{path}:{line_number}"))
