"""What an issue says is seen, and whether a red test shows that: the exception, its message, a value, a hang."""

import re
from dataclasses import dataclass

from thinklonger.agent.issue import Clues, Sketch, read_sketches
from thinklonger.agent.stages.verify.writing import reason_of, red_for_the_reason, same_message
from thinklonger.agent.types import Issue, Outcome, TestResult

_ASSERTIONS = frozenset({"AssertionError", "Failed"})
"""What a test raises by its own check: plain assertions, and pytest's `fail` and `raises`."""

_VALUE = re.compile(r"[\d'\"\[{]|\b(?:None|True|False)\b")
_HANGS = re.compile(
    r"""(?ix)
    \b(?: hangs? | hung | hanging | infinite(?:ly)? | endless(?:ly)? | deadlock\w* | freez(?:es?|ing) | froze(?:n)?
        | never \s+ (?:returns?|ends?|finish(?:es)?|terminates?|stops?|completes?)
        | (?:runs?|loops?|takes?|waits?|blocks?) \s+ forever )\b
    | 死循环 | 无限循环 | 死锁 | 卡死 | 卡住 | 挂起 | 不会?返回 | 永不结束
    """
)


@dataclass(frozen=True, slots=True)
class Reasons:
    """What an issue names: how its examples and tracebacks end, and whether it speaks of code that does not end.

    Without any sketch the issue is told in prose alone; then a test's own check is all that can be asked for.
    """

    sketches: tuple[Sketch, ...] = ()
    hangs: bool = False

    @property
    def named(self) -> bool:
        """Whether there is anything to compare a red test with."""
        return bool(self.sketches) or self.hangs

    def __str__(self) -> str:
        """All of them in short, as the issue gives them."""
        return "; ".join(dict.fromkeys(reason_of(sketch) for sketch in self.sketches))


def read_reasons(issue: Issue, clues: Clues) -> Reasons:
    """What the issue's text names as seen; only tracebacks, error lines, sessions and values that it calls wrong."""
    raised = (Sketch("", exception=clue.exception, message=clue.message) for clue in clues.tracebacks if clue.exception)
    return Reasons((*read_sketches(issue.text, clues), *raised), _HANGS.search(issue.text) is not None)


def shows(result: TestResult, reasons: Reasons) -> bool:
    """Whether a red test shows one of the reasons; where there is none, whether it fails by a check of its own."""
    if not result.outcome.red:
        return False
    if result.outcome is Outcome.TIMED_OUT:
        return reasons.hangs
    if any(red_for_the_reason(result, sketch) or _tells(result, sketch) for sketch in reasons.sketches):
        return True
    return not reasons.sketches and by_its_own_check(result)


def by_its_own_check(result: TestResult) -> bool:
    """Whether a test is red by a check of its own: an assertion, or pytest's `fail` and `raises`."""
    return kind_of(result) in _ASSERTIONS


def kind_of(result: TestResult) -> str:
    """The exception's name, without its module."""
    return result.exception.rpartition(".")[2]


def _tells(result: TestResult, sketch: Sketch) -> bool:
    """Whether a test's own check fails with words that show the reason: the exception's name, or the value."""
    if not by_its_own_check(result):
        return False
    if sketch.exception:
        name = sketch.exception.rpartition(".")[2]
        return _stands_in(name, result.text) and same_message(result.text, sketch.message)
    if not sketch.actual:
        return _stands_in(sketch.expected, result.text)
    alone = _VALUE.search(result.text.replace(sketch.actual, "")) is None  # else it may be the value that is asked for
    return _stands_in(sketch.actual, result.text) and (alone or _stands_in(sketch.expected, result.text))


def _stands_in(part: str, text: str) -> bool:
    """Whether a value or a name stands in a text, whatever the blanks, and not as a part of another one."""
    part, text = " ".join(part.split()), " ".join(text.split())
    bare = part.strip("'\"")
    return any(re.search(rf"(?<![\w.]){re.escape(form)}(?![\w]|\.\d)", text) for form in {part, bare} if form)
