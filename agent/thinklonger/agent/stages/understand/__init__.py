"""Repository understanding: which files the fault may be in: by words, names, tracebacks, graph, runs, or a model."""

from thinklonger.agent.stages.understand.asking import ask_files
from thinklonger.agent.stages.understand.ranking import rank_files

__all__ = ["ask_files", "rank_files"]
