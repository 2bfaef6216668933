"""How the base fares on chosen tests, measured once and cached by content."""

import hashlib
import os
import tempfile
from collections.abc import Collection, Sequence
from contextlib import suppress
from pathlib import Path, PurePosixPath

from thinklonger.agent.execution.harness import Harness
from thinklonger.agent.execution.outcomes import Baseline
from thinklonger.agent.types import Ending, EnvironmentRecord, Layer, Outcome, TestRun

FORMAT = 1
NOTHING_RAN = frozenset({Outcome.MISSING})


async def measure_baseline(
    harness: Harness,
    tests: Sequence[str],
    *,
    layer: Layer | None = None,
    seconds_per_test: float = 10.0,
    seconds: float = 60.0,
) -> Baseline:
    """Run the tests on the base, and the red ones a second time: what then is green is flaky.

    Tests that were not reached within `seconds` are MISSING in `run`, and neither red nor flaky.
    """
    if not tests:
        return Baseline(TestRun((), Ending.EXITED, None, 0.0, (), complete=True), (), ())
    first = (await harness.run(tests, layer=layer, seconds_per_test=seconds_per_test, seconds=seconds)).run
    red = [result.id for result in first.results if result.outcome.red and result.outcome not in NOTHING_RAN]
    again = frozenset[str]()
    if red:
        second = (await harness.run(red, layer=layer, seconds_per_test=seconds_per_test, seconds=seconds)).run
        again = second.ids(Outcome.PASSED)
    timings = {result.id: result.seconds for result in first.results if result.outcome not in NOTHING_RAN}
    return Baseline(
        run=first,
        already_red=tuple(test for test in red if test not in again),
        flaky=tuple(test for test in red if test in again),
        timings=timings,
    )


def tree_digest(root: Path, files: Collection[PurePosixPath]) -> str:
    """A digest over the names and contents of a tree's files; what can't be read counts as absent."""
    digest = hashlib.sha256()
    for path in sorted(files):
        digest.update(f"{path}\0".encode("utf-8", "surrogateescape"))
        with suppress(OSError):
            digest.update(hashlib.sha256((root / path).read_bytes()).digest())
    return digest.hexdigest()


class BaselineCache:
    """Baselines on disk, keyed by content; a folder that can't be read or written is no cache, never an error."""

    def __init__(self, directory: Path) -> None:
        """Keep baselines in `directory`, made when first needed."""
        self.directory = directory

    def key(self, tree: str, environment: EnvironmentRecord, tests: Sequence[str]) -> str:
        """The key of these tests on that tree (its `tree_digest`) in that environment."""
        parts = (str(FORMAT), tree, environment.digest, *tests)
        return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogateescape")).hexdigest()

    def load(self, key: str) -> Baseline | None:
        """The baseline, or None where there is none or it can't be read."""
        import msgspec  # noqa: PLC0415 - needed only where there is a cache

        try:
            return msgspec.json.decode(self._place(key).read_bytes(), type=Baseline, dec_hook=decode_path)
        except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
            return None

    def store(self, key: str, baseline: Baseline) -> None:
        """Keep the baseline, if the folder can be written; nobody ever sees half of it."""
        import msgspec  # noqa: PLC0415 - needed only where there is a cache

        place = self._place(key)
        with suppress(OSError):
            place.parent.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(dir=place.parent, prefix=".new-")
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(msgspec.json.encode(baseline, enc_hook=str))
                Path(name).replace(place)
            except OSError:
                Path(name).unlink(missing_ok=True)

    def _place(self, key: str) -> Path:
        return self.directory / key[:2] / f"{key}.json"


def decode_path(kind: type, value: object) -> object:
    """Read a path; everything else msgspec knows by itself."""
    if kind is PurePosixPath and isinstance(value, str):
        return PurePosixPath(value)
    raise NotImplementedError(kind)
