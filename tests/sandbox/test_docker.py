"""What only the Docker sandbox promises: nothing survives a launcher or an engine, and what it asks of the engine."""

import asyncio
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sandbox_contract import READABLE, plant, shell

from thinklonger.agent.errors import SandboxError
from thinklonger.agent.sandbox import container, launcher
from thinklonger.agent.sandbox.calls import profile
from thinklonger.agent.sandbox.client import Client
from thinklonger.agent.sandbox.container import Plan, Room, hardened
from thinklonger.agent.sandbox.docker import DockerSandbox
from thinklonger.agent.sandbox.dockerlayer import unpack
from thinklonger.agent.sandbox.engine import Engine
from thinklonger.agent.sandbox.image import with_nested
from thinklonger.agent.sandbox.layering import obstacles
from thinklonger.agent.sandbox.seccomp import CALLS
from thinklonger.agent.types import Command, Ending, FileState, Limits

SCRIPT = Path(__file__).with_name("sandbox_killed.py")


async def left_by(pid: int, *, running: bool = False) -> list[str]:
    """Containers (or only those that run), volumes and images that the launcher of that pid made."""
    engine = await Engine.connect()
    only = {"label": [launcher.LAUNCHER]}

    def look(client: Client) -> list[str]:
        found = client.containers(all=not running, filters=only)
        if not running:
            found += [*client.images(filters=only), *(client.volumes(filters=only)["Volumes"] or [])]
        return [str(each) for each in found if f"/{pid}/" in (each["Labels"] or {})[launcher.LAUNCHER]]

    try:
        return await engine.call(look)
    finally:
        engine.close()


async def left_after(pid: int, seconds: float, *, running: bool = False) -> list[str]:
    """What a launcher has left after that time at most."""
    until = time.monotonic() + seconds
    while (left := await left_by(pid, running=running)) and time.monotonic() < until:  # noqa: ASYNC110 - another process's doing
        await asyncio.sleep(0.1)
    return left


@pytest.mark.usefixtures("docker")
@pytest.mark.parametrize("moment", [0.0, 0.5, 1.2])
async def test_nothing_survives_a_killed_launcher(moment: float, tmp_path: Path) -> None:
    """Killed with SIGKILL while commands run (0) or later: containers end by themselves, the next start sweeps."""
    command = [sys.executable, str(SCRIPT), "launch", "docker", str(tmp_path)]
    process = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE)
    if moment:
        await asyncio.sleep(moment)
    elif process.stdout is not None:
        assert await process.stdout.readline() == b"up\n"
    process.kill()
    await process.wait()
    assert await left_after(process.pid, 10.0, running=True) == []
    await DockerSandbox().probe()
    if await left_after(process.pid, 2.0):  # the engine was still making what a dead launcher had asked for
        await DockerSandbox().probe()
    assert await left_after(process.pid, 10.0) == []


@pytest.mark.usefixtures("docker")
async def test_a_session_leaves_nothing(tmp_path: Path) -> None:
    """After a session with layers that ended, failed and were cancelled, the engine has nothing of ours."""
    root, files = plant(tmp_path, {"a.py": b""})
    async with DockerSandbox().open(root, files, readable=READABLE) as session:
        async with session.layer() as layer:
            await layer.run(shell("exit 3"))
            await layer.run(shell("sleep 60", limits=Limits(wall_seconds=0.5)))
        async with session.layer() as layer:
            task = asyncio.ensure_future(layer.run(shell("sleep 60")))
            await asyncio.sleep(0.3)
            task.cancel()
            await asyncio.wait([task])
    assert await left_after(os.getpid(), 5.0) == []


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Iterator[subprocess.Popen[bytes]]:
    """A Docker engine of its own, that a test may kill."""
    if os.geteuid() != 0 or shutil.which("dockerd") is None:
        pytest.skip("no engine of its own can be started here: that needs root and dockerd")
    place = Path(tempfile.mkdtemp(prefix="tl-engine-"))
    address = f"unix://{place}/docker.sock"
    options = [f"--data-root={place}/data", f"--exec-root={place}/exec", f"--pidfile={place}/pid", "-H", address]
    options += ["--bridge=none", "--iptables=false", "--ip6tables=false", "--ip-forward=false", "--ip-masq=false"]
    monkeypatch.setenv("DOCKER_HOST", address)
    with (place / "log").open("wb") as log:
        process = subprocess.Popen(["dockerd", *options], stdout=log, stderr=log, stdin=subprocess.DEVNULL)
    try:
        until = time.monotonic() + 30
        while process.poll() is None and not (place / "docker.sock").exists() and time.monotonic() < until:
            time.sleep(0.1)
        if process.poll() is not None:
            pytest.skip(f"dockerd can't run here: {(place / 'log').read_text()[-300:]}")
        yield process
    finally:
        process.terminate()
        process.wait(30)
        subprocess.run(["umount", f"{place}/exec/netns/default"], capture_output=True, check=False)
        shutil.rmtree(place, ignore_errors=True)


@pytest.mark.slow
async def test_an_engine_that_dies_in_the_middle_is_an_error_with_a_remedy(
    engine: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    """The run ends soon, as an error of the sandbox, never as a red command; the user's tree is as it was."""
    root, files = plant(tmp_path, {"a.py": b"x = 1\n"})
    begun = asyncio.Event()

    async def work() -> None:
        async with DockerSandbox().open(root, files, readable=READABLE) as session, session.layer() as layer:
            await layer.run(shell("echo begun; sleep 60"), on_output=lambda _: begun.set())

    task = asyncio.ensure_future(work())
    await asyncio.wait_for(begun.wait(), 40)
    engine.terminate()
    with pytest.raises(SandboxError) as caught:
        await asyncio.wait_for(task, 30)
    assert caught.value.message.key == "sandbox.docker-gone"
    assert caught.value.remedy is not None
    assert (root / "a.py").read_bytes() == b"x = 1\n"


@pytest.mark.usefixtures("docker")
async def test_a_container_made_ahead_is_as_fresh_as_any(tmp_path: Path) -> None:
    """From the third layer of a kind on one is there already: whole, untouched, with its own limits, and never old."""
    root, files = plant(tmp_path, {"a.py": b"x = 1\n"})
    text = "cat a.py; ls; test -d __pycache__ && echo kept; echo changed >a.py; ulimit -v"
    narrow = Limits(memory_bytes=1 << 30)
    found: list[bytes] = []
    async with DockerSandbox().open(root, files, readable=READABLE) as session:

        async def look(limits: Limits) -> None:
            async with session.layer() as layer:
                found.append((await layer.run(shell(text, limits=limits))).output)

        for limits in (narrow, narrow, narrow, Limits(), narrow, narrow):
            await look(limits)
        assert session.spares == 1
        await session.warm(shell(f"{sys.executable} -c 'import a'"))
        assert session.spares == 0
        await look(narrow)
        await look(narrow)
    assert [text.splitlines()[-1] for text in found[:4]] == [b"1048576"] * 3 + [b"4194304"], found
    assert all(text.splitlines()[:2] == [b"x = 1", b"a.py"] for text in found[:6]), found
    assert all(b"kept" in text for text in found[6:]), found
    assert await left_after(os.getpid(), 5.0) == []


@pytest.mark.usefixtures("docker")
async def test_a_command_that_ends_its_container_is_killed_and_no_error(tmp_path: Path) -> None:
    """A candidate can't stop the whole search by ending its own container; other layers go on."""
    root, files = plant(tmp_path, {"a.py": b""})
    async with DockerSandbox().open(root, files, readable=[]) as session:
        async with session.layer() as layer:
            result = await layer.run(shell("kill -TERM 1; sleep 30"))
            assert result.ending is Ending.KILLED
            with pytest.raises(SandboxError):
                await layer.run(shell("true"))
        async with session.layer() as layer:
            assert (await layer.run(shell("echo ok"))).output == b"ok\n"


@pytest.mark.usefixtures("docker")
async def test_a_path_with_odd_names_is_shown(tmp_path: Path) -> None:
    """A tree whose own path holds blanks, quotes, colons, commas and Chinese characters works like any other."""
    place = tmp_path / "a b:c,d 'e' 中文"
    place.mkdir()
    root, files = plant(place, {"a.py": b"print(1)\n"})
    async with DockerSandbox().open(root, files, readable=READABLE) as session, session.layer() as layer:
        result = await layer.run(Command((sys.executable, "a.py")))
    assert result.output == b"1\n", result


# ── what is asked of the engine ──────────────────────────────────────────────────────────────────────────────────


def test_containers_are_hardened() -> None:
    """No network, no rights, read-only, everything bounded; host folders are shown read-only."""
    plan = Plan("image", (65534, 65534), {}, {PurePosixPath("/usr"): "/usr"})
    settings = dict(hardened(plan, Room(Limits(), 0, {"/tree": (1 << 20, 100)})))
    assert settings["NetworkMode"] == "none"
    assert settings["ReadonlyRootfs"] is True
    assert settings["CapDrop"] == ["ALL"]
    assert settings["Memory"] == settings["MemorySwap"] == Limits().memory_bytes
    assert settings["PidsLimit"] == Limits().processes
    assert settings["LogConfig"] == {"Type": "none", "Config": {}}
    assert "no-new-privileges:true" in str(settings["SecurityOpt"])
    assert "size=1048576" in str(settings["Tmpfs"])
    mounts = settings["Mounts"]
    assert isinstance(mounts, list)
    assert [mount["ReadOnly"] for mount in mounts] == [True]


def test_the_profile_denies_what_the_filter_denies() -> None:
    """Each call of the filter's table is an error in the profile, io_uring and namespaces among them."""
    rules = json.loads(profile())["syscalls"]
    whole = {name for rule in rules if "args" not in rule for name in rule["names"]}
    assert {*CALLS, "clone3"} <= whole
    assert all(rule["action"] == "SCMP_ACT_ERRNO" for rule in rules)
    flags = {rule["args"][0]["value"] for rule in rules if rule["names"] == ["clone"]}
    assert 0x10000000 in flags
    assert len(flags) == 8


def test_what_is_mounted_inside_a_shown_folder_is_shown_read_only_too() -> None:
    """A mount below a folder gets a read-only one of its own: the engine would leave it its rights."""
    shown = with_nested({PurePosixPath("/inside"): "/"})
    assert shown[PurePosixPath("/inside/proc")] == "/proc"


def test_launchers_are_told_apart() -> None:
    """This process lives; one with another start or no process does not; one elsewhere counts until it expires."""
    mine = launcher.labels("x")
    assert not launcher.is_dead(mine)
    where, pid, since = mine[launcher.LAUNCHER].rsplit("/", 2)
    assert launcher.is_dead({launcher.LAUNCHER: f"{where}/{pid}/{since}0"})
    elsewhere = {launcher.LAUNCHER: f"other/{pid}/{since}", launcher.EXPIRES: str(int(time.time()) + 60)}
    assert not launcher.is_dead(elsewhere)
    assert launcher.is_dead({**elsewhere, launcher.EXPIRES: "1"})
    assert not launcher.is_dead({})


# ── what comes back ──────────────────────────────────────────────────────────────────────────────────────────────


def packed(*entries: tuple[str, bytes, bytes]) -> bytes:
    """A tar of entries: name, type, content or link target."""
    buffer = BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for name, kind, content in entries:
            entry = tarfile.TarInfo(name)
            entry.type = kind
            if kind == tarfile.REGTYPE:
                entry.size = len(content)
            else:
                entry.linkname = content.decode()
            tar.addfile(entry, BytesIO(content))
    return buffer.getvalue()


def test_only_plain_files_come_out_of_a_tar() -> None:
    """Links, devices and names that lead out are left out; a hard link is its file; half a tar gives its first half."""
    regular, soft, hard, device = tarfile.REGTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE
    tar = packed(
        ("./a", regular, b"one"),
        ("./b", hard, b"./a"),
        ("./c", soft, b"/etc/passwd"),
        ("./d", device, b""),
        ("../e", regular, b"out"),
        ("/f", regular, b"out"),
        ("./g/h", regular, b"two"),
        ("./out", hard, b"/etc/passwd"),
    )
    assert unpack(tar) == {"a": b"one", "b": b"one", "g/h": b"two"}
    assert unpack(tar[:1024]) == {"a": b"one"}


@given(st.binary(max_size=3000))
def test_a_broken_tar_breaks_nothing(data: bytes) -> None:
    """Whatever a hijacked container sends as a tar, reading it ends without an error."""
    whole = packed(("./a", tarfile.REGTYPE, b"x" * 600))
    unpack(data)
    unpack(whole[:512] + data)
    unpack(data[:100] + whole[len(data[:100]) :])


def test_what_stands_in_the_way_goes_first() -> None:
    """A laid file's own place, a file or link above it, and removed files; nothing that is not there."""
    frozen = dict.fromkeys(map(PurePosixPath, ["a", "b/c", "link", "gone"]), 1)
    laid = {PurePosixPath(name): FileState(b"") for name in ("a/x", "b", "link/y", "new")}
    removed = dict.fromkeys(map(PurePosixPath, ["gone", "never"]))
    found = {str(path) for path in obstacles({**laid, **removed}, frozen)}
    assert found == {"a", "a/x", "b", "link", "link/y", "new", "gone"}


@pytest.mark.usefixtures("docker")
async def test_the_engine_itself_ends_what_is_too_old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without any word of the launcher, the engine's own timer ends a container; the command is killed."""
    root, files = plant(tmp_path, {"a.py": b""})
    async with DockerSandbox().open(root, files, readable=[]) as session, session.layer() as layer:
        monkeypatch.setattr(container, "TTL_SECONDS", 2)
        result = await layer.run(shell("sleep 40"))
    assert result.ending is Ending.KILLED
    assert result.seconds < 30
