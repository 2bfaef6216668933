"""One request's way to its replies: streams, retries, thinking closed by force, and the account of tokens."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from dataclasses import dataclass, field, replace
from enum import Enum

import msgspec

from thinklonger.agent.chat import ChatRequest, Closing, Delta, Finish, Reply, Retried, Trouble
from thinklonger.agent.model import bodies
from thinklonger.agent.model.bodies import Asked
from thinklonger.agent.model.channel import Channel
from thinklonger.agent.model.closing import asked_again, begun
from thinklonger.agent.model.counting import estimate
from thinklonger.agent.model.draft import Draft
from thinklonger.agent.model.known import Known
from thinklonger.agent.model.mailbox import Mailbox
from thinklonger.agent.model.thinking import Start
from thinklonger.agent.model.troubles import Failure, limits, wait
from thinklonger.agent.model.wire import CHUNKS, Choice, Chunk, Counted, Json, Lines, stream_failure, unreadable

Given = Delta | Retried | Reply

_FINISHES = {"length": Finish.LENGTH, "max_tokens": Finish.LENGTH, "abort": Finish.ABORTED}
_FATAL = frozenset({Trouble.AUTH, Trouble.MODEL_NOT_FOUND, Trouble.CONTEXT_OVERFLOW, Trouble.BAD_PARAMETER})
_LEAST_ROOM = 64
"""Tokens that must be left for a reply; with less, the prompt is too long."""

_MARGIN = 16
_NEARLY = 0.9
"""Of a budget that the server keeps itself: so much thinking was closed by it, shares of a count being estimates."""

_SECOND_THOUGHTS = 1024
"""Tokens that a model which was asked to answer may still think."""

_AFTER_DONE_SECONDS = 0.2
_CONTROL_SECONDS = 5.0
_CLOSE_SECONDS = 1.0


class Mode(Enum):
    """What a stream is for: replies as asked; the answer after closed thinking, in the same turn or by a new one."""

    WHOLE = "whole"
    CONTINUED = "continued"
    ASKED_AGAIN = "asked-again"


@dataclass(slots=True)
class Lane:
    """One HTTP request and the replies that it brings, by their index in it."""

    drafts: tuple[Draft, ...]
    mode: Mode = Mode.WHOLE
    most: int | None = None
    id: str = ""
    total: Counted | None = None
    done: bool = False
    gone: set[int] = field(default_factory=set[int])
    emitted: int = 0
    prompt: int = 0
    body: dict[str, Json] = field(default_factory=dict[str, Json])
    task: "asyncio.Task[None] | None" = None

    @property
    def live(self) -> list[Draft]:
        """The replies that are still to come by this request."""
        return [draft for draft in self.drafts if draft.choice not in self.gone and not draft.settled]

    def restart(self) -> None:
        """Begin once more, for the replies that are still to come."""
        self.drafts = tuple(self.live)
        self.gone.clear()
        self.id, self.total, self.done, self.emitted = "", None, False, 0


@dataclass(frozen=True, slots=True)
class Plan:
    """What a request may use: its prompt's tokens, and how many thinking and answer may have."""

    prompt: int
    thinking: int
    answer: int


class Round:
    """One call of `ServedModel.reply`."""

    def __init__(self, request: ChatRequest, plan: Plan, *, channel: Channel, known: Known, retries: int) -> None:
        """Send nothing yet."""
        model = request.model or known.facts.model
        self._request = request
        self._channel = channel
        self._known = known
        self._model = model
        self._retries = retries
        self._plan = plan
        self._mailbox: Mailbox[Given] = Mailbox()
        self._tasks: set[asyncio.Task[None]] = set()
        self._lanes: list[Lane] = []
        start = known.begins(model) if plan.thinking else Start.ANSWER
        self._drafts = [Draft(choice, request.sampling.seed + choice, start) for choice in range(request.count)]
        self._failures: list[Failure] = []
        self._failed: list[Draft] = []
        self._replied = 0
        self._hurried = False

    def begin(self, answer_now: asyncio.Event | None) -> None:
        """Open the streams: as few as the server's way of giving several replies allows."""
        self._hurried = answer_now is not None and answer_now.is_set()
        most = self._known.at_once or len(self._drafts)
        for first in range(0, len(self._drafts), most):
            self._open(Lane(tuple(self._drafts[first : first + most])))
        if answer_now is not None and not self._hurried:
            self._spawn(self._hurry(answer_now))

    async def take(self) -> list[Given]:
        """What has come since, at least one item; none once every reply is whole.

        Raises Failure where no reply could be had, or where no retry can help.
        """
        return await self._mailbox.take()

    async def stop(self) -> None:
        """Close every connection that is still open, at once."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=_CLOSE_SECONDS)

    # ── beginning and ending ─────────────────────────────────────────────────────────────────────────────────────

    def _open(self, lane: Lane) -> None:
        self._lanes.append(lane)
        lane.task = self._spawn(self._run(lane))

    def _spawn(self, work: Coroutine[None, None, None]) -> "asyncio.Task[None]":
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: "asyncio.Task[None]") -> None:
        """Hand over what a task died of: it can only be a defect of ours."""
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._mailbox.close(error)

    def _settle(self, draft: Draft, reply: Reply | None) -> None:
        """Nothing more comes of a reply; after the last one, the round is over."""
        if draft.settled:
            return
        draft.settled = True
        if reply is not None:
            self._replied += 1
            self._mailbox.post(reply)
        if not all(each.settled for each in self._drafts):
            return
        if not self._replied:
            self._mailbox.close(self._failures[0])
            return
        for failed in self._failed:  # beside others that came they are told as cut: who asks for many gets as many
            self._mailbox.post(failed.reply(Finish.CUT))
        self._mailbox.close()

    # ── one stream, with its retries ─────────────────────────────────────────────────────────────────────────────

    async def _run(self, lane: Lane) -> None:
        """Bring a lane's replies, however often it takes."""
        while lane.live:
            if self._hurried and lane.mode is Mode.WHOLE:  # nothing begins to think after the wish for an answer
                for draft in lane.live:
                    draft.closing = Closing.ANSWER_NOW
                    self._part(lane, draft)
                return
            try:
                await self._read(lane)
                self._finish_all(lane)
            except Failure as failure:
                if not await self._mend(lane, failure):
                    return

    async def _mend(self, lane: Lane, failure: Failure) -> bool:
        """Make the lane ready for one more attempt, after a wait; False: there is none."""
        drafts = lane.live
        if not drafts:
            return False
        adjusted = self._adjust(lane, failure)
        if adjusted:
            pause: float | None = 0.0
        elif failure.trouble is Trouble.UNREACHABLE and not self._channel.answered:
            pause = None
        else:
            attempt = max(draft.attempts for draft in drafts) + 1
            pause = wait(failure, attempt, retries=self._retries, seed=drafts[0].seed)
        if pause is None:
            self._give_up(lane, failure)
            return False
        for draft in drafts:
            draft.attempts += 0 if adjusted else 1
            draft.restart()
            if failure.trouble is Trouble.EMPTY:
                draft.seed += 7919
            self._mailbox.post(Retried(failure.trouble, draft.attempts, pause, failure.detail, draft.choice))
        if pause:
            await asyncio.sleep(pause)
        lane.restart()
        if lane.mode is Mode.WHOLE and self._known.at_once and len(lane.drafts) > self._known.at_once:
            self._split(lane)
        return True

    def _split(self, lane: Lane) -> None:
        """Ask by more requests for what one request was refused for."""
        most = self._known.at_once or 1
        drafts = lane.drafts
        lane.drafts = drafts[:most]
        for first in range(most, len(drafts), most):
            self._open(Lane(drafts[first : first + most]))

    def _adjust(self, lane: Lane, failure: Failure) -> bool:
        """Learn from a refusal how to ask so that it is taken; what is learnt is remembered for the whole server."""
        if failure.trouble is Trouble.CONTEXT_OVERFLOW:
            return self._shorten(lane, failure)
        if failure.trouble is not Trouble.BAD_PARAMETER:
            return False
        known = self._known
        if lane.mode is Mode.CONTINUED:
            known.refused.add("continue_final_message")
            return False
        names = bodies.to_leave_out(lane.body, failure.whole, refused=known.refused)
        known.refused.update(names)
        if not names and len(lane.drafts) > 1:
            known.at_once = max(1, len(lane.drafts) // 2)
            return True
        return bool(names)

    def _shorten(self, lane: Lane, failure: Failure) -> bool:
        """Ask for less output, once, where the prompt fits and only prompt and output together do not."""
        context, prompt = limits(failure.whole)
        known = self._known
        if context is not None and context < known.context:  # less than was told or assumed
            known.context, known.facts = context, replace(known.facts, context=context)
        if context is None or prompt is None or lane.most is not None:
            return False
        lane.most = context - prompt - _MARGIN
        return lane.most >= min(_LEAST_ROOM, self._plan.answer)

    def _give_up(self, lane: Lane, failure: Failure) -> None:
        """No attempt is left: what there is of a reply counts, if it has an answer; else the failure does."""
        for draft in lane.live:
            if lane.mode is Mode.CONTINUED:
                lane.gone.add(draft.choice)
                self._answer(draft, Mode.ASKED_AGAIN)
                continue
            self._flush(draft)
            reply = draft.reply(Finish.CUT)
            if reply.answer and failure.trouble not in _FATAL:
                self._settle(draft, reply)
                continue
            self._failures.append(failure)
            self._failed.append(draft)
            if failure.trouble in _FATAL and lane.mode is Mode.WHOLE:
                self._mailbox.close(failure)
                return
            self._settle(draft, None)

    # ── reading ──────────────────────────────────────────────────────────────────────────────────────────────────

    async def _read(self, lane: Lane) -> None:
        """Send the request and read its stream to the end, or until nothing of it is wanted; raises Failure."""
        lane.body = bodies.body_of(self._asked(lane), model=self._model, refused=self._known.refused)
        url = self._channel.address.api("/chat/completions")
        async with self._channel.stream(url, lane.body) as response:
            if response.headers.get("content-type", "").startswith("application/json"):
                whole = b"".join([piece async for piece in response.aiter_raw()])
                self._take(lane, whole)
                lane.done = True
                return
            lines = Lines()
            stream = response.aiter_raw()
            async for data in stream:
                for line in lines.feed(data):
                    self._take(lane, line)
                if lane.done:
                    await _drain(stream)
                    return
                if not lane.live:
                    return
                if self._mailbox.full:
                    await self._mailbox.room()
            for line in lines.end():
                self._take(lane, line)
        if not lane.done and any(draft.finish is None for draft in lane.live):
            raise Failure(Trouble.STREAM_CUT, "the stream ended before the reply did")

    def _take(self, lane: Lane, line: bytes) -> None:
        """Take one event; raises Failure."""
        if line == b"[DONE]":
            lane.done = True
            return
        try:
            chunk = CHUNKS.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise unreadable(line) from None
        if len(chunk.error) and bytes(chunk.error) != b"null":
            raise stream_failure(bytes(chunk.error))
        choices = chunk.choices
        if not choices:
            lane.total = chunk.usage or lane.total
            return
        if not lane.id and chunk.id:
            lane.id = chunk.id
        for choice in choices:
            self._take_choice(lane, choice, chunk)

    def _take_choice(self, lane: Lane, choice: Choice, chunk: Chunk) -> None:
        """Take what came for one reply."""
        if not 0 <= choice.index < len(lane.drafts):
            return
        draft = lane.drafts[choice.index]
        if draft.settled or draft.choice in lane.gone:
            return
        if chunk.usage is not None:
            draft.tally.counted = chunk.usage
        text = choice.delta or choice.message
        if text is not None:
            for part, piece in draft.feed(text):
                self._mailbox.post(Delta(draft.choice, part, piece))
        if choice.finish_reason:
            draft.finish = _FINISHES.get(choice.finish_reason, Finish.STOP)
            if len(lane.live) > 1:
                self._finish(lane, draft)
        else:
            self._watch(lane, draft)

    def _watch(self, lane: Lane, draft: Draft) -> None:
        """Close the thinking of a reply that has thought enough, or goes in circles."""
        if not draft.thinking or draft.finish is not None:
            return
        if lane.mode is not Mode.WHOLE:
            if draft.over(_SECOND_THOUGHTS):
                draft.finish = Finish.LENGTH
                self._finish(lane, draft)
            return
        if draft.closing is None:
            if draft.circle is not None:
                self._close(lane, draft, Closing.REPETITION)
            elif draft.over(self._plan.thinking):
                self._close(lane, draft, Closing.BUDGET)
        elif draft.controlled and draft.over(self._plan.thinking + _LEAST_ROOM):
            self._part(lane, draft)

    def _finish_all(self, lane: Lane) -> None:
        """The stream is over: the replies that are left in it are whole. Raises Failure for an empty one."""
        for draft in lane.live:
            draft.finish = draft.finish or Finish.STOP
            self._finish(lane, draft)
        for draft in lane.drafts:
            if not draft.settled and draft.choice not in lane.gone:
                raise Failure(Trouble.EMPTY, "a reply without a word")

    def _finish(self, lane: Lane, draft: Draft) -> None:
        """One reply of a lane has come to its end: settle it, or ask for the answer that it does not have."""
        self._flush(draft)
        if draft.unopened:
            self._known.starts[self._model] = Start.THINKING
        elif draft.thinking and draft.finish is Finish.STOP:
            self._known.starts.pop(self._model, None)  # what one reply taught may not hold for the next
        if draft.empty and not draft.earlier:
            return
        self._account(lane, draft)
        finish = draft.finish or Finish.STOP
        reply = draft.reply(finish)
        own = "thinking_token_budget" in lane.body and reply.usage.counted  # the server may have closed it itself
        if own and draft.closing is None and reply.usage.thinking >= max(_NEARLY * self._plan.thinking - 4, 1):
            draft.closing = Closing.BUDGET
            reply = draft.reply(finish)
        if reply.answer:
            self._settle(draft, reply)
            return
        if draft.asked and lane.mode is Mode.ASKED_AGAIN:
            self._settle(draft, reply)
            return
        lane.gone.add(draft.choice)
        if draft.closing is None and finish is Finish.LENGTH:
            draft.closing = Closing.BUDGET
        self._answer(draft, Mode.ASKED_AGAIN if draft.asked else self._way(draft))

    def _flush(self, draft: Draft) -> None:
        """Give out what a reply had held back."""
        for part, piece in draft.end():
            self._mailbox.post(Delta(draft.choice, part, piece))

    def _account(self, lane: Lane, draft: Draft) -> None:
        """Close a reply's account for this stream."""
        counted, exact = draft.tally.counted, True
        if len(lane.drafts) == 1:
            counted = lane.total or counted
        elif counted is None and lane.total is not None and len(lane.live) == 1:
            rest = max(lane.total.completion_tokens - lane.emitted, 0)  # of all replies together: what is left of it
            counted = msgspec.structs.replace(lane.total, completion_tokens=rest, completion_tokens_details=None)
            exact = False
        shared = draft is not lane.drafts[0]
        usage = draft.count(counted, prompt=lane.prompt, shared=shared, exact=exact)
        lane.emitted += usage.thinking + usage.answer

    # ── closing thinking ─────────────────────────────────────────────────────────────────────────────────────────

    async def _hurry(self, answer_now: asyncio.Event) -> None:
        """Wait for the wish to have answers now; then close the thinking of every reply that still thinks."""
        await answer_now.wait()
        self._hurried = True
        for lane in list(self._lanes):
            if lane.mode is not Mode.WHOLE:
                continue
            for draft in lane.live:
                if draft.thinking and draft.closing is None and draft.finish is None:
                    self._close(lane, draft, Closing.ANSWER_NOW)
            if not lane.live and lane.task is not None:
                lane.task.cancel()

    def _close(self, lane: Lane, draft: Draft, closing: Closing) -> None:
        """Close a reply's thinking: in the running request where the server can, else by a new one."""
        draft.closing = closing
        if self._known.controls and lane.id and len(lane.drafts) == 1 and closing is not Closing.REPETITION:
            draft.controlled = True
            self._spawn(self._control(lane, draft))
            return
        self._part(lane, draft)

    async def _control(self, lane: Lane, draft: Draft) -> None:
        """Have the server end the thinking of a running request."""
        url = self._channel.address.api("/chat/completions/control")
        try:
            async with asyncio.timeout(_CONTROL_SECONDS):
                await self._channel.post(url, {"id": lane.id, "action": "reasoning_end"})
        except (Failure, TimeoutError):
            self._known.controls = False
            if draft.thinking and not draft.settled and draft.choice not in lane.gone:
                self._part(lane, draft)
                if not lane.live and lane.task is not None:
                    lane.task.cancel()

    def _part(self, lane: Lane, draft: Draft) -> None:
        """Leave the stream that a reply came by, and ask for its answer by another."""
        lane.gone.add(draft.choice)
        draft.count(draft.tally.counted, prompt=lane.prompt, shared=draft is not lane.drafts[0])
        self._answer(draft, self._way(draft))

    def _way(self, draft: Draft) -> Mode:
        """How the answer is asked for."""
        known = self._known
        fits = self._plan.prompt + self._think_tokens(draft) + self._plan.answer + _MARGIN <= known.context
        able = known.facts.continues and "continue_final_message" not in known.refused
        return Mode.CONTINUED if able and fits else Mode.ASKED_AGAIN

    @staticmethod
    def _think_tokens(draft: Draft) -> int:
        usage = draft.usage
        return 0 if usage is None else usage.thinking + usage.answer

    def _answer(self, draft: Draft, mode: Mode) -> None:
        """Open a stream that brings the answer to the thinking so far."""
        draft.asked = True
        draft.go_on(answers_only=mode is Mode.CONTINUED)
        self._open(Lane((draft,), mode))

    def _asked(self, lane: Lane) -> Asked:
        """What a lane's request asks for."""
        request, plan = self._request, self._plan
        first = lane.drafts[0]
        match lane.mode:
            case Mode.WHOLE:
                lane.prompt = plan.prompt
                limit = self._within(plan.prompt, plan.thinking + plan.answer, lane)
                return Asked(
                    request.messages,
                    request.sampling,
                    first.seed,
                    limit,
                    count=len(lane.drafts),
                    thinking=plan.thinking or None,
                    thinks=plan.thinking > 0,
                    control=self._known.controls,
                )
            case Mode.CONTINUED:
                messages = begun(request.messages, first.earlier)
                lane.prompt = plan.prompt + self._think_tokens(first)
                limit = self._within(lane.prompt, plan.answer, lane)
                return Asked(messages, request.sampling, first.seed, limit, goes_on=True)
            case Mode.ASKED_AGAIN:
                messages = asked_again(request.messages, first.earlier)
                added = messages[len(request.messages) :]
                lane.prompt = plan.prompt + estimate(added)
                limit = self._within(lane.prompt, plan.answer + _SECOND_THOUGHTS, lane)
                return Asked(messages, request.sampling, first.seed, limit, thinks=False)

    def _within(self, prompt: int, wanted: int, lane: Lane) -> int:
        """An output limit that fits beside the prompt."""
        room = self._known.context - prompt - _MARGIN
        limit = max(min(wanted, room), min(_LEAST_ROOM, wanted))
        return limit if lane.most is None else max(1, min(limit, lane.most))


async def _drain(stream: AsyncIterator[bytes]) -> None:
    """Read what follows the last event, so that the connection can be used again; not for long."""
    try:
        async with asyncio.timeout(_AFTER_DONE_SECONDS):
            async for _ in stream:
                pass
    except TimeoutError:
        return
