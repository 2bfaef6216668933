"""Thinking and answer told apart in one stream of text, whatever its pieces, and answers found inside thinking."""

import re
from enum import Enum

from thinklonger.agent.chat import Part


class Start(Enum):
    """What a reply's text begins with: thinking (the prompt's template has opened it), the answer, or either."""

    THINKING = "thinking"
    ANSWER = "answer"
    UNKNOWN = "unknown"


class _State(Enum):
    BEGINNING = 0
    THINKING = 1
    PROVISIONAL = 2
    ANSWER = 3


_TOKEN = re.compile(r"(`+)|</?think(?:ing)?>|<answer>")
_LONGEST_TAG = len("</thinking>")
_OPENING = ("<think>", "<thinking>")
_CLOSING = ("</think>", "</thinking>")
_TAGS = (*_OPENING, *_CLOSING, "<answer>")
_PREFIXES = frozenset(tag[:end] for tag in _TAGS for end in range(1, len(tag)))
_FENCE = 3
_ANSWER = re.compile(r"<answer>.*?</answer>", re.DOTALL)
_ANSWER_ON_LINES = re.compile(r"^[ \t]*<answer>.*?</answer>[ \t]*$", re.DOTALL | re.MULTILINE)
_QUOTES = "`\"'"

Piece = tuple[Part, str]


class Splitter:
    """Splits text with `<think>` tags into thinking and answer as it comes.

    A reply may have no opening tag (the prompt's template held it), tags cut by chunk borders, tags that are only
    talked about (in code fences, or between quotes), and no closing tag. While it is unknown whether a reply without an
    opening tag thinks, its text counts as thinking up to `</think>` or `<answer>`; what is streamed can so differ from
    the end's verdict, which `think` and `answer` give. Both, and the pieces put together, are the same for any chunks.
    """

    def __init__(self, start: Start = Start.UNKNOWN) -> None:
        """Begin a reply."""
        self._start = start
        self._state = _State.BEGINNING
        self._opened = start is Start.THINKING
        self._pending = ""
        self._before = ""
        self._fenced = False
        self._think: list[str] = []
        self._answer: list[str] = []
        self._close_in_fence: tuple[int, int] | None = None
        self._fenced_since = False
        self._unopened = False
        self._done = False

    @property
    def thinking(self) -> bool:
        """Whether what comes next counts as thinking."""
        beginning = self._state is _State.BEGINNING and self._start is not Start.ANSWER
        return beginning or self._state is _State.THINKING

    @property
    def unopened(self) -> bool:
        """Whether the thinking was closed without ever having been opened: the prompt's template opens it."""
        return self._unopened

    def feed(self, text: str) -> list[Piece]:
        """The pieces that are certain after this chunk."""
        if self._state is _State.ANSWER:
            self._answer.append(text)
            return [(Part.ANSWER, text)] if text else []
        if self._state is _State.THINKING and not self._pending and "<" not in text and "`" not in text:
            if not text:
                return []
            self._before = text[-1]
            self._think.append(text)
            return [(Part.THINK, text)]
        pieces: list[Piece] = []
        self._scan(self._pending + text, pieces, final=False)
        return pieces

    def end(self) -> list[Piece]:
        """The pieces that were held back; the reply is whole."""
        pieces: list[Piece] = []
        pending, self._pending = self._pending, ""
        self._scan(pending, pieces, final=True)
        self._done = True
        return pieces

    @property
    def think(self) -> str:
        """All thinking so far; final after `end`."""
        return self._verdict()[0]

    @property
    def answer(self) -> str:
        """All of the answer so far; final after `end`."""
        return self._verdict()[1]

    def _verdict(self) -> tuple[str, str]:
        """Thinking and answer, with what only the end can tell."""
        think, answer = "".join(self._think), "".join(self._answer)
        if not self._done:
            return think, answer
        if self._state is _State.THINKING and self._close_in_fence is not None:
            start, end = self._close_in_fence
            if self._fenced_since or "<answer>" in think[end:]:  # a fence was never closed: its last tag was meant
                return think[:start], think[end:]
        if self._state in (_State.BEGINNING, _State.THINKING) and not self._opened:
            return "", think  # neither tag ever came: it was no thinking
        return think, answer

    def _scan(self, text: str, pieces: list[Piece], *, final: bool) -> None:
        """Go through text that begins where the last certain piece ended."""
        place = 0
        if self._state is _State.BEGINNING:
            begun = self._begin(text, final=final)
            if begun is None:
                self._pending = text
                return
            place = begun
        stop = len(text) if final else _safe(text)
        for found in _TOKEN.finditer(text, place):
            if found.start() >= stop or self._state is _State.ANSWER:
                break
            if not final and found.end() == len(text) and self._quoted_before(text, found.start()):
                stop = min(stop, found.start())  # whether it is only talked about, the next character tells
                break
            after = self._meet(found, text, place, pieces)
            place = after
        if self._state is _State.ANSWER:
            stop = len(text)
        stop = max(stop, place)
        self._emit(text[place:stop], pieces)
        self._pending = text[stop:]

    def _begin(self, text: str, *, final: bool) -> int | None:
        """Look at the first characters: how many of them are an opening tag, or None while that is open."""
        bare = text.lstrip()
        blank = len(text) - len(bare)
        for tag in _OPENING:
            if bare.startswith(tag):
                self._state, self._opened = _State.THINKING, True
                return blank + len(tag)
        stray = _CLOSING if self._start is Start.ANSWER else ()  # some servers leak it after thinking in its own field
        for tag in stray:
            if bare.startswith(tag):
                self._state = _State.ANSWER
                return blank + len(tag)
        undecided = not bare or any(tag.startswith(bare) for tag in (*_OPENING, *stray))
        if undecided and not final:
            return None
        self._state = _State.ANSWER if self._start is Start.ANSWER else _State.THINKING
        return 0

    def _meet(self, found: re.Match[str], text: str, place: int, pieces: list[Piece]) -> int:
        """Take a run of backticks or a tag; returns where the text goes on."""
        met = found[0]
        if met[0] == "`":
            if len(met) >= _FENCE:
                self._fenced = not self._fenced
                self._fenced_since = False
        elif met.startswith("</"):
            if self._fenced:
                self._emit(text[place : found.start()], pieces)
                start = sum(map(len, self._think))
                self._close_in_fence = (start, start + len(met))
                self._fenced_since = True
                self._emit(met, pieces)
                return found.end()
            if not self._talked_about(text, found):
                self._emit(text[place : found.start()], pieces)
                self._close()
                return found.end()
        elif met == "<answer>" and self._unknown and not self._fenced and not self._talked_about(text, found):
            self._emit(text[place : found.start()], pieces)
            self._state = _State.PROVISIONAL
            self._emit(met, pieces)
            return found.end()
        self._emit(text[place : found.end()], pieces)
        return found.end()

    @property
    def _unknown(self) -> bool:
        """Whether it is still open if this is thinking at all."""
        return not self._opened and self._state is _State.THINKING

    def _close(self) -> None:
        """The thinking ends: what had been taken for the answer before was part of it."""
        self._unopened = not self._opened or self._start is Start.THINKING
        self._opened = True
        if self._state is _State.PROVISIONAL:
            self._think.extend(self._answer)
            self._answer.clear()
        self._state = _State.ANSWER

    def _emit(self, text: str, pieces: list[Piece]) -> None:
        """Give out a certain piece."""
        if not text:
            return
        self._before = text[-1]
        if self._state in (_State.ANSWER, _State.PROVISIONAL):
            self._answer.append(text)
            part = Part.ANSWER
        else:
            self._think.append(text)
            part = Part.THINK
        if pieces and pieces[-1][0] is part:
            pieces[-1] = (part, pieces[-1][1] + text)
        else:
            pieces.append((part, text))

    def _quoted_before(self, text: str, start: int) -> bool:
        """Whether a quote stands right before."""
        before = text[start - 1] if start else self._before
        return bool(before) and before in _QUOTES

    def _talked_about(self, text: str, found: re.Match[str]) -> bool:
        """Whether a tag stands between two equal quotes."""
        before = text[found.start() - 1] if found.start() else self._before
        return bool(before) and before in _QUOTES and text[found.end() : found.end() + 1] == before


def _safe(text: str) -> int:
    """How much of the text can't be changed by what comes: up to a tag or a run of backticks that may go on."""
    stop = len(text.rstrip("`"))
    tag = text.rfind("<", max(0, len(text) - _LONGEST_TAG))
    if tag >= 0 and text[tag:] in _PREFIXES:
        stop = min(stop, tag)
    return stop


def salvage(think: str) -> str | None:
    """The last whole answer, tags included, inside thinking: on lines of its own rather than in the middle of one."""
    found = _ANSWER_ON_LINES.findall(think) or _ANSWER.findall(think)
    return str(found[-1]).strip() if found else None
