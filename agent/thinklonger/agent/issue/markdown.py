"""Markdown as people write issues: which lines are prose and which are code; one pass, no backtracking."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from thinklonger.agent.issue.clues import CodeBlock

_FENCE = re.compile(r" {0,3}(?:> ?)?(`{3,}|~{3,})[ \t]*(.*)")
_LANGUAGE = re.compile(r"[A-Za-z][\w+.#-]{0,30}")
_LIST_ITEM = re.compile(r"\s*(?:[-*+]|\d{1,3}[.)])\s")
_CHECK_ITEM = re.compile(r"\s*[-*+] {0,4}\[[ xX]?\]")
_HEADING = re.compile(r" {0,3}#{1,6}\s+(.+)")
_BOLD_LINE = re.compile(r"\s*\*\*([^*]{1,80})\*\*:?\s*$")
_COLON_LINE = re.compile(r"([A-Z][A-Za-z ]{2,40}):\s*$")
_UNDERLINE = re.compile(r"[-=~]{3,}\s*$")

_TEMPLATE = re.compile(
    r"(?:describe|steps? to|how to reproduce|to reproduce|reproduc|minimal|expected|actual|observed|current|desired"
    r"|what |screenshots?|additional|further|is your feature|problem|possible|proposed|summary|description|overview"
    r"|context|motivation|use case|background|details?|example|error|output|traceback|the bug|bug|issue|question|note"
    r"|search before|are you|code of conduct|checklist|system info|environment|your env|version|before asking|tasks?$)",
    re.IGNORECASE,
)
_ADMINISTRATION = re.compile(
    r"(?:search before|before asking|are you willing|code of conduct|checklist|system info|environment|your env"
    r"|versions?\b|screenshots?|.{0,60}\boutput$|.{0,40}versions?\W*$|platform|operating system|os\b)",
    re.IGNORECASE,
)
"""Headings of issue templates: the first list are words of nobody, below the second nothing tells where a fault is."""


@dataclass(slots=True)
class Document:
    """The issue's lines, sorted out; `lines` are all of them without HTML comments."""

    prose: list[str] = field(default_factory=list[str])
    blocks: list[CodeBlock] = field(default_factory=list[CodeBlock])
    lines: list[str] = field(default_factory=list[str])


def read_document(text: str) -> Document:
    """Sort an issue's lines into prose and blocks of code; an unclosed fence runs to the end."""
    document = Document(lines=list(_without_comments(text.splitlines())))
    lines = document.lines
    position, skipping = 0, False
    blank, listed = True, False
    while position < len(lines):
        line = lines[position]
        if (fence := _FENCE.match(line)) is not None and _opens(fence):
            position = _read_fence(document, position, fence)
            blank = True
            continue
        if blank and not listed and line.startswith(("    ", "\t")) and line.strip():
            position = _read_indented(document, position)
            continue
        following = lines[position + 1] if position + 1 < len(lines) else ""
        if line.strip() and (heading := _heading(line, following)) is not None:
            skipping = _ADMINISTRATION.match(heading) is not None
            if _TEMPLATE.match(heading) is None:
                document.prose.append(heading)
        elif not skipping and not _CHECK_ITEM.match(line) and not _UNDERLINE.match(line):
            document.prose.append(line)
        listed = _LIST_ITEM.match(line) is not None or (listed and (not line.strip() or line[:1].isspace()))
        blank = not line.strip()
        position += 1
    return document


def _without_comments(lines: list[str]) -> Iterator[str]:
    """The lines without `<!-- … -->`, also over several lines; fences protect what looks like a comment in code."""
    fence, inside = "", False
    for line in lines:
        found = _FENCE.match(line)
        if found is not None and not inside:
            fence = "" if fence and found[1].startswith(fence) else fence or found[1]
        if fence or ("<!--" not in line and not inside):
            yield line
            continue
        kept: list[str] = []
        rest = line
        while rest:
            if inside:
                _, closed, rest = rest.partition("-->")
                inside = not closed
            else:
                before, opened, rest = rest.partition("<!--")
                kept.append(before)
                inside = bool(opened)
        yield "".join(kept)


def _opens(fence: re.Match[str]) -> bool:
    """Whether a match is a fence: a line such as ```` ```code``` ```` is inline code."""
    return not (fence[1][0] == "`" and "`" in fence[2])


def _read_fence(document: Document, position: int, fence: re.Match[str]) -> int:
    """Take the block that opens at `position`; the position after it."""
    mark, info = fence[1], fence[2].strip()
    body: list[str] = []
    language = ""
    if _LANGUAGE.fullmatch(info):
        language = info.lower()
    elif info:
        body.append(info)  # people start the code right behind the fence
    lines = document.lines
    position += 1
    while position < len(lines):
        closing = _FENCE.match(lines[position])
        if closing is not None and closing[1].startswith(mark) and not closing[2].strip("`~ "):
            position += 1
            break
        body.append(lines[position])
        position += 1
    if any(line.strip() for line in body):
        document.blocks.append(CodeBlock(language=language, text="\n".join(body)))
    return position


def _read_indented(document: Document, position: int) -> int:
    """Take the block indented by four columns that starts at `position`; the position after it."""
    lines = document.lines
    body: list[str] = []
    while position < len(lines) and (lines[position].startswith(("    ", "\t")) or not lines[position].strip()):
        line = lines[position]
        body.append(line[1:] if line.startswith("\t") else line[4:])
        position += 1
    document.blocks.append(CodeBlock(language="", text="\n".join(body).rstrip()))
    return position


def _heading(line: str, following: str) -> str | None:
    """The heading that a line is, in any of the ways people write one; None for other lines."""
    found = _HEADING.match(line) or _BOLD_LINE.match(line) or _COLON_LINE.match(line)
    if found is not None:
        return found[1].strip(" #*:")
    if len(line) <= 80 and _UNDERLINE.match(following) and line.strip():  # noqa: PLR2004 - a title, not a paragraph
        return line.strip()
    return None
