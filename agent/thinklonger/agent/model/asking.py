"""Asking a model for several decisions at once: numbered replies, repair turns, and all of it as one stream.

Samples run beside each other, each at its own pace: whoever has answered goes on at once. Everything that comes back is
passed on as it comes. Closing a stream stops all that it started.
"""

import asyncio
import zlib
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Generic, TypeAlias, TypeVar

from thinklonger.agent.chat import ChatMessage, ChatRequest, Delta, Finish, Reply, Retried, Role, Sampling, Trouble
from thinklonger.agent.errors import ModelError, ThinkLongerError
from thinklonger.agent.protocols import Asked, Asking, ChatModel, Heard, Rejected
from thinklonger.agent.types import Message, Stage

Value = TypeVar("Value")
Earlier = TypeVar("Earlier")
Item = TypeVar("Item")

FIRST, OTHERS = 0.3, 0.8
"""Temperatures of a stage's first reply and of the others."""

SHRINKING = (1.0, 0.6, 0.35, 0.2)
"""What is left of a prompt's room after each time that it was too long."""


@dataclass(frozen=True, slots=True)
class Answered(Generic[Value]):
    """A branch has its answer, and what it means.

    `thread` is the conversation with this answer at its end; `reply` the id of the reply that gave it, of which `turn`
    is the number in its branch. `number` is the branch's below its parent.
    """

    branch: str
    reply: str
    thread: tuple[ChatMessage, ...]
    answer: str
    value: Value
    number: int
    turn: int


Step: TypeAlias = Asked | Heard | Rejected | Answered[Value]


def remember(messages: Sequence[ChatMessage], answer: str) -> tuple[ChatMessage, ...]:
    """The thread with the answer as it came; stages that have a renderer give its own."""
    return (*messages, ChatMessage(Role.ASSISTANT, answer))


@dataclass(frozen=True, slots=True)
class Question(Generic[Value]):
    """What is asked, and what is done with an answer.

    `read` makes a value of an answer's text (answer tags included, where the model wrote them), or raises a
    ThinkLongerError that says what is wrong with it. Then the model gets `repair`'s words in the same thread, at most
    `repairs` times; the last answer is read by `lenient` where there is one. `remember` adds an answer to a thread.
    """

    stage: Stage
    purpose: str
    read: Callable[[str], Value]
    repair: Callable[[ThinkLongerError], str]
    lenient: Callable[[str], Value] | None = None
    repairs: int = 1
    remember: Callable[[Sequence[ChatMessage], str], tuple[ChatMessage, ...]] = remember


def branch_id(parent: str, letter: str, number: int) -> str:
    """A branch's id: `u1` below nothing, `u1.l2` below `u1`."""
    return f"{parent}.{letter}{number}" if parent else f"{letter}{number}"


async def ask(  # noqa: PLR0913 - how a stage asks, by name
    asking: Asking,
    messages: Sequence[ChatMessage],
    question: Question[Value],
    *,
    parent: str,
    letter: str = "",
    temperatures: tuple[float, float] = (FIRST, OTHERS),
) -> AsyncGenerator[Step[Value]]:
    """Ask for `asking.samples` branches below `parent`, and read each answer as soon as it is there.

    Branch number 1 is drawn at the first temperature and all others at the second: two requests with the same messages,
    sent at once. `letter` stands in the branches' ids for the stage's first. An answer that can't be read after its
    repair turns, a reply that never comes or one that was cut off for good ends as Rejected; so does a repair turn that
    no longer fits the window. Raises ModelError for all other trouble; `model.context-overflow` means that `messages`
    are too long, and nothing has been answered then.
    """
    numbers = range(asking.first, asking.first + asking.samples)
    groups = [[number for number in numbers if number == 1], [number for number in numbers if number != 1]]
    letter = letter or question.stage.value[0]
    streams = Streams[Step[Value]]()
    for group, temperature in zip(groups, temperatures, strict=True):
        if group:
            turns = [
                _Turn(branch_id(parent, letter, number), number=number, turn=1, temperature=temperature)
                for number in group
            ]
            streams.add(_request(asking, messages, question, turns, parent=parent, streams=streams))
    async with aclosing(streams.items()) as items:
        async for item in items:
            yield item


async def go_on(
    asking: Asking,
    messages: Sequence[ChatMessage],
    question: Question[Value],
    *,
    after: Answered[Earlier],
    temperatures: tuple[float, float] = (FIRST, OTHERS),
) -> AsyncGenerator[Step[Value]]:
    """Ask once more in the thread of one branch: `messages` go on with `after.thread`. Else like `ask`."""
    turn = _Turn(after.branch, after.number, after.turn + 1, temperatures[0 if after.number == 1 else 1])
    parent = after.branch.rpartition(".")[0]
    streams = Streams[Step[Value]]()
    streams.add(_request(asking, messages, question, [turn], parent=parent, streams=streams))
    async with aclosing(streams.items()) as items:
        async for item in items:
            yield item


async def shrinking(
    attempt: Callable[[float], AsyncGenerator[Step[Value]]],
    *,
    model: ChatModel | None = None,
    room: int = 0,
    factors: Sequence[float] = SHRINKING,
) -> AsyncGenerator[Step[Value]]:
    """The steps of an attempt with all of its room; where that is too long for the window, with less and less of it.

    `attempt` gets the part of its room that its prompt may have: all of it first, then `factors` of what it had sent,
    where `model` counts that and `room` (tokens) says how much all is; else of all. What was asked is then shown as
    asked again. Only a prompt that is too long is tried again; the last attempt's error is raised.
    """
    whole = 1.0
    for factor in factors:
        sent: list[Asked] = []
        try:
            async with aclosing(attempt(whole * factor)) as steps:
                async for step in steps:
                    if isinstance(step, Asked):
                        sent.append(step)
                    yield step
        except ModelError as error:
            if not is_overflow(error) or factor == factors[-1]:
                raise
            overflow = error
        else:
            return
        if factor == factors[0] and model is not None and room > 0 and sent:
            whole = min(1.0, await model.count(sent[0].request.messages) / room)
        for asked in sent:
            for heard in retried(asked, overflow):
                yield heard


def is_overflow(error: ModelError) -> bool:
    """Whether the prompt was too long, which only shorter messages mend."""
    return _trouble(error) is Trouble.CONTEXT_OVERFLOW


def retried(asked: Asked, error: ModelError) -> tuple[Heard, ...]:
    """What to pass on when `asked` did not fit and is asked again with less."""
    return tuple(
        Heard(reply, Retried(Trouble.CONTEXT_OVERFLOW, attempt=1, after=0.0, detail=str(error), choice=choice))
        for choice, reply in enumerate(asked.replies)
    )


# ── one request ──────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class _Turn:
    """One turn of one branch; `tries` counts the repair turns before it."""

    branch: str
    number: int
    turn: int
    temperature: float
    tries: int = 0

    @property
    def reply(self) -> str:
        """The reply's id."""
        return f"{self.branch}/{self.turn}"


async def _request(  # noqa: PLR0913 - one request, by name
    asking: Asking,
    messages: Sequence[ChatMessage],
    question: Question[Value],
    turns: Sequence[_Turn],
    *,
    parent: str,
    streams: "Streams[Step[Value]]",
) -> AsyncGenerator[Step[Value]]:
    """Send one request for the replies of `turns`; what needs a repair turn is added to `streams`."""
    request = ChatRequest(tuple(messages), _sampling(asking, turns[0]), count=len(turns))
    purpose = f"{question.purpose}-repair" if turns[0].tries else question.purpose
    yield Asked(tuple(turn.reply for turn in turns), question.stage, purpose, parent, request)
    missing = dict(enumerate(turns))
    replies = asking.model.reply(request, answer_now=asking.answer_now)
    try:
        async with aclosing(replies):
            async for what in replies:
                match what:
                    case Delta() | Retried():
                        yield Heard(turns[what.choice].reply, what)
                    case Reply():
                        turn = missing.pop(what.choice)
                        yield Heard(turn.reply, what)
                        found = _read(what, messages, question, turn)
                        if isinstance(found, Answered | Rejected):
                            yield found
                        else:
                            again = _Turn(turn.branch, turn.number, turn.turn + 1, turn.temperature, turn.tries + 1)
                            streams.add(_request(asking, found, question, [again], parent=parent, streams=streams))
    except ModelError as error:
        if not _only_here(error, turns[0]):
            raise
        for turn in missing.values():
            yield Rejected(turn.reply, error.message)
        return
    for turn in missing.values():
        yield Rejected(turn.reply, Message("prompts.reply-missing"))


def _sampling(asking: Asking, turn: _Turn) -> Sampling:
    """How to draw a request's replies: the seed is the run's and the first reply's own."""
    return Sampling(
        temperature=turn.temperature,
        seed=zlib.crc32(f"{asking.seed}/{turn.reply}".encode()) & 0x7FFFFFFF,
        answer_tokens=asking.answer_tokens,
        thinking_tokens=asking.thinking_tokens,
    )


def _read(
    reply: Reply, messages: Sequence[ChatMessage], question: Question[Value], turn: _Turn
) -> Answered[Value] | Rejected | tuple[ChatMessage, ...]:
    """What a whole reply means; where it has to be repaired, the thread that asks for that."""
    if reply.finish is Finish.ABORTED:
        return Rejected(turn.reply, Message("prompts.reply-aborted"))
    last = turn.tries >= question.repairs
    read = question.lenient if last and question.lenient is not None else question.read
    thread = question.remember(messages, reply.answer)
    try:
        value = read(reply.answer)
    except ThinkLongerError as failure:
        if last:
            return Rejected(turn.reply, failure.message)
        return (*thread, ChatMessage(Role.USER, question.repair(failure)))
    return Answered(turn.branch, turn.reply, thread, reply.answer, value, turn.number, turn.turn)


def _trouble(error: ModelError) -> Trouble | None:
    """Which trouble an error is, if any."""
    name = error.message.key.removeprefix("model.")
    return Trouble(name) if name in set(Trouble) else None


def _only_here(error: ModelError, turn: _Turn) -> bool:
    """Whether an error says something about this request alone, so that others may go on."""
    trouble = _trouble(error)
    return trouble in (Trouble.EMPTY, Trouble.STREAM_CUT) or (trouble is Trouble.CONTEXT_OVERFLOW and turn.tries > 0)


# ── several streams as one ───────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class _End:
    """The task that read a stream is done."""

    task: asyncio.Task[None]


@dataclass(slots=True)
class Streams(Generic[Item]):
    """Generators that run beside each other, read as one stream; more may be added while it is read.

    The first error of one ends all of them, and so does closing `items()`; the clean-up of each is waited for.
    """

    _waiting: list[AsyncGenerator[Item]] = field(default_factory=list[AsyncGenerator[Item]])
    _running: set[asyncio.Task[None]] = field(default_factory=set[asyncio.Task[None]])
    _queue: "asyncio.Queue[Item | _End]" = field(default_factory=asyncio.Queue["Item | _End"])

    def add(self, stream: AsyncGenerator[Item]) -> None:
        """Read this one as well; it starts at once where the others have started."""
        if self._running:
            self._start(stream)
        else:
            self._waiting.append(stream)

    async def items(self) -> AsyncGenerator[Item]:
        """What all of them give, as it comes; ends with the last of them. To be read once."""
        for stream in self._waiting:
            self._start(stream)
        try:
            while self._running:
                item = await self._queue.get()
                if isinstance(item, _End):
                    self._running.discard(item.task)
                    item.task.result()  # raises what has ended it
                else:
                    yield item
        finally:
            for task in self._running:
                task.cancel()
            await asyncio.gather(*self._running, return_exceptions=True)

    def _start(self, stream: AsyncGenerator[Item]) -> None:
        """Read one stream in a task of its own; the task follows its last item into the queue."""
        task = asyncio.create_task(self._read(stream))
        self._running.add(task)
        task.add_done_callback(lambda ended: self._queue.put_nowait(_End(ended)))

    async def _read(self, stream: AsyncGenerator[Item]) -> None:
        """Pass on what one stream gives."""
        async with aclosing(stream):
            async for item in stream:
                self._queue.put_nowait(item)
