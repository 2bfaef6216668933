"""What a front door asks for."""

import asyncio
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from thinklonger.agent.config import Settings
from thinklonger.agent.types import Issue, Layer

if TYPE_CHECKING:  # who only localizes needs no search
    from thinklonger.agent.search import Steering


@dataclass(frozen=True, slots=True)
class GivenReproduction:
    """A user's own reproduction: a test file, or a script that fails by an exception or its exit code."""

    name: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Request:
    """An issue of a repository. `overlay` is text that editors hold and the disk does not.

    `reproduction` stands in place of whatever would be looked for; `patch` is a unified diff to verify. `continues` is
    the folder of an interrupted run's record, which goes on. `steering` is the user's hand on the search: places to
    keep to or to leave out, before it and while it runs. `api_key` is for the model's server and nobody else.
    `answer_now` is set for a moment by the user's wish to end the thinking that goes on.
    """

    repository: Path
    issue: Issue
    settings: Settings = field(default_factory=Settings)
    overlay: Layer | None = None
    reproduction: GivenReproduction | None = None
    patch: str = ""
    continues: Path | None = None
    steering: "Steering | None" = None
    api_key: str = field(default="", repr=False)
    answer_now: asyncio.Event | None = None
