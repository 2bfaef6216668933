"""A server on loopback that plays a script over real HTTP, and remembers what it was asked."""

import asyncio
import heapq
import json
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import cast

from thinklonger.agent.chat import Finish, Part
from thinklonger.agent.model.replay import wordings
from thinklonger.agent.model.replay.asked import Chat, Json, Seen, Unreadable, read_chat
from thinklonger.agent.model.replay.completions import Counted, Writer, verdict_listing, verdict_token
from thinklonger.agent.model.replay.products import TRAITS, Product, Several
from thinklonger.agent.model.replay.prompting import Cue, Prompter, Speechless
from thinklonger.agent.model.replay.script import Fault, FaultKind, Script, ScriptedReply
from thinklonger.agent.model.replay.sideways import answer_aside
from thinklonger.agent.model.replay.speaking import Voice
from thinklonger.agent.model.replay.tokens import PrefixCache, Vocabulary, render
from thinklonger.agent.model.replay.wire import Connection, Gone, HttpRequest

CHAT = "/v1/chat/completions"
_KNOWN_TO_STRICT = frozenset(
    "model messages stream stream_options max_tokens max_completion_tokens temperature top_p seed stop n logprobs "
    "top_logprobs response_format tools tool_choice generation_config frequency_penalty presence_penalty".split()
)
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


class Replay:
    """A running replay server."""

    def __init__(self, script: Script, product: Product) -> None:
        """Play the script in that product's way; `serve` opens the port."""
        self.script = script
        self.product = product
        self.traits = TRAITS[product]
        self.port = 0
        self.requests: list[Seen] = []
        """Chat requests in the order in which they came, questions and probes included."""
        self.calls: list[str] = []
        """Every request's method and path."""
        self.running = 0
        """Chat requests that are being answered or wait for a slot."""
        self.most_running = 0
        self.vocabulary = Vocabulary()
        self.cache = PrefixCache()
        self.prompter = Prompter(script)
        self.voices: dict[str, list[Voice]] = {}
        self.generated = 0
        self.computed = 0
        self._busy = 0
        self._changed = asyncio.Condition()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        """The base URL, as a client wants it: with `/v1`."""
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def texts(self) -> list[Seen]:
        """The requests for text only, in order."""
        return [seen for seen in self.requests if seen.number]

    async def idle(self) -> None:
        """Wait until nothing runs."""
        async with self._changed:
            await self._changed.wait_for(lambda: not self.running)

    def _accept(self) -> Connection:
        connection = Connection()
        task = asyncio.get_running_loop().create_task(self._converse(connection))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return connection

    async def end(self) -> None:
        """End all that runs."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _converse(self, connection: Connection) -> None:
        """Answer a connection's requests until its client leaves."""
        await connection.made.wait()
        leaving = asyncio.ensure_future(connection.gone.wait())
        try:
            while True:
                request = await connection.request()
                answering = asyncio.ensure_future(self._answer(request, connection))
                try:
                    await asyncio.wait({answering, leaving}, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    if not answering.done():
                        answering.cancel()
                    await asyncio.gather(answering, return_exceptions=True)
                if not answering.cancelled():
                    answering.result()
        except Gone:
            return
        finally:
            leaving.cancel()
            connection.close()

    async def _answer(self, request: HttpRequest, connection: Connection) -> None:
        self.calls.append(f"{request.method} {request.path}")
        try:
            body = json.loads(request.body) if request.body else {}
        except ValueError:
            await refuse(connection, wordings.bad_request("the body is not JSON"))
            return
        body = cast("Json", body) if isinstance(body, dict) else {}
        key = self.script.key
        if key and request.path != "/health" and request.headers.get("authorization") != f"Bearer {key}":
            await refuse(connection, wordings.refusal(FaultKind.AUTH, ""))
            return
        if request.path.startswith("/v1/") and request.path != CHAT:
            fault = self.prompter.fault("server", self.script.faults)
            if fault is not None and await self._refused(fault, connection, Seen(request.path, body)):
                return
        if (request.method, request.path) == ("POST", CHAT):
            await self._chat(body, connection)
        else:
            await answer_aside(self, request.method, request.path, body, connection)

    async def _chat(self, body: Json, connection: Connection) -> None:
        seen = Seen(CHAT, body)
        self.requests.append(seen)
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        try:
            await self._reply(seen, connection)
        except (Gone, asyncio.CancelledError):
            if seen.ended is None:
                seen.left = time.monotonic()
            raise
        finally:
            if seen.ended is None:
                seen.ended = time.monotonic()
            self.running -= 1
            await self._tell()

    async def _tell(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    async def _reply(self, seen: Seen, connection: Connection) -> None:
        """Read a chat request, find what it gets, and say it."""
        fault = self.prompter.fault("server", self.script.faults)
        if fault is not None and await self._refused(fault, connection, seen):
            return
        refusal = self._unfit(seen.body)
        if refusal is None:
            try:
                seen.chat = read_chat(seen.body, continues=self.traits.continues)
            except Unreadable as why:
                refusal = wordings.bad_request(str(why))
        if seen.chat is None:
            await refuse(connection, refusal, seen)
            return
        chat = seen.chat
        if refusal is None:
            refusal = self._measure(seen, chat)
        if refusal is not None:
            await refuse(connection, refusal, seen)
            return
        cue, listing = self._cue(seen, chat)
        if isinstance(cue, wordings.Refusal):
            await refuse(connection, cue, seen)
            return
        seen.rule, seen.replies = cue.rule, cue.places
        whole = False
        try:
            if cue.fault is not None and await self._refused(cue.fault, connection, seen):
                return
            await self._take_slots(len(cue.replies))
            try:
                whole = await Speech(self, seen, chat, cue, listing).run(connection)
            finally:
                self._busy -= len(cue.replies)
        finally:
            if not whole:
                self.prompter.take_back(cue)

    def _unfit(self, body: Json) -> wordings.Refusal | None:
        model = str(body.get("model") or "")
        if self.traits.strict and (unknown := sorted(set(body) - _KNOWN_TO_STRICT)):
            return wordings.unknown_fields(unknown)
        if self.traits.names and model and model not in (self.script.model, *self.script.adapters):
            return wordings.refusal(FaultKind.NO_MODEL, model)
        return None

    def _measure(self, seen: Seen, chat: Chat) -> wordings.Refusal | None:
        """Count the prompt, look it up in the cache, and refuse what does not fit."""
        slots = self.script.slots
        if self.traits.several is Several.SLOTS and slots and chat.count > slots:
            return wordings.bad_request(f"n_cmpl cannot be greater than the number of slots, got {chat.count}")
        seen.prompt = render(chat.turns, goes_on=chat.goes_on)
        tokens = self.vocabulary.encode(seen.prompt)
        output = chat.most if chat.most is not None else 1
        context = self.script.context
        if len(tokens) + (output if self.traits.fits else 1) > context:
            if not self.traits.truncates:
                return wordings.overflow(self.traits.wording, prompt=len(tokens), output=output, context=context)
            tokens = tokens[-context + 1 :]
        seen.tokens = len(tokens)
        seen.cached = self.cache.look_up(tokens, chat.model or self.script.model)
        self.computed += seen.tokens - seen.cached
        return None

    def _cue(self, seen: Seen, chat: Chat) -> tuple[Cue | wordings.Refusal, list[object] | None]:
        """What the request gets: a verdict on a question, the probe's reply, or what a rule holds."""
        if chat.small:
            probability, fault = self.prompter.score(chat.whole, chat.model)
            asked = chat.question and self.traits.logprobs
            if probability is None and not asked:
                return Cue(replies=(self.script.probe,) * self._count(chat)), None
            probability = self.script.unscored if probability is None else probability
            yes = probability >= 0.5 if asked else self.prompter.verdict(chat.whole, probability)  # noqa: PLR2004 (even)
            reply = ScriptedReply(answer=verdict_token(yes=yes).text)
            listing = verdict_listing(probability, chat.logprobs) if asked else None
            return Cue(replies=(reply,) * self._count(chat), fault=fault), listing
        seen.number = self.prompter.number()
        try:
            return self.prompter.cue(chat, number=seen.number, count=self._count(chat)), None
        except Speechless as why:
            return wordings.bad_request(str(why)), None

    def _count(self, chat: Chat) -> int:
        return 1 if self.traits.several is Several.IGNORED else chat.count

    async def _refused(self, fault: Fault, connection: Connection, seen: Seen) -> bool:
        """Do what a fault does before any text; whether that was all."""
        seen.fault = fault.kind.value
        if fault.kind is FaultKind.OVERFLOW:
            wording = fault.wording or self.traits.wording
            context = self.script.context
            refusal = wordings.overflow(wording, prompt=context + 1000, output=1000, context=context)
        else:
            refusal = wordings.refusal(fault.kind, str(seen.body.get("model") or ""))
        if refusal is not None:
            headers = {"retry-after": f"{fault.seconds:g}"} if fault.kind is FaultKind.RATE and fault.seconds else {}
            await refuse(connection, refusal, seen, headers)
            return True
        if fault.kind is FaultKind.REFUSED:
            seen.ended = time.monotonic()
            connection.abort()
            return True
        if fault.kind is FaultKind.SLOW:
            await asyncio.sleep(fault.seconds)
        return False

    async def _take_slots(self, count: int) -> None:
        slots = self.script.slots
        async with self._changed:
            await self._changed.wait_for(lambda: not slots or not self._busy or self._busy + count <= slots)
            self._busy += count


class Speech:
    """One request's replies on their way to its client."""

    def __init__(self, replay: Replay, seen: Seen, chat: Chat, cue: Cue, listing: list[object] | None) -> None:
        """Give each choice its voice."""
        self._replay = replay
        self._seen = seen
        self._chat = chat
        self._fault = cue.fault if cue.fault is not None and cue.fault.kind in _MIDWAY else None
        self._empty = cue.fault is not None and cue.fault.kind is FaultKind.EMPTY
        self._listing = listing
        room = replay.script.context - seen.tokens
        if listing is not None or self._empty:
            chat = replace(chat, thinks=False)
        self._voices = [
            Voice(reply, chat, replay.traits, seed=1000 * (place + 1), room=room)
            for place, reply in zip(cue.places or range(len(cue.replies)), cue.replies, strict=True)
        ]
        self._id = f"chatcmpl-{len(replay.requests)}"
        self._writer = Writer(self._id, chat.model or replay.script.model, self._chat, replay.traits, int(time.time()))
        self._parts: dict[Part, int] = {Part.THINK: 0, Part.ANSWER: 0}

    async def run(self, connection: Connection) -> bool:
        """Say everything; whether the client has it whole. Raises Gone."""
        self._replay.voices[self._id] = self._voices
        try:
            if self._chat.stream:
                await connection.begin()
                for choice in range(len(self._voices)):
                    await connection.event(self._writer.opening(choice))
            if not await self._speak(connection):
                return False
            await self._finish(connection)
        finally:
            del self._replay.voices[self._id]
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
            events = self._writer.delta(choice, tokens[:kept], self._listing)
            self._seen.sent += kept
            self._replay.generated += kept
            finish = Finish.STOP if self._empty else voice.finish
            if finish is not None and not broken:
                events.append(self._writer.closing(choice, finish))
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
                await connection.raw(b'data: {"choices": [\xff\xfe\x00\n\n\x89PNG<html>502</html>\n\n')
                await connection.end()
            case FaultKind.STREAM_ERROR if self._chat.stream:
                await connection.event(wordings.stream_error())
                await connection.raw(b"data: [DONE]\n\n")
                await connection.end()
            case FaultKind.UNFINISHED if self._chat.stream:
                await connection.end()
            case _:
                connection.abort()
        self._seen.ended = time.monotonic()

    async def _finish(self, connection: Connection) -> None:
        counted = Counted(
            self._seen.tokens,
            self._seen.cached,
            sum(voice.thought for voice in self._voices),
            sum(voice.said for voice in self._voices),
        )
        if not self._chat.stream:
            self._seen.ended = time.monotonic()
            await connection.answer_json(200, self._writer.whole(counted))
            return
        if self._chat.usage or self._replay.traits.usage:
            await connection.event(self._writer.usage_event(counted))
        self._seen.ended = time.monotonic()
        await connection.raw(b"data: [DONE]\n\n")
        await connection.end()


async def refuse(
    connection: Connection,
    refusal: wordings.Refusal | None,
    seen: Seen | None = None,
    headers: dict[str, str] | None = None,
) -> None:
    if refusal is None:
        return
    if seen is not None:
        seen.status = refusal.status
        seen.ended = time.monotonic()
    await connection.answer_json(refusal.status, refusal.body, headers)


@asynccontextmanager
async def serve(script: Script, *, dialect: Product = Product.VLLM, port: int = 0) -> AsyncGenerator[Replay]:
    """Play a script on loopback until the context ends; `port` 0 takes a free one. Raises OSError."""
    replay = Replay(script, dialect)
    server = await asyncio.get_running_loop().create_server(replay._accept, "127.0.0.1", port)
    replay.port = server.sockets[0].getsockname()[1]
    try:
        yield replay
    finally:
        server.close()
        await replay.end()
