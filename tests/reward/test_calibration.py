"""Calibration: probabilities stay probabilities, orders stay orders, and a fit gives back what distorted the scores."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thinklonger.agent.reward import IDENTITY, Calibration, calibration_error, fit
from thinklonger.agent.reward.calibration import known, logit, sigmoid

PROBABILITIES = st.floats(0, 1)


def drawn(count: int, seed: int) -> tuple[list[float], list[bool]]:
    """True probabilities, and labels drawn by them."""
    chance = random.Random(seed)  # noqa: S311 (no secret)
    truths = [chance.random() for _ in range(count)]
    return truths, [chance.random() < truth for truth in truths]


@given(PROBABILITIES)
def test_identity_changes_nothing(raw: float) -> None:
    """A judge that nobody has measured is taken at its word."""
    assert IDENTITY(raw) == raw


@given(st.floats(0, 50), st.floats(-50, 50), PROBABILITIES, PROBABILITIES)
def test_calibrated_scores_are_probabilities_in_the_same_order(slope: float, offset: float, a: float, b: float) -> None:
    """Whatever the parameters, scores stay in [0, 1] and no order is turned round."""
    calibration = Calibration(slope, offset)
    low, high = calibration(min(a, b)), calibration(max(a, b))
    assert 0 <= low <= high <= 1


def test_a_fit_undoes_a_distortion() -> None:
    """An overconfident, biased judge is read rightly after fitting: its error shrinks to chance."""
    truths, labels = drawn(4000, seed=7)
    raw = [sigmoid(3 * logit(truth) + 1.5) for truth in truths]
    fitted = fit(raw, labels)
    assert fitted.slope == pytest.approx(1 / 3, rel=0.1)
    assert fitted.offset == pytest.approx(-0.5, abs=0.1)
    assert calibration_error([fitted(score) for score in raw], labels) < 0.03 < calibration_error(raw, labels)


def test_a_calibrated_judge_is_left_alone() -> None:
    """Scores that are right already stay nearly what they are."""
    truths, labels = drawn(4000, seed=11)
    fitted = fit(truths, labels)
    assert fitted.slope == pytest.approx(1, abs=0.1)
    assert fitted.offset == pytest.approx(0, abs=0.1)


def test_a_judge_that_is_worse_than_chance_knows_nothing() -> None:
    """Scores that run against the truth all become the share of true ones, instead of being turned round."""
    fitted = fit([0.1, 0.2, 0.3, 0.7, 0.8, 0.9, 0.2, 0.8], [True, True, True, False, False, False, True, True])
    assert fitted(0.1) == fitted(0.9) == pytest.approx(5 / 8)


@given(st.lists(st.tuples(PROBABILITIES, st.booleans()), min_size=1, max_size=30))
def test_a_fit_never_fails(pairs: list[tuple[float, bool]]) -> None:
    """Few, extreme, separable or equal scores: there is always a finite calibration with a slope of at least 0."""
    scores, labels = [score for score, _ in pairs], [label for _, label in pairs]
    fitted = fit(scores, labels)
    assert 0 <= fitted.slope < 1e6
    assert all(0 <= fitted(score) <= 1 for score in scores)


def test_labels_that_are_all_alike_teach_nothing() -> None:
    """Without both kinds of labels there is nothing to fit."""
    assert fit([0.2, 0.9], [True, True]) == IDENTITY
    assert fit([], []) == IDENTITY


def test_scores_without_their_labels_are_refused() -> None:
    """A mistake in the data is not fitted."""
    with pytest.raises(ValueError, match=r"^$"):
        fit([0.5], [])


def test_calibration_error_by_hand() -> None:
    """The error is the weighted distance between a bin's mean score and its share of true labels."""
    assert calibration_error([0.95, 0.95, 0.15], [True, False, False]) == pytest.approx((0.9 + 0.15) / 3)
    assert calibration_error([1.0, 0.0], [True, False]) == 0
    assert calibration_error([], []) == 0


def test_the_shipped_table_loads() -> None:
    """What ships names the judges that there are without training."""
    assert set(known()) >= {"judge", "evidence"}
