"""A sandbox session with files below every layer: generated ones of a built project, or a tree as it was."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import PurePosixPath

from thinklonger.agent.protocols import SandboxLayer, SandboxSession
from thinklonger.agent.types import Command, CommandResult, Layer


class LaidSession:
    """The session of a tree with some files changed for good; a layer's own files lie over them.

    `warm` keeps no bytecode: that of such files would be of a tree that the session does not have.
    """

    def __init__(self, session: SandboxSession, below: Layer) -> None:
        """Lay `below` over the session's tree."""
        self.session = session
        self.below = below
        self.root: PurePosixPath = session.root

    def layer(self, files: Layer | None = None) -> AbstractAsyncContextManager[SandboxLayer]:
        """A fresh layer over the changed tree."""
        return self.session.layer({**self.below, **(files or {})})

    async def warm(self, command: Command, *, on_output: Callable[[bytes], None] | None = None) -> CommandResult:
        """Run the command in a layer of its own."""
        async with self.layer() as opened:
            return await opened.run(command, on_output=on_output)
