"""Judges a command that is no known runner: by its exit code alone."""

from collections.abc import Sequence
from pathlib import PurePosixPath

from thinklonger.agent.execution.reading import TRACE_FRAME, error_in, frames_in, tail
from thinklonger.agent.types import CommandResult, Ending, Outcome, TestResult, TestRun


def judge(result: CommandResult, argv: Sequence[str], root: PurePosixPath) -> TestRun:
    """One pseudo-test: green at exit code 0; red otherwise, with what a printed traceback says."""
    output = tail(result.output)
    kind, text = error_in(output)
    frames = frames_in(output, root, TRACE_FRAME)
    match result.ending:
        case Ending.EXITED if result.exit_code == 0:
            test = TestResult(" ".join(argv), Outcome.PASSED, result.seconds)
        case Ending.TIMED_OUT:
            test = TestResult(" ".join(argv), Outcome.TIMED_OUT, result.seconds, "Timeout", "", frames)
        case Ending.EXITED:
            test = TestResult(" ".join(argv), Outcome.FAILED, result.seconds, kind, text, frames)
        case _:
            test = TestResult(" ".join(argv), Outcome.ERROR, result.seconds, kind, text, frames)
    return TestRun(
        command=tuple(argv),
        ending=result.ending,
        exit_code=result.exit_code,
        seconds=result.seconds,
        results=(test,),
        complete=result.ending is Ending.EXITED,
        output=output,
    )
