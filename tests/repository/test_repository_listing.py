"""Which files a repository has, and that each odd one is reported once and stops nothing."""

import os
import subprocess
import sys
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st
from repository_trees import CALENDAR, Opener, committed, git, keys, paths, write

from thinklonger.agent.errors import RepositoryError
from thinklonger.agent.repository import git as host_git
from thinklonger.agent.repository import open_repository
from thinklonger.agent.repository.ignore import is_ignored, parse_rules

SOURCES = [name for name in CALENDAR if name.endswith(".py")]


async def test_tracked_and_untracked_files_count(tmp_path: Path, opened: Opener) -> None:
    """Indexed are tracked and untracked source files that are on disk; ignored and deleted ones are not."""
    root = committed(tmp_path / "r", CALENDAR | {".gitignore": "*.gen.py\n/out/\n"})
    write(
        root, {"new.py": "x = 1\n", "a.gen.py": "", "out/b.py": "", "ünï çode/中文 文件.py": "def 函数():\n    pass\n"}
    )
    (root / "src/almanac/tools.py").unlink()
    repository = await opened(root)
    expected = {*SOURCES, "new.py", "ünï çode/中文 文件.py"} - {"src/almanac/tools.py"}
    assert list(repository.paths()) == paths(list(expected))
    assert [symbol.path.name for symbol in repository.find("函数")] == ["中文 文件.py"]
    assert repository.is_git
    assert repository.commit == git(root, "rev-parse", "HEAD").strip()
    assert keys(repository) == []
    assert repository.statistics.files == repository.statistics.parsed + repository.statistics.reused == 6


async def test_names_with_newlines_and_bytes(tmp_path: Path, opened: Opener) -> None:
    """File names may hold newlines, tabs, quotes and bytes that are no text."""
    names = ["a\nb.py", "c\td.py", 'e"f.py', os.fsdecode(b"g\xff.py"), " h .py", "-i.py"]
    root = committed(tmp_path / "r", dict.fromkeys(names, "x = 1\n"))
    for folder in (root, write(tmp_path / "plain", dict.fromkeys(names, "x = 1\n"))):
        repository = await opened(folder)
        assert list(repository.paths()) == paths(names)
        assert all(repository.read(path) is not None for path in repository.paths())
        assert (await opened(folder)).statistics.parsed == 0


async def test_a_folder_without_git(tmp_path: Path, opened: Opener) -> None:
    """Without git the folder is walked: `.gitignore` counts, environments and caches are left out."""
    files = CALENDAR | {
        ".gitignore": "*.gen.py\n!keep.gen.py\nbuild/\n",
        "src/.gitignore": "/local.py\n",
        "a.gen.py": "",
        "keep.gen.py": "",
        "build/b.py": "",
        "src/local.py": "",
        "src/almanac/local.py": "",
        "env/pyvenv.cfg": "",
        "env/lib/c.py": "",
        "node_modules/d/e.py": "",
        "__pycache__/f.py": "",
    }
    repository = await opened(write(tmp_path / "r", files))
    assert list(repository.paths()) == paths([*SOURCES, "keep.gen.py", "src/almanac/local.py"])
    assert (repository.is_git, repository.commit, keys(repository)) == (False, None, [])


async def test_an_untracked_environment_is_left_out(tmp_path: Path, opened: Opener) -> None:
    """A virtual environment that nobody ignored is neither indexed nor copied."""
    root = committed(tmp_path / "r", CALENDAR)
    write(root, {"venv/pyvenv.cfg": "", "venv/lib/site.py": "", "node_modules/x/y.py": ""})
    repository = await opened(root)
    assert list(repository.paths()) == paths(SOURCES)
    assert set(repository.snapshot_files()) == set(paths(list(CALENDAR)))


async def test_the_states_a_git_repository_may_be_in(tmp_path: Path, opened: Opener) -> None:
    """No commit yet, a subfolder as root, a second worktree: all work, and worktrees share what is indexed."""
    empty = tmp_path / "empty"
    empty.mkdir()
    git(empty, "init", "--quiet")
    write(empty, {"a.py": "x = 1\n"})
    assert ((await opened(empty)).commit, (await opened(empty)).is_git) == (None, True)

    root = committed(tmp_path / "r", CALENDAR)
    sub = await opened(root / "src")
    assert list(sub.paths()) == paths([name[4:] for name in SOURCES if name.startswith("src/")])
    git(root, "worktree", "add", "--quiet", str(tmp_path / "other"))
    first = await opened(root)
    second = await opened(tmp_path / "other")
    assert (first.statistics.parsed, second.statistics.parsed) == (1, 0)
    assert second.find("full_moon")


async def test_a_root_that_its_repository_ignores(tmp_path: Path, opened: Opener) -> None:
    """A folder that the repository around it ignores is walked instead."""
    root = committed(tmp_path / "r", {".gitignore": "scratch/\n", "a.py": ""})
    write(root, {"scratch/b.py": "def b():\n    pass\n"})
    repository = await opened(root / "scratch")
    assert (list(repository.paths()), repository.is_git) == (paths(["b.py"]), False)


async def test_submodules_and_nested_repositories(tmp_path: Path, opened: Opener) -> None:
    """Neither is looked into, each is reported once; a submodule's files are copied for the tests."""
    library = committed(tmp_path / "library", {"lib.py": "x = 1\n"})
    root = committed(tmp_path / "r", {"a.py": "import lib\n"})
    git(root, "submodule", "--quiet", "add", str(library), "vendor lib")
    git(root, "commit", "--quiet", "--message=submodule")
    committed(root / "nested", {"inner.py": ""})
    repository = await opened(root)
    assert list(repository.paths()) == paths(["a.py"])
    assert keys(repository) == [("nested", "nested-repository"), ("vendor lib", "submodule")]
    assert PurePosixPath("vendor lib/lib.py") in set(repository.snapshot_files())
    assert not any(path.parts[0] == "nested" or ".git" in path.parts for path in repository.snapshot_files())


@pytest.mark.parametrize("in_git", [True, False])
async def test_odd_files(tmp_path: Path, opened: Opener, *, in_git: bool) -> None:
    """Each kind of odd file is reported once, on every opening, and the rest is indexed."""
    root = tmp_path / "r"
    files: dict[str, str | bytes] = {
        "good.py": "def good():\n    pass\n",
        "latin.py": b"# caf\xe9\ndef latin():\n    return '\xe9'\n",
        "declared.py": b"# -*- coding: latin-1 -*-\ndef d\xe9clar\xe9():\n    pass\n",
        "wrong.py": b"# coding: klingon\n# \xff\nx = 1\n",
        "bom.py": b"\xef\xbb\xbfdef marked():\n    pass\n",
        "crlf.py": b"def one():\r\n    pass\r\n\r\ndef two():\r\n    pass\r\n",
        "cr.py": b"def three():\r    pass\r",
        "binary.py": b"x = 1\0\1\2\n",
        "broken.py": "def before():\n    pass\n\ndef (:\n\nclass After:\n    pass\n",
        "huge.py": b"x = 1\n" * 400_000,
        "comments.py": b"def f():\n    pass\n" + b"# words and words\n" * 60_000,
        "empty.py": "",
    }
    write(root, files)
    write(tmp_path, {"outside.py": "x = 1\n"})
    if in_git:
        git(root, "init", "--quiet")
        git(root, "add", "--all")
        git(root, "commit", "--quiet", "--message=odd")
    (root / "loop.py").symlink_to("loop.py")
    (root / "out.py").symlink_to("../outside.py")
    (root / "nowhere.py").symlink_to("missing.py")
    (root / "alias.py").symlink_to("good.py")
    (root / "up").symlink_to("..", target_is_directory=True)
    (root / "folder.py").mkdir()
    (root / "folder.py" / "inner.py").write_text("x = 1\n")
    if not in_git:
        os.mkfifo(root / "pipe.py")
    expected: list[tuple[str | None, str]] = [
        ("binary.py", "not-text"),
        ("broken.py", "syntax-error"),
        ("huge.py", "too-large"),
        ("latin.py", "not-text"),
        ("loop.py", "symlink-loop"),
        ("nowhere.py", "symlink-broken"),
        ("out.py", "symlink-outside"),
        ("wrong.py", "not-text"),
    ]
    if not in_git:
        expected += [("folder.py", "folder-as-source"), ("pipe.py", "not-a-file"), ("up", "symlink-outside")]
    elif "up" in {path for path, _ in keys(await opened(root))}:
        expected.append(("up", "symlink-outside"))
    for _ in range(2):
        repository = await opened(root)
        assert keys(repository) == sorted(expected, key=str)
        assert list(repository.paths()) == paths([*files, "folder.py/inner.py"])
        names = ["good", "latin", "déclaré", "marked", "one", "two", "three", "before", "After", "f"]
        assert [name for name in names if len(repository.find(name)) != 1] == []
        assert repository.find("two")[0].start_line == 4
        assert not repository.symbols(PurePosixPath("huge.py"))
        said = [message.params for path, message in repository.problems if path == PurePosixPath("broken.py")]
        assert said == [{"line": 4}]


async def test_what_looks_like_a_source_file_and_is_none(tmp_path: Path, opened: Opener) -> None:
    """A tracked file whose place a folder or a link has taken is not read through it."""
    root = committed(tmp_path / "r", {"a.py": "x = 1\n", "sub/b.py": "x = 1\n", "c.py": "x = 1\n"})
    (root / "a.py").unlink()
    (root / "a.py").mkdir()
    (root / "sub/b.py").unlink()
    (root / "sub").rmdir()
    write(tmp_path / "elsewhere", {"b.py": "secret = 1\n"})
    (root / "sub").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    repository = await opened(root)
    assert list(repository.paths()) == paths(["c.py"])
    assert ("sub/b.py", "behind-symlink") in keys(repository)


async def test_unreadable_files_are_left_out(tmp_path: Path, opened: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that the system refuses to open is reported with the system's reason, every time."""
    root = write(tmp_path / "r", {"a.py": "x = 1\n", "b.py": "y = 1\n"})
    really = os.open

    def refusing(path: str, flags: int, mode: int = 0o777) -> int:
        if str(path).endswith("a.py"):
            raise PermissionError(13, "Permission denied")
        return really(path, flags, mode)

    monkeypatch.setattr(os, "open", refusing)
    for _ in range(2):
        repository = await opened(root)
        assert keys(repository) == [("a.py", "unreadable")]
        assert list(repository.paths()) == paths(["b.py"])


async def test_refusals(tmp_path: Path) -> None:
    """A missing folder, a file, and a folder without source files are errors that say so."""
    cache = tmp_path / "cache"
    file = tmp_path / "file"
    file.write_text("x")
    (tmp_path / "empty").mkdir()
    bare = committed(tmp_path / "docs", {"README.md": "x"})
    cases = [
        (tmp_path / "no", "missing"),
        (file, "not-a-folder"),
        (tmp_path / "empty", "no-source"),
        (bare, "no-source"),
    ]
    for root, key in cases:
        with pytest.raises(RepositoryError) as caught:
            await open_repository(root, cache=cache)
        assert caught.value.message.key == f"repository.{key}"
        assert caught.value.exit_code == 2
        assert str(root) in str(caught.value)
        assert caught.value.remedy is not None


async def test_git_that_fails_is_done_without(tmp_path: Path, opened: Opener) -> None:
    """A damaged git repository is walked, and that is said."""
    root = committed(tmp_path / "r", CALENDAR)
    (root / ".git/index").write_bytes(b"DIRC garbage")
    repository = await opened(root)
    assert list(repository.paths()) == paths(SOURCES)
    assert keys(repository) == [(None, "git-failed")]


async def test_no_git_on_the_machine(tmp_path: Path, opened: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the program git, a git repository is a folder like any other."""
    root = committed(tmp_path / "r", CALENDAR)
    monkeypatch.setattr(host_git, "executable", lambda: None)
    repository = await opened(root)
    assert (list(repository.paths()), repository.is_git) == (paths(SOURCES), False)


async def test_a_repository_cannot_run_code(tmp_path: Path, opened: Opener) -> None:
    """Programs that a repository's configuration names are not run, and git writes nothing there."""
    root = committed(tmp_path / "r", CALENDAR | {".gitattributes": "* diff=evil filter=evil\n"})
    script = tmp_path / "evil"
    script.write_text(f"#!/bin/sh\ntouch '{tmp_path}/ran'\n")
    script.chmod(0o755)
    for key in (
        "core.fsmonitor", "core.pager", "diff.external", "diff.evil.textconv", "diff.evil.command", "filter.evil.clean",
        "filter.evil.smudge", "gpg.program", "core.sshCommand", "core.editor", "alias.ls-files",
    ):  # fmt: skip
        git(root, "config", key, str(script))
    git(root, "config", "log.showSignature", "true")
    git(root, "config", "core.hooksPath", str(tmp_path))
    write(root, {"src/almanac/tools.py": "changed = 1\n"})
    os.utime(root / "src/almanac/moons.py", (1, 1))

    def state() -> dict[str, tuple[int, int, bytes]]:
        found = [path for path in root.rglob("*") if path.is_file()]
        return {str(path): (path.stat().st_mtime_ns, path.stat().st_ino, path.read_bytes()) for path in found}

    before = state()
    repository = await opened(root)
    repository.recency(PurePosixPath("src/almanac/tools.py"))
    repository.snapshot_files()
    assert state() == before
    assert not (tmp_path / "ran").exists()
    assert repository.is_git


async def test_variables_of_git_do_not_lead_elsewhere(
    tmp_path: Path, opened: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`GIT_DIR` and its like (set inside a hook) don't change which repository is read."""
    root = committed(tmp_path / "r", CALENDAR)
    other = committed(tmp_path / "other", {"z.py": ""})
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(other / ".git/index"))
    assert list((await opened(root)).paths()) == paths(SOURCES)


async def test_what_a_copy_needs(tmp_path: Path, opened: Opener) -> None:
    """Besides the project's files, a copy has build products that code imports, and nothing of tools."""
    ignored = "*.so\n*.egg-info/\n_version.py\nbuild/\n.venv/\n__pycache__/\nnode_modules/\ndata/\n*.log\n"
    needed = {
        "pkg/fast.cpython-311-x86_64-linux-gnu.so": "",
        "pkg/_version.py": "v = 1\n",
        "pkg.egg-info/PKG-INFO": "",
        "build/lib/pkg/slow.so": "",
        "build/lib/pkg/_version.py": "",
        "untracked.txt": "",
    }
    unneeded = {
        ".venv/pyvenv.cfg": "",
        ".venv/lib/x.so": "",
        "__pycache__/a.so": "",
        "node_modules/b.so": "",
        "data/big.csv": "",
        "a.log": "",
        "build/x.o": "",
        "build/y.py": "",
    }
    for root in (committed(tmp_path / "git", CALENDAR | {".gitignore": ignored}), tmp_path / "plain"):
        write(root, CALENDAR | {".gitignore": ignored} | needed | unneeded)
        (root / "alias").symlink_to("README.md")
        (root / "gone.txt").symlink_to("missing")
        repository = await opened(root)
        assert set(repository.snapshot_files()) == set(paths([*CALENDAR, ".gitignore", *needed, "alias", "gone.txt"]))


@pytest.mark.parametrize(
    ("pattern", "yes", "no"),
    [
        ("*.py", ["a.py", "b/c.py"], ["a.pyc"]),
        ("/a.py", ["a.py"], ["b/a.py"]),
        ("a/b", ["a/b"], ["c/a/b"]),
        ("**/b", ["b", "a/b", "a/c/b"], ["ab"]),
        ("a/**", ["a/b", "a/b/c"], ["a"]),
        ("a/**/z", ["a/z", "a/b/z", "a/b/c/z"], ["az"]),
        ("a?c", ["abc"], ["a/c", "ac"]),
        ("[ab].txt", ["a.txt"], ["c.txt"]),
        ("[!ab].txt", ["c.txt"], ["a.txt"]),
        ("\\#a", ["#a"], ["a"]),
        ("# a", [], ["# a", "a"]),
        ("a ", ["a"], ["a "]),
        ("[", [], ["a"]),
    ],
)
def test_ignore_patterns(pattern: str, yes: list[str], no: list[str]) -> None:
    """Patterns mean what gitignore(5) says."""
    rules = parse_rules(pattern)
    assert [path for path in yes if is_ignored(path, folder=False, rules=rules) is not True] == []
    assert [path for path in no if is_ignored(path, folder=False, rules=rules)] == []


@given(st.text(st.sampled_from("ab/*?[]!\\ #.\n"), max_size=12))
def test_any_ignore_file_is_read(text: str) -> None:
    """No ignore file breaks the walk."""
    for path in ("a", "a/b", "b.a"):
        is_ignored(path, folder=True, rules=parse_rules(text))


def test_importing_is_light() -> None:
    """Importing the room loads neither the grammar nor the event loop."""
    code = (
        "import sys, thinklonger.agent.repository\n"
        "heavy = {'asyncio', 'tree_sitter', 'sqlite3', 'subprocess', 'json'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
