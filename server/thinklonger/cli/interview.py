"""What `doctor` finds out about the model's server, by asking it for things and not by its name."""

import math
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from thinklonger.agent.chat import ModelFacts
from thinklonger.agent.config.values import is_weights_file
from thinklonger.agent.errors import ModelError
from thinklonger.agent.model import connect, find_servers
from thinklonger.agent.model.serving.conduct import Conduct, observe
from thinklonger.agent.protocols import ChatModel
from thinklonger.cli import machine
from thinklonger.cli.desk import Desk
from thinklonger.cli.diagnosis import Diagnosis

BUILTIN = "builtin"
SMALL_CONTEXT = 16384
"""Tokens below which prompts have to be shortened on most repositories."""
_SHOWN_MODELS = 5


@dataclass(frozen=True, slots=True)
class Served:
    """A model at its address."""

    model: ChatModel
    url: str
    key: str


async def look_at_model(desk: Desk, found: Diagnosis) -> None:
    """Ask the engine's server; without one, look which servers there are on this machine."""
    if desk.settings.engine == BUILTIN:
        found.add("engine", "doctor.engine-builtin")
        await _look_around(desk, found)
        return
    try:
        async with _opened(desk) as served:
            began = time.monotonic()
            facts = await served.model.facts()
            _note_facts(facts, served.url, time.monotonic() - began, found, desk)
            conduct = await observe(served.url, facts, key=served.key)
            _note_conduct(conduct, found)
            _note_rewards(facts, desk, found)
            found.model = _as_json(facts, conduct, served.url, desk)
    except ModelError as error:
        found.failed("engine", error)
        await _look_around(desk, found)


@asynccontextmanager
async def _opened(desk: Desk) -> AsyncGenerator[Served]:
    """The engine that the settings name; a GGUF file is served until the context ends."""
    settings = desk.settings
    if is_weights_file(settings.engine):
        from thinklonger.agent.model.embedded import open_gguf  # noqa: PLC0415 (few run a model themselves)

        async with open_gguf(settings.engine, context=settings.served.context) as server:
            model = connect(server.url, model=settings.model, served=settings.served, key=server.key)
            try:
                yield Served(model, server.url, server.key)
            finally:
                await model.close()
        return
    key = desk.surroundings.api_key
    model = connect(settings.engine, model=settings.model, served=settings.served, key=key)
    try:
        yield Served(model, settings.engine, key)
    finally:
        await model.close()


async def _look_around(desk: Desk, found: Diagnosis) -> None:
    """The servers on the usual ports, which could be named."""
    for server in await find_servers(key=desk.surroundings.api_key):
        models = ", ".join(server.models[:_SHOWN_MODELS]) or "-"
        found.add("server", "doctor.server", url=server.url, server=server.server or "?", models=models)


def _note_facts(facts: ModelFacts, url: str, seconds: float, found: Diagnosis, desk: Desk) -> None:
    """What the server can do, and what to do about what it can not."""
    server = facts.server or "?"
    took = desk.words.duration(seconds)
    found.add("engine", "doctor.engine", model=facts.model, server=server, url=_shown(url), seconds=took)
    context = f"{facts.context:,}"
    if facts.context < SMALL_CONTEXT:
        found.advise("context", "doctor.context-small", tokens=context)
    else:
        found.add("context", "doctor.context", tokens=context)
    found.add("thinking", "doctor.thinking", dialect=str(facts.dialect))
    if facts.continues:
        found.add("thinking", "doctor.continues")
    else:
        found.advise("thinking", "doctor.no-continues")
    if facts.several:
        found.add("several", "doctor.several")
    else:
        found.advise("several", "doctor.no-several")
    if facts.logprobs:
        found.add("logprobs", "doctor.logprobs")
    else:
        found.advise("logprobs", "doctor.no-logprobs")
    if facts.counts_tokens:
        found.add("tokenizer", "doctor.tokenizer")
    else:
        found.advise("tokenizer", "doctor.no-tokenizer")


def _note_conduct(conduct: Conduct, found: Diagnosis) -> None:
    """How it behaves."""
    if not conduct.tells:
        found.add("cancel", "doctor.cancel-unknown")
    elif conduct.freed is None:
        found.add("cancel", "doctor.cancel-unseen")
    elif math.isinf(conduct.freed):
        found.advise("cancel", "doctor.cancel-stays")
    else:
        found.add("cancel", "doctor.cancel", seconds=f"{conduct.freed:.1f}")
    if conduct.cached is None:
        found.add("prefix", "doctor.prefix-unknown")
    elif not conduct.cached:
        found.advise("prefix", "doctor.no-prefix")
    else:
        found.add("prefix", "doctor.prefix", cached=conduct.cached, prompt=conduct.prompt)


def _note_rewards(facts: ModelFacts, desk: Desk, found: Diagnosis) -> None:
    """The adapters: those that the settings name must be there."""
    served = desk.settings.served
    for role, name in (("prm", served.prm), ("orm", served.orm)):
        if name and name not in facts.adapters:
            found.advise("adapters", "doctor.no-adapter", role=role, name=name)
    if facts.adapters:
        found.add("adapters", "doctor.adapters", names=", ".join(facts.adapters))
    else:
        found.add("adapters", "doctor.no-adapters")


def _as_json(facts: ModelFacts, conduct: Conduct, url: str, desk: Desk) -> dict[str, machine.Plain]:
    """The server for a machine."""
    return {
        "url": _shown(url),
        "facts": machine.plain(facts, desk.words),
        "freed_seconds": None if conduct.freed is None or math.isinf(conduct.freed) else round(conduct.freed, 3),
        "frees": None if conduct.freed is None else not math.isinf(conduct.freed),
        "prefix_prompt_tokens": conduct.prompt,
        "prefix_cached_tokens": conduct.cached,
    }


def _shown(url: str) -> str:
    """The address without what a URL may hold of a user and a password."""
    head, slashes, rest = url.partition("://")
    return f"{head}{slashes}{rest.rpartition('@')[2]}" if slashes else url
