"""The cache: what is reused, what happens to a damaged one, two processes at once, and worker processes."""

import asyncio
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from repository_trees import CALENDAR, Opener, committed, git, keys, write

from thinklonger.agent.repository import Repository, indexing, open_repository, workers
from thinklonger.agent.repository.language import Analysis
from thinklonger.agent.repository.languages.python import Python
from thinklonger.agent.repository.store import open_store


def big(root: Path, count: int = 130) -> Path:
    """A tree that is worth worker processes: each file has names of its own and shared ones."""
    body = "".join(f"    value_{n} = compute(value, {n}, 'some words here')\n" for n in range(300))
    files = {
        f"pkg{n % 7}/module_{n}.py": f"from . import module_{n + 7}\n\n\ndef unique_{n}(v):\n{body}    return v\n"
        for n in range(count)
    }
    return write(root, files)


async def summary(repository: Repository) -> dict[str, object]:
    """All that a view says, in comparable form."""
    terms = {term for path in repository.paths() for term in (path.stem, "return", "value", "def", "one", "two", "x")}
    order = [str(path) for path in repository.paths()]
    return {
        "paths": order,
        "symbols": [repository.symbols(path) for path in repository.paths()],
        "imports": [repository.imports(path) for path in repository.paths()],
        "importers": [repository.importers(path) for path in repository.paths()],
        "fields": repository.statistics_of_fields(),
        "postings": {term: sorted(repository.postings(term)) for term in sorted(terms)},
        "problems": keys(repository),
        "find": {name: repository.find(name) for name in ("one", "two", "A.two", "a")},
        "count": repository.statistics.symbols,
    }


async def test_a_warm_start_parses_nothing(tmp_path: Path, opened: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is parsed twice: not unchanged files, not touched ones, not contents that moved."""
    root = committed(tmp_path / "r", CALENDAR)
    assert (await opened(root)).statistics.parsed == 5

    def parse(_: Python, text: bytes) -> Analysis:
        raise AssertionError(text)

    monkeypatch.setattr(Python, "analyse", parse)
    os.utime(root / "src/almanac/tools.py")
    (root / "src/almanac/moons.py").rename(root / "src/almanac/luna.py")
    for _ in range(2):
        again = await opened(root)
        assert (again.statistics.parsed, again.statistics.reused) == (0, 5)
        assert [symbol.path.name for symbol in again.find("full_moon")] == ["luna.py"]


async def test_changes_within_the_clock_are_seen(tmp_path: Path, opened: Opener) -> None:
    """A change right after indexing, of the same size and with its times set back, is not missed."""
    root = write(tmp_path / "r", {"a.py": "def one(): pass\n"})
    for name in ("two", "six", "ten", "one"):
        before = (root / "a.py").stat()
        await opened(root)
        (root / "a.py").write_text(f"def {name}(): pass\n")
        os.utime(root / "a.py", ns=(before.st_atime_ns, before.st_mtime_ns))
        assert [symbol.name for symbol in (await opened(root)).symbols(PurePosixPath("a.py"))] == [name]


FILES = ("a.py", "b.py", "pkg/__init__.py", "pkg/c.py", "pkg/d.py")
CONTENTS = (
    None,
    "",
    "def one():\n    return x\n",
    "from pkg import *\nimport b\n\n\nclass A:\n    def two(self):\n        return one\n",
    "from .c import one, two\nfrom a import A\nx = 1\n",
    "def (:\n",
)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.lists(st.tuples(st.sampled_from(FILES), st.sampled_from(CONTENTS)), min_size=1, max_size=4),
        min_size=2,
        max_size=5,
    )
)
def test_incremental_is_cold(
    tmp_path_factory: pytest.TempPathFactory, rounds: list[list[tuple[str, str | None]]]
) -> None:
    """After any edits, the kept index says what a new one says."""

    async def compare() -> None:
        folder = tmp_path_factory.mktemp("incremental")
        root = write(folder / "r", {"keep.py": "import a, pkg.d\n"})
        for number, edits in enumerate(rounds):
            for name, content in edits:
                if content is None:
                    (root / name).unlink(missing_ok=True)
                else:
                    write(root, {name: content})
            warm = await open_repository(root, cache=folder / "warm")
            cold = await open_repository(root, cache=folder / f"cold{number}")
            assert await summary(warm) == await summary(cold)
            await warm.close()
            await cold.close()

    asyncio.run(compare())


async def test_many_small_changes_stay_small(tmp_path: Path, opened: Opener) -> None:
    """Segments are merged and dead contents dropped, so that a hundred saves don't make a hundred segments."""
    root = write(tmp_path / "r", CALENDAR)
    for number in range(30):
        write(root, {"src/almanac/tools.py": f"def tool_{number}():\n    return 'moon'\n"})
        repository = await opened(root)
        await repository.close()
    [file] = (tmp_path / "cache").glob("*.index")
    with sqlite3.connect(file) as db:
        assert db.execute("select count(*) from segments").fetchone()[0] <= 10
        assert db.execute("select count(*) from documents").fetchone()[0] <= 20
    last = await opened(root)
    assert last.find("tool_29")
    assert not last.find("tool_3")
    assert await summary(last) == await summary(await opened(root, cache=tmp_path / "other"))


@pytest.mark.parametrize("damage", ["empty", "short", "cut", "header", "noise", "version", "tables", "other"])
async def test_a_damaged_cache_is_built_anew(tmp_path: Path, opened: Opener, damage: str) -> None:
    """Truncated, garbled, foreign or of another version: reported once, rebuilt, and right."""
    root = committed(tmp_path / "r", CALENDAR)
    await (await opened(root)).close()
    [file] = (tmp_path / "cache").glob("*.index")
    content = file.read_bytes()
    match damage:
        case "empty":
            file.write_bytes(b"")
        case "short":
            file.write_bytes(content[:50])
        case "cut":
            file.write_bytes(content[: len(content) // 2])
        case "header":
            file.write_bytes(b"garbage" + content[7:])
        case "noise":
            file.write_bytes(content[:100] + bytes(n * n % 251 for n in range(len(content) - 100)))
        case "version":
            with sqlite3.connect(file) as db:
                db.execute("pragma user_version = 99")
        case "tables":
            with sqlite3.connect(file) as db:
                db.execute("drop table files")
        case _:
            file.unlink()
            with sqlite3.connect(file) as db:
                db.execute("create table other(x)")
    expected = await summary(await opened(root, cache=tmp_path / "fresh"))
    found = await summary(await opened(root))
    problems = found.pop("problems")
    expected.pop("problems")
    assert found == expected
    assert problems == ([] if damage == "empty" else [(None, "cache-rebuilt")])
    again = await opened(root)
    assert (keys(again), again.statistics.parsed) == ([], 0)


async def test_records_that_make_no_sense_are_parsed_anew(tmp_path: Path, opened: Opener) -> None:
    """What can't be decoded is not believed."""
    root = write(tmp_path / "r", CALENDAR)
    await (await opened(root)).close()
    [file] = (tmp_path / "cache").glob("*.index")
    for value in ("", "\n\n", "a\nf\n1\n", "a\nz\n1\n2", "a\nf\nx\n2", "a b\nf\n1\n2", "a\nf\n1\n2\nx"):
        with sqlite3.connect(file) as db:
            db.execute("update records set record = ?", (value,))
        repository = await opened(root)
        assert len(repository.symbols(PurePosixPath("src/almanac/dates.py"))) == 5
        await repository.close()


async def test_an_unusable_cache_is_done_without(tmp_path: Path, opened: Opener) -> None:
    """A cache folder that can't be made or written to is reported once, and the answer is the same."""
    root = committed(tmp_path / "r", CALENDAR)
    (tmp_path / "file").write_text("")
    expected = await summary(await opened(root))
    expected.pop("problems")
    for cache in (tmp_path / "file", tmp_path / "file" / "below", Path("/proc/no-such-folder")):
        found = await summary(await opened(root, cache=cache))
        assert found.pop("problems") == [(None, "cache-unusable")]
        assert found == expected


async def test_a_store_that_is_read_only(tmp_path: Path, opened: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    """An index file that can be read and not written to is done without, as in a read-only folder."""
    root = committed(tmp_path / "r", CALENDAR)
    await (await opened(root)).close()
    write(root, {"new.py": "def fresh():\n    pass\n"})
    connect = sqlite3.connect

    def read_only(path: Path | str, *, timeout: float = 5.0, **_: object) -> sqlite3.Connection:
        name = path if path == ":memory:" else f"file:{path}?mode=ro"
        return connect(name, timeout=timeout, isolation_level=None, check_same_thread=False, uri=path != ":memory:")

    monkeypatch.setattr(sqlite3, "connect", read_only)
    repository = await opened(root)
    assert keys(repository) == [(None, "cache-unusable")]
    assert repository.find("fresh")


async def test_workers_give_the_same_as_one_process(
    tmp_path: Path, opened: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Indexing in one process, in two, and in this one come to the same; equal files are shared between processes."""
    root = big(tmp_path / "r")
    write(root, {f"same/{number}.py": "def same(): pass\n" for number in range(9)})
    in_worker = await opened(root)
    assert (in_worker.statistics.parsed, in_worker.statistics.reused) == (131, 8)
    monkeypatch.setattr(workers, "_SECOND_WORKER_BYTES", 0)
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    in_workers = await opened(root, cache=tmp_path / "two")
    assert await summary(in_workers) == await summary(in_worker)
    monkeypatch.setattr(workers, "worth_it", lambda _: False)
    here = await opened(root, cache=tmp_path / "other")
    assert await summary(in_workers) == await summary(here)
    monkeypatch.setattr(indexing, "BATCH_BYTES", 200_000)
    batches = await opened(root, cache=tmp_path / "batches")
    assert await summary(batches) == await summary(here)


async def test_workers_that_cannot_start_are_done_without(
    tmp_path: Path, opened: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without worker processes the work is done in this one."""
    root = big(tmp_path / "r")
    monkeypatch.setattr(sys, "executable", "/bin/false")
    repository = await opened(root)
    assert (repository.statistics.parsed, keys(repository)) == (130, [])


async def test_a_file_that_breaks_the_parser(tmp_path: Path, opened: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that kills its worker is reported, the others are indexed, and it is not tried again."""
    root = big(tmp_path / "r")
    write(root, {"pkg1/deadly.py": "# DEADLY\n"})
    deadly = (
        "import os\n"
        "from thinklonger.agent.repository.languages import python\n"
        "usual = python.Python.analyse\n"
        "def analyse(self, text):\n"
        "    if b'DEADLY' in text:\n"
        "        os._exit(139)\n"
        "    return usual(self, text)\n"
        "python.Python.analyse = analyse\n"
    )
    monkeypatch.setattr(workers, "PROGRAM", workers.PROGRAM.replace("main()", f"{deadly}main()"))
    repository = await opened(root)
    assert keys(repository) == [("pkg1/deadly.py", "parser-failed")]
    assert len(repository.paths()) == 131
    assert repository.find("unique_7")
    again = await opened(root)
    assert (keys(again), again.statistics.parsed) == ([("pkg1/deadly.py", "parser-failed")], 0)


async def test_two_processes_at_once(tmp_path: Path, opened: Opener) -> None:
    """Two programs that index one repository at the same time both get it right, and leave a sound cache."""
    root = big(tmp_path / "r")
    code = (
        "import asyncio, sys, json\n"
        "from pathlib import Path\n"
        "from thinklonger.agent.repository import open_repository\n"
        "async def main():\n"
        "    r = await open_repository(Path(sys.argv[1]), cache=Path(sys.argv[2]))\n"
        "    found = [len(r.find(f'unique_{n}')) for n in range(130)]\n"
        "    print(json.dumps([sum(found), len(r.postings('compute')), r.statistics.parsed, len(r.problems)]))\n"
        "    await r.close()\n"
        "asyncio.run(main())\n"
    )
    command = (sys.executable, "-c", code, str(root), str(tmp_path / "cache"))
    running = [await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE) for _ in range(3)]
    said = [json.loads((await process.communicate())[0]) for process in running]
    assert [(found, postings, problems) for found, postings, _, problems in said] == [(130, 130, 0)] * 3
    assert sum(parsed for _, _, parsed, _ in said) == 130
    assert (await opened(root)).statistics.parsed == 0


def descendants(of: int) -> set[int]:
    """The processes that a process started, and theirs."""
    found: set[int] = set()
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            pid, parent = int(status.parent.name), int(status.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
        if parent == of:
            found |= {pid} | descendants(pid)
    return found


async def test_cancelling_stops_the_workers(tmp_path: Path, opened: Opener) -> None:
    """A cancelled opening is over within a second, leaves no process, and the cache is sound afterwards."""
    root = big(tmp_path / "r", 400)
    before = descendants(os.getpid())
    for seconds in (0.05, 0.2):
        task = asyncio.ensure_future(open_repository(root, cache=tmp_path / "cache"))
        await asyncio.sleep(seconds)
        started = time.monotonic()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        while descendants(os.getpid()) - before and time.monotonic() - started < 2:  # noqa: ASYNC110 - no event says it
            await asyncio.sleep(0.02)
        assert descendants(os.getpid()) <= before
    assert (await opened(root)).statistics.files == 400


async def test_the_loop_stays_free(tmp_path: Path, opened: Opener) -> None:
    """While a repository is indexed, the event loop goes on turning."""
    root = big(tmp_path / "r")
    longest = 0.0

    async def watch() -> None:
        nonlocal longest
        while True:
            before = time.monotonic()
            await asyncio.sleep(0.005)
            longest = max(longest, time.monotonic() - before)

    task = asyncio.ensure_future(watch())
    await opened(root)
    task.cancel()
    assert longest < 0.5


def test_numbers_run_out_cleanly(tmp_path: Path) -> None:
    """When document numbers are used up, the index counts as damaged and is built anew."""
    store = open_store(tmp_path / "x.index")
    store.reserve(5)
    with pytest.raises(Exception, match="full"):
        store.reserve(1 << 24)
    assert store.reserve(1) == 6
    store.close()


async def test_worktrees_keep_their_own_state(tmp_path: Path, opened: Opener) -> None:
    """Two worktrees of one repository share contents, not paths; a removed one is forgotten in time."""
    root = committed(tmp_path / "r", CALENDAR)
    git(root, "worktree", "add", "--quiet", str(tmp_path / "w"))
    write(tmp_path / "w", {"only_here.py": "def lonely():\n    pass\n"})
    one, other = await opened(root), await opened(tmp_path / "w")
    assert (len(one.find("lonely")), len(other.find("lonely"))) == (0, 1)
    assert one.postings("lonely") == []
    assert len(list((tmp_path / "cache").glob("*.index"))) == 1


async def test_what_nobody_uses_is_forgotten(tmp_path: Path, opened: Opener) -> None:
    """Indexes of repositories that were not opened for long go when a new one comes; used ones stay."""
    old, kept, new = (write(tmp_path / name, {"a.py": f"# {name}\n"}) for name in ("old", "kept", "new"))
    await (await opened(old)).close()
    [lock] = (tmp_path / "cache").glob("*.lock")
    await (await opened(kept)).close()
    os.utime(lock, (1, 1))
    await opened(new)
    assert len(list((tmp_path / "cache").glob("*.index"))) == 2
    assert not list((tmp_path / "cache").glob(f"{lock.stem}*"))
    assert (await opened(kept)).statistics.parsed == 0


async def test_worktrees_that_are_gone_are_forgotten(tmp_path: Path, opened: Opener) -> None:
    """When segments are merged, what only removed worktrees had goes."""
    root = committed(tmp_path / "r", CALENDAR)
    for number in range(12):
        folder = tmp_path / f"w{number}"
        git(root, "worktree", "add", "--quiet", "--detach", str(folder))
        write(folder, {"only.py": f"def only_{number}():\n    pass\n"})
        await (await opened(folder)).close()
        shutil.rmtree(folder)
    await (await opened(root)).close()
    [file] = (tmp_path / "cache").glob("*.index")
    with sqlite3.connect(file) as db:
        assert db.execute("select count(*) from trees").fetchone()[0] < 8
        assert db.execute("select count(*) from documents").fetchone()[0] < 14
