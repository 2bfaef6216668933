"""A failing test as an issue: what it is called and what it said, where nobody wrote a word."""

from thinklonger.agent.issue.clues import Clues
from thinklonger.agent.issue.reading import read_clues
from thinklonger.agent.types import TestRun

_MOST_TESTS = 10
_MOST_CHARACTERS = 4000


def with_failures(clues: Clues, reproduction: TestRun | None) -> Clues:
    """The clues, or, of an issue without words, those of the failing tests: their names, exceptions and assertions."""
    if reproduction is None or clues.prose.strip() or clues.blocks:
        return clues
    red = [result for result in reproduction.results if result.outcome.red][:_MOST_TESTS]
    names = " ".join(result.id.rpartition("::")[2].partition("[")[0].replace("_", " ") for result in red)
    said = "\n".join(f"```\n{result.text[-_MOST_CHARACTERS:]}\n{result.exception}\n```" for result in red)
    return read_clues(f"{names}\n\n{said}")
