"""Answers read back: what stands in the answer tags, and the small forms that stages ask for, line by line.

Every failure is a ModelError with the key of a sentence that can be shown to the model as well as to a person.
"""

import ast
import json
import re
import warnings
from contextlib import suppress
from dataclasses import dataclass

from thinklonger.agent.errors import ModelError

OPEN, CLOSE = "<answer>", "</answer>"

_ANSWER = re.compile(r"<answer>(.*?)</answer>", re.DOTALL)
_ANSWER_ON_LINES = re.compile(r"^[ \t]*<answer>(.*?)</answer>[ \t]*$", re.DOTALL | re.MULTILINE)
_BULLET = re.compile(r"^(?:[-*+•]|\d{1,3}[.)])[ \t]+")
_CALL = re.compile(r"[A-Za-z_]\w*[ \t]*\(.*\)[ \t]*")
_KEYWORD = re.compile(r"(?:async[ \t]+def|def|class|function|method)[ \t]+(?=\w)")
_PARAMETERS = re.compile(r"(?<=\w)[ \t]*\(.*$")
_LINES = re.compile(r"(?:lines?[ \t]+|L)?(\d{1,7})(?:[ \t]*(?:-|\u2013|to|\.\.)[ \t]*L?(\d{1,7}))?", re.IGNORECASE)
_LONGEST_CALL = 2000
_LONGEST = 300
"""Characters of a line that is quoted in a failure."""


@dataclass(frozen=True, slots=True)
class Place:
    """A place as an answer names it: a path as written, a symbol or lines (1-based, inclusive), and why."""

    path: str
    symbol: str = ""
    lines: tuple[int, int] | None = None
    why: str = ""


@dataclass(frozen=True, slots=True)
class Call:
    """A call as an answer writes it: the function's name and its arguments, all texts."""

    name: str
    arguments: tuple[str, ...]
    written: str


def read_answer(text: str) -> str:
    """What stands between the answer tags, without the line ends around it.

    Raises ModelError: there is no answer (`prompts.no-answer`), it does not end (`prompts.answer-unclosed`), it is
    empty (`prompts.answer-empty`), or there are several that differ (`prompts.answers-differ`).
    """
    found = [answer.strip("\n") for answer in _ANSWER_ON_LINES.findall(text) or _ANSWER.findall(text)]
    if not found:
        raise ModelError("prompts.answer-unclosed" if OPEN in text else "prompts.no-answer")
    if len({answer.strip() for answer in found}) > 1:
        raise ModelError("prompts.answers-differ", count=len(found))
    if not found[0].strip():
        raise ModelError("prompts.answer-empty")
    return found[0]


def read_paths(answer: str) -> tuple[str, ...]:
    """The paths of an answer, one a line, each once, as written; raises ModelError where a line is no path."""
    found: dict[str, None] = {}
    for line in _lines(answer):
        path = _unquoted(line)
        if not path or "\0" in path or (" " in path and "/" not in path and "." not in path):
            raise ModelError("prompts.not-a-path", line=_quoted(line))
        found[path] = None
    return tuple(found)


def read_places(answer: str) -> tuple[Place, ...]:
    """The places of an answer, one a line: `path :: symbol` or `path :: 10-20`, perhaps with ` :: why`.

    Raises ModelError where a line is no place.
    """
    return tuple(_place(line) for line in _lines(answer))


def read_calls(answer: str) -> tuple[tuple[Call, ...], tuple[Place, ...], tuple[ModelError, ...]]:
    """The calls and the places of an answer, one a line, and what is wrong with the other lines."""
    calls: list[Call] = []
    places: list[Place] = []
    wrong: list[ModelError] = []
    for line in _lines(answer):
        try:
            if "::" in line and not _CALL.fullmatch(line.strip("` ;")):
                places.append(_place(line))
            else:
                calls.append(_call(line))
        except ModelError as failure:
            wrong.append(failure)
    return tuple(calls), tuple(places), tuple(wrong)


def _lines(answer: str) -> list[str]:
    """The answer's lines without bullets, numbers and code fences; empty ones left out."""
    lines = (_BULLET.sub("", line.strip(), count=1).strip() for line in answer.split("\n"))
    return [line for line in lines if line and not line.startswith("```")]


def _unquoted(text: str) -> str:
    """A name without the quotes or backticks around it; what `fences.legible_path` had to quote is as it was."""
    text = text.strip().strip("`")
    if text.startswith('"') and "\\" in text:
        with suppress(ValueError):
            return str(json.loads(text))
    for quote in ('"', "'", "**", "`"):
        if len(text) > 2 * len(quote) and text.startswith(quote) and text.endswith(quote):
            text = text[len(quote) : -len(quote)]
    return text.strip()


def _quoted(line: str) -> str:
    """A line as a failure shows it."""
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]}…"


def _place(line: str) -> Place:
    """One place."""
    path, _, rest = line.partition("::")
    where, _, why = rest.partition("::")
    path, where = _unquoted(path), _PARAMETERS.sub("", _KEYWORD.sub("", _unquoted(where), count=1))
    if not path or not where:
        raise ModelError("prompts.not-a-place", line=_quoted(line))
    lines = _LINES.fullmatch(where)
    if lines is None:
        return Place(path, symbol=where, why=why.strip())
    first, last = int(lines[1]), int(lines[2] or lines[1])
    if not 0 < first <= last:
        raise ModelError("prompts.not-a-place", line=_quoted(line))
    return Place(path, lines=(first, last), why=why.strip())


def _call(line: str) -> Call:
    """One call; its arguments are Python texts, read and never evaluated, with or without their names."""
    written = line.strip("` ").rstrip(";")
    if _CALL.fullmatch(written) is None or len(written) > _LONGEST_CALL:
        raise ModelError("prompts.not-a-call", line=_quoted(line))
    try:
        with warnings.catch_warnings(action="ignore"):
            parsed = ast.parse(written, mode="eval").body
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        raise ModelError("prompts.call-arguments", line=_quoted(line)) from None
    if not isinstance(parsed, ast.Call) or not isinstance(parsed.func, ast.Name):
        raise ModelError("prompts.not-a-call", line=_quoted(line))
    given = [*parsed.args, *(keyword.value for keyword in parsed.keywords if keyword.arg)]
    arguments = [one.value for one in given if isinstance(one, ast.Constant) and isinstance(one.value, str)]
    if len(arguments) != len(parsed.args) + len(parsed.keywords) or not all(arguments):
        raise ModelError("prompts.call-arguments", line=_quoted(line))
    return Call(parsed.func.id, tuple(arguments), written)
