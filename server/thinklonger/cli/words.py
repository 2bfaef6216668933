"""Words for people: messages in their language, figures, marks, and foreign text made harmless for a terminal."""

import re
from dataclasses import dataclass
from string import Formatter
from typing import TypeAlias
from unicodedata import east_asian_width

from thinklonger.agent import messages
from thinklonger.agent.types import Message

Figure: TypeAlias = str | int | float

_COLORS = re.compile(r"\x1b\[[0-9;:]*m")
_BEYOND_ASCII = {
    *range(0x80, 0xA0),  # the C1 controls
    0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A),  # the bidirectional ones
    0x2028, 0x2029, 0xFEFF,  # line ends, and nothing at all
    *range(0xD800, 0xE000),  # lone surrogates: bytes that are not UTF-8
}  # fmt: skip
_HIDDEN = {*range(0x20), 0x7F, *_BEYOND_ASCII}
IN_JSON = {code: f"\\u{code:04x}" for code in (0x7F, *_BEYOND_ASCII)}
"""What JSON may say as it is and a terminal should not be told: as JSON escapes."""
_VISIBLE_IN_LINE = {code: ascii(chr(code))[1:-1] for code in _HIDDEN}
_VISIBLE = {code: text for code, text in _VISIBLE_IN_LINE.items() if chr(code) not in "\n\t"}

_ASCII = {"✓": "[ok]", "✗": "[no]", "!": "[!]", "·": "-", "→": "->", "…": "..."}
_MINUTE = 60.0


def clean(text: str) -> str:
    """The text with colours left out and every other control character shown as an escape; lines stay lines."""
    return _COLORS.sub("", text.replace("\r\n", "\n")).translate(_VISIBLE)


def clean_line(text: str) -> str:
    """The same for text that has to stay on one line."""
    return _COLORS.sub("", text).translate(_VISIBLE_IN_LINE)


@dataclass(frozen=True, slots=True)
class Words:
    """How to speak to this person: in which language, and with or without characters beyond ASCII in marks."""

    language: str = messages.DEFAULT_LANGUAGE
    unicode: bool = True

    def say(self, key: str, /, **params: Figure) -> str:
        """The sentence of this key."""
        return self.render(Message(key, params))

    def render(self, message: Message) -> str:
        """The message in words, its variables harmless and on one line.

        A message that the catalogue doesn't know (a newer version's record) is shown as it stands.
        """
        params = {
            name: clean_line(value) if isinstance(value, str) else value for name, value in message.params.items()
        }
        try:
            return messages.render(Message(message.key, params), self.language)
        except (KeyError, ValueError, IndexError):
            shown = ", ".join(f"{name}={value}" for name, value in params.items())
            return f"{clean_line(message.key)} ({shown})" if shown else clean_line(message.key)

    def count(self, key: str, number: int) -> str:
        """A figure with its noun: '1 file', '12,000 files'."""
        return self.render(Message(key, {"count": number, "figure": f"{number:,}"}))

    def duration(self, seconds: float) -> str:
        """A length of time."""
        if seconds >= _MINUTE:
            minutes, rest = divmod(round(seconds), 60)
            return self.say("cli.minutes", minutes=minutes, seconds=f"{rest:02d}")
        return self.say("cli.seconds", seconds=f"{seconds:.1f}" if seconds >= 1 else f"{seconds:.2f}")

    def mark(self, sign: str) -> str:
        """✓ ✗ ! · → … as this terminal can show it."""
        return sign if self.unicode else _ASCII.get(sign, sign)

    @property
    def dot(self) -> str:
        """What stands between two figures."""
        return f" {self.mark('·')} "


def variables_of(template: str) -> frozenset[str]:
    """The variables of a catalogue template."""
    return frozenset(name for _, name, _, _ in Formatter().parse(template) if name is not None)


def pad(text: str, width: int) -> str:
    """The text filled with spaces to so many terminal cells (CJK characters take two)."""
    return text + " " * max(0, width - cells(text))


def cells(text: str) -> int:
    """How many terminal cells a text takes."""
    return sum(map(_cells, text))


def last(text: str, width: int) -> str:
    """The end of a text, in at most so many terminal cells."""
    start, room = len(text), width
    while start and (room := room - _cells(text[start - 1])) >= 0:
        start -= 1
    return text[start:]


def _cells(character: str) -> int:
    return 2 if east_asian_width(character) in "WF" else 1
