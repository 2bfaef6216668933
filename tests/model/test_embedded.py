"""`--engine FILE.gguf`: llama.cpp's server for real, in a process that starts, fails and ends as it should."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import aclosing, suppress
from pathlib import Path

import httpx
import pytest
import tiny
from hypothesis import given
from hypothesis import strategies as st

from thinklonger.agent import messages
from thinklonger.agent.chat import ChatMessage, ChatRequest, Role
from thinklonger.agent.config import ServedSettings
from thinklonger.agent.errors import ModelError
from thinklonger.agent.model import connect, embedded
from thinklonger.agent.model.embedded import CONTEXTS, PARALLEL, choose, cores, free_memory, open_gguf
from thinklonger.agent.model.gguf import GgufFacts, NotGgufError, read_gguf

GIB = 1024**3
TOKEN_BYTES = 9 * (32 + 32) * 2
"""What the tiny model remembers of a token: heads, each with a key and a value of 32 numbers of 16 bits."""

HOLDER = """
import asyncio, sys
from thinklonger.agent.model.embedded import open_gguf
async def hold():
    async with open_gguf(sys.argv[1], context=2048, parallel=1) as server:
        print(server.pid, flush=True)
        await asyncio.Event().wait()
asyncio.run(hold())
"""
STARVED = """
import asyncio, resource, sys
from thinklonger.agent.errors import ModelError
from thinklonger.agent.model.embedded import open_gguf
resource.setrlimit(resource.RLIMIT_AS, (2 * 1024**3, 2 * 1024**3))
async def start():
    try:
        async with open_gguf(sys.argv[1], context=131072, parallel=32):
            print("started")
    except ModelError as error:
        print(error.message.key)
asyncio.run(start())
"""


@pytest.fixture(scope="module")
def model_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model, once for all tests here."""
    file = tmp_path_factory.mktemp("gguf") / "tiny.gguf"
    tiny.write(file)
    return file


def alive(pid: int) -> bool:
    """Whether a process is there and no zombie."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def gone_after(pid: int, *, within: float) -> float:
    """Seconds until the process is gone; fails if it takes longer."""
    began = time.monotonic()
    while alive(pid):
        assert time.monotonic() - began < within, f"process {pid} is still there"
        time.sleep(0.01)
    return time.monotonic() - began


def programs() -> list[int]:
    """The llama.cpp processes that this process has started."""
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text("ascii").split()
    return [int(pid) for pid in children if embedded.PROGRAM in Path(f"/proc/{pid}/cmdline").read_text()]


def visible(pid: int) -> tuple[str, str]:
    """What others may see of a process: its command and its environment."""
    process = Path(f"/proc/{pid}")
    return (process / "cmdline").read_text(), (process / "environ").read_text()


def english(error: ModelError) -> str:
    """The error in words, with its remedy; both must be in the catalogue, in both languages."""
    assert error.remedy is not None
    for language in messages.LANGUAGES:
        assert messages.render(error.message, language)
        assert messages.render(error.remedy, language)
    return messages.render(error.message)


# ── while it runs ────────────────────────────────────────────────────────────────────────────────────────────────


async def test_it_serves_on_loopback_to_whoever_has_the_key(model_file: Path) -> None:
    """The server listens on loopback only, wants its random key, and has the slots and context that were asked for."""
    async with open_gguf(model_file, context=2048, parallel=3, threads=1) as server, httpx.AsyncClient() as http:
        assert server.url.startswith("http://127.0.0.1:")
        assert (await http.get(server.url + "/v1/models")).status_code == 401
        headers = {"authorization": f"Bearer {server.key}"}
        props = (await http.get(server.url + "/props", headers=headers)).json()
        assert (props["default_generation_settings"]["n_ctx"], props["total_slots"]) == (2048, 3)
        names = (await http.get(server.url + "/v1/models", headers=headers)).json()
        assert [entry["id"] for entry in names["data"]] == ["tiny"]
        assert not any(server.key in shown for shown in visible(server.pid))


async def test_it_is_gone_within_a_second_of_its_close(model_file: Path) -> None:
    """Leaving the context ends the process, also while it answers."""
    question = ChatRequest((ChatMessage(Role.USER, "Hello?"),))
    async with open_gguf(model_file, context=4096, parallel=1) as server:
        async with (
            connect(server.url, model="", served=ServedSettings(), key=server.key) as model,
            aclosing(model.reply(question)) as running,
        ):
            await anext(running)
        closing = time.monotonic()
    assert time.monotonic() - closing < 1
    assert not alive(server.pid)


async def test_two_run_side_by_side(model_file: Path) -> None:
    """Each has a port and a key of its own."""
    async with (
        open_gguf(model_file, context=512, parallel=1) as one,
        open_gguf(model_file, context=512, parallel=1) as two,
    ):
        assert (one.url, one.key, one.pid) != (two.url, two.key, two.pid)
        assert one.key != two.key
    assert programs() == []


async def test_its_crash_is_the_servers_trouble_not_ours(model_file: Path) -> None:
    """A server that is killed midway is a model that can't be reached, and leaving the context still works."""
    async with (
        open_gguf(model_file, context=512, parallel=1) as server,
        connect(server.url, model="", served=ServedSettings(retries=0), key=server.key) as model,
    ):
        await model.facts()
        os.kill(server.pid, signal.SIGKILL)
        with pytest.raises(ModelError) as caught:
            async for _ in model.reply(ChatRequest((ChatMessage(Role.USER, "Hello?"),))):
                pass
    assert caught.value.message.key in {"model.unreachable", "model.stream-cut"}


# ── how it ends ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_it_ends_with_a_parent_that_is_killed(model_file: Path) -> None:
    """SIGKILL for the process that opened it leaves nothing behind."""
    with subprocess.Popen([sys.executable, "-c", HOLDER, model_file], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        pid = int(holder.stdout.readline())
        assert alive(pid)
        holder.kill()
    assert gone_after(pid, within=5) < 1


def test_it_ends_with_its_input(model_file: Path) -> None:
    """Where the kernel tells a child nothing of its parent's death, the end of its input does."""
    hosting = embedded.Hosting(
        path=str(model_file), name="tiny", key="k", context=512, parallel=1, threads=1, cache_mib=0
    )
    command = [sys.executable, "-P", "-m", embedded.PROGRAM]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdin.write(embedded.msgspec.json.encode(hosting) + b"\n")
        child.stdin.flush()
        assert child.stdout.readline().startswith(b"http://127.0.0.1:")
        child.stdin.close()
        assert child.wait(5) == 0


@pytest.mark.parametrize("seconds", [0.0, 0.05, 0.2, 0.4])
async def test_cancelled_while_it_starts_it_leaves_nothing(model_file: Path, seconds: float) -> None:
    """Whenever the start is cancelled, no process is left."""

    async def start() -> None:
        async with open_gguf(model_file, context=512, parallel=1):
            await asyncio.Event().wait()

    starting = asyncio.create_task(start())
    await asyncio.sleep(seconds)
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert programs() == []


# ── what can't be served ─────────────────────────────────────────────────────────────────────────────────────────


def changed(file: Path, to: Path, how: Callable[[bytes], bytes]) -> Path:
    """A copy that differs."""
    to.write_bytes(how(file.read_bytes()))
    return to


async def refused(path: Path | str) -> ModelError:
    """The error that opening raises."""
    with pytest.raises(ModelError) as caught:
        async with open_gguf(path, context=512, parallel=1):
            pass
    assert programs() == []
    return caught.value


async def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    """Its path and the reason are named; a folder is no file."""
    error = await refused(tmp_path / "none.gguf")
    assert error.message.key == "model.embedded-unreadable"
    assert str(tmp_path / "none.gguf") in english(error)
    assert (await refused(tmp_path)).message.key == "model.embedded-unreadable"


@pytest.mark.parametrize("content", [b"", b"GG", b"<html>404</html>", b"GGUF", b"GGUF\x09\0\0\0" + bytes(16)])
async def test_a_file_that_is_no_gguf(tmp_path: Path, content: bytes) -> None:
    """A page that was saved instead of the model, an empty file, an unknown version: said before anything starts."""
    file = tmp_path / "model.gguf"
    file.write_bytes(content)
    error = await refused(file)
    assert error.message.key == "model.embedded-no-gguf"
    assert "model.gguf" in english(error)


async def test_a_file_that_is_cut_off(model_file: Path, tmp_path: Path) -> None:
    """A download that broke off has a good head; llama.cpp's own words say what is wrong."""
    file = changed(model_file, tmp_path / "cut.gguf", lambda content: content[:100_000])
    error = await refused(file)
    assert error.message.key == "model.embedded-failed"
    assert "corrupted or incomplete" in english(error)


async def test_a_kind_of_model_that_is_not_known(model_file: Path, tmp_path: Path) -> None:
    """A newer model's architecture is named."""
    file = changed(model_file, tmp_path / "new.gguf", lambda content: content.replace(b"qwen2", b"qwenX"))
    error = await refused(file)
    assert error.message.key == "model.embedded-failed"
    assert "qwenX" in english(error)


async def test_without_the_package_its_extra_is_named(model_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A light installation says how to get llama.cpp."""
    monkeypatch.setattr(embedded, "find_spec", lambda _: None)
    error = await refused(model_file)
    assert error.message.key == "model.embedded-no-package"
    assert error.remedy is not None
    assert "thinklonger[cpu]" in messages.render(error.remedy)
    english(error)


def test_too_little_memory_is_said(model_file: Path) -> None:
    """A context for which there is no memory is an error that says so, not a crash."""
    done = subprocess.run(
        [sys.executable, "-c", STARVED, model_file], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.stdout.strip() == "model.embedded-memory", done.stderr
    english(ModelError("model.embedded-memory", path="x.gguf"))


# ── what is chosen ───────────────────────────────────────────────────────────────────────────────────────────────


def test_the_head_tells_what_a_token_costs(model_file: Path) -> None:
    """Name, trained context and the memory for a token are read off the file."""
    assert read_gguf(model_file) == GgufFacts("tiny", "qwen2", tiny.CONTEXT, TOKEN_BYTES)


@given(data=st.data())
def test_a_damaged_head_is_told_or_read(
    data: st.DataObject, model_file: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Bytes changed or cut anywhere in the head give facts or the one error, in bounded time and memory."""
    head = bytearray(model_file.read_bytes()[:1200])
    for _ in range(data.draw(st.integers(0, 3))):
        head[data.draw(st.integers(0, len(head) - 1))] = data.draw(st.integers(0, 255))
    file = tmp_path_factory.getbasetemp() / "damaged.gguf"
    file.write_bytes(head[: data.draw(st.integers(0, len(head)))])
    with suppress(NotGgufError):
        assert read_gguf(file).token_bytes >= 0


@pytest.mark.parametrize(
    ("memory", "wanted"),
    [
        (None, (32768, 4)),
        (64 * GIB, (32768, 4)),
        (12 * GIB, (32768, 2)),
        (9 * GIB, (16384, 2)),
        (7 * GIB, (8192, 2)),
        (6 * GIB + GIB // 3, (4096, 1)),
        (0, (4096, 1)),
    ],
)
def test_context_and_slots_fit_the_memory(memory: int | None, wanted: tuple[int, int]) -> None:
    """A 7B model of 5 GiB (64 KiB a token) gets the longest context that fits, then as many conversations."""
    facts = GgufFacts("m", "qwen2", 131072, 64 * 1024)
    assert choose(facts, size=5 * GIB, memory=memory, context=None, parallel=None) == wanted


@given(
    memory=st.none() | st.integers(0, 2**40),
    context=st.none() | st.integers(1, 2**20),
    parallel=st.none() | st.integers(1, 64),
    trained=st.none() | st.integers(1, 2**20),
)
def test_what_is_given_stays(
    memory: int | None, context: int | None, parallel: int | None, trained: int | None
) -> None:
    """A context or a number of conversations that somebody named is never changed; what is chosen stays in bounds."""
    facts = GgufFacts("m", "a", trained, 1000)
    tokens, count = choose(facts, size=GIB, memory=memory, context=context, parallel=parallel)
    assert tokens == context if context else 0 < tokens <= min(trained or CONTEXTS[0], CONTEXTS[0])
    assert count == parallel if parallel else 1 <= count <= PARALLEL


def test_one_conversation_gets_all_the_memory() -> None:
    """Who asks for one conversation gets the longest context for it."""
    facts = GgufFacts("m", "qwen2", 131072, 64 * 1024)
    assert choose(facts, size=5 * GIB, memory=8 * GIB, context=None, parallel=1) == (32768, 1)


def test_the_machine_is_asked() -> None:
    """Cores and free memory are this machine's: at least one core, some memory."""
    assert 1 <= cores() <= (os.cpu_count() or 1)
    memory = free_memory()
    assert memory is None or memory > 0
