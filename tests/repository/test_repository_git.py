"""Git on the host, in a repository whose configuration names programs wherever git would run one: none ever runs."""

import os
import stat
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest

from thinklonger.agent.repository import git
from thinklonger.agent.repository.moment import moment_of, version_of

HOOKS = (
    "post-checkout",
    "post-index-change",
    "pre-commit",
    "fsmonitor-watchman",
    "reference-transaction",
    "post-merge",
)
SECTIONS = {
    "core": (
        *("fsmonitor", "pager", "editor", "sshCommand", "gitProxy", "askPass", "alternateRefsCommand"),
        *("virtualfilesystem",),
    ),
    "pager": ("log", "ls-files", "rev-parse", "cat-file"),
    "alias": (),
    "credential": ("helper",),
    "gpg": ("program",),
    'gpg "ssh"': ("program",),
    "diff": ("external",),
    'diff "evil"': ("command", "textconv"),
    'filter "evil"': ("clean", "smudge", "process"),
    'merge "evil"': ("driver",),
    "interactive": ("diffFilter",),
    "sequence": ("editor",),
    "uploadpack": ("packObjectsHook",),
    'trailer "x"': ("command", "cmd"),
}
"""Settings whose value git runs, by section."""


def hostile(root: Path) -> Path:
    """A repository with one commit and all of that; what any of it would leave behind."""
    ran, evil, hooks = root.parent / "ran", root.parent / "evil", root.parent / "hooks"
    hooks.mkdir()
    for place in (evil, *(hooks / name for name in HOOKS)):
        place.write_text(f'#!/bin/sh\necho "$0 $*" >>{ran}\nexit 1\n')
        place.chmod(0o755)
    root.mkdir()
    for arguments in (("init", "-q"), ("add", "."), ("commit", "-q", "-m", "one", "--allow-empty")):
        if arguments[0] == "add":
            (root / "a.py").write_text("x = 1\n")
            (root / ".gitattributes").write_text("* diff=evil filter=evil merge=evil\n")
        plain(root, *arguments)
    lines = [f"[{name}]\n" + "".join(f"\t{key} = {evil}\n" for key in keys) for name, keys in SECTIONS.items()]
    lines += [f"[core]\n\thooksPath = {hooks}\n\tfsmonitorHookVersion = 1\n[log]\n\tshowSignature = true\n"]
    lines += ["[alias]\n" + "".join(f"\t{name} = !{evil}\n" for name in ("log", "ls-files", "rev-parse", "cat-file"))]
    lines += [f'[remote "origin"]\n\turl = ext::{evil}\n\tpromisor = true\n\tpartialclonefilter = blob:none\n']
    lines += [
        f"\tuploadpack = {evil}\n",
        '[protocol "ext"]\n\tallow = always\n',
        "[protocol]\n\tallow = always\n",
    ]
    lines += ["[extensions]\n\tpartialClone = origin\n", f'[submodule "x"]\n\tupdate = !{evil}\n\turl = ext::{evil}\n']
    with (root / ".git" / "config").open("a") as config:
        config.write("".join(lines))
    (root / "a.py").write_text("x = 2\n")
    return ran


def plain(root: Path, *arguments: str) -> None:
    """Git as anybody calls it, but with a name for commits."""
    own = {"GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@b", "GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@b"}
    env: Mapping[str, str] = {"PATH": os.environ["PATH"], "HOME": str(root.parent), **own}
    subprocess.run(
        ["git", "-C", str(root), *arguments],
        env=env,
        capture_output=True,
        stdin=subprocess.DEVNULL,
        check=False,
        timeout=30,
    )


def lose_objects(root: Path) -> None:
    """Remove every object: git would fetch what is missing from the promisor remote."""
    for path in (root / ".git" / "objects").rglob("*"):
        if path.is_file():
            path.chmod(stat.S_IWUSR)
            path.unlink()


@pytest.mark.parametrize("command", [("status",), ("log", "-p"), ("diff",), ("cat-file", "blob", "HEAD:a.py")])
def test_the_plant_is_real(command: tuple[str, ...], tmp_path: Path) -> None:
    """Called without care, git runs what the configuration names: so the next test can fail."""
    ran = hostile(tmp_path / "repo")
    if command[0] == "cat-file":
        lose_objects(tmp_path / "repo")
    plain(tmp_path / "repo", *command)
    assert ran.exists()


@pytest.mark.parametrize("lost", [False, True])
def test_no_call_of_ours_runs_anything(tmp_path: Path, lost: bool) -> None:  # noqa: FBT001 - a parameter of the test
    """Every question that we ask git is answered, or fails, with nothing of the configuration run; nothing changes."""
    root = tmp_path / "repo"
    ran = hostile(root)
    if lost:
        lose_objects(root)
    index = (root / ".git" / "index").read_bytes()
    found = git.work_tree(root)
    assert found is not None
    assert not found.above
    git.head(root)
    assert {entry.path for entry in git.entries(root)} == {".gitattributes", "a.py"}
    assert git.ignored(root) == []
    for ask in (
        lambda: git.changed_paths(root, commits=5),
        lambda: git.run(root, "cat-file", "blob", "HEAD:a.py"),
        lambda: git.run(root, "cat-file", "blob", "HEAD:./a.py"),
        lambda: moment_of(root),
        lambda: version_of(root),
    ):
        try:
            ask()
        except git.GitError:
            assert lost
    assert not ran.exists(), ran.read_text()
    assert (root / ".git" / "index").read_bytes() == index


def test_a_work_tree_elsewhere_is_none_of_ours(tmp_path: Path) -> None:
    """A configuration that says the files are elsewhere does not make us list that other folder."""
    root, other = tmp_path / "repo", tmp_path / "private"
    other.mkdir()
    (other / "secret").write_text("x")
    plain(tmp_path, "init", "-q", str(root))
    with (root / ".git" / "config").open("a") as config:
        config.write(f"[core]\n\tworktree = {other}\n")
    assert git.work_tree(root) is None


def test_git_itself_never_comes_from_where_we_stand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty or relative part of PATH would be the repository's own folder: it is passed over."""
    program = tmp_path / "git"
    program.write_text("#!/bin/sh\ntouch ran\n")
    program.chmod(0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", f":.:{os.path.relpath(tmp_path)}:{os.environ['PATH']}")
    git.executable.cache_clear()
    try:
        found = git.executable()
        assert found is not None
        assert Path(found).is_absolute()
        assert Path(found) != program
    finally:
        git.executable.cache_clear()


def test_the_day_and_the_version_come_from_history(tmp_path: Path) -> None:
    """The commit's day, and the version that the latest tag names; a folder without history has neither."""
    assert (moment_of(tmp_path), version_of(tmp_path)) == (None, "")
    settings = {"GIT_AUTHOR_DATE": "2021-05-04T10:00:00Z", "GIT_COMMITTER_DATE": "2021-05-04T10:00:00Z"}
    variables = {**os.environ, **settings, "GIT_CONFIG_GLOBAL": os.devnull}
    git = ("git", "-c", "user.name=A", "-c", "user.email=a@example.com", "-C", str(tmp_path))
    for words in (("init", "-q"), ("commit", "-q", "--allow-empty", "-m", "x"), ("tag", "release-1.4.2rc1")):
        subprocess.run([*git, *words], check=True, env=variables)
    assert moment_of(tmp_path) == datetime(2021, 5, 4, tzinfo=UTC)
    assert version_of(tmp_path) == "1.4.2rc1"
