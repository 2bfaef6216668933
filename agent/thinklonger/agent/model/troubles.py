"""What goes wrong with a server: each server's wording put into one of the troubles, and which of them to bear."""

import random
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from types import MappingProxyType

from thinklonger.agent.chat import Trouble
from thinklonger.agent.errors import ModelError

LONGEST_REASON = 400
"""Characters of a server's own words that are kept."""

MOST_WAITED = 60.0
"""Seconds that one retry waits at most, whatever the server asks for."""

_OVERFLOW = re.compile(
    r"maximum context|context[ _]length|context[ _]window|context[ _]size|exceeds? the model'?s? (?:max|context)"
    r"|(?:prompt|input) is too long|input_tokens|too many (?:input )?tokens|longer than the (?:model|max|context)"
    r"|max_tokens'? (?:or 'max_completion_tokens' )?is too large|context (?:the )?overflows|exceed_context"
    r"|reduce the length of|maximum (?:input|model|sequence) length|max_model_len|n_ctx",
    re.IGNORECASE,
)
_MEMORY = re.compile(
    r"out of memory|outofmemory|cudamalloc|failed to allocate|more system memory|insufficient (?:gpu |system )?memory"
    r"|not enough (?:gpu |system )?memory|no available memory|unable to allocate",
    re.IGNORECASE,
)
_MODEL = re.compile(
    r"model\b.{0,200}\b(?:not found|does not exist|doesn't exist|not exist|is not loaded|not available|unknown)"
    r"|unknown model|invalid model|no models? (?:is |are )?loaded|no such model|model_not_found|not a valid model",
    re.IGNORECASE | re.DOTALL,
)
_LOADING = re.compile(r"loading model|model is (?:still )?loading|is loading|starting up|warming up", re.IGNORECASE)
_RATE = re.compile(r"rate.?limit|too many requests|overloaded|queue is full|no slot|server busy", re.IGNORECASE)
_AUTH = re.compile(r"(?:invalid|incorrect|missing|no) api.?key|unauthori[sz]ed|authentication_error", re.IGNORECASE)

_BY_STATUS: Mapping[int, Trouble] = MappingProxyType(
    {
        HTTPStatus.UNAUTHORIZED: Trouble.AUTH,
        HTTPStatus.FORBIDDEN: Trouble.AUTH,
        HTTPStatus.TOO_MANY_REQUESTS: Trouble.RATE,
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE: Trouble.CONTEXT_OVERFLOW,
        HTTPStatus.NOT_FOUND: Trouble.UNREACHABLE,
        HTTPStatus.METHOD_NOT_ALLOWED: Trouble.UNREACHABLE,
        **dict.fromkeys(range(300, 400), Trouble.UNREACHABLE),
    }
)
_BY_WORDS = (
    (_MEMORY, Trouble.OUT_OF_MEMORY),
    (_OVERFLOW, Trouble.CONTEXT_OVERFLOW),
    (_LOADING, Trouble.LOADING),
    (_RATE, Trouble.RATE),
    (_AUTH, Trouble.AUTH),
)
_BY_SERVER_STATUS: Mapping[int, Trouble] = MappingProxyType(
    {
        HTTPStatus.BAD_GATEWAY: Trouble.UNREACHABLE,
        HTTPStatus.SERVICE_UNAVAILABLE: Trouble.LOADING,
        HTTPStatus.GATEWAY_TIMEOUT: Trouble.UNREACHABLE,
    }
)

_LIMITS = (
    re.compile(r"context (?:length|window|size)(?: is)?(?: of)?(?: only)? ?\(?(\d+)", re.IGNORECASE),
    re.compile(r'"n_ctx"\s*:\s*(\d+)'),
)
_PROMPTS = (
    re.compile(r"\((\d+) in the messages", re.IGNORECASE),
    re.compile(r"(\d+) tokens from the input messages", re.IGNORECASE),
    re.compile(r"(\d+) input tokens", re.IGNORECASE),
    re.compile(r"messages resulted in (\d+)", re.IGNORECASE),
    re.compile(r'"n_prompt_tokens"\s*:\s*(\d+)'),
    re.compile(r"request \((\d+) tokens\)", re.IGNORECASE),
)


class Failure(Exception):  # noqa: N818 (trouble that may still be mended; ModelError is the error)
    """One request has met trouble. `detail`: the server's words, or ours. `after`: seconds that it asked to wait.

    `whole`: all of what the server said, for those who look for more in it. `lasting`: no retry can mend it.
    """

    def __init__(
        self, trouble: Trouble, detail: str, *, after: float | None = None, whole: str = "", lasting: bool = False
    ) -> None:
        """Shorten the detail to one line that can be shown."""
        super().__init__(trouble, detail)
        self.trouble = trouble
        self.detail = " ".join(detail.split())[:LONGEST_REASON]
        self.after = after
        self.whole = whole or detail
        self.lasting = lasting

    def error(self, *, url: str, model: str, clean: Callable[[str], str]) -> ModelError:
        """What the user sees, once no retry has mended it. `clean` takes out what nobody may see."""
        reason = clean(self.detail) or self.trouble.value
        return ModelError(f"model.{self.trouble.value}", url=url, model=model, reason=reason)


@dataclass(frozen=True, slots=True)
class Patience:
    """How often a trouble is met again before it is an error: `most` times, None for as often as the settings say.

    `first` is the first wait in seconds, which doubles from then on.
    """

    most: int | None
    first: float


PATIENCE: Mapping[Trouble, Patience] = MappingProxyType(
    {
        Trouble.UNREACHABLE: Patience(None, 0.5),  # it was there before: it restarts (see `Channel.answered`)
        Trouble.LOADING: Patience(None, 2.0),  # it will be there
        Trouble.RATE: Patience(None, 1.0),  # it says so itself: later
        Trouble.STREAM_CUT: Patience(None, 0.5),  # an engine or a proxy restarted; the prompt's cache is still warm
        Trouble.EMPTY: Patience(2, 0.0),  # another seed may say something; a third one hardly
        Trouble.OUT_OF_MEMORY: Patience(1, 2.0),  # other requests may end; if not, it needs other settings
        Trouble.AUTH: Patience(0, 0.0),  # the same key again is the same answer
        Trouble.MODEL_NOT_FOUND: Patience(0, 0.0),  # the same name again as well
        Trouble.CONTEXT_OVERFLOW: Patience(0, 0.0),  # the prompt must change: the caller's matter
        Trouble.BAD_PARAMETER: Patience(0, 0.0),  # what can be left out is left out without waiting
    }
)
"""Which troubles are met again, and why."""


def wait(failure: Failure, attempt: int, *, retries: int, seed: int) -> float | None:
    """Seconds to wait before the `attempt`-th retry (from 1), with seeded jitter; None: no more retries."""
    patience = PATIENCE[failure.trouble]
    if failure.lasting or attempt > (retries if patience.most is None else min(patience.most, retries)):
        return None
    if failure.after is not None:
        return min(max(failure.after, 0.0), MOST_WAITED)
    jitter = random.Random(f"{seed}/{attempt}").uniform(0.75, 1.25)  # noqa: S311 (spreads retries, keeps no secret)
    return min(patience.first * 2 ** (attempt - 1) * jitter, MOST_WAITED)


def classify(status: int, text: str) -> Trouble:
    """The trouble that a server's answer tells: its HTTP status (500 for an error inside a stream) and its words."""
    if status in _BY_STATUS and status != HTTPStatus.NOT_FOUND:
        return _BY_STATUS[status]
    for pattern, trouble in _BY_WORDS:
        if pattern.search(text):
            return trouble
    if status < HTTPStatus.INTERNAL_SERVER_ERROR and _MODEL.search(text):
        return Trouble.MODEL_NOT_FOUND
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return _BY_SERVER_STATUS.get(status, Trouble.STREAM_CUT)
    return _BY_STATUS.get(status, Trouble.BAD_PARAMETER)


def limits(text: str) -> tuple[int | None, int | None]:
    """The context limit and the prompt's length that an overflow tells, in tokens, where it does."""
    return _first(_LIMITS, text), _first(_PROMPTS, text)


def _first(patterns: tuple[re.Pattern[str], ...], text: str) -> int | None:
    """The number that the first matching pattern finds."""
    return next((int(found[1]) for pattern in patterns if (found := pattern.search(text))), None)


def trouble_of(error: ModelError) -> Trouble | None:
    """The trouble behind an error; None for one that no server made."""
    name = error.message.key.removeprefix("model.")
    return Trouble(name) if name in {trouble.value for trouble in Trouble} else None
