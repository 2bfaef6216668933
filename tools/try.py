"""Installs ThinkLonger and runs its main job on a bundled project with a bug: `python3 tools/try.py`.

The project (`examples/invoices`) is copied to a temporary folder and committed there, so that nothing in this checkout
changes. Its code is run in a bubblewrap sandbox where that works; elsewhere, since it is our own code, without one.
"""

import shutil
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HOME = ROOT / ".venv" / "try"
EXAMPLE = ROOT / "examples" / "invoices"
NO_ENVIRONMENT = 3  # the exit code for a machine that lacks something, here a sandbox


def install() -> Path:
    """The `thinklonger` command in a virtual environment of its own."""
    command = HOME / "bin" / "thinklonger"
    if not command.exists():
        print(f"installing into {HOME} …", flush=True)
        venv.create(HOME, with_pip=True, clear=True)
    subprocess.run([HOME / "bin" / "python", "-m", "pip", "install", "--quiet", str(ROOT)], check=True)
    return command


def example(folder: Path) -> Path:
    """A private copy of the example, as a git repository with one commit."""
    repository = folder / "invoices"
    shutil.copytree(EXAMPLE, repository, ignore=shutil.ignore_patterns("__pycache__", ".pytest_cache"))
    who = ["-c", "user.name=Example", "-c", "user.email=example@localhost"]
    for command in (["init", "--quiet"], ["add", "--all"], [*who, "commit", "--quiet", "--message", "Invoices"]):
        subprocess.run(["git", *command], cwd=repository, check=True)
    return repository


def main() -> int:
    """Install, run, and leave only the run's record."""
    command = install()
    with tempfile.TemporaryDirectory(prefix="thinklonger-try-") as folder:
        repository = example(Path(folder).resolve())
        words = [command, "resolve", "--repo", repository, "--issue", repository / "issue.md"]
        print("$", *words, flush=True)
        code = subprocess.run(words, check=False).returncode
        if code == NO_ENVIRONMENT:
            print("\nno sandbox here; the example is our own code, so once more without one:", flush=True)
            code = subprocess.run([*words, "--sandbox", "none"], check=False).returncode
    return code


if __name__ == "__main__":
    sys.exit(main())
