"""Finds the folder from which a repository's tests pass, where they open files by names that only hold there."""

from collections.abc import Iterable
from pathlib import PurePosixPath

from thinklonger.agent.execution.harness import Harness
from thinklonger.agent.execution.obstacles import missing_file
from thinklonger.agent.execution.outcomes import Runner, test_path
from thinklonger.agent.types import Layer, TestResult, TestRun

SAMPLE = 20
"""Red and green tests, each, that a folder is judged by."""
MOST_FOLDERS = 4
SECONDS = 20.0


async def settle_folder(harness: Harness, run: TestRun, *, layer: Layer | None = None) -> bool:
    """Have the tests run from another folder if more of them pass there; whether that is so.

    Looks only where red tests say that a file or a module is missing. Raises SandboxError only.
    """
    lost = [result.id for result in run.results if result.outcome.red and missing_file(result)][:SAMPLE]
    if harness.folder or harness.runner is Runner.COMMAND or not lost:
        return False
    held = [result.id for result in run.results if result.outcome.green][:SAMPLE]
    for folder in folders_of(lost):
        harness.folder = folder
        green = green_in((await harness.run([*lost, *held], layer=layer, seconds=SECONDS)).run.results)
        if len(green.intersection(lost)) > len(set(held) - green):
            return True
        harness.folder = ""
    return False


def folders_of(tests: Iterable[str]) -> list[str]:
    """The folders that tests lie in, and those around them below the root, the innermost first."""
    found = [str(folder) for test in tests for folder in test_path(test).parents if folder != PurePosixPath()]
    return list(dict.fromkeys(found))[:MOST_FOLDERS]


def green_in(results: Iterable[TestResult]) -> set[str]:
    """The tests that are green."""
    return {result.id for result in results if result.outcome.green}
