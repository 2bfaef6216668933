"""Small modules with tests, and a comparison of edits of theirs, in the sandbox that protects nothing."""

import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path, PurePosixPath
from textwrap import dedent
from typing import TypeAlias

import pytest

from thinklonger.agent.config import SandboxChoice
from thinklonger.agent.execution.behaviour import Comparison, Observation, Survivor, compare
from thinklonger.agent.sandbox import select_sandbox
from thinklonger.agent.types import FileState

MODULE = PurePosixPath("box.py")
PLAIN = Observation(Path(sys.executable), ("test_box.py",), inputs=160, seconds=20.0)
Compared: TypeAlias = Callable[..., Awaitable[Comparison]]


@pytest.fixture
def compared(tmp_path: Path) -> Compared:
    """Compare edits of `box.py`; an edit is (old text, new text)."""

    async def run(
        source: str, tests: str, edits: Sequence[tuple[str, str]], observation: Observation = PLAIN
    ) -> Comparison:
        root = tmp_path / "repository"
        root.mkdir(exist_ok=True)
        base, written = dedent(source), dedent(tests)
        (root / MODULE).write_text(base)
        (root / "test_box.py").write_text(written)
        survivors: list[Survivor] = []
        for old, new in edits:
            assert base.count(old) == 1, old
            survivors.append(Survivor(new, {MODULE: FileState(base.replace(old, new).encode())}))
        sandbox = await select_sandbox(SandboxChoice.NONE)
        files = [MODULE, PurePosixPath("test_box.py")]
        async with sandbox.open(root, files, readable=()) as session:
            return await compare(session, survivors, observation)

    return run
