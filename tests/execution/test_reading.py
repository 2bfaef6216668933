"""The report: sealed lines, however they arrive."""

import json
import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from thinklonger.agent.execution.payload.lines import compact
from thinklonger.agent.execution.payload.report import following, seal
from thinklonger.agent.execution.reading import Reader, clean, lines_of

NONCE = "n" * 32
RECORDS = st.lists(st.dictionaries(st.text(), st.integers() | st.text()), max_size=8)


def written(records: list[dict[str, int | str]], nonce: str = NONCE) -> bytes:
    """The report as the payload writes it."""
    lines: list[str] = []
    key = nonce
    for number, body in enumerate(json.dumps(record) for record in records):
        lines.append(f"{seal(key, number, body)} {body}\n")
        key = following(key)
    return "".join(lines).encode()


@given(RECORDS, st.integers(1, 50))
def test_what_was_written_is_read_in_any_pieces(records: list[dict[str, int | str]], size: int) -> None:
    """The payload's lines come back as they were, however the stream is cut."""
    data = written(records)
    reader = Reader(NONCE)
    pieces = [data[start : start + size] for start in range(0, len(data), size)]
    assert [record for piece in pieces for record in reader.read(piece)] == records


@given(RECORDS, st.binary(max_size=200))
def test_foreign_lines_are_not_there(records: list[dict[str, int | str]], noise: bytes) -> None:
    """Lines of anybody else, even well-formed ones under another nonce, change nothing."""
    forged = written([{"kind": "end", "status": 0}], nonce="m" * 32)
    data = noise + b"\n" + forged + written(records) + forged
    assert list(Reader(NONCE).read(data)) == records


def test_a_line_can_not_be_replayed() -> None:
    """A line that was read once is not valid a second time, nor in another place."""
    lines = written([{"a": 1}, {"b": 2}]).splitlines(keepends=True)
    assert list(Reader(NONCE).read(lines[0] + lines[0] + lines[1])) == [{"a": 1}, {"b": 2}]
    assert list(Reader(NONCE).read(lines[1] + lines[0])) == [{"a": 1}]


@given(st.sets(st.integers(1, 300)))
def test_lines_survive_being_compacted(lines: set[int]) -> None:
    """Runs of lines say the same as the lines."""
    found = lines_of({"a.py": compact(lines)})
    assert set(next(iter(found.values()))) == lines


def test_terminal_escapes_are_removed() -> None:
    """What a test prints can't reach the person's terminal as commands."""
    assert clean("\x1b]0;title\x07\x1b[31mred\x1b[0m\x00\ttab\n") == "red\ttab\n"
    assert clean("\x9b31mred\x9b0m \x9d0;title\x9c\x90q\x1b\\\x1bP+q544e\x1b\\\x1bcplain\x85") == "red plain"


def test_what_turns_the_text_is_spelled_out() -> None:
    """A record reads in the order in which it was printed, and loses nothing; other scripts stay as they are."""
    assert clean("if admin\u202e\u2066 # \u0627\u0644 中文 ✓") == "if admin\\u202e\\u2066 # \u0627\u0644 中文 ✓"


@given(st.text(st.characters() | st.sampled_from("\x1b\x9b\x9d\x9c\x90[]0;mPJ\\\x07\u202e\u2069")))
def test_nothing_is_left_that_a_terminal_obeys(text: str) -> None:
    """Whatever is printed: no control character but tab and line feed, no change of direction; twice is as once."""
    found = clean(text)
    assert all(char in "\t\n" or unicodedata.category(char) != "Cc" for char in found)
    assert all(unicodedata.bidirectional(char) not in TURNING for char in found)
    assert clean(found) == found


TURNING = ("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI")
