"""The two jobs, resolve and localize, as streams of events: stages composed by search, every event recorded first."""

from thinklonger.agent.pipeline.jobs import localize, resolve
from thinklonger.agent.pipeline.request import Request

__all__ = ["Request", "localize", "resolve"]
