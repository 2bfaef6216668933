"""What a streamed chunk costs the client: CPU, and the time until its text is handed over; beside OpenAI's client.

A server of its own process streams chat completions as vLLM does: each event in an HTTP chunk of its own. `burst`: one
reply as fast as it is read. `paced`: eight replies by one request, an event for each of them every 25 ms. Each client
runs in a fresh process. CPU is user and system time of that process between the first event and the last, divided by
the events; latency is the time from the server's write to the text's delivery. `recorded` is our client as a run uses
it: beside other streams, told as events, written to the run's record. `reader` is the least that a program can do: read
the socket, look for line ends.

    python benchmarks/stream.py [--events N] [--runs N] [--openai PYTHON]

For the comparison, OpenAI's client goes into an environment of its own, which `--openai` names:

    python -m venv /tmp/openai && /tmp/openai/bin/pip install openai
    python benchmarks/stream.py --openai /tmp/openai/bin/python
"""

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from thinklonger.agent.chat import ChatRequest

REPLIES = 8
STEP_SECONDS = 0.025
PACED_EVENTS = 1600
CLIENTS = ("thinklonger", "recorded", "openai", "reader")


# ── the server ───────────────────────────────────────────────────────────────────────────────────────────────────


def event(index: int, text: str) -> bytes:
    """One event as vLLM sends it, in its HTTP chunk."""
    choice = {"index": index, "delta": {"reasoning": text}, "logprobs": None, "finish_reason": None}
    whole = {"id": "chatcmpl-0123456789abcdef", "object": "chat.completion.chunk", "created": 1700000000, "model": "m"}
    return chunk(b"data: " + json.dumps({**whole, "choices": [choice]}, separators=(",", ":")).encode() + b"\n\n")


def chunk(data: bytes) -> bytes:
    """An HTTP chunk."""
    return b"%x\r\n%s\r\n" % (len(data), data)


def closing(count: int) -> bytes:
    """The end of a stream of so many replies."""
    choices = [{"index": index, "delta": {"content": "x"}, "finish_reason": "stop"} for index in range(count)]
    last = b"data: " + json.dumps({"id": "c", "object": "chat.completion.chunk", "choices": choices}).encode() + b"\n\n"
    return chunk(last) + chunk(b"data: [DONE]\n\n") + b"0\r\n\r\n"


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, events: int) -> None:
    """Answer the requests of one connection."""
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(
                (line[16:] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length: ")), b"0"
            )
            body = await reader.readexactly(int(length))
            if not head.startswith(b"POST /v1/chat/completions"):
                writer.write(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n")
                continue
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
            request = json.loads(body)
            count = request.get("n", 1)
            if request["max_tokens"] > 16:
                await (pace(writer, count) if count > 1 else burst(writer, events))
            writer.write(closing(count))
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


async def burst(writer: asyncio.StreamWriter, events: int) -> None:
    """One reply, as fast as it is read."""
    for number in range(events):
        writer.write(event(0, f" {number}"))
        if number % 16 == 0:
            await writer.drain()


async def pace(writer: asyncio.StreamWriter, count: int) -> None:
    """Replies side by side, at a server's pace; each text is the time at which it was written."""
    due = time.monotonic()
    for _ in range(PACED_EVENTS // count):
        for index in range(count):
            writer.write(event(index, f" {time.monotonic_ns()}"))
        due += STEP_SECONDS
        await asyncio.sleep(due - time.monotonic())


async def serve(events: int) -> None:
    """Serve until killed; says the port."""
    server = await asyncio.start_server(lambda reader, writer: answer(reader, writer, events=events), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


# ── the clients ──────────────────────────────────────────────────────────────────────────────────────────────────


def asked(count: int) -> "ChatRequest":
    """A request whose thinking nothing ends."""
    from thinklonger.agent.chat import ChatMessage, ChatRequest, Role, Sampling

    return ChatRequest((ChatMessage(Role.USER, "Which?"),), Sampling(thinking_tokens=4_000_000), count)


async def ours(url: str, count: int) -> AsyncIterator[str]:
    """The texts by our client."""
    from thinklonger.agent.chat import Delta
    from thinklonger.agent.config import ServedSettings
    from thinklonger.agent.model import connect

    async with connect(url, model="m", served=ServedSettings(context=10_000_000)) as model:
        await model.facts()
        async for item in model.reply(asked(count)):
            if isinstance(item, Delta):
                yield item.text


async def recorded(url: str, count: int) -> AsyncIterator[str]:
    """The texts by our client, on their way into a run's record."""
    from thinklonger.agent.chat import Delta
    from thinklonger.agent.config import ServedSettings
    from thinklonger.agent.model import connect
    from thinklonger.agent.model.asking import Streams
    from thinklonger.agent.pipeline.telling import Teller
    from thinklonger.agent.protocols import Heard
    from thinklonger.agent.trace.recording import Recorder

    teller = Teller()
    async with connect(url, model="m", served=ServedSettings(context=10_000_000)) as model:
        await model.facts()

        async def heard() -> AsyncGenerator[Heard]:
            async for item in model.reply(asked(count)):
                yield Heard(f"u1/{getattr(item, 'choice', 0)}", item)

        streams = Streams[Heard]()
        streams.add(heard())
        with tempfile.TemporaryDirectory() as folder, Recorder.create(Path(folder), "r1") as recorder:
            async for said in streams.items():
                for event_told in teller.tell(said):
                    recorder.append(event_told)
                if isinstance(said.what, Delta):
                    yield said.what.text


async def openais(url: str, count: int) -> AsyncIterator[str]:
    """The texts by OpenAI's client."""
    import openai  # pyright: ignore[reportMissingImports] (only in the environment that --openai names)

    client = openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="none")
    messages = [{"role": "user", "content": "Which?"}]
    stream = await client.chat.completions.create(model="m", messages=messages, max_tokens=4096, n=count, stream=True)
    async for part in stream:
        for choice in part.choices:
            yield getattr(choice.delta, "reasoning", None) or choice.delta.content or ""


async def readers(url: str, count: int) -> AsyncIterator[str]:
    """The texts by reading the socket, and no more."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]), limit=2**20)
    body = json.dumps({"max_tokens": 4096, "n": count}).encode()
    writer.write(b"POST /v1/chat/completions HTTP/1.1\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body))
    rest = b""
    while b"[DONE]" not in rest:
        lines = (rest + await reader.read(2**16)).split(b"\n\n")
        rest = lines.pop()
        for line in lines:
            if b"[DONE]" in line:
                rest = line
            yield line[line.find(b'"reasoning":"') + 13 : line.find(b'"}')].decode()
    writer.close()


async def consume(client: str, url: str, count: int) -> None:
    """Read a stream to its end; says events, CPU seconds and the median latency."""
    texts = {"thinklonger": ours, "recorded": recorded, "openai": openais, "reader": readers}[client](url, count)
    events, latencies, began = 0, [], 0.0
    async for text in texts:
        if not events:
            began = time.process_time()
        events += 1
        if count > 1 and text.strip().isdigit():
            latencies.append(time.monotonic_ns() - int(text))
    cpu = time.process_time() - began
    ranked = sorted(latencies) or [0]
    figures = {"events": events, "cpu": cpu, "median": median(ranked), "p99": ranked[len(ranked) * 99 // 100]}
    print(json.dumps(figures))


# ── the comparison ───────────────────────────────────────────────────────────────────────────────────────────────


def measure(python: str, client: str, url: str, count: int, *, runs: int) -> dict[str, float]:
    """The median figures of several fresh processes."""
    found: list[dict[str, float]] = []
    for _ in range(runs):
        argv = [python, __file__, "--client", client, "--url", url, "--replies", str(count)]
        done = subprocess.run(argv, capture_output=True, text=True, check=True)
        found.append(json.loads(done.stdout))
    return {name: median(each[name] for each in found) for name in found[0]}


def compare(events: int, runs: int, openai: str | None) -> None:
    """Measure every client, and print the table."""
    server = subprocess.Popen([sys.executable, __file__, "--serve", "--events", str(events)], stdout=subprocess.PIPE)
    try:
        port = server.stdout.readline() if server.stdout else b""
        url = f"http://127.0.0.1:{int(port)}"
        print(f"{'':12} {'burst':>16} {'paced':>16} {'latency':>16} {'99 %':>12}")
        for client in CLIENTS:
            if client == "openai" and not openai:
                continue
            python = openai if client == "openai" and openai else sys.executable
            fast = measure(python, client, url, 1, runs=runs)
            slow = measure(python, client, url, REPLIES, runs=runs)
            costs = [figures["cpu"] / figures["events"] * 1e6 for figures in (fast, slow)]
            delays = (slow["median"] / 1e3, slow["p99"] / 1e3)
            print(f"{client:12} {costs[0]:13.1f} µs {costs[1]:13.1f} µs {delays[0]:13.0f} µs {delays[1]:9.0f} µs")
    finally:
        server.kill()
        server.wait()


def main() -> None:
    """Be the server, a client, or the comparison."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=30000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--openai", metavar="PYTHON")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--client", choices=CLIENTS, help=argparse.SUPPRESS)
    parser.add_argument("--url", help=argparse.SUPPRESS)
    parser.add_argument("--replies", type=int, default=1, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve:
        asyncio.run(serve(given.events))
    elif given.client:
        asyncio.run(consume(given.client, given.url, given.replies))
    else:
        compare(given.events, given.runs, given.openai)


if __name__ == "__main__":
    main()
