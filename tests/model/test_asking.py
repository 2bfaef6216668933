"""Asking a model for several branches: ids, temperatures, repair turns, no barrier, cancelling."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import replace

import pytest

from thinklonger.agent.chat import (
    ChatMessage,
    ChatRequest,
    Delta,
    Finish,
    Part,
    Reply,
    Retried,
    Role,
    Trouble,
    Usage,
)
from thinklonger.agent.errors import ModelError, ThinkLongerError
from thinklonger.agent.model.asking import (
    Answered,
    Question,
    Step,
    Streams,
    ask,
    branch_id,
    go_on,
    shrinking,
)
from thinklonger.agent.model.fake import FakeModel, Line, fake_trouble
from thinklonger.agent.protocols import Asked, Asking, Heard, Rejected
from thinklonger.agent.types import Stage

THREAD = (ChatMessage(Role.SYSTEM, "be brief"), ChatMessage(Role.USER, "a number?"))


def read_number(text: str) -> int:
    """A number, or what is wrong."""
    if not text.strip().isdigit():
        raise ModelError("prompts.not-a-path", line=text)
    return int(text)


def numbers(*, lenient: Callable[[str], int] | None = None, repairs: int = 1) -> Question[int]:
    """A question whose answers are numbers."""

    def repair(failure: ThinkLongerError) -> str:
        return f"again: {failure.message.params['line']}"

    return Question(Stage.UNDERSTAND, "number", read_number, repair, lenient=lenient, repairs=repairs)


def asking(model: FakeModel, **changes: int) -> Asking:
    """Three samples of little length."""
    return replace(Asking(model, samples=3, thinking_tokens=50, answer_tokens=50), **changes)


async def gathered(steps: AsyncGenerator[Step[int]]) -> list[Step[int]]:
    """All steps of a stream."""
    return [step async for step in steps]


def answered(steps: Sequence[Step[int]]) -> dict[str, int]:
    """What each branch answered."""
    return {step.branch: step.value for step in steps if isinstance(step, Answered)}


async def test_the_first_sample_is_cool_and_the_others_are_warm_with_the_same_messages() -> None:
    """Two requests, sent before any has answered: one reply at 0.3, the others at 0.8, the same bytes, ids as told."""
    model = FakeModel(["1", "2", "3"])
    steps = await gathered(ask(asking(model), THREAD, numbers(), parent="u1"))
    cool, warm = model.requests
    assert (cool.count, cool.sampling.temperature) == (1, 0.3)
    assert (warm.count, warm.sampling.temperature) == (2, 0.8)
    assert cool.messages == warm.messages == THREAD
    sent = [step for step in steps if isinstance(step, Asked)]
    assert [step.replies for step in sent] == [("u1.u1/1",), ("u1.u2/1", "u1.u3/1")]
    assert all((step.stage, step.purpose, step.parent) == (Stage.UNDERSTAND, "number", "u1") for step in sent)
    assert answered(steps) == {"u1.u1": 1, "u1.u2": 2, "u1.u3": 3}
    last = steps[-1]
    assert isinstance(last, Answered)
    assert last.thread == (*THREAD, ChatMessage(Role.ASSISTANT, last.answer))


async def test_everything_that_comes_back_is_passed_on() -> None:
    """Each piece and each whole reply, under its reply's id."""
    model = FakeModel([Line("1", think="well well")])
    steps = await gathered(ask(asking(model, samples=1), THREAD, numbers(), parent=""))
    heard = [(step.reply, step.what) for step in steps if isinstance(step, Heard)]
    assert heard == [
        ("u1/1", Delta(0, Part.THINK, "well ")),
        ("u1/1", Delta(0, Part.THINK, "well")),
        ("u1/1", Delta(0, Part.ANSWER, "1")),
        ("u1/1", Reply(0, "well well", "1", Finish.STOP, Usage(4, 0, 2, 1, counted=True))),
    ]


async def test_a_later_wave_goes_on_counting_and_has_no_cool_sample() -> None:
    """The second wave's branches have new numbers, and all are drawn at the temperature of the others."""
    model = FakeModel(["4", "5"])
    steps = await gathered(ask(asking(model, samples=2, first=4), THREAD, numbers(), parent=""))
    assert answered(steps) == {"u4": 4, "u5": 5}
    assert [(request.count, request.sampling.temperature) for request in model.requests] == [(2, 0.8)]


async def test_seeds_are_the_runs_own_and_differ() -> None:
    """The same run asks with the same seeds; another seed, branch or turn has another one."""

    async def seeds(seed: int, parent: str) -> list[int]:
        model = FakeModel(["1", "no", "3", "2"])
        await gathered(ask(asking(model, seed=seed), THREAD, numbers(), parent=parent))
        return [request.sampling.seed for request in model.requests]

    first = await seeds(7, "")
    assert first == await seeds(7, "")
    assert len({*first, *await seeds(8, ""), *await seeds(7, "u1")}) == 9


async def test_a_malformed_answer_gets_one_repair_turn_in_its_thread() -> None:
    """The thread holds the answer and what is wrong with it, never the thinking; the branch keeps its id."""
    model = FakeModel([Line("many", think="SECRET"), "12"])
    steps = await gathered(ask(asking(model, samples=1), THREAD, numbers(), parent=""))
    assert answered(steps) == {"u1": 12}
    assert model.requests[1].messages == (
        *THREAD,
        ChatMessage(Role.ASSISTANT, "many"),
        ChatMessage(Role.USER, "again: many"),
    )
    assert [step.purpose for step in steps if isinstance(step, Asked)] == ["number", "number-repair"]
    assert [step.reply for step in steps if isinstance(step, Answered)] == ["u1/2"]
    assert not any("SECRET" in message.content for request in model.requests for message in request.messages)


async def test_what_is_still_malformed_is_rejected_with_its_reason() -> None:
    """After the last repair turn a reply ends in words, and its siblings go on."""
    model = FakeModel(["1", "bad", "3", "worse"])
    steps = await gathered(ask(asking(model), THREAD, numbers(), parent=""))
    assert answered(steps) == {"u1": 1, "u3": 3}
    (rejected,) = [step for step in steps if isinstance(step, Rejected)]
    assert rejected.reply == "u2/2"
    assert rejected.why.params == {"line": "worse"}


async def test_the_last_answer_may_be_read_more_leniently() -> None:
    """What strict reading refuses twice may still be worth something."""
    model = FakeModel(["one", "three"])
    steps = await gathered(ask(asking(model, samples=1), THREAD, numbers(lenient=len), parent=""))
    assert answered(steps) == {"u1": 5}
    model = FakeModel(["one"])
    steps = await gathered(ask(asking(model, samples=1), THREAD, numbers(lenient=len, repairs=0), parent=""))
    assert answered(steps) == {"u1": 3}


async def test_whoever_has_answered_does_not_wait_for_the_others() -> None:
    """The third sample answers and is repaired while the first has not ended."""
    slow = asyncio.Event()
    model = FakeModel([Line("1", after=slow), "bad", "3", "2"])
    found: list[str] = []
    async for step in ask(asking(model), THREAD, numbers(), parent=""):
        if isinstance(step, Answered):
            found.append(step.branch)
        if len(found) == 2:
            slow.set()
    assert found == ["u3", "u2", "u1"]


async def test_closing_stops_everything_that_was_started() -> None:
    """A consumer that has enough closes the stream; all connections are closed before that returns."""
    never = asyncio.Event()
    model = FakeModel([Line("1", after=never), Line("2", after=never), "3"])
    async with aclosing(ask(asking(model), THREAD, numbers(), parent="")) as steps:
        async for step in steps:
            if isinstance(step, Heard):
                break
    assert model.closed == len(model.requests) == 2
    assert len(asyncio.all_tasks()) == 1


async def test_cancelling_the_reader_stops_everything() -> None:
    """Cancelling the task that reads is as good as closing."""
    never = asyncio.Event()
    model = FakeModel(lambda _request, _choice: Line("1", after=never))
    task = asyncio.create_task(gathered(ask(asking(model), THREAD, numbers(), parent="")))
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert model.closed == 2
    assert len(asyncio.all_tasks()) == 1


@pytest.mark.parametrize("trouble", [Trouble.EMPTY, Trouble.STREAM_CUT])
async def test_a_broken_request_costs_its_own_replies_only(trouble: Trouble) -> None:
    """What one reply met does not end the stage."""
    model = FakeModel(["1", "2", fake_trouble(trouble)])
    steps = await gathered(ask(asking(model), THREAD, numbers(), parent=""))
    assert answered(steps) == {"u1": 1, "u2": 2}
    assert [(step.reply, step.why.key) for step in steps if isinstance(step, Rejected)] == [
        ("u3/1", f"model.{trouble}")
    ]


@pytest.mark.parametrize(
    "trouble", [Trouble.AUTH, Trouble.UNREACHABLE, Trouble.CONTEXT_OVERFLOW, Trouble.OUT_OF_MEMORY]
)
async def test_what_no_sibling_can_escape_is_raised(trouble: Trouble) -> None:
    """A server that can't be reached is an error that the user sees, and ends all that was running."""
    model = FakeModel(["1", fake_trouble(trouble)])
    with pytest.raises(ModelError) as raised:
        await gathered(ask(asking(model), THREAD, numbers(), parent=""))
    assert raised.value.message.key == f"model.{trouble}"
    assert len(asyncio.all_tasks()) == 1


async def test_a_repair_turn_that_no_longer_fits_ends_its_reply_only() -> None:
    """The others go on; a longer thread is nobody's reason to ask all of them again."""
    model = FakeModel(["1", "long " * 100, "3"], context=100)
    steps = await gathered(ask(asking(model), THREAD, numbers(), parent=""))
    assert answered(steps) == {"u1": 1, "u3": 3}
    assert [step.why.key for step in steps if isinstance(step, Rejected)] == ["model.context-overflow"]


async def test_shrinking_asks_again_with_less_until_it_fits() -> None:
    """Only what does not fit is tried again; what was asked is then known to be asked again."""
    model = FakeModel(["1", "2"], context=90)
    tried: list[float] = []

    def attempt(factor: float) -> AsyncGenerator[Step[int]]:
        tried.append(factor)
        thread = (ChatMessage(Role.USER, "word " * int(200 * factor)),)
        return ask(asking(model, samples=2), thread, numbers(), parent="")

    steps = await gathered(shrinking(attempt))
    assert tried == [1.0, 0.6, 0.35]
    assert len(answered(steps)) == 2
    again = [step for step in steps if isinstance(step, Heard) and isinstance(step.what, Retried)]
    assert {step.reply for step in again} == {"u1/1", "u2/1"}
    with pytest.raises(ModelError):
        await gathered(shrinking(lambda _: ask(asking(FakeModel(context=1)), THREAD, numbers(), parent="")))


async def test_what_was_sent_is_shrunk_not_what_might_have_been() -> None:
    """A prompt far below the room that was thought to be there gets shorter too."""
    model = FakeModel([fake_trouble(Trouble.CONTEXT_OVERFLOW), "1"])
    tried: list[float] = []

    def attempt(factor: float) -> AsyncGenerator[Step[int]]:
        tried.append(factor)
        return ask(asking(model, samples=1), THREAD, numbers(), parent="")

    await gathered(shrinking(attempt, model=model, room=100_000))
    assert tried[0] == 1.0
    assert tried[1] == 4 / 100_000 * 0.6


async def test_other_trouble_never_shrinks_a_prompt() -> None:
    """A server that is out of memory gets the same prompt or none."""
    tried: list[float] = []

    def attempt(factor: float) -> AsyncGenerator[Step[int]]:
        tried.append(factor)
        model = FakeModel([fake_trouble(Trouble.OUT_OF_MEMORY)])
        return ask(asking(model, samples=1), THREAD, numbers(), parent="")

    with pytest.raises(ModelError):
        await gathered(shrinking(attempt))
    assert tried == [1.0]


async def test_a_branch_goes_on_in_its_own_thread() -> None:
    """A further turn has the branch's id, the next number, and the temperature of its sample."""
    model = FakeModel(["1", "2"])
    steps = await gathered(ask(asking(model, samples=2), THREAD, numbers(), parent="u1"))
    for step in [step for step in steps if isinstance(step, Answered)]:
        model = FakeModel(["no", "9"])
        thread = (*step.thread, ChatMessage(Role.USER, "and now?"))
        further = await gathered(go_on(asking(model), thread, numbers(), after=step))
        assert [one.replies for one in further if isinstance(one, Asked)] == [
            (f"{step.branch}/2",),
            (f"{step.branch}/3",),
        ]
        assert [one.parent for one in further if isinstance(one, Asked)] == ["u1", "u1"]
        assert model.requests[0].messages == thread
        assert model.requests[0].sampling.temperature == (0.3 if step.number == 1 else 0.8)
        assert answered(further) == {step.branch: 9}


async def test_replies_that_never_come_and_those_that_were_given_up_are_rejected() -> None:
    """A server that ends a request early, and a reply that nobody wants any more, are told."""

    class Short(FakeModel):
        """Leaves out the last reply of each request."""

        async def reply(
            self, request: ChatRequest, *, answer_now: asyncio.Event | None = None
        ) -> AsyncGenerator[Delta | Retried | Reply]:
            async for what in super().reply(request, answer_now=answer_now):
                if isinstance(what, Reply) and request.count > 1 and what.choice == request.count - 1:
                    return
                yield what

    model = Short([Line("1", finish=Finish.ABORTED), "2", "3"])
    steps = await gathered(ask(asking(model), THREAD, numbers(), parent=""))
    assert answered(steps) == {"u2": 2}
    assert {step.reply: step.why.key for step in steps if isinstance(step, Rejected)} == {
        "u1/1": "prompts.reply-aborted",
        "u3/1": "prompts.reply-missing",
    }


async def test_the_users_wish_for_an_answer_reaches_every_request() -> None:
    """`answer_now` is the run's, and repair turns hear of it as well."""
    now = asyncio.Event()
    model = FakeModel([Line("no", think="long"), Line("5", think="long")])
    wanting = Asking(model, samples=1, thinking_tokens=50, answer_tokens=50, answer_now=now)
    replies: list[Reply] = []
    async for step in ask(wanting, THREAD, numbers(), parent=""):
        if isinstance(step, Heard) and isinstance(step.what, Reply):
            replies.append(step.what)
            now.set()
    assert [reply.think for reply in replies] == ["long", ""]


async def test_streams_run_beside_each_other_and_end_with_the_last() -> None:
    """Generators added while others run are read too; an error of one closes all."""
    streams = Streams[int]()
    closed: list[int] = []

    async def count(start: int, *, fail: bool = False) -> AsyncGenerator[int]:
        try:
            for number in range(start, start + 3):
                yield number
                if number == 2:
                    streams.add(count(20))
                await asyncio.sleep(0)
            if fail:
                raise fake_trouble(Trouble.AUTH)
        finally:
            closed.append(start)

    streams.add(count(0))
    streams.add(count(10))
    assert sorted([item async for item in streams.items()]) == [0, 1, 2, 10, 11, 12, 20, 21, 22]
    assert sorted(closed) == [0, 10, 20]
    streams, closed[:] = Streams[int](), []
    streams.add(count(0, fail=True))
    streams.add(count(10))
    with pytest.raises(ModelError):
        [item async for item in streams.items()]
    assert {0, 10} <= set(closed)


def test_a_branchs_id_is_its_parents_and_its_own() -> None:
    """`u1` below nothing, `u1.l2` below it."""
    assert branch_id("", "u", 1) == "u1"
    assert branch_id("u1", "l", 2) == "u1.l2"
