"""A request's replies on their way to its client: each choice at its own pace, until the end or until a fault."""

import asyncio
import heapq
import time
from collections.abc import Sequence
from dataclasses import replace

from thinklonger.agent.chat import Finish, Part
from thinklonger.agent.model.replay import wordings
from thinklonger.agent.model.replay.asked import Chat, Seen
from thinklonger.agent.model.replay.completions import Counted, Writer
from thinklonger.agent.model.replay.prompting import Cue
from thinklonger.agent.model.replay.script import Fault, FaultKind
from thinklonger.agent.model.replay.speaking import Voice
from thinklonger.agent.model.replay.state import State
from thinklonger.agent.model.replay.wire import Connection, Gone

_MIDWAY = frozenset(
    {
        FaultKind.SILENCE,
        FaultKind.GARBAGE,
        FaultKind.CUT_THINK,
        FaultKind.CUT_ANSWER,
        FaultKind.UNFINISHED,
        FaultKind.STREAM_ERROR,
    }
)
_GARBAGE = b'data: {"choices": [\xff\xfe\x00\n\n\x89PNG<html>502</html>\n\n'
_DONE = b"data: [DONE]\n\n"


class Speech:
    """One request's replies on their way to its client."""

    def __init__(self, state: State, seen: Seen, *, chat: Chat, cue: Cue) -> None:
        """Give each choice its voice."""
        self._state = state
        self._seen = seen
        self._chat = chat
        self._fault = cue.fault if cue.fault is not None and cue.fault.kind in _MIDWAY else None
        self._empty = cue.fault is not None and cue.fault.kind is FaultKind.EMPTY
        self._listing = list(cue.listing) if cue.listing else None
        room = state.script.context - seen.tokens
        if self._listing is not None or self._empty:
            chat = replace(chat, thinks=False)
        self._voices = [
            Voice(reply, chat, state.traits, seed=1000 * (place + 1), room=room)
            for place, reply in zip(cue.places or range(len(cue.replies)), cue.replies, strict=True)
        ]
        self._id = f"chatcmpl-{seen.place}"
        self._writer = Writer(self._id, chat.model or state.script.model, self._chat, state.traits, int(time.time()))
        self._parts: dict[Part, int] = {Part.THINK: 0, Part.ANSWER: 0}

    async def run(self, connection: Connection) -> bool:
        """Say everything; whether the client has it whole. Raises Gone."""
        self._state.voices[self._id] = self._voices
        try:
            if self._chat.stream:
                await connection.begin()
                for choice in range(len(self._voices)):
                    await connection.event(self._writer.opening(choice))
            if not await self._speak(connection):
                return False
            await self._finish(connection)
        finally:
            del self._state.voices[self._id]
        return True

    async def _speak(self, connection: Connection) -> bool:
        """Chunk after chunk, each choice at its own pace; whether no fault broke it."""
        clock = asyncio.get_running_loop().time
        start = clock()
        due = [(voice.delay, choice) for choice, voice in enumerate(self._voices)]
        heapq.heapify(due)
        while due:
            moment, choice = heapq.heappop(due)
            await asyncio.sleep(max(start + moment - clock(), 0))
            voice = self._voices[choice]
            tokens = [] if self._empty else voice.chunk()
            broken = False
            kept = len(tokens)
            if self._fault is not None:
                kept, broken = self._until_fault(self._fault, [token.part for token in tokens])
            events = self._writer.delta(choice, tokens[:kept], self._counted([voice]), listing=self._listing)
            self._seen.sent += kept
            self._state.generated += kept
            finish = Finish.STOP if self._empty else voice.finish
            if finish is not None and not broken:
                self._writer.close(choice, finish, events)
            elif not broken:
                heapq.heappush(due, (moment + voice.pace, choice))
            if self._chat.stream:
                for event in events:
                    await connection.event(event)
            if broken and self._fault is not None:
                await self._break(self._fault, connection)
                return False
        if self._fault is not None:
            await self._break(self._fault, connection)
            return False
        return True

    def _until_fault(self, fault: Fault, parts: list[Part]) -> tuple[int, bool]:
        """How many tokens of a chunk are still sent before the fault, and whether it comes then."""
        wanted = {FaultKind.CUT_THINK: Part.THINK, FaultKind.CUT_ANSWER: Part.ANSWER}.get(fault.kind)
        for place, part in enumerate(parts):
            met = sum(self._parts.values()) if wanted is None else self._parts[wanted]
            over = wanted is Part.THINK and part is Part.ANSWER
            if over or (met >= fault.tokens and (wanted is None or part is wanted)):
                return place, True
            self._parts[part] += 1
        return len(parts), False

    async def _break(self, fault: Fault, connection: Connection) -> None:
        """Do what a fault does midway."""
        self._seen.fault = fault.kind.value
        match fault.kind:
            case FaultKind.SILENCE:
                await connection.gone.wait()
                raise Gone
            case FaultKind.GARBAGE if self._chat.stream:
                await connection.raw(_GARBAGE)
                await connection.end()
            case FaultKind.STREAM_ERROR if self._chat.stream:
                await connection.event(wordings.stream_error())
                await connection.raw(_DONE)
                await connection.end()
            case FaultKind.UNFINISHED if self._chat.stream:
                await connection.end()
            case _:
                connection.abort()
        self._seen.ended = time.monotonic()

    def _counted(self, voices: Sequence[Voice]) -> Counted:
        thought, said = sum(voice.thought for voice in voices), sum(voice.said for voice in voices)
        return Counted(self._seen.tokens, self._seen.cached, thought, said)

    async def _finish(self, connection: Connection) -> None:
        counted = self._counted(self._voices)
        if not self._chat.stream:
            self._seen.ended = time.monotonic()
            await connection.answer_json(200, self._writer.whole(counted))
            return
        if self._chat.usage or self._state.traits.usage:
            await connection.event(self._writer.usage_event(counted))
        self._seen.ended = time.monotonic()
        await connection.raw(_DONE)
        await connection.end()
