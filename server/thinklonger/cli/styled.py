"""Lines in colour, by rich."""

from typing import TextIO

from rich.console import Console
from rich.text import Text

from thinklonger.cli.page import Line


def console(stream: TextIO, *, color: bool = True) -> Console:
    """A console on a terminal that prints what it is given: no markup, no guessing, no emoji."""
    return Console(file=stream, force_terminal=True, no_color=not color, highlight=False, markup=False, emoji=False)


def styled(content: Line) -> Text:
    """A line as rich text."""
    return Text.assemble(*((span.text, str(span.style)) for span in content))
