"""Servers on this machine: who speaks OpenAI's API on the ports that model servers use by default."""

import asyncio
from dataclasses import dataclass

from thinklonger.agent.chat import Trouble
from thinklonger.agent.model.channel import Address, Channel
from thinklonger.agent.model.listing import read_listing
from thinklonger.agent.model.troubles import Failure

PORTS = (8000, 8080, 11434, 1234, 30000)
"""The defaults of vLLM, llama.cpp, Ollama, LM Studio and SGLang."""


@dataclass(frozen=True, slots=True)
class FoundServer:
    """A server that answers: its URL, what it seems to be (empty: unknown), and the models that it names."""

    url: str
    server: str
    models: tuple[str, ...]


async def find(*, key: str = "", seconds: float = 1.0) -> tuple[FoundServer, ...]:
    """The servers on the usual loopback ports, in the order of `PORTS`."""
    found = await asyncio.gather(*(ask(f"http://127.0.0.1:{port}", key=key, seconds=seconds) for port in PORTS))
    return tuple(server for server in found if server is not None)


async def ask(url: str, *, key: str = "", seconds: float = 1.0) -> FoundServer | None:
    """The server at one URL, or None if none speaks OpenAI's API there within so many seconds.

    The key is only sent to a server that asks for one; a server that does not take it is found without its models.
    """
    try:
        async with asyncio.timeout(seconds):
            try:
                return await _listed(url, key="", seconds=seconds)
            except Failure as failure:
                if failure.trouble is not Trouble.AUTH:
                    return None
                locked = FoundServer(url, "", ())
                if not key:
                    return locked
            try:
                return await _listed(url, key=key, seconds=seconds)
            except Failure:
                return locked
    except TimeoutError:
        return None


async def _listed(url: str, *, key: str, seconds: float) -> FoundServer:
    """The server with its models; raises Failure."""
    channel = Channel(Address.of(url), key=key, idle_seconds=seconds)
    try:
        answer = await channel.get(channel.address.api("/models"))
        listing = read_listing(answer)
        return FoundServer(url, listing.server(answer.server), tuple(entry.id for entry in listing.data))
    finally:
        await channel.close()
