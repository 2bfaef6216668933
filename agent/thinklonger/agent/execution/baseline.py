"""How the base fares on chosen tests, measured once and cached by content."""

from collections.abc import Sequence
from pathlib import Path

from thinklonger.agent.execution.harness import Harness
from thinklonger.agent.execution.outcomes import Baseline
from thinklonger.agent.types import EnvironmentRecord


async def measure_baseline(
    harness: Harness, tests: Sequence[str], *, seconds_per_test: float = 10.0, seconds: float = 60.0
) -> Baseline:
    """Run the tests on the base, and the red ones a second time: what then is green is flaky."""
    raise NotImplementedError


class BaselineCache:
    """Baselines on disk, keyed by content; a folder that can't be read or written is no cache, never an error."""

    def __init__(self, directory: Path) -> None:
        """Keep baselines in `directory`, made when first needed."""
        self.directory = directory

    def key(self, tree: str, environment: EnvironmentRecord, tests: Sequence[str]) -> str:
        """The key of these tests on that tree (its content digest) in that environment."""
        raise NotImplementedError

    def load(self, key: str) -> Baseline | None:
        """The baseline, or None where there is none or it can't be read."""
        raise NotImplementedError

    def store(self, key: str, baseline: Baseline) -> None:
        """Keep the baseline, if the folder can be written."""
        raise NotImplementedError
