"""The served context limit, where each server tells it; never the length that a model was trained with."""

import asyncio
import re
from dataclasses import dataclass
from typing import TypeVar

import msgspec

from thinklonger.agent.model.channel import Channel
from thinklonger.agent.model.troubles import Failure
from thinklonger.agent.model.wire import Json

_Shape = TypeVar("_Shape")

_OLLAMA_DEFAULT = 4096
"""Tokens that Ollama serves where nothing says otherwise; longer prompts it cuts without a word."""


@dataclass(frozen=True, slots=True)
class Served:
    """What a server tells of itself. `controls`: it can end the thinking of a running request."""

    context: int | None = None
    server: str = ""
    controls: bool = False


class _Generation(msgspec.Struct):
    n_ctx: int | None = None


class _Props(msgspec.Struct):
    default_generation_settings: _Generation | None = None
    total_slots: int | None = None
    build_info: str = ""


class _Running(msgspec.Struct):
    name: str = ""
    model: str = ""
    context_length: int | None = None


class _Processes(msgspec.Struct):
    models: list[_Running]


class _Show(msgspec.Struct):
    parameters: str = ""
    model_info: dict[str, msgspec.Raw] | None = None
    details: msgspec.Raw = msgspec.Raw()


class _Loaded(msgspec.Struct):
    id: str
    loaded_context_length: int | None = None


class _LmStudio(msgspec.Struct):
    data: list[_Loaded]


class _Version(msgspec.Struct):
    version: str


async def context_of(channel: Channel, model: str, *, listed: int | None) -> Served:
    """The context limit and the server's name for itself. `listed`: the limit that the list of models has told."""
    if listed is not None:
        version = await _get(channel, "/version", _Version)
        return Served(listed, f"vLLM {version.version}" if version else "")
    found = await asyncio.gather(_llama(channel), _ollama(channel, model), _lm_studio(channel, model))
    return next((served for served in found if served is not None), Served())


async def _llama(channel: Channel) -> Served | None:
    """llama.cpp: what one of its slots holds."""
    props = await _get(channel, "/props", _Props)
    if props is None or props.default_generation_settings is None or not props.default_generation_settings.n_ctx:
        return None
    server = f"llama.cpp {props.build_info}".strip()
    return Served(props.default_generation_settings.n_ctx, server, controls=True)


async def _ollama(channel: Channel, model: str) -> Served | None:
    """Ollama: what the loaded model has, else what its file sets, else the default."""
    show = await _post(channel, "/api/show", {"model": model}, _Show)
    if show is None or (show.model_info is None and not len(show.details)):
        return None
    running = await _get(channel, "/api/ps", _Processes)
    for process in running.models if running else ():
        if process.context_length and model in (process.name, process.model, process.name.removesuffix(":latest")):
            return Served(process.context_length, "Ollama")
    found = re.search(r"^num_ctx\s+(\d+)", show.parameters, re.MULTILINE)
    return Served(int(found[1]) if found else _OLLAMA_DEFAULT, "Ollama")


async def _lm_studio(channel: Channel, model: str) -> Served | None:
    """LM Studio: what the model was loaded with."""
    listed = await _get(channel, "/api/v0/models", _LmStudio)
    for entry in listed.data if listed else ():
        if entry.id == model and entry.loaded_context_length:
            return Served(entry.loaded_context_length, "LM Studio")
    return None


async def _get(channel: Channel, path: str, shape: type[_Shape]) -> _Shape | None:
    """A record at one of the server's own paths; None where there is none of that shape."""
    try:
        return msgspec.json.decode((await channel.get(channel.address.own(path))).body, type=shape)
    except (Failure, msgspec.DecodeError, UnicodeDecodeError):
        return None


async def _post(channel: Channel, path: str, body: dict[str, Json], shape: type[_Shape]) -> _Shape | None:
    """The same for a path that wants a body."""
    try:
        return msgspec.json.decode((await channel.post(channel.address.own(path), body)).body, type=shape)
    except (Failure, msgspec.DecodeError, UnicodeDecodeError):
        return None
