"""Who says what: rules met by requests, replies handed out and taken back, faults counted down, questions scored."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from thinklonger.agent.model.replay.asked import Chat
from thinklonger.agent.model.replay.script import (
    Exhausted,
    Fault,
    Rule,
    Script,
    ScriptedReply,
    Thinking,
    found,
)
from thinklonger.agent.model.replay.tokens import shared

_RECOGNISED = 12
"""Characters of a reply's thinking by which it is recognised when a client shows it."""
_NOTHING = frozenset({"…", "..."})
"""How a client shows that nothing was thought yet."""


class SpeechlessError(Exception):
    """The script has nothing to say to a request; what it says is sent to the client."""

    def __init__(self, chat: Chat, number: int, *, rule: int | None = None) -> None:
        """Say which request it is, so that whoever wrote the script finds the gap; `rule`: which one is used up."""
        why = "no rule holds" if rule is None else f"rule {rule} has too few replies left"
        super().__init__(f"replay: {why} for request {number} to {chat.model!r}: {chat.last[:200]!r}")


@dataclass(frozen=True, slots=True)
class Cue:
    """What a request gets: replies by their places in a rule, and a fault that meets them.

    `listing`: the probabilities of a question's first token.
    """

    rule: int | None = None
    places: tuple[int, ...] = ()
    replies: tuple[ScriptedReply, ...] = ()
    fault: Fault | None = None
    listing: tuple[object, ...] = ()


@dataclass(slots=True)
class _Stock:
    """A rule with what is left of it."""

    rule: Rule
    used: set[int] = field(default_factory=set[int])

    def take(self, count: int) -> tuple[int, ...] | None:
        """The places of the next replies, or None if there are too few and nothing says what then."""
        places: list[int] = []
        total = len(self.rule.replies)
        for _ in range(count):
            place = next((place for place in range(total) if place not in self.used), None)
            if place is None and total and self.rule.exhausted is Exhausted.LAST:
                place = total - 1
            if place is None and total and self.rule.exhausted is Exhausted.AGAIN:
                self.used.clear()
                place = 0
            if place is None:
                self.used.difference_update(places)
                return None
            self.used.add(place)
            places.append(place)
        return tuple(places)


class Prompter:
    """Hands out what the script holds for each request."""

    def __init__(self, script: Script) -> None:
        """Start with all replies and faults there."""
        self._script = script
        self._stocks = [_Stock(rule) for rule in script.rules]
        self._met: dict[tuple[str, int], int] = {}
        self._asked: dict[str, int] = {}
        self._number = 0

    def fault(self, owner: str, faults: Sequence[Fault]) -> Fault | None:
        """The first of the owner's faults that is not used up."""
        for place, fault in enumerate(faults):
            met = self._met.get((owner, place), 0)
            if not fault.times or met < fault.times:
                self._met[owner, place] = met + 1
                return fault
        return None

    def number(self) -> int:
        """The next number of a request for text."""
        self._number += 1
        return self._number

    def cue(self, chat: Chat, *, number: int, count: int) -> Cue:
        """What a request for text gets, `count` replies of it; raises SpeechlessError."""
        again = self._asked_again(chat, number)
        if again is not None:
            return again
        for place, stock in enumerate(self._stocks):
            if not _holds(stock.rule, chat, number):
                continue
            fault = self.fault(f"rule {place}", stock.rule.faults)
            places = self._places(stock, chat, count)
            if places is not None:
                return Cue(place, places, tuple(stock.rule.replies[each] for each in places), fault)
            if fault is not None:
                return Cue(place, fault=fault)
            if stock.rule.exhausted is not Exhausted.NEXT:
                raise SpeechlessError(chat, number, rule=place)
        raise SpeechlessError(chat, number)

    def _places(self, stock: _Stock, chat: Chat, count: int) -> tuple[int, ...] | None:
        """Which replies of a rule a request gets: the one that it goes on with, else the next ones."""
        begun = _gone_on_with(stock.rule.replies, *chat.begun_parts) if chat.goes_on else None
        if begun is None:
            return stock.take(count)
        stock.used.add(begun)
        return (begun,) * count

    def _asked_again(self, chat: Chat, number: int) -> Cue | None:
        """The answer for a client that shows the model its own thinking in a turn and asks for the answer in the next.

        That is how thinking is closed where no turn can be gone on with. The rule is the one of the prompt before.
        """
        if [role for role, _ in chat.turns[-2:]] != ["assistant", "user"]:
            return None
        before, shown = replace(chat, turns=chat.turns[:-2]), _bare(chat.turns[-2][1])
        for place, stock in enumerate(self._stocks):
            if not _holds(stock.rule, before, number):
                continue
            nothing = stock.take(1) if shown in _NOTHING else None
            for own, reply in enumerate(stock.rule.replies):
                if (reply.think and _bare(reply.think)[:_RECOGNISED] in shown) or nothing == (own,):
                    stock.used.add(own)
                    return Cue(place, (own,), (_without_thinking(reply),))
        return None

    def take_back(self, cue: Cue) -> None:
        """Hand the replies out again: they never reached their client whole."""
        if cue.rule is not None:
            self._stocks[cue.rule].used.difference_update(cue.places)

    def left(self) -> list[tuple[int, int]]:
        """What was never handed out: rule and place of each reply."""
        return [
            (rule, place)
            for rule, stock in enumerate(self._stocks)
            for place in range(len(stock.rule.replies))
            if place not in stock.used
        ]

    def score(self, text: str, model: str) -> tuple[float | None, Fault | None]:
        """The probability of yes that the script gives for a question (None: it says nothing), and its fault."""
        for place, score in enumerate(self._script.scores):
            if found(score.prompt, text) and (not score.model or re.fullmatch(score.model, model)):
                return score.probability, self.fault(f"score {place}", score.faults)
        return None, None

    def verdict(self, text: str, probability: float) -> bool:
        """Yes or no, as one draw: of many draws for the same question the asked share says yes."""
        drawn = self._asked.get(text, 0)
        self._asked[text] = drawn + 1
        return int((drawn + 1) * probability + 0.5) > int(drawn * probability + 0.5)


def _holds(rule: Rule, chat: Chat, number: int) -> bool:
    return (
        (rule.request is None or rule.request == number)
        and (not rule.model or re.fullmatch(rule.model, chat.model) is not None)
        and found(rule.last, chat.last)
        and found(rule.prompt, chat.whole)
    )


def _gone_on_with(replies: Sequence[ScriptedReply], thought: str, said: str | None) -> int | None:
    """Which reply begins most like that; None if none does."""
    think, answer = _bare(thought), _bare(said or "")
    best, most = None, 0
    for place, reply in enumerate(replies):
        own = _bare(reply.think)
        if reply.thinking is Thinking.LOOPS and own:
            own *= len(think) // len(own) + 1
        alike = shared(own, think) + shared(_bare(reply.answer), answer)
        if alike > most:
            best, most = place, alike
    return best


def _without_thinking(reply: ScriptedReply) -> ScriptedReply:
    """The reply with its thinking left out."""
    return ScriptedReply(answer=reply.answer, tokens_per_chunk=reply.tokens_per_chunk, finish=reply.finish)


def _bare(text: str) -> str:
    return "".join(text.split())
