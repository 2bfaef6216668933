"""Repository understanding: which files the fault may be in: by words, names, tracebacks, graph, runs.

`asking`: with a model, too.
"""

from thinklonger.agent.stages.understand.ranking import rank_files

__all__ = ["rank_files"]
