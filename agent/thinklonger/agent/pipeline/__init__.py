"""The jobs resolve, localize and verify as streams of events: stages composed by search, every event recorded first."""

from thinklonger.agent.pipeline.jobs import localize, resolve, verify
from thinklonger.agent.pipeline.request import GivenReproduction, Request

__all__ = ["GivenReproduction", "Request", "localize", "resolve", "verify"]
