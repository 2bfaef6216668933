"""A real run, by its record, against the bound: what `orchestration.py --record` prints."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from simulated import cost
from simulated.cards import Card
from thinklonger.agent.chat import ChatMessage
from thinklonger.agent.trace.events import CandidateTested, PromptSent, ReplyFinished
from thinklonger.agent.trace.wire import Recorded
from thinklonger.agent.types import Stage


@dataclass(slots=True)
class Prompt:
    """A prompt of a run. `known`: the share of its characters with which some earlier prompt began."""

    stage: Stage
    messages: tuple[ChatMessage, ...]
    known: float
    tokens: int = 0
    lengths: list[int] = field(default_factory=list[int])


@dataclass(frozen=True, slots=True)
class Summary:
    """Seconds and tokens of a run's generation.

    `idle`: the stretches in which nothing was asked of the server, between its first prompt and its last reply.
    `unique`: prompt tokens counted once; `computed`: those that the server says were not cached, over all replies.
    `counted`: all tokens are the server's own counts.
    """

    bound: float
    generation: float
    whole: float
    idle: tuple[float, ...]
    unique: int
    prompted: int
    computed: int
    generated: int
    counted: bool


def summarize(entries: Iterable[Recorded], card: Card) -> Summary | None:
    """What a record says of a run's generation, held against the card's bound; None where no model was asked.

    Only the model's own replies: what adapters judged is not in the record as prompts.
    """
    prompts: dict[str, Prompt] = {}
    of_reply: dict[str, str] = {}
    finished: list[ReplyFinished] = []
    moments: list[tuple[datetime, int]] = []
    last: datetime | None = None
    for entry in entries:
        match entry.event:
            case PromptSent() as sent:
                prompts[sent.prompt] = _prompt(sent, prompts)
                of_reply |= dict.fromkeys(sent.replies, sent.prompt)
                moments.append((entry.time, len(sent.replies)))
            case ReplyFinished() as reply if reply.reply in of_reply:
                finished.append(reply)
                prompt = prompts[of_reply[reply.reply]]
                prompt.tokens = max(prompt.tokens, reply.usage.prompt)
                prompt.lengths.append(max(1, reply.usage.thinking + reply.usage.answer))
                moments.append((entry.time, -1))
                last = entry.time
            case CandidateTested():
                last = entry.time
            case _:
                pass
    asked = [prompt for prompt in prompts.values() if prompt.lengths]
    if not asked or last is None:
        return None
    first = moments[0][0]
    ended = max(time for time, change in moments if change < 0)
    return Summary(
        bound=_bound(asked, card),
        generation=(ended - first).total_seconds(),
        whole=(last - first).total_seconds(),
        idle=tuple(_idle(moments)),
        unique=round(sum(prompt.tokens * (1 - prompt.known) for prompt in asked)),
        prompted=sum(reply.usage.prompt for reply in finished),
        computed=sum(reply.usage.prompt - reply.usage.cached for reply in finished),
        generated=sum(sum(prompt.lengths) for prompt in asked),
        counted=all(reply.usage.counted for reply in finished),
    )


def _prompt(sent: PromptSent, earlier: Mapping[str, Prompt]) -> Prompt:
    """The prompt with its messages whole, and how much of it begins like one before."""
    base = earlier[sent.base].messages[: sent.shared] if sent.base in earlier else ()
    messages = (*base, *sent.added)
    characters = sum(len(message.content) for message in messages)
    shared = max((_shared(messages, other.messages) for other in earlier.values()), default=0)
    return Prompt(sent.stage, messages, shared / characters if characters else 0.0)


def _shared(left: Sequence[ChatMessage], right: Sequence[ChatMessage]) -> int:
    """Characters of the whole messages that two prompts begin with alike."""
    shared = 0
    for one, other in zip(left, right, strict=False):
        if one != other:
            break
        shared += len(one.content)
    return shared


def _bound(prompts: Sequence[Prompt], card: Card) -> float:
    """The least time for the stages, each stage's replies together."""
    seconds = 0.0
    for stage in Stage:
        here = [prompt for prompt in prompts if prompt.stage is stage]
        if here:
            seconds += sum(cost.prefill_seconds(card, each.tokens, round(each.tokens * each.known)) for each in here)
            seconds += cost.decode_seconds(card, [(each.tokens, length) for each in here for length in each.lengths])
    return seconds


def _idle(moments: Sequence[tuple[datetime, int]]) -> Iterable[float]:
    """Seconds from the end of the last open reply to the next prompt."""
    open_replies, since = 0, None
    for time, change in moments:
        if change > 0 and open_replies <= 0 and since is not None:
            yield (time - since).total_seconds()
        open_replies += change
        since = time
