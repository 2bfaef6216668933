"""One batch of files inverted in memory: records, field lengths, and for each term the files it occurs in."""

import sys
from array import array
from collections import Counter, defaultdict, deque
from collections.abc import Iterator, Mapping
from hashlib import sha1
from itertools import chain
from typing import NamedTuple, TypeVar

from thinklonger.agent.repository.language import Analysis, Language
from thinklonger.agent.repository.languages import BY_SUFFIX
from thinklonger.agent.repository.record import EMPTY, encode
from thinklonger.agent.repository.terms import BYTE_TABLE, terms_of_word

NAME_KEY = "="
"""Before a bare, case-sensitive name that is one term or none: the files that define or assign it. Longer names are
found by their last term. No term starts with it."""
IMPORT_KEY = "<"
"""Before an import key (`Language.import_keys`): the files that import something so called."""

PARSER_FAILED = -1
"""As an error line: the parser broke on this content."""

DOCSTRINGS_SHIFT, SYMBOLS_SHIFT, NUMBER_SHIFT = 16, 30, 40
"""Where a posting's parts begin, from the lowest bit; the body tf comes first."""
MOST_NUMBERS = 1 << 24
_BODY_LIMIT, _DOCSTRINGS_LIMIT, _SYMBOLS_LIMIT = (1 << 16) - 1, (1 << 14) - 1, (1 << 10) - 1

T = TypeVar("T")

_GROUP = 64
"""Files parsed before their terms are counted: parser and counter want the processor's caches for themselves
(a fifth less time than file by file)."""


class Document(NamedTuple):
    """One content in the index: its number, content key, field lengths in terms, oddities, symbols and record.

    `error_line` is 0 where all of it parses; `sound` is False where the bytes are not text in their encoding.
    """

    number: int
    key: bytes
    symbols: int
    docstrings: int
    body: int
    error_line: int
    sound: bool
    definitions: int
    record: str


class _Pending(NamedTuple):
    """A content that is parsed and not yet counted."""

    number: int
    key: bytes
    text: bytes
    sound: bool
    language: Language
    analysis: Analysis


_NOTHING = Analysis(EMPTY, b"", b"", 0)
_BROKEN = Analysis(EMPTY, b"", b"", PARSER_FAILED)


def content_key(content: bytes, suffix: str) -> bytes:
    """What a content is known by: its hash, the language that reads it and that language's version."""
    language = BY_SUFFIX[suffix]
    return sha1(b"%s %d\0%s" % (language.name.encode(), language.version, content), usedforsecurity=False).digest()


class Inversion:
    """Collects documents, then gives them with their postings.

    A posting is one 64-bit integer: body tf, docstrings tf << 16, symbols tf << 30 and document number << 40. A term
    has one for each of a file's words that it is part of, in each field: whoever reads them adds them up, which costs
    less than adding here for terms that nobody asks for. A field's length is counted in words.
    """

    def __init__(self) -> None:
        """Start empty."""
        self.size = 0
        self._documents: list[Document] = []
        self._pending: list[_Pending] = []
        self._by_word: defaultdict[bytes, list[int]] = defaultdict(list)
        self._by_term: defaultdict[str, list[int]] = defaultdict(list)
        self._by_name: defaultdict[bytes, list[int]] = defaultdict(list)

    def add(self, number: int, key: bytes, content: bytes, suffix: str) -> None:
        """Parse one content; binary data is known and empty."""
        language = BY_SUFFIX[suffix]
        text, sound = language.decode(content)
        if b"\0" in text:
            text, analysis = b"", _NOTHING
        else:
            analysis = language.analyse(text)
        self._pending.append(_Pending(number, key, text, sound, language, analysis))
        self.size += len(content)
        if len(self._pending) == _GROUP:
            self._count_pending()

    def add_broken(self, number: int, key: bytes, suffix: str) -> None:
        """A content that the parser breaks on: known, and empty."""
        self._pending.append(_Pending(number, key, b"", True, BY_SUFFIX[suffix], _BROKEN))  # noqa: FBT003 - a tuple

    def finish(self) -> tuple[list[Document], dict[str, bytes]]:
        """All documents, and each term's and key's postings. The last thing to ask for."""
        self._count_pending()
        pieces: defaultdict[str, list[bytes]] = defaultdict(list)
        for key, data in _packed(self._by_term):
            pieces[key].append(data)
        names = dict(_packed(self._by_name))
        for word, data in chain(_packed(self._by_word), ((name, b"") for name in names.keys() - self._by_word.keys())):
            terms = terms_of_word(word.decode("utf-8", "replace"))
            if len(terms) <= 1 and word in names:
                pieces[NAME_KEY + word.decode("utf-8", "replace")].append(names[word])
            for term in terms if len(terms) <= 2 else dict.fromkeys(terms):  # noqa: PLR2004 - a part and the whole differ
                pieces[term].append(data)
        return self._documents, {term: b"".join(parts) for term, parts in pieces.items()}

    def _count_pending(self) -> None:
        """Count the terms of what was parsed."""
        for pending in self._pending:
            self._documents.append(self._counted(pending))
        self._pending.clear()

    def _counted(self, pending: _Pending) -> Document:
        """One content's terms into the postings."""
        record, names, docstrings, error_line = pending.analysis
        number = pending.number << NUMBER_SHIFT
        language = pending.language
        in_names, in_body = _words(names), _words(pending.text)
        for word in language.common_words:
            in_body.pop(word, 0)
        lengths = (
            self._add(in_names, number, SYMBOLS_SHIFT, _SYMBOLS_LIMIT),
            self._add(_words(docstrings), number, DOCSTRINGS_SHIFT, _DOCSTRINGS_LIMIT),
            self._add(in_body, number, 0, _BODY_LIMIT),
        )
        for name in in_names:
            self._by_name[name].append(number)
        for key in {key for item in record.imports for key in language.import_keys(item)}:
            self._by_term[IMPORT_KEY + key].append(number)
        sizes = (*lengths, error_line, pending.sound, len(record.definitions))
        return Document(pending.number, pending.key, *sizes, encode(record))

    def _add(self, words: Counter[bytes], number: int, shift: int, limit: int) -> int:
        """One field's words into the postings; gives its length."""
        total = words.total()
        if total <= limit:
            _append(self._by_word, words, number, shift)
        else:  # sums of so many words might not fit: add them up here, and cap them
            capped = {term: min(count, limit) for term, count in _terms(words).items()}
            _append(self._by_term, capped, number, shift)
        return total


def _words(text: bytes) -> Counter[bytes]:
    """How often each word occurs in a text."""
    return Counter(text.translate(BYTE_TABLE).split())


def _terms(words: Mapping[bytes, int]) -> dict[str, int]:
    """In how many of the counted words each term occurs."""
    counts: dict[str, int] = {}
    for word, count in words.items():
        for term in dict.fromkeys(terms_of_word(word.decode("utf-8", "replace"))):
            counts[term] = counts.get(term, 0) + count
    return counts


def _append(postings: defaultdict[T, list[int]], counts: Mapping[T, int], number: int, shift: int) -> None:
    """Add one field's counts to the postings, without a step of Python for each: this is the innermost loop."""
    values = map((1 << shift).__mul__, counts.values()) if shift else counts.values()
    deque(map(_append_to, map(postings.__getitem__, counts), map(number.__or__, values)), 0)


_append_to = list[int].append


def _packed(postings: Mapping[T, list[int]]) -> Iterator[tuple[T, bytes]]:
    """Each key's postings as bytes, the same on every machine."""
    values = array("Q", chain.from_iterable(postings.values()))
    if sys.byteorder == "big":
        values.byteswap()
    data = memoryview(values).cast("B")
    start = 0
    for key, own in postings.items():
        end = start + 8 * len(own)
        yield key, data[start:end].tobytes()
        start = end


def unpacked(data: bytes) -> dict[int, tuple[int, int, int]]:
    """Postings read back: for each document, tf in symbols, docstrings, body; raises ValueError for a torn one."""
    values = array("Q", data)
    if sys.byteorder == "big":
        values.byteswap()
    sums: dict[int, int] = {}
    get = sums.get
    counts = (1 << NUMBER_SHIFT) - 1
    for value in values:
        number = value >> NUMBER_SHIFT
        sums[number] = get(number, 0) + (value & counts)
    return {
        number: (total >> SYMBOLS_SHIFT, total >> DOCSTRINGS_SHIFT & _DOCSTRINGS_LIMIT, total & _BODY_LIMIT)
        for number, total in sums.items()
    }
