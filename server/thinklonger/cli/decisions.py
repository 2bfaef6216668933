"""The search as a tree of decisions: what was decided from what, what judges said of it, and what pruned it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from thinklonger.agent.chat import ModelFacts, Usage
from thinklonger.agent.trace.events import (
    BranchPromoted,
    BranchProposed,
    BranchPruned,
    BranchScored,
    CandidateProposed,
    CandidatePruned,
    CandidateVerified,
    Event,
    ModelProbed,
    PromptSent,
    ReplyFinished,
    ReplyRejected,
    ReplyRetried,
)
from thinklonger.agent.types import Label, Message, Receipt, Score, Stage
from thinklonger.cli import machine
from thinklonger.cli.dialogue import decided, judged, spent, total
from thinklonger.cli.page import Line, Span, Style, bad, dim, good, join, line, strong
from thinklonger.cli.rows import place
from thinklonger.cli.words import Words, clean_line

_DEPTH = 12
"""Indents at most: a damaged record may nest without end."""


@dataclass(slots=True)
class Decision:
    """One decision, or one patch of a model, and what became of it."""

    proposed: BranchProposed | CandidateProposed
    scores: list[Score] = field(default_factory=list[Score])
    pruned: Message | None = None
    promoted: bool = False
    receipt: Receipt | None = None

    @property
    def id(self) -> str:
        """Its id."""
        return self.proposed.candidate if isinstance(self.proposed, CandidateProposed) else self.proposed.branch

    @property
    def stage(self) -> Stage:
        """The stage that made it."""
        return Stage.PATCH if isinstance(self.proposed, CandidateProposed) else self.proposed.stage


@dataclass(slots=True)
class ReplyState:
    """What the record says of one reply."""

    reply: str
    stage: Stage
    purpose: str
    finished: ReplyFinished | None = None
    rejected: Message | None = None
    retries: int = 0


@dataclass(slots=True)
class Search:
    """A model's part of a run, folded from its events."""

    facts: ModelFacts | None = None
    decisions: dict[str, Decision] = field(default_factory=dict[str, Decision])
    replies: dict[str, ReplyState] = field(default_factory=dict[str, ReplyState])

    @property
    def usage(self) -> dict[Stage, Usage]:
        """The tokens of each stage's whole replies."""
        spent_in: dict[Stage, Usage] = {}
        for state in self.replies.values():
            if state.finished is not None:
                usage = state.finished.usage
                spent_in[state.stage] = spent_in[state.stage] + usage if state.stage in spent_in else usage
        return spent_in


def fold_search(events: Iterable[Event]) -> Search:  # noqa: C901, PLR0912 (one branch for each event)
    """The search as its events tell it."""
    search = Search()
    for event in events:
        match event:
            case ModelProbed():
                search.facts = event.facts
            case PromptSent():
                for reply in event.replies:
                    search.replies[reply] = ReplyState(reply, event.stage, event.purpose)
            case ReplyRetried(reply=reply) if reply in search.replies:
                search.replies[reply].retries += 1
            case ReplyFinished(reply=reply) if reply in search.replies:
                search.replies[reply].finished = event
            case ReplyRejected(reply=reply) if reply in search.replies:
                search.replies[reply].rejected = event.why
            case BranchProposed():
                search.decisions[event.branch] = Decision(event)
            case CandidateProposed() if event.reply:
                search.decisions[event.candidate] = Decision(event)
            case BranchScored(branch=branch) if branch in search.decisions:
                search.decisions[branch].scores.append(event.score)
            case BranchPruned(branch=branch, by=by) | CandidatePruned(candidate=branch, by=by) if (
                branch in search.decisions
            ):
                search.decisions[branch].pruned = by
            case BranchPromoted(branch=branch) if branch in search.decisions:
                search.decisions[branch].promoted, search.decisions[branch].pruned = True, None
            case CandidateVerified(candidate=branch) if branch in search.decisions:
                search.decisions[branch].receipt = event.receipt
            case _:
                pass
    return search


def search_lines(search: Search, words: Words) -> list[Line]:
    """The tree, and below it what each stage has cost; nothing where no model took part."""
    if not search.decisions and not search.replies:
        return []
    lines: list[Line] = [line(strong(words.say("report.search")))]
    children: dict[str, list[Decision]] = {}
    for decision in search.decisions.values():
        parent = decision.proposed.parent
        children.setdefault(parent if parent in search.decisions else "", []).append(decision)
    lines += _below("", children, 1, words)
    for stage, usage in search.usage.items():
        lines.append(line("  ", *join([words.say(f"event.row-{stage}"), *spent(usage, words)], words.dot)))
    if len(search.usage) > 1:
        whole = total(search.usage)
        lines.append(line("  ", *join([words.say("report.all-stages"), *spent(whole, words)], words.dot)))
    return lines


def _below(parent: str, children: dict[str, list[Decision]], depth: int, words: Words) -> list[Line]:
    """The decisions below one, best score first where they have any."""
    lines: list[Line] = []
    found = children.get(parent, []) if depth <= _DEPTH else []
    for decision in sorted(found, key=lambda entry: -(entry.scores[-1].value if entry.scores else 0.0)):
        lines.append(line("  " * depth, *_decision(decision, words)))
        lines += _below(decision.id, children, depth + 1, words)
    return lines


def _decision(decision: Decision, words: Words) -> Line:
    proposed = decision.proposed
    if isinstance(proposed, CandidateProposed):
        what: Sequence[str | Span] = [place(proposed.path, proposed.line), clean_line(proposed.pattern)]
    else:
        what = decided(proposed, words)
    judgements = [part for score in decision.scores[-1:] for part in judged(score, words)]
    sign, end = _end(decision, words)
    return line(sign, *join([strong(clean_line(decision.id)), *judgements, *what, end], words.dot))


def _end(decision: Decision, words: Words) -> tuple[Span, Span]:
    """A mark, and what became of it."""
    if decision.receipt is not None:
        label = decision.receipt.label
        verified = label is Label.VERIFIED
        style = Style.GOOD if verified else Style.WARN
        said = words.say(f"event.label-{label}")
        return Span(f"{words.mark('✓' if verified else '!')} ", style), Span(said, style)
    if decision.pruned is not None:
        return bad(f"{words.mark('✗')} "), bad(words.say("event.out", reason=words.render(decision.pruned)))
    if decision.promoted:
        return good(f"{words.mark('·')} "), good(words.say("event.promoted"))
    return dim(f"{words.mark('·')} "), Span("")


def search_json(search: Search, words: Words) -> dict[str, machine.Plain]:
    """The search for a machine: the model, the tree as a list with parents, the replies, tokens by stage."""
    return {
        "model": machine.plain(search.facts, words),
        "branches": [
            {
                "branch": decision.id,
                "stage": decision.stage.value,
                "parent": decision.proposed.parent or None,
                "reply": decision.proposed.reply or None,
                "decided": machine.plain(getattr(decision.proposed, "decided", ""), words),
                "scores": machine.plain(decision.scores, words),
                "pruned": machine.plain(decision.pruned, words),
                "promoted": decision.promoted,
                "label": decision.receipt.label.value if decision.receipt else None,
            }
            for decision in search.decisions.values()
        ],
        "replies": [_reply_json(state, words) for state in search.replies.values()],
        "usage": {stage.value: machine.plain(usage, words) for stage, usage in search.usage.items()},
    }


def _reply_json(state: ReplyState, words: Words) -> machine.Plain:
    finished = state.finished
    return {
        "reply": state.reply,
        "stage": state.stage.value,
        "purpose": state.purpose,
        "finish": finished.finish.value if finished else None,
        "closing": finished.closing.value if finished and finished.closing else None,
        "salvaged": finished.salvaged if finished else False,
        "usage": machine.plain(finished.usage if finished else None, words),
        "seconds": finished.seconds if finished else None,
        "retries": state.retries,
        "rejected": machine.plain(state.rejected, words),
    }
