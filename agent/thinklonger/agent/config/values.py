"""One setting's value: from what was written to its type, or a ConfigError that says what is allowed."""

import math
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TypeAlias, cast, get_args

from thinklonger.agent import messages
from thinklonger.agent.errors import ConfigError

Value: TypeAlias = str | bool | int | float | StrEnum | None

_ZERO_MEANS_AUTO = frozenset({"search.workers"})


@dataclass(frozen=True, slots=True)
class Given:
    """What somebody wrote, and where: a file with its line, a variable, a flag. `text`: it is text, whatever its type.

    In a file a number is a number and 'true' in quotes is a mistake; a variable or a flag can only be text.
    """

    value: object
    where: str
    text: bool = False


def value_of(name: str, given: Given, wanted: object) -> Value:
    """The value in its type; raises ConfigError."""
    import msgspec  # noqa: PLC0415 (who only asks for help has no values)

    optional = type(None) in get_args(wanted)
    if optional:
        if given.value in ("auto", None):
            return None
        wanted = next(kind for kind in get_args(wanted) if kind is not type(None))
    try:
        return cast("Value", msgspec.convert(given.value, cast("type[object]", wanted), strict=not given.text))
    except msgspec.ValidationError:
        shown = str(given.value)
    params = {"where": given.where, "setting": name, "value": shown}
    if isinstance(wanted, type) and issubclass(wanted, StrEnum):
        raise ConfigError("config.not-a-choice", **params, allowed=", ".join(wanted))
    if wanted is bool:
        raise ConfigError("config.not-a-boolean", **params)
    if wanted is int:
        raise ConfigError("config.not-whole-or-auto" if optional else "config.not-whole", **params)
    raise ConfigError("config.not-a-number" if wanted is float else "config.not-text", **params)


def check(name: str, value: Value, given: Given) -> None:
    """Hold a value to what its setting allows beyond the type; raises ConfigError."""
    params = {"where": given.where, "setting": name, "value": str(given.value)}
    if isinstance(value, int | float) and not isinstance(value, bool):
        least = 0 if name in _ZERO_MEANS_AUTO else 1 if isinstance(value, int) else 0.001
        if not math.isfinite(value) or value < least:
            raise ConfigError("config.too-small", **params, allowed=least)
    elif name == "engine" and value != "builtin" and not is_server(str(value)) and not is_weights_file(str(value)):
        raise ConfigError("config.not-an-engine", **params)
    elif name == "language" and value not in messages.LANGUAGES:
        raise ConfigError("config.not-a-choice", **params, allowed=", ".join(messages.LANGUAGES))
    elif name.endswith("_directory") and value and not Path(str(value)).expanduser().is_absolute():
        raise ConfigError("config.not-absolute", **params)


def is_weights_file(path: str) -> bool:
    """Whether this names a GGUF file, for the embedded server; it may not be there."""
    return path.lower().endswith(".gguf") and not is_server(path)


def is_server(url: str) -> bool:
    """Whether this is the URL of a server."""
    from urllib.parse import urlsplit  # noqa: PLC0415 (rarely asked)

    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname)
