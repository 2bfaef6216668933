"""The sandbox's parts, each alone: the filter's decisions, what is frozen, shown, swept and said."""

import asyncio
import fcntl
import os
import re
import struct
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from thinklonger.agent import messages
from thinklonger.agent.config import SandboxChoice, SandboxPreference, SandboxSettings
from thinklonger.agent.errors import SandboxError
from thinklonger.agent.sandbox import (
    bubblewrap,
    copying,
    folders,
    layering,
    overlay,
    risk,
    seccomp,
    select_sandbox,
    storage,
    tools,
)
from thinklonger.agent.sandbox.confinement import SCRATCH, Descriptors, View, Workplace, can_show, confine
from thinklonger.agent.sandbox.inventory import take_inventory
from thinklonger.agent.sandbox.readable import to_show
from thinklonger.agent.sandbox.recorded import RecordedSandbox, first_match
from thinklonger.agent.types import Command, CommandResult, Ending, FileState, Message

# ── the system call filter ───────────────────────────────────────────────────────────────────────────────────────


def decide(program: bytes, *, number: int, audit: int, first: int = 0) -> int:
    """Run the classic BPF program on one system call, as the kernel would."""
    data = struct.pack("<iIQ6Q", number, audit, 0, first, 0, 0, 0, 0, 0)
    code = list(struct.iter_unpack("=HBBI", program))
    at, accumulator = 0, 0
    while True:
        kind, true, false, value = code[at]
        at += 1
        match kind:
            case seccomp.LOAD:
                accumulator = struct.unpack_from("<I", data, value)[0]
            case seccomp.JUMP_EQUAL:
                at += true if accumulator == value else false
            case seccomp.JUMP_GREATER_EQUAL:
                at += true if accumulator >= value else false
            case seccomp.JUMP_SET:
                at += true if accumulator & value else false
            case _:
                return value


@pytest.mark.parametrize("name", sorted(seccomp.MACHINES))
def test_the_filter_decides_as_promised(name: str) -> None:
    """On both machines: table calls EPERM, clone3 ENOSYS, threads pass, new namespaces and odd sockets do not."""
    machine = seccomp.MACHINES[name]
    program = seccomp.program(name)
    assert program is not None

    def decision(number: int, first: int = 0, audit: int = machine.audit) -> int:
        return decide(program, number=number, audit=audit, first=first)

    eperm, enosys, unsupported = (seccomp.ERRNO | number for number in (1, 38, 97))
    column = 0 if name == "x86_64" else 1
    for numbers in seccomp.CALLS.values():
        number = numbers[column]
        assert number is None or decision(number) == eperm
    assert decision(machine.clone3) == enosys
    assert decision(machine.clone, 0x3D0F00) == seccomp.ALLOW  # a thread, as glibc makes it
    assert decision(machine.clone, 17) == seccomp.ALLOW  # a fork
    assert decision(machine.clone, 0x10000000 | 17) == eperm  # a user namespace
    assert [decision(machine.socket, family) for family in (1, 2, 10, 16)] == [seccomp.ALLOW] * 4
    assert [decision(machine.socket, family) for family in (40, 38, 17, 31)] == [unsupported] * 4
    assert decision(machine.clone, audit=0x40000003) == seccomp.KILL  # a 32-bit program
    every = {number for number in range(500) if decision(number) != seccomp.ALLOW}
    assert every == {*machine.denied, machine.clone3, machine.socket}


def test_the_filter_is_none_for_an_unknown_machine() -> None:
    """A machine whose numbers we don't know gets no filter, rather than one with another's numbers."""
    assert seccomp.program("riscv64") is None


def test_the_filter_has_the_kernels_numbers() -> None:
    """The x86_64 numbers are those of the kernel's own header."""
    header = Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h")
    if not header.exists():
        pytest.skip("no kernel headers here")
    known = {name: int(number) for name, number in re.findall(r"#define __NR_(\w+) (\d+)", header.read_text("ascii"))}
    assert {name: known[name] for name in seccomp.CALLS if name in known} == {
        name: numbers[0] for name, numbers in seccomp.CALLS.items() if name in known
    }


# ── what is frozen, laid over and shown ──────────────────────────────────────────────────────────────────────────


def test_inventory_takes_only_what_lies_where_it_says(tmp_path: Path) -> None:
    """Files and links are taken, with whole seconds and room; all else is named as skipped."""
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a").write_bytes(b"x" * 5000)
    os.utime(tmp_path / "sub" / "a", (5.9, 5.9))
    (tmp_path / "link").symlink_to("nowhere")
    (tmp_path / "way").symlink_to("sub")
    os.mkfifo(tmp_path / "fifo")
    names = ["sub/a", "link", "way/a", "fifo", "sub", "gone", "../up", ".git/config", "."]
    inventory = take_inventory(tmp_path, [PurePosixPath(name) for name in names])
    assert list(inventory.files) == [PurePosixPath("sub/a"), PurePosixPath("link")]
    assert inventory.files[PurePosixPath("sub/a")] == 5
    assert inventory.skipped == tuple(PurePosixPath(name) for name in names[2:])
    assert inventory.bytes >= 5000 + 4096


FROZEN = {"a/b": b"base", "own/x": b"base", "d": b"base", "link": b"-> OUTSIDE"}
LAID = st.dictionaries(
    st.sampled_from(["a", "b", "a/b", "a/b/c", "d/e", "d", "link", "link/x", "own/x", "own"]),
    st.none() | st.binary(max_size=3),
).filter(lambda laid: not any(_is_above(one, other) for one in _files(laid) for other in _files(laid)))
"""What may be laid over: files and removals, but no file below another."""


def _files(laid: Mapping[str, bytes | None]) -> list[str]:
    return [name for name, content in laid.items() if content is not None]


def _is_above(one: str, other: str) -> bool:
    return other.startswith(f"{one}/")


def expected(laid: Mapping[str, bytes | None]) -> dict[str, bytes]:
    """The tree after laying over, by the port's words: removals first, then what stands in a file's way gives way."""
    tree = {name: content for name, content in FROZEN.items() if laid.get(name, b"") is not None}
    for name in _files(laid):
        tree = {old: content for old, content in tree.items() if not _is_above(name, old) and not _is_above(old, name)}
        tree[name] = laid[name] or b""
    return tree


def plant(ground: Path) -> tuple[Path, Path]:
    """The frozen tree, and a folder outside that its link leads to."""
    root, outside = ground / "root", ground / "outside"
    for place in (root / "a", root / "own", outside):
        place.mkdir(parents=True)
    for name in ("a/b", "own/x", "d"):
        (root / name).write_bytes(FROZEN[name])
    (outside / "x").write_bytes(b"outside")
    (root / "link").symlink_to(outside)
    return root, outside


def as_layer(laid: Mapping[str, bytes | None]) -> dict[PurePosixPath, FileState | None]:
    """The same as the port takes it."""
    return {PurePosixPath(name): None if content is None else FileState(content) for name, content in laid.items()}


@settings(deadline=None)
@given(laid=LAID)
def test_a_copy_is_laid_over_by_the_ports_words(laid: dict[str, bytes | None]) -> None:
    """Files laid are there, files removed are gone, links and folders in the way give way, nothing outside changes."""
    with tempfile.TemporaryDirectory() as ground:
        root, outside = plant(Path(ground))
        copying.lay_over(root, as_layer(laid), {})
        found = {
            str(path.relative_to(root)): b"-> OUTSIDE" if path.is_symlink() else path.read_bytes()
            for path in root.rglob("*")
            if path.is_symlink() or path.is_file()
        }
        assert found == expected(laid)
        assert [path.read_bytes() for path in outside.iterdir()] == [b"outside"]


@pytest.mark.usefixtures("bubblewrap")
def test_an_overlay_is_laid_over_by_the_same_words(tmp_path: Path) -> None:
    """The overlay's view, as a command inside sees it, is the same as the copy's."""
    root, outside = plant(tmp_path)
    each = 'if [ -L "$path" ]; then echo "$path=link"; else echo "$path=$(od -An -tx1 "$path" | tr -d " \\n")"; fi'
    code = f"find . -not -type d -not -path './.git/*' | while read -r path; do {each}; done"

    async def compare() -> None:
        files = [PurePosixPath(name) for name in FROZEN]
        async with bubblewrap.BubblewrapSandbox().open(root, files, readable=[]) as session:

            async def one(laid: dict[str, bytes | None]) -> None:
                async with session.layer(as_layer(laid)) as layer:
                    result = await layer.run(Command(("sh", "-c", code)))
                lines = dict(line.split("=", 1) for line in result.output.decode().splitlines())
                shown = {f"./{name}": "link" if b"->" in c else c.hex() for name, c in expected(laid).items()}
                assert lines == shown, (laid, result)

            loop = asyncio.get_running_loop()

            @settings(max_examples=25, deadline=None)
            @given(laid=LAID)
            def holds(laid: dict[str, bytes | None]) -> None:
                asyncio.run_coroutine_threadsafe(one(laid), loop).result()

            await asyncio.to_thread(holds)

    asyncio.run(compare())
    assert [path.read_bytes() for path in outside.iterdir()] == [b"outside"]


def test_a_file_laid_over_is_newer_than_any_bytecode() -> None:
    """Its modification time differs from the frozen file's, also when both were written in this very second."""
    now, path = int(time.time()), PurePosixPath("a.py")
    for frozen in (0, now - 1, now, now + 1, now + 1000):
        assert layering.newer(path, {path: frozen}) > frozen
    assert layering.newer(path, {}) >= now


def test_inner_folders_are_bound_after_outer_ones() -> None:
    """A venv inside the tree, and a tree inside a readable folder, are both seen."""
    view = View(
        PurePosixPath("/home/me/env/tree"),
        {PurePosixPath("/home/me/env/tree/.venv"): "/sys/0", PurePosixPath("/home/me/env"): "/sys/1"},
        git=True,
    )
    words = confine(view, Workplace("/w", "/w/l", "/w/l/r"), cwd=PurePosixPath("sub"), env={}, fds=Descriptors(7, None))
    order = [words.index(place) for place in ("/sys/1", "/w/l/merged", "/sys/0")]
    assert order == sorted(order)
    assert words[words.index("--chdir") + 1] == "/home/me/env/tree/sub"
    assert words[words.index("/w/git") - 1] == "--ro-bind"
    assert "--seccomp" not in words


def test_roots_that_would_hide_the_sandbox_are_refused() -> None:
    """A tree can lie anywhere but where the sandbox's own things are, or around them."""
    refused = ["/", "/usr", "/etc", "/proc/1", "/sys/x", "/dev/x", "/run", "/run/thinklonger", "/lib64", SCRATCH]
    assert not any(can_show(PurePosixPath(path)) for path in refused)
    shown = ["/home/me", f"{SCRATCH}/x", "/root", "/usr/src/x", "/srv", "/run/user"]
    assert all(can_show(PurePosixPath(path)) for path in shown)


def test_readable_folders_are_shown_by_both_names(tmp_path: Path) -> None:
    """A folder that is reached through a link is shown as named and where it really is; /usr needs no showing."""
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    shown = to_show([tmp_path / "link", Path("/usr/lib")])
    assert shown == (PurePosixPath(tmp_path / "link"), PurePosixPath(tmp_path / "real"))


# ── folders that are swept ───────────────────────────────────────────────────────────────────────────────────────


def test_sweep_removes_only_what_dead_launchers_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Our folder with nobody holding its lock goes; one that is held, another's, or a very new one stays."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    living = folders.PrivateFolder()
    dead = tmp_path / f"{folders.PREFIX}dead"
    (dead / "deep").mkdir(parents=True)
    (dead / folders.LOCK).touch()
    (dead / "deep").chmod(0)
    unlocked = tmp_path / f"{folders.NEW}unlocked"
    unlocked.mkdir()
    other = tmp_path / "other"
    other.mkdir()
    link = tmp_path / f"{folders.PREFIX}link"
    link.symlink_to(other)
    folders.sweep()
    assert {path.name for path in tmp_path.iterdir()} == {unlocked.name, living.path.name, "other", link.name}
    monkeypatch.setattr(folders, "SETTLE_SECONDS", -1.0)
    folders.sweep()
    assert {path.name for path in tmp_path.iterdir()} == {living.path.name, "other", link.name}
    living.release()
    folders.sweep()
    assert {path.name for path in tmp_path.iterdir()} == {"other", link.name}


def test_a_lock_dies_with_its_owner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The lock is the kernel's, not a note in a file: it is free as soon as the owner is gone."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    owner = os.fork()
    if owner == 0:
        folders.PrivateFolder()
        os._exit(0)
    os.waitpid(owner, 0)
    (left,) = tmp_path.iterdir()
    with (left / folders.LOCK).open("r+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)


# ── trees too large for memory ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.usefixtures("bubblewrap")
async def test_a_large_tree_goes_to_disk_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond its share of memory, a tree is frozen into a private folder, works the same, and is removed."""
    monkeypatch.setattr(storage, "SHARE", 10**9)
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "a").write_bytes(b"frozen\n")
    sandbox = bubblewrap.BubblewrapSandbox()
    if tools.unprivileged():
        for place in (tmp_path, *tmp_path.parents[:2]):
            place.chmod(place.stat().st_mode | 0o011)
    async with sandbox.open(tmp_path / "tree", [PurePosixPath("a")], readable=[]) as session:
        (held,) = (tmp_path / "tmp").iterdir()
        assert (held / "tree" / "a").read_bytes() == b"frozen\n"
        async with session.layer({PurePosixPath("b"): FileState(b"laid\n")}) as layer:
            result = await layer.run(Command(("sh", "-c", "cat a b; echo spoilt >a")))
            assert result.output == b"frozen\nlaid\n"
        assert (held / "tree" / "a").read_bytes() == b"frozen\n"
    assert list((tmp_path / "tmp").iterdir()) == []


# ── which engine, and what is said ───────────────────────────────────────────────────────────────────────────────


async def test_what_can_not_be_chosen_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """No engine answers, another platform, bubblewrap is missing, no such image: each with a remedy."""

    async def refusal(settings: SandboxSettings | SandboxChoice) -> SandboxError:
        with pytest.raises(SandboxError) as caught:
            await select_sandbox(settings)
        assert caught.value.remedy is not None
        for language in messages.LANGUAGES:
            assert messages.render(caught.value.message, language)
            assert messages.render(caught.value.remedy, language)
        return caught.value

    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
    assert (await refusal(SandboxChoice.DOCKER)).message.key == "sandbox.no-docker"
    tools.tool.cache_clear()
    monkeypatch.setattr(tools, "SYSTEM_PATH", "/nowhere")
    assert (await refusal(SandboxChoice.AUTO)).message.key == "sandbox.no-bubblewrap"
    preferring = SandboxSettings(prefer=SandboxPreference.DOCKER)
    assert (await refusal(preferring)).message.key == "sandbox.no-docker"
    monkeypatch.setattr(sys, "platform", "darwin")
    assert (await refusal(SandboxChoice.BUBBLEWRAP)).message.key == "sandbox.linux-only"
    assert (await refusal(SandboxChoice.AUTO)).message.key == "sandbox.docker-needs-image"
    assert (await refusal(SandboxSettings(image="x"))).message.key == "sandbox.no-docker"
    tools.tool.cache_clear()


@pytest.mark.usefixtures("docker")
async def test_an_image_that_the_engine_lacks_is_never_fetched() -> None:
    """The user's image must be there; where it is not, the error says how to fetch it."""
    with pytest.raises(SandboxError) as caught:
        await select_sandbox(SandboxSettings(kind=SandboxChoice.DOCKER, image="thinklonger.invalid/none:1"))
    assert caught.value.message.key == "sandbox.no-image"


@pytest.mark.usefixtures("docker")
async def test_auto_is_docker_where_the_user_prefers_it_or_nothing_else_works(monkeypatch: pytest.MonkeyPatch) -> None:
    """The user's preference decides, and Docker steps in where bubblewrap can't run."""
    assert (await select_sandbox(SandboxSettings(prefer=SandboxPreference.DOCKER))).name == "docker"
    tools.tool.cache_clear()
    monkeypatch.setattr(tools, "SYSTEM_PATH", "/nowhere")
    assert (await select_sandbox(SandboxChoice.AUTO)).name == "docker"
    tools.tool.cache_clear()


@pytest.mark.usefixtures("bubblewrap")
async def test_a_probe_that_breaks_says_so_with_a_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    """A kernel that can't mount the overlay fails the probe, in the tool's own words, not the first real command."""
    failing = ("/bin/sh", "-c", "echo mount: unknown filesystem >&2; exit 32", "sh")
    monkeypatch.setattr(overlay, "shell", lambda _: failing)
    with pytest.raises(SandboxError) as caught:
        await select_sandbox(SandboxChoice.BUBBLEWRAP)
    assert caught.value.message == Message("sandbox.probe-failed", {"reason": "mount: unknown filesystem"})
    assert caught.value.remedy is not None


async def test_none_is_chosen_only_by_name_and_says_its_risk() -> None:
    """`none` works where asked for, with its risk as a message; no other choice gives it."""
    sandbox = await select_sandbox(SandboxChoice.NONE)
    assert sandbox.name == "none"
    assert risk(sandbox) == Message("sandbox.none-risk")


@pytest.mark.usefixtures("bubblewrap")
async def test_auto_is_bubblewrap_where_it_works() -> None:
    """On a machine where it runs, bubblewrap is the default, without any warning."""
    sandbox = await select_sandbox(SandboxChoice.AUTO)
    assert sandbox.name == "bubblewrap"
    assert risk(sandbox) is None


async def test_the_recorded_sandbox_answers_as_told() -> None:
    """Rules by argv; every run is remembered with the files laid over; an unknown command is an error, not silence."""
    passed = CommandResult(Ending.EXITED, 0, b"1 passed", 0.1)
    sandbox = RecordedSandbox(first_match((lambda argv: "pytest" in argv, passed)))
    seen: list[bytes] = []
    over = {PurePosixPath("a.py"): FileState(b"x")}
    async with sandbox.open(Path("/repo"), [PurePosixPath("a.py")], readable=[]) as session:
        async with session.layer(over) as layer:
            assert await layer.run(Command(("pytest", "-q")), on_output=seen.append) is passed
            with pytest.raises(SandboxError):
                await layer.run(Command(("rm", "-rf", "/")))
        assert await session.warm(Command(("pytest",))) is passed
    assert seen == [b"1 passed"]
    assert sandbox.frozen == [PurePosixPath("a.py")]
    assert [(run.command.argv, dict(run.files)) for run in sandbox.runs] == [
        (("pytest", "-q"), over),
        (("rm", "-rf", "/"), over),
        (("pytest",), {}),
    ]
