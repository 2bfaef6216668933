"""Scores that mean the same whoever judges: Platt scaling of probabilities, how it is fitted, how far off it is.

A judge's raw probability p becomes sigmoid(slope * logit(p) + offset); the identity until somebody has measured. To fit
one: score decisions whose truth is known (files and places against the real repair's, patches against all tests), give
`fit` the raw scores and the truth, and put what it returns into `calibrations.toml` under the judge's name. With a
slope alone this is temperature scaling, slope = 1 / temperature. (Platt 1999; Guo et al. 2017, arXiv 1706.04599.)
"""

import math
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from itertools import groupby

_EDGE = 1e-6
_STEPS = 100
_CLOSE = 1e-10
_RIDGE = 1e-3  # pulls towards the identity, so that separable scores have a finite fit


@dataclass(frozen=True, slots=True)
class Calibration:
    """How to read a judge's raw probability. `slope` is never negative: no order is turned round."""

    slope: float = 1.0
    offset: float = 0.0

    def __call__(self, raw: float) -> float:
        """The calibrated probability."""
        if self == IDENTITY:
            return min(1.0, max(0.0, raw))
        return sigmoid(self.slope * logit(raw) + self.offset)


IDENTITY = Calibration()


@cache
def known() -> Mapping[str, Calibration]:
    """What has been measured, by judge: `calibrations.toml`."""
    table = tomllib.loads(files("thinklonger.agent.reward").joinpath("calibrations.toml").read_text("utf-8"))
    return {name: Calibration(float(entry["slope"]), float(entry["offset"])) for name, entry in table.items()}


def logit(probability: float) -> float:
    """The logarithm of the odds; certainty is cut off at one in a million."""
    inside = min(1 - _EDGE, max(_EDGE, probability))
    return math.log(inside / (1 - inside))


def sigmoid(value: float) -> float:
    """The probability of these odds."""
    if value >= 0:
        return 1 / (1 + math.exp(-value))
    return math.exp(value) / (1 + math.exp(value))


def fit(scores: Sequence[float], labels: Sequence[bool]) -> Calibration:
    """The calibration under which these raw scores say best how likely a label is true.

    Newton's method on the log loss, with Platt's targets (a few labels never make certainty). The identity where labels
    are all alike. Scores that run against the labels know nothing: slope 0, all get the share of true ones. Raises
    ValueError if the two differ in length.
    """
    if len(scores) != len(labels):
        raise ValueError
    true = sum(labels)
    if true in (0, len(labels)):
        return IDENTITY
    high, low = (true + 1) / (true + 2), 1 / (len(labels) - true + 2)
    points = [(logit(score), high if label else low) for score, label in zip(scores, labels, strict=True)]
    slope, offset = 1.0, 0.0
    for _ in range(_STEPS):
        slope, offset, moved = _newton(points, slope, offset)
        if moved < _CLOSE:
            break
    if slope <= 0:
        return Calibration(0.0, logit(true / len(labels)))
    return Calibration(slope, offset)


def calibration_error(scores: Sequence[float], labels: Sequence[bool], *, bins: int = 10) -> float:
    """The expected calibration error: how far, on average, a score lies from the share of true labels around it.

    Over bins of equal width, weighted by what falls into each; 0 for no scores.
    """
    pairs = sorted(
        (min(bins - 1, int(score * bins)), score, label) for score, label in zip(scores, labels, strict=True)
    )
    total = 0.0
    for _, group in groupby(pairs, key=lambda pair: pair[0]):
        inside = list(group)
        total += abs(sum(score for _, score, _ in inside) - sum(label for _, _, label in inside))
    return total / len(pairs) if pairs else 0.0


def _loss(points: Sequence[tuple[float, float]], slope: float, offset: float) -> float:
    total = _RIDGE / 2 * ((slope - 1) ** 2 + offset**2)
    for x, target in points:
        value = slope * x + offset
        total += max(value, 0.0) - value * target + math.log1p(math.exp(-abs(value)))
    return total


def _newton(points: Sequence[tuple[float, float]], slope: float, offset: float) -> tuple[float, float, float]:
    """One step, halved until it is no worse; with how far it went."""
    g_slope, g_offset = _RIDGE * (slope - 1), _RIDGE * offset
    h_slope = h_offset = _RIDGE
    h_both = 0.0
    for x, target in points:
        p = sigmoid(slope * x + offset)
        g_slope += (p - target) * x
        g_offset += p - target
        curve = p * (1 - p)
        h_slope += curve * x * x
        h_both += curve * x
        h_offset += curve
    determinant = h_slope * h_offset - h_both * h_both
    d_slope = (h_offset * g_slope - h_both * g_offset) / determinant
    d_offset = (h_slope * g_offset - h_both * g_slope) / determinant
    before = _loss(points, slope, offset)
    share = 1.0
    while share > _CLOSE and _loss(points, slope - share * d_slope, offset - share * d_offset) > before:
        share /= 2
    return slope - share * d_slope, offset - share * d_offset, share * (abs(d_slope) + abs(d_offset))
