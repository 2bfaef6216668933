"""What a front door asks for."""

from dataclasses import dataclass, field
from pathlib import Path

from thinklonger.agent.config import Settings
from thinklonger.agent.types import Issue, Layer


@dataclass(frozen=True, slots=True)
class Request:
    """An issue of a repository. `overlay` is text that editors hold and the disk does not."""

    repository: Path
    issue: Issue
    settings: Settings = field(default_factory=Settings)
    overlay: Layer | None = None
