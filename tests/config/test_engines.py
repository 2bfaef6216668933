"""Which engines may be named, by whom, and that the key of a model's server is no setting."""

from pathlib import Path

import pytest

from thinklonger.agent.config.environment import surroundings
from thinklonger.agent.config.loading import load
from thinklonger.agent.config.values import Given
from thinklonger.agent.errors import ConfigError

NOWHERE = Path("/nowhere/config.toml")


def engine(value: str) -> str:
    """The engine that this flag gives."""
    flags = {"engine": Given(value, "--engine", text=True)}
    return load(None, environ={}, flags=flags, user_file=NOWHERE).settings.engine


@pytest.mark.parametrize(
    "value", ["builtin", "http://127.0.0.1:8000", "https://host/v1", "model.gguf", "~/models/Some-Q4_K_M.GGUF"]
)
def test_engines_that_may_be_named(value: str) -> None:
    """The built-in solver, a server's address, a GGUF file; whether the file is there is another question."""
    assert engine(value) == value


@pytest.mark.parametrize("value", ["", "auto", "model.safetensors", "ftp://host", "http://", "gguf"])
def test_engines_that_may_not(value: str) -> None:
    """Anything else is refused with what is allowed."""
    with pytest.raises(ConfigError) as caught:
        engine(value)
    assert caught.value.message.key == "config.not-an-engine"


def test_a_repository_can_not_bring_an_engine(tmp_path: Path) -> None:
    """A GGUF file that comes with a repository is a stranger's: it is not run because the repository says so."""
    (tmp_path / "pyproject.toml").write_text('[tool.thinklonger]\nengine = "weights.gguf"\n', "utf-8")
    loaded = load(tmp_path, environ={}, user_file=NOWHERE)
    assert loaded.settings.engine == "builtin"
    assert [problem.key for problem in loaded.problems] == ["config.project-may-not"]


def test_the_key_is_no_setting_and_is_not_shown() -> None:
    """It is known as a variable, taken from the environment alone, and in no text that a noun makes of itself."""
    environ = {"THINKLONGER_API_KEY": "sesame"}
    assert load(None, environ=environ, user_file=NOWHERE).problems == ()
    around = surroundings(environ)
    assert around.api_key == "sesame"
    assert "sesame" not in repr(around)


@pytest.mark.parametrize(
    ("environ", "folder"),
    [
        ({}, "~/.cache/huggingface/hub"),
        ({"XDG_CACHE_HOME": "/c"}, "/c/huggingface/hub"),
        ({"HF_HOME": "/h", "XDG_CACHE_HOME": "/c"}, "/h/hub"),
        ({"HF_HUB_CACHE": "/hub", "HF_HOME": "/h"}, "/hub"),
    ],
)
def test_where_downloaded_models_lie(environ: dict[str, str], folder: str) -> None:
    """By the downloader's own variables, in its own order."""
    assert surroundings(environ).model_cache == folder
