"""Settings: which layer wins, what a project may decide, and what every mistake says."""

from pathlib import Path

import pytest

from thinklonger.agent import messages
from thinklonger.agent.config import SandboxChoice, Settings
from thinklonger.agent.config.loading import Loaded, known, load
from thinklonger.agent.config.policy import RULES
from thinklonger.agent.config.values import Given
from thinklonger.agent.errors import ConfigError


class Home:
    """A user with a settings file, and a project with another."""

    def __init__(self, folder: Path) -> None:
        """Make the project's folder; neither file is there yet."""
        self.project = folder / "project"
        self.project.mkdir()
        self.user_file = folder / "config.toml"

    def load(self, *, environ: dict[str, str] | None = None, flags: dict[str, Given] | None = None) -> Loaded:
        """Load what was written."""
        return load(self.project, environ=environ or {}, flags=flags, user_file=self.user_file)

    def write_project(self, text: str) -> None:
        """Write the project's file."""
        (self.project / "pyproject.toml").write_text(text, encoding="utf-8")

    def write_user(self, text: str) -> None:
        """Write the user's file."""
        self.user_file.write_text(text, encoding="utf-8")


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A user with nothing written yet."""
    return Home(tmp_path)


def refusal(home: Home, environ: dict[str, str] | None = None) -> str:
    """What the ConfigError says."""
    with pytest.raises(ConfigError) as caught:
        home.load(environ=environ)
    assert caught.value.exit_code == 2
    return str(caught.value)


def test_nothing_written_means_the_defaults(home: Home) -> None:
    """No file, no variable, no flag: the documented defaults and no problem."""
    assert home.load() == Loaded(Settings())


def test_later_layers_win(home: Home) -> None:
    """Project, user file, environment, flags: each overrides those before it."""
    home.write_project("[tool.thinklonger.localize]\ntop = 1\n")
    assert home.load().settings.localize.top == 1
    home.write_user("[localize]\ntop = 2\n")
    assert home.load().settings.localize.top == 2
    environ = {"THINKLONGER_LOCALIZE_TOP": "3"}
    assert home.load(environ=environ).settings.localize.top == 3
    flags = {"localize.top": Given("4", "--top", text=True)}
    assert home.load(environ=environ, flags=flags).settings.localize.top == 4


@pytest.mark.parametrize(
    "line",
    [
        'sandbox.kind = "none"',
        'engine = "http://collector.example:8000"',
        'state_directory = "/tmp/elsewhere"',
        'cache_directory = "/tmp/elsewhere"',
        'language = "zh-CN"',
        "sandbox.limits.wall_seconds = 6000.0",
        "sandbox.limits.memory_bytes = 99999999999999",
        "sandbox.limits.processes = 100000",
        "search.seconds = 6000",
        "search.candidates = 100000",
        "search.workers = 100000",
    ],
)
def test_a_project_can_not_widen(home: Home, line: str) -> None:
    """What would widen the user's protection is left out and reported with file, line and setting."""
    home.write_project(f"[project]\nname = 'x'\n\n[tool.thinklonger]\n{line}\n")
    loaded = home.load()
    assert loaded.settings == Settings()
    (problem,) = loaded.problems
    assert problem.key == "config.project-may-not"
    assert problem.params == {"where": f"{home.project}/pyproject.toml:5", "setting": line.partition(" = ")[0]}


def test_a_project_can_tighten(home: Home) -> None:
    """Lower limits and a stricter sandbox hold; so does what makes a receipt stronger."""
    home.write_project(
        "[tool.thinklonger]\nsandbox = {kind = 'bubblewrap', limits = {wall_seconds = 60}}\n"
        "search = {seconds = 10, budget = 2, workers = 1}\nregression.whole = true\nengine = 'builtin'\n"
    )
    loaded = home.load()
    assert loaded.problems == ()
    assert loaded.settings.sandbox.kind is SandboxChoice.BUBBLEWRAP
    assert loaded.settings.sandbox.limits.wall_seconds == 60.0
    assert (loaded.settings.search.seconds, loaded.settings.search.budget) == (10.0, 2)
    assert loaded.settings.regression.whole


def test_a_project_may_name_the_engine_that_the_user_named(home: Home) -> None:
    """The user's own server is no widening; any other is."""
    home.write_user("engine = 'http://127.0.0.1:8000/v1'\n")
    home.write_project("[tool.thinklonger]\nengine = 'http://127.0.0.1:8000/v1'\n")
    assert home.load() == Loaded(Settings(engine="http://127.0.0.1:8000/v1"))
    home.write_project("[tool.thinklonger]\nengine = 'http://127.0.0.1:8001/v1'\n")
    assert [problem.key for problem in home.load().problems] == ["config.project-may-not"]


def test_a_project_can_not_raise_what_the_user_lowered(home: Home) -> None:
    """The measure is what the user set, not the default."""
    home.write_user("[search]\nseconds = 5\n")
    home.write_project("[tool.thinklonger.search]\nseconds = 20\n")
    loaded = home.load()
    assert loaded.settings.search.seconds == 5.0
    assert [problem.params["setting"] for problem in loaded.problems] == ["search.seconds"]


def test_every_setting_has_a_rule() -> None:
    """Whoever adds a setting has to decide whether a project may set it."""
    assert set(RULES) == set(known())


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[localize\ntop = 1\n", ["config.toml", "line 1"]),
        ("\ntpo = 1\n", ["config.toml:2", "'tpo'", "localize", "sandbox"]),
        ("[localize]\ntpo = 1\n", ["config.toml:2", "'localize.tpo'", "top", "execute"]),
        ("[localize]\n\ntop = 'ten'\n", ["config.toml:3", "'localize.top'", "'ten'", "whole number"]),
        ("localize.top = true\n", ["config.toml:1", "whole number"]),
        ("localize.top = 0\n", ["config.toml:1", "1 or more"]),
        ("search.seconds = nan\n", ["config.toml:1", "finite"]),
        ("search.seconds = inf\n", ["config.toml:1", "finite"]),
        ("search.seconds = -1\n", ["config.toml:1", "finite"]),
        ("search.budget = 'lots'\n", ["config.toml:1", "'auto'"]),
        ("search.budget = 1.5\n", ["config.toml:1", "whole number"]),
        ("[sandbox]\nkind = 'jail'\n", ["config.toml:2", "auto, docker, bubblewrap, none"]),
        ("sandbox = 'none'\n", ["config.toml:1", "'sandbox' must be a table"]),
        ("regression.whole = 'yes'\n", ["config.toml:1", "true, false"]),
        ("engine = 'ftp://x'\n", ["config.toml:1", "builtin"]),
        ("engine = 3\n", ["config.toml:1", "text"]),
        ("state_directory = 'here'\n", ["config.toml:1", "absolute"]),
        ("language = 'xx'\n", ["config.toml:1", "en, zh-CN"]),
    ],
)
def test_a_mistake_names_file_line_setting_and_what_is_allowed(home: Home, text: str, words: list[str]) -> None:
    """A wrong file is a ConfigError that a person can act on."""
    home.write_user(text)
    said = refusal(home)
    assert [word for word in words if word not in said] == []


def test_files_that_are_no_text_are_refused(home: Home) -> None:
    """Binary and oversized settings files are named, not guessed at."""
    home.user_file.write_bytes(b"\xff\xfe\x00")
    assert "UTF-8" in refusal(home)
    home.user_file.write_bytes(b"#" * (4 * 1024**2 + 1))
    assert "larger" in refusal(home)


def test_a_broken_project_file_is_named(home: Home) -> None:
    """Broken TOML in the project is reported with its path and line, and stops nobody: it is the project's fault."""
    home.write_project("[tool.thinklonger]\ntop ==\n")
    loaded = home.load()
    assert loaded.settings == Settings()
    (said,) = map(messages.render, loaded.problems)
    assert "pyproject.toml" in said
    assert "line 2" in said


def test_a_project_file_of_others_is_none_of_our_business(home: Home) -> None:
    """A pyproject.toml without our table, or with an empty one, changes nothing."""
    home.write_project("[tool.ruff]\nline-length = 3\n")
    assert home.load() == Loaded(Settings())
    home.write_project("[tool.thinklonger]\n[tool.thinklonger.sandbox]\n")
    assert home.load() == Loaded(Settings())
    home.write_project("[tool]\nthinklonger = 3\n")
    assert "must be a table" in refusal(home)


def test_variables_are_typed_and_named(home: Home) -> None:
    """Text from the environment becomes the setting's type; a mistake names the variable; a stranger is reported."""
    loaded = home.load(
        environ={
            "THINKLONGER_SEARCH_BUDGET": "auto",
            "THINKLONGER_SEARCH_WORKERS": "0",
            "THINKLONGER_REGRESSION_WHOLE": "true",
            "THINKLONGER_SANDBOX_KIND": "none",
            "THINKLONGER_SANDBOX_LIMITS_WALL_SECONDS": "1.5",
            "THINKLONGER_MODEL": "",
            "THINKLONGER_GITHUB_TOKEN": "secret",
            "THINKLONGER_TPO": "1",
        }
    )
    assert loaded.settings.search.budget is None
    assert loaded.settings.regression.whole
    assert loaded.settings.sandbox.kind is SandboxChoice.NONE
    assert loaded.settings.sandbox.limits.wall_seconds == 1.5
    assert [problem.params for problem in loaded.problems] == [{"variable": "THINKLONGER_TPO"}]
    assert "THINKLONGER_SEARCH_SECONDS: 'search.seconds'" in refusal(home, environ={"THINKLONGER_SEARCH_SECONDS": "x"})


@pytest.mark.parametrize(
    ("environ", "language"),
    [
        ({}, "en"),
        ({"LANG": "zh_CN.UTF-8"}, "zh-CN"),
        ({"LANG": "zh_CN.UTF-8", "LC_ALL": "C"}, "en"),
        ({"LANG": "en_US.UTF-8", "LC_MESSAGES": "zh_CN"}, "zh-CN"),
        ({"LANG": "zh_CN.UTF-8", "THINKLONGER_LANGUAGE": "en"}, "en"),
    ],
)
def test_the_language_is_the_users(home: Home, environ: dict[str, str], language: str) -> None:
    """By name first, then by locale in POSIX order."""
    assert home.load(environ=environ).settings.language == language
