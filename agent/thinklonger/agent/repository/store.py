"""The cache on disk: one SQLite file for each repository, shared by its worktrees and by processes at once.

A document is one content, whatever paths it stands at; a tree is one working tree's paths with their stamps and
documents. Terms are kept in blocks by their hash, one set of blocks (a segment) for each batch that was indexed;
postings of documents that are gone stay until the segments are merged. Nothing in it is trusted beyond its meaning:
no pickled objects, and whatever can't be read is built anew.
"""

import os
import sqlite3
import struct
import time
from array import array
from collections.abc import Collection, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple
from zlib import crc32

from thinklonger.agent.repository.disk import Stamp
from thinklonger.agent.repository.inversion import MOST_NUMBERS, Document

SCHEMA = 3
_APPLICATION = 0x544C4958
_TERMS_IN_BLOCK = 64
_MANY = 500
_WAIT_SECONDS = 30.0
_DAY = 86400.0

_TABLES = """
create table trees(id integer primary key, root blob not null unique, used real not null);
create table files(
    tree integer not null, path blob not null, document integer not null,
    modified integer not null, changed integer not null, size integer not null, inode integer not null,
    primary key(tree, path)
) without rowid;
create table documents(
    id integer primary key, key blob not null unique, symbols integer not null, docstrings integer not null,
    body integer not null, error_line integer not null, sound integer not null, definitions integer not null
);
create table records(id integer primary key, record text not null);
create table segments(id integer primary key autoincrement, documents integer not null, blocks integer not null);
create table blocks(
    segment integer not null, block integer not null, terms text not null, sizes blob not null, data blob not null,
    primary key(segment, block)
) without rowid;
create table numbers(next integer not null);
create table notes(tree integer not null, name text not null, value text not null, primary key(tree, name));
insert into numbers values(1);
"""


class Facts(NamedTuple):
    """A document as far as it is needed to open a repository."""

    document: int
    symbols: int
    docstrings: int
    body: int
    error_line: int
    sound: bool
    definitions: int


class Row(NamedTuple):
    """One path of a tree as it was when last looked at."""

    stamp: Stamp
    facts: Facts


class Store:
    """One open index."""

    def __init__(self, connection: sqlite3.Connection, path: Path | None) -> None:
        """Take an open connection with the right tables; `path` is None for one in memory."""
        self.path = path
        self._db = connection
        self._segments: list[tuple[int, int]] | None = None

    def close(self) -> None:
        """Let go of it; safe to call twice."""
        self._db.close()

    @contextmanager
    def transaction(self) -> Generator[sqlite3.Connection]:
        """All or nothing, one writer at a time among all processes."""
        self._db.execute("begin immediate")
        try:
            yield self._db
        except BaseException:
            self._db.rollback()
            raise
        self._db.commit()

    # ── trees ──

    def tree(self, root: Path) -> int:
        """The number of a working tree, made up if it is new; notes on which day it was last used."""
        query = "select id, used from trees where root = ?"
        found = self._db.execute(query, (os.fsencode(root),)).fetchone()
        if found is None or found[1] < time.time() - _DAY:
            with self.transaction() as db:
                db.execute(
                    "insert into trees(root, used) values(?, ?) on conflict(root) do update set used = excluded.used",
                    (os.fsencode(root), time.time()),
                )
            found = self._db.execute(query, (os.fsencode(root),)).fetchone()
        return found[0]

    def rows(self, tree: int) -> dict[str, Row]:
        """What is known of a tree's paths."""
        query = """
            select path, modified, changed, size, inode,
                   d.id, symbols, docstrings, body, error_line, sound, definitions
            from files f join documents d on d.id = f.document where tree = ?"""
        decode = os.fsdecode
        return {decode(row[0]): Row(Stamp(*row[1:5]), Facts(*row[5:])) for row in self._db.execute(query, (tree,))}

    def update_tree(self, tree: int, changed: Iterable[tuple[str, int, Stamp]], gone: Iterable[str]) -> None:
        """Note which document each changed path has now, and which paths are no more."""
        with self.transaction() as db:
            db.executemany(
                "insert or replace into files values(?, ?, ?, ?, ?, ?, ?)",
                [(tree, os.fsencode(path), document, *stamp) for path, document, stamp in changed],
            )
            db.executemany(
                "delete from files where tree = ? and path = ?", [(tree, os.fsencode(path)) for path in gone]
            )

    # ── documents ──

    def reserve(self, count: int) -> int:
        """The first of `count` document numbers that nobody else will use."""
        with self.transaction() as db:
            first = db.execute("select next from numbers").fetchone()[0]
            if first + count > MOST_NUMBERS:
                raise DamagedError("full")
            db.execute("update numbers set next = next + ?", (count,))
        return first

    def documents(self) -> dict[bytes, int]:
        """All contents that are known, each with its document's number."""
        return dict(self._db.execute("select key, id from documents"))

    def facts(self, documents: Collection[int]) -> dict[int, Facts]:
        """What is known of these documents; those that are not there are left out."""
        query = "select id, symbols, docstrings, body, error_line, sound, definitions from documents"
        if len(documents) > _MANY:
            return {row[0]: Facts(*row) for row in self._db.execute(query) if row[0] in documents}
        rows = (self._db.execute(f"{query} where id = ?", (document,)).fetchone() for document in documents)
        return {row[0]: Facts(*row) for row in rows if row is not None}

    def record(self, document: int) -> str | None:
        """A document's record."""
        found = self._db.execute("select record from records where id = ?", (document,)).fetchone()
        return found[0] if found else None

    def records(self) -> Iterator[tuple[int, str]]:
        """All records."""
        return self._db.execute("select id, record from records")

    def write(self, documents: Sequence[Document], postings: Mapping[str, bytes]) -> dict[int, int]:
        """Add a batch; gives the number that each document has now: another process may have been first."""
        with self.transaction() as db:
            added = db.executemany(
                "insert or ignore into documents values(?, ?, ?, ?, ?, ?, ?, ?)",
                [document[:8] for document in documents],
            )
            numbers = {document.number: document.number for document in documents}
            if added.rowcount < len(documents):
                query = "select id from documents where key = ?"
                numbers = {item.number: db.execute(query, (item.key,)).fetchone()[0] for item in documents}
            db.executemany(
                "insert into records values(?, ?)",
                [(item.number, item.record) for item in documents if numbers[item.number] == item.number],
            )
            _add_segment(db, len(documents), postings)
        self._segments = None
        return numbers

    # ── terms ──

    def postings(self, term: str) -> bytes:
        """A term's postings (`Inversion`) from all segments, documents that are gone included."""
        if self._segments is None:
            self._segments = self._db.execute("select id, blocks from segments").fetchall()
        query = "select terms, sizes, data from blocks where segment = ? and block = ?"
        pieces: list[bytes] = []
        for segment, blocks in self._segments:
            row = self._db.execute(query, (segment, _block_of(term, blocks))).fetchone()
            if row is not None:
                pieces.append(_in_block(term, *row))
        return b"".join(pieces)

    # ── notes ──

    def note(self, tree: int, name: str) -> str | None:
        """A remark about a tree that is cheap to lose."""
        found = self._db.execute("select value from notes where tree = ? and name = ?", (tree, name)).fetchone()
        return found[0] if found else None

    def set_note(self, tree: int, name: str, value: str) -> None:
        """Keep a remark about a tree."""
        with self.transaction() as db:
            db.execute("insert or replace into notes values(?, ?, ?)", (tree, name, value))

    # ── size ──

    def merge_segments(self, *, most: int = 8) -> None:
        """Keep look-ups short and the file small: drop what no tree uses any more and merge small segments.

        Does nothing as long as there are few segments and few dead documents.
        """
        segments = self._db.execute("select id, documents from segments order by documents").fetchall()
        written = sum(count for _, count in segments)
        used = self._db.execute("select count(distinct document) from files").fetchone()[0]
        wasteful = written > 2 * used + 1000
        if len(segments) <= most and not wasteful:
            return
        chosen = segments if wasteful else segments[: len(segments) - most // 2]
        with self.transaction() as db:
            self._forget_old_trees(db)
            db.execute("delete from documents where id not in (select document from files)")
            db.execute("delete from records where id not in (select id from documents)")
            alive = {row[0] for row in db.execute("select id from documents")}
            merged: dict[str, list[bytes]] = {}
            for segment, _ in chosen:
                rows = db.execute("select terms, sizes, data from blocks where segment = ?", (segment,))
                for term, piece in (pair for row in rows for pair in _pairs(*row)):
                    kept = [
                        piece[at : at + 8]
                        for at in range(0, len(piece), 8)
                        if int.from_bytes(piece[at + 5 : at + 8], "little") in alive
                    ]
                    merged.setdefault(term, []).extend(kept)
                db.execute("delete from blocks where segment = ?", (segment,))
                db.execute("delete from segments where id = ?", (segment,))
            count = len(alive) if wasteful else sum(count for _, count in chosen)
            _add_segment(db, count, {term: b"".join(pieces) for term, pieces in merged.items() if pieces})
        self._segments = None
        self._db.execute("pragma incremental_vacuum").fetchall()

    @staticmethod
    def _forget_old_trees(db: sqlite3.Connection) -> None:
        """Trees that are gone from the disk, or were not opened for two months."""
        old = time.time() - 60 * _DAY
        for tree, root, used in db.execute("select id, root, used from trees").fetchall():
            if used < old or not Path(os.fsdecode(root)).is_dir():
                db.execute("delete from files where tree = ?", (tree,))
                db.execute("delete from notes where tree = ?", (tree,))
                db.execute("delete from trees where id = ?", (tree,))


# ── opening ──────────────────────────────────────────────────────────────────────────────────────────────────────


class DamagedError(Exception):
    """The file is not an index of this version, or is cut off."""


def open_store(path: Path) -> Store:
    """Open an index, made new if there is none.

    Raises:
        DamagedError: the file is there and is no good.
        sqlite3.OperationalError, OSError: the place can't be used.
    """
    _check_length(path)
    db = sqlite3.connect(path, timeout=_WAIT_SECONDS, isolation_level=None, check_same_thread=False)
    try:
        _prepare(db)
    except BaseException:
        db.close()
        raise
    return Store(db, path)


def store_in_memory() -> Store:
    """An index that nobody will see again."""
    db = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    _prepare(db)
    return Store(db, None)


def remove_store(path: Path) -> None:
    """Delete an index's files, as far as they are there."""
    for suffix in ("", "-wal", "-shm", "-journal"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def _prepare(db: sqlite3.Connection) -> None:
    """Set the connection up, and the tables where they are missing."""
    version = db.execute("pragma user_version").fetchone()[0]
    if version == 0 and not db.execute("select 1 from sqlite_master limit 1").fetchone():
        db.execute("pragma auto_vacuum = incremental")
        db.execute("pragma journal_mode = wal")
        db.execute("begin immediate")
        if db.execute("pragma user_version").fetchone()[0] == 0:
            for statement in _TABLES.split(";"):
                db.execute(statement)
            db.execute(f"pragma application_id = {_APPLICATION}")
            db.execute(f"pragma user_version = {SCHEMA}")
        db.execute("commit")
    elif version != SCHEMA or db.execute("pragma application_id").fetchone()[0] != _APPLICATION:
        raise DamagedError(str(version))
    db.execute("pragma synchronous = normal")


def _check_length(path: Path) -> None:
    """Notice a file that was cut off: its header says how many pages it has (sqlite.org/fileformat2.html, 1.3.8)."""
    try:
        with path.open("rb") as file:
            header = file.read(100)
            size = os.fstat(file.fileno()).st_size
    except FileNotFoundError:
        return
    if not header:
        return
    if len(header) < 100 or not header.startswith(b"SQLite format 3\0"):  # noqa: PLR2004 - the header's length
        raise DamagedError("header")
    (page,) = struct.unpack(">H", header[16:18])
    changes, pages = struct.unpack(">II", header[24:32])
    (valid_for,) = struct.unpack(">I", header[92:96])
    if changes == valid_for and size < pages * (65536 if page == 1 else page):
        raise DamagedError("length")


# ── blocks ───────────────────────────────────────────────────────────────────────────────────────────────────────


def _add_segment(db: sqlite3.Connection, documents: int, postings: Mapping[str, bytes]) -> None:
    """Write a batch's postings."""
    count = len(postings) // _TERMS_IN_BLOCK + 1
    segment = db.execute("insert into segments(documents, blocks) values(?, ?)", (documents, count)).lastrowid
    blocks: list[tuple[list[str], list[bytes]]] = [([], []) for _ in range(count)]
    for term, data in postings.items():
        terms, pieces = blocks[_block_of(term, count)]
        terms.append(term)
        pieces.append(data)
    db.executemany(
        "insert into blocks values(?, ?, ?, ?, ?)",
        [
            (segment, number, "\n".join(terms), array("I", map(len, pieces)).tobytes(), b"".join(pieces))
            for number, (terms, pieces) in enumerate(blocks)
            if terms
        ],
    )


def _block_of(term: str, blocks: int) -> int:
    """Where a term is kept."""
    return crc32(term.encode()) % blocks


def _pairs(terms: str, sizes: bytes, data: bytes) -> Iterator[tuple[str, bytes]]:
    """The terms of one block with their postings."""
    at = 0
    for term, size in zip(terms.split("\n"), array("I", sizes), strict=True):
        yield term, data[at : at + size]
        at += size


def _in_block(term: str, terms: str, sizes: bytes, data: bytes) -> bytes:
    """One term's postings, if the block has it."""
    names = terms.split("\n")
    if term not in names:
        return b""
    at = names.index(term)
    lengths = array("I", sizes)
    start = sum(lengths[:at])
    return data[start : start + lengths[at]]
