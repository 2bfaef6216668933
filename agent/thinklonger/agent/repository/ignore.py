"""`.gitignore` for folders that git does not know: patterns, `!`, anchors, `**`; the last match in a file wins."""

import re
from typing import NamedTuple


class Rule(NamedTuple):
    """One line: what it matches (a path relative to its file's folder), whether only folders, whether it takes back."""

    matches: re.Pattern[str]
    only_folders: bool
    negated: bool


def parse_rules(text: str) -> tuple[Rule, ...]:
    """The rules of one `.gitignore`, in order; lines that make no sense are dropped."""
    rules: list[Rule] = []
    for raw in text.split("\n"):
        line = raw.rstrip("\r")
        if not line.endswith("\\ "):
            line = line.rstrip(" ")
        if not line or line.startswith("#"):
            continue
        negated = line.startswith("!")
        line = line[negated:]
        only_folders = line.endswith("/")
        line = line.rstrip("/")
        if not line:
            continue
        anchored = "/" in line
        prefix = "" if anchored else "(?:.*/)?"
        rules.append(Rule(re.compile(prefix + _pattern(line.lstrip("/")), re.DOTALL), only_folders, negated))
    return tuple(rules)


def is_ignored(path: str, *, folder: bool, rules: tuple[Rule, ...]) -> bool | None:
    """What one file's rules say of a path relative to it; None where they say nothing."""
    for rule in reversed(rules):
        if (folder or not rule.only_folders) and rule.matches.fullmatch(path):
            return not rule.negated
    return None


_TOKENS = re.compile(r"/\*\*/|^\*\*/|/\*\*$|\*+|\?|\[!?\]?[^\]]*\]|\\.|.", re.DOTALL)


def _pattern(glob: str) -> str:
    """A glob as a regular expression: `*` and `?` stay inside one part, `**` crosses parts."""
    out: list[str] = []
    for piece in _TOKENS.findall(glob):
        if piece == "/**/":
            out.append("/(?:.*/)?")
        elif piece == "**/":
            out.append("(?:.*/)?")
        elif piece == "/**":
            out.append("/.+")
        elif piece.startswith("*"):
            out.append("[^/]*")
        elif piece == "?":
            out.append("[^/]")
        elif piece.startswith("[") and len(piece) > 1:
            out.append(_character_class(piece))
        else:
            out.append(re.escape(piece[-1]))
    return "".join(out)


def _character_class(piece: str) -> str:
    """`[a-z]` and `[!a-z]`; one that is no valid class stands for itself."""
    body = piece[1:-1].replace("\\", "\\\\").replace("[", "\\[")
    found = f"(?!/)[^{body[1:]}]" if body.startswith(("!", "^")) else f"[{body}]"
    try:
        re.compile(found)
    except re.error:
        return re.escape(piece)
    return found
