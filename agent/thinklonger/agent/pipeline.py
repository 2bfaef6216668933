"""The two jobs, resolve and localize, as streams of events: stages composed by search, every event recorded first."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from pathlib import Path

from thinklonger.agent.config import Settings
from thinklonger.agent.trace.events import Event
from thinklonger.agent.types import Issue, Layer


@dataclass(frozen=True, slots=True)
class Request:
    """What a front door asks for. `overlay` is text that editors hold and the disk does not."""

    repository: Path
    issue: Issue
    settings: Settings = field(default_factory=Settings)
    overlay: Layer | None = None


async def resolve(request: Request) -> AsyncGenerator[Event]:
    """Find a patch for the issue and prove it.

    Yields events, each already in the run's record; the last is RunFinished, RunFailed or RunCancelled. Errors that
    a user may see end the stream with RunFailed, they are not raised. Closing the generator or cancelling its task
    stops everything within a second and leaves nothing behind but the record.
    """
    raise NotImplementedError
    yield


async def localize(request: Request) -> AsyncGenerator[Event]:
    """Rank the places where the fault may be; same stream contract as `resolve`, with RunFinished.locations filled."""
    raise NotImplementedError
    yield
