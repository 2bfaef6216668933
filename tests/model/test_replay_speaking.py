"""How the replay server speaks: whatever a reply's words and chunks, it comes whole, and goes on where it was cut."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thinklonger.agent.chat import Dialect, Finish, Part
from thinklonger.agent.model.replay import Product, ScriptedReply, Thinking
from thinklonger.agent.model.replay.asked import Chat, read_chat
from thinklonger.agent.model.replay.products import TRAITS
from thinklonger.agent.model.replay.speaking import Token, Voice
from thinklonger.agent.model.replay.tokens import BLOCK, PrefixCache, render, shared, tokens_of

TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="<>"), min_size=1).map(str.strip).filter(bool)
PRODUCTS = st.sampled_from(Product)
ROOM = 100_000


def spoken(reply: ScriptedReply, chat: Chat, product: Product, *, room: int = ROOM) -> tuple[list[Token], Voice]:
    """All tokens of a reply, chunk after chunk."""
    voice = Voice(reply, chat, TRAITS[product], seed=1, room=room)
    found: list[Token] = []
    while voice.finish is None:
        found.extend(voice.chunk())
    return found, voice


def chat_of(*turns: tuple[str, str], goes_on: bool = False, most: int | None = None) -> Chat:
    """A request with these turns."""
    return Chat(model="", turns=turns, goes_on=goes_on, most=most)


def text_of(tokens: list[Token], part: Part) -> str:
    """What is said of one part."""
    return "".join(token.text for token in tokens if token.part is part)


@given(think=TEXTS, answer=TEXTS, size=st.integers(1, 9), product=PRODUCTS)
def test_a_reply_comes_whole(think: str, answer: str, size: int, product: Product) -> None:
    """Thinking and answer are the script's, in whatever chunks and dialect; each token is in the dialect's field."""
    reply = ScriptedReply(think=think, answer=answer, tokens_per_chunk=size)
    tokens, voice = spoken(reply, chat_of(("user", "?")), product)
    traits = TRAITS[product]
    said = text_of(tokens, Part.THINK)
    if traits.thinking is Dialect.TAGS:
        assert said == ("<think>\n" if traits.opening else "") + think + "\n</think>"
        assert {token.field for token in tokens} == {"content"}
    else:
        assert said == think
        assert {token.field for token in tokens} == {traits.thinking.value, "content"}
    assert text_of(tokens, Part.ANSWER) == ("\n\n" if traits.gap else "") + answer
    assert voice.finish is Finish.STOP
    assert (voice.thought, voice.said) == tuple(sum(token.part is part for token in tokens) for part in Part)


@given(think=TEXTS, answer=TEXTS, data=st.data())
def test_it_goes_on_where_it_was_cut(think: str, answer: str, data: st.DataObject) -> None:
    """Thinking cut anywhere and gone on with is the whole thinking; closed there, only the answer comes."""
    begun = think[: data.draw(st.integers(0, len(think)))].rstrip()
    reply = ScriptedReply(think=think, answer=answer)
    turns = (("user", "?"), ("assistant", f"<think>\n{begun}"))
    tokens, _ = spoken(reply, chat_of(*turns, goes_on=True), Product.VLLM)
    assert begun + text_of(tokens, Part.THINK) == think
    closed = (turns[0], ("assistant", f"<think>\n{begun}\nEnough.\n</think>\n\n"))
    tokens, _ = spoken(reply, chat_of(*closed, goes_on=True), Product.VLLM)
    assert (text_of(tokens, Part.THINK), text_of(tokens, Part.ANSWER)) == ("", answer)


@given(think=TEXTS, answer=TEXTS, most=st.integers(1, 60), thinking=st.sampled_from(Thinking), product=PRODUCTS)
def test_no_reply_is_longer_than_its_limit(
    think: str, answer: str, most: int, thinking: Thinking, product: Product
) -> None:
    """The request's limit and the context's room bound every reply, endless ones too, and are told as the reason."""
    reply = ScriptedReply(think=think, answer=answer, thinking=thinking)
    for limit, room in ((most, ROOM), (None, most)):
        tokens, voice = spoken(reply, chat_of(("user", "?"), most=limit), product, room=room)
        assert len(tokens) <= most
        if thinking is not Thinking.CLOSES:
            assert (len(tokens), voice.finish) == (most, Finish.LENGTH)


@given(prompts=st.lists(st.lists(st.integers(0, 3), max_size=100), max_size=12))
def test_the_cache_knows_what_it_has_seen(prompts: list[list[int]]) -> None:
    """What is found is whole blocks of the longest prefix that an earlier prompt began with, never the last token."""
    cache = PrefixCache()
    for place, prompt in enumerate(prompts):
        longest = 0
        for earlier in prompts[:place]:
            alike = next((n for n, (one, two) in enumerate(zip(prompt, earlier, strict=False)) if one != two), None)
            longest = max(longest, min(len(prompt), len(earlier)) if alike is None else alike)
        wanted = longest // BLOCK * BLOCK
        assert cache.look_up(prompt) == min(wanted, max(len(prompt) - 1, 0))
    assert cache.queried == sum(len(prompt) for prompt in prompts)


@given(turns=st.lists(st.tuples(st.sampled_from(["user", "assistant"]), TEXTS), min_size=1, max_size=5))
def test_a_longer_conversation_begins_like_the_shorter(turns: list[tuple[str, str]]) -> None:
    """Prompts keep their prefix: a turn more changes nothing before it, and an open turn is one to go on with."""
    shorter = render(turns, generate=False)
    assert render([*turns, ("user", "More?")]).startswith(shorter)
    assert shorter.startswith(render(turns, goes_on=True))
    assert "".join(tokens_of(shorter)) == shorter


@given(one=st.text(), two=st.text())
def test_what_two_texts_share(one: str, two: str) -> None:
    """It is a prefix of both, and no longer one is."""
    length = shared(one, two)
    assert one[:length] == two[:length]
    assert one[: length + 1] != two[: length + 1] or one == two or length == min(len(one), len(two))


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("plain", "plain"),
        ([{"type": "text", "text": "in "}, {"type": "text", "text": "parts"}], "in parts"),
        (None, ""),
    ],
)
def test_content_in_each_of_its_forms(content: object, text: str) -> None:
    """A message's content may be text, a list of parts, or missing."""
    chat = read_chat({"messages": [{"role": "user", "content": content}]}, TRAITS[Product.VLLM])
    assert chat.last == text
