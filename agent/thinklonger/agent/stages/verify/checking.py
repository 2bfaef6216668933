"""Whether a reproduction that a model wrote holds: red on the base for the issue's reason, and red again each time."""

import ast
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from thinklonger.agent.execution import Execution, Harness, Runner
from thinklonger.agent.stages.verify.reasons import Reasons, shows
from thinklonger.agent.stages.verify.reproduction import Origin, Reproduction, steady
from thinklonger.agent.stages.verify.scrutiny import always_fails, raised_by_itself, reads_source
from thinklonger.agent.stages.verify.sources import parse
from thinklonger.agent.stages.verify.writing import SCRIPT_NAME, Written, reason_seen, write_given
from thinklonger.agent.types import Layer, Message, Outcome, TestResult

REPEATS = 2  # runs after the first: what is red only sometimes proves nothing
SECONDS = 20.0  # how long one may take
LOG_SIGNS = 3000  # of a run's output that go back to the model, its end


@dataclass(frozen=True, slots=True)
class Judgement:
    """What running a reproduction on the base has shown: the reproduction where it holds, else why it does not.

    `log` is the end of what was printed, for whoever wrote it; untrusted.
    """

    why: Message | None = None
    log: str = ""
    reproduction: Reproduction | None = None


async def check_reproduction(source: bytes, *, harness: Harness, base: Layer, reasons: Reasons) -> Judgement:
    """Run a script or a test file on the base, once and then again; raises SandboxError only.

    Prints and exit codes of 0 prove nothing: only a red test does, that shows the issue's reason and runs the
    repository's code.
    """
    if harness.runner is Runner.COMMAND:
        return Judgement(Message("reproduction.no-runner"))
    script = read(source)
    if isinstance(script, Message):
        return Judgement(script)
    written = write_given(SCRIPT_NAME, source)
    layer = {**base, **written.layer}
    execution = await harness.run(written.tests, layer=layer, coverage=True, seconds_per_test=SECONDS, expand=True)
    log = execution.run.output[-LOG_SIGNS:]
    tests = judge(execution, written, script, reasons=reasons)
    if isinstance(tests, Message):
        return Judgement(tests, log)
    again = [(await harness.run(tests, layer=layer, seconds_per_test=SECONDS)).run for _ in range(REPEATS)]
    kept = steady(execution.run, again, tests)
    if not kept:
        return Judgement(Message("reproduction.unsteady"), log)
    return Judgement(None, log, Reproduction(Origin.MODEL, kept, execution.run, execution.coverage, written.layer))


def read(source: bytes) -> ast.Module | Message:
    """A script's tree, or why running it would show nothing."""
    try:
        tree = parse(source)
    except SyntaxError as error:
        return Message("reproduction.not-python", {"line": error.lineno or 1, "reason": error.msg})
    except (ValueError, RecursionError, MemoryError) as error:
        return Message("reproduction.not-python", {"line": 1, "reason": str(error)})
    if not tree.body:
        return Message("reproduction.empty")
    if reads_source(tree):
        return Message("reproduction.reads-source")
    return Message("reproduction.always-fails") if always_fails(tree) else tree


def judge(execution: Execution, written: Written, script: ast.Module, *, reasons: Reasons) -> tuple[str, ...] | Message:
    """The tests of a run that show the issue's reason, or why none does."""
    results = [result for result in execution.run.results if result.outcome is not Outcome.MISSING]
    red = [result for result in results if result.outcome.red]
    if not red:
        ran = any(result.outcome.green for result in results)
        return Message("reproduction.passes" if ran else "reproduction.not-run")
    own = (written.path, PurePosixPath(SCRIPT_NAME))
    shown = [result for result in red if shows(result, reasons)]
    if not shown:
        return _other_reason(red[0], reasons)
    honest = [result for result in shown if not raised_by_itself(result, script, own=own)]
    if not honest:
        return Message("reproduction.raised-by-itself", {"exception": shown[0].exception})
    running = tuple(result.id for result in honest if _runs_code(result, execution, own))
    return running or Message("reproduction.runs-nothing")


def _other_reason(result: TestResult, reasons: Reasons) -> Message:
    """What was seen, beside what the issue gives."""
    if result.outcome is Outcome.TIMED_OUT:
        return Message("reproduction.hangs", {"seconds": int(SECONDS)})
    seen = reason_seen(result)
    if not reasons.sketches:
        return Message("reproduction.no-check", {"seen": seen})
    return Message("reproduction.other-reason", {"seen": seen, "expected": str(reasons)})


def _runs_code(result: TestResult, execution: Execution, own: Sequence[PurePosixPath]) -> bool:
    """Whether a test ran a line of the repository's; what hangs, or can't be imported, is judged by its frames."""
    ran = {frame.path for frame in result.frames}
    if result.outcome is not Outcome.TIMED_OUT:
        ran |= execution.coverage.get(result.id, {}).keys()
    return not ran.issubset(own)
