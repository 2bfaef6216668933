"""One batch of files inverted in memory: records, field lengths, and for each term the files it occurs in."""

import sys
from array import array
from collections import Counter, defaultdict, deque
from collections.abc import Callable
from functools import partial
from hashlib import sha1
from typing import NamedTuple, cast

from thinklonger.agent.repository.language import Analysis, GrammarError, Language
from thinklonger.agent.repository.languages import BY_SUFFIX
from thinklonger.agent.repository.record import NOTHING, encode
from thinklonger.agent.repository.terms import BYTE_TABLE, LONGEST_TERM, cut_words, terms_of_word

NAME_KEY = "="
"""Before a bare, case-sensitive name that no term stands for: the files that define or assign it. No term starts so."""
PARSER_FAILED = -1
"""As an error line: the parser broke on this content."""

DOCSTRINGS_SHIFT, SYMBOLS_SHIFT, NUMBER_SHIFT = 16, 30, 40
"""Where a posting's parts begin, from the lowest bit; the body tf comes first."""
MOST_NUMBERS = 1 << 24
_COUNTS = (1 << NUMBER_SHIFT) - 1
_BODY_LIMIT, _DOCSTRINGS_LIMIT, _SYMBOLS_LIMIT = (1 << 16) - 1, (1 << 14) - 1, (1 << 10) - 1

_TEST_PREFIXES = tuple(sorted({language.test_prefix.encode() for language in BY_SUFFIX.values()}))

_GROUP = 128
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


_NOTHING = Analysis(NOTHING, b"", b"", 0)
_BROKEN = Analysis(NOTHING, b"", b"", PARSER_FAILED)


def content_key(content: bytes, suffix: str) -> bytes:
    """What a content is known by: its hash, the language that reads it and that language's version."""
    found = _KEYS[suffix].copy()
    found.update(content)
    return found.digest()


_KEYS = {
    suffix: sha1(f"{language.name} {language.version}\0".encode(), usedforsecurity=False)
    for suffix, language in BY_SUFFIX.items()
}


class Inversion:
    """Collects documents, then gives them with their postings.

    A posting is one 64-bit integer: body tf, docstrings tf << 16, symbols tf << 30 and document number << 40. A term
    has one for each of a file's words that it is part of: whoever reads them adds them up, which costs less than adding
    here. Names are cut into all their terms (`terms_of_word`); bodies and docstrings are cut at `_` at once, so whole
    words with a `_` are terms of the symbols field only: that halves the words, and such a word's parts lead to it as
    well. A field's length is counted in words.
    """

    def __init__(self) -> None:
        """Start empty."""
        self.size = 0
        self._documents: list[Document] = []
        self._pending: list[_Pending] = []
        self._words: defaultdict[bytes, array[int]] = defaultdict(partial(array, "Q"))
        self._names: defaultdict[bytes, array[int]] = defaultdict(partial(array, "Q"))

    def add(self, number: int, key: bytes, content: bytes, suffix: str) -> None:
        """Parse one content; binary data is known and empty."""
        language = BY_SUFFIX[suffix]
        text, sound = language.decode(content)
        try:
            analysis = _NOTHING if b"\0" in text else language.analyse(text)
        except GrammarError:
            analysis = _BROKEN
        if analysis is _NOTHING or analysis is _BROKEN:
            text = b""
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
        longer: dict[bytes, bytes] = {}
        for word, postings in self._words.items():
            data = _packed(postings)
            if word.isalpha() and word.islower() and 1 < len(word) <= LONGEST_TERM:
                pieces[word.decode()].append(data)  # most words are their own and only term
            else:
                longer[word] = data
        _spread(longer, pieces)
        names: dict[bytes, bytes] = {}
        for name, postings in self._names.items():
            data = _packed(postings)
            if name.startswith(_TEST_PREFIXES):
                pieces[_key(name)].append(data)  # a sentence about other code: its words count in the body
            else:
                names[name] = data
        for name in _spread(names, pieces):
            pieces[_key(name)].append(names[name])
        return self._documents, {term: b"".join(parts) for term, parts in pieces.items()}

    def _count_pending(self) -> None:
        """Count the terms of what was parsed."""
        for pending in self._pending:
            self._documents.append(self._counted(pending))
        self._pending.clear()

    def _counted(self, pending: _Pending) -> Document:
        """One content's words into the postings."""
        outline, names, docstrings, error_line = pending.analysis
        in_body = Counter(pending.text.translate(BYTE_TABLE).split())
        for word in pending.language.common_words:
            in_body.pop(word, 0)
        in_docstrings = Counter(docstrings.translate(BYTE_TABLE).split())
        in_names = Counter(names.split())
        lengths = (in_names.total(), in_docstrings.total(), in_body.total())
        _cap(in_names, lengths[0], _SYMBOLS_LIMIT)
        _cap(in_docstrings, lengths[1], _DOCSTRINGS_LIMIT)
        _cap(in_body, lengths[2], _BODY_LIMIT)
        for word, count in in_docstrings.items():
            in_body[word] += count << DOCSTRINGS_SHIFT
        number = pending.number << NUMBER_SHIFT
        _post(self._words, in_body, number)
        _post(self._names, {name: count << SYMBOLS_SHIFT for name, count in in_names.items()}, number)
        found = (error_line, pending.sound, len(outline.names))
        return Document(pending.number, pending.key, *lengths, *found, encode(outline))


def _spread(postings: dict[bytes, bytes], pieces: dict[str, list[bytes]]) -> list[bytes]:
    """Each word's postings to each of its terms; gives the words that have one term or none."""
    simple: list[bytes] = []
    texts = [word.decode("utf-8", "replace") for word in postings]
    for (word, data), terms in zip(postings.items(), cut_words(texts), strict=True):
        if len(terms) > 1:
            for term in dict.fromkeys(terms):
                pieces[term].append(data)
        else:
            simple.append(word)
            for term in terms:
                pieces[term].append(data)
    return simple


def _key(name: bytes) -> str:
    """What a name without a term of its own is found by."""
    return NAME_KEY + name.decode("utf-8", "replace")


def _post(postings: defaultdict[bytes, "array[int]"], counts: dict[bytes, int], number: int) -> None:
    """Add one document's words, without a step of Python for each: this is the innermost loop of indexing."""
    deque(map(_append, map(postings.__getitem__, counts), map(number.__or__, counts.values())), 0)


_append = cast("Callable[[array[int], int], None]", array.append)  # pyright: ignore[reportUnknownMemberType] - arrays are generic only in stubs


def _cap(counts: Counter[bytes], total: int, limit: int) -> None:
    """Scale a large file's counts down so that even the sum of all fits into a posting."""
    if total > limit:
        share = limit / (total + len(counts))
        for word, count in counts.items():
            counts[word] = int(count * share)


def _packed(values: "array[int]") -> bytes:
    """Postings as bytes, the same on every machine."""
    if sys.byteorder == "big":
        values.byteswap()
    return values.tobytes()


def unpacked(data: bytes) -> dict[int, int]:
    """Postings read back: each document's counts, still packed (`tf_of`); raises ValueError for torn ones."""
    values = array("Q", data)
    if sys.byteorder == "big":
        values.byteswap()
    sums: dict[int, int] = {}
    get = sums.get
    for value in values:
        number = value >> NUMBER_SHIFT
        sums[number] = get(number, 0) + (value & _COUNTS)
    return sums


def tf_of(counts: int) -> tuple[int, int, int]:
    """How often a term occurs in symbols, docstrings and body."""
    return counts >> SYMBOLS_SHIFT, counts >> DOCSTRINGS_SHIFT & _DOCSTRINGS_LIMIT, counts & _BODY_LIMIT


def key_of(name: str) -> str:
    """What the files that may define a name are found by: its key, or its last term, which is the whole name."""
    terms = terms_of_word(name)
    encoded = name.encode("utf-8", "replace")
    return _key(encoded) if len(terms) <= 1 or encoded.startswith(_TEST_PREFIXES) else terms[-1]
