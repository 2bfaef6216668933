"""Answers read back, strictly, with failures that say what is wrong."""

from contextlib import suppress
from pathlib import PurePosixPath

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from thinklonger.agent import messages
from thinklonger.agent.errors import ModelError
from thinklonger.agent.prompts import Call, Place, legible_path, read_answer, read_calls, read_paths, read_places


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("", "prompts.no-answer"),
        ("I would change a.py.", "prompts.no-answer"),
        ("<answer>\na.py", "prompts.answer-unclosed"),
        ("<answer>\n \n</answer>", "prompts.answer-empty"),
        ("<answer>\na.py\n</answer>\nor\n<answer>\nb.py\n</answer>", "prompts.answers-differ"),
    ],
)
def test_what_is_no_answer_is_told(text: str, key: str) -> None:
    """Each way of not answering has its own sentence, in the catalogue."""
    with pytest.raises(ModelError) as failure:
        read_answer(text)
    assert failure.value.message.key == key
    assert messages.render(failure.value.message)


@given(st.text(max_size=80))
def test_any_text_reads_or_fails_in_words(text: str) -> None:
    """No answer, however odd, ends in another exception than ModelError."""
    for read in (read_answer, read_paths, read_places):
        with suppress(ModelError):
            read(text)
    assert all(str(failure) for failure in read_calls(text)[2])


@given(st.text(st.characters(blacklist_categories=["Cs"]), max_size=60))
def test_calls_with_any_text_come_back(text: str) -> None:
    """An argument written as Python writes it is read as it was."""
    calls, places, wrong = read_calls(f"search_code_in_file({text!r}, 'a.py')")
    if text:
        assert [call.arguments for call in calls] == [(text, "a.py")]
        assert (places, wrong) == ((), ())
    else:
        assert not calls
        assert len(wrong) == 1


def test_the_same_answer_twice_is_one_answer() -> None:
    """Models that repeat themselves have answered."""
    assert read_answer("<answer>\n  a.py\n</answer>\nSo:\n<answer>\n  a.py\n</answer>") == "  a.py"


def test_paths_come_without_what_models_put_around_them() -> None:
    """Bullets, numbers, quotes and code fences are not part of a path; each path counts once."""
    answer = '```\n- `src/a.py`\n2. "src/b c.py"\n* **src/d.py**\nsrc/a.py\n```'
    assert read_paths(answer) == ("src/a.py", "src/b c.py", "src/d.py")
    with pytest.raises(ModelError, match="not a path"):
        read_paths("I think that it is the second one")


@given(st.text(st.sampled_from('ab/.`"\n\\\\ é_'), min_size=1, max_size=20))
@example("é. \\")
def test_a_path_comes_back_as_it_was_shown(text: str) -> None:
    """However odd a file's name is, a model that copies it names the file."""
    path = PurePosixPath(f"x/{text.strip('/')}.py")
    (read,) = read_paths(legible_path(path))
    assert PurePosixPath(read) == path


def test_places_are_symbols_or_lines_with_reasons() -> None:
    """`path :: symbol`, `path :: 3-9`, `path :: line 7`, each perhaps with a reason."""
    assert read_places("- `a.py` :: `C.m()` :: it is wrong :: really\na.py :: 3-9\n1. a.py :: line 7 :: why") == (
        Place("a.py", symbol="C.m", why="it is wrong :: really"),
        Place("a.py", lines=(3, 9)),
        Place("a.py", lines=(7, 7), why="why"),
    )
    assert read_places("a.py :: def f(self, x: int) -> None\na.py :: class C(Base)\na.py :: method C.m") == (
        Place("a.py", symbol="f"),
        Place("a.py", symbol="C"),
        Place("a.py", symbol="C.m"),
    )
    for line in ("a.py", "a.py ::", ":: x", "a.py :: 9-3", "a.py :: 0"):
        with pytest.raises(ModelError):
            read_places(line)


def test_arguments_may_be_named() -> None:
    """Models write `name="…"` as often as not; escapes that Python warns of are no reason to print anything."""
    calls, _, wrong = read_calls(
        'search_method_in_class(name="f", cls="C")\nsearch_code("\\d+");\nf(**{"a": "b"})\na.b("c")'
    )
    assert [call.arguments for call in calls] == [("f", "C"), ("\\d+",)]
    assert [failure.message.key for failure in wrong] == ["prompts.call-arguments", "prompts.not-a-call"]


def test_calls_and_places_are_told_apart_and_the_rest_is_wrong() -> None:
    """One line each; a call's arguments are texts in quotes and nothing that is evaluated."""
    calls, places, wrong = read_calls(
        'search_class("Basket")\n`search_code("a::b")`\na.py :: f\nlet me look\nsearch_class(Basket)\n'
        'search_code(__import__("os").getcwd())\nsearch_code("a" "b", 3)'
    )
    assert calls == (
        Call("search_class", ("Basket",), 'search_class("Basket")'),
        Call("search_code", ("a::b",), 'search_code("a::b")'),
    )
    assert places == (Place("a.py", symbol="f"),)
    assert [failure.message.key for failure in wrong] == [
        "prompts.not-a-call",
        "prompts.call-arguments",
        "prompts.call-arguments",
        "prompts.call-arguments",
    ]
