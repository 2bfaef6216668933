"""llama.cpp's server for a GGUF file on this machine, in a process of its own that ends with ours."""

import asyncio
import os
import re
import secrets
import sys
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import msgspec

from thinklonger.agent.errors import ModelError
from thinklonger.agent.model.gguf import GgufFacts, NotGgufError, read_gguf
from thinklonger.agent.model.llamacpp import Hosting

PACKAGE = "xllamacpp"
PROGRAM = "thinklonger.agent.model.llamacpp"
PARALLEL = 4
"""Conversations at once: what a machine without a GPU can still go on with side by side."""
CONTEXTS = (32768, 16384, 8192, 4096)
"""Tokens of a conversation, the largest first that memory has room for."""
_KEPT_FREE = 1024**3
_MOST_CACHE_MIB = 2048
_LOG_LINES = 60
_MEMORY = re.compile(
    r"insufficient memory|failed to allocate|unable to allocate|bad_alloc|out of memory", re.IGNORECASE
)
_ERROR_LINE = re.compile(r"^[\d.]+ E \s*(.*)$")


@dataclass(frozen=True, slots=True)
class EmbeddedServer:
    """A running server: where it is, the key that it wants, and what it serves.

    `context`: tokens that each of `parallel` conversations has; `pid` is its process.
    """

    url: str
    key: str
    model: str
    context: int
    parallel: int
    pid: int


@asynccontextmanager
async def open_gguf(
    path: str | Path, *, context: int | None = None, parallel: int | None = None, threads: int | None = None
) -> AsyncGenerator[EmbeddedServer]:
    """Serve a GGUF file on loopback until the context ends, with a key that only the caller has.

    `context` (tokens of one conversation) and `parallel` (conversations at once) are chosen to fit the memory where
    they are None; `threads` is then the number of cores less one. Raises ModelError: no such file, no GGUF file, the
    package is missing, too little memory, a model that llama.cpp can't load.
    """
    hosting = await asyncio.to_thread(_hosting, path, context=context, parallel=parallel, threads=threads)
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-P",
        "-m",
        PROGRAM,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    assert process.stdin is not None  # noqa: S101 (all three are pipes)
    assert process.stdout is not None  # noqa: S101
    assert process.stderr is not None  # noqa: S101
    log: deque[str] = deque(maxlen=_LOG_LINES)
    keeping = asyncio.create_task(_keep(process.stderr, log))
    try:
        process.stdin.write(msgspec.json.encode(hosting) + b"\n")
        url = (await process.stdout.readline()).decode().strip()
        if not url:
            code = await process.wait()
            await keeping
            raise _failed(hosting.path, code, log)
        yield EmbeddedServer(url, hosting.key, hosting.name, hosting.context, hosting.parallel, process.pid)
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        process.stdin.close()
        # both streams are read to their ends, so that nothing of the process is left open
        await asyncio.gather(process.wait(), process.stdout.read(), keeping)


def choose(
    facts: GgufFacts, *, size: int, memory: int | None, context: int | None, parallel: int | None
) -> tuple[int, int]:
    """Tokens of a conversation and conversations at once, for a file of that size in bytes and so much free memory.

    What is given stays. A longer context is worth more than more conversations, down to two of them; the smallest
    choice stands where nothing fits, and loading says what is missing. `memory` None: unknown.
    """
    longest = facts.context or CONTEXTS[0]
    contexts = [context] if context else [tokens for tokens in CONTEXTS if tokens <= longest] or [longest]
    counts = [parallel] if parallel else [PARALLEL, 2, 1]
    if memory is None:
        return contexts[0], counts[0]
    room = memory - size - _KEPT_FREE
    for tokens in contexts:
        for count in counts:
            alone = count == 1 < counts[0] and tokens > contexts[-1]
            if not alone and tokens * count * facts.token_bytes <= room:
                return tokens, count
    return contexts[-1], counts[-1]


def free_memory() -> int | None:
    """Bytes that may still be used on this machine, or in this control group; None where nothing tells."""
    bounds: list[int] = []
    with suppress(OSError, ValueError, StopIteration):
        lines = Path("/proc/meminfo").read_text("ascii").splitlines()
        bounds.append(int(next(line for line in lines if line.startswith("MemAvailable:")).split()[1]) * 1024)
    with suppress(OSError, ValueError):
        group = Path("/sys/fs/cgroup")
        most = int((group / "memory.max").read_text("ascii"))
        bounds.append(most - int((group / "memory.current").read_text("ascii")))
    return max(min(bounds), 0) if bounds else None


def _read(file: Path) -> GgufFacts:
    """What the file's head says; raises ModelError."""
    try:
        return read_gguf(file)
    except NotGgufError as why:
        raise ModelError("model.embedded-no-gguf", path=str(file), reason=str(why)) from None
    except OSError as why:
        raise ModelError("model.embedded-unreadable", path=str(file), reason=why.strerror or str(why)) from None


def _hosting(path: str | Path, *, context: int | None, parallel: int | None, threads: int | None) -> Hosting:
    """What the program is told; raises ModelError where it need not be asked."""
    file = Path(path).expanduser().absolute()
    facts = _read(file)
    if find_spec(PACKAGE) is None:
        raise ModelError("model.embedded-no-package")
    memory = free_memory()
    tokens, count = choose(facts, size=file.stat().st_size, memory=memory, context=context, parallel=parallel)
    return Hosting(
        path=str(file),
        name=file.stem,
        key=secrets.token_urlsafe(24),
        context=tokens,
        parallel=count,
        threads=threads or max(cores() - 1, 1),
        cache_mib=_MOST_CACHE_MIB if memory is None else min(_MOST_CACHE_MIB, memory // 8 // 1024**2),
    )


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


async def _keep(stream: asyncio.StreamReader, log: deque[str]) -> None:
    """Read the program's log to its end; its last lines stay."""
    while True:
        try:
            line = await stream.readline()
        except ValueError:  # a line longer than the buffer: dropped
            continue
        if not line:
            return
        log.append(line.decode("utf-8", "replace").rstrip())


def _failed(path: str, code: int, log: deque[str]) -> ModelError:
    """Why it did not start: memory, if its log or its end says so, else the last error that it has logged."""
    errors = [found[1] for line in log if (found := _ERROR_LINE.match(line))]
    if code == -9 or any(_MEMORY.search(line) for line in log):  # noqa: PLR2004 (the kernel's way to make room)
        return ModelError("model.embedded-memory", path=path)
    causes = [line for line in errors if "error loading model" in line] or errors or list(log) or [f"exit code {code}"]
    return ModelError("model.embedded-failed", path=path, reason=causes[-1].strip())
