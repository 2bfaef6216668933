"""Accepting a patch writes all of it or nothing, through no link, over no one's work."""

import os
import resource
import stat
import subprocess
import sys
from pathlib import Path, PurePosixPath

import pytest

from thinklonger.agent.edits import write_changes
from thinklonger.agent.errors import EditError
from thinklonger.agent.types import Changes, FileChange, FileState

A, B, NEW = PurePosixPath("pkg/a.py"), PurePosixPath("pkg/b.py"), PurePosixPath("fresh/deep/new.py")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A small tree: two files in a package, one beside it, with old times."""
    folder = tmp_path / "repo"
    (folder / "pkg").mkdir(parents=True)
    (folder / "pkg/a.py").write_bytes(b"a = 1\n")
    (folder / "pkg/b.py").write_bytes(b"b = 1\n")
    (folder / "other.py").write_bytes(b"c = 1\n")
    (folder / "pkg/a.py").chmod(0o640)
    for place in (*folder.rglob("*"), folder):
        os.utime(place, ns=(10**18, 10**18))
    return folder


def snapshot(root: Path) -> dict[str, tuple[int, int, int, bytes]]:
    """Everything below the folder, itself too: inode, mode, time of change and bytes."""
    found: dict[str, tuple[int, int, int, bytes]] = {}
    for place in (root, *sorted(root.rglob("*"))):
        status = place.lstat()
        content = place.read_bytes() if stat.S_ISREG(status.st_mode) else b""
        found[str(place)] = (status.st_ino, status.st_mode, status.st_mtime_ns, content)
    return found


def change(path: PurePosixPath, before: bytes | None, after: bytes | None) -> FileChange:
    """A change of plain contents."""
    return FileChange(path, None if before is None else FileState(before), None if after is None else FileState(after))


EDIT_A = change(A, b"a = 1\n", b"a = 2\n")
EDIT_B = change(B, b"b = 1\n", b"b = 2\n")


def refused(changes: Changes, root: Path) -> EditError:
    """The error of a write that must leave no trace."""
    before = snapshot(root)
    with pytest.raises(EditError) as caught:
        write_changes(changes, root)
    assert snapshot(root) == before
    assert str(caught.value)
    return caught.value


def test_all_kinds_of_changes(root: Path) -> None:
    """Edited, made in new folders, renamed, deleted; modes kept, others untouched, nothing left behind."""
    other = (root / "other.py").stat()
    moved = FileChange(PurePosixPath("c.py"), FileState(b"b = 1\n"), FileState(b"b = 3\n", executable=True), B)
    write_changes((moved, change(NEW, None, b"n = 1\n"), EDIT_A), root)
    files = {place.relative_to(root).as_posix(): place for place in root.rglob("*") if place.is_file()}
    assert set(files) == {"pkg/a.py", "c.py", "fresh/deep/new.py", "other.py"}
    assert files["pkg/a.py"].read_bytes() == b"a = 2\n"
    assert stat.S_IMODE(files["pkg/a.py"].stat().st_mode) == 0o640
    assert files["c.py"].read_bytes() == b"b = 3\n"
    assert files["c.py"].stat().st_mode & 0o111
    assert files["fresh/deep/new.py"].read_bytes() == b"n = 1\n"
    assert (root / "other.py").stat() == other


def test_new_files_obey_the_umask(root: Path) -> None:
    """A new file gets the permissions that the user's other programs would give it."""
    old = os.umask(0o027)
    try:
        write_changes((FileChange(NEW, None, FileState(b"", executable=True)),), root)
    finally:
        os.umask(old)
    assert stat.S_IMODE((root / NEW).stat().st_mode) == 0o750


def test_folders_left_empty_go(root: Path) -> None:
    """As with git, a folder whose last file is deleted disappears."""
    write_changes((change(A, b"a = 1\n", None), change(B, b"b = 1\n", None)), root)
    assert not (root / "pkg").exists()
    assert (root / "other.py").exists()


def test_files_that_swap_names(root: Path) -> None:
    """Renames in a circle end where they should."""
    write_changes(
        (
            FileChange(A, FileState(b"b = 1\n"), FileState(b"b = 1\n"), B),
            FileChange(B, FileState(b"a = 1\n"), FileState(b"a = 1\n"), A),
        ),
        root,
    )
    assert ((root / A).read_bytes(), (root / B).read_bytes()) == (b"b = 1\n", b"a = 1\n")


@pytest.mark.parametrize(
    "stale",
    [
        change(B, b"b = 0\n", b"b = 2\n"),
        change(B, None, b"b = 2\n"),
        change(B, b"b = 0\n", None),
        change(NEW, b"n = 0\n", b"n = 1\n"),
        FileChange(B, FileState(b"b = 1\n", executable=True), FileState(b"b = 2\n", executable=True)),
        FileChange(B, FileState(b"c = 1\n"), FileState(b"c = 1\n"), PurePosixPath("other.py")),
    ],
)
def test_work_done_meanwhile_is_not_overwritten(root: Path, stale: FileChange) -> None:
    """One file that isn't as the patch knew it stops the whole write."""
    assert refused((EDIT_A, stale), root).message.key == "edits.changed-meanwhile"


@pytest.mark.parametrize("link", ["pkg/a.py", "pkg"])
def test_links_are_not_written_through(root: Path, tmp_path: Path, link: str) -> None:
    """Neither the file nor a folder above it may be a link, wherever it leads."""
    target = tmp_path / "elsewhere"
    (root / link).rename(target)
    (root / link).symlink_to(target)
    assert refused((EDIT_A,), root).message.key == "edits.path-symlink"


def test_links_that_appear_in_the_middle_are_not_written_through(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even past the first look, opening a folder never follows a link."""
    (root / "pkg").rename(tmp_path / "elsewhere")
    (root / "pkg").symlink_to(tmp_path / "elsewhere")
    monkeypatch.setattr("thinklonger.agent.edits.writing.confine", lambda path, _: path)
    assert refused((EDIT_A,), root).message.key == "edits.not-written"
    assert (tmp_path / "elsewhere/a.py").read_bytes() == b"a = 1\n"


@pytest.mark.parametrize("path", ["../out.py", "/out.py", ".git/config"])
def test_paths_are_confined(root: Path, path: str) -> None:
    """Changes from elsewhere are held to the same places as edits."""
    assert refused((EDIT_A, change(PurePosixPath(path), None, b"")), root).message.key.startswith("edits.path-")


def test_a_folder_in_the_place_of_a_new_file(root: Path) -> None:
    """A folder is never replaced."""
    assert refused((EDIT_B, change(PurePosixPath("pkg"), None, b"")), root).message.key == "edits.path-folder"


@pytest.mark.parametrize("fails_at", range(4))
def test_a_swap_that_fails_takes_the_others_back(root: Path, monkeypatch: pytest.MonkeyPatch, fails_at: int) -> None:
    """Whichever file can't be put in place, those before it return to what they were, times included."""
    real, calls = os.fsync, 0

    def fsync(descriptor: int) -> None:
        nonlocal calls
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            calls += 1
            if calls > fails_at:
                raise OSError(5, "Input/output error")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    changes = (change(NEW, None, b"n = 1\n"), EDIT_A, EDIT_B, change(PurePosixPath("other.py"), b"c = 1\n", None))
    error = refused(changes, root)
    assert error.message.key == "edits.not-written"
    assert error.message.params["reason"] == "Input/output error"


def test_an_interrupt_takes_everything_back(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C after the first of two files was put in place leaves the tree as it was."""
    before, real, swapped = snapshot(root), os.replace, 0

    def replace(source: str, target: str, **folders: int) -> None:
        nonlocal swapped
        swapped += 1
        if swapped == 2:
            raise KeyboardInterrupt
        real(source, target, **folders)

    monkeypatch.setattr(os, "replace", replace)
    with pytest.raises(KeyboardInterrupt):
        write_changes((EDIT_A, EDIT_B), root)
    assert swapped > 2
    assert snapshot(root) == before


def test_a_full_disk_leaves_the_tree_as_it_was(root: Path) -> None:
    """A limit on file sizes stops the second file's bytes: neither is written."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = snapshot(root)
    script = f"""
import resource, sys
from pathlib import Path, PurePosixPath
from thinklonger.agent.edits import write_changes
from thinklonger.agent.errors import EditError
from thinklonger.agent.types import FileChange, FileState
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, {hard}))
small = FileChange(PurePosixPath("pkg/a.py"), FileState(b"a = 1\\n"), FileState(b"a = 2\\n"))
large = FileChange(PurePosixPath("pkg/b.py"), FileState(b"b = 1\\n"), FileState(b"#" * 100_000))
try:
    write_changes((small, large), Path(sys.argv[1]))
except EditError as error:
    print(error.message.key, error.message.params["path"])
"""
    run = subprocess.run([sys.executable, "-c", script, str(root)], capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["edits.not-written", "pkg/b.py"]
    assert snapshot(root) == before
    assert resource.getrlimit(resource.RLIMIT_FSIZE) == (soft, hard)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a tiny disk")
def test_a_really_full_disk(root: Path, tmp_path: Path) -> None:
    """On a disk with 64 KiB, a patch that doesn't fit leaves no trace."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("this container may not mount")
    try:
        (disk / "pkg").mkdir()
        (disk / "pkg/a.py").write_bytes(b"a = 1\n")
        (disk / "pkg/b.py").write_bytes(b"b = 1\n")
        error = refused((EDIT_A, change(B, b"b = 1\n", b"#" * 100_000)), disk)
        assert error.message.params["reason"] == "No space left on device"
    finally:
        subprocess.run(["umount", str(disk)], check=True)
    assert root.exists()


def test_without_hard_links(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a file system that has none, files are still swapped and taken back."""

    def link(*_: object, **__: object) -> None:
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", link)
    assert refused((EDIT_A, change(B, b"b = 0\n", None)), root)
    write_changes((EDIT_A, change(NEW, None, b"n = 1\n"), change(B, b"b = 1\n", None)), root)
    files = {place.relative_to(root).as_posix(): place.read_bytes() for place in root.rglob("*") if place.is_file()}
    assert files == {"pkg/a.py": b"a = 2\n", "fresh/deep/new.py": b"n = 1\n", "other.py": b"c = 1\n"}


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder(root: Path) -> None:
    """A folder that can't be written is said, and nothing changes."""
    (root / "pkg").chmod(0o500)
    try:
        assert refused((EDIT_A,), root).message.key == "edits.not-written"
    finally:
        (root / "pkg").chmod(0o700)
