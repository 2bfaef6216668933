"""Where a search text stands in a file: exactly, or with spacing that differs, but in one place only."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from pathlib import PurePosixPath

from thinklonger.agent.edits.edit import Replace
from thinklonger.agent.edits.lines import ending_of, lines_of, occurrences
from thinklonger.agent.edits.paths import shown
from thinklonger.agent.edits.text import BOM, legible
from thinklonger.agent.errors import EditError

SHOWN_PLACES = 8
"""How many places an ambiguity error lists."""


@dataclass(frozen=True, slots=True)
class Match:
    """The lines [start, end) of a file, 0-based, and how its indentation corresponds to the search text's."""

    start: int
    end: int
    indents: tuple[tuple[str, str], ...] = ()


def replaced(text: str, edit: Replace) -> str:
    """The text after the edit; raises EditError where the search text stands nowhere or in several places.

    Tried in turn, and the first way that finds a place must find only one: the same characters; the same but for
    line endings; but for blanks at line ends; but for an indentation that is shifted in a consistent way; but for
    runs of blanks; and all of these without the search text's outer blank lines. Lines that the replacement
    keeps stay byte for byte as the file has them; new ones get the file's indentation and line endings.
    """
    mark, body = (BOM, text[1:]) if text.startswith(BOM) and not edit.search.startswith(BOM) else ("", text)
    exact = occurrences(body, edit.search)
    lines = lines_of(body)
    if exact:
        numbers = [body.count("\n", 0, offset) for offset in exact]
        _only(edit, [number + 1 for number in numbers])
        new = edit.replace
        at_end = exact[0] + len(edit.search) == len(body)
        if new and not new.endswith("\n") and not at_end:
            new += "\n"
        return mark + body[: exact[0]] + new + body[exact[0] + len(edit.search) :]
    search, new = lines_of(edit.search), lines_of(edit.replace)
    for wanted, wanted_new in ((search, new), _without_outer_blanks(search, new)):
        for key in (*_SAME_INDENT, *_SHIFTED_INDENT):
            matches = _matches(lines, wanted, key)
            if matches:
                _only(edit, [match.start + 1 for match in matches])
                fresh = _adapted(lines, wanted, wanted_new, match=matches[0], edit=edit)
                return mark + "".join([*lines[: matches[0].start], *fresh, *lines[matches[0].end :]])
    raise _no_match(lines, search, edit.path)


def _only(edit: Replace, numbers: Sequence[int]) -> None:
    if len(numbers) > 1:
        places = ", ".join(str(number) for number in numbers[:SHOWN_PLACES])
        more = ", …" if len(numbers) > SHOWN_PLACES else ""
        raise EditError("edits.ambiguous", path=shown(edit.path), count=len(numbers), lines=places + more)


def _without_ending(line: str) -> str:
    return line.removesuffix("\n").removesuffix("\r")


def _without_trailing(line: str) -> str:
    return line.rstrip()


def _squeezed(line: str) -> str:
    return " ".join(line.split())


_SAME_INDENT = (_without_ending, _without_trailing)
_SHIFTED_INDENT = (str.strip, _squeezed)
"""Ways to compare lines, strictest first."""


def _indent(line: str) -> str:
    return line[: len(line) - len(line.lstrip())]


def _without_outer_blanks(search: list[str], new: list[str]) -> tuple[list[str], list[str]]:
    """Both texts without the blank lines around the search text, as far as the replacement has them too."""
    search, new = list(search), list(new)
    for end in (0, -1):
        while search and not search[end].strip():
            search.pop(end)
            if new and not new[end].strip():
                new.pop(end)
    return search, new


def _matches(lines: Sequence[str], search: Sequence[str], key: Callable[[str], str]) -> list[Match]:
    """Where the search lines stand, compared by `key`; by the looser keys only where the indentation agrees."""
    wanted = [key(line) for line in search]
    if not any(wanted):
        return []
    have = [key(line) for line in lines]
    found: list[Match] = []
    for start in range(len(have) - len(wanted) + 1):
        if have[start] != wanted[0] or have[start : start + len(wanted)] != wanted:
            continue
        end = start + len(wanted)
        if key in _SAME_INDENT:
            found.append(Match(start, end))
            continue
        pairs = {
            (_indent(old), _indent(line)) for old, line in zip(search, lines[start:end], strict=True) if old.strip()
        }
        if len({old for old, _ in pairs}) == len(pairs):
            found.append(Match(start, end, tuple(sorted(pairs, key=lambda pair: len(pair[0])))))
    return found


def _adapted(
    lines: Sequence[str], search: Sequence[str], new: Sequence[str], *, match: Match, edit: Replace
) -> list[str]:
    """The replacement's lines as they go into the file: kept lines untouched, new ones in the file's spacing."""
    kept = lines[match.start : match.end]
    endings = [ending_of(line) for line in kept]
    ending = next((e for e in endings if e), next((ending_of(line) for line in lines if ending_of(line)), "\n"))
    fresh: list[str] = []
    matcher = SequenceMatcher(
        None, [_without_trailing(line) for line in search], [_without_trailing(line) for line in new], autojunk=False
    )
    for tag, low, high, new_low, new_high in matcher.get_opcodes():
        if tag == "equal":
            fresh += kept[low:high]
        else:
            fresh += [_reindented(_without_ending(line), match, edit) + ending for line in new[new_low:new_high]]
    fresh = [line if ending_of(line) else line + ending for line in fresh]
    if fresh and match.end == len(lines) and not endings[-1]:
        fresh[-1] = fresh[-1].removesuffix(ending)
    return fresh


def _reindented(line: str, match: Match, edit: Replace) -> str:
    """A new line with the file's indentation in place of the search text's."""
    if not match.indents or not line.strip():
        return line
    indent = _indent(line)
    for old, have in reversed(match.indents):
        if indent.startswith(old):
            return have + _translated(indent[len(old) :], match) + line[len(indent) :]
    old, have = match.indents[0]
    if old.startswith(indent) and have.endswith(old[len(indent) :]):
        return have[: len(have) - len(old) + len(indent)] + line[len(indent) :]
    raise EditError("edits.indentation", path=shown(edit.path), line=match.start + 1, text=legible(line.strip()))


def _translated(extra: str, match: Match) -> str:
    """Indentation deeper than any that the search text has, in the file's unit where the two are known to differ."""
    steps = list(zip(match.indents, match.indents[1:], strict=False))
    for (old, have), (deeper_old, deeper_have) in steps:
        unit, file_unit = deeper_old[len(old) :], deeper_have[len(have) :]
        if (
            deeper_old.startswith(old)
            and deeper_have.startswith(have)
            and unit
            and extra == unit * (len(extra) // len(unit))
        ):
            return file_unit * (len(extra) // len(unit))
    old, have = match.indents[0]
    if have and not have.strip("\t") and not extra.strip(" "):
        width = len(old) // len(have) if old and not old.strip(" ") else 4
        return "\t" * (len(extra) // width) + " " * (len(extra) % width) if width else extra
    return extra


def _no_match(lines: Sequence[str], search: Sequence[str], path: PurePosixPath) -> EditError:
    """Say where the search text almost stands, so that its writer can mend it."""
    wanted = [line.strip() for line in search]
    have = [line.strip() for line in lines]
    best, start = 0, 0
    places = dict.fromkeys(line for line in wanted if line)
    where = [number for number, line in enumerate(have) if line in places]
    offsets = {number - index for number in where for index, line in enumerate(wanted) if line == have[number]}
    for offset in sorted(offsets):
        same = sum(
            1
            for index, line in enumerate(wanted)
            if line and 0 <= offset + index < len(have) and have[offset + index] == line
        )
        if same > best:
            best, start = same, offset
    if not best:
        return EditError("edits.no-match", path=shown(path), text=legible(next((line for line in wanted if line), "")))
    for index, line in enumerate(wanted):
        number = start + index
        found = have[number] if 0 <= number < len(have) else ""
        if found != line:
            return EditError(
                "edits.no-match-near", path=shown(path), line=number + 1, expected=legible(line), found=legible(found)
            )
    return EditError("edits.no-match-indent", path=shown(path), line=start + 1)
