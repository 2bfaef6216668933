"""Edits apply all or nothing, inside the repository only, in the file's encoding, and leave Python that parses."""

import os
from pathlib import Path, PurePosixPath

import pytest

from thinklonger.agent.edits import (
    Create,
    Delete,
    DirectoryTree,
    Edit,
    MemoryTree,
    Rename,
    Replace,
    SetMode,
    apply_edits,
    edits_of,
    layer_of,
)
from thinklonger.agent.errors import EditError, RepositoryError
from thinklonger.agent.types import FileChange, FileState

A, B = PurePosixPath("a.py"), PurePosixPath("b.py")


def tree(**files: bytes) -> MemoryTree:
    """A tree of Python files."""
    return MemoryTree({PurePosixPath(f"{name}.py"): FileState(content) for name, content in files.items()})


def refused(edits: list[Edit], files: MemoryTree | DirectoryTree) -> EditError:
    """The error that the edits raise."""
    with pytest.raises(EditError) as caught:
        apply_edits(edits, files)
    assert str(caught.value)
    return caught.value


def test_edits_build_on_each_other() -> None:
    """Each edit sees the result of those before it; what cancels out is no change."""
    files = tree(a=b"x = 1\n")
    assert apply_edits([Replace(A, "x = 1\n", "x = 2\n"), Replace(A, "x = 2\n", "x = 3\n")], files) == (
        FileChange(A, FileState(b"x = 1\n"), FileState(b"x = 3\n")),
    )
    assert apply_edits([Replace(A, "x = 1\n", "x = 2\n"), Replace(A, "x = 2\n", "x = 1\n")], files) == ()
    assert apply_edits([Create(B, "y = 1\n"), Delete(B)], files) == ()


def test_all_or_nothing() -> None:
    """One edit that fails takes the others with it."""
    files = tree(a=b"x = 1\n")
    assert refused([Replace(A, "x = 1\n", "x = 2\n"), Delete(B)], files).message.key == "edits.no-file"
    assert files.files[A].content == b"x = 1\n"


def test_create_fills_only_what_is_empty() -> None:
    """A file with content is never overwritten by a block without a search part."""
    files = tree(a=b"x = 1\n", b=b"")
    assert refused([Create(A, "y\n")], files).message.key == "edits.exists"
    assert refused([Replace(A, "", "y\n")], files).message.key == "edits.exists"
    assert apply_edits([Create(B, "y = 1\n")], files)[0].after == FileState(b"y = 1\n")


def test_renames() -> None:
    """A rename is one change; onto a taken path it is refused; over a deleted file it is said as two changes."""
    files = tree(a=b"x = 1\n", b=b"y = 1\n")
    to = PurePosixPath("c.py")
    assert apply_edits([Rename(A, to), SetMode(to, executable=True)], files) == (
        FileChange(to, FileState(b"x = 1\n"), FileState(b"x = 1\n", executable=True), A),
    )
    assert refused([Rename(A, B)], files).message.key == "edits.exists"
    assert apply_edits([Delete(B), Rename(A, B)], files) == (
        FileChange(A, FileState(b"x = 1\n"), None),
        FileChange(B, FileState(b"y = 1\n"), FileState(b"x = 1\n")),
    )
    assert apply_edits([Rename(A, to), Create(A, "z = 1\n")], files) == (
        FileChange(A, FileState(b"x = 1\n"), FileState(b"z = 1\n")),
        FileChange(to, None, FileState(b"x = 1\n")),
    )


def test_layer_removes_what_was_renamed_or_deleted() -> None:
    """A sandbox must not see the old path of a rename, unless another file took it."""
    files = tree(a=b"x = 1\n", b=b"y = 1\n")
    spare = PurePosixPath("spare.py")
    swapped = apply_edits([Rename(A, spare), Rename(B, A), Rename(spare, B)], files)
    assert layer_of(swapped) == {A: FileState(b"y = 1\n"), B: FileState(b"x = 1\n")}
    assert layer_of(apply_edits([Rename(A, spare), Delete(B)], files)) == {
        A: None,
        B: None,
        spare: FileState(b"x = 1\n"),
    }


def test_python_must_parse() -> None:
    """An edit that breaks a file is refused with the line; a file that was broken may stay so."""
    error = refused([Replace(A, "x = 1\n", "y = 0\nx = (\n")], tree(a=b"x = 1\n"))
    assert error.message.key == "edits.syntax"
    assert error.message.params["line"] == 2
    assert refused([Create(B, "def f(:\n")], tree()).message.key == "edits.syntax"
    assert refused([Replace(A, "x\n", "x\0\n")], tree(a=b"x\n")).message.key == "edits.syntax"
    assert apply_edits([Replace(A, "x = (\n", "x = [\n")], tree(a=b"x = (\n"))
    assert apply_edits([Create(PurePosixPath("a.txt"), "def f(:\n")], tree())


@pytest.mark.parametrize("codec", ["latin-1", "cp1252", "gbk", "shift_jis", "koi8-r"])
def test_the_coding_line_decides(codec: str) -> None:
    """A Python file is matched and written in the encoding that it declares."""
    text = {"gbk": "中文", "shift_jis": "日本", "koi8-r": "да"}.get(codec, "é")
    content = f"# coding: {codec}\ns = '{text}'\n".encode(codec)
    (change,) = apply_edits([Replace(A, f"s = '{text}'\n", f"s = '{text}{text}'\n")], tree(a=content))
    assert change.after == FileState(f"# coding: {codec}\ns = '{text}{text}'\n".encode(codec))
    error = refused([Replace(A, f"s = '{text}'\n", "s = '🐍'\n")], tree(a=content))
    assert error.message.key == "edits.not-encodable"
    assert error.message.params["character"] == "U+1F40D"


def test_a_changed_coding_line_changes_the_bytes() -> None:
    """The text stays the same when the declared encoding changes."""
    content = "# coding: latin-1\ns = 'é'\n".encode("latin-1")
    (change,) = apply_edits([Replace(A, "# coding: latin-1\n", "# coding: utf-8\n")], tree(a=content))
    assert change.after == FileState("# coding: utf-8\ns = 'é'\n".encode())


def test_modes() -> None:
    """An edit keeps the executable bit; SetMode changes nothing else."""
    files = MemoryTree({A: FileState(b"x = 1\n", executable=True)})
    assert apply_edits([Replace(A, "x = 1\n", "x = 2\n")], files)[0].after == FileState(b"x = 2\n", executable=True)
    assert apply_edits([SetMode(A, executable=False)], files)[0].after == FileState(b"x = 1\n")
    assert apply_edits([SetMode(A, executable=True)], files) == ()


HOSTILE = [
    "/etc/passwd",
    "../outside.py",
    "pkg/../../outside.py",
    "C:/windows.py",
    "c:windows.py",
    "pkg\\..\\outside.py",
    "a\0.py",
    ".",
    ".git/config",
    ".GIT/config",
    "sub/.git/hooks/post-checkout",
    ".git",
    ".git /config",
    ".git./config",
    ".g\u200cit/config",
    "git~1/config",
    "lone\ud800surrogate.py",
    ".git::$INDEX_ALLOCATION/config",
]


@pytest.mark.parametrize("path", HOSTILE)
def test_paths_are_confined(path: str) -> None:
    """Whatever kind of edit names it, a path outside, or inside .git, is refused."""
    hostile = PurePosixPath(path)
    for edit in (
        Create(hostile, ""),
        Replace(hostile, "a\n", ""),
        Delete(hostile),
        Rename(hostile, B),
        Rename(A, hostile),
        SetMode(hostile, executable=True),
    ):
        assert refused([edit], tree(a=b"x = 1\n")).message.key.startswith("edits.path-")
    with pytest.raises(RepositoryError):
        tree().read(hostile)
    with pytest.raises(RepositoryError):
        DirectoryTree(Path("/")).read(hostile)


def test_symbolic_links_are_not_edited(tmp_path: Path) -> None:
    """Neither a link nor anything below one, wherever it leads, and a dangling one neither."""
    root = tmp_path / "repo"
    (root / "pkg").mkdir(parents=True)
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/secret.py").write_text("key = 1\n")
    (root / "file.py").symlink_to(tmp_path / "outside/secret.py")
    (root / "folder").symlink_to(tmp_path / "outside")
    (root / "inside").symlink_to("pkg")
    (root / "dangling.py").symlink_to(tmp_path / "outside/new.py")
    files = DirectoryTree(root)
    for path in ("file.py", "folder/secret.py", "folder/new.py", "inside/new.py", "dangling.py"):
        assert files.read(PurePosixPath(path)) is None
        error = refused([Create(PurePosixPath(path), "x = 1\n")], files)
        assert error.message.key == "edits.path-symlink"


def test_folders_and_files_are_not_mixed_up(tmp_path: Path) -> None:
    """A folder can't be written as a file, nor a file used as a folder."""
    (tmp_path / "pkg").mkdir()
    (tmp_path / "a.py").write_text("x = 1\n")
    files = DirectoryTree(tmp_path)
    assert refused([Create(PurePosixPath("pkg"), "")], files).message.key == "edits.path-folder"
    assert refused([Create(PurePosixPath("a.py/b.py"), "")], files).message.key == "edits.parent-is-file"
    memory = tree()
    assert refused([Create(A, ""), Create(A / "b.py", "")], memory).message.key == "edits.parent-is-file"


def test_a_folder_is_read_as_it_is(tmp_path: Path) -> None:
    """The tree on disk gives bytes and the executable bit, None for what is no file, and never hangs on a pipe."""
    (tmp_path / "run.sh").write_bytes(b"#!/bin/sh\r\n")
    (tmp_path / "run.sh").chmod(0o755)
    files = DirectoryTree(tmp_path)
    assert files.read(PurePosixPath("run.sh")) == FileState(b"#!/bin/sh\r\n", executable=True)
    assert files.read(PurePosixPath("none/at/all")) is None
    assert files.read(PurePosixPath("run.sh/below")) is None
    os.mkfifo(tmp_path / "pipe")
    assert files.read(PurePosixPath("pipe")) is None


def test_blocks_shown_for_changes_are_small() -> None:
    """A one-line change in a repetitive file is shown with just the context that makes it unique."""
    before = b"".join(b"def f%d():\n    x = 1\n    return x\n" % number for number in range(50))
    after = before.replace(b"def f7():\n    x = 1\n", b"def f7():\n    x = 2\n")
    assert edits_of((FileChange(A, FileState(before), FileState(after)),)) == (
        Replace(A, "def f7():\n    x = 1\n", "def f7():\n    x = 2\n"),
    )
