"""Medians, quartiles and ratios, against NumPy."""

from __future__ import annotations

import numpy as np
import pytest
from benchmarks.contest import Block
from benchmarks.ratios import ratio, speeds, spread
from hypothesis import given
from hypothesis import strategies as st

POSITIVE = st.floats(1e-3, 1e6)


@given(st.lists(POSITIVE, min_size=1, max_size=12))
def test_a_spread_is_that_of_numpy(values: list[float]) -> None:
    found = spread(values)
    low, middle, high = np.percentile(values, [25, 50, 75])
    assert found.lower_quartile == pytest.approx(low)
    assert found.median == pytest.approx(middle)
    assert found.upper_quartile == pytest.approx(high)


@given(st.lists(st.tuples(POSITIVE, POSITIVE), min_size=1, max_size=12))
def test_a_ratio_is_taken_round_by_round(seconds: list[tuple[float, float]]) -> None:
    ours = [Block(mine, 512) for mine, _ in seconds]
    theirs = [Block(other, 256) for _, other in seconds]
    expected = [2 * other / mine for mine, other in seconds]
    found = ratio(ours, theirs)
    assert found.by_round == pytest.approx(expected)
    assert found.median == pytest.approx(np.median(expected))


def test_a_slow_round_of_the_machine_does_not_move_the_ratio() -> None:
    ours = [Block(1.0, 100), Block(9.0, 100), Block(1.0, 100)]
    theirs = [Block(4.0, 100), Block(36.0, 100), Block(4.0, 100)]
    found = ratio(ours, theirs)
    assert (found.lower_quartile, found.median, found.upper_quartile) == (4, 4, 4)


def test_speeds_are_images_a_second() -> None:
    assert speeds([Block(2.0, 512), Block(0.5, 96)]) == [256, 192]


def test_rounds_that_one_of_the_two_lacks_are_an_error() -> None:
    with pytest.raises(ValueError, match="zip"):
        ratio([Block(1, 1)], [Block(1, 1), Block(1, 1)])
