"""One error class for each boundary, and `boundary()`, which attributes a failure once.

An error is a catalogue message (`messages/`): what happened, naming the file, setting or line, and, where the
catalogue has `<key>-remedy`, what to do next. `exit_code` is the command line's.
"""

from collections.abc import Generator
from contextlib import contextmanager
from typing import ClassVar

from thinklonger.agent import messages
from thinklonger.agent.types import Message


class ThinkLongerError(Exception):
    """The base of every error that a user may see."""

    exit_code: ClassVar[int] = 3

    def __init__(self, key: str, /, **params: str | float) -> None:
        """Take the catalogue key of the sentence and its variables."""
        super().__init__(key)
        self.message = Message(key, params)

    @property
    def remedy(self) -> Message | None:
        """What to do about it, if the catalogue knows."""
        key = f"{self.message.key}-remedy"
        return Message(key, self.message.params) if messages.has(key) else None

    def __str__(self) -> str:
        """Say it in English, for logs and tracebacks; views render `message` in the user's language."""
        return messages.render(self.message)


class UsageError(ThinkLongerError):
    """The request itself can't be carried out as given: a flag, an issue, a path."""

    exit_code = 2


class ConfigError(UsageError):
    """A setting is wrong; names the file and the setting."""


class RepositoryError(ThinkLongerError):
    """The repository can't be read or indexed."""

    exit_code = 2


class EditError(ThinkLongerError):
    """An edit can't be applied as asked: no match, more than one match, a path outside, a result that doesn't parse."""


class SandboxError(ThinkLongerError):
    """The sandbox can't be started or broke."""


class ExecutionError(ThinkLongerError):
    """The repository's tests can't be run, and why."""


class ModelError(ThinkLongerError):
    """The model's server can't be reached or answered badly."""


class RecordError(ThinkLongerError):
    """A run record can't be written or read."""


class InternalError(ThinkLongerError):
    """ThinkLonger itself is at fault; its cause is the exception to report."""


@contextmanager
def boundary(error: type[ThinkLongerError], key: str, /, **params: str | float) -> Generator[None]:
    """Attribute whatever goes wrong inside to `error`, once; an error that is already attributed passes through.

    The cause's own words are the variable `reason`.
    """
    try:
        yield
    except ThinkLongerError:
        raise
    except Exception as cause:
        raise error(key, **{"reason": f"{type(cause).__name__}: {cause}", **params}) from cause
