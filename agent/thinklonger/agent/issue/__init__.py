"""What an issue's text names: text in, clues out; and what those clues name in a repository."""

from thinklonger.agent.issue.clues import Clues, CodeBlock, Example, FrameClue, PathClue, TracebackClue
from thinklonger.agent.issue.failures import with_failures
from thinklonger.agent.issue.phrases import Phrase, Wording, read_phrases
from thinklonger.agent.issue.query import Part, read_terms, weigh_terms
from thinklonger.agent.issue.reading import read_clues
from thinklonger.agent.issue.resolution import (
    FrameHit,
    NameHit,
    PathHit,
    PathTable,
    Role,
    resolve_frames,
    resolve_names,
    resolve_paths,
)
from thinklonger.agent.issue.sketches import Sketch, read_sketches

__all__ = [
    "Clues",
    "CodeBlock",
    "Example",
    "FrameClue",
    "FrameHit",
    "NameHit",
    "Part",
    "PathClue",
    "PathHit",
    "PathTable",
    "Phrase",
    "Role",
    "Sketch",
    "TracebackClue",
    "Wording",
    "read_clues",
    "read_phrases",
    "read_sketches",
    "read_terms",
    "resolve_frames",
    "resolve_names",
    "resolve_paths",
    "weigh_terms",
    "with_failures",
]
