"""A model that says what a script holds, in memory: for tests and demonstrations of whatever asks a model."""

import asyncio
import re
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from thinklonger.agent.chat import (
    ChatMessage,
    ChatRequest,
    Closing,
    Delta,
    Dialect,
    Finish,
    ModelFacts,
    Part,
    Reply,
    Retried,
    Trouble,
    Usage,
)
from thinklonger.agent.errors import ModelError

_PIECE = re.compile(r"\s*\S+\s*")


@dataclass(frozen=True, slots=True)
class Line:
    """One scripted reply: what is thought, what is answered (tags included), and how the reply ends.

    `after` is waited for before the reply ends, so that a test decides who comes first.
    """

    answer: str
    think: str = ""
    finish: Finish = Finish.STOP
    after: asyncio.Event | None = None


Said: TypeAlias = str | Line | ModelError
Script: TypeAlias = Iterable[Said] | Callable[[ChatRequest, int], Said]
"""What is said, reply after reply in the order of the requests; or a function of the request and the choice in it."""


class FakeModel:
    """A `ChatModel` without a server. A script that is at its end goes on with empty answers.

    A word is a token, of prompts and of replies, unless `tokens` counts otherwise. A prompt that leaves less than an
    eighth of `context` for an answer that may be as long is refused as a server would refuse it; thinking has what is
    left. `requests` are all that came, the refused ones too; `closed` how many of them were given up before their end.
    `yes` says the probability that `affirm` gives for a prompt.
    """

    def __init__(
        self,
        script: Script = (),
        *,
        context: int = 131_072,
        yes: Callable[[Sequence[ChatMessage]], float] = lambda _: 0.5,
        adapters: Sequence[str] = (),
        tokens: Callable[[str], int] = lambda text: len(text.split()),
    ) -> None:
        """Nothing is said before it is asked for."""
        self.name = "fake"
        self.requests: list[ChatRequest] = []
        self.judged: list[Sequence[ChatMessage]] = []
        self.closed = 0
        self._context = context
        self._yes = yes
        self._adapters = tuple(adapters)
        self._tokens = tokens
        self._say = script if callable(script) else _in_turn(iter(script))

    async def facts(self) -> ModelFacts:
        """What it can do: everything."""
        return ModelFacts(
            self.name,
            self._context,
            Dialect.REASONING,
            several=True,
            logprobs=True,
            counts_tokens=True,
            continues=True,
            adapters=self._adapters,
            server="in memory",
        )

    async def count(self, messages: Sequence[ChatMessage]) -> int:
        """The tokens of a prompt."""
        return sum(self._tokens(message.content) for message in messages)

    async def reply(
        self, request: ChatRequest, *, answer_now: asyncio.Event | None = None
    ) -> AsyncGenerator[Delta | Retried | Reply]:
        """Say the next lines of the script, word by word, the replies of one request in turn."""
        self.requests.append(request)
        prompt = await self.count(request.messages)
        if prompt + min(request.sampling.answer_tokens, self._context // 8) > self._context:
            raise fake_trouble(Trouble.CONTEXT_OVERFLOW)
        said = [self._say(request, choice) for choice in range(request.count)]
        finished = False
        try:
            for choice, line in enumerate(said):
                async for part in self._spoken(choice, line, prompt, answer_now):
                    yield part
            finished = True
        finally:
            self.closed += not finished

    async def _spoken(
        self, choice: int, said: Said, prompt: int, answer_now: asyncio.Event | None
    ) -> AsyncGenerator[Delta | Reply]:
        """One reply as a stream."""
        if isinstance(said, ModelError):
            raise said
        line = Line(said) if isinstance(said, str) else said
        cut = answer_now is not None and answer_now.is_set()
        think = "" if cut else line.think
        for part, text in zip((Part.THINK, Part.ANSWER), (think, line.answer), strict=True):
            for piece in _PIECE.findall(text):
                yield Delta(choice, part, piece)
        await asyncio.sleep(0)
        if line.after is not None:
            await line.after.wait()
        usage = Usage(prompt, 0, self._tokens(think), self._tokens(line.answer), counted=True)
        yield Reply(choice, think, line.answer, line.finish, usage, closing=Closing.ANSWER_NOW if cut else None)

    async def affirm(self, prompts: Sequence[Sequence[ChatMessage]], *, model: str = "") -> Sequence[float]:
        """What `yes` says of each prompt."""
        if model and model not in self._adapters:
            raise fake_trouble(Trouble.MODEL_NOT_FOUND)
        self.judged.extend(prompts)
        return [self._yes(prompt) for prompt in prompts]

    async def close(self) -> None:
        """There is nothing to close."""


def answer(text: str) -> str:
    """A text in answer tags."""
    return f"<answer>\n{text}\n</answer>"


def fake_trouble(trouble: Trouble) -> ModelError:
    """The error of a server that met this trouble for good."""
    return ModelError(f"model.{trouble.value}", url="http://127.0.0.1", model="fake", reason=trouble.value)


def _in_turn(said: Iterator[Said]) -> Callable[[ChatRequest, int], Said]:
    """A script as a function: the next line, whoever asks."""
    return lambda _request, _choice: next(said, "")
