"""Fault localization: which classes, functions and lines of the suspected files. `asking`: with a model."""

from thinklonger.agent.stages.localize.ranking import rank_locations
from thinklonger.agent.stages.localize.spectrum import suspicious_lines

__all__ = ["rank_locations", "suspicious_lines"]
