"""Makes an installed project run from its sources: its copies go, its metadata stays, what was generated is kept.

Works with every build backend and date, unlike editable installs, and a changed source file is always the one that
runs. Files that only a build makes (compiled modules, a version file) are laid over the tree in every run.
"""

import csv
import os
import shutil
from collections.abc import Collection, Mapping
from contextlib import suppress
from pathlib import Path, PurePosixPath

from thinklonger.agent.types import FileState

GENERATED_BYTES = 64 * 1024**2
USUAL = ("", "src", "lib", "python", "source")


def site_packages(env: Path) -> Path | None:
    """The folder of an environment's installed packages."""
    return next(iter(sorted(env.glob("lib/python3*/site-packages"))), None)


def installed(env: Path) -> tuple[str, ...]:
    """What an environment holds, each `name==version`, by the names of its metadata folders."""
    site = site_packages(env)
    names = [] if site is None else [path.name for path in site.glob("*.dist-info")]
    return tuple(sorted(name.removesuffix(".dist-info").replace("-", "==", 1) for name in names))


def modules(env: Path) -> frozenset[str]:
    """The top-level modules that an environment's packages bring."""
    site = site_packages(env)
    return frozenset() if site is None else frozenset(path.name.partition(".")[0] for path in site.iterdir())


def run_from_sources(env: Path, root: Path, files: Collection[PurePosixPath], keep: Path) -> tuple[str, ...]:
    """Take the project's copies out of the environment; the folder `keep` gets what its build generated.

    Returns the generated files, relative to the repository. What is not found among the sources stays installed.
    """
    site = site_packages(env)
    record = None if site is None else own_record(site)
    if site is None or record is None:
        return ()
    with record.open("r", encoding="utf-8", errors="replace", newline="") as lines:
        names = [PurePosixPath(row[0]) for row in csv.reader(lines) if row]
    names = [
        name
        for name in names
        if not name.is_absolute() and ".." not in name.parts and ".dist-info" not in name.parts[0]
    ]
    bases = {top: base for top in {name.parts[0] for name in names} if (base := base_of(top, names, files)) is not None}
    known = frozenset(files)
    generated: list[str] = []
    room = GENERATED_BYTES
    for name in names:
        base = bases.get(name.parts[0])
        place = site / name
        if base is None or not place.is_file() or place.is_symlink():
            continue
        inside = PurePosixPath(base) / name
        if inside not in known and place.suffix != ".pyc" and (room := room - place.stat().st_size) > 0:
            target = keep / inside
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(place, target)
            generated.append(str(inside))
        place.unlink()
    for name in sorted({name.parent for name in names}, key=lambda path: -len(path.parts)):
        prune(site, name)
    places = dict.fromkeys(str(root / base) if base else str(root) for base in bases.values())
    if places:
        (site / "__thinklonger_project__.pth").write_text("".join(f"{place}\n" for place in places), "utf-8")
    return tuple(sorted(generated))


def own_record(site: Path) -> Path | None:
    """The list of files of the distribution that was installed from a folder."""
    for path in sorted(site.glob("*.dist-info/direct_url.json")):
        with suppress(OSError):
            if '"dir_info"' in path.read_text("utf-8", "replace"):
                record = path.with_name("RECORD")
                return record if record.is_file() else None
    return None


def base_of(top: str, names: Collection[PurePosixPath], files: Collection[PurePosixPath]) -> str | None:
    """The folder of the repository that a package or module was installed from; None where it is not among them."""
    known = frozenset(files)
    wanted = [name for name in names if name.parts[0] == top and name.suffix == ".py"]
    bases = dict.fromkeys(
        (
            *USUAL,
            *(
                str(path.parents[len(wanted[0].parts) - 1])
                for path in files
                if wanted and path.name == wanted[0].name and len(path.parts) >= len(wanted[0].parts)
            ),
        )
    )
    scored = {base: sum(PurePosixPath(base) / name in known for name in wanted) for base in bases}
    best = max(scored, key=lambda base: scored[base])
    return ("" if best == "." else best) if scored[best] * 2 >= max(1, len(wanted)) else None


def prune(site: Path, folder: PurePosixPath) -> None:
    """Remove a folder and those around it, as long as they hold nothing but bytecode."""
    while folder.parts:
        place = site / folder
        shutil.rmtree(place / "__pycache__", ignore_errors=True)
        try:
            place.rmdir()
        except OSError:
            return
        folder = folder.parent


def read_generated(keep: Path) -> Mapping[PurePosixPath, FileState | None]:
    """The generated files of an environment, as a layer."""
    found: dict[PurePosixPath, FileState | None] = {}
    for place, _, names in os.walk(keep):
        for name in names:
            path = Path(place, name)
            found[PurePosixPath(path.relative_to(keep).as_posix())] = FileState(path.read_bytes())
    return found
