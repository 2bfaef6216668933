"""The patch stage: candidates from every proposer, each once; patches of a model, and its debug rounds.

What asks a model is imported from where it is: `patch.asking.ask_patches`, `patch.debugging.ask_debug`.
"""

from thinklonger.agent.stages.patch.proposing import Proposal, propose

__all__ = ["Proposal", "propose"]
