"""`doctor` and the model's server: what is found out by asking it, for each way of speaking, and what to do then."""

import asyncio
import json
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from thinklonger.agent.model.replay import Fault, FaultKind, Product, Rule, Script, ScriptedReply, Thinking, serve

if TYPE_CHECKING:
    from conftest import Said, Terminal

COUNTING = Rule(
    last="Count", replies=(ScriptedReply(think="one", thinking=Thinking.RAMBLES, per_chunk=0.02, tokens_per_chunk=2),)
)
SCRIPT = Script(rules=(COUNTING,), adapters=("prm",))


@contextmanager
def served(script: Script, product: Product) -> Generator[str]:
    """A server in a thread of its own; its URL."""
    ready = threading.Event()
    urls: list[str] = []
    ends: list[Callable[[], object]] = []

    async def run() -> None:
        loop, end = asyncio.get_running_loop(), asyncio.Event()
        async with serve(script, dialect=product) as server:
            urls.append(server.url)
            ends.append(lambda: loop.call_soon_threadsafe(end.set))
            ready.set()
            await end.wait()

    thread = threading.Thread(target=asyncio.run, args=(run(),))
    thread.start()
    assert ready.wait(20)
    try:
        yield urls[0]
    finally:
        ends[0]()
        thread.join(20)


def examined(terminal: "Terminal", url: str, *argv: str, **environ: str) -> tuple["Said", dict[str, dict[str, object]]]:
    """What doctor says of a server, with the last finding of each topic."""
    said = terminal.run("doctor", "--json", "--sandbox", "none", "--engine", url, *argv, **environ)
    return said, {finding["topic"]: finding for finding in json.loads(said.out)["findings"]}


def key(finding: dict[str, object]) -> str:
    """The key of what was found."""
    message = finding["message"]
    assert isinstance(message, dict)
    return str(message["key"])


def test_a_good_server(terminal: "Terminal") -> None:
    """All that it can do is seen, cancelling and the prefix cache too; exit code 0."""
    with served(SCRIPT, Product.VLLM) as url:
        said, found = examined(terminal, url)
    assert said.code == 0
    assert {topic: key(finding) for topic, finding in found.items() if topic not in ("git", "python", "gpu")} == {
        "state": "doctor.state",
        "sandbox": "sandbox.none-risk",
        "engine": "doctor.engine",
        "context": "doctor.context",
        "thinking": "doctor.continues",
        "several": "doctor.several",
        "logprobs": "doctor.logprobs",
        "tokenizer": "doctor.tokenizer",
        "cancel": "doctor.cancel",
        "prefix": "doctor.prefix",
        "adapters": "doctor.adapters",
        "egress": "doctor.egress-none",
    }
    model = json.loads(said.out)["model"]
    assert model["facts"]["context"] == 32768
    assert model["frees"] is True
    assert 0 < model["prefix_cached_tokens"] <= model["prefix_prompt_tokens"]


def test_a_server_that_can_do_little(terminal: "Terminal") -> None:
    """Each lack has its remedy in one line, and none of them stops a run."""
    with served(SCRIPT, Product.OLLAMA) as url:
        said, found = examined(terminal, url)
    assert said.code == 0
    for topic in ("several", "logprobs", "tokenizer"):
        assert found[topic]["note"], topic
        remedy = found[topic]["remedy"]
        assert isinstance(remedy, dict)
        assert "\n" not in remedy["text"]
    assert key(found["cancel"]) == "doctor.cancel-unknown"
    assert key(found["prefix"]) == "doctor.prefix-unknown"


def test_a_short_context_is_told(terminal: "Terminal") -> None:
    """A window of 4 k works, and the way to a longer one is named."""
    with served(Script(rules=(COUNTING,), context=4096), Product.LLAMA_CPP) as url:
        said, found = examined(terminal, url)
    assert said.code == 0
    assert key(found["context"]) == "doctor.context-small"


def test_adapters_that_the_settings_name_must_be_there(terminal: "Terminal") -> None:
    """A named adapter that the server has not got is told with how to serve it."""
    with served(SCRIPT, Product.VLLM) as url:
        said, _ = examined(terminal, url, THINKLONGER_SERVED_PRM="prm", THINKLONGER_SERVED_ORM="orm")
    missing = [finding for finding in json.loads(said.out)["findings"] if key(finding) == "doctor.no-adapter"]
    assert [finding["message"]["params"]["name"] for finding in missing] == ["orm"]
    assert "--orm" in missing[0]["remedy"]["text"]


def test_no_server_is_exit_code_3(terminal: "Terminal") -> None:
    """A resolve could not run, and how to start one is said."""
    said, found = examined(terminal, "http://127.0.0.1:9")
    assert said.code == 3
    assert key(found["engine"]) == "model.unreachable"
    assert found["engine"]["remedy"] is not None


def test_a_key_is_used_and_never_shown(terminal: "Terminal") -> None:
    """Without the key the server refuses; with it all is well, and nobody reads it."""
    with served(Script(rules=(COUNTING,), key="sesame-open"), Product.VLLM) as url:
        said, found = examined(terminal, url)
        assert said.code == 3
        assert key(found["engine"]) == "model.auth"
        said, found = examined(terminal, url, THINKLONGER_API_KEY="sesame-open")
    assert said.code == 0
    assert json.loads(said.out)["problems"] == []
    assert "sesame-open" not in said.out + said.err


def test_what_goes_to_another_machine_is_named(terminal: "Terminal") -> None:
    """An endpoint that is not on this machine stands under what would be contacted, without its password."""
    said, found = examined(terminal, "http://me:secret@192.0.2.1:9/v1", THINKLONGER_SERVED_RETRIES="1")
    assert said.code == 3
    assert key(found["egress"]) == "doctor.egress-engine"
    assert "192.0.2.1:9" in str(found["egress"])
    assert "secret" not in said.out + said.err


def test_a_file_that_is_no_model(terminal: "Terminal", tmp_path: Path) -> None:
    """A GGUF file is opened like any engine; what is wrong with it is said."""
    path = tmp_path / "model.gguf"
    path.write_bytes(b"not a model")
    said, found = examined(terminal, str(path))
    assert said.code == 3
    assert key(found["engine"]).startswith("model.")


def test_a_server_that_fails_midway(terminal: "Terminal") -> None:
    """Trouble after the first answers is a finding too, never a crash."""
    fault = Fault(kind=FaultKind.OUT_OF_MEMORY, times=0)
    with served(Script(faults=(fault,)), Product.VLLM) as url:
        said, found = examined(terminal, url, THINKLONGER_SERVED_RETRIES="1")
    assert said.code == 3
    assert key(found["engine"]).startswith("model.")


@pytest.mark.parametrize("language", ["en", "zh-CN"])
def test_a_table_for_people(terminal: "Terminal", language: str) -> None:
    """One row for each finding, its topic in a column."""
    with served(SCRIPT, Product.SGLANG) as url:
        said = terminal.run("doctor", "--sandbox", "none", "--engine", url, THINKLONGER_LANGUAGE=language)
    assert said.code == 0
    rows = [row for row in said.out.splitlines() if row.startswith(("✓", "!", "✗"))]
    assert len(rows) >= 12
    assert url in said.out


def test_without_a_repository_only_the_machine_is_examined(terminal: "Terminal") -> None:
    """No environment is looked for, and no project's file is read, unless a repository is named."""
    (terminal.repository / "pyproject.toml").write_text("[project\n", "utf-8")
    said = terminal.run("doctor", "--json", "--sandbox", "none")
    found = json.loads(said.out)
    assert said.code == 0
    assert found["problems"] == []
    assert {"environment", "proof"}.isdisjoint(finding["topic"] for finding in found["findings"])
    assert terminal.run("doctor", "--repo", "").code == 2
