"""Foreign text made harmless, and figures in words."""

import json
import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from thinklonger.agent.types import Message
from thinklonger.cli.machine import dump
from thinklonger.cli.words import Words, clean, clean_line, pad

ANYTHING = st.text(st.characters()) | st.text(st.sampled_from("\x1b[]m0;\x07\x9b\u202e\r\n\t{}\udcff"))
NASTY = {"Cc", "Cs"}
BIDIRECTIONAL = set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\u061c")


def is_harmless(text: str, *, besides: str = "") -> bool:
    """No control, surrogate or bidirectional character."""
    return all(
        character in besides or (unicodedata.category(character) not in NASTY and character not in BIDIRECTIONAL)
        for character in text
    )


@given(ANYTHING)
def test_clean_text_is_harmless(text: str) -> None:
    """Lines stay lines; everything that a terminal would act on is shown instead."""
    assert is_harmless(clean(text), besides="\n\t")
    assert is_harmless(clean_line(text))


@given(st.text(st.characters(categories=["L", "N", "P"])))
def test_ordinary_text_is_untouched(text: str) -> None:
    """Words in any script come through as they are."""
    assert clean(text) == clean_line(text) == text


def test_colours_of_test_output_are_left_out() -> None:
    """Only shown escapes would be noise there."""
    assert clean("\x1b[31mred\x1b[0m\r\n") == "red\n"
    assert clean_line("\x1b]0;title\x07") == "\\x1b]0;title\\x07"


@given(ANYTHING, ANYTHING)
def test_variables_of_a_message_are_harmless(key: str, value: str) -> None:
    """Braces and escapes in a variable change nothing but its place; an unknown key is shown, not raised."""
    words = Words()
    said = words.render(Message("pipeline.pruned-by-test", {"test": value, "exception": "{test}"}))
    assert said == f"{clean_line(value)}: {{test}}"
    assert is_harmless(words.render(Message(key, {"a": value})))


def test_a_message_without_its_variables_is_still_shown() -> None:
    """A record of another version can't break a view."""
    assert (
        Words().render(Message("pipeline.pruned-by-test", {"exception": "x"}))
        == "pipeline.pruned-by-test (exception=x)"
    )


@given(ANYTHING)
def test_json_round_trips_and_is_harmless(text: str) -> None:
    """Machines get every character back, terminals get none that acts."""
    printed = dump({"text": text, "list": [{text: text}]})
    assert json.loads(printed) == {"text": text, "list": [{text: text}]}
    assert is_harmless(printed)


def test_figures() -> None:
    """Plurals, thousands, durations."""
    words = Words()
    assert words.count("event.files", 1) == "1 file"
    assert words.count("event.files", 12345) == "12,345 files"
    assert [words.duration(seconds) for seconds in (0.004, 0.62, 1.0, 59.94, 60.0, 3661.4)] == [
        "0.00 s", "0.62 s", "1.0 s", "59.9 s", "1 min 00 s", "61 min 01 s",
    ]  # fmt: skip
    assert Words("zh-CN").count("event.files", 1) == "1 个文件"


def test_marks_have_an_ascii_form() -> None:
    """Where the locale is not UTF-8, every mark is plain text."""
    assert [Words(unicode=False).mark(sign) for sign in "✓✗!·→…"] == ["[ok]", "[no]", "[!]", "-", "->", "..."]


def test_padding_counts_cells() -> None:
    """CJK characters are two cells wide."""
    assert pad("环境", 6) == "环境  "
    assert pad("long", 2) == "long"
