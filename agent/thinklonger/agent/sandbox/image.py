"""The image that containers start from: nothing but the places where this machine's own system is shown read-only."""

from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from thinklonger.agent.sandbox.confinement import SYSTEM_FILES, SYSTEM_FOLDERS
from thinklonger.agent.sandbox.layering import SCRATCH_MODE, Tape

FOLDERS = ("usr", "etc", "proc", "sys", "dev", "run/thinklonger")
"""Where something is mounted, and what must be there for it."""


def skeleton(uid: int, gid: int) -> bytes:
    """The image as a tar: empty folders, this machine's links of the root folder, users of its own."""
    tape = Tape()
    for name in FOLDERS:
        tape.folder(name)
    tape.folder("tmp", SCRATCH_MODE)
    for name in SYSTEM_FOLDERS:
        place = Path("/", name)
        if place.is_symlink():
            tape.link(name, str(place.readlink()))
        elif place.is_dir():
            tape.folder(name)
    texts = {
        "passwd": f"root:x:0:0::/root:/bin/sh\nsandbox:x:{uid}:{gid}::/tmp/home:/bin/sh\n",
        "group": f"root:x:0:\nsandbox:x:{gid}:\n",
        "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\n",
    }
    for name, text in texts.items():
        tape.file(f"etc/{name}", text.encode(), mode=0o644)
    return tape.bytes()


def system() -> Mapping[PurePosixPath, str]:
    """What of this machine's own system such an image shows: programs and libraries, and a few files of /etc."""
    shown = {PurePosixPath("/usr"): "/usr"}
    for name in SYSTEM_FOLDERS:
        place = Path("/", name)
        if place.is_dir() and not place.is_symlink():
            shown[PurePosixPath(place)] = str(place)
    for name in SYSTEM_FILES:
        if Path(name).exists():
            shown[PurePosixPath(name)] = str(Path(name).resolve())
    return shown


def with_nested(shown: Mapping[PurePosixPath, str]) -> Mapping[PurePosixPath, str]:
    """The same, and what is mounted inside: the engine would show that with its own rights, not read-only."""
    found = dict(shown)
    for line in Path("/proc/self/mountinfo").read_text("utf-8", "surrogateescape").splitlines():
        place = PurePosixPath(line.split()[4].encode().decode("unicode_escape"))
        for inside, source in shown.items():
            if place != PurePosixPath(source) and place.is_relative_to(source):
                found[inside / place.relative_to(source)] = str(place)
    return found


def git_skeleton(tape: Tape, folder: str = "") -> None:
    """An empty repository, as a session without a history of its own shows at `.git`."""
    for name in ("objects", "refs"):
        tape.folder(f"{folder}{name}")
    tape.file(f"{folder}HEAD", b"ref: refs/heads/main\n", mode=0o644)
    tape.file(f"{folder}config", b"[core]\nrepositoryformatversion = 0\nbare = false\n", mode=0o644)
