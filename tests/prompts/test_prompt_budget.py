"""The budget: what fits is left alone, what does not is cut in order, and says so."""

from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thinklonger.agent.chat import Dialect, ModelFacts, Role
from thinklonger.agent.model.fake import FakeModel
from thinklonger.agent.prompts import Section, begin, counter, estimate, fenced, fit, history, said, shorten, window
from thinklonger.agent.prompts.budget import cut_middle
from thinklonger.agent.protocols import Asking

FACTS = ModelFacts("m", 131_072, Dialect.REASONING)
CODE = "".join(f"    value_{number} = compute(value_{number}, other)\n" for number in range(400))


def counting(counted: list[str], *, tokens: Callable[[str], int] = estimate) -> Callable[[str], Awaitable[int]]:
    """A tokenizer that notes what it was asked."""

    async def count(text: str) -> int:
        counted.append(text)
        return tokens(text)

    return count


async def test_what_fits_is_exactly_what_was_given_and_nobody_is_asked() -> None:
    """With a large window a prompt is whole, and the server's tokenizer is left in peace."""
    counted: list[str] = []
    parts = (Section("issue", (CODE,), share=0.5), Section("files", ("a.py", "b.py"), share=0.5, whole=True))
    fitted = await fit(parts, room=100_000, count=counting(counted))
    assert (fitted["issue"].items, fitted["files"].items) == ((CODE,), ("a.py", "b.py"))
    assert not fitted["issue"].cut
    assert counted == []


async def test_the_served_tokenizer_decides_where_the_estimate_says_that_it_is_too_long() -> None:
    """An estimate is careful: before anything is cut, the tokenizer is asked, once for each section."""
    counted: list[str] = []
    count = counting(counted, tokens=lambda text: len(text) // 10)
    fitted = await fit((Section("code", (CODE, CODE), share=1.0),), room=len(CODE) // 5 + 10, count=count)
    assert fitted["code"].items == (CODE, CODE)
    assert len(counted) == 1


async def test_the_issue_is_never_dropped_but_loses_its_middle() -> None:
    """A huge issue keeps its beginning and its end, says how much is missing, and leaves the others their share."""
    issue = "Title: it fails\n" + CODE * 5 + "the last words"
    files = tuple(f"package/module_{number}.py" for number in range(300))
    parts = (Section("issue", (issue,), share=0.4), Section("files", files, share=0.4, whole=True, around=1))
    fitted = await fit(parts, room=1000, count=counting([]))
    (cut,) = fitted["issue"].items
    assert cut.startswith("Title: it fails\n")
    assert cut.endswith("the last words")
    assert "characters cut here" in cut
    assert 350 <= estimate(cut) <= 660
    kept = fitted["files"].items
    assert kept == files[: len(kept)]
    assert 300 <= sum(estimate(path) + 1 for path in kept) <= 420
    assert fitted["files"].left_out == len(files) - len(kept) > 0


@given(st.integers(0, 4000), st.lists(st.integers(1, 4000), min_size=1, max_size=8), st.floats(0.1, 1.0))
async def test_cut_sections_keep_to_their_room(room: int, sizes: list[int], share: float) -> None:
    """Whatever is asked for, the result has at most its room, but for the least that is always shown."""
    items = tuple(CODE[:size] for size in sizes)
    fitted = await fit(
        (Section("a", items, share=share / 2, around=10), Section("b", items, share=share / 2, whole=True)),
        room=room,
        count=counting([]),
    )
    total = sum(estimate(item) + 10 for item in fitted["a"].items) + sum(map(estimate, fitted["b"].items))
    assert total <= max(room, 0) + 140
    assert fitted["a"].items
    assert fitted["b"].items


@given(st.text(max_size=3000), st.integers(1, 600))
def test_a_cut_text_is_shorter_or_the_same(text: str, tokens: int) -> None:
    """What fits stays; what does not has its head and its tail."""
    cut = cut_middle(text, tokens)
    assert cut == text or len(cut) < len(text) + 60
    if estimate(text) <= tokens:
        assert cut == text


@pytest.mark.parametrize("text", ["数据库连接失败请检查配置文件" * 20, "0x7f 1234567890 " * 40, CODE])
def test_estimates_are_rather_too_high(text: str) -> None:
    """Chinese counts more than a token a character, digits a token each, code a token for less than three letters."""
    assert estimate(text) >= len(text) * (1.0 if not text.isascii() else 0.33)


@pytest.mark.parametrize("context", [2048, 4096, 8192, 32_768, 131_072, 1_000_000])
def test_a_prompt_has_half_of_a_small_window_and_leaves_a_large_one_to_thinking(context: int) -> None:
    """Thinking keeps what it asks for, or half; what it may use is not cut beforehand, since prompts may be shorter."""
    wanted = Asking(FakeModel())
    asking, room = window(replace(FACTS, context=context), wanted)
    assert asking == wanted
    assert context // 2 - 64 <= room < context
    if context >= 65_536:
        assert room == context - 16_384 - 4096 - 64


async def test_a_thread_that_fits_is_not_touched_and_one_that_does_not_loses_what_is_in_fences() -> None:
    """Our own words stay, fences stay closed, the largest material is cut first."""
    thread = said(
        history(begin(f"List:\n\n{fenced(CODE, about='files')}\n\nWhich?"), "<answer>\na.py\n</answer>"), "Now?"
    )
    count = counter(FakeModel())
    assert await shorten(thread, room=1_000_000, count=count) == thread
    cut = await shorten(thread, room=700, count=counting([]))
    assert [message.role for message in cut] == [message.role for message in thread]
    assert cut[0] == thread[0]
    assert cut[1].content.startswith("List:\n\n````files\n    value_0")
    assert cut[1].content.endswith("\n````\n\nWhich?")
    assert "characters cut here" in cut[1].content
    assert sum(estimate(message.content) + 8 for message in cut) <= 700


async def test_a_thread_that_is_all_words_loses_its_oldest_turns() -> None:
    """The system's words, the issue and the last question are what is left at last."""
    thread = begin("The issue.")
    for number in range(20):
        thread = said(
            history(thread, f"<answer>\n{'x y ' * 100}{number}\n</answer>"), f"Question {number}? " + "w " * 50
        )
    cut = await shorten(thread, room=1000, count=counting([]))
    assert cut[:2] == thread[:2]
    assert cut[-1] == thread[-1]
    assert sum(estimate(message.content) + 8 for message in cut) <= 1000
    assert [message.role for message in cut[1:]] == [Role.USER, Role.ASSISTANT] * ((len(cut) - 2) // 2) + [Role.USER]
