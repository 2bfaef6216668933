"""The one catalogue of user-facing text: a folder for each language, a TOML file for each room, strict variables.

`room.key` is the entry `key` of `<language>/<room>.toml`: a template with `{named}` variables, or a table
`{one = "…", other = "…"}` chosen by the variable `count`. Every language has the same keys with the same variables
(a test holds them to it).
"""

import tomllib
from functools import cache
from importlib.resources import files
from typing import TypeAlias, cast

from thinklonger.agent.types import Message

DEFAULT_LANGUAGE = "en"
LANGUAGES = ("en", "zh-CN")

Entry: TypeAlias = str | dict[str, str]


@cache
def room(language: str, name: str) -> dict[str, Entry]:
    """The entries of one room's file; empty where there is no such file."""
    source = files(__name__).joinpath(language, f"{name}.toml")
    if not source.is_file():
        return {}
    return cast("dict[str, Entry]", tomllib.loads(source.read_text("utf-8")))


def entry(key: str, language: str = DEFAULT_LANGUAGE) -> Entry | None:
    """The raw entry of `room.key` in one language, or None."""
    name, _, rest = key.partition(".")
    return room(language, name).get(rest)


def has(key: str) -> bool:
    """Whether the catalogue knows this key."""
    return entry(key) is not None


def render(message: Message, language: str = DEFAULT_LANGUAGE) -> str:
    """The message in words; raises KeyError for a key or a variable that the catalogue does not have."""
    found = entry(message.key, language)
    if found is None:
        found = entry(message.key)
    if found is None:
        raise KeyError(message.key)
    if isinstance(found, dict):
        plural = "one" if message.params["count"] == 1 and language == "en" else "other"
        found = found[plural]
    return found.format_map(message.params)


def language_of(locale: str) -> str:
    """The catalogue's language for a POSIX or BCP-47 locale: `zh_CN.UTF-8`, `zh-Hans`, `zh` are zh-CN, the rest en."""
    tag = locale.partition(".")[0].replace("_", "-").lower()
    return "zh-CN" if tag == "zh" or tag.startswith(("zh-cn", "zh-hans", "zh-sg")) else DEFAULT_LANGUAGE
