"""Yes or no: the probability that a reply begins with yes, read off its first token, else drawn several times."""

import asyncio
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum

from thinklonger.agent.chat import ChatMessage, Role, Trouble
from thinklonger.agent.model import bodies
from thinklonger.agent.model.channel import Channel
from thinklonger.agent.model.known import Known
from thinklonger.agent.model.probing import Sample, persist, small
from thinklonger.agent.model.thinking import Splitter
from thinklonger.agent.model.troubles import Failure
from thinklonger.agent.model.wire import Json, PlaceTokens

DRAWS = 8
_LIKELY = 20
"""First tokens asked for: what servers give at most by default."""

_LEAST_MASS = 0.05
"""What yes and no must have together for the first token to be an answer at all, and not the beginning of thinking."""

_DRAW_TOKENS = 16
_FIRST_WORD = re.compile(r"[a-z]+", re.IGNORECASE)


class Way(Enum):
    """How the first token is made the answer's: the template leaves thinking out, or it is begun and closed for it."""

    TEMPLATE = "template"
    BEGUN = "begun"
    DRAWN = "drawn"


@dataclass(frozen=True, slots=True)
class Masses:
    """The probabilities of yes and of no at one place."""

    yes: float
    no: float

    @property
    def share(self) -> float:
        """Yes against no."""
        return self.yes / (self.yes + self.no)

    @property
    def enough(self) -> bool:
        """Whether it is an answer."""
        return self.yes + self.no >= _LEAST_MASS


class Questions:
    """Asks yes-or-no questions of one server, in the way that works there; which one that is, it learns once."""

    def __init__(self, channel: Channel, known: Known) -> None:
        """Ask nothing yet."""
        self._channel = channel
        self._known = known
        self._ways: dict[str, Way] = {}

    async def affirm(self, messages: Sequence[ChatMessage], *, model: str) -> float:
        """The probability of yes for one question; raises Failure."""
        known_way = self._ways.get(model)
        for way in (known_way,) if known_way else self._possible():
            found = await self._drawn(messages, model) if way is Way.DRAWN else await self._tried(messages, model, way)
            if found is not None:
                self._ways.setdefault(model, way)
                return found
        return await self._drawn(messages, model) if known_way not in (None, Way.DRAWN) else 0.5

    def _possible(self) -> tuple[Way, ...]:
        """The ways that may work here, the best first."""
        facts = self._known.facts
        if not facts.logprobs:
            return (Way.DRAWN,)
        return (Way.TEMPLATE, Way.BEGUN, Way.DRAWN) if facts.continues else (Way.TEMPLATE, Way.DRAWN)

    def _body(self, messages: Sequence[ChatMessage], model: str, *, limit: int, way: Way) -> dict[str, Json]:
        if way is Way.BEGUN:
            begun = (*messages, ChatMessage(Role.ASSISTANT, "<think>\n\n</think>\n\n"))
            body = small(begun, model, limit=limit)
            return {**body, "continue_final_message": True, "add_generation_prompt": False}
        return {**small(messages, model, limit=limit), "chat_template_kwargs": dict(bodies.NO_THINKING)}

    async def _tried(self, messages: Sequence[ChatMessage], model: str, way: Way) -> float | None:
        """Read it off the first token; None as well where a template can't go on with a turn that is begun for it."""
        try:
            return await self._read(messages, model, way)
        except Failure as failure:
            if way is not Way.BEGUN or failure.trouble is not Trouble.BAD_PARAMETER:
                raise
            return None

    async def _read(self, messages: Sequence[ChatMessage], model: str, way: Way) -> float | None:
        """Read it off the first token; None where that is no answer."""
        body = self._body(messages, model, limit=1, way=way)
        sample = await persist(self._channel, {**body, "logprobs": True, "top_logprobs": _LIKELY}, self._known.refused)
        if sample.first is None:
            return None
        masses = masses_of(sample.first)
        return masses.share if masses.enough else None

    async def _drawn(self, messages: Sequence[ChatMessage], model: str) -> float:
        """Draw several short replies and count; a half where none of them says anything."""
        body = self._body(messages, model, limit=_DRAW_TOKENS, way=Way.DRAWN)
        body["temperature"] = 1.0
        body["logprobs"] = True  # says that it is a question, to servers that look at it; not needed
        replies = await asyncio.gather(
            *(persist(self._channel, {**body, "seed": seed}, self._known.refused) for seed in range(DRAWS))
        )
        verdicts = [verdict for reply in replies if (verdict := verdict_of(reply)) is not None]
        return (sum(verdicts) + 0.5) / (len(verdicts) + 1)


def masses_of(place: PlaceTokens) -> Masses:
    """The probabilities of all tokens that begin yes or no, in any case and with blanks or signs around them."""
    likely: Iterable[tuple[str, float]] = ((top.token, top.logprob) for top in place.top_logprobs)
    yes = no = 0.0
    seen: set[str] = set()
    for token, logprob in [*likely, (place.token, place.logprob)]:
        if token in seen:
            continue
        seen.add(token)
        word = token.strip(" \t\n\r.,:;!*_\"'`▁Ġ").lower()
        if word and "yes".startswith(word):
            yes += math.exp(min(logprob, 0.0))
        elif word and "no".startswith(word):
            no += math.exp(min(logprob, 0.0))
    return Masses(yes, no)


def verdict_of(sample: Sample) -> bool | None:
    """Yes or no, as the first word of a reply says it; None where it says neither."""
    splitter = Splitter()
    for text in sample.texts:
        splitter.feed(text.content or "")
    splitter.end()
    found = _FIRST_WORD.search(splitter.answer)
    word = found[0].lower() if found else ""
    return {"yes": True, "no": False}.get(word)
