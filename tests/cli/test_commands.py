"""The subcommands in front of scripted runs: what they print where, and their exit codes."""

import json
import re
import unicodedata
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from thinklonger.agent.trace import list_runs

if TYPE_CHECKING:
    from conftest import Terminal

ISSUE = ("--issue-text", "# Last page is empty\n\nmore")


def is_harmless(text: str) -> bool:
    """Whether a terminal would take every character of it as text."""
    return all(character == "\n" or unicodedata.category(character) not in ("Cc", "Cf", "Cs") for character in text)


@pytest.mark.parametrize(
    ("script", "code"),
    [("verified", 0), ("nothing", 1), ("partly", 1), ("failed", 3), ("broken", 3), ("raise", 3)],
)
@pytest.mark.parametrize("machine", [(), ("--json",)])
def test_exit_codes_of_resolve(terminal: "Terminal", script: str, code: int, machine: tuple[str, ...]) -> None:
    """0 only for a verified patch; 1 is an honest negative, partly verified among them; 3 an error of the run."""
    assert terminal.run("resolve", *ISSUE, *machine, script=script).code == code


@pytest.mark.parametrize(
    "argv",
    [
        (),
        ("resolve",),
        ("frobnicate",),
        ("resolve", "--nonsense"),
        ("resolve", "--issue"),
        ("resolve", "--issue", "a", "--issue-text", "b"),
        ("resolve", *ISSUE, "--budget", "lots"),
        ("resolve", *ISSUE, "--sandbox", "jail"),
        ("resolve", *ISSUE, "--engine", "somewhere"),
        ("resolve", *ISSUE, "--engine", "no-such-file.gguf"),
        ("resolve", *ISSUE, "--strategy", "guess"),
        ("resolve", *ISSUE, "--effort", "huge"),
        ("resolve", *ISSUE, "--samples", "0"),
        ("resolve", *ISSUE, "--keep", "few"),
        ("resolve", *ISSUE, "--thinking-tokens", "many"),
        ("resolve", *ISSUE, "--model", "m"),
        ("resolve", *ISSUE, "--rep", "."),
        ("localize", *ISSUE, "--top", "0"),
        ("localize", *ISSUE, "--format", "xml"),
        ("localize", *ISSUE, "--format", "text", "--json"),
        ("runs",),
        ("runs", "show"),
    ],
)
def test_a_wrong_command_line_is_exit_code_2(terminal: "Terminal", argv: tuple[str, ...]) -> None:
    """Usage errors say what is wrong on standard error, and nothing runs."""
    said = terminal.run(*argv)
    assert said.code == 2
    assert said.err.startswith("✗ ")
    assert list_runs(terminal.state).runs == ()


def test_errors_before_a_run_are_json_too(terminal: "Terminal") -> None:
    """With --json, standard output is always one JSON object."""
    said = terminal.run("localize", "--format=json")
    assert json.loads(said.out)["error"]["exit_code"] == 2
    said = terminal.run("resolve", "--json")
    error = json.loads(said.out)["error"]
    assert (error["type"], error["message"]["key"], error["exit_code"]) == ("UsageError", "issue-source.missing", 2)
    assert error["remedy"]["text"]


def test_the_json_of_resolve(terminal: "Terminal") -> None:
    """The contract's fields, nothing but JSON on standard output, the story on standard error."""
    said = terminal.run("resolve", *ISSUE, "--json")
    payload = json.loads(said.out)
    assert said.out.count("\n") == 1
    contract = ["run_id", "label", "patch", "receipt", "candidates", "stop_reason", "tokens", "seconds"]
    assert list(payload)[:8] == contract
    assert set(payload) - set(contract) == {"candidate", "tried", "files", "locations", "problems", "record"}
    assert payload["label"] == payload["stop_reason"] == "verified"
    assert payload["patch"] == terminal.scripted.DIFF
    assert payload["receipt"]["reproduction"]["exit_code_before"] == 1
    assert payload["receipt"]["agreement"]["differences"][0]["text"] == "page(9): []"
    assert [entry["candidate"] for entry in payload["candidates"]] == ["c3", "c2"]
    assert payload["locations"][0]["path"] == "app/pager.py"
    assert Path(payload["record"]) == terminal.state / "runs" / payload["run_id"]
    assert "reproduction" in said.err


@pytest.mark.parametrize(("script", "error"), [("failed", "SandboxError"), ("raise", "SandboxError")])
def test_the_json_of_a_run_that_failed(terminal: "Terminal", script: str, error: str) -> None:
    """An object with the error where the result would be."""
    said = terminal.run("resolve", *ISSUE, "--json", script=script)
    assert json.loads(said.out)["error"]["type"] == error
    assert "Traceback" not in said.err


def test_the_report_tells_the_proof_in_words(terminal: "Terminal") -> None:
    """Label, diff, receipt with commands, exit codes and durations, other candidates, and where the record lies."""
    said = terminal.run("resolve", *ISSUE)
    for words in (
        "✓ verified: the reproduction was red before and is green after",
        "-        end = start + self.size - 1\n+        end = start + self.size\n",
        "red before, green after · 1 test · exit 1 → 0 · 0.62 s → 0.58 s",
        "python -m pytest tests/test_pager.py",
        "no worse · 2 tests · exit 1 → 0 · 1.2 s → 1.1 s",
        "Python 3.12.4 · pytest 9.2.0 · 212 tests",
        "bubblewrap · 10 min 00 s · 4,096 MiB · 256 processes",
        "2 passed · 2 behaviours · compared on 14 inputs · 80% of the weight behave like this one",
        "c2 · partly verified · app/pager.py:14 · call-added · 1 flag",
        "3 candidates tried",
        f"Record: {terminal.state}/runs/",
    ):
        assert words in said.out
    for words in ("issue         Last page is empty", "1,234 files · 20,345 symbols", "app/pager.py:12-15  Pager.page",
                  "c3 · app/pager.py:14 · off-by-one · passes: regression",
                  "c3 · app/pager.py:14 · off-by-one · verified"):  # fmt: skip
        assert words in said.err
    assert "event." not in said.out + said.err
    assert "report." not in said.out + said.err


def test_no_patch_is_said_plainly(terminal: "Terminal") -> None:
    """An honest negative never looks like a success."""
    said = terminal.run("resolve", *ISSUE, script="nothing")
    assert "✗ no patch is verified. Stopped because there was nothing left to try." in said.out
    assert "Receipt" not in said.out
    assert "fixed" not in said.out + said.err


def test_an_error_of_a_run_comes_with_its_remedy_and_record(terminal: "Terminal") -> None:
    """What happened, what to do, and where to look."""
    said = terminal.run("resolve", *ISSUE, script="failed")
    assert said.out == ""
    assert "✗ 'x' is no run id.\n  'thinklonger runs list'" in said.err
    assert "Record: " in said.err


def test_quiet_leaves_only_the_result(terminal: "Terminal") -> None:
    """Nothing on standard error, the report on standard output."""
    said = terminal.run("resolve", *ISSUE, "--quiet")
    assert said.err == ""
    assert "✓ verified" in said.out


def test_localize_ranks_in_words(terminal: "Terminal") -> None:
    """Every place with every reason, the most suspicious first, only as many as asked for."""
    said = terminal.run("localize", *ISSUE, script="localized")
    assert said.code == 0
    assert said.out == (
        " 1. app/pager.py:12-15  Pager.page  0.93\n"
        "      tests/test_pager.py::test_last_page: coverage\n      page: name\n"
        " 2. app/pager.py:1-40  (module level)  0.41\n      app: graph\n"
    )
    assert "(module level)" not in terminal.run("localize", *ISSUE, "--top", "1", script="localized").out


def test_localize_that_finds_nothing_is_exit_code_1(terminal: "Terminal") -> None:
    """Nothing found: in words, and as empty lists."""
    said = terminal.run("localize", *ISSUE, script="nothing")
    assert (said.code, said.out) == (1, "✗ nothing suspicious was found.\n")
    said = terminal.run("localize", *ISSUE, "--json", script="nothing")
    assert said.code == 1
    assert json.loads(said.out)["locations"] == []


def test_the_json_of_localize(terminal: "Terminal") -> None:
    """The contract's fields."""
    for flags in (("--json",), ("--format", "json")):
        payload = json.loads(terminal.run("localize", *ISSUE, *flags, "--top", "1", script="localized").out)
        assert set(payload["files"][0]) == {"path", "score", "evidence"}
        assert len(payload["locations"]) == 1
        fields = {"path", "symbol", "kind", "start_line", "end_line", "score", "evidence"}
        assert set(payload["locations"][0]) == fields
        assert payload["locations"][0]["evidence"][0]["message"]["text"].endswith(": coverage")


@pytest.mark.parametrize("argv", [("resolve",), ("localize",), ("resolve", "--json"), ("localize", "--json"),
                                  ("localize", "--format", "sarif")])  # fmt: skip
def test_foreign_text_can_not_talk_to_the_terminal(terminal: "Terminal", argv: tuple[str, ...]) -> None:
    """Escape codes, control and bidirectional characters in paths, tests, issues, diffs come out as escapes."""
    issue = "bad \x1b]0;owned\x07\x9b31m\u202e title {x}\n"
    said = terminal.run(*argv, "--issue-text", issue, script="hostile")
    assert said.code == 0
    assert is_harmless(said.out)
    assert is_harmless(said.err)
    if argv[-1] not in ("--json", "sarif"):
        assert "\\x1b]0;owned\\x07\\x1b[2J\\x9b31m\\u202e{x}" in said.out
    show = terminal.run("runs", "show", "last")
    assert is_harmless(show.out + show.err)
    assert is_harmless(terminal.run("runs", "show", "last", "--json").out)
    assert is_harmless(terminal.run("runs", "list").out)


def test_settings_that_do_not_hold_are_reported(terminal: "Terminal") -> None:
    """A project that wants to widen the sandbox: said on standard error and in the JSON."""
    (terminal.repository / "pyproject.toml").write_text("[tool.thinklonger.sandbox]\nkind = 'none'\n")
    said = terminal.run("resolve", *ISSUE, "--json")
    assert "pyproject.toml:2: a project may not decide 'sandbox.kind'" in said.err
    assert json.loads(said.out)["problems"][0]["key"] == "config.project-may-not"


def test_a_broken_project_file_is_told_and_survived(terminal: "Terminal") -> None:
    """Broken TOML of the repository's own: the file and the line, and the job is done."""
    (terminal.repository / "pyproject.toml").write_text("[tool\n")
    said = terminal.run("resolve", *ISSUE)
    assert said.code == 0
    assert "pyproject.toml" in said.err
    assert "line 1" in said.err


def test_runs_are_listed_and_shown(terminal: "Terminal") -> None:
    """The newest first; one run with its story, its candidates as a tree, its proof."""
    assert terminal.run("runs", "list").err == "There are no runs yet.\n"
    terminal.run("resolve", *ISSUE)
    terminal.run("resolve", *ISSUE, script="nothing")
    terminal.run("localize", *ISSUE, script="localized")
    listed = terminal.run("runs", "list")
    newest, middle, oldest = listed.out.splitlines()
    assert re.fullmatch(
        rf"\S+  finished +localize +\d{{4}}-\S+ \S+  0\.30 s  Last page is empty  {terminal.repository}", newest
    )
    assert "  no patch  " in middle
    assert "  verified  " in oldest
    shown = terminal.run("runs", "show", oldest.split()[0])
    assert shown.code == 0
    assert "Candidates · 3 proposed\n  app/pager.py:14\n" in shown.out
    change = "end = start + self.size - 1 → end = "
    assert f"✗ c1 · comparison · {change}0 · out: tests/test_pager.py::test_last_page: AssertionError\n" in shown.out
    assert f"✓ c3 · off-by-one · {change}start + self.size · passed: verified\n" in shown.out
    assert "passed: verified\n        reproduction: 1 green, 0 red, 0.50 s\n        regression: 12 green" in shown.out
    assert "Receipt" in shown.out
    assert terminal.run("runs", "show", "last").out.count("app/pager.py:12-15") == 1


def test_the_json_of_runs(terminal: "Terminal") -> None:
    """Machines get the same."""
    terminal.run("resolve", *ISSUE)
    (entry,) = json.loads(terminal.run("runs", "list", "--json").out)["runs"]
    assert (entry["status"], entry["label"], entry["title"]) == ("finished", "verified", "Last page is empty")
    run = json.loads(terminal.run("runs", "show", entry["run_id"][:12], "--json").out)
    assert run["patch"] == terminal.scripted.DIFF
    assert [candidate["candidate"] for candidate in run["candidates"]] == ["c1", "c2", "c3"]
    assert run["candidates"][0]["pruned"]["text"]


def test_an_unknown_run_is_an_error_with_a_remedy(terminal: "Terminal") -> None:
    """No traceback; what there is, is a command away."""
    said = terminal.run("runs", "show", "nope")
    assert said.code == 3
    assert "'thinklonger runs list'" in said.err


PAGER = """\
class Pager:
    def __init__(self, items, size):
        self.items = items
        self.size = size

    def pages(self):
        return -(-len(self.items) // self.size)

    def first(self):
        return self.page(0)

    def page(self, number):
        start = number * self.size
        end = start + self.size - 1
        return self.items[start:end]
"""


@pytest.fixture
def pager(terminal: "Terminal") -> Path:
    """The file that the scripted patch changes."""
    path = terminal.repository / "app" / "pager.py"
    path.parent.mkdir()
    path.write_text(PAGER)
    return path


def test_apply_writes_a_verified_patch(terminal: "Terminal", pager: Path) -> None:
    """Only then do the user's files change, and it is said."""
    said = terminal.run("resolve", *ISSUE, "--apply")
    assert said.code == 0
    assert pager.read_text() == PAGER.replace(" - 1\n", "\n")
    assert f"✓ The patch is written into {terminal.repository}." in said.err


@pytest.mark.parametrize(("script", "words"), [("partly", "it is partly verified"), ("nothing", "there is no patch")])
def test_apply_writes_nothing_else(terminal: "Terminal", pager: Path, script: str, words: str) -> None:
    """What is not verified is not written; the reason is given."""
    said = terminal.run("resolve", *ISSUE, "--apply", script=script)
    assert said.code == 1
    assert words in said.err
    assert pager.read_text() == PAGER


def test_a_tree_that_changed_meanwhile_is_not_overwritten(terminal: "Terminal", pager: Path) -> None:
    """The patch no longer fits: an error, and the user's text stays."""
    pager.write_text("# rewritten\n")
    said = terminal.run("resolve", *ISSUE, "--apply")
    assert said.code == 3
    assert pager.read_text() == "# rewritten\n"


@pytest.mark.parametrize("command", ["", "resolve", "localize", "index", "runs", "runs list", "runs show"])
@pytest.mark.parametrize(("locale", "words"), [("C", "examples:"), ("zh_CN.UTF-8", "示例")])
def test_help_reads_in_both_languages(terminal: "Terminal", command: str, locale: str, words: str) -> None:
    """Every subcommand explains itself, with examples, no key left unrendered."""
    said = terminal.run(*command.split(), "--help", LANG=locale)
    assert said.code == 0
    assert words in said.out
    assert "help." not in said.out


def test_a_run_reads_in_chinese(terminal: "Terminal") -> None:
    """The whole story and report in the user's language."""
    said = terminal.run("resolve", *ISSUE, LANG="zh_CN.UTF-8")
    assert "✓ 已验证" in said.out
    assert "补丁前失败" in said.out
    assert "在原代码上失败" in said.err


def test_the_version(terminal: "Terminal") -> None:
    """Name and version."""
    said = terminal.run("--version")
    assert re.fullmatch(r"thinklonger \d+\.\d+\.\d+\n", said.out)
    assert said.code == 0


def test_a_gguf_file_is_recorded_by_its_whole_path(terminal: "Terminal", tmp_path: Path) -> None:
    """A run that goes on from another folder finds the same file."""
    (terminal.repository / "m.gguf").write_bytes(b"GGUF")
    terminal.run("resolve", *ISSUE, "--engine", "m.gguf", script="nothing")
    found = json.loads(terminal.run("runs", "show", "last", "--json").out)
    assert found["engine"] == str(tmp_path / "repository" / "m.gguf")
