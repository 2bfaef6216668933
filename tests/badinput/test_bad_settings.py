"""Settings files and variables that are broken: the place is named; nothing begins where they are the user's own."""

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Person

ISSUE = ("--issue-text", "total() is wrong")
BROKEN = {
    "[tool.thinklonger\n": "config.broken-toml",
    "x = \n": "config.broken-toml",
    "a = 1\na = 2\n": "config.broken-toml",
    "\xff\xfe": "config.not-utf8",
    "\0": "config.broken-toml",
}


@pytest.mark.parametrize("content", BROKEN)
@pytest.mark.parametrize("command", ["resolve", "localize"])
def test_a_broken_project_file(person: "Person", command: str, content: str) -> None:
    """The repository's own pyproject.toml is the repository's fault: told by its path, and the job is done."""
    person.write({"pyproject.toml": content.encode("latin-1")})
    said = person.run(command, "--repo", str(person.repository), *ISSUE, "--json")
    assert said.code in (0, 1), said
    assert BROKEN[content] in [problem["key"] for problem in said.json["problems"]]
    assert str(person.repository / "pyproject.toml") in said.err


@pytest.mark.parametrize("content", BROKEN)
def test_a_broken_user_file(person: "Person", content: str) -> None:
    """The user's own settings: the same for every command that reads them."""
    place = person.path("config") / "thinklonger" / "config.toml"
    place.parent.mkdir()
    place.write_bytes(content.encode("latin-1"))
    for argv in (("resolve", *ISSUE), ("localize", *ISSUE), ("index",), ("runs", "list")):
        said = person.run(*argv, "--json")
        assert (said.code, said.error) == (2, BROKEN[content]), said
        assert str(place) in said.err
    assert person.run("--help").code == 0


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("THINKLONGER_SANDBOX_KIND", "nothing"),
        ("THINKLONGER_SEARCH_SECONDS", "soon"),
        ("THINKLONGER_SEARCH_SECONDS", "nan"),
        ("THINKLONGER_SEARCH_WORKERS", "-1"),
        ("THINKLONGER_CACHE_DIRECTORY", "relative"),
    ],
)
def test_a_variable_that_is_no_value(person: "Person", name: str, value: str) -> None:
    """Exit code 2, naming the variable."""
    person.environ[name] = value
    said = person.resolve(*ISSUE)
    assert said.code == 2
    assert name in said.err


def test_a_project_can_not_widen(person: "Person") -> None:
    """A repository that turns its own sandbox off is told no, and the run goes on with the user's."""
    person.write({"pyproject.toml": '[tool.thinklonger.sandbox]\nkind = "none"\n'})
    said = person.localize(*ISSUE, "--json")
    assert said.code == 0
    assert [problem["key"] for problem in said.json["problems"]] == ["config.project-may-not"]


def test_a_file_that_does_not_parse_is_named(person: "Person") -> None:
    """A problem with a file says which one, for a person and for a machine."""
    person.write({"broken.py": "def total(:\n"})
    said = person.localize(*ISSUE, "--json")
    assert said.code == 0
    assert [(problem["path"], problem["key"]) for problem in said.json["problems"]] == [
        ("broken.py", "repository.syntax-error")
    ]
    assert "broken.py: " in said.err
