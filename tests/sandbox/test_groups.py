"""Control groups: found where they can be made, gone with their session, swept after a dead launcher, else told."""

import asyncio
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from thinklonger.agent.config import SandboxChoice
from thinklonger.agent.sandbox import groups as module
from thinklonger.agent.sandbox import risk
from thinklonger.agent.sandbox.bubblewrap import BubblewrapSandbox
from thinklonger.agent.sandbox.direct import DirectSandbox
from thinklonger.agent.sandbox.groups import Hierarchies, NoGroups, OwnGroups, Scopes
from thinklonger.agent.types import Limits

LIMITS = Limits(memory_bytes=64 << 20, processes=10)


@pytest.fixture
def where() -> Hierarchies:
    """Hierarchies that the tests' user can write."""
    found = module._way()
    if not isinstance(found, Hierarchies):
        pytest.skip("this user can't write any control group hierarchy")
    return found


def ours(where: Hierarchies, pid: int) -> list[Path]:
    """The groups that a process made."""
    return [path for folder in where.folders for path in folder.glob(f"thinklonger-*-{pid}-*")]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root is sure to have control groups")
def test_root_has_groups_wherever_a_hierarchy_can_be_written() -> None:
    """The search does not miss what plainly can be written."""
    memory = Path("/sys/fs/cgroup/memory")
    if not os.access(memory, os.W_OK):
        pytest.skip("no hierarchy of version 1 that can be written")
    assert module._way() == Hierarchies(memory, Path("/sys/fs/cgroup/pids"), unified=False)
    assert risk(BubblewrapSandbox()) is None


def test_a_command_is_in_its_group_and_the_group_goes(where: Hierarchies) -> None:
    """The limits stand, the command runs inside, and nothing is there when the session has ended."""
    own = OwnGroups(where)
    prefix = own.enter("1.1", LIMITS)
    (group,) = (path / "1.1" for path in ours(where, os.getpid()) if path.is_relative_to(where.memory))
    limit = (group / ("memory.max" if where.unified else "memory.limit_in_bytes")).read_text()
    assert int(limit) == LIMITS.memory_bytes
    said = subprocess.run([*prefix, "cat", "/proc/self/cgroup"], capture_output=True, text=True, check=True).stdout
    assert f"/{group.parent.name}/1.1" in said
    with subprocess.Popen([*prefix, "sleep", "60"]) as running:
        while str(running.pid) not in (group / "cgroup.procs").read_text():
            time.sleep(0.01)
        own.leave("1.1")
        assert group.exists()
        running.kill()
    asyncio.run(own.close())
    assert ours(where, os.getpid()) == []


def test_a_killed_launchers_groups_go_at_the_next_start(where: Hierarchies) -> None:
    """What a dead process made is removed; what a living one made is not."""
    code = (
        "import sys; from thinklonger.agent.sandbox.groups import *; groups().enter('1.1', Limits()); print(flush=True)"
    )
    with subprocess.Popen([sys.executable, "-c", f"{code}; sys.stdin.read()"], stdin=-1, stdout=-1) as launcher:
        assert launcher.stdout is not None
        launcher.stdout.readline()
        module.sweep(where)
        assert len(ours(where, launcher.pid)) == len(where.folders)
        launcher.kill()
    module.sweep(where)
    assert ours(where, launcher.pid) == []


def test_a_scope_has_both_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """The user's systemd is asked to count memory without swap, and tasks; the command stays ours."""
    monkeypatch.setattr(module, "tool", lambda name: f"/x/{name}")
    words = Scopes().enter("1.1", LIMITS)
    assert words[0] == "/x/systemd-run"
    assert {"--scope", f"--property=MemoryMax={64 << 20}", "--property=MemorySwapMax=0"} <= set(words)
    assert words[-1] == "--"


@pytest.mark.parametrize(("runtime", "script", "expected"), [
    ("", "exec true", None),
    ("here", "exit 1", None),
    ("here", 'while [ $1 != -- ]; do shift; done; shift; exec "$@"', None),
    ("here", "exit 0", True),
])  # fmt: skip
def test_systemd_is_used_only_where_its_limits_hold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, runtime: str, script: str, expected: object
) -> None:
    """No user session, a refusal, or a scope without its limit: none of them counts as a limit."""
    program = tmp_path / "systemd-run"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    (tmp_path / "systemd").mkdir()
    (tmp_path / "systemd" / "private").touch()
    find = module.tool
    monkeypatch.setattr(module, "_hierarchies", lambda: iter(()))
    monkeypatch.setattr(module, "tool", lambda name: str(program) if name == "systemd-run" else find(name))
    monkeypatch.setenv("XDG_RUNTIME_DIR", runtime and str(tmp_path))
    assert module._way.__wrapped__() is expected


def test_without_groups_the_risk_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bubblewrap without a limit in total says so; `none` has its own, larger risk."""
    monkeypatch.setattr(module, "_way", lambda: None)
    assert isinstance(module.groups(), NoGroups)
    said = [risk(sandbox) for sandbox in (BubblewrapSandbox(), DirectSandbox())]
    assert [message and message.key for message in said] == ["sandbox.memory-risk", "sandbox.none-risk"]
    assert BubblewrapSandbox.name == SandboxChoice.BUBBLEWRAP


def test_a_part_of_the_unified_hierarchy_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The nearest folder above our own group that we may write and that counts memory and processes."""
    own = tmp_path / "user.slice" / "app.slice" / "x.scope"
    own.mkdir(parents=True)
    (own.parent / "cgroup.subtree_control").write_text("cpu memory pids\n")
    (own / "cgroup.subtree_control").write_text("\n")
    monkeypatch.setattr(module, "_mounted", lambda kind, _: tmp_path if kind == "cgroup2" else None)
    read = Path.read_text
    monkeypatch.setattr(
        Path,
        "read_text",
        lambda path, *rest: (
            "0::/user.slice/app.slice/x.scope\n" if str(path) == "/proc/self/cgroup" else read(path, *rest)
        ),
    )
    (found,) = module._hierarchies()
    assert found == Hierarchies(own.parent, own.parent, unified=True)
