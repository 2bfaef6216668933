"""Terms: what an identifier, a path or a sentence is cut into, the same way for the index and for a query."""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from functools import cache, lru_cache

LONGEST_TERM = 64
LONGEST_WORD = 200
"""Longer runs of word characters are data (base64, hashes), not language."""

_ASCII_WORD = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_")
BYTE_TABLE = bytes(code if code in _ASCII_WORD - {95} or code >= 128 else 32 for code in range(256))  # noqa: PLR2004 - ASCII
"""For `bytes.translate`: every ASCII character that is no letter or digit becomes a space."""
TEXT_TABLE = {code: " " for code in range(128) if code not in _ASCII_WORD}

_PART = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
_PART_OR_BREAK = re.compile(rf"{_PART.pattern}|\n")
_IS_SNAKE = re.compile(r"[a-z_]+").fullmatch
_CJK = "぀-ヿ㐀-䶿一-鿿豈-﫿가-힯"


_RUN = re.compile(r"\w+")


@cache
def _with_cjk() -> re.Pattern[str]:
    """Runs of Chinese, Japanese or Korean, or of other letters and digits (compiled when first needed: it is slow)."""
    return re.compile(rf"(?P<cjk>[{_CJK}]+)|[^\W{_CJK}]+")


def _foreign_runs(word: str) -> Iterator[re.Match[str]]:
    """The runs of a word; most foreign words are of scripts that come before all of Chinese, Japanese and Korean."""
    return (_RUN if max(word) < _CJK[0] else _with_cjk()).finditer(word)


def split_terms(text: str) -> list[str]:
    """The lower-cased terms of a text, in order, repeated as often as they occur.

    Words are cut at every character that is not a letter, a digit or `_`. A word of several parts (`getHTTPServer2`,
    `max_retries`) gives each part and then the whole word (`get http server gethttpserver2`); Chinese, Japanese and
    Korean runs give their overlapping pairs of characters. Outer underscores don't count; single Latin letters,
    single digits and very long words give nothing.
    """
    return [term for word in text.translate(TEXT_TABLE).split() for term in remembered_terms(word)]


def terms_of_word(word: str) -> tuple[str, ...]:
    """The terms of one word as `split_terms` and `BYTE_TABLE` cut them: no ASCII punctuation or space in it."""
    if word.isascii():
        return _ascii_terms(word)
    terms: list[str] = []
    for match in _foreign_runs(unicodedata.normalize("NFKC", word)):
        run = match.group()
        if match.lastgroup == "cjk":
            terms.extend([run] if len(run) == 1 else [run[at : at + 2] for at in range(len(run) - 1)])
        elif run.isascii():
            terms.extend(_ascii_terms(run))
        else:
            parts = [part.lower() for part in re.findall(r"[^\W\d_]+|\d+", run)]
            whole = run.strip("_").lower()
            terms.extend(_usable(parts if parts == [whole] else [*parts, whole]))
    return tuple(terms)


def _ascii_terms(word: str) -> tuple[str, ...]:
    """The terms of an ASCII word: its parts, then the whole of it."""
    if len(word) > LONGEST_WORD:
        return ()
    whole = word.strip("_")
    if whole.isalpha() and whole.islower():
        return (whole,) if 1 < len(whole) <= LONGEST_TERM else ()
    if _IS_SNAKE(whole):
        parts = whole.split("_")
    else:
        parts = [part.lower() for part in _PART.findall(whole)]
        whole = whole.lower()
    if len(parts) > 1:
        parts.append(whole)
    return _usable(parts)


def cut_words(words: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """The terms of each of many words (`terms_of_word`): one search through all of them takes a third of the time."""
    plain = [word if word.isascii() and len(word) <= LONGEST_WORD else "" for word in words]
    found: list[str] = _PART_OR_BREAK.findall("\n".join(plain))
    lines = " ".join(found).lower().split("\n")
    for word, line in zip(words, lines, strict=False):  # no words are one empty line
        terms = line.split()
        if len(terms) > 1:
            terms.append(word.strip("_").lower())
        yield _usable(terms) if terms else terms_of_word(word)


def _usable(terms: list[str]) -> tuple[str, ...]:
    """Those that are neither a single character nor too long to be a word."""
    return tuple([term for term in terms if 1 < len(term) <= LONGEST_TERM])


remembered_terms = lru_cache(maxsize=65536)(terms_of_word)
"""`terms_of_word` with a memory."""
