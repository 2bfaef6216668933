"""The repetition breaker: circles are found soon, and nothing that people or models normally write is one."""

import random
from pathlib import Path

import pytest

import thinklonger.agent
from thinklonger.agent.model.repetition import Repetition

WORDS = [
    "the",
    "total",
    "is",
    "read",
    "twice",
    "before",
    "anything",
    "rounds",
    "so",
    "perhaps",
    "we",
    "look",
    "at",
    "where",
    "this",
    "value",
    "comes",
    "from",
]
SOURCES = sorted(Path(thinklonger.agent.__path__[0]).rglob("*.py"))


def fed(text: str, size: int = 7) -> int | None:
    """Where the circle was found, of a text fed in pieces."""
    watch = Repetition()
    for start in range(0, len(text), size):
        if (found := watch.feed(text[start : start + size])) is not None:
            return found
    return None


def prose(length: int, seed: int = 1) -> str:
    """Words without a pattern."""
    return " ".join(random.Random(seed).choices(WORDS, k=length))  # noqa: S311 (no secret: the same words each time)


@pytest.mark.parametrize(
    "turn",
    [
        "Wait, let me look at this again. ",
        "Wait",
        "\n",
        "Actually, no. The total is read before rounding.\n\nHmm, so the bug is in total(). But wait:\n" * 3,
        prose(150),
        "等等，我再看一下这段代码。",  # noqa: RUF001 (Chinese)
    ],
)
def test_circles_are_found_soon(turn: str) -> None:
    """A short or long text without end is found within a few rounds, and what came before it is kept."""
    before = prose(900, seed=2) + "\n"
    found = fed(before + turn * (40000 // len(turn)))
    assert found is not None
    assert len(before) <= found <= len(before) + 2 * len(turn) + 8
    assert fed(before + turn * (9 + 5000 // len(turn))) is not None


@pytest.mark.parametrize(
    "text",
    [
        prose(20000),
        "".join(f"self.assertEqual(total([{n}]), {n})\n" for n in range(800)),
        "".join(f"| {n:4} | yes | yes | no  |\n" for n in range(800)),
        "\n".join(f"{n}. look at the file again, and at line {n * 7}" for n in range(800)),
        ("-" * 100 + "\n" + prose(60) + "\n") + "=" * 2000 + prose(3000),
        "\n\n".join(f"Wait, let me look at case {n} again." for n in range(600)),
        prose(20) + "\n    }\n" * 60 + prose(3000),
    ],
)
def test_lists_tables_and_prose_are_no_circles(text: str) -> None:
    """Lines that differ somewhere, and repetitions that end, are normal."""
    assert fed(text) is None


def test_no_source_of_ours_is_a_circle() -> None:
    """Real code, as a model would quote it, never fires the breaker; nor does quoting it four times."""
    watch = Repetition()
    for path in SOURCES:
        text = path.read_text("utf-8")
        assert watch.feed(text) is None, path
    piece = SOURCES[-1].read_text("utf-8")[:2000]
    assert fed("".join(f"Attempt {n}:\n{piece}\n" for n in range(4))) is None


@pytest.mark.parametrize("size", [1, 13, 500, 5000])
def test_the_size_of_pieces_matters_little(size: int) -> None:
    """Whatever the stream's pieces, a circle is found and cut at the same place, give or take a round."""
    found = fed(prose(300) + " again and again" * 2000, size)
    assert found is not None
    assert abs(found - len(prose(300))) < 2 * len(" again and again")
