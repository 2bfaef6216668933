"""A search text is found exactly or nearly, in one place; what stays keeps the file's own bytes."""

from pathlib import PurePosixPath

import pytest

from thinklonger.agent.edits import MemoryTree, Replace, apply_edits
from thinklonger.agent.errors import EditError
from thinklonger.agent.types import FileState

PATH = PurePosixPath("notes.txt")


def edited(content: str | bytes, search: str, replace: str) -> bytes:
    """The file's bytes after one Replace."""
    data = content.encode() if isinstance(content, str) else content
    (change,) = apply_edits([Replace(PATH, search, replace)], MemoryTree({PATH: FileState(data)}))
    assert change.after is not None
    return change.after.content


def refused(content: str | bytes, search: str, replace: str = "new\n") -> EditError:
    """The error that one Replace raises."""
    with pytest.raises(EditError) as caught:
        edited(content, search, replace)
    assert str(caught.value)
    return caught.value


def test_exact() -> None:
    """The same characters are replaced and nothing else."""
    assert edited("a\n  b\nc\n", "  b\n", " x\n") == b"a\n x\nc\n"


def test_part_of_a_line_is_no_match() -> None:
    """Search texts are whole lines: `x = 1` doesn't stand in `max = 1`."""
    assert edited("max = 1\nx = 1\n", "x = 1\n", "x = 2\n") == b"max = 1\nx = 2\n"


def test_ambiguous_says_where() -> None:
    """Several places are an error with their line numbers, overlapping ones too."""
    error = refused("x\ny\nx\nz\nx\n", "x\n")
    assert error.message.key == "edits.ambiguous"
    assert error.message.params == {"path": "notes.txt", "count": 3, "lines": "1, 3, 5"}
    assert refused("a\na\na\n", "a\na\n").message.params["lines"] == "1, 2"
    assert refused("x\n" * 20, "x\n").message.params["lines"] == "1, 2, 3, 4, 5, 6, 7, 8, …"


def test_ambiguous_among_near_matches() -> None:
    """A text that fits two places only nearly is as ambiguous."""
    error = refused("if a:\n    go()\nif b:\n        go()\n", "go()\n")
    assert error.message.key == "edits.ambiguous"
    assert error.message.params["lines"] == "2, 4"


def test_an_exact_match_beats_near_ones() -> None:
    """The same text elsewhere with other spacing does not make an exact match ambiguous."""
    assert edited("if a:\n    go()\n\tgo()\n", "    go()\n", "    stop()\n") == b"if a:\n    stop()\n\tgo()\n"


def test_crlf_is_kept() -> None:
    """A model's line feeds match CRLF, and its new lines get the file's line ends."""
    assert edited(b"a\r\nb\r\nc\r\n", "b\n", "x\ny\n") == b"a\r\nx\r\ny\r\nc\r\n"


def test_mixed_line_ends_are_kept() -> None:
    """Lines that stay keep their own end, whatever the others have."""
    assert edited(b"a\nb\r\nc\nd\r\n", "a\nb\nc\n", "a\nnew\nb\nc\n") == b"a\nnew\nb\r\nc\nd\r\n"


def test_a_missing_last_newline_stays_missing() -> None:
    """A near match at the end of a file keeps the end as it is; an exact one can change it."""
    assert edited("a\nb", "b\n", "x\ny\n") == b"a\nx\ny"
    assert edited("a\nb", "b", "x\n") == b"a\nx\n"
    assert edited("a\nb\n", "b\n", "x") == b"a\nx"
    assert edited("a\nb\n", "a\n", "x") == b"x\nb\n"


def test_trailing_blanks_do_not_matter_and_stay() -> None:
    """Kept lines keep their trailing blanks."""
    assert edited("a  \nb\t\nc\n", "a\nb\n", "a\nx\n") == b"a  \nx\nc\n"


def test_shifted_indentation_is_put_right() -> None:
    """A search text that lost its indentation matches, and the replacement gets the file's."""
    content = "class A:\n    def f(self):\n        if x:\n            return 1\n"
    search = "def f(self):\n    if x:\n        return 1\n"
    replace = "def f(self):\n    if x:\n        y = 1\n\n        return y\n    return 0\n"
    assert edited(content, search, replace) == (
        b"class A:\n    def f(self):\n        if x:\n            y = 1\n\n            return y\n        return 0\n"
    )


def test_too_much_indentation_is_put_right() -> None:
    """The same the other way round."""
    assert edited("if x:\n    go()\n", "        if x:\n            go()\n", "        if y:\n            go()\n") == (
        b"if y:\n    go()\n"
    )


def test_spaces_for_tabs_are_put_right() -> None:
    """Spaces in the answer become the file's tabs, also where they go deeper than the search text."""
    content = "def f():\n\tif x:\n\t\treturn 1\n"
    assert edited(content, "    if x:\n        return 1\n", "    if x:\n        if y:\n            return 2\n") == (
        b"def f():\n\tif x:\n\t\tif y:\n\t\t\treturn 2\n"
    )
    assert edited("def f():\n\tgo()\n", "    go()\n", "    if x:\n        go()\n") == b"def f():\n\tif x:\n\t\tgo()\n"
    assert edited("def f():\n\tgo()\n", "go()\n", "if x:\n    go()\n") == b"def f():\n\tif x:\n\t\tgo()\n"


def test_lines_less_indented_than_the_search_text() -> None:
    """The replacement may step out as far as the file's indentation shows how; else it is refused, not guessed."""
    content = "def f():\n        go()\n"
    assert edited(content, "    go()\n", "    go()\nstop()\n") == b"def f():\n        go()\n    stop()\n"
    assert refused("def f():\n\tgo()\n", "    go()\n", "  go(1)\n").message.key == "edits.indentation"


def test_inconsistent_indentation_is_no_match() -> None:
    """A search text whose lines all lost their different indentations can't tell where the new lines belong."""
    error = refused("if x:\n    go()\n", "if x:\ngo()\n")
    assert error.message.key == "edits.no-match-indent"
    assert error.message.params["line"] == 1


def test_runs_of_blanks_do_not_matter_and_stay() -> None:
    """Spacing within lines is ignored last; lines that the replacement keeps are not respaced."""
    assert edited("x  =  'a  b'\ny = 2\n", "x = 'a b'\ny = 2\n", "x = 'a b'\ny = 3\n") == b"x  =  'a  b'\ny = 3\n"


def test_outer_blank_lines_do_not_matter() -> None:
    """Blank lines that a model puts around its text are dropped on both sides alike."""
    assert edited("a\nb\nc\n", "\nb\n\n", "\nx\n\n") == b"a\nx\nc\n"


def test_only_newlines_end_lines() -> None:
    """Form feeds and Unicode separators are characters like any other."""
    content = "a\x0cb\x85c\u2028d\re\nlast\n"
    assert edited(content, "last\n", "x\n") == content.encode().replace(b"last", b"x")
    assert edited(content, "a\x0cb\x85c\u2028d\re\n", "z\n") == b"z\nlast\n"


def test_no_match_says_what_comes_closest() -> None:
    """The error names the line of the file where the search text parts from it."""
    error = refused("one\ntwo\nthree\nfour\n", "two\nthree!\nfour\n")
    assert error.message.key == "edits.no-match-near"
    assert error.message.params == {"path": "notes.txt", "line": 3, "expected": "three!", "found": "three"}
    assert refused("one\n", "\nother\n").message.params == {"path": "notes.txt", "text": "other"}


def test_a_search_text_of_blanks_matches_exactly_or_not_at_all() -> None:
    """Blank lines alone are too little for a near match."""
    assert edited("a\n\nb\n", "\n", "x\n") == b"a\nx\nb\n"
    assert refused("a\nb\n", "\n\n").message.key == "edits.no-match"


def test_the_byte_order_mark_stays() -> None:
    """A search text needs no byte order mark to match a first line that has one."""
    assert edited(b"\xef\xbb\xbfa\nb\n", "a\n", "x\n") == b"\xef\xbb\xbfx\nb\n"


def test_undecodable_bytes_stay() -> None:
    """Bytes that aren't UTF-8 elsewhere in the file survive an edit."""
    assert edited(b"\xff\xfe\na\n", "a\n", "x\n") == b"\xff\xfe\nx\n"


def test_messages_can_be_printed_whatever_the_file_holds() -> None:
    """Undecodable bytes, a terminal's escapes and endless lines don't reach a message."""
    error = refused(b"start\nx\xff\x1b[2J" + b"y" * 1000 + b"\n", "start\nz\n")
    assert str(error).isprintable()
    assert len(str(error)) < 500
