"""Names with newlines, escapes and Chinese characters; files of which only a pointer is here."""

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Person

ISSUE = ("--issue-text", "total() is wrong: the last price is missing")
ESCAPE = "\x1b[31m\x1b]0;title\x07"
TESTS = """\
import pytest
from totals import total


@pytest.mark.parametrize("name", ["a\\nb", "\\x1b[2J", "合计", "a b"])
def test_total(name):
    assert total([1, 2, 3]) == 6, "\\x1b[31mred\\x1b[0m" + name
"""


@pytest.mark.slow
def test_odd_names_of_files_and_tests(person: "Person", sandbox: str) -> None:
    """They are searched, run and named; nothing of them reaches the terminal raw (`Person.end` looks)."""
    person.write({f"tests/test_{ESCAPE}\n 合计.py": TESTS, f"docs/{ESCAPE}\n.txt": "x\n", "tests/test_totals.py": ""})
    person.path("repository/tests/__init__.py").touch()
    person.commit()
    said = person.resolve("--test-command", "pytest tests", "--sandbox", sandbox, "--json")
    assert said.searched, said
    for argv in (("runs", "show", "last"), ("runs", "list")):
        shown = person.run(*argv)
        assert shown.code == 0, shown
        assert "合计" in shown.out or argv[1] == "list", shown


def test_content_that_is_not_here_is_told(person: "Person") -> None:
    """A git-lfs pointer in place of a file, and an empty submodule: named, with the command that fetches them."""
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:" + "0" * 64 + "\nsize 12345\n"
    person.write(
        {
            ".gitattributes": "*.bin filter=lfs diff=lfs merge=lfs -text\n",
            "data/prices.bin": pointer,
            ".gitmodules": '[submodule "lib"]\n\tpath = lib\n\turl = https://example.invalid/lib.git\n',
        }
    )
    (person.repository / "lib").mkdir()
    said = person.localize(*ISSUE, "--json")
    assert said.code == 0, said
    told = {problem["key"]: problem["text"] for problem in said.json["problems"]}
    assert "data/prices.bin" in told["pipeline.lfs-pointers"]
    assert "git lfs pull" in said.err
    assert "lib" in told["pipeline.empty-submodules"]
