"""Thinking that goes in circles, told early and cheaply, and never mistaken for lists, tables or repetitive code."""

_WINDOW = 16384
"""Characters looked back at."""

_EVERY = 1024
"""Characters between two looks."""

_LEAST_REPEATED = 3072
"""Characters that the same text must fill without a gap: short repetitions are normal, in code above all."""

_LEAST_TIMES = 5
"""How often the same text must come in a row."""

_PROBE = 48
"""Characters of the newest text whose last occurrence gives the circle's length."""


class Repetition:
    """Watches one reply's thinking. A circle: one text, at least five times in a row, 3,072 characters or more of it.

    A run of blank lines, of one character or of numbered lines that differ is no circle until it is that long; text
    that changes anywhere in a round (a counter, a name) never is one. A look costs two searches of C speed each 1,024
    characters.
    """

    def __init__(self) -> None:
        """Start with no text."""
        self._text = ""
        self._pieces: list[str] = []
        self._new = 0
        self._all = 0

    def feed(self, text: str) -> int | None:
        """Take the next piece; where the thinking goes in circles, how many characters of it come before round two."""
        self._pieces.append(text)
        self._new += len(text)
        if self._new < _EVERY:
            return None
        self._all += self._new
        self._new = 0
        self._text = (self._text + "".join(self._pieces))[-_WINDOW:]
        self._pieces.clear()
        return self._look()

    def _look(self) -> int | None:
        """Whether the newest text is the last of several equal rounds."""
        text = self._text
        end = len(text)
        probe = text[-_PROBE:]
        earlier = text.rfind(probe, 0, end - 1)
        if earlier < 0:
            return None
        period = end - _PROBE - earlier
        same = _same(text, period)
        if same < max(_LEAST_REPEATED, (_LEAST_TIMES - 1) * period):
            return None
        return self._all - same


def _same(text: str, period: int) -> int:
    """How many characters at the end equal those one period before them, without a gap."""
    end = len(text)
    most = end - period
    if text[period:] == text[:most]:
        return most
    low, high = 0, most
    while low < high:
        middle = (low + high + 1) // 2
        if text[end - middle :] == text[end - middle - period : end - period]:
            low = middle
        else:
            high = middle - 1
    return low
