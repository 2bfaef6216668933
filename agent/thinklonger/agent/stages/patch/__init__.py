"""The patch stage: candidates from every proposer, each once, and what a model writes as search/replace blocks."""

from thinklonger.agent.stages.patch.proposing import Proposal, propose

__all__ = ["Proposal", "propose"]
