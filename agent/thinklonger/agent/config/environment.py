"""What the process's environment says: settings, the language, what the terminal can show. The only reader of it."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from thinklonger.agent import messages
from thinklonger.agent.config.values import Given
from thinklonger.agent.types import Message

PREFIX = "THINKLONGER_"
GITHUB_TOKEN = "THINKLONGER_GITHUB_TOKEN"  # noqa: S105 (the variable's name)
API_KEY = "THINKLONGER_API_KEY"
_OTHER_USES = frozenset({API_KEY, GITHUB_TOKEN, "THINKLONGER_OUT", "THINKLONGER_PAYLOAD", "THINKLONGER_ROOT"})


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a front door has to know before there are settings.

    `language`: of messages. `unicode`: whether the terminal shows more than ASCII. `color`: whether the user wants
    it (NO_COLOR). `moving`: whether the terminal can redraw (TERM). `github_token`, `api_key` (the model server's): set
    for us by name, or empty; never shown. `visible_gpus`: what CUDA_VISIBLE_DEVICES says. `model_cache`: where
    downloaded models lie.
    """

    language: str
    unicode: bool
    color: bool
    moving: bool
    github_token: str = field(repr=False)
    api_key: str = field(default="", repr=False)
    visible_gpus: str = ""
    model_cache: str = ""


def surroundings(environ: Mapping[str, str]) -> Surroundings:
    """Read them from the environment."""
    charset = next((environ[name] for name in ("LC_ALL", "LC_CTYPE", "LANG") if environ.get(name)), "")
    return Surroundings(
        language=language(environ),
        unicode=bool(re.search("utf-?8", charset, re.IGNORECASE)),
        color=not environ.get("NO_COLOR"),
        moving=environ.get("TERM", "dumb") not in ("", "dumb", "unknown"),
        github_token=environ.get(GITHUB_TOKEN, ""),
        api_key=environ.get(API_KEY, ""),
        visible_gpus=environ.get("CUDA_VISIBLE_DEVICES", ""),
        model_cache=_model_cache(environ),
    )


def _model_cache(environ: Mapping[str, str]) -> str:
    """Where the downloader of models keeps them, by its own rules."""
    if named := environ.get("HF_HUB_CACHE"):
        return named
    home = environ.get("HF_HOME") or f"{environ.get('XDG_CACHE_HOME') or '~/.cache'}/huggingface"
    return f"{home}/hub"


def language(environ: Mapping[str, str]) -> str:
    """The language of messages: THINKLONGER_LANGUAGE if it is one of ours, else the locale's."""
    named = environ.get(variable("language"), "")
    if named in messages.LANGUAGES:
        return named
    locale = next((environ[name] for name in ("LC_ALL", "LC_MESSAGES", "LANG") if environ.get(name)), "")
    return messages.language_of(locale)


def variable(setting: str) -> str:
    """The variable of a setting: `sandbox.limits.wall_seconds` → `THINKLONGER_SANDBOX_LIMITS_WALL_SECONDS`."""
    return PREFIX + setting.replace(".", "_").upper()


def settings_in(environ: Mapping[str, str], known: Collection[str]) -> tuple[dict[str, Given], list[Message]]:
    """The settings that the environment gives (an empty variable gives none), and the variables nobody knows."""
    names = {variable(setting): setting for setting in known}
    given: dict[str, Given] = {}
    problems: list[Message] = []
    for name, value in sorted(environ.items()):
        if not name.startswith(PREFIX) or name in _OTHER_USES or not value:
            continue
        if name in names:
            given[names[name]] = Given(value, name, text=True)
        else:
            problems.append(Message("config.unknown-variable", {"variable": name}))
    return given, problems
