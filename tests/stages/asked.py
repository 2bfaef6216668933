"""What the tests of stages with a model share: a scripted run, and what is true of every run's prompts."""

from collections.abc import AsyncGenerator, Sequence

from thinklonger.agent.chat import ChatMessage, ChatRequest, Reply, Role
from thinklonger.agent.protocols import Asked, Branch, Heard, Rejected

Found = Asked | Heard | Rejected | Branch


async def gathered(found: AsyncGenerator[Found]) -> list[Found]:
    """All that a stage gives."""
    return [one async for one in found]


def branches(found: Sequence[Found]) -> dict[str, Branch]:
    """The branches of a stage by id."""
    return {one.id: one for one in found if isinstance(one, Branch)}


def rejected(found: Sequence[Found]) -> dict[str, str]:
    """Why replies led to nothing."""
    return {one.reply: one.why.key for one in found if isinstance(one, Rejected)}


def prompt(found: Sequence[Found], reply: str) -> str:
    """The last turn of the prompt that a reply answered, as it was last sent."""
    return last_request(found, reply).messages[-1].content


def last_request(found: Sequence[Found], reply: str) -> ChatRequest:
    """The request that a reply answered."""
    return [one.request for one in found if isinstance(one, Asked) and reply in one.replies][-1]


def replies(found: Sequence[Found]) -> list[str]:
    """The ids of the replies that came whole, in their order."""
    return [one.reply for one in found if isinstance(one, Heard) and isinstance(one.what, Reply)]


def assert_prompts_share_their_beginnings(requests: Sequence[ChatRequest], thinking: str) -> None:
    """The prefix property: all prompts begin alike, and each goes on with one that was sent before, byte for byte.

    A longer prompt is an earlier one, an assistant's turn and a user's; and `thinking` is in none.
    """
    sent: list[tuple[ChatMessage, ...]] = []
    first = requests[0].messages
    for request in requests:
        messages = request.messages
        assert messages[: len(first)] == first
        assert messages in sent or messages == first or messages[:-2] in sent
        if len(messages) > len(first):
            assert [message.role for message in messages[-2:]] == [Role.ASSISTANT, Role.USER]
        assert not any(thinking in message.content for message in messages)
        sent.append(messages)
