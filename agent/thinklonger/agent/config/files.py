"""The two settings files: the project's `pyproject.toml` and the user's `config.toml`."""

import re
import tomllib
from pathlib import Path
from typing import cast

from thinklonger.agent.config.values import Given
from thinklonger.agent.errors import ConfigError
from thinklonger.agent.types import Message

FILE_PROBLEMS = frozenset({f"config.{name}" for name in ("broken-toml", "not-utf8", "too-big", "unreadable")})
"""What is wrong with a file as a whole, whatever it says."""
_SIZE_LIMIT = 4 * 1024**2
_HEADER = re.compile(r"\s*\[\s*([^\[\]]+?)\s*\]")
_KEY = re.compile(r"\s*([A-Za-z0-9_.\"' -]+?)\s*=")


def user_config_path() -> Path:
    """The user's settings file, in the platform's own place."""
    from platformdirs import user_config_path as place  # noqa: PLC0415 (only who loads settings pays for it)

    return place("thinklonger") / "config.toml"


def read_project(repository: Path) -> tuple[dict[str, Given], list[Message]]:
    """What `[tool.thinklonger]` says in the repository's `pyproject.toml`, and what is wrong with the file itself.

    A file that is broken is the repository's fault, not a setting of ours: it gives none. Raises ConfigError for a
    `tool.thinklonger` that is no table.
    """
    try:
        return _read(repository / "pyproject.toml", ("tool", "thinklonger")), []
    except ConfigError as error:
        if error.message.key not in FILE_PROBLEMS:
            raise
        return {}, [error.message]


def read_user(path: Path | None = None) -> dict[str, Given]:
    """What the user's file says; raises ConfigError."""
    return _read(path or user_config_path(), ())


def _read(path: Path, root: tuple[str, ...]) -> dict[str, Given]:
    try:
        if not path.is_file():
            return {}
        if path.stat().st_size > _SIZE_LIMIT:
            raise ConfigError("config.too-big", file=str(path), limit=_SIZE_LIMIT)
        text = path.read_bytes().decode()
        found: object = tomllib.loads(text)
    except OSError as cause:
        raise ConfigError("config.unreadable", file=str(path), reason=cause.strerror or str(cause)) from cause
    except UnicodeDecodeError as cause:
        raise ConfigError("config.not-utf8", file=str(path)) from cause
    except tomllib.TOMLDecodeError as cause:
        raise ConfigError("config.broken-toml", file=str(path), reason=str(cause)) from cause
    for depth, name in enumerate(root, 1):
        found = cast("dict[str, object]", found).get(name, {})
        if not isinstance(found, dict):
            raise ConfigError("config.not-a-table", where=_where(path, text, root[:depth]), setting=".".join(root))
    lines = key_lines(text)
    return {
        ".".join(keys[len(root) :]): Given(value, _at(path, line_of(lines, keys)))
        for keys, value in _leaves(cast("dict[str, object]", found), root)
    }


def key_lines(text: str) -> dict[tuple[str, ...], int]:
    """The 1-based line of each key of a TOML text, as far as a look at its lines can tell (no inline tables)."""
    lines: dict[tuple[str, ...], int] = {}
    section: tuple[str, ...] = ()
    for number, line in enumerate(text.splitlines(), 1):
        if header := _HEADER.match(line):
            section = _parts(header[1])
            lines.setdefault(section, number)
        elif key := _KEY.match(line):
            lines.setdefault(section + _parts(key[1]), number)
    return lines


def line_of(lines: dict[tuple[str, ...], int], keys: tuple[str, ...]) -> int | None:
    """The line of a key or of the innermost table around it that has one."""
    return next((lines[keys[:end]] for end in range(len(keys), 0, -1) if keys[:end] in lines), None)


def _leaves(table: dict[str, object], above: tuple[str, ...]) -> list[tuple[tuple[str, ...], object]]:
    leaves: list[tuple[tuple[str, ...], object]] = []
    for key, value in table.items():
        if isinstance(value, dict) and value:
            leaves += _leaves(cast("dict[str, object]", value), (*above, key))
        else:
            leaves.append(((*above, key), cast("object", value)))
    return leaves


def _where(path: Path, text: str, keys: tuple[str, ...]) -> str:
    return _at(path, line_of(key_lines(text), keys))


def _at(path: Path, line: int | None) -> str:
    return f"{path}:{line}" if line else str(path)


def _parts(dotted: str) -> tuple[str, ...]:
    return tuple(part.strip().strip("\"'") for part in dotted.split("."))
