"""Thinking and answer told apart: any chunks give the same parts; tags that are only talked about close nothing."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thinklonger.agent.chat import Part
from thinklonger.agent.model.thinking import Splitter, Start, salvage

PIECES = st.sampled_from(
    [
        *("<think>", "</think>", "<answer>", "</answer>", "<", "</", "think", ">", "`", "```", "```\n", "\n", " ", "a"),
        *("it is `</think>`", "'<think>'", "<thinking>", "</thinking>", "x < y", "思考", "answer>", "<ans", "“"),
    ]
)
TEXTS = st.lists(PIECES, max_size=14).map("".join)
STARTS = st.sampled_from(Start)


def split(text: str, cuts: list[int], start: Start) -> tuple[str, str, str, str]:
    """Thinking and answer by the verdict, then as streamed, of a text cut at those places."""
    splitter = Splitter(start)
    places = sorted({0, len(text), *(cut % (len(text) + 1) for cut in cuts)})
    pieces = [piece for begin, end in pairwise(places) for piece in splitter.feed(text[begin:end])]
    pieces += splitter.end()
    streamed = {part: "".join(text for kind, text in pieces if kind is part) for part in Part}
    return splitter.think, splitter.answer, streamed[Part.THINK], streamed[Part.ANSWER]


@given(TEXTS, st.lists(st.integers(0, 200), max_size=12), STARTS)
def test_any_chunks_give_the_same_parts(text: str, cuts: list[int], start: Start) -> None:
    """The verdict and what was streamed do not depend on how a text was cut."""
    assert split(text, cuts, start) == split(text, [], start)
    assert split(text, list(range(len(text))), start) == split(text, [], start)


@given(TEXTS, STARTS)
def test_no_character_is_lost_but_the_tags(text: str, start: Start) -> None:
    """Thinking and answer together hold all of the text, in order, less the tags that were taken."""
    think, answer, *_ = split(text, [], start)
    rest = iter(text)
    assert all(character in rest for character in think + answer)
    lost = len(text) - len(think) - len(answer)
    assert lost <= len("<thinking>") + len("</thinking>") + len(text) - len(text.lstrip())


@given(st.text(st.characters(exclude_characters="<`"), max_size=60), st.text(max_size=60))
def test_plain_thinking_comes_back_whole(think: str, answer: str) -> None:
    """What was put between the tags is what comes out."""
    assert split(f"<think>{think}</think>{answer}", [3, 9, 20], Start.UNKNOWN)[:2] == (think, answer)


@pytest.mark.parametrize(
    ("text", "start", "think", "answer"),
    [
        ("<think>a</think>b", Start.UNKNOWN, "a", "b"),
        ("\n<think>a</think>b", Start.ANSWER, "a", "b"),
        ("a</think>b", Start.UNKNOWN, "a", "b"),
        ("a</think>b", Start.THINKING, "a", "b"),
        ("a", Start.UNKNOWN, "", "a"),
        ("a", Start.ANSWER, "", "a"),
        ("a", Start.THINKING, "a", ""),
        ("<think>a", Start.UNKNOWN, "a", ""),
        ("a <answer>b</answer>", Start.UNKNOWN, "a ", "<answer>b</answer>"),
        (
            "I write <answer>.\n</think>\n<answer>b</answer>",
            Start.UNKNOWN,
            "I write <answer>.\n",
            "\n<answer>b</answer>",
        ),
        ("<think>a `</think>` b</think>c", Start.UNKNOWN, "a `</think>` b", "c"),
        ('<think>say "</think>" b</think>c', Start.UNKNOWN, 'say "</think>" b', "c"),
        ("<think>\n```\n</think>\n```\nb</think>c", Start.UNKNOWN, "\n```\n</think>\n```\nb", "c"),
        ("<think>\n```\nopen for ever\n</think>c", Start.UNKNOWN, "\n```\nopen for ever\n", "c"),
        ("<think>``` a </think> ``` b", Start.UNKNOWN, "``` a </think> ``` b", ""),
        ("<think>``` a </think> ``` <answer>b</answer>", Start.UNKNOWN, "``` a ", " ``` <answer>b</answer>"),
        ("<thinking>a</thinking>b", Start.UNKNOWN, "a", "b"),
        ("</think>b", Start.ANSWER, "", "b"),
        ("b </think> c", Start.ANSWER, "", "b </think> c"),
        ("<think>a</think>b <think>c</think>", Start.UNKNOWN, "a", "b <think>c</think>"),
        ("", Start.UNKNOWN, "", ""),
    ],
)
def test_parts(text: str, start: Start, think: str, answer: str) -> None:
    """No opening tag, no closing tag, tags in code, tags in quotes, a fence that never closes."""
    assert split(text, [], start)[:2] == (think, answer)


def test_a_closing_tag_alone_teaches_that_the_template_opens() -> None:
    """The next reply can be told from its first character on."""
    splitter = Splitter()
    splitter.feed("a</think>b")
    assert splitter.unopened
    opened = Splitter()
    opened.feed("<think>a</think>b")
    assert not opened.unopened


def test_thinking_is_streamed_at_once() -> None:
    """Nothing is held back that can't be the beginning of a tag."""
    splitter = Splitter()
    assert splitter.feed("<think>one") == [(Part.THINK, "one")]
    assert splitter.feed(" two <b") == [(Part.THINK, " two <b")]
    assert splitter.feed(" <") == [(Part.THINK, " ")]
    assert splitter.feed("/thi") == []
    assert splitter.feed("nk>three") == [(Part.ANSWER, "three")]


@pytest.mark.parametrize(
    ("think", "found"),
    [
        ("so\n<answer>\na.py\n</answer>\n", "<answer>\na.py\n</answer>"),
        ("first <answer>x</answer> then\n<answer>y</answer>\nor <answer>z</answer>?", "<answer>y</answer>"),
        ("in a line: <answer>x</answer>.", "<answer>x</answer>"),
        ("<answer>never closed", None),
        ("nothing", None),
    ],
)
def test_an_answer_inside_thinking_is_found(think: str, found: str | None) -> None:
    """The last whole one, and rather one on lines of its own; a beginning alone is none."""
    assert salvage(think) == found
