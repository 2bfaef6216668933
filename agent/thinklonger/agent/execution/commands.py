"""Reads a test command: which runner it means, and what it selects."""


def split_command(command: str) -> tuple[str, ...]:
    """The command's words; one that needs a shell becomes `sh -c …`. Raises UsageError on nonsense."""
    raise NotImplementedError
