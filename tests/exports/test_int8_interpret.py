"""The integer reference: its arithmetic, step by step, against real numbers."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from kilonet.exports.int8.interpret import requantise, rounded, sigmoid
from kilonet.exports.int8.operators import ONE, Requantisation


@given(st.integers(-(2**50), 2**50), st.integers(1, 40))
def test_rounding_is_to_the_nearest_and_halves_go_up(product: int, shift: int) -> None:
    found = int(rounded(np.int64(product), shift))
    twice = 2 * product
    assert (2 * found - 1) * 2**shift <= twice < (2 * found + 1) * 2**shift


def test_sigmoid() -> None:
    v = np.arange(-32768, 32768)
    found = sigmoid(v) / ONE
    assert np.abs(found - 1 / (1 + np.exp(-v / 1024))).max() < 4e-4  # beyond 8 it stays
    inside = np.abs(v) <= 8 * 1024
    assert np.abs(found - 1 / (1 + np.exp(-v / 1024)))[inside].max() < 1e-4
    assert (np.diff(found) >= 0).all()
    np.testing.assert_array_equal(sigmoid(v[1:]) + sigmoid(-v[1:])[...], ONE + 0 * v[1:])


def test_curves() -> None:
    v, x = np.arange(-32768, 32768, 7), np.arange(-32768, 32768, 7) / 1024
    step = 0.05
    shift = 30
    multiplier = round(2**shift / (ONE * 1024 * step))
    for curve, expected in {
        "silu": x / (1 + np.exp(-x)),
        "leaky_relu": np.where(x < 0, x * 0.25, x),
        "sigmoid": 1 / (1 + np.exp(-x)),
    }.items():
        requantisation = Requantisation(9, 0, 255, curve, multiplier, shift, slope=ONE // 4)  # type: ignore[arg-type]
        found = (requantise(v, requantisation).astype(float) - 9) * step
        cut = np.clip(expected, -9 * step, (255 - 9) * step)
        assert np.abs(found - cut).max() < step * 0.6


def test_a_line_is_cut_at_its_ends() -> None:
    v = np.array([-500, -3, 0, 4, 500])
    assert requantise(v, Requantisation(10)).tolist() == [0, 7, 10, 14, 255]
    assert requantise(v, Requantisation(10, low=10)).tolist() == [10, 10, 10, 14, 255]
    wide = requantise(v * 100, Requantisation(0, -32768, 32767))
    assert wide.tolist() == [-32768, -300, 0, 400, 32767]
    assert wide.dtype == np.int16
