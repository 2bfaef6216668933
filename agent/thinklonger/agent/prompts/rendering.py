"""Rendering: a prompt is a file with `{{variables}}`, each of which must be given, and none else.

`{{name}}` stands for the text itself, `{{fenced name}}` for the text in a fence of its own (`fences.fenced`), which is
how everything that comes from outside enters a prompt. There is no logic in a prompt. A value is put in as it is: what
looks like a variable inside it stays what it is.
"""

import re
from functools import cache
from importlib.resources import files

from thinklonger.agent.prompts.fences import fenced

_TEXTS = files("thinklonger.agent.prompts").joinpath("texts")
_VARIABLE = re.compile(r"\{\{(fenced )?([a-z_]+)\}\}")


@cache
def template(name: str) -> str:
    """A prompt's text as it stands in its file, without the last line's end; raises KeyError for an unknown prompt."""
    source = _TEXTS.joinpath(f"{name}.md")
    if not source.is_file():
        raise KeyError(name)
    return source.read_text("utf-8").removesuffix("\n")


def names() -> tuple[str, ...]:
    """All prompts, sorted."""
    found = (source.name for source in _TEXTS.iterdir())
    return tuple(sorted(name.removesuffix(".md") for name in found if name.endswith(".md")))


@cache
def variables(name: str) -> frozenset[str]:
    """The variables that a prompt needs."""
    return frozenset(found[2] for found in _VARIABLE.finditer(template(name)))


def render(name: str, **values: str | int) -> str:
    """A prompt in full; raises KeyError for an unknown prompt, a missing variable or one that it does not have."""
    if values.keys() != variables(name):
        raise KeyError(name, *sorted(values.keys() ^ variables(name)))

    def value(found: re.Match[str]) -> str:
        text = str(values[found[2]])
        return fenced(text, about=found[2]) if found[1] else text

    return _VARIABLE.sub(value, template(name))
