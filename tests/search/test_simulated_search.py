"""The search against the simulated engine: what the product's driver must arrange, in virtual time."""

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))

import orchestration
import pytest
from simulated import clock, cost, recorded
from simulated.cards import CARDS
from simulated.steps import Circumstances

from thinklonger.agent.chat import ChatMessage, Finish, Role, Sampling, Usage
from thinklonger.agent.trace.events import PromptSent, ReplyFinished
from thinklonger.agent.trace.wire import Recorded
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


def test_a_record_of_a_run_gives_its_bound() -> None:
    """From a record alone: tokens, which of them are new, when nothing was asked, and the least time on a card."""
    start = datetime(2026, 1, 1, tzinfo=UTC)
    system, issue, more = (ChatMessage(Role.USER, letter * 4_000) for letter in "abc")

    def sent(prompt: str, stage: Stage, added: tuple[ChatMessage, ...], base: str = "", shared: int = 0) -> PromptSent:
        replies = (f"{prompt}/1", f"{prompt}/2")
        return PromptSent(prompt, stage, stage.value, "", replies, Sampling(), added, base, shared)

    def finished(reply: str, tokens: int, prompt: int, cached: int) -> ReplyFinished:
        return ReplyFinished(reply, "", "", Finish.STOP, Usage(prompt, cached, tokens - 50, 50, counted=True), 1.0)

    events = [
        (0.0, sent("one", Stage.UNDERSTAND, (system, issue))),
        (20.0, finished("one/1", 1_000, 2_000, 0)),
        (30.0, finished("one/2", 2_000, 2_000, 2_000)),
        (30.5, sent("two", Stage.PATCH, (more,), "one", 2)),
        (60.5, finished("two/1", 2_000, 3_000, 2_000)),
        (61.0, finished("two/2", 2_000, 3_000, 3_000)),
    ]
    entries = [Recorded(seq, start + timedelta(seconds=at), event) for seq, (at, event) in enumerate(events, 1)]
    found = recorded.summarize(entries, H100)
    assert found is not None
    assert (found.generation, found.whole, found.idle) == (61.0, 61.0, (0.5,))
    assert (found.unique, found.prompted, found.computed, found.generated) == (3_000, 10_000, 3_000, 7_000)
    first = cost.stage_seconds(H100, 2_000, [1_000, 2_000])
    second = cost.stage_seconds(H100, 3_000, [2_000, 2_000], cached=2_000)
    assert found.bound == pytest.approx(first + second)


def test_a_record_without_a_model_has_no_bound() -> None:
    """Where no model was asked there is nothing to say."""
    assert recorded.summarize([], H100) is None
