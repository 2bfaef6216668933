"""The issue, wherever the user has it: a file, an argument, standard input, a GitHub URL, just a failing test."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from thinklonger.agent.errors import UsageError
from thinklonger.agent.types import Issue, IssueSource, Message

SIZE_LIMIT = 1024**2
"""Bytes of an issue that are read; the rest is left out and reported."""

_BINARY_SHARE = 0.1
_TEXT_CONTROLS = frozenset(b"\t\n\r\f\b\x1b")


@dataclass(frozen=True, slots=True)
class Source:
    """What the command line says about the issue. At most one of `file` and `text` is given."""

    file: str | None = None
    text: str | None = None
    test_command: str | None = None
    fetch: bool = False


def read_issue(
    source: Source, *, stdin: Callable[[int], bytes], fetch: Callable[[str], str], language: str
) -> tuple[Issue, tuple[Message, ...]]:
    """The issue, and what a person should know about how it was read; `stdin` reads at most so many bytes.

    Raises UsageError where there is no issue, it is empty, binary, no file, or a URL without the user's consent.
    """
    command = source.test_command.strip() if source.test_command is not None else None
    if source.test_command is not None and not command:
        raise UsageError("issue-source.empty-command")
    if source.text is not None:
        where, content = "--issue-text", source.text.encode("utf-8", "surrogateescape")
        kind = IssueSource.TEXT
    elif source.file is None:
        if command is None:
            raise UsageError("issue-source.missing")
        return Issue("", IssueSource.TEST, command), ()
    elif source.file.startswith(("http://", "https://")):
        if not source.fetch:
            raise UsageError("issue-source.needs-fetch", url=source.file)
        where, content, kind = source.file, fetch(source.file).encode("utf-8", "replace"), IssueSource.URL
    elif source.file == "-":
        where, content, kind = "-", stdin(SIZE_LIMIT + 1), IssueSource.STDIN
    else:
        where, content, kind = source.file, read_file(Path(source.file), source.file), IssueSource.FILE
    text, problems = _text(content, where, language)
    if not text.strip():
        raise UsageError("issue-source.empty", where=where)
    return Issue(text, kind, command), problems


def read_file(path: Path, named: str, *, limit: int = SIZE_LIMIT + 1) -> bytes:
    """At most so many bytes of a file that the user named; raises UsageError where that can't be done."""
    try:
        with path.open("rb") as file:
            return file.read(limit)
    except IsADirectoryError as cause:
        raise UsageError("issue-source.directory", file=named) from cause
    except FileNotFoundError as cause:
        raise UsageError("issue-source.no-file", file=named) from cause
    except (OSError, ValueError) as cause:
        reason = getattr(cause, "strerror", None) or str(cause)
        raise UsageError("issue-source.unreadable", file=named, reason=reason) from cause


def _text(content: bytes, where: str, language: str) -> tuple[str, tuple[Message, ...]]:
    problems: list[Message] = []
    if len(content) > SIZE_LIMIT:
        problems.append(Message("issue-source.truncated", {"where": where, "limit": SIZE_LIMIT}))
        content = content[:SIZE_LIMIT]
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return content.decode("utf-16", "replace"), tuple(problems)
    if _is_binary(content):
        raise UsageError("issue-source.binary", where=where)
    try:
        text = _without_cut_character(content, cut=bool(problems)).decode("utf-8-sig")
    except UnicodeDecodeError:
        text, encoding = _guess(content, language)
        problems.append(Message("issue-source.not-utf8", {"where": where, "encoding": encoding}))
    return text.replace("\r\n", "\n").replace("\r", "\n"), tuple(problems)


def _is_binary(content: bytes) -> bool:
    if b"\0" in content:
        return True
    controls = sum(1 for byte in content if byte < 0x20 and byte not in _TEXT_CONTROLS)  # noqa: PLR2004 (first printable)
    return controls > len(content) * _BINARY_SHARE


def _without_cut_character(content: bytes, *, cut: bool) -> bytes:
    """Without the first bytes of a character that the size limit has cut in two."""
    if not cut:
        return content
    end = len(content)
    while end > len(content) - 4 and content[end - 1] & 0xC0 == 0x80:  # noqa: PLR2004 (UTF-8's continuation bytes)
        end -= 1
    return content[: end - 1] if content[end - 1] >= 0xC0 else content  # noqa: PLR2004 (a character begins)


def _guess(content: bytes, language: str) -> tuple[str, str]:
    """Text that is not UTF-8: what is usual where the user comes from, else Latin-1, which reads anything."""
    if language == "zh-CN":
        try:
            return content.decode("gb18030"), "GB18030"
        except UnicodeDecodeError:
            pass
    return content.decode("latin-1"), "Latin-1"
