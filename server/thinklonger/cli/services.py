"""What the terminal stands on, replaceable: the jobs and the address of GitHub's API."""

from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:  # the pipeline is heavy; only who runs a job imports it
    from thinklonger.agent.pipeline import Request
    from thinklonger.agent.trace.events import Event

Job: TypeAlias = Callable[["Request"], AsyncGenerator["Event"]]


@dataclass(frozen=True, slots=True)
class Services:
    """The real ones where nothing is given."""

    resolve: Job | None = None
    localize: Job | None = None
    verify: Job | None = None
    github: str = ""

    def job(self, name: str) -> Job:
        """The job of that name."""
        given = {"resolve": self.resolve, "localize": self.localize, "verify": self.verify}[name]
        if given is not None:
            return given
        from thinklonger.agent import pipeline  # noqa: PLC0415 (see above)

        return {"resolve": pipeline.resolve, "localize": pipeline.localize, "verify": pipeline.verify}[name]

    def fetch(self, url: str, token: str) -> str:
        """The text of a GitHub issue; raises UsageError or FetchError."""
        from thinklonger.cli.github import API, GitHub  # noqa: PLC0415 (only who fetches pays for http)

        return GitHub(base=self.github or API, token=token).issue(url)
