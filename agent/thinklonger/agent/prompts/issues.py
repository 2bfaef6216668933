"""What a prompt says of the fault: the issue's words, and what its failing tests have shown."""

import re

from thinklonger.agent.types import Issue, TestRun

_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_BLANK = re.compile(r"\n[ \t]*(?:\n[ \t]*){2,}")
_ADDRESS = re.compile(r"\b0x[0-9a-fA-F]{6,16}\b")
_TESTS = 8
_LONGEST = 1200
_FRAMES = 6


def issue_text(issue: Issue) -> str:
    """The issue as people see it: without the comments of its form and without long gaps; never empty."""
    text = _BLANK.sub("\n\n", _COMMENT.sub("", issue.text)).strip()
    if text:
        return text
    return f"This command has to succeed: {issue.test_command}" if issue.test_command else "(no words)"


def failures_text(run: TestRun | None) -> str:
    """How the tests that show the fault fail: what was raised, where, in few words; empty where none has run.

    The same failure gives the same text: addresses of objects, which change from run to run, are left out.
    """
    red = [result for result in run.results if result.outcome.red] if run is not None else []
    shown: list[str] = []
    for result in red[:_TESTS]:
        frames = "".join(f"\n  {frame.path}:{frame.line} in {frame.function}" for frame in result.frames[-_FRAMES:])
        text = _ADDRESS.sub("0x…", result.text)
        text = text if len(text) <= _LONGEST else f"{text[:_LONGEST]}[…]"
        shown.append(f"{result.id}: {result.outcome.value}\n{result.exception}: {text}{frames}")
    if len(red) > _TESTS:
        shown.append(f"[… {len(red) - _TESTS} more failing tests …]")
    return "\n\n".join(shown)
