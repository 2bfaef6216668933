"""Where an issue may come from, and what every bad one says."""

from pathlib import Path

import pytest

from thinklonger.agent.errors import UsageError
from thinklonger.agent.types import Issue, IssueSource
from thinklonger.cli.issue import SIZE_LIMIT, Source, read_issue


def no_fetch(url: str) -> str:
    """Nobody may fetch in these tests."""
    raise AssertionError(url)


def read(source: Source, *, stdin: bytes = b"", language: str = "en") -> tuple[Issue, list[str]]:
    """The issue and the keys of its problems."""
    issue, problems = read_issue(source, stdin=lambda size: stdin[:size], fetch=no_fetch, language=language)
    return issue, [problem.key for problem in problems]


def refused(source: Source, *, stdin: bytes = b"") -> str:
    """The key of the refusal, whose exit code is that of a usage error."""
    with pytest.raises(UsageError) as caught:
        read(source, stdin=stdin)
    assert caught.value.exit_code == 2
    return caught.value.message.key


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """An issue file."""
    return tmp_path / "an issue 问题.md"


def test_every_source_gives_its_text(file: Path) -> None:
    """File, argument, standard input, just a test; a test command goes with each."""
    file.write_text("# It breaks\r\n\r\nbadly\n", newline="")
    assert read(Source(file=str(file)))[0] == Issue("# It breaks\n\nbadly\n", IssueSource.FILE)
    assert read(Source(text="It breaks"))[0] == Issue("It breaks", IssueSource.TEXT)
    assert read(Source(file="-"), stdin="它坏了".encode())[0] == Issue("它坏了", IssueSource.STDIN)
    assert read(Source(test_command=" pytest x "))[0] == Issue("", IssueSource.TEST, "pytest x")
    assert read(Source(text="a", test_command="pytest x"))[0] == Issue("a", IssueSource.TEXT, "pytest x")


def test_no_issue_is_refused() -> None:
    """Nothing given, nothing in it, an empty command."""
    assert refused(Source()) == "issue-source.missing"
    assert refused(Source(text=" \n\t")) == "issue-source.empty"
    assert refused(Source(text="", test_command="pytest")) == "issue-source.empty"
    assert refused(Source(file="-")) == "issue-source.empty"
    assert refused(Source(test_command="  ")) == "issue-source.empty-command"


def test_files_that_are_none_are_refused(tmp_path: Path) -> None:
    """Missing, a folder, an impossible name: named, never a traceback."""
    assert refused(Source(file=str(tmp_path / "missing.md"))) == "issue-source.no-file"
    assert refused(Source(file=str(tmp_path))) == "issue-source.directory"
    assert refused(Source(file="a\0b")) == "issue-source.unreadable"
    assert refused(Source(file="x" * 5000)) == "issue-source.unreadable"


@pytest.mark.parametrize("content", [b"\x7fELF\x02\x01\x01\0\0", b"PNG\0", bytes(range(1, 32)) * 9])
def test_binary_files_are_refused(file: Path, content: bytes) -> None:
    """An issue is text."""
    file.write_bytes(content)
    assert refused(Source(file=str(file))) == "issue-source.binary"


def test_a_megabyte_is_read_whole_and_more_is_cut_with_a_word(file: Path) -> None:
    """Up to 1 MiB; beyond, the rest is left out, said, and no character is cut in two."""
    file.write_bytes(b"x" * 10**6)
    issue, problems = read(Source(file=str(file)))
    assert (len(issue.text), problems) == (10**6, [])
    file.write_bytes(b"xx" + "界".encode() * 400_000)
    issue, problems = read(Source(file=str(file)))
    assert problems == ["issue-source.truncated"]
    assert set(issue.text) == {"x", "界"}
    assert SIZE_LIMIT - 4 <= len(issue.text.encode()) <= SIZE_LIMIT


@pytest.mark.parametrize(
    ("content", "language", "text", "problems"),
    [
        ("é".encode("latin-1"), "en", "é", ["issue-source.not-utf8"]),
        ("坏了".encode("gb18030"), "zh-CN", "坏了", ["issue-source.not-utf8"]),
        (b"a \xff\xff", "zh-CN", "a ÿÿ", ["issue-source.not-utf8"]),
        ("坏了".encode("utf-16"), "en", "坏了", []),
        ("坏了".encode("utf-8-sig"), "en", "坏了", []),
    ],
)
def test_other_encodings_are_read_and_said(
    file: Path, content: bytes, language: str, text: str, problems: list[str]
) -> None:
    """Nobody's issue is lost to an encoding; a guess is reported."""
    file.write_bytes(content)
    assert read(Source(file=str(file)), language=language) == (Issue(text, IssueSource.FILE), problems)


def test_a_url_needs_consent() -> None:
    """Zero egress by default; with consent it is fetched, and only then."""
    url = "https://github.com/o/r/issues/1"
    assert refused(Source(file=url)) == "issue-source.needs-fetch"
    fetched: list[str] = []

    def fetch(asked: str) -> str:
        fetched.append(asked)
        return "title\n\nbody"

    source = Source(file=url, fetch=True)
    issue, _ = read_issue(source, stdin=lambda _size: b"", fetch=fetch, language="en")
    assert issue == Issue("title\n\nbody", IssueSource.URL)
    assert fetched == [url]
