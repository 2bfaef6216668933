"""Blocks, edits, changes and git diffs say the same, whatever is in the files."""

import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from thinklonger.agent.edits import (
    Create,
    Delete,
    Edit,
    MemoryTree,
    Rename,
    Replace,
    SetMode,
    apply_edits,
    edits_of,
    layer_of,
    parse_blocks,
    parse_diff,
    render_blocks,
    render_diff,
    write_changes,
)
from thinklonger.agent.errors import EditError
from thinklonger.agent.types import Changes, FileChange, FileState

LINES = st.sampled_from(
    [
        "x = 1",
        "x = 2",
        "    return x",
        "\treturn x",
        "",
        " ",
        "\f",
        "a\x0bb\x0cc\x1c\x1d\x1e\x85d\u2028e\u2029f",
        "lone\rreturn",
        "=======",
        ">>>>>>> REPLACE",
        "<<<<<<< SEARCH",
        "<<<<<<<<< SEARCH",
        "```python",
        "### other.py",
        "\\ No newline at end of file",
        "\\\\ No newline at end of file",
        "diff --git a/x b/x",
        "--- a/x",
        "-- ",
        "@@ -1 +1 @@",
        "é 中文 🐍",
        "\ufeff",
    ]
)
ENDINGS = st.sampled_from(["\n", "\n", "\n", "\r\n", "\r\r\n"])
TEXTS = st.builds(
    lambda lines, last: "".join(line + ending for line, ending in lines) + last,
    st.lists(st.tuples(LINES, ENDINGS), max_size=8),
    st.sampled_from(["", "", "", "no newline", "\\ No newline at end of file", "\r"]),
)
CONTENTS = st.one_of(
    TEXTS.map(lambda text: text.encode()),
    TEXTS.map(lambda text: b"\xef\xbb\xbf" + text.encode()),
    TEXTS.map(lambda text: b"# -*- coding: latin-1 -*-\n" + text.encode("latin-1", "replace") + b"\xe9\n"),
    TEXTS.map(lambda text: b"#!/usr/bin/python\n# coding: gbk\n" + text.encode("gbk", "replace")),
    TEXTS.map(lambda text: b"# coding: utf-7\n" + text.encode()),
    st.binary(max_size=40),
)
"""Bytes of the kinds that repositories hold: other line ends, other encodings, none at all."""

STATES = st.builds(FileState, CONTENTS, st.booleans())
NAMES = ["a.py", "b.py", "pkg/c.py", "pkg/d e.txt", '中文/é "q".py', "new\nline\t.py", "tail ", "odd\udcff.bin"]
PATHS = st.sampled_from([PurePosixPath(name) for name in NAMES])


@st.composite
def trees_and_changes(draw: st.DrawFn) -> tuple[dict[PurePosixPath, FileState], Changes]:
    """Files of a tree, and canonical changes of them: edited, made, deleted, renamed (in circles, too)."""
    files = draw(st.dictionaries(PATHS, STATES, max_size=5))
    free = [path for path in map(PurePosixPath, NAMES) if path not in files]
    changes: list[FileChange] = []
    movable = draw(st.lists(st.sampled_from(sorted(files)), unique=True, max_size=3)) if files else []
    targets = draw(st.permutations([*movable, *free]))
    moved = {old: new for old, new in zip(movable, targets, strict=False) if old != new}
    while any(new in files and new not in moved for new in moved.values()):
        moved = {old: new for old, new in moved.items() if new not in files or new in moved}
    for old, new in moved.items():
        after = draw(st.one_of(st.just(files[old]), similar_states(files[old])))
        changes.append(FileChange(new, files[old], after, old))
    for path, state in files.items():
        if path not in moved:
            after = draw(st.one_of(st.none(), st.just(state), similar_states(state)))
            if after != state:
                changes.append(FileChange(path, state, after))
    made = [path for path in free if path not in moved.values() and draw(st.booleans())]
    changes += [FileChange(path, None, draw(STATES)) for path in made]
    return files, tuple(sorted(changes, key=lambda change: change.path.as_posix()))


def similar_states(state: FileState) -> st.SearchStrategy[FileState]:
    """States that an edit of `state` may lead to: some lines of it, others around them."""
    lines = state.content.split(b"\n")
    kept = st.lists(st.one_of(st.sampled_from(lines), LINES.map(str.encode)), max_size=8).map(b"\n".join)
    return st.builds(FileState, st.one_of(kept, CONTENTS), st.booleans())


@pytest.fixture(autouse=True)
def anything_parses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Round trips are about bytes; what must parse is tested elsewhere."""
    monkeypatch.setattr("thinklonger.agent.edits.application._check_parses", lambda change: change)


EDITS = st.one_of(
    st.builds(Replace, PATHS, TEXTS.filter(bool), TEXTS),
    st.builds(Create, PATHS, TEXTS),
    st.builds(Delete, PATHS),
    st.builds(Rename, PATHS, PATHS),
    st.builds(SetMode, PATHS, st.booleans()),
)


@given(st.lists(EDITS, min_size=1, max_size=5).map(tuple))
def test_blocks_give_their_edits_back(edits: tuple[Edit, ...]) -> None:
    """Any edits survive being written as blocks, markers and fences in their text included."""
    assert parse_blocks(render_blocks(edits)) == edits


@given(st.lists(EDITS, min_size=1, max_size=3).map(tuple))
def test_blocks_survive_prose_and_fences(edits: tuple[Edit, ...]) -> None:
    """What stands between blocks changes nothing."""
    fenced = "\n".join(f"Next I change this:\n\n````\n{render_blocks([edit])}````\n" for edit in edits)
    assert parse_blocks(f"First some words.\n\n{fenced}\nThat is all.") == edits


RELAXED = settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None)


@RELAXED
@given(trees_and_changes())
def test_edits_of_changes_make_them_again(case: tuple[Mapping[PurePosixPath, FileState], Changes]) -> None:
    """Changes → edits → changes is the identity, and so is the way over blocks."""
    files, changes = case
    edits = edits_of(changes)
    assert apply_edits(edits, MemoryTree(files)) == changes
    if edits:
        assert parse_blocks(render_blocks(edits)) == edits


@RELAXED
@given(trees_and_changes())
def test_diffs_give_their_changes_back(case: tuple[Mapping[PurePosixPath, FileState], Changes]) -> None:
    """Changes → git diff → changes is the identity."""
    files, changes = case
    assert parse_diff(render_diff(changes), MemoryTree(files)) == changes


@settings(RELAXED, max_examples=30)
@given(trees_and_changes())
def test_git_applies_what_we_print(
    tmp_path_factory: pytest.TempPathFactory, case: tuple[Mapping[PurePosixPath, FileState], Changes]
) -> None:
    """`git apply` of the diff, our own writing, and the layer leave the same tree."""
    files, changes = case
    by_git, by_us = tmp_path_factory.mktemp("git"), tmp_path_factory.mktemp("us")
    for root in (by_git, by_us):
        lay_out(files, root)
    write_changes(changes, by_us)
    if changes:
        git(by_git, "init", "-q")
        git(by_git, "apply", "--whitespace=nowarn", stdin=render_diff(changes).encode("utf-8", "surrogateescape"))
    expected = dict(files) | {path: state for path, state in layer_of(changes).items() if state is not None}
    expected = {path: state for path, state in expected.items() if layer_of(changes).get(path, state) is not None}
    assert contents(by_us) == expected
    assert contents(by_git) == expected


@settings(RELAXED, max_examples=30)
@given(trees_and_changes(), st.sampled_from(["--no-renames", "--find-renames=30%"]))
def test_we_read_what_git_prints(
    tmp_path_factory: pytest.TempPathFactory, case: tuple[Mapping[PurePosixPath, FileState], Changes], renames: str
) -> None:
    """A diff that git made of two trees leads to the second one."""
    files, changes = case
    root = tmp_path_factory.mktemp("repo")
    git(root, "init", "-q")
    lay_out(files, root)
    first, second = "", ""
    for step in ("before", "after"):
        if step == "after":
            write_changes(changes, root)
        git(root, "add", "-A", "-f")
        first, second = second, git(root, "write-tree").decode().strip()
    printed = git(root, "diff", renames, "--binary", "--full-index", first, second).decode("utf-8", "surrogateescape")
    assume("\ndelta " not in printed)
    layer = layer_of(parse_diff(printed, MemoryTree(files)))
    result = {path: state for path, state in {**files, **layer}.items() if state is not None}
    assert result == contents(root)


BROKEN = st.lists(
    st.one_of(LINES, st.text(max_size=10), st.sampled_from([*"<=>@+-", "<" * 7 + " MODE", ">" * 7 + " REPLACE"])),
    max_size=12,
).map("\n".join)


@given(BROKEN)
def test_whatever_a_model_writes_is_edits_or_an_error(answer: str) -> None:
    """No text makes the readers fail in any other way than with an EditError that can be said."""
    said = [refusal(parse_blocks, answer), refusal(read_as_diff, answer)]
    assert "".join(said).isprintable()


def read_as_diff(text: str) -> Changes:
    """The changes of a diff's remainder."""
    return parse_diff(f"diff --git a/a.py b/a.py\n{text}", MemoryTree())


def refusal(read: Callable[[str], object], text: str) -> str:
    """What the reader says against the text; empty where it takes it."""
    try:
        read(text)
    except EditError as error:
        return str(error)
    return ""


def lay_out(files: Mapping[PurePosixPath, FileState], root: Path) -> None:
    """Write the files of a generated tree."""
    for path, state in files.items():
        place = root / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(state.content)
        place.chmod(0o755 if state.executable else 0o644)


def contents(root: Path) -> dict[PurePosixPath, FileState]:
    """All regular files below a folder, git's own left out."""
    return {
        PurePosixPath(place.relative_to(root)): FileState(place.read_bytes(), bool(place.stat().st_mode & 0o100))
        for place in root.rglob("*")
        if place.is_file() and ".git" not in place.relative_to(root).parts
    }


def git(folder: Path, *arguments: str, stdin: bytes = b"") -> bytes:
    """Run git with no settings but the repository's own."""
    environment = {
        "PATH": "/usr/bin:/bin:/usr/local/bin",
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_CONFIG_SYSTEM": "/dev/null",
    }
    run = subprocess.run(
        ["git", "-c", "core.autocrlf=false", *arguments],
        cwd=folder,
        env=environment,
        input=stdin,
        capture_output=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    return run.stdout
