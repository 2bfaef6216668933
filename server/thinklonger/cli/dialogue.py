"""What a model and its judges say in a run: each event in words, and where the replies that still come stand."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from thinklonger.agent.chat import Finish, ModelFacts, Part, Usage
from thinklonger.agent.trace.events import (
    BranchPromoted,
    BranchProposed,
    BranchPruned,
    BranchScored,
    CandidateProposed,
    CandidatePruned,
    Event,
    ModelProbed,
    PromptSent,
    ReplyFinished,
    ReplyRejected,
    ReplyRetried,
    ReplyStreamed,
    RunResumed,
    StageFinished,
)
from thinklonger.agent.types import Score, Stage
from thinklonger.cli.page import Line, Span, bad, dim, good, join, name, strong, warn
from thinklonger.cli.rows import place, row
from thinklonger.cli.words import Words, cells, clean_line, last

TAIL = 1000
"""Characters kept of a text that streams: more than a line shows."""
_SHOWN = 3
_SIGNS_OF_A_TOKEN = 4
"""Only for a first impression while a reply comes; its end brings the server's own count."""
_WHOLE_DETAIL = 200


@dataclass(slots=True)
class Coming:
    """A reply that comes: which part of it, the end of its text, and how many characters there are so far."""

    part: Part
    tail: str = ""
    signs: int = 0

    def take(self, part: Part, text: str) -> None:
        """Take in a piece."""
        if part is not self.part:
            self.part, self.tail, self.signs = part, "", 0
        self.tail = (self.tail + text)[-TAIL:]
        self.signs += len(text)

    @property
    def tokens(self) -> int:
        """About how many tokens that is."""
        return self.signs // _SIGNS_OF_A_TOKEN


@dataclass(slots=True)
class Dialogue:
    """Where the talk with a model stands, folded from a run's events."""

    stages: dict[str, Stage] = field(default_factory=dict[str, Stage])
    awaited: set[str] = field(default_factory=set[str])
    coming: dict[str, Coming] = field(default_factory=dict[str, Coming])
    usage: dict[Stage, Usage] = field(default_factory=dict[Stage, Usage])
    by_model: set[str] = field(default_factory=set[str])
    branches: dict[str, Stage] = field(default_factory=dict[str, Stage])

    def follow(self, event: Event) -> None:
        """Take one more event in."""
        match event:
            case PromptSent():
                self.stages.update(dict.fromkeys(event.replies, event.stage))
                self.awaited.update(event.replies)
            case ReplyStreamed():
                self.coming.setdefault(event.reply, Coming(event.part)).take(event.part, event.text)
            case ReplyRetried():
                self.coming.pop(event.reply, None)
            case ReplyFinished():
                self.coming.pop(event.reply, None)
                self.awaited.discard(event.reply)
                stage = self.stage_of(event.reply)
                self.usage[stage] = self.usage[stage] + event.usage if stage in self.usage else event.usage
            case BranchProposed():
                self.branches[event.branch] = event.stage
            case CandidateProposed() if event.reply:
                self.by_model.add(event.candidate)
            case RunResumed() | StageFinished():
                self.awaited.clear()
                self.coming.clear()
            case _:
                pass

    def stage_of(self, reply: str) -> Stage:
        """The stage that a reply is for."""
        return self.stages.get(reply, Stage.PATCH)


def said(event: Event, dialogue: Dialogue, words: Words) -> list[Line]:  # noqa: PLR0911 (one return for each event)
    """The lines for an event of the talk, which `dialogue` has just followed; none for any other event."""
    match event:
        case ModelProbed():
            return [row("✓", "model", *probed(event.facts, words), words=words)]
        case RunResumed():
            return [row("·", "resumed", words.say("event.resumed", version=clean_line(event.version)), words=words)]
        case StageFinished() if event.usage.thinking or event.usage.answer:
            return [row("✓", event.stage, *join(spent(event.usage, words), words.dot), words=words)]
        case ReplyFinished():
            return [_finished(event, dialogue, words)]
        case ReplyRetried():
            return [_retried(event, dialogue, words)]
        case ReplyRejected():
            about = [clean_line(event.reply), warn(words.say("event.rejected", reason=words.render(event.why)))]
            return [row("✗", dialogue.stage_of(event.reply), *join(about, words.dot), words=words)]
        case BranchProposed() | BranchScored() | BranchPruned() | BranchPromoted():
            return [_branch(event, dialogue, words)]
        case CandidateProposed() if event.reply:
            about = [clean_line(event.candidate), place(event.path, event.line), clean_line(event.pattern)]
            return [row("·", "candidate", *join(about, words.dot), words=words)]
        case CandidatePruned() if event.candidate in dialogue.by_model:
            reason = bad(words.say("event.out", reason=words.render(event.by)))
            return [row("✗", "candidate", *join([clean_line(event.candidate), reason], words.dot), words=words)]
        case _:
            return []


def probed(facts: ModelFacts, words: Words) -> Line:
    """A served model in one line."""
    able = [
        words.say("event.can-several") if facts.several else "",
        words.say("event.can-logprobs") if facts.logprobs else "",
        words.say("event.can-count") if facts.counts_tokens else "",
    ]
    figures = [
        strong(clean_line(facts.model)),
        words.say("event.context", figure=f"{facts.context:,}"),
        words.say(f"event.dialect-{facts.dialect}"),
        *able,
        words.say("event.adapters", names=clean_line(", ".join(facts.adapters))) if facts.adapters else "",
        dim(clean_line(facts.server)),
    ]
    return join(figures, words.dot)


def spent(usage: Usage, words: Words) -> list[str | Span]:
    """Tokens in figures: thinking, answer, and how much of the prompts was there already."""
    cached = words.say("event.cached", percent=f"{usage.cached / usage.prompt:.0%}") if usage.cached else ""
    return [
        words.say("event.thought", figure=f"{usage.thinking:,}"),
        words.say("event.answered", figure=f"{usage.answer:,}"),
        dim(words.say("event.prompted", figure=f"{usage.prompt:,}")) if usage.prompt else "",
        dim(cached),
    ]


def judged(score: Score, words: Words) -> list[str | Span]:
    """A score, who gave it, and why where they say so."""
    reason = dim(words.render(score.message)) if score.message else ""
    return [strong(f"{score.value:.2f}"), words.say("event.judge", name=clean_line(score.by)), reason]


def decided(event: BranchProposed, words: Words) -> list[str | Span]:
    """What a decision chose: its first places or files."""
    if event.locations:
        shown = [place(entry.path, entry.start_line) for entry in event.locations[:_SHOWN]]
        rest = len(event.locations) - len(shown)
    else:
        shown = [name(clean_line(str(path))) for path in event.files[:_SHOWN]]
        rest = len(event.files) - len(shown)
    if not shown:
        return [clean_line(event.decided)[:_WHOLE_DETAIL]]
    return [*shown, words.count("event.more", rest) if rest else ""]


def coming_lines(dialogue: Dialogue, words: Words, *, width: int, most: int = _SHOWN) -> list[Line]:
    """The replies that come, each with the end of what it says, in lines of at most `width` characters."""
    lines: list[Line] = []
    for reply, coming in list(dialogue.coming.items())[-most:]:
        kind = words.say("event.thinks" if coming.part is Part.THINK else "event.answers", figure=f"{coming.tokens:,}")
        head = f"  {clean_line(reply)} {kind}  "
        room = max(0, width - cells(head) - 2)
        lines.append((Span(head), dim(last(clean_line(" ".join(coming.tail.split())), room))))
    return lines


def _finished(event: ReplyFinished, dialogue: Dialogue, words: Words) -> Line:
    figures = [
        clean_line(event.reply),
        *spent(event.usage, words)[:2],
        words.duration(event.seconds),
        warn(words.say(f"event.closing-{event.closing}")) if event.closing else "",
        warn(words.say("event.salvaged")) if event.salvaged else "",
        warn(words.say(f"event.finish-{event.finish}")) if event.finish is not Finish.STOP else "",
    ]
    return row("·", dialogue.stage_of(event.reply), *join(figures, words.dot), words=words)


def _retried(event: ReplyRetried, dialogue: Dialogue, words: Words) -> Line:
    again = words.say("event.again", attempt=event.attempt, seconds=words.duration(event.after))
    detail = dim(clean_line(event.detail)[:_WHOLE_DETAIL])
    figures = [clean_line(event.reply), warn(words.say(f"event.trouble-{event.trouble}")), again, detail]
    return row("!", dialogue.stage_of(event.reply), *join(figures, words.dot), words=words)


def _branch(
    event: BranchProposed | BranchScored | BranchPruned | BranchPromoted, dialogue: Dialogue, words: Words
) -> Line:
    """What becomes of a decision, in a row of its stage."""
    stage = dialogue.branches.get(event.branch, Stage.PATCH)
    about: list[str | Span] = [strong(clean_line(event.branch))]
    match event:
        case BranchProposed():
            sign, end = "·", decided(event, words)
        case BranchScored():
            sign, end = "·", judged(event.score, words)
        case BranchPruned():
            sign, end = "✗", [bad(words.say("event.out", reason=words.render(event.by)))]
        case BranchPromoted():
            sign, end = "·", [good(words.say("event.promoted"))]
    return row(sign, stage, *join([*about, *end], words.dot), words=words)


def total(usage: Mapping[Stage, Usage]) -> Usage:
    """The tokens of all stages."""
    return sum(usage.values(), Usage())


def answering(words: Words) -> Line:
    """The line that says that the user's wish for an answer has been heard."""
    return row("·", "model", words.say("event.answering-now"), words=words)
