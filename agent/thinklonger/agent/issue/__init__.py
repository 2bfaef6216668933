"""What an issue's text names: pure text in, clues out; knows no repository."""

from thinklonger.agent.issue.clues import Clues, CodeBlock, Example, FrameClue, PathClue, TracebackClue
from thinklonger.agent.issue.reading import read_clues

__all__ = ["Clues", "CodeBlock", "Example", "FrameClue", "PathClue", "TracebackClue", "read_clues"]
