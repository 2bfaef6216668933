"""The proof of one candidate: its own fresh layer, the reproduction twice, then the regression tests.

At last a placebo: the base with a change that means nothing, in the very file that the candidate changes. Tests that
turn green by that look at something else than behaviour (a file's digest or times, how often they ran, luck), and so
what they say of the candidate is worth nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from thinklonger.agent.execution import Baseline, Execution, Harness
from thinklonger.agent.stages.verify.reproduction import Reproduction, red_tests
from thinklonger.agent.types import Check, Layer, TestRun

PLACEBO_SECONDS, PLACEBO_TIMES = 2.0, 10  # what a test may take on the placebo, and of its time on the patch
REPEATS = 2  # runs of the reproduction on the patch: a fix that holds once may be luck


@dataclass(frozen=True, slots=True)
class Proof:
    """What running a candidate showed.

    `reproduced`: every reproduction test is green in every repeat, in complete runs. `held`: no regression test got
    worse; None where there are no regression tests. `flaky` are tests that turned red on the patch and are red on
    the base too when asked again: they say nothing. `placebo` are reproduction tests that turn green on a change that
    means nothing. `runs` are the runs behind it, by what they are.
    """

    reproduction: Check
    regression: Check | None
    reproduced: bool
    held: bool | None
    flaky: tuple[str, ...] = ()
    placebo: tuple[str, ...] = ()
    runs: tuple[tuple[str, TestRun], ...] = field(default=(), compare=False)


async def prove_candidate(  # noqa: PLR0913 - what is run, on what, against what, for how long
    harness: Harness,
    layer: Layer,
    *,
    base: Layer,
    reproduction: Reproduction,
    baseline: Baseline,
    seconds: float,
    placebo: Layer | None = None,
) -> Proof:
    """Run a candidate's layer against the reproduction and the regression tests; raises SandboxError only.

    `placebo` is the base with a change that means nothing.
    """
    runs = [(await harness.run(reproduction.tests, layer=layer)).run for _ in range(REPEATS)]
    after = next((run for run in runs if not _all_green(run, reproduction.tests)), runs[-1])
    first = _check(reproduction.tests, reproduction.run, after)
    reproduced = all(_all_green(run, reproduction.tests) for run in runs)
    shown = (("reproduction-before", reproduction.run), ("reproduction-after", after))
    if not reproduced:
        return Proof(first, None, reproduced, held=None, runs=shown)
    longest = max((result.seconds for result in after.results), default=0.0)
    green = await _green_by_nothing(harness, placebo or {}, reproduction, seconds=longest)
    regression = tuple(test for test in baseline.green if test not in reproduction.tests)
    if not regression:
        return Proof(first, None, reproduced, held=None, placebo=green, runs=shown)
    execution = await harness.run(regression, layer=layer, seconds=2 * seconds)
    broken = _red_or_lost(execution, regression)
    flaky = await _unsteady(harness, base, broken)
    second = _check(regression, baseline.run, execution.run)
    shown = (*shown, ("regression-before", baseline.run), ("regression-after", execution.run))
    held = not set(broken) - set(flaky)
    return Proof(first, second, reproduced, held=held, flaky=flaky, placebo=green, runs=shown)


async def _green_by_nothing(
    harness: Harness, layer: Layer, reproduction: Reproduction, *, seconds: float
) -> tuple[str, ...]:
    """The reproduction's tests that are green on a change that means nothing; `seconds` the slowest took on the patch.

    A test that hangs on the base hangs here, too, and does not need its whole time to show it.
    """
    if not layer:
        return ()
    enough = PLACEBO_SECONDS + PLACEBO_TIMES * seconds
    run = (await harness.run(reproduction.tests, layer=layer, seconds_per_test=enough)).run
    return tuple(result.id for result in run.results if result.outcome.green and result.id in reproduction.tests)


async def _unsteady(harness: Harness, base: Layer, broken: Sequence[str]) -> tuple[str, ...]:
    """Those of the broken tests that are red on the base as well when run alone."""
    if not broken:
        return ()
    again = await harness.run(broken, layer=base)
    return tuple(test for test in red_tests(again.run) if test in broken)


def _all_green(run: TestRun, tests: Sequence[str]) -> bool:
    green = {result.id for result in run.results if result.outcome.green}
    return run.complete and green.issuperset(tests)


def _red_or_lost(execution: Execution, tests: Sequence[str]) -> tuple[str, ...]:
    """The tests that are not known to be green or skipped."""
    known = {result.id for result in execution.run.results if not result.outcome.red}
    return tuple(test for test in tests if test not in known)


def _check(tests: Sequence[str], before: TestRun, after: TestRun) -> Check:
    chosen = frozenset(tests)
    return Check(
        command=after.command,
        tests=tuple(tests),
        exit_code_before=before.exit_code,
        exit_code_after=after.exit_code,
        seconds_before=before.seconds,
        seconds_after=after.seconds,
        red_before=tuple(test for test in red_tests(before) if test in chosen),
        red_after=tuple(test for test in red_tests(after) if test in chosen),
    )
