"""One escape suite, two engines, two kinds of launcher; and every limit at its edge."""

import asyncio
import json
import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest
from sandbox_attempts import ATTEMPTS, try_all
from sandbox_contract import ENGINES, Check, once, python
from sandbox_escapes import ESCAPES
from sandbox_limits import LIMITS

from thinklonger.agent.execution import reading
from thinklonger.cli import words

Results = dict[str, list[str]]


@pytest.fixture(scope="module", params=["bubblewrap", "docker"])
def wall(request: pytest.FixtureRequest) -> str:
    """The name of an engine that isolates, and can run here."""
    request.getfixturevalue(request.param)
    return request.param


@pytest.fixture(scope="module", params=["me", "nobody"])
def results(wall: str, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Results:
    """What every attempt managed, with the tests' own user and one without rights as the launcher."""
    if request.param == "me":
        return asyncio.run(try_all(ENGINES[wall](), tmp_path_factory.mktemp("attempts")))
    return json.loads(request.getfixturevalue("as_nobody")(["sandbox_attempts.py", wall]))


@pytest.mark.parametrize("name", ATTEMPTS)
def test_attempt(results: Results, name: str) -> None:
    """The payload managed nothing, left no process, and the host is as it was."""
    assert results[name] == []


async def test_the_suite_notices_what_gets_out(tmp_path: Path) -> None:
    """With no isolation at all, every harmless attempt succeeds and is seen: the suite can fail."""
    harmless = {name: attempt for name, attempt in ATTEMPTS.items() if attempt.harmless}
    found = await try_all(ENGINES["none"](), tmp_path, harmless)
    assert len(found) >= 7
    assert [name for name, escaped in found.items() if not escaped] == []
    assert any("the host's files changed" in line for line in found["write beside the tree"])
    assert any("the host's received changed" in line for line in found["unix sockets of the host"])


@pytest.mark.parametrize("escape", ESCAPES.values(), ids=ESCAPES)
async def test_view(wall: str, escape: Check, tmp_path: Path) -> None:
    """What the check's docstring says."""
    await escape(ENGINES[wall](), tmp_path)


@pytest.mark.parametrize("limit", LIMITS.values(), ids=LIMITS)
async def test_limit(wall: str, limit: Check, tmp_path: Path) -> None:
    """The limit holds at its edge, as the check's docstring says."""
    await limit(ENGINES[wall](), tmp_path)


@pytest.mark.slow
def test_view_as_a_user_without_rights(wall: str, as_nobody: Callable[[list[str]], str]) -> None:
    """The same when the launcher is not root."""
    said = json.loads(as_nobody(["sandbox_escapes.py", wall]))
    assert set(said) == set(ESCAPES)
    assert not any(said.values()), "\n".join(said.values())


@pytest.mark.slow
@pytest.mark.usefixtures("bubblewrap")
def test_limits_as_a_user_without_rights(as_nobody: Callable[[list[str]], str]) -> None:
    """The same when the launcher is not root (with Docker, the engine holds the limits for everybody)."""
    said = json.loads(as_nobody(["sandbox_limits.py", "bubblewrap"]))
    assert set(said) == set(LIMITS)
    assert not any(said.values()), "\n".join(said.values())


SEQUENCES = (
    *(
        "\x1b]0;title\x07",
        "\x1b]52;c;aGk=\x07",
        "\x1b[2J\x1b[H",
        "\x1b[31mred\x1b[0m",
        "\x1bP+q544e\x1b\\",
        "\x1b[?1049h",
        "\x1bc",
    ),
    *(
        "\x9b2J",
        "\x9d0;x\x9c",
        "\x90q\x9c",
        "\b\b\b",
        "\x07",
        "\x00",
        "\x7f",
        "\u202e",
        "\u2066",
        "\x1b[6n",
        "\x0e\x0f",
    ),
)
"""A title, the clipboard, a cleared screen, a terminal's answers typed as input, text that reads backwards."""


async def test_terminal_escapes_in_output_are_only_text(wall: str, tmp_path: Path) -> None:
    """What a command prints comes back as it is, and what we print of it moves no terminal."""
    code = f"import sys; sys.stdout.buffer.write({''.join(SEQUENCES).encode()!r})"
    result = await once(ENGINES[wall](), tmp_path, python(code))
    assert result.output == "".join(SEQUENCES).encode()
    said = result.output.decode()
    for cleaned in (words.clean(said), words.clean_line(said), words.clean(reading.clean(said))):
        left = [char for char in cleaned if unicodedata.category(char) in ("Cc", "Cf") and char != "\n"]
        assert left == [], cleaned
