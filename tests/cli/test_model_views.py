"""What a person and a machine see of a model's part of a run: plain lines, the moving view, and the record."""

import asyncio
import io
import json
import os
import pty
import re
import signal
import subprocess
import termios
import time
import unicodedata
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

import pytest

from thinklonger.agent.chat import (
    ChatMessage,
    Closing,
    Dialect,
    Finish,
    ModelFacts,
    Part,
    Role,
    Sampling,
    Trouble,
    Usage,
)
from thinklonger.agent.trace import Recorder, new_run_id
from thinklonger.agent.trace.events import (
    BranchPromoted,
    BranchProposed,
    BranchPruned,
    BranchScored,
    CandidateProposed,
    CandidatePruned,
    Event,
    ModelProbed,
    PromptSent,
    ReplyFinished,
    ReplyRejected,
    ReplyRetried,
    ReplyStreamed,
    RunFinished,
    RunStarted,
    StageFinished,
    StageStarted,
)
from thinklonger.agent.types import Issue, IssueSource, Label, Location, Message, Score, Stage, StopReason, SymbolKind
from thinklonger.cli import steering
from thinklonger.cli.live import LiveView
from thinklonger.cli.output import Output
from thinklonger.cli.views import PlainView
from thinklonger.cli.words import Words

if TYPE_CHECKING:
    from conftest import Terminal

PAGER = PurePosixPath("app/pager.py")
WHY = Message("sandbox.broken", {"reason": "no such file"})
CONTROL = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")
DEADLINE = 20.0
HOSTILE = "\x1b]0;owned\x07\x1b[2J\x9b31m\u202e"


def reply(name: str, *, closing: Closing | None = None, finish: Finish = Finish.STOP, **more: bool) -> ReplyFinished:
    """A whole reply."""
    return ReplyFinished(name, "hm", "ok", finish, Usage(900, 600, 1234, 56, counted=True), 12.5, closing, **more)


def candidate(name: str, parent: str) -> CandidateProposed:
    """A model's patch."""
    diff = "--- a/app/pager.py\n+++ b/app/pager.py\n@@ -1 +1 @@\n-a\n+b\n"
    return CandidateProposed(name, "model", "edit", "hm", "ok", PAGER, 14, diff, 0.5, parent, f"{name}/1")


EVENTS: list[Event] = [
    ModelProbed(
        ModelFacts("qwen", 32768, Dialect.REASONING, several=True, adapters=("prm",), server="vLLM 0.32.0"), 0.1
    ),
    StageStarted(Stage.UNDERSTAND),
    PromptSent(
        "p1", Stage.UNDERSTAND, "files", "", ("u1/1", "u2/1"), Sampling(), (ChatMessage(Role.USER, "Which files?"),)
    ),
    ReplyStreamed("u1/1", Part.THINK, "the pager may be "),
    ReplyRetried("u2/1", Trouble.RATE, 1, 2.0, "429"),
    reply("u1/1", closing=Closing.BUDGET),
    BranchProposed("u1", Stage.UNDERSTAND, "", "u1/1", "app/pager.py", files=(PAGER,)),
    reply("u2/1", finish=Finish.LENGTH, salvaged=True),
    ReplyRejected("u2/1", WHY),
    BranchScored("u1", Score(0.83, "prm")),
    StageFinished(Stage.UNDERSTAND, 3.0, Usage(1800, 1200, 2468, 112, counted=True)),
    PromptSent("p2", Stage.LOCALIZE, "places", "u1", ("u1.l1/1", "u1.l2/1"), Sampling(), ()),
    reply("u1.l1/1"),
    BranchProposed(
        "u1.l1",
        Stage.LOCALIZE,
        "u1",
        "u1.l1/1",
        "x",
        locations=(Location(PAGER, "Pager.page", SymbolKind.METHOD, 12, 15, 0.9, ()),),
    ),
    BranchScored("u1.l1", Score(0.41, "judge", WHY)),
    BranchProposed("u1.l2", Stage.LOCALIZE, "u1", "u1.l2/1", "y", files=(PAGER,)),
    BranchPruned("u1.l2", WHY),
    BranchPruned("u1.l1", WHY),
    BranchPromoted("u1.l1"),
    StageStarted(Stage.PATCH),
    PromptSent("p3", Stage.PATCH, "patch", "u1.l1", ("u1.l1.p1/1",), Sampling(), ()),
    reply("u1.l1.p1/1", closing=Closing.ANSWER_NOW),
    candidate("u1.l1.p1", "u1.l1"),
    CandidatePruned("u1.l1.p1", WHY),
]
NOTHING = RunFinished(Label.UNVERIFIED, None, "", None, (), StopReason.EXHAUSTED, 9.5, tokens=3870, tried=1)


def told(events: list[Event], *, language: str = "en") -> list[str]:
    """What the plain view prints."""
    stream = io.StringIO()
    view = PlainView(Output(stream, color=False, moving=False), Words(language))
    for event in events:
        view.show(event)
    return stream.getvalue().splitlines()


def test_plain_lines_tell_replies_branches_scores_and_prunings() -> None:
    """One line for each, with tokens, why thinking ended, retries and troubles in words."""
    text = "\n".join(told(EVENTS))
    for words in (
        "qwen · context 32,768",
        "adapters: prm",
        "u1/1 · thought 1,234 tokens · answered 56 · 12.5 s · thinking ended at its budget",
        "u2/1 · the server asks to wait · attempt 1 after 2.0 s · 429",
        "the answer was found inside the thinking",
        "cut off at its limit",
        "u2/1 · leads to nothing",
        "u1 · app/pager.py",
        "u1 · 0.83 · by prm",
        "thought 2,468 tokens · answered 112 · read 1,800 · 67% of it known already",
        "u1.l1 · app/pager.py:12",
        "u1.l2 · out: ",
        "u1.l1 · goes on because you say so",
        "thinking ended by you",
        "u1.l1.p1 · app/pager.py:14",
        "u1.l1.p1 · out: ",
    ):
        assert words in text, words


def test_streamed_text_is_not_printed_line_by_line() -> None:
    """Without a moving view thinking is counted, not shown."""
    assert told([ReplyStreamed("u1/1", Part.THINK, "hm") for _ in range(50)]) == []


def test_chinese_lines_have_no_english_left() -> None:
    """Every event of a model is told in the user's language."""
    lines = told(EVENTS, language="zh-CN")
    assert len(lines) == len(told(EVENTS))
    foreign = re.compile(r"\b(thought|answered|leads|thinking|attempt|context|read|by)\b")
    assert [text for text in lines if foreign.search(text)] == []


def moving(width: int = 80) -> tuple[LiveView, io.StringIO]:
    """A moving view on a stream that is no terminal: what it would draw can be asked for."""
    stream = io.StringIO()
    view = LiveView(Output(stream, color=False, moving=False), Words(), hint="a: answer now")
    view._console.width = width
    return view, stream


def drawn(view: LiveView) -> list[str]:
    """The lines of the moving part."""
    with view._console.capture() as capture:
        view._console.print(view._render())
    return [CONTROL.sub("", text) for text in capture.get().splitlines()]


def test_the_moving_view_shows_the_end_of_what_is_thought() -> None:
    """Which replies come, how far they are, their last words, what was spent, and how to get an answer now."""
    view, _ = moving()
    for event in EVENTS[:3]:
        view.show(event)
    for word in range(200):
        view.show(ReplyStreamed("u1/1", Part.THINK, f"word{word} "))
    lines = drawn(view)
    assert "2 replies to come" in lines[0]
    assert lines[2].strip() == "a: answer now"
    assert "u1/1 thinks ~" in lines[1]
    assert lines[1].endswith("word199")
    assert max(map(len, lines)) <= 80
    view.show(ReplyStreamed("u1/1", Part.ANSWER, "<answer>"))
    assert "u1/1 answers ~" in drawn(view)[1]
    view.show(reply("u1/1"))
    lines = drawn(view)
    assert "1 reply to come" in lines[0]
    assert lines[1].strip() == "thought 1,234 tokens · answered 56 · a: answer now"
    assert len(lines) == 2


def test_a_retry_forgets_what_was_streamed() -> None:
    """Text that does not count is not shown on."""
    view, _ = moving()
    for event in (*EVENTS[:4], ReplyRetried("u1/1", Trouble.STREAM_CUT, 1, 0.5)):
        view.show(event)
    assert not any("u1/1 thinks" in text for text in drawn(view))


def test_wide_and_hostile_text_stays_on_its_line() -> None:
    """Thinking in Chinese, or with control characters in it, never breaks the screen."""
    view, _ = moving(60)
    view.show(EVENTS[2])
    view.show(ReplyStreamed("u1/1", Part.THINK, "思考" * 200 + HOSTILE))
    lines = drawn(view)
    assert len(lines) == 3
    assert lines[1].rstrip().endswith("\\u202e")
    for text in lines:
        assert sum(2 if unicodedata.east_asian_width(sign) in "WF" else 1 for sign in text) <= 60
        assert all(unicodedata.category(sign) not in ("Cc", "Cf") for sign in text)


def recorded(terminal: "Terminal", events: list[Event]) -> None:
    """Put a run on the record."""
    recorder = Recorder.create(terminal.state, new_run_id())
    issue = Issue("# Last page is empty", IssueSource.TEXT)
    recorder.append(RunStarted(recorder.run_id, "resolve", issue, "/r", "http://127.0.0.1:8000", None, "0.1.0"))
    for event in events:
        recorder.append(event)
    recorder.close()


def test_runs_show_draws_the_tree(terminal: "Terminal") -> None:
    """Decisions below those that they come from, with scores, what pruned them, and tokens by stage."""
    recorded(terminal, [*EVENTS, NOTHING])
    said = terminal.run("runs", "show", "last")
    assert said.code == 0
    lines = said.out.splitlines()
    at = lines.index("Search")
    assert lines[at + 1].startswith("  · u1 · 0.83 · by prm · app/pager.py")
    assert lines[at + 2].startswith("    · u1.l1 · 0.41 · by judge")
    assert lines[at + 3].startswith("      ✗ u1.l1.p1 · app/pager.py:14 · edit · out: ")
    assert lines[at + 4].startswith("    ✗ u1.l2 · app/pager.py · out: ")
    assert "understand · thought 2,468 tokens" in said.out
    assert "all stages · thought 4,936 tokens" in said.out


def test_runs_show_for_a_machine(terminal: "Terminal") -> None:
    """The same as JSON: facts, branches with parents, replies, tokens by stage."""
    recorded(terminal, [*EVENTS, NOTHING])
    found = json.loads(terminal.run("runs", "show", "last", "--json").out)
    assert found["model"]["model"] == "qwen"
    assert found["tokens"] == 3870
    assert [(entry["branch"], entry["parent"]) for entry in found["branches"]] == [
        ("u1", None),
        ("u1.l1", "u1"),
        ("u1.l2", "u1"),
        ("u1.l1.p1", "u1.l1"),
    ]
    assert found["branches"][1]["promoted"]
    assert found["branches"][1]["pruned"] is None
    replies = {entry["reply"]: entry for entry in found["replies"]}
    assert replies["u2/1"]["retries"] == 1
    assert replies["u2/1"]["rejected"]["key"] == WHY.key
    assert replies["u1.l2/1"]["finish"] is None
    assert found["usage"]["understand"]["thinking"] == 2468


def test_a_run_without_a_model_has_no_tree(terminal: "Terminal") -> None:
    """Nothing is added to what the built-in solver's runs show."""
    recorded(terminal, [NOTHING])
    assert "Search" not in terminal.run("runs", "show", "last").out


def test_a_record_that_nests_without_end_is_still_shown(terminal: "Terminal") -> None:
    """Branches that are their own ancestors, or deeper than any search goes, neither hang nor crash."""
    names = [f"b{number}" for number in range(60)]
    deep: list[Event] = [
        BranchProposed(name, Stage.LOCALIZE, parent, "", name)
        for parent, name in zip(["", *names], names, strict=False)
    ]
    recorded(terminal, [*deep, BranchProposed("x", Stage.LOCALIZE, "x", "", "x"), NOTHING])
    assert terminal.run("runs", "show", "last").code == 0


def test_a_signal_asks_for_an_answer_now(terminal: "Terminal") -> None:
    """Without a keyboard SIGUSR1 ends the thinking; the run goes on to its end."""
    with subprocess.Popen(
        terminal.program("resolve", "--issue-text", "# x", "--engine", "http://127.0.0.1:9"),
        env={**terminal.environ, "SCRIPT": "waits"},
        cwd=terminal.repository,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stderr is not None
        seen = b""
        for content in process.stderr:
            seen += content
            if b"proposing" in content:
                break
        process.send_signal(signal.SIGUSR1)
        out, err = process.communicate(timeout=DEADLINE)
    assert process.returncode == 0, err
    assert b"asked for answers" in err
    assert b"verified" in out


def test_a_key_asks_for_an_answer_now_and_the_terminal_is_given_back(terminal: "Terminal") -> None:
    """At a terminal `a` does it; afterwards its modes are what they were."""
    ours, theirs = pty.openpty()
    before = termios.tcgetattr(theirs)
    script = """import fcntl, os, sys, termios
os.setsid()
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.argv[1], sys.argv[1:])"""
    argv = terminal.program("resolve", "--issue-text", "# x", "--engine", "http://127.0.0.1:9")
    process = subprocess.Popen(
        [argv[0], "-c", script, *argv],
        env={**terminal.environ, "SCRIPT": "waits", "TERM": "xterm"},
        cwd=terminal.repository,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    seen, pressed, until = b"", False, time.monotonic() + DEADLINE
    os.set_blocking(ours, False)
    while process.poll() is None and time.monotonic() < until:
        try:
            seen += os.read(ours, 65536)
        except BlockingIOError:
            time.sleep(0.02)
        if not pressed and b"proposing" in seen and not termios.tcgetattr(theirs)[3] & termios.ICANON:
            os.write(ours, b"xa")
            pressed = True
    assert process.wait(DEADLINE) == 0, seen
    assert b"asked for answers" in seen
    assert termios.tcgetattr(theirs)[3] == before[3]
    os.close(ours)
    os.close(theirs)


@pytest.mark.parametrize("closing", list(Closing))
def test_every_closing_has_words(closing: Closing) -> None:
    """Why thinking ended is always said."""
    assert "thinking ended" in told([reply("u1/1", closing=closing)])[0]


@pytest.mark.parametrize("trouble", list(Trouble))
def test_every_trouble_has_words(trouble: Trouble) -> None:
    """Each is told as a sentence, not by its code."""
    assert re.search(r"r · the [a-z' ]+ · attempt 1", told([ReplyRetried("r", trouble, 1, 0.1)])[0])


async def test_a_wish_lasts_for_a_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    """It ends the thinking that goes on; later stages think again. Asked twice at once it is one wish."""
    monkeypatch.setattr(steering, "HELD", 0.05)
    wish, heard = asyncio.Event(), list[None]()
    with steering.steered(wish, keyboard=None, heard=lambda: heard.append(None)):
        os.kill(os.getpid(), signal.SIGUSR1)
        os.kill(os.getpid(), signal.SIGUSR1)
        await asyncio.wait_for(wish.wait(), 5)
        assert len(heard) == 1
        while wish.is_set():  # noqa: ASYNC110 (an event tells when it is set, not when it is cleared)
            await asyncio.sleep(0.01)
        os.kill(os.getpid(), signal.SIGUSR1)
        await asyncio.wait_for(wish.wait(), 5)
    assert len(heard) == 2
