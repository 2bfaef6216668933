"""One batch of files inverted in memory: records, field lengths, and for each term the files it occurs in."""

from array import array
from collections import Counter, defaultdict
from collections.abc import Iterable
from hashlib import sha1
from typing import NamedTuple

from thinklonger.agent.repository.language import Language
from thinklonger.agent.repository.languages import BY_SUFFIX
from thinklonger.agent.repository.record import EMPTY, Import, encode
from thinklonger.agent.repository.terms import BYTE_TABLE, terms_of_word

NAME_KEY = "="
"""Before a bare, case-sensitive name: the files that define it. No term starts with it."""
IMPORT_KEY = "<"
"""Before an import key (`Language.import_keys`): the files that import something so called."""

PARSER_FAILED = -1
"""As an error line: the parser broke on this content."""

_SYMBOLS, _DOCSTRINGS, _BODY = 32, 40, 48
_BYTE, _SHORT = 0xFF, 0xFFFF


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


def content_key(content: bytes, suffix: str) -> bytes:
    """What a content is known by: its hash, the language that reads it and that language's version."""
    language = BY_SUFFIX[suffix]
    return sha1(b"%s %d\0%s" % (language.name.encode(), language.version, content), usedforsecurity=False).digest()


class Inversion:
    """Collects documents; `postings` then says, for each term, where it occurs.

    A posting is one 64-bit integer: document number, symbols tf << 32, docstrings tf << 40 and body tf << 48, each
    capped at what fits.
    """

    def __init__(self) -> None:
        """Start empty."""
        self.documents: list[Document] = []
        self.size = 0
        self._postings: defaultdict[str, list[int]] = defaultdict(list)
        self._words: dict[bytes, tuple[str, ...]] = {}

    def add(self, number: int, key: bytes, content: bytes, suffix: str) -> None:
        """Parse one content and count its terms."""
        language = BY_SUFFIX[suffix]
        decoded = language.decode(content)
        if b"\0" in decoded.text:
            self.add_unparsed(number, key)
            return
        analysis = language.analyse(decoded.text)
        body, counts = self._count(decoded.text)
        symbols, symbol_counts = self._count(analysis.names)
        docstrings, docstring_counts = self._count(analysis.docstrings)
        _cap(counts, _SHORT)
        _cap(symbol_counts, _BYTE)
        _cap(docstring_counts, _BYTE)
        for term, count in counts.items():
            counts[term] = number | count << _BODY
        for term, count in docstring_counts.items():
            counts[term] = counts.get(term, number) | count << _DOCSTRINGS
        for term, count in symbol_counts.items():
            counts[term] = counts.get(term, number) | count << _SYMBOLS
        postings = self._postings
        for term, packed in counts.items():
            postings[term].append(packed)
        definitions = analysis.record.definitions
        for name in {definition.name.rpartition(".")[2] for definition in definitions}:
            postings[NAME_KEY + name].append(number)
        for imported in _import_keys(language, analysis.record.imports):
            postings[IMPORT_KEY + imported].append(number)
        self.size += len(content)
        self.documents.append(
            Document(
                number,
                key,
                symbols,
                docstrings,
                body,
                analysis.error_line,
                decoded.sound,
                len(definitions),
                encode(analysis.record),
            )
        )

    def add_unparsed(self, number: int, key: bytes, *, error_line: int = 0) -> None:
        """A content that is not text, or (`PARSER_FAILED`) that the parser breaks on: known, and empty."""
        self.documents.append(Document(number, key, 0, 0, 0, error_line, error_line == PARSER_FAILED, 0, encode(EMPTY)))

    def _count(self, text: bytes) -> tuple[int, dict[str, int]]:
        """How many terms a text has, and each one's count."""
        words = self._words
        counts: dict[str, int] = {}
        get = counts.get
        total = 0
        for word, count in Counter(text.translate(BYTE_TABLE).split()).items():
            terms = words.get(word)
            if terms is None:
                terms = words[word] = terms_of_word(word.decode("utf-8", "replace"))
            for term in terms:
                counts[term] = get(term, 0) + count
                total += count
        return total, counts

    def postings(self) -> list[tuple[str, bytes]]:
        """All terms in order, each with its postings; empties the batch's postings to save memory."""
        postings = self._postings
        self._postings = defaultdict(list)
        return [(term, array("Q", postings.pop(term)).tobytes()) for term in sorted(postings)]


def _cap(counts: dict[str, int], limit: int) -> None:
    """Bring counts down to what a posting can hold."""
    if counts and max(counts.values()) > limit:
        for term, count in counts.items():
            counts[term] = min(count, limit)


def _import_keys(language: Language, imports: Iterable[Import]) -> set[str]:
    """All import keys of a file."""
    return {key for item in imports for key in language.import_keys(item)}
