"""Threads: conversations that only ever grow at their end, with answers and never thinking in them."""

from collections.abc import Sequence

from thinklonger.agent.chat import ChatMessage, Role
from thinklonger.agent.errors import ModelError
from thinklonger.agent.prompts.answers import CLOSE, OPEN, read_answer
from thinklonger.agent.prompts.rendering import render

_MOST = 8000
"""Characters that are kept of an answer that can't be read."""


def begin(text: str) -> tuple[ChatMessage, ...]:
    """A new thread: the system's words, then a user's turn."""
    return (ChatMessage(Role.SYSTEM, render("system")), ChatMessage(Role.USER, text))


def said(messages: Sequence[ChatMessage], text: str) -> tuple[ChatMessage, ...]:
    """The thread with one more user's turn."""
    return (*messages, ChatMessage(Role.USER, text))


def history(messages: Sequence[ChatMessage], answer: str) -> tuple[ChatMessage, ...]:
    """The thread with an assistant's turn: its answer in answer tags, whatever stood around them left out.

    The same for a prompt as for a training example. What can't be read as an answer stands as it is, its middle cut out
    where it is long: a repair turn speaks of it.
    """
    try:
        text = f"{OPEN}\n{read_answer(answer)}\n{CLOSE}"
    except ModelError:
        text = answer.strip() or "(nothing)"
        if len(text) > _MOST:
            text = f"{text[: _MOST // 2]}\n[…]\n{text[-_MOST // 2 :]}"
    return (*messages, ChatMessage(Role.ASSISTANT, text))


def shared_prefix(left: Sequence[ChatMessage], right: Sequence[ChatMessage]) -> int:
    """How many characters two prompts have in common from their start on: roles and whole messages count in order."""
    shared = 0
    for one, other in zip(left, right, strict=False):
        if one == other:
            shared += len(one.content)
            continue
        if one.role is other.role:
            shared += next(
                (n for n, (a, b) in enumerate(zip(one.content, other.content, strict=False)) if a != b),
                min(len(one.content), len(other.content)),
            )
        break
    return shared
