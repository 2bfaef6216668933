"""How thinking is ended for a model and its answer asked for: by going on with its turn, or by one turn more."""

from collections.abc import Sequence

from thinklonger.agent.chat import ChatMessage, Role

_CLOSE = "\n\nI have thought long enough. From what I have found so far, I give my answer now."
_HEAD = 1500
_TAIL = 4500
_SO_FAR = "My thinking so far, shortened:\n\n"
_ANSWER_NOW = (
    "Your time to think is over. From what you have found so far, give your final answer now, in the form that was "
    "asked for above. Do not think any further."
)


def begun(messages: Sequence[ChatMessage], think: str) -> tuple[ChatMessage, ...]:
    """The messages with a turn that has thought and is to be gone on with: the answer is all that is left to say.

    The tags lie as chat templates lay them, so that templates which take a turn apart put it together the same.
    """
    thought = think.strip()
    inside = f"{thought}{_CLOSE}" if thought else ""
    return (*messages, ChatMessage(Role.ASSISTANT, f"<think>\n{inside}\n</think>\n\n"))


def asked_again(messages: Sequence[ChatMessage], think: str) -> tuple[ChatMessage, ...]:
    """The messages with one turn more that asks for the answer; the model sees its own thinking, shortened."""
    if not think.strip():
        return (*messages, ChatMessage(Role.ASSISTANT, "…"), ChatMessage(Role.USER, _ANSWER_NOW))
    shown = ChatMessage(Role.ASSISTANT, _SO_FAR + abbreviated(think.strip()))
    return (*messages, shown, ChatMessage(Role.USER, _ANSWER_NOW))


def abbreviated(think: str) -> str:
    """The beginning and, longer, the end of thinking; at most some 6,000 characters, cut at line ends where near."""
    if len(think) <= _HEAD + _TAIL:
        return think
    head, tail = think[:_HEAD], think[-_TAIL:]
    cut = head.rfind("\n")
    head = head[:cut] if cut > _HEAD // 2 else head
    cut = tail.find("\n")
    tail = tail[cut + 1 :] if 0 <= cut < _TAIL // 4 else tail
    return f"{head}\n[…]\n{tail}"
