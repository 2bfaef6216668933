"""What every engine of the sandbox port must do, as plain functions: run here by pytest, and by a user without rights.

Needs nothing but the standard library and the package, so that `python sandbox_contract.py ENGINE FOLDER` can run it
as another user, with another interpreter. Each check gets an engine and an empty folder of its own.
"""

import asyncio
import inspect
import json
import os
import socket
import sys
import tempfile
import time
import traceback
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import cast

from thinklonger.agent.errors import SandboxError
from thinklonger.agent.protocols import Sandbox, SandboxLayer
from thinklonger.agent.sandbox.bubblewrap import BubblewrapSandbox
from thinklonger.agent.sandbox.direct import DirectSandbox
from thinklonger.agent.sandbox.docker import DockerSandbox
from thinklonger.agent.types import Command, CommandResult, Ending, FileState, Limits

ENGINES: Mapping[str, Callable[[], Sandbox]] = {
    "none": DirectSandbox,
    "bubblewrap": BubblewrapSandbox,
    "docker": DockerSandbox,
}
READABLE = sorted({Path(sys.prefix), Path(sys.base_prefix)})
Check = Callable[[Sandbox, Path], Awaitable[None]]


def plant(ground: Path, files: Mapping[str, bytes]) -> tuple[Path, list[PurePosixPath]]:
    """A tree below `ground` with these files; its root and their paths."""
    root = ground / "tree"
    root.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    return root, [PurePosixPath(name) for name in files]


def shell(
    text: str, *, limits: Limits | None = None, stdin: bytes = b"", env: Mapping[str, str] | None = None
) -> Command:
    """A command that runs a line of shell."""
    return Command(("sh", "-c", text), limits=limits or Limits(wall_seconds=30), stdin=stdin, env=env or {})


def python(code: str, *, limits: Limits | None = None) -> Command:
    """A command that runs Python."""
    return Command((sys.executable, "-I", "-c", code), limits=limits or Limits(wall_seconds=30))


async def once(sandbox: Sandbox, ground: Path, command: Command) -> CommandResult:
    """One command in a fresh layer over a tree with one file."""
    root, files = plant(ground, {"a.py": b"x = 1\n"})
    async with sandbox.open(root, files, readable=READABLE) as session, session.layer() as layer:
        return await layer.run(command)


# ── both engines ─────────────────────────────────────────────────────────────────────────────────────────────────


async def check_exit_codes(sandbox: Sandbox, ground: Path) -> None:
    """Exit codes pass through; a death by signal n is 128 + n; a missing program is 127; none is an error."""
    root, files = plant(ground, {"a": b""})
    async with sandbox.open(root, files, readable=READABLE) as session, session.layer() as layer:
        for text, code in (
            ("exit 0", 0),
            ("exit 7", 7),
            ("kill -9 $$", 137),
            ("kill -SEGV $$", 139),
            ("kill -TERM $$", 143),
        ):
            result = await layer.run(shell(text))
            assert (result.ending, result.exit_code) == (Ending.EXITED, code), (text, result)
        missing = await layer.run(Command(("no-such-program-anywhere",)))
        assert (missing.ending, missing.exit_code) == (Ending.EXITED, 127), missing


async def check_output_is_merged_in_order_and_streamed(sandbox: Sandbox, ground: Path) -> None:
    """Stdout and stderr come as one, in order, and as they are written, not at the end."""
    root, files = plant(ground, {"a": b""})
    seen: list[tuple[float, bytes]] = []
    async with sandbox.open(root, files, readable=[]) as session, session.layer() as layer:
        command = shell("echo one; echo two >&2; sleep 0.4; echo three")
        result = await layer.run(command, on_output=lambda chunk: seen.append((time.monotonic(), chunk)))
        ended = time.monotonic()
    assert result.output == b"one\ntwo\nthree\n"
    assert b"".join(chunk for _, chunk in seen) == result.output
    assert ended - seen[0][0] > 0.3
    assert 0.4 <= result.seconds < 30


async def check_output_cap(sandbox: Sandbox, ground: Path) -> None:
    """A flood is cut at the cap and its writer killed; output of exactly the cap is whole and no limit."""
    root, files = plant(ground, {"a": b""})
    limits = Limits(wall_seconds=30, output_bytes=100_000)
    async with sandbox.open(root, files, readable=[]) as session, session.layer() as layer:
        flood = await layer.run(shell("yes", limits=limits))
        exact = await layer.run(shell("head -c 100000 /dev/zero", limits=limits))
    assert (flood.ending, flood.exit_code, len(flood.output)) == (Ending.OUTPUT_LIMIT, None, 100_000)
    assert (exact.ending, exact.exit_code, len(exact.output)) == (Ending.EXITED, 0, 100_000)


async def check_time_out(sandbox: Sandbox, ground: Path) -> None:
    """Time is up for those that ignore SIGTERM too; what they wrote and left so far comes back."""
    text = 'trap "" TERM INT HUP; echo begun; echo kept >"$THINKLONGER_OUT/file"; while :; do sleep 5; done'
    started = time.monotonic()
    result = await once(sandbox, ground, shell(text, limits=Limits(wall_seconds=0.7)))
    assert time.monotonic() - started < 5
    assert (result.ending, result.exit_code, result.output) == (Ending.TIMED_OUT, None, b"begun\n")
    assert result.artifacts == {"file": b"kept\n"}


async def check_stdin(sandbox: Sandbox, ground: Path) -> None:
    """All of stdin arrives, and then its end; without any, it is empty."""
    data = bytes(range(256)) * 2000
    result = await once(sandbox, ground, shell("cat", stdin=data))
    assert result.output == data
    assert (await once(sandbox, ground, shell("cat; echo end"))).output == b"end\n"


async def check_working_folder(sandbox: Sandbox, ground: Path) -> None:
    """A command starts in the tree, or in the folder of it that it names; nowhere else."""
    root, files = plant(ground, {"a": b"", "sub/deep/b": b""})
    async with sandbox.open(root, files, readable=[]) as session, session.layer() as layer:
        top = await layer.run(shell('pwd; test "$PWD" = "$THINKLONGER_ROOT"'))
        deep = await layer.run(Command(("sh", "-c", "pwd"), cwd=PurePosixPath("sub/deep")))
        assert top.exit_code == 0, top
        assert top.output.decode().strip() == str(layer.root)
        assert deep.output.decode().strip() == f"{layer.root}/sub/deep"
        for wrong in ("../..", "/etc", "none/such"):
            await refuse(layer, Command(("true",), cwd=PurePosixPath(wrong)))


async def refuse(layer: SandboxLayer, command: Command) -> None:
    """The layer must not run this at all."""
    try:
        result = await layer.run(command)
    except SandboxError:
        return
    raise AssertionError(result)


async def check_environment_is_cleared(sandbox: Sandbox, ground: Path) -> None:
    """Nothing of the launcher's environment is inside; the command's own is, and cannot hide where things lie."""
    os.environ["THINKLONGER_TEST_API_KEY"] = "sk-secret"
    try:
        result = await once(sandbox, ground, shell("env", env={"MINE": "a b\nc", "THINKLONGER_ROOT": "/wrong"}))
    finally:
        del os.environ["THINKLONGER_TEST_API_KEY"]
    assert b"sk-secret" not in result.output
    assert b"MINE=a b\nc\n" in result.output
    assert b"PYTHONHASHSEED=0\n" in result.output
    assert b"THINKLONGER_ROOT=/wrong" not in result.output
    names = {line.partition(b"=")[0] for line in result.output.splitlines() if b"=" in line}
    assert names <= {
        *(b"PATH", b"LANG", b"TZ", b"HOME", b"TMPDIR", b"PYTHONHASHSEED", b"PWD", b"OLDPWD", b"SHLVL", b"_", b"MINE"),
        *(b"THINKLONGER_ROOT", b"THINKLONGER_OUT", b"THINKLONGER_PAYLOAD"),
    }, names


async def check_artifacts_and_payload(sandbox: Sandbox, ground: Path) -> None:
    """Payload files are there to read; regular files of the output folder come back, by path, each run its own."""
    root, files = plant(ground, {"a": b""})
    text = 'mkdir -p "$THINKLONGER_OUT/sub"; cat "$THINKLONGER_PAYLOAD/in/p.txt" >"$THINKLONGER_OUT/sub/ü 名.txt"'
    async with sandbox.open(root, files, readable=[]) as session, session.layer() as layer:
        command = Command(("sh", "-c", text), payload={"in/p.txt": b"pay\0load"})
        result = await layer.run(command)
        again = await layer.run(shell("true"))
        await refuse(layer, Command(("true",), payload={"../escape": b""}))
    assert result.artifacts == {"sub/ü 名.txt": b"pay\0load"}, result
    assert again.artifacts == {}


async def check_artifacts_never_lead_out(sandbox: Sandbox, ground: Path) -> None:
    """Links, FIFOs and sockets in the output folder are neither followed nor opened; deep and odd things don't hang."""
    secret = ground / "secret"
    secret.write_bytes(b"host secret")
    code = f"""
import os, socket
out = os.environ["THINKLONGER_OUT"]; os.chdir(out)
os.symlink({str(secret)!r}, "link"); os.symlink("/", "folder"); os.symlink("..", "up"); os.mkfifo("fifo")
socket.socket(socket.AF_UNIX).bind("socket")
open("sparse", "wb").truncate(400 << 20)
open(b"not-utf8-\\xff", "wb").write(b"x")
open("good", "wb").write(b"good")
for _ in range(200):
    os.mkdir("d"); os.chdir("d")
"""
    result = await once(sandbox, ground, python(code))
    assert result.exit_code == 0, result
    assert result.artifacts == {"good": b"good"}


async def check_layers_are_independent(sandbox: Sandbox, ground: Path) -> None:
    """What a layer lays over, writes or deletes is seen in it alone; neither the base nor the user's tree changes."""
    root, files = plant(ground, {"pkg/a.py": b"a = 1\n", "pkg/b.py": b"b = 1\n", "run.sh": b"#!/bin/sh\necho ran\n"})
    (root / "run.sh").chmod(0o755)
    (root / "left-out.txt").write_bytes(b"not frozen")
    os.utime(root / "pkg" / "a.py", (1_600_000_000, 1_600_000_000))
    before = snapshot(root)
    listing = shell("find . -type f -not -path './.git/*' | sort | xargs cat")
    async with sandbox.open(root, files, readable=[]) as session:
        over = {
            PurePosixPath("pkg/a.py"): FileState(b"a = 2\n"),
            PurePosixPath("pkg/b.py"): None,
            PurePosixPath("pkg/new/c.py"): FileState(b"c = 1\n", executable=True),
            PurePosixPath("never/was.py"): None,
        }
        async with session.layer(over) as one, session.layer() as two:
            assert (await one.run(listing)).output == b"a = 2\nc = 1\n#!/bin/sh\necho ran\n"
            assert (await two.run(listing)).output == b"a = 1\nb = 1\n#!/bin/sh\necho ran\n"
            spoil = "echo spoilt >pkg/a.py; rm run.sh; echo more >>pkg/new/c.py; test -x pkg/new/c.py; echo $?"
            assert (await one.run(shell(spoil))).output == b"0\n"
            assert (await one.run(listing)).output == b"spoilt\nc = 1\nmore\n"
            assert (await two.run(shell("./run.sh; stat -c %Y pkg/a.py"))).output == b"ran\n1600000000\n"
        async with session.layer() as three:
            assert (await three.run(listing)).output == b"a = 1\nb = 1\n#!/bin/sh\necho ran\n"
    assert snapshot(root) == before


async def check_layers_run_at_once(sandbox: Sandbox, ground: Path) -> None:
    """Eight layers run side by side, each with its own file."""
    root, files = plant(ground, {"who": b"base"})
    async with sandbox.open(root, files, readable=[]) as session:

        async def run(number: int) -> bytes:
            async with session.layer({PurePosixPath("who"): FileState(str(number).encode())}) as layer:
                return (await layer.run(shell("cat who; sleep 0.3; cat who"))).output

        started = time.monotonic()
        outputs = await asyncio.gather(*(run(number) for number in range(8)))
        assert outputs == [str(number).encode() * 2 for number in range(8)]
        assert time.monotonic() - started < 8 * 0.3 + 5


async def check_the_tree_is_frozen(sandbox: Sandbox, ground: Path) -> None:
    """An edit of the user's tree after the freeze is not seen inside."""
    root, files = plant(ground, {"a": b"before"})
    async with sandbox.open(root, files, readable=[]) as session:
        (root / "a").write_bytes(b"after")
        async with session.layer() as layer:
            assert (await layer.run(shell("cat a"))).output == b"before"


async def check_odd_names_and_kinds(sandbox: Sandbox, ground: Path) -> None:
    """Spaces, quotes, newlines, dashes and Chinese in paths work; FIFOs, sockets and what is gone are left out."""
    folder = ground / "my \"odd\" 'tree'\n$(touch x) 中文"
    folder.mkdir()
    names = [
        "-rf",
        "with space.py",
        "quote'\".py",
        "new\nline.py",
        "中文/模块.py",
        "$(id).py",
        "a*b?.py",
        "back\\slash",
    ]
    root, files = plant(folder, {name: name.encode() for name in names})
    os.mkfifo(root / "fifo")
    with socket.socket(socket.AF_UNIX) as sock:
        here = Path.cwd()
        os.chdir(root)
        sock.bind("socket")
        os.chdir(here)
    (root / "link").symlink_to("with space.py")
    (root / "out").symlink_to("/etc/hostname")
    (root / "folder-link").symlink_to("中文")
    (root / "unreadable").write_bytes(b"no")
    (root / "unreadable").chmod(0)
    (root / "huge").mkdir()
    extra = [
        "fifo",
        "socket",
        "link",
        "out",
        "gone",
        "unreadable",
        "huge",
        "folder-link/模块.py",
        "../outside",
        ".git/config",
    ]
    files += [PurePosixPath(name) for name in extra]
    async with sandbox.open(root, files, readable=READABLE) as session, session.layer() as layer:
        for name in names:
            result = await layer.run(Command(("cat", "--", name)))
            assert result.output == name.encode(), (name, result)
        listed = await layer.run(
            python("import os; print(sorted(os.listdir('.')), os.readlink('out'), os.path.islink('link'))")
        )
        assert listed.exit_code == 0, listed
        text = listed.output.decode()
        assert "'link'" in text
        assert "/etc/hostname True" in text
        assert not any(repr(name) in text for name in ("fifo", "socket", "gone", "huge")), text
        laid = {PurePosixPath(name): FileState(b"laid") for name in names}
        async with session.layer(laid) as over:
            for name in names:
                assert (await over.run(Command(("cat", "--", name)))).output == b"laid", name


async def check_a_layer_never_writes_through_a_link(sandbox: Sandbox, ground: Path) -> None:
    """A file laid at a path below a link replaces the link; where the link led, nothing changes."""
    outside = ground / "outside"
    outside.mkdir()
    (outside / "x.py").write_bytes(b"mine")
    root, files = plant(ground, {"a": b""})
    (root / "link").symlink_to(outside)
    (root / "leaf").symlink_to(outside / "x.py")
    files += [PurePosixPath("link"), PurePosixPath("leaf")]
    over = {PurePosixPath("link/x.py"): FileState(b"theirs"), PurePosixPath("leaf"): FileState(b"theirs")}
    async with sandbox.open(root, files, readable=[]) as session:
        async with session.layer(over) as layer:
            assert (await layer.run(shell("cat link/x.py leaf"))).output == b"theirstheirs"
        for wrong in ("../x", "/etc/x", ".git/hooks/post-checkout"):
            try:
                async with session.layer({PurePosixPath(wrong): FileState(b"")}):
                    raise AssertionError(wrong)
            except SandboxError:
                continue
    assert (outside / "x.py").read_bytes() == b"mine"


async def check_cancelling_is_quick(sandbox: Sandbox, ground: Path) -> None:
    """A cancelled run is over in a second, its processes are gone, and the session still works."""
    root, files = plant(ground, {"a": b""})
    mark = f"3{os.getpid()}.25"
    async with sandbox.open(root, files, readable=[]) as session:
        async with session.layer() as layer:
            begun = asyncio.Event()
            text = f'trap "" TERM; (sleep {mark} & sleep {mark} & wait) & echo begun; sleep {mark}'
            task = asyncio.ensure_future(layer.run(shell(text), on_output=lambda _: begun.set()))
            await asyncio.wait_for(begun.wait(), 20)
            assert await appears(mark)
            started = time.monotonic()
            task.cancel()
            await asyncio.wait([task])
            assert task.cancelled()
            assert time.monotonic() - started < 1
            assert await gone(mark)
        async with session.layer() as layer:
            assert (await layer.run(shell("echo ok"))).output == b"ok\n"


async def check_cancelling_at_any_moment(sandbox: Sandbox, ground: Path) -> None:
    """A run cancelled before, during and after its start leaves no process, whatever the moment."""
    root, files = plant(ground, {"a": b""})
    mark = f"4{os.getpid()}.25"
    async with sandbox.open(root, files, readable=[]) as session:
        steps, pause = (12, 0.05) if sandbox.name == "docker" else (50, 0.002)
        for step in range(steps):
            async with session.layer() as layer:
                task = asyncio.ensure_future(layer.run(Command(("sleep", mark))))
                await asyncio.sleep(step * pause)
                task.cancel()
                await asyncio.wait([task])
        assert await gone(mark)


async def check_opening_cancelled_at_any_moment(sandbox: Sandbox, ground: Path) -> None:
    """An open that is cancelled before, during and after the freeze leaves no process and no folder."""
    root, files = plant(ground, {f"file{number}": b"x" * 100 for number in range(50)})
    (ground / "tmp").mkdir()
    usual, tempfile.tempdir = tempfile.tempdir, str(ground / "tmp")

    async def use() -> None:
        async with sandbox.open(root, files, readable=[]) as session, session.layer() as layer:
            await layer.run(shell("sleep 60"))

    try:
        for step in range(14):
            task = asyncio.ensure_future(use())
            await asyncio.sleep(step * 0.007)
            task.cancel()
            await asyncio.wait([task])
            assert task.cancelled()
    finally:
        tempfile.tempdir = usual
    until = time.monotonic() + 3
    while children() or os.listdir(ground / "tmp"):  # noqa: PTH208 - names only
        assert time.monotonic() < until, (children(), os.listdir(ground / "tmp"))  # noqa: PTH208
        await asyncio.sleep(0.02)


async def check_background_processes_die_with_the_run(sandbox: Sandbox, ground: Path) -> None:
    """Neither a background child that holds stdout nor a daemon in a session of its own outlives or delays the run."""
    mark = f"5{os.getpid()}.25"
    started = time.monotonic()
    result = await once(sandbox, ground, shell(f"setsid sleep {mark} & sleep {mark} & echo done"))
    assert (result.ending, result.exit_code, result.output) == (Ending.EXITED, 0, b"done\n")
    assert time.monotonic() - started < 10
    assert await gone(mark)


async def check_a_memory_hog_stops(sandbox: Sandbox, ground: Path) -> None:
    """Beyond `memory_bytes` of address space, memory is refused."""
    limits = Limits(wall_seconds=30, memory_bytes=256 << 20)
    result = await once(sandbox, ground, python("x = bytearray(512 << 20)", limits=limits))
    assert b"MemoryError" in result.output


async def check_a_large_file_stops(sandbox: Sandbox, ground: Path) -> None:
    """No file grows beyond `scratch_bytes`."""
    limits = Limits(wall_seconds=30, scratch_bytes=8 << 20)
    result = await once(sandbox, ground, shell("head -c 50000000 /dev/zero >big; wc -c <big", limits=limits))
    assert int(result.output.split()[-1]) <= 8 << 20, result


async def check_bytecode_is_kept_for_unchanged_files_only(sandbox: Sandbox, ground: Path) -> None:
    """What `warm` compiled is there in later layers; a file laid over is compiled anew; other writes are not kept."""
    root, files = plant(
        ground, {"mod.py": b"value = 'old'\n", "other.py": b"value = 'same'\n", "evil.py": b"value = 1\n"}
    )
    os.utime(root / "evil.py", (1_500_000_000, 1_500_000_000))
    code = "import mod, other; print(mod.value, other.value, other.__cached__)"
    run = Command((sys.executable, "-c", code))
    compiling = f"{sys.executable} -c 'import mod, other'"
    mess = shell(f"touch stray; {compiling}; cp __pycache__/mod.* __pycache__/evil.cpython-0.pyc")
    async with sandbox.open(root, files, readable=READABLE) as session:
        assert (await session.warm(mess)).exit_code == 0
        async with session.layer({PurePosixPath("mod.py"): FileState(b"value = 'new'\n")}) as layer:
            cached = await layer.run(shell("ls stray; ls __pycache__"))
            assert b"\nmod.cpython" in cached.output, cached
            assert b"other.cpython" in cached.output, cached
            assert b"\nstray" not in cached.output
            assert b"evil" not in cached.output
            assert (await layer.run(run)).output.startswith(b"new same ")
        async with session.layer() as layer:
            assert (await layer.run(run)).output.startswith(b"old same ")


async def check_kept_bytecode_is_never_fetched_through_a_link(sandbox: Sandbox, ground: Path) -> None:
    """A baseline that replaces a folder by a link to one of the host's does not bring the host's bytecode in."""
    root, files = plant(ground, {"pkg/mod.py": b"value = 1\n"})
    os.utime(root / "pkg/mod.py", (1_600_000_000, 1_600_000_000))
    host = ground / "host"
    (host / "__pycache__").mkdir(parents=True)
    header = (
        b"\0\0\0\0" + (0).to_bytes(4, "little") + (1_600_000_000).to_bytes(4, "little") + (10).to_bytes(4, "little")
    )
    (host / "__pycache__" / "mod.secret.pyc").write_bytes(header + b"host secret")
    async with sandbox.open(root, files, readable=[]) as session:
        await session.warm(shell(f"rm -r pkg; ln -s '{host}' pkg"))
        async with session.layer() as layer:
            assert (await layer.run(shell("ls -A pkg"))).output == b"mod.py\n"


# ── helpers ──────────────────────────────────────────────────────────────────────────────────────────────────────


def snapshot(root: Path) -> list[tuple[str, int, int, bytes]]:
    """Every file below `root`: path, mode, modification time in nanoseconds, content."""
    found = []
    for path in sorted(root.rglob("*")):
        status = path.lstat()
        content = path.read_bytes() if path.is_file() else b""
        found.append((str(path), status.st_mode, status.st_mtime_ns, content))
    return found


def children() -> list[str]:
    """The names of our living child processes."""
    pids = [pid for each in Path("/proc/self/task").glob("*/children") for pid in each.read_text().split()]
    found: list[str] = []
    for pid in pids:
        with suppress(OSError):
            found.append(Path(f"/proc/{pid}/stat").read_text())
    return [stat for stat in found if ") Z " not in stat]


async def gone(mark: str, seconds: float = 1.0) -> bool:
    """Whether within that time no process (but zombies) has `mark` as an argument."""
    until = time.monotonic() + seconds
    while living(mark):
        if time.monotonic() > until:
            return False
        await asyncio.sleep(0.02)
    return True


async def appears(mark: str, seconds: float = 5.0) -> bool:
    """Whether within that time a process has `mark` as an argument."""
    until = time.monotonic() + seconds
    while not living(mark):
        if time.monotonic() > until:
            return False
        await asyncio.sleep(0.02)
    return True


def living(mark: str) -> list[str]:
    """Command lines of processes that have `mark` as an argument."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if mark.encode() in words:
                found.append(b" ".join(words).decode(errors="replace"))
    return found


def named(prefix: str, names: Mapping[str, object]) -> dict[str, Check]:
    """The coroutine functions of a module whose names begin with `prefix`, by the rest of the name."""
    return {
        name.removeprefix(prefix): cast("Check", value)
        for name, value in names.items()
        if name.startswith(prefix) and inspect.iscoroutinefunction(value)
    }


CHECKS = named("check_", globals())


async def run_all(checks: Mapping[str, Check], engine: str, ground: Path) -> dict[str, str]:
    """Every check with one engine: the traceback of each, empty where it passed."""
    said: dict[str, str] = {}
    for name, check in checks.items():
        folder = ground / name
        folder.mkdir()
        try:
            await asyncio.wait_for(check(ENGINES[engine](), folder), 120)
            said[name] = ""
        except Exception:  # noqa: BLE001 - reported as data to the test that started us
            said[name] = traceback.format_exc()
    return said


if __name__ == "__main__":
    print(json.dumps(asyncio.run(run_all(CHECKS, sys.argv[1], Path(sys.argv[2])))))  # noqa: T201 - the answer
