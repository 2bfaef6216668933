"""What is known of one server: the facts for everybody, and what only the client needs to speak with it."""

from dataclasses import dataclass, field
from enum import Enum

from thinklonger.agent.chat import ModelFacts
from thinklonger.agent.model.thinking import Start


class Tokenizer(Enum):
    """Who counts a prompt's tokens: vLLM's `/tokenize` takes messages, llama.cpp's takes a rendered prompt."""

    NONE = "none"
    MESSAGES = "messages"
    RENDERED = "rendered"


@dataclass(slots=True)
class Known:
    """What probing found, and what requests have taught since.

    `start`: what a reply's text begins with, by model name where an adapter's differs. `refused`: fields that the
    server does not take. `at_once`: replies that one request may ask for, None for any number. `controls`: thinking
    can be ended in a running request. `measured`: whether the context limit is known, not assumed.
    """

    facts: ModelFacts
    tokenizer: Tokenizer = Tokenizer.NONE
    start: Start = Start.UNKNOWN
    controls: bool = False
    measured: bool = True
    at_once: int | None = 1
    context: int = 0
    refused: set[str] = field(default_factory=set[str])
    starts: dict[str, Start] = field(default_factory=dict[str, Start])
    counts: dict[tuple[object, ...], int] = field(default_factory=dict[tuple[object, ...], int])

    def begins(self, model: str) -> Start:
        """What the replies of a model here begin with."""
        return self.starts.get(model, self.start)
