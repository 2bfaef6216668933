"""Runs every gate and the tests, from a clean checkout: `python3 tools/check.py [gate …]`.

It makes its own virtual environments below `.venv/`, installs the project with its development group, and runs, in
this order: ruff, format, pyright, imports, tests. The tests run against the built wheel, copied away from the
sources, so that what passes is what a user installs. With names of gates as arguments, only those run.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import venv
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HOME = ROOT / ".venv"


def run(*command: str | Path, cwd: Path = ROOT) -> None:
    """Run a command, show it, and stop everything if it fails."""
    words = [str(word) for word in command]
    print("·", *words, flush=True)
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(words, cwd=cwd, env=environment, check=False)
    if done.returncode:
        sys.exit(done.returncode)


def environment(name: str) -> Path:
    """The bin folder of a virtual environment, made if it is not there."""
    folder = HOME / name
    if not (folder / "bin" / "python").exists():
        venv.create(folder, with_pip=True, clear=True)
        run(folder / "bin" / "python", "-m", "pip", "install", "--quiet", "--upgrade", "pip>=25.1")
    return folder / "bin"


def development() -> Path:
    """The environment with the project in place (editable) and the development group."""
    bin_folder = environment("development")
    run(bin_folder / "python", "-m", "pip", "install", "--quiet", "--editable", ".", "--group", "dev")
    return bin_folder


def ruff(bin_folder: Path) -> None:
    """Lint."""
    run(bin_folder / "ruff", "check", ".")


def style(bin_folder: Path) -> None:
    """Check the format."""
    run(bin_folder / "ruff", "format", "--check", ".")


def pyright(bin_folder: Path) -> None:
    """Check the types (strict in the packages)."""
    run(bin_folder / "pyright", "--pythonpath", bin_folder / "python")


def imports(bin_folder: Path) -> None:
    """Check that imports point down."""
    run(bin_folder / "lint-imports")


def tests(bin_folder: Path) -> None:
    """Build the wheel, install it into an environment of its own, and test it with the sources out of sight."""
    shutil.rmtree(ROOT / "dist", ignore_errors=True)
    run(bin_folder / "python", "-m", "build", "--wheel", "--outdir", "dist")
    (wheel,) = (ROOT / "dist").glob("thinklonger-*.whl")
    wheel_bin = environment("wheel")
    run(wheel_bin / "python", "-m", "pip", "install", "--quiet", "--group", "test")
    run(wheel_bin / "python", "-m", "pip", "install", "--quiet", "--force-reinstall", "--no-deps", wheel)
    run(wheel_bin / "python", "-m", "pip", "install", "--quiet", wheel)
    with tempfile.TemporaryDirectory(prefix="thinklonger-tests-") as scratch:
        away = Path(scratch).resolve()
        for name in ("tests", "examples", "benchmarks", "pyproject.toml"):
            source = ROOT / name
            (shutil.copytree if source.is_dir() else shutil.copy2)(source, away / name)
        # two at a time: most tests wait for processes that they started; a file's tests share its fixtures
        run(wheel_bin / "python", "-m", "pytest", "--numprocesses=2", "--dist=loadfile", "--durations=15", cwd=away)


GATES: dict[str, Callable[[Path], None]] = {
    "ruff": ruff,
    "format": style,
    "pyright": pyright,
    "imports": imports,
    "tests": tests,
}


def main() -> None:
    """Run the named gates, or all."""
    if unknown := set(sys.argv[1:]) - set(GATES):
        sys.exit(f"check.py: no gate is called {', '.join(sorted(unknown))}; there are {', '.join(GATES)}")
    bin_folder = development()
    for name in sys.argv[1:] or GATES:
        GATES[name](bin_folder)
    print("all gates passed")


if __name__ == "__main__":
    main()
