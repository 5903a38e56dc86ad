"""Intervals, against SciPy's own results, hand values and simulated coverage."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from kilonet.evaluation.intervals import t_interval, wilson


def wilson_formula(correct: int, total: int, confidence: float) -> tuple[float, float]:
    """Return the interval as Wilson's paper writes it: an oracle apart from SciPy's code."""
    z = stats.norm.ppf((1 + confidence) / 2)
    p = correct / total
    centre = (p + z * z / (2 * total)) / (1 + z * z / total)
    half = z / (1 + z * z / total) * math.sqrt(p * (1 - p) / total + z * z / (4 * total * total))
    return centre - half, centre + half


@given(st.integers(1, 100_000), st.floats(0, 1), st.sampled_from([0.8, 0.95, 0.99]))
def test_wilson_agrees_with_the_published_formula(
    total: int, share: float, confidence: float
) -> None:
    correct = round(share * total)
    expected = wilson_formula(correct, total, confidence)
    assert wilson(correct, total, confidence) == pytest.approx(expected, abs=1e-12)


def test_wilson_agrees_with_scipy() -> None:
    interval = stats.binomtest(9_943, 10_000).proportion_ci(0.95, method="wilson")
    assert wilson(9_943, 10_000) == (interval.low, interval.high)
    assert wilson(9_943, 10_000) == pytest.approx((0.99262, 0.99560), abs=5e-6)


def test_wilson_stays_inside_the_unit_interval_and_says_something_at_its_ends() -> None:
    low, high = wilson(0, 20)
    assert low == pytest.approx(0, abs=1e-15) and 0 < high < 0.2
    low, high = wilson(20, 20)
    assert 0.8 < low < 1 and high == pytest.approx(1)


@pytest.mark.parametrize(
    ("correct", "total", "confidence"),
    [(11, 10, 0.95), (-1, 10, 0.95), (0, 0, 0.95), (5, 10, 0.0), (5, 10, 1.0)],
)
def test_wilson_refuses_what_is_no_proportion(correct: int, total: int, confidence: float) -> None:
    with pytest.raises(ValueError):
        wilson(correct, total, confidence)


def test_t_interval_agrees_with_scipy() -> None:
    values = [0.9941, 0.9947, 0.9939, 0.9944, 0.9950]
    mean, half = t_interval(values)
    low, high = stats.t.interval(0.95, 4, loc=np.mean(values), scale=stats.sem(values))
    assert (mean - half, mean + half) == pytest.approx((low, high), abs=1e-15)


def test_t_interval_by_hand() -> None:
    # Three values one apart: standard error 1/√3, and t(0.975, 2) = 4.302653 from the tables.
    assert t_interval([1, 2, 3]) == pytest.approx((2.0, 4.302653 / math.sqrt(3)), abs=1e-6)
    assert t_interval([0.5, 0.5]) == (0.5, 0.0)


def test_t_interval_covers_the_mean_as_often_as_it_claims() -> None:
    draws = np.random.default_rng(0).normal(3.0, 2.0, size=(2_000, 5))
    hits = [abs(mean - 3.0) <= half for mean, half in map(t_interval, draws.tolist())]
    assert np.mean(hits) == pytest.approx(0.95, abs=0.015)


def test_one_value_has_no_spread_and_none_has_no_mean() -> None:
    assert t_interval([0.994]) == (0.994, math.inf)
    with pytest.raises(ValueError, match="at least one"):
        t_interval([])
    with pytest.raises(ValueError, match="confidence"):
        t_interval([1, 2], confidence=95)
