"""How fast the embedded llama.cpp starts, speaks, lets go and ends: `python benchmarks/embedded.py FILE.gguf [N]`.

It starts the server N times (7 if left out). Each time it asks for one reply and for four at once (tokens a second,
thinking included), leaves a request of four midway and measures how long the slots stay busy, and how long the end
takes.
"""

import asyncio
import statistics
import sys
import time
from collections import defaultdict
from contextlib import aclosing

import httpx

from thinklonger.agent.chat import ChatMessage, ChatRequest, Delta, Reply, Role, Sampling
from thinklonger.agent.config import ServedSettings
from thinklonger.agent.model import connect
from thinklonger.agent.model.embedded import EmbeddedServer, open_gguf
from thinklonger.agent.model.served import ServedModel

PROMPT = (ChatMessage(Role.USER, "Explain, step by step, how a total of many rounded amounts goes wrong."),)
SAMPLING = Sampling(temperature=0.8, thinking_tokens=400, answer_tokens=100)
Figures = defaultdict[str, list[float]]


async def speak(model: ServedModel, count: int) -> float:
    """Tokens a second of all replies together."""
    began = time.monotonic()
    tokens = 0
    async for item in model.reply(ChatRequest(PROMPT, SAMPLING, count)):
        if isinstance(item, Reply):
            tokens += item.usage.thinking + item.usage.answer
    return tokens / (time.monotonic() - began)


async def busy(http: httpx.AsyncClient, server: EmbeddedServer) -> bool:
    """Whether any slot works."""
    return any(slot["is_processing"] for slot in (await http.get(server.url + "/slots")).json())


async def leave(model: ServedModel, server: EmbeddedServer) -> float:
    """Seconds from leaving four replies midway until no slot works any more."""
    async with aclosing(model.reply(ChatRequest(PROMPT, Sampling(temperature=0.0), 4))) as running:
        async for item in running:
            if isinstance(item, Delta):
                break
    began = time.monotonic()
    async with httpx.AsyncClient(headers={"authorization": f"Bearer {server.key}"}) as http:
        while await busy(http, server):  # noqa: ASYNC110 (another process: nobody tells)
            await asyncio.sleep(0.005)
    return time.monotonic() - began


async def measure(path: str, figures: Figures) -> None:
    """One start, with all that follows."""
    began = time.monotonic()
    async with open_gguf(path) as server:
        figures["start until it answers (s)"].append(time.monotonic() - began)
        async with connect(server.url, model="", served=ServedSettings(), key=server.key) as model:
            began = time.monotonic()
            await model.facts()
            figures["what it can do is found out (s)"].append(time.monotonic() - began)
            figures["one reply (tokens/s)"].append(await speak(model, 1))
            figures["four replies (tokens/s)"].append(await speak(model, 4))
            figures["left midway: slots free after (s)"].append(await leave(model, server))
        began = time.monotonic()
    figures["end (s)"].append(time.monotonic() - began)


async def main() -> None:
    """Print the median and the extremes of each figure."""
    figures: Figures = defaultdict(list)
    for _ in range(int(sys.argv[2]) if len(sys.argv) > 2 else 7):
        await measure(sys.argv[1], figures)
    for name, values in figures.items():
        print(f"{name:36} median {statistics.median(values):9.3f}   {min(values):9.3f} … {max(values):9.3f}")


if __name__ == "__main__":
    asyncio.run(main())
