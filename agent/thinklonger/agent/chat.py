"""What goes to a model and what comes back: messages, sampling, streamed parts, replies, and what a server can do.

All are frozen. Tokens are the served model's; probabilities lie in [0, 1]; durations are seconds.
"""

from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    """Who speaks."""

    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"


@dataclass(frozen=True, slots=True)
class ChatMessage:
    """One turn. An assistant's turn in the history holds its answer only, never its thinking."""

    role: Role
    content: str


@dataclass(frozen=True, slots=True)
class Sampling:
    """How to draw one reply.

    `answer_tokens` bounds what follows the thinking; `thinking_tokens` the thinking itself, which is then closed by
    force and the answer asked for. The server's own limit is their sum. `stop` ends a reply where one of these stands.
    """

    temperature: float = 0.3
    top_p: float = 0.95
    seed: int = 0
    answer_tokens: int = 4096
    thinking_tokens: int = 16384
    stop: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """A prompt and how many replies are wanted. `model`: an adapter on the same server; empty for the model itself."""

    messages: tuple[ChatMessage, ...]
    sampling: Sampling = Sampling()
    count: int = 1
    model: str = ""


class Part(StrEnum):
    """What a streamed text belongs to."""

    THINK = "think"
    ANSWER = "answer"


@dataclass(frozen=True, slots=True)
class Delta:
    """A piece of one reply's text as it comes; `choice` counts the replies of a request from 0."""

    choice: int
    part: Part
    text: str


class Finish(StrEnum):
    """Why a reply ended: the model said so, its limit, the stream broke, or somebody no longer wanted it."""

    STOP = "stop"
    LENGTH = "length"
    CUT = "cut"
    ABORTED = "aborted"


class Closing(StrEnum):
    """Why thinking was closed for the model: its budget was used up, the user wants an answer, it went in circles."""

    BUDGET = "budget"
    ANSWER_NOW = "answer-now"
    REPETITION = "repetition"


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one reply; `cached` is the part of `prompt` that the server had already. `counted`: by the server."""

    prompt: int = 0
    cached: int = 0
    thinking: int = 0
    answer: int = 0
    counted: bool = False

    def __add__(self, other: "Usage") -> "Usage":
        """The sum; counted only where both are."""
        return Usage(
            self.prompt + other.prompt,
            self.cached + other.cached,
            self.thinking + other.thinking,
            self.answer + other.answer,
            self.counted and other.counted,
        )


@dataclass(frozen=True, slots=True)
class Reply:
    """One whole reply. `salvaged`: the answer was found inside the thinking only. `seconds`: to its last token."""

    choice: int
    think: str
    answer: str
    finish: Finish
    usage: Usage = Usage()
    closing: Closing | None = None
    salvaged: bool = False
    seconds: float = 0.0


class Dialect(StrEnum):
    """How a server gives thinking: fields of its own, or tags in the text."""

    REASONING = "reasoning"
    REASONING_CONTENT = "reasoning_content"
    TAGS = "tags"


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """What probing found out about a served model, by behaviour and not by the server's name.

    `context`: tokens that a prompt and its reply may have together (the served limit). `several`: one request can ask
    for several replies. `logprobs`: the first token's probabilities can be asked for. `counts_tokens`: the served
    tokenizer can be asked. `continues`: an unfinished assistant turn can be gone on with (thinking closed by force).
    `adapters`: other model names on the same server. `server`: what it says of itself, for people.
    """

    model: str
    context: int
    dialect: Dialect
    several: bool = False
    logprobs: bool = False
    counts_tokens: bool = False
    continues: bool = False
    adapters: tuple[str, ...] = ()
    server: str = ""


class Trouble(StrEnum):
    """What can be wrong with a server; only CONTEXT_OVERFLOW may shrink a prompt."""

    UNREACHABLE = "unreachable"
    LOADING = "loading"
    AUTH = "auth"
    MODEL_NOT_FOUND = "model-not-found"
    CONTEXT_OVERFLOW = "context-overflow"
    OUT_OF_MEMORY = "out-of-memory"
    BAD_PARAMETER = "bad-parameter"
    RATE = "rate"
    STREAM_CUT = "stream-cut"
    EMPTY = "empty"


@dataclass(frozen=True, slots=True)
class Retried:
    """A reply met trouble and is asked for again: for the record, never an error by itself. `after`: seconds waited.

    What was streamed of this `choice` so far does not count.
    """

    trouble: Trouble
    attempt: int
    after: float
    detail: str = ""
    choice: int = 0
