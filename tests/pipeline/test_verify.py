"""A given patch end to end: real sandbox, real tests, real record; and the ways in which it is read."""

import shutil
import subprocess
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path, PurePosixPath

import pytest

from thinklonger.agent.config import SandboxChoice, SandboxSettings, SearchSettings, Settings
from thinklonger.agent.edits import MemoryTree
from thinklonger.agent.errors import UsageError
from thinklonger.agent.pipeline import GivenReproduction, Request, verify
from thinklonger.agent.pipeline.donors import exchanged, numbered
from thinklonger.agent.pipeline.given import honest_part, read_patch, with_git_headers
from thinklonger.agent.pipeline.neighbours import edited_span, new_lines, new_spans, wordings
from thinklonger.agent.trace.events import Event, NotReproduced, ProblemFound, Reproduced, RunFailed, RunFinished
from thinklonger.agent.types import FileState, Issue, IssueSource, Label

CODE = """\
def page_count(total, size):
    if size < 1:
        raise ValueError(size)
    return total // size
"""
TESTS = """\
import pytest
from shelf import page_count

def test_last_page():
    assert page_count(7, 3) == 3
    assert page_count(1, 4) == 1

def test_full():
    assert page_count(6, 3) == 2
    assert page_count(30, 10) == 3
    assert page_count(5, 1) == 5
    assert page_count(0, 3) == 0

def test_bad():
    with pytest.raises(ValueError):
        page_count(3, 0)
"""
BLAMED = "    return total // size\n"
OTHER = "--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n"
MakeRequest = Callable[..., Request]


def patch(new: str, old: str = BLAMED) -> str:
    """A plain unified diff of the last line of the code."""
    lines = "".join(f"+{line}\n" for line in new.rstrip("\n").split("\n"))
    return f"--- a/shelf.py\n+++ b/shelf.py\n@@ -4 +4,{new.count(chr(10))} @@\n-{old}{lines}"


@pytest.fixture
def request_for(tmp_path: Path) -> MakeRequest:
    """Requests about a small repository of the test's own."""
    repository = tmp_path / "shelf"
    (repository / "tests").mkdir(parents=True)
    (repository / "shelf.py").write_text(CODE)
    (repository / "tests" / "test_shelf.py").write_text(TESTS)
    for words in (["init", "-q"], ["add", "-A"], ["-c", "user.name=x", "-c", "user.email=x@y", "commit", "-qm", "x"]):
        subprocess.run(["git", *words], cwd=repository, check=True)

    def make(text: str = "The last page is missing, see test_last_page") -> Request:
        settings = Settings(
            state_directory=str(tmp_path / "state"),
            cache_directory=str(tmp_path / "cache"),
            sandbox=SandboxSettings(kind=SandboxChoice.BUBBLEWRAP if shutil.which("bwrap") else SandboxChoice.NONE),
            search=SearchSettings(budget=1, seconds=20.0, candidates=10),
        )
        return Request(repository, Issue(text, IssueSource.TEXT), settings)

    return make


async def gather(request: Request, diff: str) -> list[Event]:
    """All events of a verification."""
    async with aclosing(verify(request, diff)) as events:
        return [event async for event in events]


def finished(events: list[Event]) -> RunFinished:
    """The result."""
    (found,) = [event for event in events if isinstance(event, RunFinished)]
    return found


@pytest.mark.parametrize(
    ("new", "labels", "reason"),
    [
        ("    return -(-total // size)\n", {Label.VERIFIED, Label.PARTLY_VERIFIED}, "verdict.reproduced"),
        ("    return total // size + 1\n", {Label.UNVERIFIED}, "verdict.regression-worse"),
        ("    return total / size\n", {Label.UNVERIFIED}, "verdict.not-reproduced"),
        (
            "    if total == 7:\n        return 3\n    return -(-total // size)\n",
            {Label.PARTLY_VERIFIED},
            "verdict.flagged",
        ),
    ],
)
async def test_a_patch_is_put_through_all_checks(
    request_for: MakeRequest, new: str, labels: set[Label], reason: str
) -> None:
    """Right, worse elsewhere, no repair, a cheat: each is told apart, with its reason and both runs in the receipt."""
    result = finished(await gather(request_for(), patch(new)))
    assert result.label in labels, result.receipt
    assert result.candidate == "given"
    assert "+    return" in result.patch
    assert result.receipt is not None
    assert result.receipt.reproduction is not None
    assert reason in {message.key for message in result.receipt.reasons}


async def test_edited_tests_are_not_what_a_patch_is_measured_with(request_for: MakeRequest) -> None:
    """A patch that changes the failing test meets the test as it was; where the issue blames the test, its own."""
    diff = "--- a/tests/test_shelf.py\n+++ b/tests/test_shelf.py\n@@ -4,2 +4,2 @@\n def test_last_page():\n"
    diff += "-    assert page_count(7, 3) == 3\n+    assert page_count(7, 3) == 2\n"
    diff += "@@ -6,1 +6,1 @@\n-    assert page_count(1, 4) == 1\n+    assert page_count(1, 4) == 0\n"
    result = finished(await gather(request_for(), diff))
    assert result.receipt is not None
    assert result.label is Label.UNVERIFIED
    assert [flag.key for flag in result.receipt.flags] == ["cheating.test-edited"]
    blamed = "The test is wrong: test_last_page should expect 2, whole pages only"
    result = finished(await gather(request_for(blamed), diff))
    assert result.receipt is not None
    assert result.receipt.flags == ()
    assert result.receipt.reproduction is not None
    assert result.receipt.reproduction.red_after == ()


async def test_a_script_of_the_users_is_the_reproduction(request_for: MakeRequest, tmp_path: Path) -> None:
    """A script that fails is one, kept beside the record; one that passes is none, and nothing else is looked for."""
    script = b"from shelf import page_count\nraise SystemExit(page_count(7, 3) != 3)\n"
    request = replace(request_for("pages"), reproduction=GivenReproduction("show.py", script))
    events = await gather(request, patch("    return -(-total // size)\n"))
    (found,) = [event for event in events if isinstance(event, Reproduced)]
    assert found.origin == "given"
    assert finished(events).receipt is not None
    (kept,) = (tmp_path / "state").rglob("reproduction.py")
    assert kept.read_text() == found.source
    request = replace(request, reproduction=GivenReproduction("show.py", b"print('FAILED')\n"))
    events = await gather(request, patch("    return -(-total // size)\n"))
    (nothing,) = [event for event in events if isinstance(event, NotReproduced)]
    assert nothing.message.key == "pipeline.given-green"
    assert finished(events).label is Label.UNVERIFIED


async def test_an_example_red_for_another_reason_is_no_reproduction(request_for: MakeRequest) -> None:
    """It is said what the issue shows and what was seen; a value that the issue names is a reproduction."""
    request = request_for("Pages go missing\n\n`page_count(9, 0)` returns `1` but should be `2`.\n")
    (request.repository / "tests" / "test_shelf.py").write_text(
        TESTS.replace("(7, 3) == 3", "(7, 3) == 2").replace("(1, 4) == 1", "(1, 4) == 0")
    )
    events = await gather(request, patch("    return -(-total // size)\n"))
    assert "pipeline.other-reason" in {event.message.key for event in events if isinstance(event, ProblemFound)}
    request = replace(request, issue=replace(request.issue, text="Pages\n\n`page_count(7, 3)` gives 2, should be 3.\n"))
    events = await gather(request, patch("    return -(-total // size)\n"))
    (found,) = [event for event in events if isinstance(event, Reproduced)]
    assert found.origin == "example"
    assert "from shelf import page_count" in found.source


@pytest.mark.parametrize(
    "diff", ["", "no diff\n", patch("    return 1\n", "    return 2\n"), "--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n"]
)
async def test_a_patch_that_does_not_fit_is_the_users_mistake(request_for: MakeRequest, diff: str) -> None:
    """Empty, no diff, other lines, another file: exit code 2, and what is wrong."""
    (failed,) = [event for event in await gather(request_for(), diff) if isinstance(event, RunFailed)]
    assert failed.exit_code == 2
    assert failed.message.key in {"pipeline.patch-empty", "pipeline.patch-unfit"}


def test_plain_diffs_are_read_as_gits() -> None:
    """What diff and difflib write: new and deleted files, dates behind names, lines that look like headers."""
    tree = MemoryTree({PurePosixPath("a.py"): FileState(b"-- x\ny\n"), PurePosixPath("b.py"): FileState(b"z\n")})
    diff = "--- a/a.py\t2026-01-01\n+++ b/a.py\t2026-01-02\n@@ -1,2 +1,2 @@\n--- x\n+++ x\n y\n"
    diff += "--- a/b.py\n+++ /dev/null\n@@ -1 +0,0 @@\n-z\n--- /dev/null\n+++ b/c.py\n@@ -0,0 +1 @@\n+new\n"
    changes = {str(change.path): change.after for change in read_patch(diff, tree)}
    assert changes == {"a.py": FileState(b"++ x\ny\n"), "b.py": None, "c.py": FileState(b"new\n")}
    with pytest.raises(UsageError):
        read_patch("--- a/../x\n+++ b/../x\n@@ -0,0 +1 @@\n+new\n", tree)
    assert with_git_headers("diff --git a/x b/x\n") == "diff --git a/x b/x\n"


def test_new_tests_of_a_patch_count_old_ones_stay() -> None:
    """What is measured of a patch: all but its edits to tests that were there."""
    tree = MemoryTree({PurePosixPath(path): FileState(b"a\n") for path in ("m.py", "test_m.py")})
    parts = [f"--- a/{path}\n+++ b/{path}\n@@ -1 +1 @@\n-a\n+b\n" for path in ("m.py", "test_m.py")]
    changes = read_patch("".join(parts) + "--- /dev/null\n+++ b/test_n.py\n@@ -0,0 +1 @@\n+b\n", tree)
    kept = honest_part(changes, is_test=lambda path: "test" in path.name, exists=lambda path: path in tree.files)
    assert [str(change.path) for change in kept] == ["m.py", "test_n.py"]


def test_values_are_exchanged_on_the_patchs_lines_only() -> None:
    """A value may be passed through a call of its function, or give way to another of its values."""
    text = "def flat(items):\n    out = []\n    for i in items:\n        out += i\n"
    text += "        out += flat(i)\n    return out\n"
    found = {(line, other.split("\n")[line - 1].strip()) for line, other in exchanged(text, {4})}
    assert found == {(4, "out += flat(i)")}
    assert list(exchanged("def f(:\n", {1})) == []
    text = "def merged(a, b):\n    for k, v in b.items():\n        a[k] = {**a[k], **v}\n    return a\n"
    assert "a[k] = merged(a[k], v)" in {other.split("\n")[2].strip() for _, other in exchanged(text, {3})}
    assert new_lines(FileState(b"a\nb\n"), FileState(b"a\nc\nb\n")) == {2}


def test_the_wording_of_an_error_is_nobodys_repair() -> None:
    """The texts of raised errors are told apart from other texts, f-strings and signs of two bytes included."""
    state = FileState("x = 'é'\nif x:\n    raise ValueError(f'no {x}', 3, 'é')\n".encode())
    assert [state.content[start:end].decode() for start, end in wordings(state)] == ["f'no {x}'", "'é'"]
    assert wordings(FileState(b"raise (")) == ()


def test_only_words_that_a_patch_brings_in_are_its_own() -> None:
    """An edit of an index that stood there before is none of the patch beside it."""
    before, after = FileState(b"x\nrow[-1] = (row[-1], end)\n"), FileState(b"x\nrow[-1] = (row[-1], max(end, 2))\n")
    spans = new_spans(before, after)
    assert b"".join(after.content[start:end] for start, end in spans) == b"max(, 2)"
    other = FileState(after.content.replace(b"row[-1] =", b"row[-1 + 1] ="))
    assert edited_span(after, other) == (8, 8)
    assert not any(start <= 8 <= end for start, end in spans)
    low, high = edited_span(after, FileState(after.content.replace(b", 2)", b", 3)")))
    assert after.content[low:high] == b"2"
    assert any(start <= low < high <= end for start, end in spans)


def test_a_number_of_the_issue_makes_rivals_of_a_condition() -> None:
    """A rule that the issue states and the patch leaves out is tried: the condition, joined by one with its number."""
    text = "def leap(year):\n    return year % 4 == 0 and year % 100 != 0\n"
    found = {other.split("\n")[1].strip() for _, other in numbered(text, {2}, [400])}
    assert "return year % 4 == 0 and (year % 100 != 0 or not year % 400 != 0)" in found
    assert list(numbered(text, {2}, [])) == list(numbered("def f(:\n", {1}, [4])) == []
