"""The moving view of a run: what has happened scrolls by, what is happening stays below."""

from time import monotonic
from types import TracebackType
from typing import Self

from rich.console import Group
from rich.live import Live
from rich.spinner import Spinner
from rich.text import Text

from thinklonger.agent.trace.events import CandidatePruned, Event
from thinklonger.cli.dialogue import coming_lines, spent, total
from thinklonger.cli.narration import Progress, narrate, tally
from thinklonger.cli.output import Output
from thinklonger.cli.page import Line, Span, dim, join, strong
from thinklonger.cli.rows import place
from thinklonger.cli.styled import console, styled
from thinklonger.cli.words import Words, clean_line

_FRAMES_PER_SECOND = 8


class LiveView:
    """Lines above, and below them the stage, the candidates so far and the one under test."""

    def __init__(self, output: Output, words: Words, *, hint: str = "") -> None:
        """Draw on the terminal behind `output`; `hint` says what the user can do while replies come."""
        self._words = words
        self._hint = hint
        self._progress = Progress()
        self._started = monotonic()
        self._console = console(output.stream, color=output.color)
        self._spinner = Spinner("dots" if words.unicode else "line")
        self._live = Live(
            get_renderable=self._render,
            console=self._console,
            refresh_per_second=_FRAMES_PER_SECOND,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )

    def __enter__(self) -> Self:
        """Begin to draw."""
        self._live.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Take the moving part away and give the cursor back."""
        self._live.__exit__(kind, error, trace)

    def show(self, event: Event) -> None:
        """Print what the event says, except what the moving part tells better."""
        self._progress.follow(event)
        if isinstance(event, CandidatePruned) and event.candidate not in self._progress.dialogue.by_model:
            return
        for content in narrate(event, self._progress, self._words):
            self._console.print(styled(content), soft_wrap=True)

    def say(self, content: Line) -> None:
        """Print a line that is no event's, above the moving part."""
        self._console.print(styled(content), soft_wrap=True)

    def _render(self) -> Group:
        progress, words = self._progress, self._words
        dialogue = progress.dialogue
        spent_so_far = total(dialogue.usage)
        stage = words.say(f"event.row-{progress.stage}") if progress.stage else words.say("event.row-index")
        figures = [
            strong(stage),
            *(tally(progress, words) if progress.proposed else ()),
            words.count("event.awaited", len(dialogue.awaited)) if dialogue.awaited else "",
            dim(words.duration(monotonic() - self._started)),
        ]
        self._spinner.update(text=_one_line(styled(join(figures, words.dot))))
        rows: list[Spinner | Text] = [self._spinner]
        if (current := progress.current) is not None:
            about = [clean_line(current.candidate), place(current.path, current.line), clean_line(current.pattern)]
            rows.append(_one_line(styled((*join(["  ", ""], ""), *join(about, words.dot)))))
        lines = coming_lines(dialogue, words, width=self._console.width)
        told = spent(spent_so_far, words)[:2] if spent_so_far.thinking or spent_so_far.answer else []
        if below := join([*told, dim(self._hint) if dialogue.awaited else ""], words.dot):
            lines.append((Span("  "), *below))
        return Group(*rows, *(_one_line(styled(content)) for content in lines))


def _one_line(text: Text) -> Text:
    text.no_wrap = True
    text.overflow = "ellipsis"
    return text
