"""A server on loopback that plays a script over real HTTP, and remembers what it was asked."""

import asyncio
import json
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import cast

from thinklonger.agent.model.replay import wordings
from thinklonger.agent.model.replay.asked import Chat, Json, Seen, UnreadableError, read_chat
from thinklonger.agent.model.replay.completions import verdict_listing, verdict_token
from thinklonger.agent.model.replay.products import Product, Several
from thinklonger.agent.model.replay.prompting import Cue, Prompter, SpeechlessError
from thinklonger.agent.model.replay.script import Fault, FaultKind, Script, ScriptedReply
from thinklonger.agent.model.replay.sideways import answer_aside
from thinklonger.agent.model.replay.speech import Speech
from thinklonger.agent.model.replay.state import DEFAULT_SLOTS, State
from thinklonger.agent.model.replay.tokens import render
from thinklonger.agent.model.replay.wire import Connection, Gone, HttpRequest

CHAT = "/v1/chat/completions"
_EVEN = 0.5
_KNOWN_TO_STRICT = frozenset(
    {
        "model",
        "messages",
        "stream",
        "stream_options",
        "max_tokens",
        "max_completion_tokens",
        "temperature",
        "top_p",
        "seed",
        "stop",
        "n",
        "logprobs",
        "top_logprobs",
        "response_format",
        "tools",
        "tool_choice",
        "generation_config",
        "frequency_penalty",
        "presence_penalty",
    }
)


class Replay:
    """A running replay server."""

    def __init__(self, script: Script, product: Product) -> None:
        """Play the script in that product's way; `serve` opens the port."""
        self.port = 0
        self.requests: list[Seen] = []
        """Chat requests in the order in which they came, questions and probes included."""
        self.calls: list[str] = []
        """Every request's method and path."""
        self.most_running = 0
        self.state = State(script, product, Prompter(script))
        self._script = script
        self._busy = 0
        self._changed = asyncio.Condition()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        """The base URL, as a client wants it: with `/v1`."""
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def running(self) -> int:
        """Chat requests that are being answered or wait for a slot."""
        return self.state.running

    @property
    def texts(self) -> list[Seen]:
        """The requests for text only, in order."""
        return [seen for seen in self.requests if seen.number]

    @property
    def unspoken(self) -> list[tuple[int, int]]:
        """What no client has got: rule and place of each reply that is left."""
        return self.state.prompter.left()

    async def idle(self) -> None:
        """Wait until nothing runs."""
        async with self._changed:
            await self._changed.wait_for(lambda: not self.running)

    def accept(self) -> Connection:
        """A new client's connection, answered from now on."""
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
            loaded: object = json.loads(request.body) if request.body else None
        except ValueError:
            await refuse(connection, wordings.bad_request("the body is not JSON"))
            return
        body: Json = cast("dict[str, object]", loaded) if isinstance(loaded, dict) else {}
        seen = Seen(request.path, body)
        chat = (request.method, request.path) == ("POST", CHAT)
        if chat:
            self.requests.append(seen)
            seen.place = len(self.requests)
        if self._locked(request):
            await refuse(connection, wordings.refusal(FaultKind.AUTH, ""), seen)
            return
        fault = self.state.prompter.fault("server", self._script.faults) if request.path.startswith("/v1/") else None
        if fault is not None and await self._refused(fault, connection, seen):
            return
        if chat:
            await self._chat(seen, connection)
        else:
            await answer_aside(self.state, connection, method=request.method, path=request.path, body=body)

    def _locked(self, request: HttpRequest) -> bool:
        key = self._script.key
        return bool(key) and request.path != "/health" and request.headers.get("authorization") != f"Bearer {key}"

    async def _chat(self, seen: Seen, connection: Connection) -> None:
        self.state.running += 1
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
            self.state.running -= 1
            async with self._changed:
                self._changed.notify_all()

    async def _reply(self, seen: Seen, connection: Connection) -> None:
        """Read a chat request, find what it gets, and say it."""
        found = self._read(seen)
        if isinstance(found, wordings.Refusal):
            await refuse(connection, found, seen)
            return
        chat, cue = found
        seen.rule, seen.replies = cue.rule, cue.places
        whole = False
        try:
            if cue.fault is not None and await self._refused(cue.fault, connection, seen):
                return
            await self._take_slots(len(cue.replies))
            try:
                whole = await Speech(self.state, seen, chat=chat, cue=cue).run(connection)
            finally:
                self._busy -= len(cue.replies)
        finally:
            if not whole:
                self.state.prompter.take_back(cue)

    def _read(self, seen: Seen) -> tuple[Chat, Cue] | wordings.Refusal:
        traits = self.state.traits
        model = str(seen.body.get("model") or "")
        if traits.strict and (unknown := sorted(set(seen.body) - _KNOWN_TO_STRICT)):
            return wordings.unknown_fields(unknown)
        if traits.names and model and model not in (self._script.model, *self._script.adapters):
            return wordings.no_model(model)
        try:
            seen.chat = read_chat(seen.body, traits)
        except UnreadableError as why:
            return wordings.bad_request(str(why))
        refusal = self._measure(seen, seen.chat)
        if refusal is not None:
            return refusal
        try:
            return seen.chat, self._cue(seen, seen.chat)
        except SpeechlessError as why:
            return wordings.bad_request(str(why))

    def _measure(self, seen: Seen, chat: Chat) -> wordings.Refusal | None:
        """Count the prompt, look it up in the cache, and refuse what does not fit."""
        state, traits, context = self.state, self.state.traits, self._script.context
        slots = self._script.slots or DEFAULT_SLOTS
        if traits.several is Several.SLOTS and chat.count > slots:
            return wordings.bad_request(f"Field 'n': Value must be between 1 <= value <= {slots}, but got {chat.count}")
        seen.prompt = render(chat.turns, goes_on=chat.goes_on)
        tokens = state.vocabulary.encode(seen.prompt)
        output = chat.most if chat.most is not None else 1
        if len(tokens) + (output if traits.fits else 1) > context:
            if not traits.truncates:
                return wordings.overflow(traits.wording, prompt=len(tokens), output=output, context=context)
            tokens = tokens[-context + 1 :]
        seen.tokens = len(tokens)
        seen.cached = state.cache.look_up(tokens, chat.model or self._script.model)
        state.computed += seen.tokens - seen.cached
        return None

    def _cue(self, seen: Seen, chat: Chat) -> Cue:
        """What the request gets: a verdict on a question, the probe's reply, or what a rule holds."""
        prompter = self.state.prompter
        count = 1 if self.state.traits.several is Several.IGNORED else chat.count
        if not chat.small:
            seen.number = prompter.number()
            return prompter.cue(chat, number=seen.number, count=count)
        probability, fault = prompter.score(chat.whole, chat.model)
        asked = chat.question and self.state.traits.logprobs
        if probability is None and not asked:
            return Cue(replies=(self._script.probe,) * count)
        probability = self._script.unscored if probability is None else probability
        yes = probability >= _EVEN if asked else prompter.verdict(chat.whole, probability)
        reply = ScriptedReply(answer=verdict_token(yes=yes).text)
        listing = tuple(verdict_listing(probability, chat.logprobs)) if asked else ()
        return Cue(replies=(reply,) * count, fault=fault, listing=listing)

    async def _refused(self, fault: Fault, connection: Connection, seen: Seen) -> bool:
        """Do what a fault does before any text; whether that was all."""
        seen.fault = fault.kind.value
        if fault.kind is FaultKind.OVERFLOW:
            wording, context = fault.wording or self.state.traits.wording, self._script.context
            refusal = wordings.overflow(wording, prompt=context + 1000, output=1000, context=context)
        else:
            refusal = wordings.refusal(fault.kind, str(seen.body.get("model") or ""))
        if refusal is not None:
            headers = {"retry-after": f"{fault.seconds:g}"} if fault.kind is FaultKind.RATE and fault.seconds else {}
            await refuse(connection, refusal, seen, headers=headers)
            return True
        if fault.kind is FaultKind.REFUSED:
            seen.ended = time.monotonic()
            connection.abort()
            return True
        if fault.kind is FaultKind.SLOW:
            await asyncio.sleep(fault.seconds)
        return False

    async def _take_slots(self, count: int) -> None:
        slots = self._script.slots
        async with self._changed:
            await self._changed.wait_for(lambda: not slots or not self._busy or self._busy + count <= slots)
            self._busy += count


async def refuse(
    connection: Connection,
    refusal: wordings.Refusal | None,
    seen: Seen | None = None,
    *,
    headers: Mapping[str, str] = {},
) -> None:
    """Answer with an error, and note it."""
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
    server = await asyncio.get_running_loop().create_server(replay.accept, "127.0.0.1", port)
    replay.port = server.sockets[0].getsockname()[1]
    try:
        yield replay
    finally:
        server.close()
        await replay.end()
