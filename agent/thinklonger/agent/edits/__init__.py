"""Edits: search/replace blocks, changes and git diffs, each turned into the others, and changes written to disk."""

from thinklonger.agent.edits.application import apply_edits, edits_of
from thinklonger.agent.edits.blocks import parse_blocks, render_blocks
from thinklonger.agent.edits.diff import render_diff
from thinklonger.agent.edits.edit import Create, Delete, Edit, Rename, Replace, SetMode
from thinklonger.agent.edits.normalize import normalized
from thinklonger.agent.edits.patch import parse_diff
from thinklonger.agent.edits.trees import DirectoryTree, MemoryTree, layer_of
from thinklonger.agent.edits.writing import write_changes

__all__ = [
    "Create",
    "Delete",
    "DirectoryTree",
    "Edit",
    "MemoryTree",
    "Rename",
    "Replace",
    "SetMode",
    "apply_edits",
    "edits_of",
    "layer_of",
    "normalized",
    "parse_blocks",
    "parse_diff",
    "render_blocks",
    "render_diff",
    "write_changes",
]
