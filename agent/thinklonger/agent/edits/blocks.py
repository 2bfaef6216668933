r"""Search/replace blocks: the form in which a model writes edits and a candidate's edits are shown.

    ### src/package/module.py
    <<<<<<< SEARCH
    lines as they stand in the file
    =======
    lines that take their place
    >>>>>>> REPLACE

An empty search part makes a new file. `<<<<<<< DELETE`, `<<<<<<< RENAME` (the new path between the markers) and
`<<<<<<< MODE` (`executable` or `regular`) end with `>>>>>>> ` and their word. A block without a path of its own
belongs to the file of the block before it. Text between blocks and code fences around them mean nothing. Where the
code itself has such markers, the block's are longer; a block's markers are all of one length (7 unless needed). A
part whose last line is `\ No newline at end of file` ends without one. Paths may be quoted as git quotes them.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from thinklonger.agent.edits.edit import Create, Delete, Edit, Rename, Replace, SetMode
from thinklonger.agent.edits.lines import lines_of
from thinklonger.agent.edits.paths import legibly_quoted, shown, unquoted
from thinklonger.agent.edits.text import legible
from thinklonger.agent.errors import EditError

NO_NEWLINE = "\\ No newline at end of file"
MARKER = 7
"""Signs in a marker, unless the text itself has lines that begin with as many."""

_OPEN = re.compile(r"(<{5,}) ?(SEARCH|DELETE|RENAME|MODE)[ \t]*\r?")
_LIKE_CLOSE = re.compile(r">{3,} ?(REPLACE|DELETE|RENAME|MODE)[ \t]*\r?")
_FENCE = re.compile(r"[ \t]*(`{3,}|~{3,})")
_HEADING = re.compile(r"#{3,6}[ \t]+(.+)")
_BARE_PATH = re.compile(r"[\w./+@-]*[\w+@-](?:/[\w.+@-]+|\.\w+)")
_SIGNS = re.compile(r"(?:<+|=+|>+)", re.ASCII)
_ESCAPED = re.compile(r"\\\\+ No newline at end of file")
_MODES = {"executable": True, "regular": False}


@dataclass(frozen=True, slots=True)
class _Block:
    """One block's word, path, parts (one, or two around a divider) and the answer's line where it opens."""

    word: str
    path: PurePosixPath
    parts: tuple[str, ...]
    line: int


def parse_blocks(answer: str) -> tuple[Edit, ...]:
    """The edits that an answer holds; raises EditError that names the answer's line where a block is malformed."""
    edits = tuple(_edit(block) for block in _blocks(answer.split("\n")))
    if not edits:
        raise EditError("edits.no-blocks")
    return edits


def render_blocks(edits: Sequence[Edit]) -> str:
    """The edits as blocks; `parse_blocks` gives them back."""
    return "\n".join(_rendered(edit) for edit in edits)


# ── reading ──────────────────────────────────────────────────────────────────────────────────────────────────────


def _blocks(lines: Sequence[str]) -> Iterator[_Block]:
    path: PurePosixPath | None = None
    number = 0
    while number < len(lines):
        opening = _OPEN.fullmatch(lines[number])
        if opening is None:
            _check_stray(lines[number], number + 1)
            path = _heading(lines, number) or path
            number += 1
            continue
        if path is None:
            raise EditError("edits.block-without-file", line=number + 1)
        end, parts = _body(lines, number, signs=len(opening[1]), word=opening[2])
        yield _Block(opening[2], path, parts, number + 1)
        number = end + 1


def _check_stray(line: str, number: int) -> None:
    if _LIKE_CLOSE.fullmatch(line):
        raise EditError("edits.block-unopened", line=number, text=legible(line.strip()))


def _heading(lines: Sequence[str], number: int) -> PurePosixPath | None:
    """The path that this line names: a `###` heading, or a bare path right above a block (and its code fence)."""
    line = lines[number].strip()
    heading = _HEADING.fullmatch(line)
    text = _unadorned(heading[1] if heading else line)
    if text.startswith('"'):
        try:
            return PurePosixPath(unquoted(text)) if heading else None
        except ValueError:
            return None
    named = _BARE_PATH.fullmatch(text) is not None
    if heading:
        looks_like_path = " " not in text or _BARE_PATH.fullmatch(text.rpartition(" ")[2]) is not None
        return PurePosixPath(text) if looks_like_path else None
    if not named:
        return None
    following = number + 1
    while following < len(lines) and (not lines[following].strip() or _FENCE.match(lines[following])):
        following += 1
    opens = following < len(lines) and _OPEN.fullmatch(lines[following]) is not None
    return PurePosixPath(text) if opens else None


def _unadorned(text: str) -> str:
    """A path without what models put around it: backticks, bold, a colon, the word File."""
    text = text.strip().removesuffix(":").strip()
    text = re.sub(r"^(?:File|Path)(?: ?path)?:[ \t]*", "", text, flags=re.IGNORECASE)
    for adornment in ("**", "`"):
        if len(text) > 2 * len(adornment) and text.startswith(adornment) and text.endswith(adornment):
            text = text.removeprefix(adornment).removesuffix(adornment)
    return text.removesuffix(":").strip()


def _body(lines: Sequence[str], opening: int, *, signs: int, word: str) -> tuple[int, tuple[str, ...]]:
    """The number of the closing line and the parts; SEARCH has two, the others one."""
    crlf = lines[opening].endswith("\r")
    closing = re.compile(rf">{{{signs}}} ?(?:{'REPLACE' if word == 'SEARCH' else word})[ \t]*\r?")
    divider = re.compile(rf"={{{signs}}}[ \t]*\r?")
    parts: list[list[str]] = [[]]
    for number in range(opening + 1, len(lines)):
        line = lines[number]
        if closing.fullmatch(line):
            if word == "SEARCH" and len(parts) == 1:
                raise EditError("edits.block-without-divider", line=opening + 1, signs="=" * signs)
            return number, tuple(_text(part) for part in parts)
        found = _OPEN.fullmatch(line)
        if found and len(found[1]) == signs:
            raise EditError("edits.block-nested", line=number + 1, opened=opening + 1)
        if word == "SEARCH" and divider.fullmatch(line):
            if len(parts) > 1:
                raise EditError("edits.block-two-dividers", line=number + 1, opened=opening + 1, signs="=" * signs)
            parts.append([])
        else:
            parts[-1].append(line.removesuffix("\r") if crlf else line)
    like = next((n for n in range(opening + 1, len(lines)) if _LIKE_CLOSE.fullmatch(lines[n])), None)
    if like is not None:
        raise EditError(
            "edits.block-marker-length",
            line=like + 1,
            text=legible(lines[like].strip()),
            opened=opening + 1,
            signs=signs,
        )
    raise EditError("edits.block-unclosed", line=opening + 1)


def _text(part: list[str]) -> str:
    if not part:
        return ""
    last = part[-1]
    ended = last != NO_NEWLINE
    if not ended:
        part = part[:-1]
    if part and _ESCAPED.fullmatch(part[-1]):
        part = [*part[:-1], part[-1][1:]]
    return "\n".join(part) + ("\n" if ended and part else "")


def _edit(block: _Block) -> Edit:
    match block.word, block.parts:
        case "SEARCH", ("", content):
            return Create(block.path, content)
        case "SEARCH", (search, replace):
            return Replace(block.path, search, replace)
        case "DELETE", (text,) if not text.strip():
            return Delete(block.path)
        case "RENAME", (text,) if text.strip() and "\n" not in text.strip():
            return Rename(block.path, _path(text, block.line))
        case "MODE", (text,) if text.strip() in _MODES:
            return SetMode(block.path, _MODES[text.strip()])
        case _:
            raise EditError("edits.block-content", line=block.line, word=block.word)


def _path(text: str, line: int) -> PurePosixPath:
    plain = _unadorned(text)
    try:
        return PurePosixPath(unquoted(plain) if plain.startswith('"') else plain)
    except ValueError:
        raise EditError("edits.block-content", line=line, word="RENAME") from None


# ── writing ──────────────────────────────────────────────────────────────────────────────────────────────────────


def _rendered(edit: Edit) -> str:
    match edit:
        case Replace(_, "", _):
            raise EditError("edits.exists", path=shown(edit.path))
        case Replace(_, search, replace):
            word, parts = "SEARCH", [search, replace]
        case Create(_, content):
            word, parts = "SEARCH", ["", content]
        case Delete():
            word, parts = "DELETE", [""]
        case Rename(_, to):
            word, parts = "RENAME", [_written_path(to) + "\n"]
        case SetMode(_, executable):
            word, parts = "MODE", ["executable\n" if executable else "regular\n"]
    runs = (_SIGNS.match(line) for part in parts for line in part.split("\n"))
    signs = max([MARKER, *(len(run[0]) + 1 for run in runs if run)])
    closing = "REPLACE" if word == "SEARCH" else word
    body = f"{'=' * signs}\n".join(_part(part) for part in parts)
    return f"### {_written_path(edit.path)}\n{'<' * signs} {word}\n{body}{'>' * signs} {closing}\n"


def _part(text: str) -> str:
    lines = lines_of(text)
    if not lines:
        return ""
    plain = lines[-1].removesuffix("\n")
    if plain == NO_NEWLINE or _ESCAPED.fullmatch(plain):
        lines[-1] = "\\" + lines[-1]
    return "".join(lines) + ("" if text.endswith("\n") else f"\n{NO_NEWLINE}\n")


def _written_path(path: PurePosixPath) -> str:
    """The path as it is where `parse_blocks` reads it back so, else quoted."""
    text = str(path)
    plain = text.isprintable() and not re.search(r"[\s\"\\]", text) and _unadorned(text) == text
    return text if plain else legibly_quoted(text)
