"""Git diffs are printed as git prints them and read without any latitude."""

from pathlib import PurePosixPath

import pytest

from thinklonger.agent.edits import MemoryTree, parse_diff, render_diff
from thinklonger.agent.errors import EditError
from thinklonger.agent.types import FileChange, FileState

A = PurePosixPath("a.py")
FILES = MemoryTree({A: FileState(b"one\ntwo\nthree\n"), PurePosixPath("b.py"): FileState(b"x\n")})
HEADER = "diff --git a/a.py b/a.py\n--- a/a.py\n+++ b/a.py\n"


def test_the_text_of_a_diff() -> None:
    """Two far places make two hunks with three lines around each, single lines without a count."""
    before = "".join(f"{number}\n" for number in range(1, 21))
    after = before.replace("2\n", "two\n", 1).replace("19\n20\n", "19\nlast")
    diff = render_diff((FileChange(A, FileState(before.encode()), FileState(after.encode())),))
    assert diff == (
        "diff --git a/a.py b/a.py\n"
        "index 0ff3bbb9c8..4d82ed687a 100644\n"
        "--- a/a.py\n"
        "+++ b/a.py\n"
        "@@ -1,5 +1,5 @@\n 1\n-2\n+two\n 3\n 4\n 5\n"
        "@@ -17,4 +17,4 @@\n 17\n 18\n 19\n-20\n+last\n\\ No newline at end of file\n"
    )


def test_nothing_is_nothing() -> None:
    """No changes are an empty diff, and the other way round."""
    assert render_diff(()) == ""
    assert parse_diff("", FILES) == ()
    assert parse_diff("\n\n", FILES) == ()


@pytest.mark.parametrize(
    ("diff", "key"),
    [
        ("just words", "edits.diff-malformed"),
        (f"{HEADER}@@ -1,2 +1,2 @@\n one\n-zwei\n+2\n", "edits.diff-mismatch"),
        (f"{HEADER}@@ -2,2 +2,2 @@\n one\n-two\n+2\n", "edits.diff-mismatch"),
        (f"{HEADER}@@ -1,2 +1,2 @@\n one\n-two\n", "edits.diff-malformed"),
        (f"{HEADER}@@ -1,1 +1,2 @@\n one\n-two\n+2\n", "edits.diff-malformed"),
        (f"{HEADER}@@ -1 +1 @@\n-one\n+\ud800\n", "edits.diff-malformed"),
        (f"{HEADER}@@ -1 +1 @@\n-one\n+1\nwords\n", "edits.diff-malformed"),
        (f"{HEADER}@@ -3 +3 @@\n-three\n+3\n@@ -1 +1 @@\n-one\n+1\n", "edits.diff-mismatch"),
        (f"{HEADER}@@ -3 +3 @@\n-three\n\\ No newline at end of file\n+3\n", "edits.diff-mismatch"),
        (HEADER.replace("a.py", "none.py") + "@@ -1 +1 @@\n-one\n+1\n", "edits.diff-no-file"),
        ("diff --git a/a.py b/a.py\nnew file mode 100644\n", "edits.diff-exists"),
        ("diff --git a/a.py b/b.py\nsimilarity index 100%\nrename from a.py\nrename to b.py\n", "edits.diff-exists"),
        ("diff --git a/a.py b/a.py\nnew file mode 120000\n", "edits.diff-special"),
        ("diff --git a/a.py b/a.py\ndeleted file mode 100644\n", "edits.diff-leftover"),
        (f"{HEADER}@@ -1 +1 @@\n-one\n+1\n{HEADER}@@ -2 +2 @@\n-two\n+2\n", "edits.diff-twice"),
        ("diff --git a/a.py b/a.py\nBinary files a/a.py and b/a.py differ\n", "edits.diff-malformed"),
        ("diff --git a/../a.py b/../a.py\nold mode 100644\nnew mode 100755\n", "edits.path-outside"),
        ("diff --git a/.git/x b/.git/x\nnew file mode 100644\n", "edits.path-git"),
    ],
)
def test_what_does_not_fit_exactly_is_refused(diff: str, key: str) -> None:
    """No fuzz, no offsets, no half-read diffs, nothing outside."""
    with pytest.raises(EditError) as caught:
        parse_diff(diff, FILES)
    assert caught.value.message.key == key
    assert str(caught.value)


def test_binary_contents_must_be_those_that_were_changed() -> None:
    """A binary patch applies to the very bytes that it was made from."""
    before, after = FileState(b"\0one"), FileState(bytes(range(256)) * 5)
    diff = render_diff((FileChange(A, before, after),))
    assert "GIT binary patch\nliteral 1280\n" in diff
    assert parse_diff(diff, MemoryTree({A: before})) == (FileChange(A, before, after),)
    with pytest.raises(EditError, match="doesn't fit"):
        parse_diff(diff, MemoryTree({A: FileState(b"\0two")}))
    broken = diff.replace("literal 1280", "literal 1281")
    with pytest.raises(EditError, match="isn't part of a git diff"):
        parse_diff(broken, MemoryTree({A: before}))
