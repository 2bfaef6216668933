"""A sandbox session with files below every layer: what only exists once a project is built."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import PurePosixPath

from thinklonger.agent.protocols import SandboxLayer, SandboxSession
from thinklonger.agent.types import Command, CommandResult, Layer


class LaidSession:
    """The session of a tree with generated files; a layer's own files lie over them.

    `warm` keeps no bytecode: that of generated files would be of a tree that the session does not have.
    """

    def __init__(self, session: SandboxSession, below: Layer) -> None:
        """Lay `below` over the session's tree."""
        self.session = session
        self.below = below
        self.root: PurePosixPath = session.root

    def layer(self, files: Layer | None = None) -> AbstractAsyncContextManager[SandboxLayer]:
        """A fresh layer over the tree with its generated files."""
        return self.session.layer({**self.below, **(files or {})})

    async def warm(self, command: Command, *, on_output: Callable[[bytes], None] | None = None) -> CommandResult:
        """Run the command in a layer of its own."""
        async with self.layer() as opened:
            return await opened.run(command, on_output=on_output)
