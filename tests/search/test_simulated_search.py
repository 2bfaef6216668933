"""The search against the simulated engine: what the product's driver must arrange, in virtual time."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))

import orchestration
import pytest
from simulated import clock
from simulated.cards import CARDS
from simulated.steps import Circumstances

from thinklonger.agent.types import Stage

H100 = CARDS[3]


@pytest.fixture(scope="module")
def run() -> orchestration.Run:
    """A search of eight rollouts whose patches take no time to verify."""
    return clock.run(orchestration.simulate(H100, Circumstances(0), orchestration.plan()))


@pytest.fixture(scope="module")
def tested() -> orchestration.Run:
    """The same with 20 to 60 seconds of verification for each patch, by four workers."""
    return clock.run(orchestration.simulate(H100, Circumstances(0, verification=1.0), orchestration.plan()))


def test_nothing_is_added_to_what_the_card_takes(run: orchestration.Run) -> None:
    """Without verification a run takes the lower bound: no barrier, no second prefill, nothing between stages."""
    bound = orchestration.bound(H100, run.record)
    assert bound * 0.999 <= run.seconds <= bound * 1.02
    assert {stage: sum(map(len, asked.values())) for stage, asked in run.record.asked.items()} == {
        Stage.UNDERSTAND: 8,
        Stage.LOCALIZE: 8,
        Stage.PATCH: 8,
    }


def test_each_prompt_is_computed_once(run: orchestration.Run) -> None:
    """All replies of a stage share its prompt, and each stage's prompt goes on from the one before."""
    assert run.counters.prefilled_tokens <= 1.05 * orchestration.unique(run.record)
    assert run.counters.prompt_tokens > 15 * orchestration.unique(run.record)
    assert run.counters.preemptions == 0


def test_the_engine_never_waits_for_the_driver(run: orchestration.Run, tested: orchestration.Run) -> None:
    """No virtual second passes between a stage's last reply and the next request, with verification or without."""
    assert len(run.gaps) == len(tested.gaps) == 2
    assert all(gap.virtual < 1e-6 for gap in (*run.gaps, *tested.gaps))


def test_verification_runs_beside_generation(run: orchestration.Run, tested: orchestration.Run) -> None:
    """A patch is verified when it is complete, by a free worker at once: testing adds less than its longest tail."""
    starts = sorted(start for start, _ in tested.record.verified)
    ends = [end for _, end in tested.record.verified]
    patched = sorted(tested.record.patched)
    assert starts[: orchestration.WORKERS] == patched[: orchestration.WORKERS]
    for start, ready in zip(starts, patched, strict=True):
        assert start == ready or any(abs(start - end) < 1e-6 for end in ends)
    assert tested.seconds - run.seconds < 0.25 * sum(end - start for start, end in tested.record.verified)
