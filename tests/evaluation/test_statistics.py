"""Intervals and tests, against SciPy, published formulas, hand values and simulated coverage."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats

from kilonet.evaluation.statistics import (
    McNemar,
    better_on_more,
    holm,
    mcnemar,
    paired,
    t_interval,
    wilson,
)


def wilson_formula(correct: int, total: int) -> tuple[float, float]:
    """Return the interval as Wilson's paper writes it: an oracle apart from SciPy's code."""
    z = stats.norm.ppf(0.975)
    p = correct / total
    centre = (p + z * z / (2 * total)) / (1 + z * z / total)
    half = z / (1 + z * z / total) * math.sqrt(p * (1 - p) / total + z * z / (4 * total * total))
    return centre - half, centre + half


@given(st.integers(1, 100_000), st.floats(0, 1))
def test_wilson_agrees_with_the_published_formula(total: int, share: float) -> None:
    correct = round(share * total)
    assert wilson(correct, total) == pytest.approx(wilson_formula(correct, total), abs=1e-12)


def test_wilson_agrees_with_scipy() -> None:
    interval = stats.binomtest(9_943, 10_000).proportion_ci(0.95, method="wilson")
    assert wilson(9_943, 10_000) == (interval.low, interval.high)
    assert wilson(9_943, 10_000) == pytest.approx((0.99262, 0.99560), abs=5e-6)


def test_wilson_stays_inside_the_unit_interval() -> None:
    low, high = wilson(0, 20)
    assert low == pytest.approx(0, abs=1e-15) and 0 < high < 0.2
    low, high = wilson(20, 20)
    assert 0.8 < low < 1 and high == pytest.approx(1)


def test_t_interval_agrees_with_scipy() -> None:
    values = [0.9941, 0.9947, 0.9939, 0.9944, 0.9950]
    mean, half = t_interval(values)
    low, high = stats.t.interval(0.95, 4, loc=np.mean(values), scale=stats.sem(values))
    assert (mean - half, mean + half) == pytest.approx((low, high), abs=1e-15)


def test_t_interval_by_hand() -> None:
    # Three values one apart: standard error 1/√3, and t(0.975, 2) = 4.302653 from the tables.
    assert t_interval([1, 2, 3]) == pytest.approx((2.0, 4.302653 / math.sqrt(3)), abs=1e-6)
    assert t_interval([0.5, 0.5]) == (0.5, 0.0)


def test_t_interval_has_its_coverage() -> None:
    draws = np.random.default_rng(0).normal(3.0, 2.0, size=(2_000, 5))
    hits = [abs(mean - 3.0) <= half for mean, half in map(t_interval, draws.tolist())]
    assert np.mean(hits) == pytest.approx(0.95, abs=0.015)


def test_one_value() -> None:
    assert t_interval([0.994]) == (0.994, math.inf)


def split(both: int, only_a: int, only_b: int, neither: int) -> tuple[np.ndarray, np.ndarray]:
    a = [True] * both + [True] * only_a + [False] * only_b + [False] * neither
    b = [True] * both + [False] * only_a + [True] * only_b + [False] * neither
    order = np.random.default_rng(0).permutation(len(a))
    return np.array(a)[order], np.array(b)[order]


def two_sided(k: int, n: int) -> float:
    tail = sum(math.comb(n, i) for i in range(min(k, n - k) + 1)) / 2**n
    return min(1.0, 2 * tail)


@pytest.mark.parametrize(("only_a", "only_b"), [(3, 9), (9, 3), (0, 6), (5, 5), (1, 0), (40, 21)])
def test_p_value_is_the_binomial_tail(only_a: int, only_b: int) -> None:
    result = mcnemar(*split(50, only_a, only_b, 7))
    assert (result.only_a, result.only_b) == (only_a, only_b)
    assert result.p_value == pytest.approx(two_sided(only_a, only_a + only_b))


def test_images_on_which_both_agree_do_not_count() -> None:
    assert mcnemar(*split(0, 3, 9, 0)) == mcnemar(*split(9_000, 3, 9, 100))


def test_models_that_never_disagree_have_p_1() -> None:
    assert mcnemar([True, False], [True, False]) == McNemar(0, 0, 1.0)


def test_different_images_cannot_be_paired() -> None:
    with pytest.raises(ValueError, match="same images"):
        mcnemar([True, False], [True])
    with pytest.raises(ValueError, match="same images"):
        mcnemar([[True]], [[True]])


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=3, max_size=12))
def test_pairs_against_scipy(pairs: list[tuple[float, float]]) -> None:
    a, b = (np.array(side) for side in zip(*pairs, strict=True))
    assume(np.ptp(a - b) > 1e-6)
    ours, theirs = paired(a, b), stats.ttest_rel(a, b)
    assert ours.p_value == pytest.approx(theirs.pvalue)
    interval = theirs.confidence_interval(0.95)
    assert (ours.low, ours.high) == pytest.approx((interval.low, interval.high), abs=1e-12)
    assert ours.mean == pytest.approx(float((a - b).mean()), abs=1e-12)


def test_pairs_with_equal_differences() -> None:
    assert paired([0.5] * 4, [0.4] * 4).p_value == 2 / 2**4
    assert paired([0.5] * 4, [0.5] * 4).p_value == 1


def test_one_pair_has_p_1() -> None:
    found = paired([0.9], [0.8])
    assert (found.p_value, found.low, found.high) == (1, -np.inf, np.inf)


def test_holm_by_hand() -> None:
    # Holm 1979: 0.01 × 4, 0.02 × 3 and 0.03 × 2, which may not be less, and 0.5.
    assert holm([0.03, 0.01, 0.5, 0.02]) == pytest.approx([0.06, 0.04, 0.5, 0.06])
    assert holm([]) == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_keeps_the_order_and_only_increases(values: list[float]) -> None:
    adjusted = holm(values)
    assert all(value <= a <= 1 for value, a in zip(values, adjusted, strict=True))
    assert [adjusted[place] for place in np.argsort(values)] == sorted(adjusted)


def test_with_one_seed_it_is_mcnemar() -> None:
    a, b = np.array([1, 1, 1, 0, 0]), np.array([0, 0, 1, 1, 0])
    assert better_on_more(a, b) == mcnemar(a == 1, b == 1)
