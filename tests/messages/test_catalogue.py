"""The catalogue: the same in every language, complete, without dead entries, and fed with the right variables."""

import ast
import re
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from string import Formatter

import pytest

import thinklonger.agent
import thinklonger.cli
from thinklonger.agent import messages
from thinklonger.agent.chat import Closing, Dialect, Finish, Trouble
from thinklonger.agent.config.loading import known
from thinklonger.agent.model.serving import Phase
from thinklonger.agent.repository import Lengths
from thinklonger.agent.trace.runs import RunStatus
from thinklonger.agent.types import Label, Message, Stage, StopReason

SOURCES = [Path(package.__path__[0]) for package in (thinklonger.agent, thinklonger.cli)]
CATALOGUE = Path(messages.__path__[0])
FILES = (".cfg", ".json", ".jsonl", ".py", ".toml", ".yaml", ".yml")
COMMANDS = (
    "main",
    "resolve",
    "localize",
    "verify",
    "index",
    "doctor",
    "serve",
    "runs",
    "runs-list",
    "runs-show",
    "runs-verify",
    "runs-resume",
)

FAMILIES: dict[str, set[str]] = {
    "doctor.topic-": {"adapters", "build", "cancel", "context", "egress", "engine", "environment", "git", "gpu",
                      "logprobs", "note", "prefix", "proof", "python", "sandbox", "server", "several", "state",
                      "thinking", "tokenizer"},
    "event.begins-": {Stage.PATCH, Stage.VERIFY},
    "event.closing-": set(Closing),
    "event.dialect-": set(Dialect),
    "event.finish-": {Finish.LENGTH, Finish.CUT, Finish.ABORTED},
    "event.trouble-": set(Trouble),
    "event.job-": {"resolve", "localize", "verify"},
    "event.label-": set(Label),
    "event.row-": {*Stage, "agreement", "because", "candidate", "environment", "flag", "index", "issue", "model",
                   "problem", "record", "regression", "reproduction", "resumed", "sandbox", "tree"},
    "help.runs-": {"list", "show", "verify", "resume"},
    "help.": {*COMMANDS[1:8], *(f"{name}-{part}" for name in COMMANDS for part in ("about", "examples"))},
    "issue-source.": {"refused", "not-found", "failed"},
    "serving.phase-": set(Phase),
    "report.": {f"{check}-{end}" for check in ("reproduction", "regression") for end in ("good", "bad")},
    "report.means-": set(Label),
    "report.no-": {"reproduction", "regression"},
    "report.status-": set(RunStatus),
    "report.stop-": set(StopReason),
    "understand.words-": set(Lengths._fields),
}  # fmt: skip
"""Keys that the sources put together from an enumeration: the literal beginning, and every end that it gets."""


def rooms(language: str) -> dict[str, dict[str, messages.Entry]]:
    """Every room's entries."""
    files = (CATALOGUE / language).glob("*.toml")
    return {path.stem: tomllib.loads(path.read_text("utf-8")) for path in sorted(files)}


@cache
def entries(language: str = "en") -> dict[str, messages.Entry]:
    """Every entry by its whole key."""
    return {f"{room}.{key}": entry for room, found in rooms(language).items() for key, entry in found.items()}


def templates(entry: messages.Entry) -> dict[str, str]:
    """An entry's templates by plural form."""
    return entry if isinstance(entry, dict) else {"": entry}


def variables(entry: messages.Entry) -> set[str]:
    """All variables of an entry."""
    parsed = (part for template in templates(entry).values() for part in Formatter().parse(template))
    return {name for _, name, _, _ in parsed if name is not None}


@cache
def modules() -> tuple[tuple[Path, ast.Module], ...]:
    """Every source file, parsed."""
    files = (path for source in SOURCES for path in sorted(source.rglob("*.py")))
    return tuple((path, ast.parse(path.read_text("utf-8"))) for path in files)


def nodes() -> Iterator[tuple[Path, ast.AST]]:
    """Every node of the sources."""
    for path, module in modules():
        for node in ast.walk(module):
            yield path, node


@cache
def literals() -> dict[str, str]:
    """Every literal that looks like a key, and where it stands."""
    pattern = re.compile(rf"({'|'.join(rooms('en'))})\.[a-z][a-z0-9-]*")
    found: dict[str, str] = {}
    parts = {id(part) for _, node in nodes() if isinstance(node, ast.JoinedStr) for part in node.values}
    for path, node in nodes():
        match node:
            case ast.Constant(value=str(key)) if pattern.fullmatch(key) and id(node) not in parts:
                found.setdefault(key, f"{path.name}:{node.lineno}")
            case _:
                pass
    return {
        key: place for key, place in found.items() if key in entries() or not (key in known() or key.endswith(FILES))
    }


@cache
def beginnings() -> dict[str, str]:
    """The literal beginning of every key that is put together, and where it stands."""
    pattern = re.compile(rf"({'|'.join(rooms('en'))})\.[a-z0-9-]*")
    found: dict[str, str] = {}
    for path, node in nodes():
        match node:
            case ast.JoinedStr(values=[ast.Constant(value=str(start)), *_]) if pattern.fullmatch(start):
                found.setdefault(start, f"{path.name}:{node.lineno}")
            case _:
                pass
    return found


@cache
def strings() -> frozenset[str]:
    """Every string of the sources: what may be the end of a key that is put together."""
    return frozenset(
        node.value for _, node in nodes() if isinstance(node, ast.Constant) and isinstance(node.value, str)
    )


def test_every_language_has_the_same_rooms_and_keys() -> None:
    """Nothing is said in one language only."""
    for language in messages.LANGUAGES:
        assert rooms(language).keys() == rooms("en").keys()
        assert entries(language).keys() == entries().keys()


def test_every_language_has_the_same_variables_and_plural_forms() -> None:
    """A sentence knows the same in every language; a plural has both forms everywhere."""
    for language in messages.LANGUAGES:
        for key, entry in entries(language).items():
            assert type(entry) is type(entries()[key]), key
            assert set(templates(entry)) in ({""}, {"one", "other"}), key
            assert variables(entry) | {"count"} == variables(entries()[key]) | {"count"}, (language, key)


def test_every_template_renders_with_exactly_its_variables() -> None:
    """Plain names in braces, no attribute, index or conversion; one variable less is an error."""
    for language in messages.LANGUAGES:
        for key, entry in entries(language).items():
            names = variables(entry)
            assert all(re.fullmatch("[a-z_]+", name) for name in names), key
            plural = {"count": 2} if isinstance(entry, dict) else {}
            params: dict[str, str | int] = {**dict.fromkeys(names, "{x}\x1b[0m%s"), **plural}
            assert messages.render(Message(key, params), language)
            for name in names - {"count"}:
                with pytest.raises(KeyError):
                    messages.render(Message(key, {other: params[other] for other in params if other != name}), language)


def test_every_key_in_the_sources_exists() -> None:
    """No message is a key without words."""
    missing = {key: place for key, place in literals().items() if key not in entries()}
    assert missing == {}


def test_every_family_is_complete() -> None:
    """Each member of the enumeration has its words."""
    for start, ends in FAMILIES.items():
        assert start in beginnings(), start
        assert {start + end for end in ends} <= entries().keys(), start


def test_every_entry_is_used() -> None:
    """No dead words: each is a literal of the sources, of a family, put together from literals, or a remedy."""
    used = literals().keys() | {start + end for start, ends in FAMILIES.items() for end in ends}
    used |= {start + end for start in beginnings().keys() - FAMILIES.keys() for end in strings()}
    remedies = {f"{key}-remedy" for key in used}
    assert sorted(entries().keys() - used - remedies) == []


def calls() -> Iterator[tuple[str, str, set[str]]]:
    """Every sentence that the sources make in one place: where, its key, its variables."""
    for path, node in nodes():
        if not isinstance(node, ast.Call):
            continue
        called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        place = f"{path.name}:{node.lineno}"
        names = {keyword.arg for keyword in node.keywords}
        if None in names:
            continue  # variables from a mapping: only running it tells
        match called, node.args:
            case "Message", [ast.Constant(value=str(key))]:
                yield place, key, set()
            case "Message", [ast.Constant(value=str(key)), ast.Dict(keys=keys)]:
                if all(isinstance(name, ast.Constant) for name in keys):
                    yield place, key, {str(name.value) for name in keys if isinstance(name, ast.Constant)}
            case "boundary", [_, ast.Constant(value=str(key))]:
                yield place, key, {"reason", *(name for name in names if name)}
            case ("count", [ast.Constant(value=str(key)), _]) if key in entries():
                yield place, key, {"count", "figure"}
            case (_, [ast.Constant(value=str(key))]) if called.endswith("Error") or called == "say":
                yield place, key, {name for name in names if name}
            case _:
                pass


def test_every_sentence_gets_its_variables() -> None:
    """Where key and variables stand together, none is missing that the sentence or its remedy says."""
    wrong: list[str] = []
    for place, key, given in calls():
        entry = entries().get(key)
        if entry is None:
            continue  # the test above names it
        needed = variables(entry) | ({"count"} if isinstance(entry, dict) else set())
        remedy = variables(entries().get(f"{key}-remedy", ""))
        if not needed | remedy <= given:
            wrong.append(f"{place}: {key} needs {sorted(needed | remedy)}, gets {sorted(given)}")
    assert wrong == []


def test_the_scan_sees_the_sources() -> None:
    """The gates above look at something."""
    assert len(literals()) > 50
    assert sum(1 for _ in calls()) > 50


def test_chinese_is_chinese() -> None:
    """No sentence was left in English, and the punctuation is Chinese."""
    for key, entry in entries("zh-CN").items():
        if key.endswith("-examples"):
            continue
        for template in templates(entry).values():
            words = re.sub(r"\{[a-z_]+\}", "", template)
            if re.search(r"[a-z]{4,} [a-z]{2,} [a-z]{2,}", re.sub(r"“[^”]*”", "", words)):
                assert re.search(r"[\u4e00-\u9fff]", words), key
            assert not re.search(r"[\u4e00-\u9fff][,;?!]", words), key


@pytest.mark.parametrize(
    ("locale", "language"),
    [("zh_CN.UTF-8", "zh-CN"), ("zh-Hans", "zh-CN"), ("zh", "zh-CN"), ("zh_TW", "en"), ("C", "en"), ("", "en"),
     ("de_DE.UTF-8", "en"), ("en_US", "en")],
)  # fmt: skip
def test_languages_of_locales(locale: str, language: str) -> None:
    """Simplified Chinese where it is asked for, English elsewhere."""
    assert messages.language_of(locale) == language


def test_variables_are_never_templates() -> None:
    """Braces and escapes in a value stay what they are."""
    said = messages.render(
        Message("pipeline.pruned-by-test", {"test": "{exception}{0.__class__}", "exception": "\x1b"})
    )
    assert said == "{exception}{0.__class__}: \x1b"
