"""ThinkLonger's own pytest, for an environment that has none."""

from importlib.util import find_spec
from pathlib import Path

from thinklonger.agent.types import Interpreter

PACKAGES = ("pytest", "_pytest", "pluggy", "iniconfig", "packaging", "pygments")
OLDEST = (3, 11)
"""What the lent pytest needs; older Pythons would need further packages that we do not have."""


def read_settings(path: Path) -> dict[str, str]:
    """The `key = value` lines of a pyvenv.cfg."""
    try:
        lines = path.read_text("utf-8", "replace").splitlines()
    except OSError:
        return {}
    pairs = (line.partition("=") for line in lines if "=" in line)
    return {key.strip().lower(): value.strip() for key, _, value in pairs}


def lender() -> Path | None:
    """The folder that our own pytest lies in."""
    spec = find_spec("pytest")
    return Path(spec.origin).parent.parent if spec is not None and spec.origin is not None else None


def has_pytest(prefix: Path) -> bool:
    """Whether the environment has a pytest of its own, by what lies in it."""
    return any(prefix.glob("lib/python3*/site-packages/pytest/__init__.py"))


def version_of(prefix: Path) -> tuple[int, ...]:
    """The Python version that an environment says it has; empty where it does not say."""
    settings = read_settings(prefix / "pyvenv.cfg")
    text = settings.get("version", "") or settings.get("version_info", "")
    return tuple(int(part) for part in text.split(".")[:2] if part.isdigit())


def lent_pytest(interpreter: Interpreter) -> Path | None:
    """The folder to lend pytest from, or None where the environment has its own or can't use ours."""
    if interpreter.origin == "current" or has_pytest(interpreter.prefix) or version_of(interpreter.prefix) < OLDEST:
        return None
    return lender()


def lent_folders(interpreter: Interpreter) -> tuple[Path, ...]:
    """What a sandbox must show for the lent pytest to work."""
    folder = lent_pytest(interpreter)
    if folder is None:
        return ()
    metadata = [path for name in PACKAGES for path in sorted(folder.glob(f"{name}-*.dist-info"))]
    return (*(folder / name for name in PACKAGES if (folder / name).exists()), *metadata)
