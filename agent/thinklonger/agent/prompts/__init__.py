"""Prompts: texts as files with strict variables, fences around what nobody trusts, budgets, and answers read back.

A thread is laid out so that prompts share long beginnings: the system's words, the repository, the issue, then one
stage after the other; a later stage goes on with the thread of the one before and never rewrites it.
"""

from thinklonger.agent.prompts.answers import CLOSE, OPEN, Call, Place, read_answer, read_calls, read_paths, read_places
from thinklonger.agent.prompts.budget import Count, Fitted, Section, counter, estimate, fit, make_room, shorten, window
from thinklonger.agent.prompts.fences import excerpt, fenced, legible_path
from thinklonger.agent.prompts.issues import failures_text, issue_text
from thinklonger.agent.prompts.places import Located, locate
from thinklonger.agent.prompts.rendering import names, render, variables
from thinklonger.agent.prompts.threads import begin, history, said, shared_prefix

__all__ = [
    "CLOSE",
    "OPEN",
    "Call",
    "Count",
    "Fitted",
    "Located",
    "Place",
    "Section",
    "begin",
    "counter",
    "estimate",
    "excerpt",
    "failures_text",
    "fenced",
    "fit",
    "history",
    "issue_text",
    "legible_path",
    "locate",
    "make_room",
    "names",
    "read_answer",
    "read_calls",
    "read_paths",
    "read_places",
    "render",
    "said",
    "shared_prefix",
    "shorten",
    "variables",
    "window",
]
