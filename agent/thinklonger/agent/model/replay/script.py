"""What a replay server says: rules, replies, scores and faults, as values and as a JSON file.

A script is a list of rules. A request for text is met by the first rule whose conditions all hold; the rule hands out
its replies in order, the next `n` of them to a request for `n` choices. A reply whose stream did not end (the client
left, a fault cut it) is taken back and handed out again. Questions (few tokens, first token's probabilities) are
answered by `scores`; other requests for few tokens are probes and get `probe`. In JSON the fields have the same names:

    {"rules": [{"last": "Which files", "replies": [{"think": "Totals…", "answer": "<answer>a.py</answer>"}]}],
     "scores": [{"prompt": "rounds up", "probability": 0.9}]}
"""

import re
from enum import StrEnum
from pathlib import Path

import msgspec

from thinklonger.agent.chat import Finish

PROBE_TOKENS = 32
"""A request whose output limit is at most this many tokens asks for a score, or probes; it never meets a rule."""


class Thinking(StrEnum):
    """How a reply's thinking goes on after its `think`: it ends; new words without end; the same words without end."""

    CLOSES = "closes"
    RAMBLES = "rambles"
    LOOPS = "loops"


class Exhausted(StrEnum):
    """What a rule does when all its replies are handed out.

    FAIL: HTTP 400 that says so. NEXT: the rule no longer holds, a later one may. LAST: its last reply again.
    AGAIN: from its first one.
    """

    FAIL = "fail"
    NEXT = "next"
    LAST = "last"
    AGAIN = "again"


class FaultKind(StrEnum):
    """What can go wrong. `Fault` says which of its fields each kind reads."""

    OVERFLOW = "overflow"
    LOADING = "loading"
    AUTH = "auth"
    NO_MODEL = "no-model"
    RATE = "rate"
    OUT_OF_MEMORY = "out-of-memory"
    BAD_PARAMETER = "bad-parameter"
    REFUSED = "refused"
    SLOW = "slow"
    SILENCE = "silence"
    EMPTY = "empty"
    GARBAGE = "garbage"
    CUT_THINK = "cut-think"
    CUT_ANSWER = "cut-answer"
    UNFINISHED = "unfinished"
    STREAM_ERROR = "stream-error"


class Wording(StrEnum):
    """Whose words an overflow is told in; left out, those of the server that is played."""

    VLLM = "vllm"
    VLLM_OLD = "vllm-old"
    VLLM_LENGTH = "vllm-length"
    SGLANG = "sglang"
    LLAMA_CPP = "llama.cpp"
    LLAMA_CPP_OLD = "llama.cpp-old"
    LM_STUDIO = "lm-studio"
    OPENAI = "openai"


class Fault(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Something that goes wrong for the first `times` requests that meet it (0: for all).

    HTTP errors: `overflow` (400, in `wording`), `loading` (503), `auth` (401), `no-model` (404), `rate` (429; with
    Retry-After if `seconds` is set), `out-of-memory` (500), `bad-parameter` (400). `refused`: the connection is reset
    before any answer. `slow`: `seconds` before the first byte, then the reply. `silence`: headers, `tokens` tokens,
    then nothing until the client leaves. `empty`: a stream that ends with no text. `garbage`: after `tokens` tokens,
    bytes that are no event. `cut-think`, `cut-answer`: the connection breaks after `tokens` tokens of that part.
    `unfinished`: after `tokens` tokens the stream ends in order, but with no finish reason. `stream-error`: an error
    object in the stream after `tokens` tokens, HTTP 200 having been said. Replies that a fault has met are not used up.
    """

    kind: FaultKind
    times: int = 1
    tokens: int = 8
    seconds: float = 0.0
    wording: Wording | None = None


class ScriptedReply(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One reply. Delays in seconds; a token is at most four letters here, or one other character.

    Without `think` it does not think at all. `thinking` other than `closes`: the reply thinks until a limit, or until
    the client closes its thinking and goes on with it; only then `answer` comes. `finish` is reported where
    nothing else ends the reply (`stop` or `length`).
    """

    answer: str = ""
    think: str = ""
    thinking: Thinking = Thinking.CLOSES
    tokens_per_chunk: int = 8
    first_byte: float = 0.0
    per_chunk: float = 0.0
    finish: Finish = Finish.STOP


class Rule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which requests it holds for, and what they get.

    `last` is a pattern searched in the last user message, `prompt` in all messages together, `model` matches the whole
    model name (patterns are Python's, `.` meets line ends too); `request` is the request's place among all requests for
    text, counted from 1. What is left out always holds. `faults` come before the replies, one after the other.
    """

    replies: tuple[ScriptedReply, ...] = ()
    last: str = ""
    prompt: str = ""
    model: str = ""
    request: int | None = None
    faults: tuple[Fault, ...] = ()
    exhausted: Exhausted = Exhausted.FAIL


class ScriptedScore(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The probability of yes for questions in whose messages `prompt` is found, if `model` matches the model's name."""

    probability: float
    prompt: str = ""
    model: str = ""
    faults: tuple[Fault, ...] = ()


class Script(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All that a server says, and how large it is.

    `context` bounds prompt and output together, in tokens. `slots` bounds what runs at once, in choices (0: nothing
    waits). `key`: the API key that requests must bring; empty: none. `faults` meet any request below `/v1`, before the
    rules. `unscored` is the probability of yes for questions that no score speaks of.
    """

    rules: tuple[Rule, ...] = ()
    scores: tuple[ScriptedScore, ...] = ()
    faults: tuple[Fault, ...] = ()
    unscored: float = 0.5
    probe: ScriptedReply = ScriptedReply(think="A greeting.", answer="OK")
    model: str = "replay"
    adapters: tuple[str, ...] = ()
    context: int = 32768
    slots: int = 0
    key: str = ""


def found(pattern: str, text: str) -> bool:
    """Whether a condition holds: its pattern is found in the text."""
    return re.search(pattern, text, re.DOTALL) is not None


def read_script(path: Path) -> Script:
    """The script in a JSON file; raises OSError, msgspec.ValidationError or re.error, which name what is wrong."""
    script = msgspec.json.decode(path.read_bytes(), type=Script)
    for rule in script.rules:
        for pattern in (rule.last, rule.prompt, rule.model):
            re.compile(pattern)
    for score in script.scores:
        re.compile(score.prompt)
        re.compile(score.model)
    return script
