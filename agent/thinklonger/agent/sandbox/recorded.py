"""A sandbox that runs nothing and answers as told: the fake for tests of whatever stands on the port."""

from collections.abc import AsyncGenerator, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TypeAlias

from thinklonger.agent.errors import SandboxError
from thinklonger.agent.types import Command, CommandResult, Layer

Answer: TypeAlias = Callable[[Command, Layer], CommandResult]
"""What a command does, given the files laid over the tree."""
Rule: TypeAlias = tuple[Callable[[tuple[str, ...]], bool], CommandResult]
"""A condition on a command's argv, and what the command then does."""


@dataclass(frozen=True, slots=True)
class RecordedRun:
    """One command that was asked for, and the files that lay over the tree."""

    command: Command
    files: Layer


def first_match(*rules: Rule) -> Answer:
    """An answer from rules: the first whose condition holds; SandboxError for a command that no rule knows."""

    def answer(command: Command, files: Layer) -> CommandResult:
        del files
        for holds, result in rules:
            if holds(command.argv):
                return result
        raise SandboxError("sandbox.not-recorded", command=" ".join(command.argv))

    return answer


class RecordedSandbox:
    """Remembers every run in `runs`, what was frozen in `frozen`, and gives the answers that it was made with."""

    name = "recorded"

    def __init__(self, answer: Answer) -> None:
        """Take what each command shall do: a function, or `first_match` of rules."""
        self.answer = answer
        self.runs: list[RecordedRun] = []
        self.frozen: list[PurePosixPath] = []

    async def probe(self) -> None:
        """Always works."""

    @asynccontextmanager
    async def open(
        self, root: Path, files: Collection[PurePosixPath], *, readable: Sequence[Path]
    ) -> AsyncGenerator["RecordedSession"]:
        """Remember the files' names; nothing is copied."""
        del readable
        self.frozen = list(files)
        yield RecordedSession(self, PurePosixPath(root))


class RecordedSession:
    """The fake's frozen tree."""

    def __init__(self, sandbox: RecordedSandbox, root: PurePosixPath) -> None:
        """Answer for `sandbox`; the tree seems to lie at `root`."""
        self.root = root
        self._sandbox = sandbox

    @asynccontextmanager
    async def layer(self, files: Layer | None = None) -> AsyncGenerator["RecordedLayer"]:
        """A layer that remembers `files` for the answer."""
        yield RecordedLayer(self._sandbox, self.root, files or {})

    async def warm(self, command: Command, *, on_output: Callable[[bytes], None] | None = None) -> CommandResult:
        """The same as a run on the tree as it is."""
        return await RecordedLayer(self._sandbox, self.root, {}).run(command, on_output=on_output)


class RecordedLayer:
    """The fake's layer."""

    def __init__(self, sandbox: RecordedSandbox, root: PurePosixPath, files: Layer) -> None:
        """Answer for `sandbox` with these files laid over the tree."""
        self.root = root
        self._sandbox = sandbox
        self._files = files

    async def run(self, command: Command, *, on_output: Callable[[bytes], None] | None = None) -> CommandResult:
        """Remember the run and answer; all output comes at once."""
        self._sandbox.runs.append(RecordedRun(command, self._files))
        result = self._sandbox.answer(command, self._files)
        if on_output is not None and result.output:
            on_output(result.output)
        return result
