"""What screening promises where the base itself hangs."""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator

from thinklonger.agent.execution import Screened, ScreenResult
from thinklonger.agent.pipeline.patience import BRIEF_SECONDS, Look, brief_seconds, in_two_looks
from thinklonger.agent.types import Ending, Outcome, TestResult, TestRun


def red_run(*results: TestResult) -> TestRun:
    """A run of the reproduction."""
    return TestRun(("pytest",), Ending.EXITED, 1, 1.0, results, complete=True)


async def each(*names: str) -> AsyncIterator[Screened]:
    """Candidates by name."""
    for name in names:
        yield Screened(name, {})


class Looks:
    """Screening of candidates by name: `hang…` never ends, `slow…` passes with time, `good…` at once."""

    def __init__(self) -> None:
        """Nothing was looked at."""
        self.seen: list[tuple[str, str]] = []

    def look(self, kind: str, *, patient: bool) -> Look:
        """A look of one kind."""

        async def run(stream: AsyncIterator[Screened]) -> AsyncGenerator[ScreenResult]:
            async for candidate in stream:
                self.seen.append((kind, candidate.id))
                passed = candidate.id.startswith("good") or (patient and candidate.id.startswith("slow"))
                timed = not passed and not candidate.id.startswith("bad")
                outcome = Outcome.TIMED_OUT if timed else Outcome.FAILED
                first = None if passed else TestResult("test", outcome)
                yield ScreenResult(candidate.id, passed, () if passed else ("test",), Ending.EXITED, 0.1, first)
                await asyncio.sleep(0)

        return run


def test_only_a_base_that_hangs_is_looked_at_briefly() -> None:
    """Where the red tests end, candidates get their usual time; where they hang, a part of it."""
    failed, hung = TestResult("a", Outcome.FAILED, 0.01), TestResult("b", Outcome.TIMED_OUT, 10.0)
    assert brief_seconds(red_run(failed), 2.0) is None
    assert brief_seconds(red_run(failed, hung), 2.0) == BRIEF_SECONDS
    assert brief_seconds(red_run(TestResult("a", Outcome.FAILED, 0.5), hung), 2.0) is None


async def test_what_was_cut_short_gets_its_time_once_nothing_else_passed() -> None:
    """The slow right candidate is found in the second look, which only tells what passes."""
    looks = Looks()
    found = [
        (result.id, result.passed)
        async for result in in_two_looks(
            each("hang1", "slow", "bad"),
            brief=looks.look("brief", patient=False),
            usual=looks.look("usual", patient=True),
            until=time.monotonic() + 60,
        )
    ]
    assert found == [("hang1", False), ("slow", False), ("bad", False), ("slow", True)]
    assert looks.seen[3:] == [("usual", "hang1"), ("usual", "slow")]


async def test_nothing_is_looked_at_twice_where_something_passed() -> None:
    """A survivor of the brief look makes the second one needless."""
    looks = Looks()
    found = [
        result.id
        async for result in in_two_looks(
            each("hang1", "good"),
            brief=looks.look("brief", patient=False),
            usual=looks.look("usual", patient=True),
            until=time.monotonic() + 60,
        )
    ]
    assert found == ["hang1", "good"]
    assert all(kind == "brief" for kind, _ in looks.seen)


async def test_the_second_look_begins_in_time() -> None:
    """Proposals without end do not keep the slow ones waiting past their share of the time."""
    looks = Looks()

    async def endless() -> AsyncIterator[Screened]:
        number = 0
        while True:
            number += 1
            yield Screened("slow" if number == 1 else f"hang{number}", {})

    found: list[str] = []
    async for result in in_two_looks(
        endless(),
        brief=looks.look("brief", patient=False),
        usual=looks.look("usual", patient=True),
        until=time.monotonic() + 0.05,
    ):
        if result.passed:
            found.append(result.id)
            break
    assert found == ["slow"]
