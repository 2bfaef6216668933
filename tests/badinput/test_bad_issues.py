"""Issues that are none, too many, not text, or hostile."""

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Person

ISSUE = "total() is wrong: the last price is missing"


@pytest.mark.parametrize("command", ["resolve", "localize"])
@pytest.mark.parametrize(
    ("argv", "key"),
    [
        ((), "issue-source.missing"),
        (("--issue-text", ""), "issue-source.empty"),
        (("--issue-text", " \n\t"), "issue-source.empty"),
        (("--issue", "empty.md"), "issue-source.empty"),
        (("--issue", "binary.md"), "issue-source.binary"),
        (("--issue", "missing.md"), "issue-source.no-file"),
        (("--issue", "tmp"), "issue-source.directory"),
        (("--issue", "-"), "issue-source.empty"),
        (("--issue", "https://github.com/o/r/issues/1"), "issue-source.needs-fetch"),
        (("--test-command", ""), "issue-source.empty-command"),
        (("--test-command", "pytest 'tests"), "execution.command-unreadable"),
    ],
)
def test_no_issue_is_said_so(person: "Person", command: str, argv: tuple[str, ...], key: str) -> None:
    """Wrong use, exit code 2, one sentence for a person and one object for a machine."""
    person.path("empty.md").touch()
    person.path("binary.md").write_bytes(bytes(range(256)) * 20)
    said = person.run(command, "--repo", str(person.repository), *argv, "--sandbox", "none", "--json")
    assert (said.code, said.error) == (2, key), said
    assert said.json["error"]["message"]["text"] in said.err


def test_an_issue_of_a_megabyte_is_read(person: "Person") -> None:
    """Whatever it is made of, it takes seconds; what is beyond the limit is left out, and that is said."""
    person.path("big.md").write_text(f"{ISSUE}\n" + "`lorem` ipsum prices foo.bar(1) Traceback\n" * 40_000)
    said = person.localize("--issue", "big.md", "--json")
    assert said.code == 0
    assert said.json["locations"][0]["path"] == "totals.py"
    assert [problem["key"] for problem in said.json["problems"]] == ["issue-source.truncated"]
    assert said.seconds < 30


@pytest.mark.parametrize("filling", ["`", "(", "<", "\n> ", "a_", "词", "1. "])
def test_no_text_is_slow(person: "Person", filling: str) -> None:
    """A megabyte of one thing that opens and never closes is as quick as prose."""
    person.path("big.md").write_text(f"{ISSUE}\n" + filling * (1_000_000 // len(filling.encode())))
    said = person.localize("--issue", "big.md", "--json")
    assert said.json["locations"][0]["path"] == "totals.py"
    assert said.seconds < 30


def test_escapes_are_neither_words_nor_commands(person: "Person") -> None:
    """Output that was pasted with its colours is understood, and nothing of it reaches the terminal as a command."""
    text = "\x1b]0;title\x07\x1b[1;31mtotal\x1b[0m is wrong \x1b[2J \u202e"
    said = person.localize("--issue-text", text)
    assert said.code == 0
    assert "totals.py" in said.out.splitlines()[0]
    assert "\x07" not in said.err
    assert "\u202e" not in said.err


def test_standard_input_may_be_closed(person: "Person") -> None:
    """`<&-`: a run needs no standard input, and an issue that should come from it is empty."""
    closed = ("sh", "-c", 'exec "$@" <&-', "sh")
    assert person.localize("--issue-text", ISSUE, wrapper=closed).code == 0
    said = person.localize("--issue", "-", "--json", wrapper=closed)
    assert said.code == 2, said
    assert said.error == "issue-source.empty"


def test_chinese_from_end_to_end(person: "Person") -> None:
    """A Chinese locale, issue, folder, file and function: everything is shown as it is written."""
    person.repository = person.repository.rename(person.path("仓库"))
    person.write({"总计.py": 'def 合计(价格):\n    """所有价格之和。"""\n    return sum(价格[:-1])\n'})
    person.environ["LANG"] = "zh_CN.UTF-8"
    person.path("问题.md").write_text("合计 少算了最后一个价格", "gb18030")
    said = person.localize("--issue", "问题.md")
    assert said.code == 0
    assert "总计.py" in said.out.splitlines()[0]
    assert "合计 少算了最后一个价格" in said.err
    assert "GB18030" in said.err
    missing = person.run("localize", "--repo", "没有", "--issue-text", "错")
    assert (missing.code, "没有" in missing.err, "There is" in missing.err) == (2, True, False)


def test_an_issue_that_is_a_pipe(person: "Person") -> None:
    """`--issue <(…)` and /dev/null: a file is whatever can be read."""
    fed = ("bash", "-c", '"$@" --issue <(echo "total is wrong")', "bash")
    assert person.localize(wrapper=fed).code == 0
    assert person.localize("--issue", str(Path("/dev/null")), "--json").error == "issue-source.empty"
