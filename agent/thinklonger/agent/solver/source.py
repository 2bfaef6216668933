"""One Python file as bytes, text and tree: exact spans of nodes, and splices that leave every other byte alone."""

import ast
import io
import re
import tokenize
from bisect import bisect_right
from dataclasses import dataclass
from pathlib import PurePosixPath

_LINE = re.compile(r"\r\n|\r|\n")
_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Source:
    """A file's text, how its bytes encode it, and where its lines begin (offsets are of characters, not bytes).

    `newline` is the file's first line ending; text that a splice adds uses it.
    """

    path: PurePosixPath
    text: str
    encoding: str
    bom: bytes
    newline: str
    starts: tuple[int, ...]
    tree: ast.Module

    @classmethod
    def parse(cls, path: PurePosixPath, content: bytes) -> "Source | None":
        """Read a file; None where it does not decode, does not parse, or would not encode back to the same bytes."""
        bom = _BOM if content.startswith(_BOM) else b""
        body = content[len(bom) :]
        try:
            encoding = tokenize.detect_encoding(io.BytesIO(content).readline)[0].removesuffix("-sig")
            text = body.decode(encoding)
            tree = ast.parse(text)
        except (SyntaxError, ValueError, LookupError, RecursionError, MemoryError):
            return None
        if text.encode(encoding) != body:
            return None
        endings = [match.end() for match in _LINE.finditer(text)]
        first = _LINE.search(text)
        return cls(path, text, encoding, bom, first.group() if first else "\n", (0, *endings), tree)

    def offset(self, line: int, column: int) -> int:
        """The character offset of a 1-based line and a column in UTF-8 bytes, as the tree counts them."""
        start = self.starts[line - 1]
        stop = self.starts[line] if line < len(self.starts) else len(self.text)
        row = self.text[start:stop]
        return start + (column if row.isascii() else len(row.encode("utf-8")[:column].decode("utf-8", "ignore")))

    def line_at(self, offset: int) -> int:
        """The 1-based line of a character offset."""
        return bisect_right(self.starts, offset)

    def line_start(self, line: int) -> int:
        """The offset of the first character of a 1-based line; the end of the text for the line after the last."""
        return self.starts[line - 1] if line <= len(self.starts) else len(self.text)

    def splice(self, start: int, end: int, text: str) -> bytes | None:
        """The file's bytes with one region replaced; None where the file's encoding can't write the new text."""
        if self.newline != "\n":
            text = text.replace("\r\n", "\n").replace("\n", self.newline)
        try:
            return self.bom + (self.text[:start] + text + self.text[end:]).encode(self.encoding)
        except UnicodeEncodeError:
            return None
