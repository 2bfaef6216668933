"""The built-in solver: single-edit fixes from a catalogue of fix patterns, with no model."""

from thinklonger.agent.solver.solver import Solver

__all__ = ["Solver"]
