"""What an issue's text names is found, whatever the text is made of."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from thinklonger.agent.issue import Example, PathClue, read_clues
from thinklonger.agent.issue.reading import MAX_EACH

ISSUE = """\
`Basket.add_item` forgets the discount <!-- please fill in the template -->

### Describe the bug
Calling `Basket.add_item(item, price=3)` ignores `discount_rate`, see shop/pricing.py line 40 and
https://example.org/acme/shop/blob/1234abcd/src/shop/rates.py#L10-L12 for the reason.
It says "the rate must be positive". It also breaks tests/test_basket.py::test_discount.

- [x] I searched the tracker

### Environment
Python 3.12 on Amiga

```python
from shop.basket import Basket

>>> Basket().add_item("pen", 3)
3
```
"""


def test_names_of_every_kind_are_found() -> None:
    """Paths, dotted names, identifiers, quotes, code names, tests and examples come out of one issue."""
    clues = read_clues(ISSUE)
    assert clues.title == "`Basket.add_item` forgets the discount"
    assert PathClue("shop/pricing.py", 40, 40) in clues.paths
    assert PathClue("src/shop/rates.py", 10, 12) in clues.paths
    assert "Basket.add_item" in clues.dotted
    assert {"add_item", "discount_rate"} <= set(clues.identifiers)
    assert "the rate must be positive" in clues.quotes
    assert {"shop.basket.Basket", "shop.basket"} <= set(clues.code_names)
    assert "tests/test_basket.py::test_discount" in clues.tests
    assert clues.examples == (Example('Basket().add_item("pen", 3)', "3"),)
    assert [block.language for block in clues.blocks] == ["python"]


def test_what_nobody_wrote_is_dropped() -> None:
    """Comments, check lists, links, a template's headings and the environment are not the reporter's words."""
    prose = read_clues(ISSUE).prose
    for dropped in ("template", "searched", "https", "Describe", "Amiga"):
        assert dropped not in prose


def test_a_comment_in_a_fence_is_code() -> None:
    """HTML comments are dropped from prose only: in a fence they may be what the issue is about."""
    clues = read_clues("before <!-- gone\nstill gone --> after\n```html\n<!-- kept -->\n```\n")
    assert "gone" not in clues.prose
    assert clues.prose.split() == ["before", "after"]
    assert clues.blocks[0].text == "<!-- kept -->"


PYTHON = """\
```
Traceback (most recent call last):
  File "/home/me/venv/lib/python3.12/site-packages/shop/basket.py", line 12, in add_item
    total = self.rate(item)
            ^^^^^^^^^^^^^^^
  File "C:\\work\\shop\\rates.py", line 7, in rate
    raise shop.RateError("the rate must be positive")
shop.errors.RateError: the rate must be positive

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "<stdin>", line 1, in <module>
KeyError: 'pen'
```
"""


def test_python_tracebacks() -> None:
    """Frames come outermost first with their code; chained tracebacks are two; the exception has its message."""
    first, second = read_clues(PYTHON).tracebacks
    assert [(frame.path, frame.line, frame.function) for frame in first.frames] == [
        ("/home/me/venv/lib/python3.12/site-packages/shop/basket.py", 12, "add_item"),
        ("C:/work/shop/rates.py", 7, "rate"),
    ]
    assert first.frames[0].code == "total = self.rate(item)"
    assert (first.exception, first.message) == ("shop.errors.RateError", "the rate must be positive")
    assert (second.exception, second.message) == ("KeyError", "'pen'")


PYTEST = """\
________________ test_discount ________________

    def test_discount():
>       assert add_item("pen") == 3

tests/test_basket.py:9:
_ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _

    def add_item(name):
>       raise ValueError("the rate must be positive")
E       ValueError: the rate must be positive

shop/basket.py:12: ValueError
"""


def test_pytest_tracebacks() -> None:
    """Pytest's long format gives the places and the exception, whose line comes before the innermost frame."""
    (traceback,) = read_clues(f"```\n{PYTEST}```").tracebacks
    assert traceback.frames[-1].path == "shop/basket.py"
    assert traceback.frames[-1].line == 12
    assert (traceback.exception, traceback.message) == ("ValueError", "the rate must be positive")


def test_pytest_short_tracebacks() -> None:
    """Pytest's short format names the functions."""
    text = (
        "tests/test_basket.py:9: in test_discount\n    add_item()\n"
        "shop/basket.py:12: in add_item\n    x\nE   KeyError: 'a'\n"
    )
    frames = [frame for traceback in read_clues(text).tracebacks for frame in traceback.frames]
    assert [(frame.path, frame.line, frame.function) for frame in frames] == [
        ("tests/test_basket.py", 9, "test_discount"),
        ("shop/basket.py", 12, "add_item"),
    ]


def test_an_error_in_prose_is_a_traceback_without_frames() -> None:
    """What an exception said is a clue even where nobody pasted the whole of it."""
    (traceback,) = read_clues("It fails with `ValueError: the rate must be positive` again").tracebacks
    assert not traceback.frames
    assert (traceback.exception, traceback.message) == ("ValueError", "the rate must be positive")


def test_chinese_text_keeps_its_words_and_its_names() -> None:
    """Names that touch Chinese characters are found, and the Chinese text stays."""
    clues = read_clues("调用get_price函数时返回错误的折扣\n\n在shop/pricing.py文件中,`折扣率`没有生效")
    assert "折扣" in clues.title
    assert "get_price" in clues.identifiers
    assert PathClue("shop/pricing.py") in clues.paths
    assert "折扣率" in clues.quotes


HARD = (
    *("word ", "a_b.c(d) ", "`", "```\n", "<", "<!--", "[x](", 'File "', "x.py:1: in ", "E   ", ">>> f()\n", "a" * 50),
    *("a.", "a/", "'", '"', "ValueError: ", "_", "\n    x", "- [ ] ", "](", "\t", "http://", "字", "\0", "\r"),
)


@pytest.mark.parametrize("piece", HARD)
def test_repetition_takes_linear_time(piece: str) -> None:
    """No expression is fooled into backtracking by 200 kB of what it looks for, on one line or on many."""
    started = time.process_time()
    read_clues(piece * (200_000 // len(piece)))
    assert time.process_time() - started < 2


def test_a_megabyte_is_read_and_bounded() -> None:
    """An issue of a megabyte takes seconds at most, and what later stages look up is bounded."""
    text = "\n".join(
        f"see pkg{n}/mod{n}.py, `name_{n}` or `Class{n}.method` in '{HARD[n % 26]}'" for n in range(16_000)
    )
    assert len(text) > 900_000
    started = time.process_time()
    clues = read_clues(text)
    assert time.process_time() - started < 6
    for name in ("paths", "dotted", "identifiers", "quotes", "tests"):
        assert len(getattr(clues, name)) <= MAX_EACH


def test_binary_rubbish_is_an_issue_with_few_clues() -> None:
    """Bytes that are no text at all raise nothing."""
    rubbish = bytes(range(256)).decode("utf-8", "replace") * 100
    assert not read_clues(rubbish).tracebacks


def test_an_empty_issue_has_no_clues() -> None:
    """Nothing in, nothing out."""
    clues = read_clues("")
    assert not any(getattr(clues, name) for name in clues.__dataclass_fields__)


@given(st.text(alphabet=st.sampled_from("ab_A.`'\"/<>!-[]()*#:\n\t >=E1折"), max_size=300))
@settings(max_examples=200, deadline=None)
def test_any_text_is_read(text: str) -> None:
    """Reading never fails, and always gives the same clues for the same text."""
    assert read_clues(text) == read_clues(text)
