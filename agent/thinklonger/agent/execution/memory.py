"""What earlier runs found out about tests, on disk: which there are, how long they take, which lines they ran.

All is kept by content: a file's tests by its digest and that of the tests' settings, a test's lines by the digests of
the files that it ran. A database that can't be opened, read or written is no memory, never an error.
"""

import hashlib
import json
import zlib
from collections.abc import Collection, Generator, Iterable, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, TypeAlias

from thinklonger.agent.execution.reading import lines_of
from thinklonger.agent.types import EnvironmentRecord, Layer

if TYPE_CHECKING:
    import sqlite3

SCHEMA = 1
SETTINGS = frozenset({"conftest.py", "pytest.ini", ".pytest.ini", "pyproject.toml", "setup.cfg", "tox.ini"})
"""The files that decide what is collected in other files."""
WAIT_SECONDS = 2.0
MOST_BYTES = 256 * 1024**2
"""A larger database is begun anew."""
TABLES = """
create table if not exists files(
    place text not null, path text not null, digest text not null, tests blob not null, seconds blob not null,
    primary key(place, path)
) without rowid;
create table if not exists contexts(
    place text not null, test text not null, path text not null, digest text not null, lines text not null,
    primary key(place, path, test)
) without rowid;
create index if not exists by_test on contexts(place, test);
"""

Digests: TypeAlias = Mapping[PurePosixPath, str]
"""A digest of each file's content."""
Ran: TypeAlias = dict[str, dict[PurePosixPath, frozenset[int]]]
"""Lines by path by test; no lines where the file has changed since: then only that it ran is known."""


class SuiteMemory:
    """What is known of one repository's tests in one environment."""

    def __init__(self, directory: Path, *, root: Path, environment: EnvironmentRecord, settings: str = "") -> None:
        """Keep it below `directory`; nothing is made before there is something to keep.

        `settings` is a digest over what decides how tests are collected (`digest_settings`).
        """
        named = (environment.interpreter, environment.python_version, environment.runner, environment.runner_version)
        self.place = hashlib.sha256("\0".join((str(root), *named)).encode("utf-8", "surrogateescape")).hexdigest()[:32]
        self._settings = settings[:16]
        self._file = directory / f"tests-{SCHEMA}.sqlite"

    def tests(self, digests: Digests) -> dict[PurePosixPath, tuple[str, ...]]:
        """The ids of the tests in those of these files whose content is known."""
        found: dict[PurePosixPath, tuple[str, ...]] = {}
        for name, digest, packed in self._rows("select path, digest, tests from files where place = ?"):
            path = PurePosixPath(name)
            if path in digests and self._seal(digests[path]) == digest:
                found[path] = tuple(unpack(packed))
        return found

    def timings(self) -> dict[str, float]:
        """How long tests took when they last ran, in seconds, whatever their file's content was then."""
        found: dict[str, float] = {}
        for (packed,) in self._rows("select seconds from files where place = ?"):
            found.update(unpack(packed))
        return found

    def running(self, paths: Collection[PurePosixPath], digests: Digests) -> Ran:
        """What is known of the tests that ran one of these files: their lines in these files."""
        found: Ran = {}
        query = "select test, path, digest, lines from contexts where place = ? and path = ?"
        for row in self._rows(query, *((str(path),) for path in paths)):
            add_lines(found, row, digests)
        return found

    def lines(self, tests: Collection[str], digests: Digests) -> Ran:
        """All lines of those of these tests whose every file is as it was when they ran."""
        found: Ran = {}
        query = "select test, path, digest, lines from contexts where place = ? and test = ?"
        for row in self._rows(query, *((test,) for test in tests)):
            add_lines(found, row, digests)
        return {test: files for test, files in found.items() if all(files.values())}

    def keep_tests(self, tests: Mapping[PurePosixPath, tuple[str, ...]], digests: Digests) -> None:
        """Remember which tests files have; how long these took stays as it was."""
        query = """insert into files values(?, ?, ?, ?, ?)
            on conflict do update set digest = excluded.digest, tests = excluded.tests"""
        rows = [
            (self.place, str(path), self._seal(digests[path]), pack(list(ids)), pack({}))
            for path, ids in tests.items()
            if path in digests
        ]
        self._write(query, rows)

    def keep_timings(self, timings: Mapping[str, float]) -> None:
        """Remember how long tests took, at best."""
        by_file: dict[str, dict[str, float]] = {}
        for test, seconds in timings.items():
            by_file.setdefault(test.partition("::")[0], {})[test] = round(seconds, 4)
        rows = self._rows("select path, seconds from files where place = ?")
        known: dict[str, Any] = {name: unpack(packed) for name, packed in rows if name in by_file}
        query = """insert into files values(?, ?, '', ?, ?) on conflict do update set seconds = excluded.seconds"""
        self._write(
            query,
            [
                (self.place, name, pack([]), pack(quickest(known.get(name, {}), seconds)))
                for name, seconds in by_file.items()
            ],
        )

    def keep_lines(self, coverage: Mapping[str, Mapping[PurePosixPath, frozenset[int]]], digests: Digests) -> None:
        """Remember the lines that tests ran; they replace all that was known of these tests."""
        from thinklonger.agent.execution.payload.lines import compact  # noqa: PLC0415 - rarely needed

        ran = {test: lines for test, lines in coverage.items() if lines}
        self._write("delete from contexts where place = ? and test = ?", [(self.place, test) for test in ran])
        self._write(
            "insert or replace into contexts values(?, ?, ?, ?, ?)",
            [
                (self.place, test, str(path), digests[path], json.dumps(compact(lines), separators=(",", ":")))
                for test, files in ran.items()
                for path, lines in files.items()
                if path in digests
            ],
        )

    def _seal(self, digest: str) -> str:
        """A file's digest together with that of the settings."""
        return f"{digest}:{self._settings}"

    @contextmanager
    def _open(self) -> "Generator[sqlite3.Connection]":
        import sqlite3  # noqa: PLC0415 - needed only where tests run

        self._file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        connection = sqlite3.connect(self._file, timeout=WAIT_SECONDS)
        try:
            connection.executescript(TABLES)
            connection.execute("pragma journal_mode = wal")
            connection.execute("pragma synchronous = off")
            yield connection
        finally:
            connection.close()

    def _rows(self, query: str, *asked: tuple[str, ...]) -> list[tuple[Any, ...]]:
        import sqlite3  # noqa: PLC0415 - needed only where tests run

        if not self._file.exists():
            return []
        try:
            with self._open() as connection:
                return [
                    row
                    for values in asked or ((),)
                    for row in connection.execute(query, (self.place, *values)).fetchall()
                ]
        except (OSError, sqlite3.Error):
            self._forget()
            return []

    def _write(self, query: str, rows: Iterable[tuple[object, ...]]) -> None:
        import sqlite3  # noqa: PLC0415 - needed only where tests run

        with suppress(OSError, sqlite3.Error):
            if self._file.exists() and self._file.stat().st_size > MOST_BYTES:
                self._file.unlink()
            with self._open() as connection, connection:
                connection.executemany(query, rows)

    def _forget(self) -> None:
        """Begin anew after a file that is no database; one that is only busy stays."""
        with suppress(OSError):
            if self._file.read_bytes()[:16] != b"SQLite format 3\0":
                self._file.unlink()


def add_lines(found: Ran, row: tuple[Any, ...], digests: Digests) -> None:
    """Add one row of contexts; its lines are left out where the file has changed since."""
    test, name, digest, lines = row
    path = PurePosixPath(name)
    runs: list[list[int]] = json.loads(lines) if digests.get(path) == digest else []
    found.setdefault(test, {})[path] = lines_of({name: runs})[path]


def digest_files(
    root: Path, files: Collection[PurePosixPath], overlay: Layer | None = None
) -> dict[PurePosixPath, str]:
    """A digest of each file's content, of those that can be read; `overlay` lies over the disk."""
    found: dict[PurePosixPath, str] = {}
    layer = overlay or {}
    for path in files:
        with suppress(OSError):
            state = layer.get(path)
            content = (root / path).read_bytes() if path not in layer else state.content if state else b""
            found[path] = hashlib.sha256(content).hexdigest()[:32]
    return found


def digest_settings(root: Path, files: Iterable[PurePosixPath], overlay: Layer | None = None) -> str:
    """A digest over the files that decide how tests are collected."""
    chosen = sorted(path for path in files if path.name in SETTINGS)
    digests = digest_files(root, chosen, overlay)
    text = "\0".join(f"{path}\0{digest}" for path, digest in digests.items())
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def quickest(first: Mapping[str, float], second: Mapping[str, float]) -> dict[str, float]:
    """The shorter of two times for each test: what is longer is the machine's other work."""
    return {**first, **{test: min(seconds, first.get(test, seconds)) for test, seconds in second.items()}}


def pack(value: object) -> bytes:
    """Compressed JSON."""
    return zlib.compress(json.dumps(value, separators=(",", ":")).encode("ascii"), 1)


def unpack(data: bytes) -> Any:  # noqa: ANN401 - what JSON holds
    """What was packed; nothing where it can't be read."""
    try:
        return json.loads(zlib.decompress(data))
    except (zlib.error, ValueError):
        return {}
