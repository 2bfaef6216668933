"""Who watches a run: plain lines, or nobody (`live` has the moving view)."""

from types import TracebackType
from typing import Protocol, Self

from thinklonger.agent.trace.events import Event
from thinklonger.cli.narration import Progress, narrate
from thinklonger.cli.output import Output
from thinklonger.cli.page import Line
from thinklonger.cli.words import Words


class View(Protocol):
    """A view of a run that goes on; a context, so that it can leave the terminal as it was."""

    def __enter__(self) -> Self:
        """Begin."""
        ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End."""
        ...

    def show(self, event: Event) -> None:
        """Take one event in."""
        ...

    def say(self, content: Line) -> None:
        """Print a line that is no event's."""
        ...


class NoView:
    """Nobody watches."""

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End."""

    def show(self, event: Event) -> None:
        """Take one event in."""

    def say(self, content: Line) -> None:
        """Print a line that is no event's."""


class PlainView(NoView):
    """Lines as they come, without control codes."""

    def __init__(self, output: Output, words: Words) -> None:
        """Print to `output`."""
        self._output = output
        self._words = words
        self._progress = Progress()

    def show(self, event: Event) -> None:
        """Print what the event says."""
        self._progress.follow(event)
        self._output.show(narrate(event, self._progress, self._words))

    def say(self, content: Line) -> None:
        """Print a line that is no event's."""
        self._output.show([content])


def view_for(output: Output, words: Words, *, quiet: bool, hint: str = "") -> View:
    """The view that fits the stream; `hint` says what a user can do while replies come, where keys are heard."""
    if quiet:
        return NoView()
    if not output.moving:
        return PlainView(output, words)
    from thinklonger.cli.live import LiveView  # noqa: PLC0415 (rich is only for terminals)

    return LiveView(output, words, hint=hint)
