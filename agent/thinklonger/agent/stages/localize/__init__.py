"""Fault localization: which classes, functions and lines of the suspected files."""

from thinklonger.agent.stages.localize.asking import ask_locations
from thinklonger.agent.stages.localize.ranking import rank_locations
from thinklonger.agent.stages.localize.spectrum import suspicious_lines

__all__ = ["ask_locations", "rank_locations", "suspicious_lines"]
